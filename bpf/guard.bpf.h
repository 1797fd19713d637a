/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guard: a packet of the gate's sockets is about to leave the IP layer, behind xfrm and NAT. Is
 * it in clear, and must it not be? The last line, and the only one for sockets that pass no other
 * hook (ping, raw, SCTP, L2TP), and for those connected before their SA and policy went.
 *
 * decide() is asked with what the packet itself says. Behind NAT those are the translated
 * addresses: the ones with which the kernel, too, asked its policies last (nf_xfrm_me_harder()).
 * With another source it finds no policy and sends in clear what a policy had protected: so it is
 * asked for the socket's own source, too. "protected" is what it may not be in clear.
 *
 * Not judged: what stays on the host (the loopback device), what xfrm has made, what comes here
 * again, the kernel's neighbour discovery, and IKE.
 */
#ifndef SAGATE_GUARD_BPF_H
#define SAGATE_GUARD_BPF_H

/* In every namespace (loopback_net_init()). */
#define LOOPBACK_IFINDEX 1

/* Group membership and neighbour discovery: RFC 2710, 3810, 4861. */
#define ICMPV6_MLD_FIRST   130
#define ICMPV6_ND_LAST	   137
#define ICMPV6_MLD2_REPORT 143

/* A socket's event is repeated as often as a process's; no process has such a number. */
#define ALERT_SOCKET (1U << 31)

/*
 * ESP and AH that xfrm has made, and UDP around ESP: the port is then the SA's, not the socket's.
 * Not what only IPComp has seen, and not yet what a network card encrypts. A VRF device that looks
 * up again clears the mark of xfrm (vrf_process_v4_outbound()): but only raw sockets write such
 * headers themselves.
 */
static __always_inline bool is_ipsec(struct __sk_buff *skb, const struct flow *f)
{
	struct bpf_sock *sk = skb->sk;

	if (f->proto != IPPROTO_ESP && f->proto != IPPROTO_AH)
		return false;
	if (is_transformed(skb, f->family))
		return true;
	sk = sk ? bpf_sk_fullsock(sk) : NULL;
	return sk && sk->type != SOCK_RAW;
}

static __always_inline bool is_udp_encap(const struct flow *f, const struct bpf_sock *sk)
{
	return f->proto == IPPROTO_UDP &&
	       (sk->protocol != IPPROTO_UDP || sk->src_port != bpf_ntohs(f->sport));
}

static __always_inline bool is_discovery(const struct flow *f)
{
	__u16 type = bpf_ntohs(f->sport);

	return f->family == AF_INET6 && f->proto == IPPROTO_ICMPV6 &&
	       ((type >= ICMPV6_MLD_FIRST && type <= ICMPV6_ND_LAST) || type == ICMPV6_MLD2_REPORT);
}

/* See is_ike_daemon(). */
static __always_inline bool sends_ike(void)
{
	const struct task_struct *task = current_task();
	__u64 *cgroup;
	__u32 pid = 0;

	read_kernel(pid, task->tgid);
	cgroup = bpf_map_lookup_elem(&ike_daemons, &pid);
	return cgroup && *cgroup == cgroup_of(task);
}

/* What goes out in clear and may, whatever the policies say. */
static __always_inline bool is_exempt(struct __sk_buff *skb, const struct call *c,
				      const struct bpf_sock *sk)
{
	const struct sock *owner = owner_of(skb);

	if (is_sender(owner, sk) && sends_ike())
		return true;
	if (!c->forwarded && has_bypass(owner, c->flow.family))
		return true;
	return (is_discovery(&c->flow) && is_kernels(owner)) || comes_again(skb);
}

/*
 * Decisions under way. Not on the stack, which is 512 bytes with all that decide() calls. One of
 * them is taken by whoever runs: a thread, what interrupts it, and on some kernels another thread
 * in its place.
 */
#define GUARD_CALLS 256 /* a power of two */
#define GUARD_TRIES 8

static struct guard_call {
	struct call call;
	__u32 busy;
	__u32 pad;
} guard_calls[GUARD_CALLS];

static __always_inline struct guard_call *guard_call_take(void)
{
	__u32 at = bpf_get_smp_processor_id() * GUARD_TRIES;

	for (int i = 0; i < GUARD_TRIES; i++, at++)
		if (!__sync_lock_test_and_set(&guard_calls[at % GUARD_CALLS].busy, 1)) {
			barrier_var(at); /* one path from here on, wherever it was found */
			return &guard_calls[at % GUARD_CALLS];
		}
	return NULL;
}

static __always_inline void guard_call_give(struct guard_call *gc)
{
	barrier();
	*(volatile __u32 *)&gc->busy = 0;
}

/* It has one destination, and its ports. */
static __always_inline bool is_plain_flow(const struct packet *p)
{
	return p->read && !p->hops && !p->no_ports;
}

/* A host that asks another space than its own (spd=host) encrypts what it forwards. */
static __always_inline bool may_leave(const struct call *c)
{
	return c->decision.verdict == VERDICT_CLEAR ||
	       (c->decision.verdict == VERDICT_PROTECTED && (c->forwarded || c->transformed));
}

