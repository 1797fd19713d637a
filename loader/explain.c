// SPDX-License-Identifier: GPL-2.0-only
/* explain: what decide() says and why, asked of the pinned maps. */
#include <errno.h>
#include <linux/ipsec.h>
#include <stdio.h>
#include <string.h>

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
