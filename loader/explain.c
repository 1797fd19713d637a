// SPDX-License-Identifier: GPL-2.0-only
/* explain and doctor: what decide() says and why, asked of the pinned maps. */
#include <errno.h>
#include <linux/ipsec.h>
#include <stdio.h>
#include <string.h>
#include <utlist.h>

#include "daemon_internal.h"
#include "flow_json.h"
#include "json_util.h"
#include "netns.h"
#include "xfrm_json.h"

struct sa_search {
	__be32 spi;
	const struct sa_info *found;
};

static int match_spi(void *ctx, const struct sa_info *sa)
{
	struct sa_search *search = ctx;

	if (sa->spi != search->spi)
		return 0;
	search->found = sa;
	return 1;
}

static json_t *sa_json(const struct space *s, __be32 spi)
{
	struct sa_search search = {.spi = spi};
	const struct sad *sad = mirror_sad(s->mirror);
	__s64 left;
	char text[16];

	if (!spi)
		return json_null();
	sad_each(sad, match_spi, &search);
	left = search.found ? sad_expires_in(sad, search.found) : -1;
	snprintf(text, sizeof(text), "0x%08x", be32toh(spi));
	return json_pack("{s:s s:o}", "spi", text, "expires_in",
			 left < 0 ? json_null() : json_integer(left));
}

static __u32 policy_index(const struct decision *d)
{
	return d->sub_index ? d->sub_index : d->main_index;
}

/* The policy that was chosen, each template with its SA, or with what is missing of it. */
static json_t *policy_json(const struct space *s, const struct decision *d)
{
	enum spd_class class = d->sub_index ? CLASS_SUB : CLASS_MAIN;
	const struct policy_info *p;
	json_t *o, *templates, *t;
	size_t i;

	if (!s || !policy_index(d))
		return json_null();
	p = spd_find(mirror_spd(s->mirror), class, policy_index(d));
	if (!p)
		return json_null();
	o = policy_explain_json(p);
	templates = json_object_get(o, "templates");
	json_array_foreach(templates, i, t) {
		bool failed = d->verdict == VERDICT_WAIT && d->neg.class == class && i == d->tmpl;

		json_object_set_new(t, "sa", i < TMPLS_MAX ? sa_json(s, d->spi[i]) : json_null());
		json_object_set_new(t, "missing",
				    failed ? json_string(reason_text(d->reason)) : json_null());
	}
	return o;
}

static json_t *requirement_json(const struct space *s, const struct decision *d)
{
	const struct requirement *r =
		s && d->req_index ? requirements_find(s->requirements, d->req_index) : NULL;

	return r ? json_pack("{s:s}", "name", r->name) : json_null();
}

static int find_gate(struct daemon *d, const json_t *args, struct gate_settings *settings,
		     struct gate **gate, struct error *e)
{
	const char *name = json_get_text(args, "gate");

	*gate = NULL;
	if (!name) {
		gate_settings_make(d, &d->config->defaults, settings);
		settings->cgroup_id = 1;
		return 0;
	}
	*gate = gates_find(d->gates, name);
	if (!*gate)
		return error_set(e, -ENOENT, "no-such-gate",
				 "gate %s: there is none (sagate show gates)", name);
	*settings = (*gate)->settings;
	if (!settings->cgroup_id)
		return error_set(e, -ENOENT, "no-such-cgroup", "gate %s is not attached: %s", name,
				 (*gate)->problem);
	return 0;
}

