/* SPDX-License-Identifier: GPL-2.0-only */
/* Devices that look a packet up again which has already been: xfrm interfaces and VRF devices. */
#ifndef SAGATE_AGAIN_BPF_H
#define SAGATE_AGAIN_BPF_H

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
	c->vrf = c->link_in_vrf ? VRF_UNKNOWN : 0;
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

/*
 * Where a VRF device sends a packet (vrf_process_v4_outbound(), vrf_process_v6_outbound()): the
 * device into the flow. Returns ROUTE_ flags, ROUTE_NONE also where it is not known. A global
 * function: see route_lookup().
 */
__noinline int route_again(struct call *c, const struct space_state *st)
{
	union route_question q = {};
	struct flow *f;
	int marks;
	bool six;

	if (!c || !st)
		return ROUTE_NONE;
	f = &c->flow;
	six = f->family == AF_INET6;
	marks = six ? fwmark_bits(st, f->mark) : 0;
	q.at.space = c->space;
	q.at.oif = f->link;
	q.at.marks = marks;
	q.at.family = f->family;
	__builtin_memcpy(q.at.addr, f->daddr, sizeof(q.at.addr));
	if (marks < 0 || !route_lookup(st, &q) || q.answer.unknown || q.answer.none ||
	    q.answer.by_source || q.answer.xfrmi)
		return ROUTE_NONE;
	/* to the device itself: delivered, or dropped; into another VRF device: a third look */
	if (q.answer.vrf_flags & VRF_AGAIN &&
	    (q.answer.link != f->link || !(q.answer.vrf_flags & VRF_OWN)))
		return ROUTE_NONE;
	f->oif = six ? 0 : q.answer.oif;
	f->has_oif = six || f->oif ? KNOWN_AGAIN : KNOWN_UNSURE;
	c->vrf = six ? 0 : q.answer.vrf;
	return route_flags(&q.answer);
}

/* What both looks come to: c->decision.reason is the first one's. */
static __always_inline __u8 both_reasons(struct call *c, __u8 second, bool own)
{
	const bool maybe = c->again & ROUTE_MAYBE, queue = c->again & ROUTE_QUEUE;
	const bool secured = c->secured_before;

	if (!reason_passes(second))
		return maybe ? REASON_VRF_LOOKUP : second;
	/* to its own addresses it delivers at once, and with an SA nothing */
	if (own && second == REASON_SA)
		return REASON_VRF_LOOKUP;
	/* in clear, or perhaps */
	if ((queue && secured && !c->secured) || (maybe && !secured && c->secured))
		return REASON_VRF_LOOKUP;
	c->secured |= secured;
	return second == REASON_NO_POLICY || (secured && second != REASON_SA) ? c->decision.reason
									      : second;
}

/*
 * A VRF device routes and looks up once more: what is sent on the device itself, to an address of
 * its own or by a route that leads to it, as the packet that it is by now; and where it has a
 * queue, all that is sent in the VRF, in place of what was found first. Without ports, over IPv4
 * without the mark. Returns a reason.
 */
static __always_inline __u8 check_vrf(struct call *c, const struct space_state *st)
{
	__u64 first = (__u64)c->flow.oif << 32 | c->flow.has_oif << 8 | c->flow.proto;
	__u8 reason = REASON_VRF_LOOKUP;
	int route = 0;

	c->decision.req_index = (__u32)c->flow.sport << 16 | c->flow.dport;
	if (c->again & ROUTE_MAYBE) {
		c->flow.oif = 0;
		c->flow.has_oif = c->flow.family == AF_INET6 ? KNOWN_AGAIN : KNOWN_UNSURE;
	} else {
		route = route_again(c, st);
	}
	c->flow.link = c->flow.mark;
	if (c->flow.family == AF_INET)
		c->flow.mark = 0;
	if (c->secured && !(c->again & ROUTE_QUEUE))
		c->flow.proto = c->sa_proto;
	c->flow.sport = c->flow.dport = 0;
	c->secured_before = c->secured;
	c->secured = false;
	if (route & ROUTE_NOXFRM)
		reason = REASON_NO_POLICY;
	else if (!(route & ROUTE_NONE))
		reason = check_policies(c, st);
	if (reason == REASON_NO_POLICY && st->default_block &&
	    !(route & (ROUTE_NOXFRM | ROUTE_LOOPBACK)))
		reason = REASON_DEFAULT_BLOCK;
	c->flow.oif = first >> 32;
	c->flow.has_oif = first >> 8;
	c->flow.proto = first;
	c->flow.mark = c->flow.link;
	c->flow.link = 0;
	c->flow.sport = c->decision.req_index >> 16;
	c->flow.dport = c->decision.req_index;
	c->decision.req_index = 0;
	return both_reasons(c, reason, route & ROUTE_AGAIN);
}

#endif
