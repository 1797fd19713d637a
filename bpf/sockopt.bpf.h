/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Socket options with which a program has packets sent that no other hook sees, or sent elsewhere.
 *
 * Joining a multicast group, and leaving it, makes the kernel send IGMP or MLD reports, from no
 * socket of the program's. It is judged as a flow of that protocol to the group. A source route or
 * routing header leads a packet past where its flow says it goes: refused.
 *
 * The kernel takes what is judged from the copy that the program sees. Of all others the copy is
 * given up (optlen 0): what is longer than a page would be refused otherwise.
 */
#ifndef SAGATE_SOCKOPT_BPF_H
#define SAGATE_SOCKOPT_BPF_H

/* include/uapi/linux/in.h, in6.h */
#define IP_OPTIONS	    4
#define IP_ADD_MEMBERSHIP   35
#define IP_DROP_MEMBERSHIP  36
#define IP_UNBLOCK_SOURCE   37
#define IP_MSFILTER	    41
#define IPV6_2292RTHDR	    5
#define IPV6_2292PKTOPTIONS 6
#define IPV6_JOIN_GROUP	    20
#define IPV6_LEAVE_GROUP    21
#define IPV6_RTHDR	    57
#define MCAST_JOIN_GROUP    42
#define MCAST_MSFILTER	    48
#define IPPROTO_IP	    0
#define IPPROTO_IPV6	    41
#define IPPROTO_IGMP	    2

/* arch/x86/include/asm/thread_info.h: a 32-bit program's system call */
#define TS_COMPAT 2

/* Options of IPv4's header, RFC 791 section 3.1. */
#define IPOPT_END  0
#define IPOPT_NOP  1
#define IPOPT_LSRR 131
#define IPOPT_SSRR 137
#define IPOPTS_MAX 40 /* bytes of all */

/* struct ip_mreqn; struct ip_mreq, ip_mreq_source and ip_msfilter begin with the same two. */
struct group4 {
	__be32 group;
	__be32 interface;
	__s32 ifindex;
};

struct ipv6_group {
	__be32 group[4];
	__u32 ifindex;
};

/* struct sockaddr_in and sockaddr_in6, so far as they count; see flow_group(). */
struct group_sockaddr {
	__u16 family;
	__be16 port;
	__be32 addr4;
	__be32 addr6[4];
};

static __always_inline void flow_interface(struct flow *f, __u32 ifindex)
{
	f->oif = ifindex;
	if (ifindex)
		f->has_oif = KNOWN_BOUND;
}

/* The program gave as many bytes; the copy may have more, which mean nothing. */
static __always_inline bool has_bytes(const struct bpf_sockopt *ctx, const void *end)
{
	return end <= ctx->optval_end && ctx->optlen >= end - ctx->optval;
}

/* False, here and below: it is too short, and the kernel refuses it. */
static __always_inline bool flow_group4(struct flow *f, struct bpf_sockopt *ctx)
{
	const struct group4 *g = ctx->optval;

	if (!has_bytes(ctx, &g->ifindex))
		return false;
	f->family = AF_INET;
	f->daddr[0] = g->group;
	flow_source4(f, g->interface);
	if (ctx->optname <= IP_DROP_MEMBERSHIP && has_bytes(ctx, g + 1) && g->ifindex)
		flow_interface(f, g->ifindex);
	return true;
}

static __always_inline bool flow_group6(struct flow *f, struct bpf_sockopt *ctx)
{
	const struct ipv6_group *g = ctx->optval;

	if (!has_bytes(ctx, g + 1))
		return false;
	f->family = AF_INET6;
	for (int i = 0; i < 4; i++)
		f->daddr[i] = g->group[i];
	flow_interface(f, g->ifindex);
	return true;
}