int daemon_explain(struct daemon *d, const json_t *args, json_t **result, struct error *e)
{
	struct ask a = {};
	struct gate *gate;
	struct space *s;
	int err;

	err = flow_from_json(args, d->spaces->netns, &a.flow, e);
	if (!err)
		err = find_gate(d, args, &a.gate, &gate, e);
	if (err)
		return err;
	err = bpf_ask(d->bpf, &a);
	if (err)
		return error_set(e, err, "ask", "the kernel's decide() cannot be asked: %s",
				 strerror(-err));
	s = daemon_space_of(d, a.gate.spd_netns ? a.gate.spd_netns : a.flow.netns);
	*result = json_pack(
		"{s:s s:s s:s s:o s:o s:o s:o s:o s:s?}", "verdict",
		verdict_name(a.decision.verdict), "reason", reason_name(a.decision.reason), "text",
		reason_text(a.decision.reason), "flow", flow_to_json(&a.flow), "policy",
		policy_json(s, &a.decision), "requirement", requirement_json(s, &a.decision),
		"negotiation",
		s && a.decision.neg.index ? negotiations_of(d->negotiations, s, &a.decision.neg)
					  : json_null(),
		"gate", gate ? gate_to_json(d, gate) : json_null(), "space", s ? s->name : NULL);
	return 0;
}

static void add(json_t *list, const char *check, const char *status, const char *hint,
		const char *fmt, ...) __attribute__((format(printf, 5, 6)));

static void add(json_t *list, const char *check, const char *status, const char *hint,
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

static void check_space(json_t *list, struct space *s, bool acquire)
{
	const struct mirror_stats *stats = mirror_stats(s->mirror);
	struct spd_counts spd;
	struct sad_counts sad;

	spd_count(mirror_spd(s->mirror), &spd);
	sad_count(mirror_sad(s->mirror), &sad);
	if (space_synced(s))
		add(list, "mirror", "ok", NULL, "space %s: %zu policies and requirements, %zu SAs",
		    s->name, spd.policies, sad.sas);
	else
		add(list, "mirror", "fail", "see the daemon's log",
		    "space %s: not in step with the kernel: what must be protected waits", s->name);
	if (stats->differences)
		add(list, "mirror", "warn", "changes that the kernel tells nobody, or a lost event",
		    "space %s: %llu entries differed from a dump and were repaired", s->name,
		    (unsigned long long)stats->differences);
	if (spd.missing || sad.missing)
		add(list, "maps", "fail", "fewer policies or SAs",
		    "space %s: %zu policies and %zu SAs do not fit", s->name, spd.missing,
		    sad.missing);
	if (spd.ties)
		add(list, "policies", "warn", "give the policies different priorities",
		    "space %s: %zu selectors have policies of one priority that differ in what "
		    "they do; the protecting one is taken",
		    s->name, spd.ties);
	if (acquire)
		add(list, "ike", "ok", NULL,
		    "space %s: trigger=acquire: whichever IKE daemon listens is asked", s->name);
	else if (!s->ike)
		add(list, "ike", "warn", "set vici= in [space] or use trigger=acquire",
		    "space %s: no IKE daemon is configured", s->name);
	else if (!ike_bridge_up(s->ike))
		add(list, "ike", "fail",
		    "start the IKE daemon, or correct vici=", "space %s: %s: %s", s->name, s->vici,
		    s->ike_problem[0] ? s->ike_problem : "not connected");
	else
		add(list, "ike", "ok", NULL, "space %s: %s at %s", s->name,
		    ike_bridge_version(s->ike) ? ike_bridge_version(s->ike) : "IKE daemon",
		    s->vici);
}

int daemon_doctor(struct daemon *d, json_t **result)
{
	json_t *list = json_array();
	struct gate_counters c;
	struct gate *gate;
	struct space *s;

	LL_FOREACH(d->spaces, s)
		check_space(list, s, d->config->trigger == TRIGGER_ACQUIRE);
	LL_FOREACH(gates_first(d->gates), gate) {
		if (!gate->cgroup_id) {
			add(list, "gate", "warn",
			    "start the service, or correct cgroup=", "gate %s is not attached: %s",
			    gate->name, gate->problem);
			continue;
		}
		add(list, "gate", "ok", NULL, "gate %s: %s, mode %s", gate->name, gate->cgroup,
		    mode_name(gate->settings.mode));
		if (!bpf_counters_get(d->bpf, gate->cgroup_id, &c) && c.lost)
			add(list, "events", "warn", "the daemon was too slow, or stopped",
			    "gate %s: %llu events were lost", gate->name,
			    (unsigned long long)c.lost);
	}
	*result = list;
	return 0;
}
