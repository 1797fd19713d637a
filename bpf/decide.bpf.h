/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * decide: must this flow be protected by IPsec, and is there an SA for it right now?
 *
 * The one function behind every hook and behind ask. It says what the kernel would then do with the
 * packet; where it cannot know, it refuses, and every exit has its reason.
 */
#ifndef SAGATE_DECIDE_BPF_H
#define SAGATE_DECIDE_BPF_H

/* How often a decision looks again when the mirror changed under it. */
#define DECIDE_TRIES 3

static __always_inline bool verdict_passes(__u8 verdict)
{
	return verdict == VERDICT_CLEAR || verdict == VERDICT_PROTECTED;
}

static __always_inline bool is_stale(const struct call *c, const struct space_state *st)
{
	return st->synced != SYNCED || c->now - st->heartbeat > HEARTBEAT_LATE_NS;
}

/* The policies have said that the flow passes, or why not: the requirements, the gate's own rule.
 */
static __always_inline int conclude(struct call *c, const struct space_state *st, __u8 reason)
{
	/* it waits for a policy, which a requirement's negotiation brings */
	if (reason == REASON_INTERFACE_NO_POLICY)
		return answer_clear(c, st, reason, reason);
	if (!reason_passes(reason) || reason == REASON_NOXFRM_DEVICE)
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
 * Would the kernel keep the packet in the policy's queue until the SA is there
 * (xdst_queue_output())? Where its policy demands one, in this space itself, and none has another
 * SPI than the template asks (xfrm_state_find() then refuses). Only what is known: who trusts in it
 * lets the call go on.
 */
static __always_inline bool kernel_queues(const struct call *c, const struct space_state *st,
					  __u8 reason)
{
	return reason >= REASON_NO_SA && reason <= REASON_SA_EXPIRED && reason != REASON_SA_SPI &&
	       st->queue & QUEUE_KEEPS && !c->forwarded && !c->decision.sub_index &&
	       !is_stale(c, st);
}

/* The policies' part, with source and device as known as they can be. */
static __always_inline int decide_policies(struct call *c, const struct space_state *st, int route)
{
	__u8 reason = route & ROUTE_NOXFRM ? REASON_NOXFRM_DEVICE : check_policies(c, st);

	c->queues = kernel_queues(c, st, reason);
	if (reason == REASON_NO_POLICY && st->default_block && !(route & ROUTE_LOOPBACK))
		return answer_clear(c, st, REASON_DEFAULT_BLOCK, REASON_REQUIRED_NO_POLICY);
	if (reason_passes(reason) && !c->tunneled && (route & ROUTE_XFRMI))
		reason = check_interface(c, st);
	if (reason_passes(reason) && !c->tunneled && (route & ROUTE_UNSURE))
		reason = REASON_SOURCE_UNKNOWN;
	if (reason == REASON_SOURCE_UNKNOWN && (route & ROUTE_NONE))
		/* without a route the kernel refuses, whatever the policies say */
		return answer_clear(c, st, REASON_NO_ROUTE, REASON_REQUIRED_NO_POLICY);
	/* a tunnel's packet is sent where its own route leads, but what has a queue takes it first
	 */
	if (reason_passes(reason) && (c->tunneled ? route & ROUTE_QUEUE : route & ROUTE_VRF)) {
		c->again = route & ROUTE_VRF;
		if (route & ROUTE_XFRMI) /* flow.link is the interface's */
			c->again |= ROUTE_MAYBE;
		return answer(&c->decision, reason);
	}
	return conclude(c, st, reason);
}

/* The second look: see check_vrf(). A global function: see route_lookup(). */
__noinline int decide_again(struct call *c, const struct space_state *st)
{
	if (!c || !st)
		return 0;
	return conclude(c, st, check_vrf(c, st));
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
	c->secured = c->tunneled = c->by_sport = c->link_in_vrf = c->queues = false;
	c->again = 0;
	c->deadline = 0;
	if (st->synced == SYNCED_NEVER) {
		if (is_loopback(&c->flow))
			return answer(&c->decision, REASON_NOXFRM_DEVICE);
		return answer(&c->decision, c->stale_open ? REASON_STALE_OPEN : REASON_STALE);
	}
	route = c->packet && !c->forwarded && c->flow.has_saddr ? packet_flags(c, st)
								: flow_route(c, st);
	if ((route & ROUTE_NOXFRM) && !(route & ROUTE_VRF))
		return answer(&c->decision, REASON_NOXFRM_DEVICE);
	/* an SA or hint that is missing refuses by itself; a policy that is missing does not */
	if (st->full & (FULL_SPD | FULL_COMMIT))
		return answer(&c->decision, REASON_TABLE_FULL);
	return decide_policies(c, st, route);
}

/*
 * A gate that asks another space than the caller's (spd=host): the packets come there as a router
 * gets them, with the source that the caller's routing chose, without its device and mark. Where
 * that source is not known none takes its place. A global function: see route_lookup().
 */
__noinline int flow_forward(struct call *c)
{
	struct space_state *st;
	__u32 *space, asked, epoch;
	struct flow *f;
	__u64 netns;

	if (!c)
		return 0;
	f = &c->flow;
	netns = f->netns;
	asked = c->space;
	space = bpf_map_lookup_elem(&spaces, &netns);
	st = space ? bpf_map_lookup_elem(&space_state, space) : NULL;
	if (!f->has_saddr && st && st->netns == netns) {
		c->now = bpf_ktime_get_boot_ns();
		epoch = *(volatile __u32 *)&st->epoch;
		c->space = *space;
		c->forwarded = false;
		flow_route(c, st);
		barrier();
		if (f->has_saddr == KNOWN_ROUTED && !is_stale(c, st) &&
		    *(volatile __u32 *)&st->epoch == epoch)
			f->has_saddr = KNOWN_BOUND;
		else
			f->has_saddr = KNOWN_NOT;
		c->space = asked;
	}
	if (!f->has_saddr)
		__builtin_memset(f->saddr, 0, sizeof(f->saddr));
	f->has_oif = KNOWN_NOT;
	f->oif = f->mark = 0;
	c->forwarded = true;
	return 0;
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
	c->forwarded = netns != c->flow.netns;
	if (c->forwarded)
		flow_forward(c);
	for (int try = 0; try < DECIDE_TRIES; try++) {
		__u32 epoch = *(volatile __u32 *)&st->epoch;

		/* the slot was given up meanwhile, and may be another namespace's */
		if (*(volatile __u64 *)&st->netns != netns)
			return answer(d, REASON_NO_SPACE);
		decide_once(c, st);
		if (c->again)
			decide_again(c, st);
		barrier();
		if (*(volatile __u32 *)&st->epoch == epoch) {
			c->epoch = epoch;
			/* a call's source is of its own space, whose epoch is not kept */
			c->settled = !c->forwarded || c->packet;
			return 0;
		}
	}
	return answer(d, REASON_CHANGING);
}

#endif
