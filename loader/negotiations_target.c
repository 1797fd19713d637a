// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "negotiations_internal.h"

static int set_names(struct negotiation_target *t, const char *conn, const char *child)
{
	if (strlen(conn) > NEGOTIATION_NAME_MAX || strlen(child) > NEGOTIATION_NAME_MAX) {
		snprintf(t->problem, sizeof(t->problem),
			 "the name of child %.64s/%.64s is too long", conn, child);
		return -ENAMETOOLONG;
	}
	strcpy(t->conn, conn);
	strcpy(t->child, child);
	return 0;
}

/* A peer that may be anywhere: initiate cannot be told whom to call, an ACQUIRE can. */
static bool is_anybody(const struct ike_child *child)
{
	for (size_t i = 0; i < child->nremote_addrs; i++)
		if (strcmp(child->remote_addrs[i], "%any") &&
		    strcmp(child->remote_addrs[i], "%any6"))
			return false;
	return true;
}

static void find_child(struct negotiation_target *t, struct space *s, const struct flow *f,
		       __u32 reqid)
{
	struct ike_flow ike = {
		.family = f->family,
		.proto = f->proto,
		.has_saddr = f->has_saddr,
		.sport = ntohs(f->sport),
		.dport = ntohs(f->dport),
		.reqid = reqid,
	};
	const struct ike_child *child;

	memcpy(ike.saddr, f->saddr, sizeof(ike.saddr));
	memcpy(ike.daddr, f->daddr, sizeof(ike.daddr));
	child = ike_bridge_find(s->ike, &ike);
	if (!child || child->mode == IKE_PASS || child->mode == IKE_DROP)
		snprintf(t->problem, sizeof(t->problem),
			 "no child of a loaded connection covers the flow (swanctl --list-conns)");
	else if (!is_anybody(child))
		set_names(t, child->conn, child->name);
	else if (!t->policy || !t->policy->tmpl_count)
		snprintf(t->problem, sizeof(t->problem),
			 "child %s/%s has no remote address to call, and no trap to start it by",
			 child->conn, child->name);
}

static void find_by_vici(struct negotiation_target *t, struct space *s, const struct event *e,
			 const struct requirement *req)
{
	__u32 reqid = 0;

	if (!s->ike && t->policy && t->policy->tmpl_count)
		return; /* whoever put the policy there hears an ACQUIRE */
	if (!s->ike) {
		snprintf(t->problem, sizeof(t->problem),
			 "space %s has no VICI socket, and the flow no policy with a template to "
			 "send an ACQUIRE for",
			 s->name);
		return;
	}
	if (!ike_bridge_up(s->ike)) {
		snprintf(t->problem, sizeof(t->problem), "no IKE daemon at %s: %s", s->vici,
			 s->ike_problem[0] ? s->ike_problem : "not connected yet");
		return;
	}
	if (req && req->child[0]) {
		char name[sizeof(req->child)], *slash;

		strcpy(name, req->child);
		slash = strchr(name, '/');
		if (slash) {
			*slash = '\0';
			set_names(t, name, slash + 1);
			return;
		}
	}
	if (t->policy && e->decision.tmpl < t->policy->tmpl_count)
		reqid = t->policy->tmpl[e->decision.tmpl].reqid;
	find_child(t, s, &e->flow, reqid);
}

void negotiation_find_target(struct negotiations *n, struct negotiation_target *t, struct space *s,
			     const struct event *e)
{
	const struct neg_key *key = &e->decision.neg;
	const struct requirement *req = NULL;

	memset(t, 0, sizeof(*t));
	/* it negotiates already; and if it was somebody else who blocked, nothing undoes that */
	if (e->decision.reason == REASON_TRAP_BLOCK)
		return;
	if (key->class == CLASS_REQUIRE)
		req = requirements_find(s->requirements, key->index);
	else
		t->policy = spd_find(mirror_spd(s->mirror), key->class, key->index);
	if (!n->options.acquire)
		find_by_vici(t, s, e, req);
	else if (!t->policy || !t->policy->tmpl_count)
		snprintf(t->problem, sizeof(t->problem),
			 "trigger=acquire needs a policy with a template, and there is none");
}
