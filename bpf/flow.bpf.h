/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From a hook's context to one flow. All quirks of the contexts live here: the 32-bit port, the
 * words of IPv6 addresses, v4-mapped addresses, connected sends with a control message, and which
 * fields an attach type may read.
 */
#ifndef SAGATE_FLOW_BPF_H
#define SAGATE_FLOW_BPF_H

#define AF_INET	 2
#define AF_INET6 10

#define IPPROTO_ICMP	1
#define IPPROTO_TCP	6
#define IPPROTO_UDP	17
#define IPPROTO_DCCP	33
#define IPPROTO_ICMPV6	58
#define IPPROTO_COMP	108
#define IPPROTO_SCTP	132
#define IPPROTO_UDPLITE 136

#define ICMP_ECHO	    8
#define ICMPV6_ECHO_REQUEST 128

/*
 * Two halves of a word of a flow at once: recent_find() reads whole words, and a load of what two
 * stores wrote waits until both have left the CPU's store buffer.
 */
static __always_inline void put_word(void *to, __u32 first, __u32 second)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	const __u64 word = (__u64)second << 32 | first;
#else
	const __u64 word = (__u64)first << 32 | second;
#endif

	__builtin_memcpy(to, &word, sizeof(word));
}

static __always_inline void flow_ports(struct flow *f, __be16 sport, __be16 dport, __u32 mark)
{
	const union {
		__be16 port[2];
		__u32 half;
	} w = {.port = {sport, dport}};

	put_word(&f->sport, w.half, mark);
}

/* xfrm compares the ports of these (xfrm_flowi_sport()). */
static __always_inline bool shows_ports(__u8 proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP ||
	       proto == IPPROTO_UDPLITE || proto == IPPROTO_DCCP;
}

/*
 * Will the kernel give the socket a port between this hook and the packet (inet_autobind)? A VRF
 * device looks up without ports.
 */
static __always_inline bool awaits_sport(const struct flow *f)
{
	return !f->sport && f->has_oif != KNOWN_AGAIN && shows_ports(f->proto);
}

#define V4MAPPED_WORD2 bpf_htonl(0xffff)

static __always_inline bool is_v4mapped(__be32 w0, __be32 w1, __be32 w2)
{
	return !w0 && !w1 && w2 == V4MAPPED_WORD2;
}

static __always_inline bool addr_any(const __be32 *a)
{
	return !(a[0] | a[1] | a[2] | a[3]);
}

static __always_inline bool is_group4(__be32 a)
{
	return (a & bpf_htonl(0xf0000000)) == bpf_htonl(0xe0000000);
}

static __always_inline bool is_group6(const __be32 *a)
{
	return (a[0] & bpf_htonl(0xff000000)) == bpf_htonl(0xff000000);
}

/* fe80::/10 and groups: the caller may say by which device (sin6_scope_id). */
static __always_inline bool has_scope6(const __be32 *a)
{
	return (a[0] & bpf_htonl(0xffc00000)) == bpf_htonl(0xfe800000) || is_group6(a);
}

/*
 * A source that is no source: unbound, or bound to a multicast or broadcast address, for which the
 * kernel lets routing choose (inet_bind sets inet_saddr to 0 for those).
 */
static __always_inline bool is_source4(__be32 a)
{
	return a && !is_group4(a) && ~a;
}

static __always_inline bool is_source6(const __be32 *a)
{
	return !addr_any(a) && !is_group6(a);
}

static __always_inline void flow_source4(struct flow *f, __be32 a)
{
	if (!is_source4(a))
		return;
	put_word(f->saddr, a, 0);
	f->has_saddr = KNOWN_BOUND;
}

/* What does not depend on the hook. */
static __always_inline void flow_common(struct flow *f, struct bpf_sock_addr *ctx, __u8 family)
{
	struct bpf_sock *sk = ctx->sk;

	f->netns = bpf_get_netns_cookie(ctx);
	f->family = family;
	f->proto = ctx->protocol;
	f->oif = sk->bound_dev_if;
	if (f->oif)
		f->has_oif = KNOWN_BOUND;
	flow_ports(f, bpf_htons(sk->src_port), ctx->user_port, sk->mark);
}

/* xfrm compares an ICMP flow's type and code as ports (xfrm_flowi_sport): ping sockets send echo.
 */
