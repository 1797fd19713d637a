/* SPDX-License-Identifier: GPL-2.0-only */
/* What the kernel's policies and SAs say to a flow, with source and device as known as they can be.
 */
#ifndef SAGATE_CHECK_BPF_H
#define SAGATE_CHECK_BPF_H

#define XFRM_MODE_TUNNEL 1
#define XFRM_MODE_BEET	 4
#define XFRM_MODE_IPTFS	 5

static __always_inline void name_negotiation(struct call *c, __u8 class, __u8 family,
					     const __be32 *peer)
{
	struct neg_key *neg = &c->decision.neg;

	neg->class = class;
	neg->index = c->policy.index;
	neg->family = family;
	__builtin_memcpy(neg->peer, peer, sizeof(neg->peer));
}

static __always_inline bool tmpl_has_addresses(const struct spd_tmpl *t)
{
	return t->mode == XFRM_MODE_TUNNEL || t->mode == XFRM_MODE_BEET ||
	       t->mode == XFRM_MODE_IPTFS;
}

/*
 * The source of a tunnel template without one is routed, in the VRF of the flow's device
 * (xfrm4_dst_lookup(), xfrm6_dst_lookup()). Not known: an SA with a source must not fit.
 */
static __always_inline void route_tmpl(const struct space_state *st, struct spd_tmpl *t,
				       __u32 space, __u32 vrf)
{
	union route_question q = {};

	q.at.space = space;
	q.at.oif = vrf;
	q.at.family = t->family;
	__builtin_memcpy(q.at.addr, t->daddr, sizeof(q.at.addr));
	if (vrf != VRF_UNKNOWN && route_lookup(st, &q) && !q.answer.none && !q.answer.unknown &&
	    !q.answer.named && !(q.answer.vrf_flags & VRF_LEFT))
		__builtin_memcpy(t->saddr, q.answer.saddr, sizeof(t->saddr));
	else
		t->saddr[3] = ~0U;
}

/*
 * The addresses of a template, in its place: its own, or the packet's after the template `before`
 * it, when that one has an SA. A global function: see route_lookup(); not a part of
 * check_template(): a program's stack is 512 bytes, with all it calls.
 */
__noinline int resolve_tmpl(const struct call *c, const struct space_state *st, struct spd_tmpl *t,
			    const struct spd_tmpl *before)
{
	if (!c || !st || !t || !before)
		return 0;
	if (tmpl_has_addresses(t)) {
		if (addr_any(t->saddr))
			route_tmpl(st, t, c->space, c->vrf);
	} else if (c->decision.spi[0]) {
		__builtin_memcpy(t->daddr, before->daddr, sizeof(t->daddr));
		__builtin_memcpy(t->saddr, before->saddr, sizeof(t->saddr));
	} else {
		__builtin_memcpy(t->daddr, c->flow.daddr, sizeof(t->daddr));
		__builtin_memcpy(t->saddr, c->flow.saddr, sizeof(t->saddr));
		if (!c->flow.has_saddr)
			t->saddr[3] = ~0U;
	}
	return 0;
}

/*
 * Is there an SA for the template, which is the policy's i-th and resolved
 * (xfrm_tmpl_resolve_one)? Returns a reason. A global function: see route_lookup().
 */
__noinline int check_template(struct call *c, const struct spd_tmpl *t, __u32 i, __u8 class)
{
	struct sad_walk w = {};
	__u8 reason;

	if (!c || !t || i >= TMPLS_MAX)
		return REASON_FLOW_UNKNOWN;
	/* what is sent in clear where it may be, is so also when its SA has just come */
	if (t->optional && c->packet)
		return REASON_POLICY_OPTIONAL;
	w.tmpl = t;
	w.flow = &c->flow;
	w.now = c->now;
	w.mark = c->policy.mark;
	reason = sad_lookup(&w, c->space);
	c->by_sport |= w.sport != 0;
	if (reason == REASON_SA) {
		c->decision.spi[i & 1] = w.spi;
		c->secured |= t->proto != IPPROTO_COMP;
		if (w.deadline && (!c->deadline || w.deadline < c->deadline))
			c->deadline = w.deadline;
		c->tunneled |= tmpl_has_addresses(t);
		c->sa_proto = t->proto;
		return reason;
	}
	c->decision.tmpl = i;
	/* it has a source, and what it is compared with is not known: see route_tmpl() */
	if (reason == REASON_SA_SOURCE && t->saddr[3] == ~0U)
		return REASON_SOURCE_UNKNOWN;
	if (reason == REASON_SPORT_UNKNOWN || reason == REASON_SA_ANY_SOURCE ||
	    reason == REASON_SA_DIRECTION)
		return reason;
	if (t->optional)
		return REASON_POLICY_OPTIONAL;
	name_negotiation(c, class, t->family, t->daddr);
	return reason;
}
_Static_assert(TMPLS_MAX == 2, "check_template and check_policy name each template");

#define REASONS_PASS                                                                               \
	(1ULL << REASON_SA | 1ULL << REASON_POLICY_ALLOW | 1ULL << REASON_POLICY_OPTIONAL |        \
	 1ULL << REASON_NO_POLICY | 1ULL << REASON_NOXFRM_DEVICE)
_Static_assert(REASONS_MAX <= 64, "one bit each");

