// SPDX-License-Identifier: GPL-2.0-only
/* What the daemon knows of its spaces and gates, as a list of checks. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <utlist.h>

#include "boot_time.h"
#include "cgroup_dynmods.h"
#include "daemon_internal.h"
#include "flow_json.h"
#include "json_util.h"
#include "space_default.h"
#include "space_full.h"

void daemon_check_add(json_t *list, const char *check, const char *status, const char *hint,
		      const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_array_append_new(list, json_pack("{s:s s:s s:o s:s?}", "check", check, "status",
					      status, "message", json_text(text), "hint", hint));
}

/* What does not fit, and which key makes room. */
static void check_sizes(json_t *list, const struct space *s, const struct space *all)
{
	const __u8 full = space_full(s);
	char text[SPACE_FULL_TEXT], hint[128];

	for (const struct space_full *f = space_fulls; f->bit; f++) {
		if (!(full & f->bit))
			continue;
		snprintf(hint, sizeof(hint), "raise %s= in [daemon] and restart, %s", f->key,
			 f->or_else);
		daemon_check_add(list, "maps", "fail", hint, "space %s: %s", s->name,
				 space_full_text(s, all, f, text, sizeof(text)));
	}
}

static int count_long(void *ctx, enum spd_class class, const struct policy_info *p)
{
	(void)class;
	*(size_t *)ctx += p->tmpl_count > TMPLS_MAX;
	return 0;
}

/* Policies with more templates than are mirrored. */
static void check_templates(json_t *list, struct space *s)
{
	size_t n = 0;

	spd_each(mirror_spd(s->mirror), count_long, &n);
	if (n)
		daemon_check_add(list, "policies", "warn", "use at most two templates",
				 "space %s: %zu policies have more than %d templates: their flows "
				 "are refused (template-limit)",
				 s->name, n, TMPLS_MAX);
}

/* Only where some gate has hold-nonblocking=queue. */
static void check_queue(json_t *list, const struct space *s)
{
	if (s->queue == SPACE_QUEUE_ON)
		daemon_check_add(list, "queue", "ok", NULL,
				 "space %s: the kernel keeps SYNs that wait for an SA "
				 "(net.core.xfrm_larval_drop=0)",
				 s->name);
	else if (s->queue == SPACE_QUEUE_UNDONE)
		daemon_check_add(list, "queue", "warn",
				 "leave net.core.xfrm_larval_drop at 0, and reload sagate",
				 "space %s: somebody set net.core.xfrm_larval_drop back: connects "
				 "are rejected and not queued",
				 s->name);
	else if (s->queue == SPACE_QUEUE_FAILED)
		daemon_check_add(list, "queue", "warn", "see the daemon's log",
				 "space %s: net.core.xfrm_larval_drop cannot be set: connects are "
				 "rejected and not queued",
				 s->name);
}

static void check_default(json_t *list, const struct space *s)
{
	char text[16];

	if (!s->default_block)
		return;
	if (s->default_open)
		daemon_check_add(list, "default-block", "fail", "see the daemon's log",
				 "space %s: the kernel lets pass what no policy is for (%s)",
				 s->name, space_default_text(s->default_open, text));
	else
		daemon_check_add(list, "default-block", "ok", NULL,
				 "space %s: the kernel blocks what no policy is for (%s)", s->name,
				 space_default_text(s->default_block, text));
	if (s->default_restored)
		daemon_check_add(list, "default-block", "warn", "see the daemon's log",
				 "space %s: somebody set it otherwise %llu times", s->name,
				 (unsigned long long)s->default_restored);
}

/* `selectors`: so many have ties among what shares them, requirements too. */
static void check_ties(json_t *list, struct space *s, size_t selectors)
{
	const char *what = "give the policies different priorities";
	__u32 pair[2];
	size_t ties = spd_ties(mirror_spd(s->mirror), pair);

	if (ties)
		daemon_check_add(
			list, "policies", "warn", what,
			"space %s: %zu pairs of policies have one priority and differ, the first "
			"of them index %u and index %u, and which one the kernel takes is not "
			"known; their flows wait (policy-tie) or are blocked",
			s->name, ties, pair[0], pair[1]);
	else if (selectors)
		daemon_check_add(
			list, "policies", "warn", what,
			"space %s: %zu selectors have policies of one priority that differ in what "
			"they do; the protecting one is taken",
			s->name, selectors);
}