static __always_inline void flow_icmp(struct flow *f)
{
	if (f->proto != IPPROTO_ICMP && f->proto != IPPROTO_ICMPV6)
		return;
	f->sport = f->proto == IPPROTO_ICMP ? bpf_htons(ICMP_ECHO) : bpf_htons(ICMPV6_ECHO_REQUEST);
	f->dport = 0;
}

/* The kernel connects and sends to itself when the destination is the any address. */
static __always_inline void flow_any4(struct flow *f)
{
	if (!f->daddr[0])
		f->daddr[0] = bpf_htonl(0x7f000001);
}

static __always_inline void flow_connect4(struct flow *f, struct bpf_sock_addr *ctx)
{
	flow_common(f, ctx, AF_INET);
	put_word(f->daddr, ctx->user_ip4, 0);
	flow_source4(f, ctx->sk->src_ip4);
	flow_any4(f);
	flow_icmp(f);
}

/*
 * sendmsg4 also runs for AF_INET6 sockets that send to a v4-mapped address, and for connected
 * sockets whose send carries an IP control message: then family and address are 0 and only the
 * socket knows the destination (udp_sendmsg). A send to an AF_UNSPEC sockaddr has family 0 and its
 * address.
 */
static __always_inline void flow_sendmsg4(struct flow *f, struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;

	flow_common(f, ctx, AF_INET);
	put_word(f->daddr, ctx->user_ip4, 0);
	if (!f->daddr[0] && !ctx->user_family && sk->dst_ip4) {
		f->daddr[0] = sk->dst_ip4;
		f->dport = sk->dst_port;
	}
	flow_source4(f, ctx->msg_src_ip4 ? ctx->msg_src_ip4 : sk->src_ip4);
	flow_any4(f);
	flow_icmp(f);
}

/* Both addresses are in the flow as the socket has them, and the packet will be IPv6. */
static __always_inline void flow_ipv6(struct flow *f)
{
	f->family = AF_INET6;
	if (is_source6(f->saddr))
		f->has_saddr = KNOWN_BOUND;
	else
		__builtin_memset(f->saddr, 0, sizeof(f->saddr));
	if (addr_any(f->daddr))
		f->daddr[3] = bpf_htonl(1);
}

/*
 * Both addresses are in the flow as the socket has them. What is v4-mapped becomes IPv4; what is no
 * source goes. `connects`: a socket bound to a v4-mapped address takes :: for 127.0.0.1
 * (tcp_v6_connect).
 */
static __always_inline void flow_unmap(struct flow *f, bool connects)
{
	const bool mapped = is_v4mapped(f->saddr[0], f->saddr[1], f->saddr[2]);
	__be32 source;

	if (!is_v4mapped(f->daddr[0], f->daddr[1], f->daddr[2]) &&
	    !(connects && addr_any(f->daddr) && mapped && f->saddr[3])) {
		flow_ipv6(f);
		return;
	}
	f->family = AF_INET;
	f->daddr[0] = f->daddr[3];
	f->daddr[1] = f->daddr[2] = f->daddr[3] = 0;
	source = mapped ? f->saddr[3] : 0;
	__builtin_memset(f->saddr, 0, sizeof(f->saddr));
	flow_source4(f, source);
	flow_any4(f);
}

/* An AF_INET6 socket that connects to ::ffff:a.b.c.d runs connect6 and then speaks IPv4. */
static __always_inline void flow_connect6(struct flow *f, struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;

	flow_common(f, ctx, AF_INET6);
	for (int i = 0; i < 4; i++) {
		f->daddr[i] = ctx->user_ip6[i];
		f->saddr[i] = sk->src_ip6[i];
	}
	barrier(); /* from memory: the program's stack is full */
	flow_unmap(f, true);
	flow_icmp(f);
}

/* udpv6_sendmsg hands mapped destinations to udp_sendmsg first: here they are a surprise. */
static __always_inline void flow_sendmsg6(struct flow *f, struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;

	flow_common(f, ctx, AF_INET6);
	for (int i = 0; i < 4; i++) {
		f->daddr[i] = ctx->user_ip6[i];
		f->saddr[i] = ctx->msg_src_ip6[i];
	}
	if (addr_any(f->daddr) && !ctx->user_family) {
		for (int i = 0; i < 4; i++)
			f->daddr[i] = sk->dst_ip6[i];
		f->dport = sk->dst_port;
	}
	if (addr_any(f->saddr))
		for (int i = 0; i < 4; i++)
			f->saddr[i] = sk->src_ip6[i];
	flow_unmap(f, false);
	flow_icmp(f);
}

#endif