static __always_inline bool reason_passes(__u8 reason)
{
	return REASONS_PASS >> (reason & 63) & 1;
}

/*
 * One class's part of the answer: a reason that passes, or what forbids it. Every template that is
 * not optional needs an SA.
 */
static __always_inline __u8 check_policy(struct call *c, const struct space_state *st, __u8 class)
{
	__u8 reason, more;

	c->decision.spi[0] = c->decision.spi[1] = 0;
	if (c->policy.block && c->policy.trap_block) {
		name_negotiation(c, class, c->flow.family, c->flow.daddr);
		return REASON_TRAP_BLOCK;
	}
	if (c->policy.block)
		return REASON_POLICY_BLOCK;
	if (c->policy.tmpl_count > TMPLS_MAX)
		return REASON_TEMPLATE_LIMIT;
	if (!c->policy.tmpl_count)
		return REASON_POLICY_ALLOW;
	resolve_tmpl(c, st, &c->policy.tmpl[0], &c->policy.tmpl[0]);
	reason = check_template(c, &c->policy.tmpl[0], 0, class);
	if (c->policy.tmpl_count == 1 || !reason_passes(reason))
		return reason;
	resolve_tmpl(c, st, &c->policy.tmpl[1], &c->policy.tmpl[0]);
	more = check_template(c, &c->policy.tmpl[1], 1, class);
	return !reason_passes(more) || more == REASON_SA ? more : reason;
}

/*
 * Of policies that compare a source port which the socket does not have yet, and may be given: can
 * one be chosen? They stand in a class of their own, without it.
 */
static __always_inline int find_sport(struct call *c, const struct space_state *st, __u8 class)
{
	if (!awaits_sport(&c->flow) || !st->masks[class + CLASS_SPORT][c->flow.family == AF_INET6])
		return SPD_NONE;
	c->by_sport = true;
	return spd_lookup(&c->flow, st, c->space, class + CLASS_SPORT, &c->policy) & SPD_FOUND_MASK;
}

/* The policy for the flow, into c->policy. */
static __always_inline int find_policy(struct call *c, const struct space_state *st, __u8 class)
{
	int sport = find_sport(c, st, class), found;
	__u32 priority = c->policy.priority;

	found = spd_lookup(&c->flow, st, c->space, class, &c->policy);
	c->by_sport |= !!(found & SPD_BY_SPORT);
	found &= SPD_FOUND_MASK;
	if (sport == SPD_NONE ||
	    (sport == SPD_FOUND && found == SPD_FOUND && c->policy.priority < priority))
		return found;
	return sport == SPD_UNSURE ? SPD_UNSURE : SPD_SPORT;
}

static __always_inline __u8 unsure_reason(int found)
{
	return found == SPD_TIE	    ? REASON_POLICY_TIE
	       : found == SPD_SPORT ? REASON_SPORT_UNKNOWN
				    : REASON_SOURCE_UNKNOWN;
}

static __always_inline __u8 check_class(struct call *c, const struct space_state *st, __u8 class,
					__u32 *index)
{
	int found = find_policy(c, st, class);

	if (found == SPD_NONE)
		return REASON_NO_POLICY;
	if (found != SPD_FOUND)
		return unsure_reason(found);
	*index = c->policy.index;
	return check_policy(c, st, class);
}

/* A MAIN policy that blocks does so before any template of a SUB one is looked at. */
static __always_inline bool main_blocks(struct call *c, const struct space_state *st)
{
	if (find_policy(c, st, CLASS_MAIN) != SPD_FOUND || !c->policy.block || c->policy.trap_block)
		return false;
	c->decision.main_index = c->policy.index;
	c->decision.neg.index = 0;
	return true;
}

/* A clear answer stands only if no requirement asks for more. */
static __always_inline int answer_clear(struct call *c, const struct space_state *st, __u8 reason,
					__u8 required)
{
	int found = find_policy(c, st, CLASS_REQUIRE);

	/* an exemption is more specific than any requirement behind it */
	if (found == SPD_NONE || (found == SPD_FOUND && !c->policy.block))
		return answer(&c->decision, reason);
	if (found != SPD_FOUND)
		return answer(&c->decision,
			      found == SPD_SPORT ? REASON_SPORT_UNKNOWN : REASON_SOURCE_UNKNOWN);
	c->decision.req_index = c->policy.index;
	name_negotiation(c, CLASS_REQUIRE, c->flow.family, c->flow.daddr);
	return answer(&c->decision, required);
}
/* A SUB policy is chosen first; the MAIN one's templates follow (xfrm_expand_policies). */
static __always_inline __u8 check_policies(struct call *c, const struct space_state *st)
{
	__u8 reason, more;

	reason = check_class(c, st, CLASS_SUB, &c->decision.sub_index);
	if (reason_passes(reason)) {
		more = check_class(c, st, CLASS_MAIN, &c->decision.main_index);
		/* one policy's SA protects, unless the other refuses */
		if (more != REASON_NO_POLICY && !(reason == REASON_SA && reason_passes(more)))
			reason = more;
	} else if (reason != REASON_POLICY_BLOCK && main_blocks(c, st)) {
		reason = REASON_POLICY_BLOCK;
	}
	if (reason >= REASON_NO_SA && reason <= REASON_SA_EXPIRED && (st->full & FULL_SAD))
		reason = REASON_TABLE_FULL;
	return reason;
}

#endif