/* A global function: see route_lookup(). */
__noinline int packet_decide(struct call *c, const struct gate_settings *g)
{
	if (!c || !g)
		return 0;
	decide(c, g);
	return 0;
}

/* Wherever the packet goes, one after the other. Leaves the answer that refuses, or the last. */
static __always_inline bool judge(struct __sk_buff *skb, struct call *c,
				  const struct gate_settings *g, const struct packet *p)
{
	for (__u32 i = 0; i <= HOPS_MAX; i++) {
		packet_decide(c, g);
		if (p->no_ports && shapes_compare(c->space, c->flow.family, 0))
			answer(&c->decision, REASON_FLOW_UNKNOWN);
		if (!may_leave(c) || i >= p->hops)
			break;
		if (!packet_hop(skb, &c->flow, p, i)) {
			answer(&c->decision, REASON_FLOW_UNKNOWN);
			break;
		}
	}
	return may_leave(c);
}

/* Who sends it is said only where it is known; the socket always is. */
static __noinline int guard_event(struct __sk_buff *skb, const struct call *c,
				  struct gate_settings *g, struct gate_counters *count,
				  const struct bpf_sock *sk)
{
	const struct task_struct *task = current_task();
	__u64 socket = bpf_get_socket_cookie(skb);
	struct event *e;

	e = event_open(&c->flow, &c->decision, g, count, (__u32)socket | ALERT_SOCKET);
	if (!e)
		return 0;
	e->cgroup_id = bpf_skb_cgroup_id(skb);
	e->socket = socket;
	e->hook = HOOK_EGRESS;
	e->error = g->mode == MODE_AUDIT ? 0 : -1 /* EPERM, from the kernel */;
	if (c->flow.family == AF_INET) /* routed, not bound: see flow_route() */
		e->flow.has_oif = KNOWN_NOT;
	else if (c->flow.has_oif == KNOWN_INSTEAD) /* see packet_device() */
		e->flow.has_oif = KNOWN_BOUND;
	if (is_sender(owner_of(skb), sk)) {
		read_kernel(e->pid, task->tgid);
		read_kernel(e->tid, task->pid);
		read_kernel(e->comm, task->comm);
	}
	bpf_ringbuf_submit(e, 0);
	return 0;
}

/* What must not leave does all the same in mode audit. Returns that. */
static __always_inline bool guard_counted(const struct gate_settings *g)
{
	struct gate_counters *count = bpf_get_local_storage(&gate_counters, 0);

	if (g->mode != MODE_AUDIT) {
		count->guard_dropped++;
		return false;
	}
	count->guard_audited++;
	return true;
}

/*
 * What is the packet's source to its socket: its own (0), another one than its own
 * (SOURCE_TRANSLATED), or chosen by routing, as far as the socket says (RECENT_ROUTED)?
 */
#define SOURCE_TRANSLATED 128 /* beside enum recent_how: nothing is remembered then */

static __always_inline __u8 source_of(const struct bpf_sock *sk, const struct flow *f)
{
	__be32 own[4];

	if (f->family == AF_INET) {
		own[0] = sk->src_ip4;
		if (own[0] == f->saddr[0])
			return 0;
		return is_source4(own[0]) ? SOURCE_TRANSLATED : RECENT_ROUTED;
	}
	for (int i = 0; i < 4; i++)
		own[i] = sk->src_ip6[i];
	if (addr_equal(own, f->saddr))
		return 0;
	return is_source6(own) ? SOURCE_TRANSLATED : RECENT_ROUTED;
}

/* Has routing chosen its source, or its caller, for a datagram to one destination? */
static __always_inline bool may_be_routed(const struct flow *f, const struct bpf_sock *sk,
					  const struct sock *owner)
{
	return (sk->type == SOCK_DGRAM || sk->type == SOCK_RAW) && !is_kernels(owner) &&
	       !(f->family == AF_INET ? is_group4(f->daddr[0]) : is_group6(f->daddr));
}

/*
 * The socket's source takes the place of the packet's, or none, which routing then chooses for its
 * mark and device: see source_of(). False, and nothing is changed: it is the same, or not known (a
 * listener's, the kernel's own sockets'). A function of its own: a program's stack is 512 bytes,
 * with all it calls.
 */
static __noinline bool flow_before_nat(struct __sk_buff *skb, struct flow *f,
				       const struct bpf_sock *sk, __u8 how)
{
	const bool routed = how & RECENT_ROUTED;

	if (!(how & (SOURCE_TRANSLATED | RECENT_ROUTED)) || !is_tracked(skb) ||
	    (routed && !may_be_routed(f, sk, owner_of(skb))))
		return false;
	if (sk->protocol == f->proto && shows_ports(f->proto))
		f->sport = bpf_htons(sk->src_port);
	__builtin_memset(f->saddr, 0, sizeof(f->saddr));
	if (routed) {
		f->has_saddr = KNOWN_NOT;
		f->oif = sk->bound_dev_if;
		f->has_oif = f->oif ? KNOWN_BOUND : KNOWN_NOT;
		f->mark = sk->mark;
	} else if (f->family == AF_INET) {
		f->saddr[0] = sk->src_ip4;
	} else {
		for (int i = 0; i < 4; i++)
			f->saddr[i] = sk->src_ip6[i];
	}
	return true;
}