/* struct group_req, and what begins as it does: an interface, then an address of any family. */
static __always_inline bool flow_group(struct flow *f, struct bpf_sockopt *ctx)
{
	const struct task_struct *task = bpf_get_current_task_btf();
	const __u32 *ifindex = ctx->optval;
	const struct group_sockaddr *to;

	/* a 32-bit program's has no gap before the address (struct compat_group_req) */
	to = ctx->optval + (task->thread_info.status & TS_COMPAT ? 4 : 8);
	if (!has_bytes(ctx, ifindex + 1) || !has_bytes(ctx, to + 1))
		return false;
	f->family = to->family;
	if (f->family == AF_INET6)
		for (int i = 0; i < 4; i++)
			f->daddr[i] = to->addr6[i];
	else
		f->daddr[0] = to->addr4;
	flow_interface(f, *ifindex);
	return f->family == AF_INET || f->family == AF_INET6;
}

static __always_inline bool has_source_route(struct bpf_sockopt *ctx)
{
	__u32 at = 0;

	for (int i = 0; i < IPOPTS_MAX; i++) {
		const __u8 *option;

		barrier_var(at); /* any place: the verifier need not follow each way to it */
		at &= 63;
		option = ctx->optval + at;

		if (!has_bytes(ctx, option + 2) || option[0] == IPOPT_END)
			return false;
		if (option[0] == IPOPT_LSRR || option[0] == IPOPT_SSRR)
			return true;
		at += option[0] == IPOPT_NOP || !option[1] ? 1 : option[1];
		if (at >= IPOPTS_MAX)
			return false;
	}
	return false;
}

enum sockopt_says {
	OPTION_OTHER,
	OPTION_SHORT, /* left to the kernel, which refuses it */
	OPTION_GROUP,
	OPTION_ROUTE,
};

static __always_inline enum sockopt_says ip_option(struct flow *f, struct bpf_sockopt *ctx)
{
	const int name = ctx->optname;

	if (name == IP_OPTIONS)
		return has_source_route(ctx) ? OPTION_ROUTE : OPTION_SHORT;
	if (name >= IP_ADD_MEMBERSHIP && name <= IP_MSFILTER)
		return flow_group4(f, ctx) ? OPTION_GROUP : OPTION_SHORT;
	if (name >= MCAST_JOIN_GROUP && name <= MCAST_MSFILTER)
		return flow_group(f, ctx) ? OPTION_GROUP : OPTION_SHORT;
	return OPTION_OTHER;
}

static __always_inline enum sockopt_says ipv6_option(struct flow *f, struct bpf_sockopt *ctx)
{
	const int name = ctx->optname;

	if (name == IPV6_RTHDR || name == IPV6_2292RTHDR || name == IPV6_2292PKTOPTIONS)
		return ctx->optlen ? OPTION_ROUTE : OPTION_SHORT;
	if (name == IPV6_JOIN_GROUP || name == IPV6_LEAVE_GROUP)
		return flow_group6(f, ctx) ? OPTION_GROUP : OPTION_SHORT;
	if (name >= MCAST_JOIN_GROUP && name <= MCAST_MSFILTER)
		return flow_group(f, ctx) ? OPTION_GROUP : OPTION_SHORT;
	return OPTION_OTHER;
}

/*
 * What the option is, and the flow of its report; of a routing header one to nowhere. A global
 * function: see route_lookup().
 */
__noinline int flow_sockopt(struct flow *f, struct bpf_sockopt *ctx)
{
	enum sockopt_says says = OPTION_OTHER;

	if (!f)
		return OPTION_ROUTE;
	if (ctx->level == IPPROTO_IP)
		says = ip_option(f, ctx);
	else if (ctx->level == IPPROTO_IPV6)
		says = ipv6_option(f, ctx);
	f->netns = bpf_get_netns_cookie(ctx);
	if (says == OPTION_ROUTE) {
		f->family = ctx->level == IPPROTO_IP ? AF_INET : AF_INET6;
		f->proto = IPPROTO_ROUTING;
	} else if (f->family == AF_INET6) {
		f->proto = IPPROTO_ICMPV6;
		f->sport = bpf_htons(ICMPV6_MLD2_REPORT);
	} else {
		f->proto = IPPROTO_IGMP;
	}
	return says;
}

#endif
