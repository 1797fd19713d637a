// SPDX-License-Identifier: GPL-2.0-only
/* explain: what decide() says and why, asked of the pinned maps. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon_internal.h"
#include "explain_policy.h"
#include "explain_sa.h"
#include "flow_json.h"
#include "json_util.h"
#include "xfrm_json.h"

/* What was asked and answered, and where. */
struct explained {
	const struct bpf *bpf;
	const struct ask *ask;
	struct space *space; /* NULL: of no space we mirror */
};

static json_t *sa_json(const struct sad *sad, const struct sa_info *sa)
{
	__s64 left;
	char text[16];

	if (!sa)
		return json_null();
	left = sad_expires_in(sad, sa);
	snprintf(text, sizeof(text), "0x%08x", be32toh(sa->spi));
	return json_pack("{s:s s:o}", "spi", text, "expires_in",
			 left < 0 ? json_null() : json_integer(left));
}

/*
 * The SA that template `i` uses: for decide() one that fits is enough, the kernel takes the one
 * that it prefers. decide() leaves the SPIs of the class that it looked at last; a SUB policy
 * before that had its SAs, or the MAIN one would not have been asked.
 */
static const struct sa_info *sa_used(const struct sad *sad, const struct sa_wanted *w,
				     const struct decision *d, enum spd_class class, int i)
{
	const struct sa_info *fit = sa_first_fit(sad, w);

	if (!fit || ((class != CLASS_SUB || !d->main_index) && fit->spi != d->spi[i]))
		return NULL;
	return sa_preferred_fit(sad, w);
}

/* Each template with its SA, or with what is missing of it, and all that it could have used. */
static void add_templates(const struct explained *x, const struct policy_info *p,
			  enum spd_class class, json_t *templates)
{
	const struct decision *d = &x->ask->decision;
	const struct sad *sad = mirror_sad(x->space->mirror);
	struct sa_wanted wanted[TMPLS_MAX];
	const struct sa_wanted *before = NULL;
	const struct sa_info *used;
	json_t *t;
	size_t i, more;

	json_array_foreach(templates, i, t) {
		bool failed = d->verdict == VERDICT_WAIT && d->neg.class == class && i == d->tmpl;

		json_object_set_new(t, "sa", json_null());
		json_object_set_new(t, "missing",
				    failed ? json_string(reason_text(d->reason)) : json_null());
		if (p->action != XFRM_POLICY_ALLOW || json_array_size(templates) > TMPLS_MAX)
			continue;
		sa_wanted_of(x->bpf, x->ask, p, i, before, &wanted[i]);
		used = sa_used(sad, &wanted[i], d, class, i);
		if (used)
			before = &wanted[i];
		json_object_set_new(t, "sa", sa_json(sad, used));
		json_object_set_new(t, "candidates",
				    sa_candidates_json(sad, &wanted[i], used, &more));
		json_object_set_new(t, "candidates_more", json_integer((json_int_t)more));
	}
}

/* A policy that was chosen, and why. */
static json_t *policy_json(const struct explained *x, enum spd_class class, __u32 index,
			   const struct policies_why *why)
{
	const struct policy_info *p;
	json_t *o;

	if (!x->space || !index)
		return json_null();
	p = spd_find(mirror_spd(x->space->mirror), class, index);
	if (!p)
		return json_null();
	o = policy_explain_json(p);
	json_object_set_new(o, "why", json_string(why->chosen[class]));
	add_templates(x, p, class, json_object_get(o, "templates"));
	return o;
}

/* "policy": the one that is asked first; "main_policy": the MAIN one that follows a SUB one. */
static void add_policies(const struct explained *x, json_t *o)
{
	const struct decision *d = &x->ask->decision;
	enum spd_class first = d->sub_index ? CLASS_SUB : CLASS_MAIN;
	struct policies_why why = {};

	if (x->space)
		policies_explain(mirror_spd(x->space->mirror), &x->ask->flow, d, &why);
	json_object_set_new(
		o, "policy",
		policy_json(x, first, d->sub_index ? d->sub_index : d->main_index, &why));
	json_object_set_new(o, "main_policy",
			    policy_json(x, CLASS_MAIN, d->sub_index ? d->main_index : 0, &why));
	json_object_set_new(o, "considered", why.considered ? why.considered : json_array());
	json_object_set_new(o, "considered_more", json_integer((json_int_t)why.more));
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

int daemon_ask(struct daemon *d, const json_t *args, struct ask *a, struct gate **gate,
	       struct error *e)
{
	int err;

	memset(a, 0, sizeof(*a));
	err = flow_from_json(args, d->spaces->netns, &a->flow, e);
	if (!err)
		err = find_gate(d, args, &a->gate, gate, e);
	if (err)
		return err;
	err = bpf_ask(d->bpf, a);
	if (err)
		return error_set(e, err, "ask", "the kernel's decide() cannot be asked: %s",
				 strerror(-err));
	return 0;
}

json_t *daemon_explained(struct daemon *d, const struct ask *a, const struct gate *gate)
{
	const struct decision *said = &a->decision;
	struct space *s = daemon_space_of(d, a->gate.spd_netns ? a->gate.spd_netns : a->flow.netns);
	json_t *o;

	o = json_pack(
		"{s:s s:s s:s s:o s:o s:o s:o s:s?}", "verdict", verdict_name(said->verdict),
		"reason", reason_name(said->reason), "text", reason_text(said->reason), "flow",
		flow_to_json(&a->flow), "requirement", requirement_json(s, said), "negotiation",
		s && said->neg.index ? negotiations_of(d->negotiations, s, &said->neg)
				     : json_null(),
		"gate", gate ? gate_to_json(d, gate) : json_null(), "space", s ? s->name : NULL);
	if (o)
		add_policies(&(struct explained){d->bpf, a, s}, o);
	return o;
}

int daemon_explain(struct daemon *d, const json_t *args, json_t **result, struct error *e)
{
	struct gate *gate;
	struct ask a;
	int err = daemon_ask(d, args, &a, &gate, e);

	if (!err)
		*result = daemon_explained(d, &a, gate);
	return err;
}
