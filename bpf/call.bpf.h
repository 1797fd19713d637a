/* SPDX-License-Identifier: GPL-2.0-only */
/* One decision under way: its answer so far, and what routing says of its flow. */
#ifndef SAGATE_CALL_BPF_H
#define SAGATE_CALL_BPF_H

#define VRF_UNKNOWN (~0U)

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
	__u8 sa_proto;	  /* of the last SA that was found */
	__u8 again;	  /* ROUTE_ flags: a VRF device looks the packet up again */
	bool secured : 1; /* an ESP or AH SA was found */
	bool secured_before : 1;
	bool tunneled : 1;			  /* an SA was found that gives other addresses */
	bool allow_no_policy : 1, stale_open : 1; /* of the gate */
	bool link_in_vrf : 1;			  /* the xfrm interface's, see VRF_LINK */
	bool by_sport : 1;			  /* a source port was compared */
	bool forwarded : 1;			  /* another space decides, see flow_forward() */
	bool settled : 1;			  /* decided while the epoch stood still */
	bool queues : 1;			  /* see kernel_queues() */
	bool packet : 1;      /* of a packet, in clear or transformed, not of a call */
	bool transformed : 1; /* xfrm has had the packet */
	bool noxfrm : 1;      /* the packet's device is exempt */
	bool routed : 1;      /* the packet's socket has no source */
	bool bypasses : 1;    /* see socket_bypasses() */
	__u32 epoch;	      /* that one */
	__u32 bound;	      /* to what, see KNOWN_INSTEAD; a packet: its device */
	__u32 vrf;	      /* a tunnel's source is routed in this one, 0: none; or VRF_UNKNOWN */
	__u64 deadline;	      /* of the first of its SAs to end, 0: none */
	__u64 now;
};

/* What routing says beside source and device. */
enum {
	ROUTE_NONE = 1,
	ROUTE_NOXFRM = 2,
	ROUTE_LOOPBACK = 4,
	ROUTE_XFRMI = 8,
	ROUTE_UNSURE = 16, /* perhaps into an xfrm interface */
	/* enum route_vrf; of which VRF is in flow.link */
	ROUTE_AGAIN = 32,
	ROUTE_QUEUE = 64,
	ROUTE_MAYBE = 128, /* it is not known of which, nor whether */
	ROUTE_VRF = ROUTE_AGAIN | ROUTE_QUEUE | ROUTE_MAYBE,
};

static __always_inline int route_flags(const struct route_value *r)
{
	return (r->noxfrm ? ROUTE_NOXFRM : 0) | (r->loopback ? ROUTE_LOOPBACK : 0) |
	       (r->xfrmi ? ROUTE_XFRMI : 0) | (r->vrf_flags & VRF_AGAIN ? ROUTE_AGAIN : 0) |
	       (r->vrf_flags & VRF_QUEUE ? ROUTE_QUEUE : 0);
}

/* The flow's device is again what the hook said. */
static __always_inline void flow_rebind(struct call *c)
{
	struct flow *f = &c->flow;

	if (f->has_oif == KNOWN_INSTEAD || f->has_oif == KNOWN_UNSURE) {
		f->oif = c->bound;
		f->has_oif = KNOWN_BOUND;
	}
}

/* What counts of a socket that is bound to a device: see spd_step(). */
static __always_inline void flow_device(struct flow *f, const struct route_value *r, bool known)
{
	const bool six = f->family == AF_INET6;

	if (!f->has_oif) {
		if (!known || !r->oif)
			return;
		f->has_oif = KNOWN_ROUTED;
	} else if (six ? !(r->vrf_flags & VRF_BOUND) : known && r->oif == f->oif) {
		return;
	} else {
		f->has_oif = six || (known && r->oif) ? KNOWN_INSTEAD : KNOWN_UNSURE;
	}
	f->oif = known ? r->oif : 0;
}

/* Where routing does not say enough and there are VRF devices. Returns ROUTE_ flags. */
static __always_inline int vrf_maybe(struct call *c, const struct space_state *st)
{
	if (!st->vrfs)
		return 0;
	c->vrf = VRF_UNKNOWN;
	return ROUTE_MAYBE | (st->vrfs & VRF_QUEUE ? ROUTE_QUEUE : ROUTE_AGAIN);
}

/*
 * What a socket that is bound to a device sends over IPv6 leaves by that one, unless that is a VRF
 * device, which routing takes out of the flow (flow_device()). To an address with a scope the
 * caller names the device itself.
 */
static __always_inline void packet_device(struct flow *f, __u32 leaves)
{
	if (f->family != AF_INET6 || !f->has_oif || f->oif == leaves)
		return;
	if (has_scope6(f->daddr))
		f->oif = leaves;
	else
		f->has_oif = KNOWN_INSTEAD;
}

/* A packet's source and device are its own. Returns ROUTE_ flags. */
static __always_inline int packet_flags(struct call *c, const struct space_state *st)
{
	struct flow *f = &c->flow;

	f->if_id = f->link = 0;
	c->vrf = st->vrfs ? VRF_UNKNOWN : 0;
	if (st->vrfs)
		packet_device(f, c->bound);
	return c->noxfrm ? ROUTE_NOXFRM : 0;
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
	flow_rebind(c);
	c->bound = f->has_oif ? f->oif : 0;
	c->vrf = 0;
	marks = fwmark_bits(st, f->mark);
	q.at.space = c->space;
	q.at.oif = c->bound;
	q.at.marks = marks;
	q.at.family = f->family;
	__builtin_memcpy(q.at.addr, f->daddr, sizeof(q.at.addr));
	if (marks < 0 || !route_lookup(st, &q)) {
		if (f->has_oif)
			f->has_oif = KNOWN_UNSURE;
		return vrf_maybe(c, st);
	}
	if (q.answer.unknown || (q.answer.by_source && (f->has_saddr || c->forwarded))) {
		if (st->vrfs)
			flow_device(f, &q.answer, false);
		return vrf_maybe(c, st) | (q.answer.by_source & BY_SOURCE_XFRMI ? ROUTE_UNSURE : 0);
	}
	if (q.answer.none)
		return ROUTE_NONE;
	flow_device(f, &q.answer, true);
	if (!f->has_saddr && !c->forwarded && !(q.answer.vrf_flags & VRF_LEFT)) {
		__builtin_memcpy(f->saddr, q.answer.saddr, sizeof(f->saddr));
		f->has_saddr = KNOWN_ROUTED;
	}
	f->if_id = q.answer.if_id;
	f->link = q.answer.link;
	c->link_in_vrf = !!(q.answer.vrf_flags & VRF_LINK);
	c->vrf = q.answer.vrf;
	return route_flags(&q.answer);
}

#endif
