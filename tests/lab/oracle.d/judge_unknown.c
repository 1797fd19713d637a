// SPDX-License-Identifier: GPL-2.0-only
/* What sagate honestly cannot know of a call. */
#include <netinet/in.h>

#include "json_util.h"
#include "judge_unknown.h"
#include "vrf.h"

bool judge_prefix_has(const struct addr *prefix, int len, const struct addr *a)
{
	struct addr x = addr_masked(*prefix, len), y = addr_masked(*a, len);

	return addr_is(&x, &y);
}

bool judge_may_match(const struct policy *p, const struct call *c)
{
	const struct sel *s = &p->sel;
	bool icmp = c->way == WAY_PING;
	uint16_t sport = icmp ? (c->family == AF_INET ? 8 : 128) : c->sport;

	return s->family == c->family && !((c->mark ^ p->mark) & p->mask) &&
	       judge_prefix_has(&s->dst, s->dst_len, &c->dst) &&
	       (addr_zero(&c->src) || judge_prefix_has(&s->src, s->src_len, &c->src)) &&
	       (!s->proto || s->proto == c->proto) && !((s->dport ^ c->dport) & s->dport_mask) &&
	       !((s->sport ^ sport) & s->sport_mask);
}

/* Routing that hangs on more than the addresses: rules, and which next hop is taken. */
static bool route_unknown(const struct world *w, int family, const struct addr *dst)
{
	for (int i = 0; i < w->rules; i++) {
		const struct rule *u = &w->rule[i];

		if (u->family == family && (u->uid || u->tos || u->proto) &&
		    judge_prefix_has(&u->dst, u->dst_len, dst))
			return true;
	}
	for (int i = 0; i < w->routes; i++) {
		const struct route *t = &w->route[i];

		if (t->family == family && t->dev2 && judge_prefix_has(&t->dst, t->len, dst))
			return true;
	}
	return false;
}

/*
 * A tunnel whose template has no source gets the one of the route to its far end, but in IPv6 what
 * ipv6_dev_get_saddr() says, whatever source that route names; rtnetlink tells that of the route.
 */
static bool tunnel_source_unknown(const struct world *w, const struct call *c)
{
	bool named = false;

	for (int i = 0; i < w->routes; i++)
		named |= w->route[i].family == AF_INET6 && !addr_zero(&w->route[i].prefsrc);
	for (int i = 0; i < w->policies; i++)
		for (int j = 0; j < w->policy[i].tmpls; j++) {
			const struct tmpl *t = &w->policy[i].tmpl[j];

			if (!addr_zero(&t->dst) && addr_zero(&t->src) &&
			    ((named && t->family == AF_INET6) ||
			     route_unknown(w, t->family, &t->dst)) &&
			    judge_may_match(&w->policy[i], c))
				return true;
		}
	return false;
}

/* A selector that compares a source port, and a socket that the kernel gives one only later. */
static bool awaits_sport(const struct call *c)
{
	return !c->sport && c->way <= WAY_TCP;
}

static bool sport_unknown(const struct world *w, const struct call *c)
{
	struct call any = *c;

	if (!awaits_sport(c))
		return false;
	for (int i = 0; i < w->policies; i++) {
		any.sport = w->policy[i].sel.sport;
		if (w->policy[i].sel.sport_mask && judge_may_match(&w->policy[i], &any))
			return true;
	}
	for (int i = 0; i < w->sas; i++)
		if (w->sa[i].has_sel && w->sa[i].sel.sport_mask)
			return true;
	return false;
}

/*
 * What is honestly not known, where rules compare the source: by which device a socket leaves that
 * is bound to one; and where an unbound one goes when the source that routing chose is looked up
 * again, which connect() does and sendto() does not.
 */
bool judge_unknowable(const struct world *w, const struct call *c, const json_t *answer)
{
	const char *reason = json_get_text(answer, "reason");

	/* an SA without a source may be hidden by one that is being made, and nobody is told */
	if (!strcmp(reason, "template-limit") || !strcmp(reason, "sa-any-source"))
		return true;
	if (!strcmp(reason, "sport-unknown"))
		return sport_unknown(w, c);
	if (!strcmp(reason, "vrf-lookup") && vrf_looks_again(w, c))
		return true;
	if (vrf_leaks(w, c))
		return true;
	if (tunnel_source_unknown(w, c) || route_unknown(w, c->family, &c->dst))
		return true;
	for (int i = 0; i < w->rules; i++)
		if (w->rule[i].family == c->family && w->rule[i].src_len)
			return true;
	return false;
}
