/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * decide: must this flow be protected by IPsec, and is there an SA for it right now?
 *
 * The one function behind every hook and behind ask. It says what the kernel would then do with the
 * packet; where it cannot know, it refuses, and every exit has its reason.
 */
#ifndef SAGATE_DECIDE_BPF_H
#define SAGATE_DECIDE_BPF_H

#define XFRM_MODE_TUNNEL 1
#define XFRM_MODE_BEET	 4
#define XFRM_MODE_IPTFS	 5

/* How often a decision looks again when the mirror changed under it. */
#define DECIDE_TRIES 3

/* Each reason belongs to one verdict. A reason without one refuses: zero is wait. */
static const __u8 reason_verdict[REASONS_MAX] = {
#define X(n, v, s, t) [REASON_##n] = VERDICT_##v,
	SAGATE_REASONS(X)
#undef X
};

static __always_inline int answer(struct decision *d, __u8 reason)
{
	d->verdict = reason_verdict[reason & (REASONS_MAX - 1)];
	d->reason = reason;
	return 0;
}

static __always_inline bool is_loopback(const struct flow *f)
{
	if (f->family == AF_INET)
		return (f->daddr[0] & bpf_htonl(0xff000000)) == bpf_htonl(0x7f000000);
	return !(f->daddr[0] | f->daddr[1] | f->daddr[2]) && f->daddr[3] == bpf_htonl(1);
}

/* A decision under way. */
struct call {
	struct flow flow;
	struct decision decision;
	struct spd_value
		policy; /* the one looked at: a copy, its templates are resolved in place */
	__u32 space;
	bool secured;			  /* an ESP or AH SA was found */
	bool tunneled;			  /* an SA was found that gives other addresses */
	__u8 sa_proto;			  /* of the last SA that was found */
	bool allow_no_policy, stale_open; /* of the gate */
	bool by_sport;			  /* a source port was compared */
	bool settled;			  /* decided while the epoch stood still */
	__u32 epoch;			  /* that one */
	__u64 deadline;			  /* of the first of its SAs to end, 0: none */
	__u64 now;
};

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
 * The source of a tunnel template without one is routed. Not known: an SA with a source must not
 * fit. Not called from check_template(): a program's stack is 512 bytes, with all it calls. A
 * global function: see route_lookup().
 */
__noinline int route_tmpl(const struct space_state *st, struct spd_tmpl *t, __u32 space)
{
	union route_question q = {};

	if (!st || !t || !tmpl_has_addresses(t) || !addr_any(t->saddr))
		return 0;
	q.at.space = space;
	q.at.family = t->family;
	__builtin_memcpy(q.at.addr, t->daddr, sizeof(q.at.addr));
	if (route_lookup(st, &q) && !q.answer.none && !q.answer.unknown && !q.answer.named)
		__builtin_memcpy(t->saddr, q.answer.saddr, sizeof(t->saddr));
	else
		t->saddr[3] = ~0U;
	return 0;
}

/* The addresses of a template: its own, or the packet's after the template before it. */
static __always_inline void resolve(struct call *c, struct spd_tmpl *t,
				    const struct spd_tmpl *before)
{
	if (tmpl_has_addresses(t))
		return;
	if (before) {
		__builtin_memcpy(t->daddr, before->daddr, sizeof(t->daddr));
		__builtin_memcpy(t->saddr, before->saddr, sizeof(t->saddr));
		return;
	}
	__builtin_memcpy(t->daddr, c->flow.daddr, sizeof(t->daddr));
	__builtin_memcpy(t->saddr, c->flow.saddr, sizeof(t->saddr));
	if (!c->flow.has_saddr)
		t->saddr[3] = ~0U;
}

/*
 * Is there an SA for template i (xfrm_tmpl_resolve_one)? Returns a reason. A global function: see
 * route_lookup().
 */
__noinline int check_template(struct call *c, __u32 i, __u8 class)
{
	struct sad_walk w = {};
	struct spd_tmpl *t;
	__u8 reason;

	if (!c || i >= TMPLS_MAX)
		return REASON_FLOW_UNKNOWN;
	if (i) { /* constant indices, so that the verifier knows which bytes */
		t = &c->policy.tmpl[1];
		resolve(c, t, c->decision.spi[0] ? &c->policy.tmpl[0] : NULL);
	} else {
		t = &c->policy.tmpl[0];
		resolve(c, t, NULL);
	}
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
	if (reason == REASON_SPORT_UNKNOWN || reason == REASON_SA_ANY_SOURCE)
		return reason;
	if (t->optional)
		return REASON_POLICY_OPTIONAL;
	name_negotiation(c, class, t->family, t->daddr);
	return reason;
}
_Static_assert(TMPLS_MAX == 2, "check_template and check_policy name each template");