static __always_inline void guard_begin(struct __sk_buff *skb, struct call *c, const struct flow *f,
					enum dst_says dst)
{
	c->flow = *f;
	__builtin_memset((void *)c + sizeof(c->flow), 0, sizeof(*c) - sizeof(c->flow));
	c->packet = true;
	c->bound = skb->ifindex;
	c->transformed = is_transformed(skb, c->flow.family);
	c->noxfrm = dst == DST_SAYS_EXEMPT;
}

#define EPOCH_ANY   (~0ULL)
#define EPOCH_NEVER (~0ULL - 1)

/* May it leave as its socket sent it? The epoch in which that is so, for recent_keep(). */
static __always_inline bool judge_before_nat(struct __sk_buff *skb, struct call *c,
					     const struct gate_settings *g, const struct flow *f,
					     const struct bpf_sock *sk, __u8 how, __u64 *epoch)
{
	if (!c->noxfrm && !c->transformed && flow_before_nat(skb, &c->flow, sk, how)) {
		packet_decide(c, g);
		if (!may_leave(c))
			return false;
		*epoch = c->by_sport ? EPOCH_NEVER : c->epoch;
		guard_begin(skb, c, f, DST_SAYS_NOTHING);
	}
	return true;
}

/* What recent_find() does not know: may it leave? */
static __always_inline bool guard_decide(struct __sk_buff *skb, struct call *c,
					 struct gate_settings *g, const struct flow *f,
					 const struct packet *p, __u8 how)
{
	struct gate_counters *count = bpf_get_local_storage(&gate_counters, 0);
	struct bpf_sock *sk = skb->sk;
	enum dst_says dst = dst_says(skb);
	__u64 epoch = EPOCH_ANY;

	sk = sk ? bpf_sk_fullsock(sk) : NULL;
	if (!sk)
		return false;
	guard_begin(skb, c, f, dst);
	if (dst == DST_SAYS_XFRM || (c->transformed && is_udp_encap(f, sk)))
		return true;
	if (!p->read) {
		answer(&c->decision, REASON_FLOW_UNKNOWN);
	} else if (judge_before_nat(skb, c, g, f, sk, how, &epoch) && judge(skb, c, g, p)) {
		c->flow.netns = bpf_get_socket_cookie(skb);
		c->routed = how & RECENT_ROUTED;
		if (is_plain_flow(p) && !c->transformed && !is_shared(owner_of(skb), sk) &&
		    !(how & SOURCE_TRANSLATED) && (epoch == EPOCH_ANY || epoch == c->epoch))
			recent_keep(c, g);
		return true;
	} else if (is_exempt(skb, c, sk)) {
		return true;
	}
	guard_event(skb, c, g, count, sk);
	return guard_counted(g);
}

static __noinline bool guard_ask(struct __sk_buff *skb, const struct flow *f,
				 struct gate_settings *g, const struct packet *p, __u8 how)
{
	struct guard_call *gc = guard_call_take();
	bool passes;

	if (!gc)
		return guard_counted(g); /* nobody can decide */
	passes = guard_decide(skb, &gc->call, g, f, p, how);
	guard_call_give(gc);
	return passes;
}

/* Of the socket, and of the way that the packet takes. Returns how recent_find() is to be asked. */
static __always_inline __u8 flow_owner(struct flow *f, struct __sk_buff *skb,
				       const struct bpf_sock *sk, const struct gate_settings *g)
{
	__u32 device = sk->bound_dev_if;

	f->netns = bpf_get_socket_cookie(skb);
	if (g->spd_netns && g->spd_netns != netns_of(owner_of(skb))) {
		f->mark = 0;
		return RECENT_PACKET | RECENT_FORWARDED;
	}
	barrier_var(device); /* one load of a context field, not of either */
	f->oif = f->family == AF_INET ? skb->ifindex : device;
	f->has_oif = f->oif ? KNOWN_BOUND : KNOWN_NOT;
	return RECENT_PACKET;
}

static __always_inline bool guard(struct __sk_buff *skb)
{
	struct gate_settings *g = bpf_get_local_storage(&gate_settings, 0);
	const struct bpf_sock *sk = skb->sk;
	struct packet p = {};
	struct flow f = {};
	int known;
	__u8 how;

	/* attached behind the others: without settings the gate is being detached */
	if (!g->cgroup_id || g->guard_off || !sk)
		return true;
	p.read = packet_read(skb, &f, &p);
	if (is_ipsec(skb, &f))
		return true;
	how = flow_owner(&f, skb, sk, g) | source_of(sk, &f);
	if (is_plain_flow(&p) && !(how & SOURCE_TRANSLATED)) {
		known = recent_find(&f, g, how);
		if (known >= 0 && known < REASON_COUNT)
			return true;
	}
	f.netns = netns_of(owner_of(skb));
	return guard_ask(skb, &f, g, &p, how);
}

#endif