static void check_space(json_t *list, struct space *s, const struct space *all, bool acquire)
{
	const struct mirror_stats *stats = mirror_stats(s->mirror);
	struct spd_counts spd;

	spd_count(mirror_spd(s->mirror), &spd);
	if (!space_synced(s))
		daemon_check_add(list, "mirror", "fail", "see the daemon's log",
				 "space %s: not in step with the kernel: what must be protected "
				 "waits",
				 s->name);
	if (stats->differences)
		daemon_check_add(
			list, "mirror", "warn",
			"changes that the kernel tells nobody, or a lost event",
			"space %s: %llu entries differed from a dump and were repaired, the last "
			"%llu s ago",
			s->name, (unsigned long long)stats->differences,
			(unsigned long long)((boot_ns() - stats->differed_at) / 1000000000ULL));
	check_sizes(list, s, all);
	check_templates(list, s);
	check_queue(list, s);
	check_default(list, s);
	check_ties(list, s, spd.ties);
	if (acquire)
		daemon_check_add(list, "ike", "ok", NULL,
				 "space %s: trigger=acquire: whichever IKE daemon listens is asked",
				 s->name);
	else if (!s->ike)
		daemon_check_add(list, "ike", "warn", "set vici= in [space] or use trigger=acquire",
				 "space %s: no IKE daemon is configured", s->name);
	else if (!ike_bridge_up(s->ike))
		daemon_check_add(list, "ike", "fail",
				 "start the IKE daemon, or correct vici=", "space %s: %s: %s",
				 s->name, s->vici,
				 s->ike_problem[0] ? s->ike_problem : "not connected");
	else
		daemon_check_add(list, "ike", "ok", NULL, "space %s: %s at %s", s->name,
				 ike_bridge_version(s->ike) ? ike_bridge_version(s->ike)
							    : "IKE daemon",
				 s->vici);
}

static void check_lsm(json_t *list, const struct bpf *b)
{
	if (bpf_lsm_missing(b)[0])
		daemon_check_add(list, "lsm", "warn", "boot with lsm=…,bpf",
				 "%s: ping, raw and SCTP sockets and such that were made elsewhere "
				 "are not judged",
				 bpf_lsm_missing(b));
	else
		daemon_check_add(list, "lsm", "ok", NULL,
				 "BPF LSM: ping, raw and SCTP sockets and such that were made "
				 "elsewhere are judged, too");
}

static void check_programs(json_t *list, const struct bpf *b)
{
	daemon_check_add(list, "programs", "ok", NULL, "%s/load/%s: %s", bpf_pin_path(b),
			 bpf_load(b),
			 bpf_adopted(b) ? "programs of an earlier daemon: nothing was loaded"
					: "programs that this daemon has loaded");
}

/* Documentation/admin-guide/LSM/Yama.rst: nobody may look at another process's system call. */
static void check_yama(json_t *list)
{
	FILE *f = fopen("/proc/sys/kernel/yama/ptrace_scope", "re");
	int scope = 0;

	if (f && fscanf(f, "%d", &scope) == 1 && scope == 3)
		daemon_check_add(
			list, "hold", "fail",
			"kernel.yama.ptrace_scope=2 at most, and a restart of this host: 3 "
			"cannot be taken back",
			"mode hold: calls are rejected: with kernel.yama.ptrace_scope=3 "
			"threads that sleep cannot be looked at");
	if (f)
		fclose(f);
}

static const char *hold_hint(const struct error *problem)
{
	if (!strcmp(problem->code, "cgroup-limit"))
		return "raise cgroup.max.descendants and cgroup.max.depth of that cgroup and of "
		       "those above it";
	return "a gate of its own for the program, on a cgroup without child cgroups; or a higher "
	       "hold-max=";
}