static __always_inline bool reason_passes(__u8 reason)
{
	return reason == REASON_SA || reason == REASON_POLICY_ALLOW ||
	       reason == REASON_POLICY_OPTIONAL || reason == REASON_NO_POLICY;
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
	route_tmpl(st, &c->policy.tmpl[0], c->space);
	reason = check_template(c, 0, class);
	if (c->policy.tmpl_count == 1 || !reason_passes(reason))
		return reason;
	route_tmpl(st, &c->policy.tmpl[1], c->space);
	more = check_template(c, 1, class);
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

/* What routing says beside source and device. */
enum {
	ROUTE_NONE = 1,
	ROUTE_NOXFRM = 2,
	ROUTE_LOOPBACK = 4,
	ROUTE_XFRMI = 8,
	ROUTE_UNSURE = 16, /* perhaps into an xfrm interface */
};

static __always_inline int route_flags(const struct route_value *r)
{
	return (r->noxfrm ? ROUTE_NOXFRM : 0) | (r->loopback ? ROUTE_LOOPBACK : 0) |
	       (r->xfrmi ? ROUTE_XFRMI : 0);
}

/*
 * Fills in what routing would choose, where that is known: of the flow, and of an xfrm interface
 * its if_id and device. Returns ROUTE_ flags. A global function: see route_lookup().
 */
__noinline int flow_route(struct call *c, const struct space_state *st)
{
	union route_question q = {};
	struct flow *f;
	int marks;

	if (!c || !st)
		return 0;
	f = &c->flow;
	f->if_id = f->link = 0;
	if (f->has_saddr == KNOWN_ROUTED) /* a second try: as it came */
		f->has_saddr = KNOWN_NOT;
	if (f->has_oif == KNOWN_ROUTED)
		f->has_oif = KNOWN_NOT;
	marks = fwmark_bits(st, f->mark);
	q.at.space = c->space;
	q.at.oif = f->has_oif ? f->oif : 0;
	q.at.marks = marks;
	q.at.family = f->family;
	__builtin_memcpy(q.at.addr, f->daddr, sizeof(q.at.addr));
	if (marks < 0 || !route_lookup(st, &q))
		return 0;
	if (q.answer.unknown || (q.answer.by_source && f->has_saddr))
		return q.answer.by_source & BY_SOURCE_XFRMI ? ROUTE_UNSURE : 0;
	if (q.answer.none)
		return ROUTE_NONE;
	if (!f->has_oif && q.answer.oif) {
		f->oif = q.answer.oif;
		f->has_oif = KNOWN_ROUTED;
	}
	if (!f->has_saddr) {
		__builtin_memcpy(f->saddr, q.answer.saddr, sizeof(f->saddr));
		f->has_saddr = KNOWN_ROUTED;
	}
	f->if_id = q.answer.if_id;
	f->link = q.answer.link;
	return route_flags(&q.answer);
}

static __always_inline bool verdict_passes(__u8 verdict)
{
	return verdict == VERDICT_CLEAR || verdict == VERDICT_PROTECTED;
}

static __always_inline bool is_stale(const struct call *c, const struct space_state *st)
{
	return st->synced != SYNCED || c->now - st->heartbeat > HEARTBEAT_LATE_NS;
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

/*
 * What is routed into an xfrm interface is looked up there again, with its if_id and its own
 * device, as the packet that it is by now (xfrmi_xmit2). Without an SA it is dropped, and so it is
 * when its route leads into the same interface again: never in clear.
 */
static __always_inline __u8 check_interface(struct call *c, const struct space_state *st)
{
	__u64 first = (__u64)c->flow.oif << 32 | c->flow.has_oif << 8 | c->flow.proto;
	__u8 reason;

	/* where nothing stands yet: a program's stack is 512 bytes, with all it calls */
	c->decision.req_index = (__u32)c->flow.sport << 16 | c->flow.dport;

	if (c->secured) {
		c->flow.proto = c->sa_proto;
		c->flow.sport = c->flow.dport = 0;
	}
	c->secured = c->tunneled = false;
	c->flow.oif = c->flow.link;
	c->flow.has_oif = KNOWN_INTERFACE;
	reason = c->flow.if_id ? check_policies(c, st) : REASON_NO_POLICY;
	c->flow.oif = first >> 32;
	c->flow.has_oif = first >> 8;
	c->flow.proto = first;
	c->flow.sport = c->decision.req_index >> 16;
	c->flow.dport = c->decision.req_index;
	c->decision.req_index = 0;
	if (reason_passes(reason) && !c->tunneled)
		return REASON_INTERFACE_NO_POLICY;
	return reason;
}

/* The policies' part, with source and device as known as they can be. */
static __always_inline int decide_policies(struct call *c, const struct space_state *st, int route)
{
	__u8 reason = check_policies(c, st);

	if (reason == REASON_NO_POLICY && st->default_block && !(route & ROUTE_LOOPBACK))
		return answer_clear(c, st, REASON_DEFAULT_BLOCK, REASON_REQUIRED_NO_POLICY);
	if (reason_passes(reason) && !c->tunneled && (route & ROUTE_XFRMI))
		reason = check_interface(c, st);
	if (reason_passes(reason) && !c->tunneled && (route & ROUTE_UNSURE))
		reason = REASON_SOURCE_UNKNOWN;
	if (reason == REASON_SOURCE_UNKNOWN && (route & ROUTE_NONE))
		/* without a route the kernel refuses, whatever the policies say */
		return answer_clear(c, st, REASON_NO_ROUTE, REASON_REQUIRED_NO_POLICY);
	if (!reason_passes(reason))
		return answer(&c->decision, reason);
	if (reason == REASON_SA && c->secured)
		return answer(&c->decision,
			      !c->stale_open && is_stale(c, st) ? REASON_STALE : REASON_SA);
	if (reason == REASON_SA)
		return answer_clear(c, st, REASON_COMPRESSED, REASON_REQUIRED_CLEAR);
	if (reason != REASON_NO_POLICY)
		return answer_clear(c, st, reason, REASON_REQUIRED_CLEAR);
	/* no policy: a requirement, then the gate's own rule */
	if (!c->allow_no_policy && !is_loopback(&c->flow))
		reason = REASON_NO_POLICY_DENY;
	return answer_clear(c, st, reason, REASON_REQUIRED_NO_POLICY);
}

/*
 * One look at the maps, while nothing changes. Sets c->decision whole. A global function: see
 * route_lookup().
 */
__noinline int decide_once(struct call *c, const struct space_state *st)
{
	int route;

	if (!c || !st)
		return 0;
	__builtin_memset(&c->decision, 0, sizeof(c->decision));
	c->decision.neg.space = c->space;
	c->now = bpf_ktime_get_boot_ns();
	c->secured = c->tunneled = c->by_sport = false;
	c->deadline = 0;
	if (st->synced == SYNCED_NEVER) {
		if (is_loopback(&c->flow))
			return answer(&c->decision, REASON_NOXFRM_DEVICE);
		return answer(&c->decision, c->stale_open ? REASON_STALE_OPEN : REASON_STALE);
	}
	route = flow_route(c, st);
	if (route & ROUTE_NOXFRM)
		return answer(&c->decision, REASON_NOXFRM_DEVICE);
	/* an SA or hint that is missing refuses by itself; a policy that is missing does not */
	if (st->full & (FULL_SPD | FULL_COMMIT))
		return answer(&c->decision, REASON_TABLE_FULL);
	return decide_policies(c, st, route);
}

/* Has the last negotiation for what is missing failed, and is it backed off? */
static __always_inline void note_failed(struct decision *d)
{
	__u64 *until;

	if (d->verdict != VERDICT_WAIT || !d->neg.index)
		return;
	until = bpf_map_lookup_elem(&failed, &d->neg);
	d->failed = until && *until > bpf_ktime_get_boot_ns();
}

/*
 * The kernel reuses a removed map entry's memory for the next one, so a value can change under a
 * reader. The daemon raises the epoch before every change: a decision during which it moved looks
 * again, and refuses when it never stands still.
 */
static __always_inline int decide(struct call *c, const struct gate_settings *g)
{
	__u64 netns = g->spd_netns ? g->spd_netns : c->flow.netns;
	struct decision *d = &c->decision;
	struct space_state *st;
	__u32 *space;

	if (!g->cgroup_id)
		return answer(d, REASON_GATE_UNSET);
	space = bpf_map_lookup_elem(&spaces, &netns);
	st = space ? bpf_map_lookup_elem(&space_state, space) : NULL;
	if (!st || st->netns != netns) {
		if (is_loopback(&c->flow))
			return answer(d, REASON_NOXFRM_DEVICE);
		return answer(d, g->stale_open ? REASON_STALE_OPEN : REASON_NO_SPACE);
	}
	c->space = *space;
	c->allow_no_policy = g->allow_no_policy;
	c->stale_open = g->stale_open;
	for (int try = 0; try < DECIDE_TRIES; try++) {
		__u32 epoch = *(volatile __u32 *)&st->epoch;

		/* the slot was given up meanwhile, and may be another namespace's */
		if (*(volatile __u64 *)&st->netns != netns)
			return answer(d, REASON_NO_SPACE);
		decide_once(c, st);
		barrier();
		if (*(volatile __u32 *)&st->epoch == epoch) {
			note_failed(d);
			c->epoch = epoch;
			c->settled = true;
			return 0;
		}
	}
	return answer(d, REASON_CHANGING);
}

#endif
