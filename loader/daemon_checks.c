// SPDX-License-Identifier: GPL-2.0-only
/* What the daemon knows of its spaces and gates, as a list of checks. */
#include <stdarg.h>
#include <stdio.h>
#include <utlist.h>

#include "cgroup_dynmods.h"
#include "daemon_internal.h"
#include "flow_json.h"
#include "json_util.h"

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
static void check_sizes(json_t *list, struct space *s, const struct spd_counts *spd,
			const struct sad_counts *sad)
{
	const struct bpf_sizes sizes = bpf_sizes(s->bpf);
	struct routes_stats routes;

	routes_stats(s->routes, &routes);
	if (spd->missing)
		daemon_check_add(
			list, "maps", "fail",
			"raise policies-max= in [daemon] and restart, or use fewer policies or selector "
			"shapes",
			"space %s: %zu policies do not fit (policies-max=%u), its flows are refused",
			s->name, spd->missing, sizes.policies);
	if (sad->missing)
		daemon_check_add(
			list, "maps", "fail",
			"raise sas-max= in [daemon] and restart, or have fewer SAs alike",
			"space %s: %zu SAs do not fit (sas-max=%u, 16 for one template and address)",
			s->name, sad->missing, sizes.sas);
	if (routes.full[0] || routes.full[1])
		daemon_check_add(
			list, "maps", "fail", "raise routes-max= in [daemon] and restart",
			"space %s: routing does not fit (routes-max=%u): source addresses are unknown",
			s->name, sizes.routes);
	if (s->sink.state(s->sink.ctx, s->slot)->full & FULL_COMMIT)
		daemon_check_add(
			list, "maps", "fail",
			"raise policies-max=, sas-max= or routes-max= in [daemon] and restart",
			"space %s: with other spaces' entries it did not fit, its flows are refused",
			s->name);
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

static void check_space(json_t *list, struct space *s, bool acquire)
{
	const struct mirror_stats *stats = mirror_stats(s->mirror);
	struct spd_counts spd;
	struct sad_counts sad;
	size_t ties;

	spd_count(mirror_spd(s->mirror), &spd);
	sad_count(mirror_sad(s->mirror), &sad);
	if (!space_synced(s))
		daemon_check_add(list, "mirror", "fail", "see the daemon's log",
				 "space %s: not in step with the kernel: what must be protected "
				 "waits",
				 s->name);
	if (stats->differences)
		daemon_check_add(list, "mirror", "warn",
				 "changes that the kernel tells nobody, or a lost event",
				 "space %s: %llu entries differed from a dump and were repaired",
				 s->name, (unsigned long long)stats->differences);
	check_sizes(list, s, &spd, &sad);
	check_templates(list, s);
	if (spd.ties)
		daemon_check_add(
			list, "policies", "warn", "give the policies different priorities",
			"space %s: %zu selectors have policies of one priority that differ in what "
			"they do; the protecting one is taken",
			s->name, spd.ties);
	ties = spd_ties_across(mirror_spd(s->mirror));
	if (ties)
		daemon_check_add(
			list, "policies", "warn", "give the policies different priorities",
			"space %s: %zu pairs of policies have one priority and differ, and which "
			"one the kernel takes is not known; their flows wait (policy-tie) or are "
			"blocked",
			s->name, ties);
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

/* Only where some gate holds. */
static void check_hold(json_t *list, struct daemon *d)
{
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
	if (!cgroup_dynmods_on())
		daemon_check_add(list, "hold", "warn", "mount cgroup2 with favordynmods",
				 "mode hold: a call uses the CPU for some milliseconds until it "
				 "sleeps");
	if (holds_problem(d->holds)[0])
		daemon_check_add(
			list, "hold", "warn",
			"a gate of its own for the program, on a cgroup without child cgroups; or "
			"a higher hold-max=",
			"a call was rejected and not held: %s", holds_problem(d->holds));
}

json_t *daemon_checks(struct daemon *d)
{
	json_t *list = json_array();
	struct gate_counters c;
	struct gate *gate;
	struct space *s;

	LL_FOREACH(d->spaces, s)
		check_space(list, s, d->config->trigger == TRIGGER_ACQUIRE);
	check_hold(list, d);
	LL_FOREACH(gates_first(d->gates), gate) {
		if (!gate->cgroup_id) {
			daemon_check_add(list, "gate", "warn",
					 "start the service, or correct cgroup=",
					 "gate %s is not attached: %s", gate->name, gate->problem);
			continue;
		}
		daemon_check_add(list, "gate", "ok", NULL, "gate %s: %s, mode %s", gate->name,
				 gate->cgroup, mode_name(gate->settings.mode));
		if (!bpf_counters_get(d->bpf, gate->cgroup_id, &c) && c.lost)
			daemon_check_add(list, "events", "warn",
					 "the daemon was too slow, or stopped",
					 "gate %s: %llu events were lost", gate->name,
					 (unsigned long long)c.lost);
	}
	return list;
}