/* Only where some gate holds. */
static void check_hold(json_t *list, struct daemon *d)
{
	const struct error *problem = holds_problem(d->holds);
	struct gate *gate;

	LL_FOREACH(gates_first(d->gates), gate)
		if (gate->settings.mode == MODE_HOLD)
			break;
	if (!gate)
		return;
	if (bpf_kick(d->bpf) == KICK_NONE)
		daemon_check_add(list, "hold", "fail", NULL, "mode hold: calls are rejected: %s",
				 bpf_kick_missing(d->bpf));
	else
		daemon_check_add(list, "hold", "ok", NULL, "mode hold: calls restart by %s",
				 bpf_kick(d->bpf) == KICK_SIGNALS ? "signals" : "task work");
	check_yama(list);
	if (!cgroup_dynmods_on())
		daemon_check_add(list, "hold", "warn", "mount cgroup2 with favordynmods",
				 "mode hold: a call uses the CPU for some milliseconds until it "
				 "sleeps");
	if (problem->message[0])
		daemon_check_add(list, "hold", "warn", hold_hint(problem),
				 "a call was rejected and not held: %s", problem->message);
}

static void check_losses(json_t *list, struct daemon *d)
{
	const char *problem = daemon_losses_problem(d);

	if (problem)
		daemon_check_add(list, "on-loss", "fail",
				 "a kernel with CONFIG_INET_DIAG_DESTROY, or on-loss=keep",
				 "on-loss=close: this kernel does not close sockets: %s", problem);
}

/* What a gate asks for faster, or more of, than it gets. */
static void check_flood(json_t *list, struct daemon *d, const struct gate *gate)
{
	struct gate_counters c;

	if (!bpf_counters_get(d->bpf, gate->cgroup_id, &c) && c.lost + gate->lost)
		daemon_check_add(list, "events", "warn",
				 "the gate's calls came too fast, or the daemon was stopped",
				 "gate %s: %llu events were lost", gate->name,
				 (unsigned long long)(c.lost + gate->lost));
	if (gate->not_negotiated)
		daemon_check_add(list, "negotiations", "warn", "negotiations-max=",
				 "gate %s: %llu times no negotiation was started: %u that it had "
				 "begun were under way (negotiations-max)",
				 gate->name, (unsigned long long)gate->not_negotiated,
				 gate->settings.negotiations_max);
}

json_t *daemon_checks(struct daemon *d)
{
	json_t *list = json_array();
	struct gate *gate;
	struct space *s;

	LL_FOREACH(d->spaces, s)
		check_space(list, s, d->spaces, d->config->trigger == TRIGGER_ACQUIRE);
	check_programs(list, d->bpf);
	check_lsm(list, d->bpf);
	check_hold(list, d);
	check_losses(list, d);
	LL_FOREACH(gates_first(d->gates), gate) {
		if (gate_state(gate) == GATE_ABSENT) {
			daemon_check_add(list, "gate", "ok", NULL,
					 "gate %s waits for its cgroup: %s", gate->name,
					 gate->problem);
			continue;
		}
		if (gate_state(gate) == GATE_FAILED) {
			daemon_check_add(list, "gate", "fail", "see the daemon's log",
					 "gate %s is not attached: %s", gate->name, gate->problem);
			continue;
		}
		daemon_check_add(list, "gate", "ok", NULL, "gate %s: %s, mode %s", gate->name,
				 gate->cgroup, mode_name(gate->settings.mode));
		daemon_watch_checks(list, d, gate);
		daemon_rights_checks(list, gate);
		if (gate->settings.guard_off)
			daemon_check_add(list, "guard", "warn", "leave guard= at its default",
					 "gate %s: guard=off: packets of ping, raw, SCTP and L2TP "
					 "sockets, and of connections whose SA went, are not seen",
					 gate->name);
		check_flood(list, d, gate);
	}
	return list;
}
