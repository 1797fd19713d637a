/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The programs for what passes no sock_addr hook: sends of ping, raw, L2TP/IP and connected UDP
 * sockets, SCTP, DCCP, UDP-Lite; and, whatever they do, for sockets that were made elsewhere:
 * sock_addr programs follow the cgroup in which a socket was made, these the caller's. What
 * connect4/6 and sendmsg4/6 of the same gate see is left to them.
 *
 * And for those that are refused because nobody could judge them: is_roundabout().
 *
 * They run before the kernel has looked at the call: what it will refuse itself passes.
 */
#ifndef SAGATE_LSM_BPF_H
#define SAGATE_LSM_BPF_H

#define AF_UNSPEC 0
#define AF_RDS	  21
#define AF_PPPOX  24

#define PX_PROTO_OE 0 /* PPPoE, which is not IP */

#define IPPROTO_MH    135
#define IPPROTO_RAW   255
#define IPPROTO_MPTCP 262

#define MSG_FASTOPEN 0x20000000

/* include/net/tcp_states.h */
#define TCP_CLOSE  7
#define TCP_LISTEN 10

/* include/net/inet_sock.h, INET_FLAGS_HDRINCL */
#define HDRINCL_BIT 12

/* How deep below its gate's a cgroup is found. One that is deeper is judged by all hooks. */
#define CGROUP_DEPTH 32

/* A destination as programs write it: the beginning of sockaddr_in, sockaddr_in6, sockaddr_l2tpip.
 */
struct name {
	__u16 family;
	__be16 port;
	union {
		__be32 v4;
		struct {
			__be32 flowinfo;
			__be32 v6[4];
		};
	};
};

/* The least that the kernel takes of each family. */
#define NAME4_LEN 16
#define NAME6_LEN 24

static __always_inline bool is_ipv6(const struct sock *sk)
{
	return sk->__sk_common.skc_family == AF_INET6;
}

static __always_inline bool is_inet(const struct sock *sk)
{
	return sk->__sk_common.skc_family == AF_INET || is_ipv6(sk);
}

/*
 * It sends IP packets by another socket, which the guard is not asked about: L2TP and PPTP on a
 * tunnel's, while the packet is the session's (ip_queue_xmit()), RDS on one that a thread of the
 * kernel's made. Any user may have one. Where they go cannot be told here: such a call is a flow
 * that is not known.
 */
static __always_inline bool is_roundabout(const struct sock *sk)
{
	const __u16 family = sk->__sk_common.skc_family;

	return family == AF_RDS || (family == AF_PPPOX && sk->sk_protocol != PX_PROTO_OE);
}

/* Made in the caller's cgroup, or below the gate's: then its sock_addr programs run for it. */
static __always_inline bool is_callers(const struct sock *sk)
{
	return sk->sk_cgrp_data.cgroup == bpf_get_current_task_btf()->cgroups->dfl_cgrp;
}

static __noinline bool is_below(const struct sock *sk, __u64 gate)
{
	const struct cgroup *cgroup = sk->sk_cgrp_data.cgroup;

	for (int i = 0; i < CGROUP_DEPTH && cgroup; i++) {
		const struct cgroup_subsys_state *parent = cgroup->self.parent;

		if (cgroup->kn->id == gate)
			return true;
		cgroup = parent ? parent->cgroup : NULL;
	}
	return false;
}

/* Which protocols run connect4/6: pre_connect of struct proto. */
static __always_inline bool connect_is_seen(const struct sock *sk)
{
	if (sk->sk_type == SOCK_RAW)
		return false;
	switch (sk->sk_protocol) {
	case IPPROTO_TCP:
	case IPPROTO_MPTCP:
	case IPPROTO_UDP:
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return true;
	}
	return false;
}

/* What is sent goes where the connection goes, which was judged when it was made. */
static __always_inline bool is_connection(const struct sock *sk)
{
	return sk->sk_type != SOCK_RAW &&
	       (sk->sk_protocol == IPPROTO_TCP || sk->sk_protocol == IPPROTO_MPTCP ||
		sk->sk_protocol == IPPROTO_DCCP);
}

static __always_inline bool is_udp(const struct sock *sk)
{
	return sk->sk_type != SOCK_RAW &&
	       (sk->sk_protocol == IPPROTO_UDP || sk->sk_protocol == IPPROTO_UDPLITE);
}

/*
 * Of a socket of ours: sendmsg4/6 run for UDP that names its destination, and, over IPv6, for every
 * send to a v4-mapped one. Connections send where they go; MSG_FASTOPEN runs connect4/6.
 */
static __always_inline bool sendmsg_is_seen(const struct sock *sk, const void *name)
{
	if (is_connection(sk))
		return true;
	if (sk->sk_type != SOCK_RAW && sk->sk_protocol == IPPROTO_SCTP)
		return !name;
	if (!is_udp(sk))
		return false;
	return name ||
	       (is_ipv6(sk) && is_v4mapped(sk->__sk_common.skc_v6_daddr.in6_u.u6_addr32[0],
					   sk->__sk_common.skc_v6_daddr.in6_u.u6_addr32[1],
					   sk->__sk_common.skc_v6_daddr.in6_u.u6_addr32[2]));
}

/* Where a send says that it goes; NULL: where the socket is connected to. */
static __always_inline const void *sendmsg_name(const struct sock *sk, const struct msghdr *msg)
{
	const void *name = msg->msg_name;
	__u16 family = AF_UNSPEC;

	if (!name || (is_connection(sk) && !(msg->msg_flags & MSG_FASTOPEN)))
		return NULL;
	/* udpv6_sendmsg() takes no notice of a name without a family */
	if (is_udp(sk) && is_ipv6(sk) && !bpf_probe_read_kernel(&family, sizeof(family), name) &&
	    family == AF_UNSPEC)
		return NULL;
	return name;
}

/* Does the program write the IP header? */
static __always_inline bool has_header(const struct sock *sk)
{
	const struct inet_sock___bits *old = (const void *)sk;
	const struct inet_sock *inet = (const void *)sk;

	if (bpf_core_field_exists(old->hdrincl))
		return BPF_CORE_READ_BITFIELD_PROBED(old, hdrincl);
	return BPF_CORE_READ(inet, inet_flags) >> HDRINCL_BIT & 1;
}

/* What the socket itself says. */
static __always_inline void flow_sock(struct flow *f, const struct sock *sk)
{
	f->netns = sk->__sk_common.skc_net.net->net_cookie;
	f->proto = sk->sk_protocol; /* of MPTCP that of its subflows is left: TCP */
	f->mark = sk->sk_mark;
	f->oif = sk->__sk_common.skc_bound_dev_if;
	if (f->oif)
		f->has_oif = KNOWN_BOUND;
	if (shows_ports(f->proto) && sk->sk_type != SOCK_RAW)
		f->sport = bpf_htons(sk->__sk_common.skc_num);
}

/* IPv6's addresses of raw, ping and L2TP/IP sockets are never IPv4's. */
static __always_inline void flow_sock6(struct flow *f, const struct sock *sk, bool connects)
{
	for (int i = 0; i < 4; i++)
		f->saddr[i] = sk->__sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32[i];
	if (shows_ports(f->proto) && sk->sk_type != SOCK_RAW)
		flow_unmap(f, connects);
	else
		flow_ipv6(f);
}

static __always_inline void flow_sock4(struct flow *f, const struct sock *sk)
{
	f->family = AF_INET;
	flow_source4(f, sk->__sk_common.skc_rcv_saddr);
	flow_any4(f);
}

/* To where the socket is connected. False: it is not, and the kernel refuses. */
static __always_inline bool flow_connected(struct flow *f, const struct sock *sk)
{
	if (sk->__sk_common.skc_state == TCP_CLOSE || sk->__sk_common.skc_state == TCP_LISTEN)
		return false;
	f->dport = sk->__sk_common.skc_dport;
	if (is_ipv6(sk)) {
		for (int i = 0; i < 4; i++)
			f->daddr[i] = sk->__sk_common.skc_v6_daddr.in6_u.u6_addr32[i];
		flow_sock6(f, sk, false);
	} else {
		f->daddr[0] = sk->__sk_common.skc_daddr;
		flow_sock4(f, sk);
	}
	return true;
}

/*
 * To where the call says. False: it disconnects, or the kernel refuses. A family that is not known
 * stays 0 in the flow. Sends without a family mean the socket's.
 */
static __always_inline bool flow_named(struct flow *f, const struct sock *sk, const void *at,
				       __u32 len, bool connects)
{
	struct name name = {};
	__u16 family;

	if (bpf_probe_read_kernel(&name, sizeof(name), at))
		return true;
	family = name.family;
	if (family == AF_UNSPEC) {
		if (connects)
			return false;
		family = sk->__sk_common.skc_family;
	}
	f->dport = name.port;
	if (family == AF_INET) {
		f->daddr[0] = name.v4;
		flow_sock4(f, sk);
		return len >= NAME4_LEN;
	}
	if (family == AF_INET6) {
		__builtin_memcpy(f->daddr, name.v6, sizeof(f->daddr));
		flow_sock6(f, sk, connects);
		return len >= NAME6_LEN;
	}
	return true;
}

/* Of a raw socket the flow has no ports, and may have another protocol (rawv6_sendmsg()). */
static __always_inline void flow_without_ports(struct flow *f, const struct sock *sk)
{
	if (sk->sk_type == SOCK_RAW && f->proto == IPPROTO_RAW && is_ipv6(sk) && f->dport)
		f->proto = bpf_ntohs(f->dport);
	if (sk->sk_type == SOCK_RAW && !is_ipv6(sk) && has_header(sk))
		f->proto = IPPROTO_RAW;
	if (!shows_ports(f->proto) || sk->sk_type == SOCK_RAW)
		f->dport = 0;
	flow_icmp(f);
}

/* False: nothing is to be judged. `name` NULL: to where the socket is connected. */
static __noinline bool flow_socket(struct flow *f, const struct sock *sk, const void *name,
				   __u32 len, bool connects)
{
	flow_sock(f, sk);
	if (is_roundabout(sk))
		return true;
	if (name ? !flow_named(f, sk, name, len, connects) : !flow_connected(f, sk))
		return false;
	if (f->family)
		flow_without_ports(f, sk);
	return true;
}

/*
 * A program that writes the IP header, or the ports, itself sends what xfrm does not see
 * (raw_sendmsg()): it is known only where no policy and no requirement asks.
 */
static __noinline bool is_disguised(const struct flow *f, const struct sock *sk, __u64 spd_netns)
{
	__u64 netns = spd_netns ? spd_netns : f->netns;
	bool header = has_header(sk);
	__u32 *space;

	if (!header && !shows_ports(f->proto) && f->proto != IPPROTO_MH)
		return false;
	space = bpf_map_lookup_elem(&spaces, &netns);
	if (!space)
		return false; /* nothing passes there */
	return shapes_compare(*space, f->family, header);
}

/* The kick that kick.bpf.h gives behind the other hooks. Without one no restart. */
static __noinline void lsm_kick(void)
{
	if (hold_kick_way == KICK_SIGNALS && !kick_now())
		set_retval(-EAGAIN);
}

/* Both programs, when the call is not left to the gate's others for certain. */
static __always_inline int lsm_gate(const struct sock *sk, bool seen, const void *name, __u32 len,
				    __u8 hook)
{
	const struct gate_settings *g = bpf_get_local_storage(&gate_settings, 0);
	struct call c;

	/* NFS and the like send on the kernel's in whatever thread needs it: that hands nothing in
	 */
	if ((seen && is_below(sk, g->cgroup_id)) || is_kernels(sk))
		return 1;
	__builtin_memset(&c.flow, 0, sizeof(c.flow));
	if (!flow_socket(&c.flow, sk, name, len, hook == HOOK_LSM_CONNECT))
		return 1;
	if (sk->sk_type == SOCK_RAW && c.flow.family && is_disguised(&c.flow, sk, g->spd_netns))
		c.flow.family = 0;
	if (gate(&c, NULL, hook))
		return 1;
	lsm_kick();
	return 0;
}

/* socket_connect(sock, address, addrlen) */
SEC("?lsm_cgroup/socket_connect")
int lsm_connect(__u64 *ctx)
{
	const struct sock *sk = ((const struct socket *)ctx[0])->sk;
	bool seen;

	if (!sk || !(is_inet(sk) || is_roundabout(sk)))
		return 1;
	seen = is_inet(sk) && connect_is_seen(sk);
	if (seen && is_callers(sk))
		return 1;
	return lsm_gate(sk, seen, (const void *)ctx[1], ctx[2], HOOK_LSM_CONNECT);
}

/* socket_sendmsg(sock, msg, size) */
SEC("?lsm_cgroup/socket_sendmsg")
int lsm_sendmsg(__u64 *ctx)
{
	const struct sock *sk = ((const struct socket *)ctx[0])->sk;
	const struct msghdr *msg = (const void *)ctx[1];
	const void *name;
	bool seen;

	if (!sk || !(is_inet(sk) || is_roundabout(sk)))
		return 1;
	name = sendmsg_name(sk, msg);
	seen = is_inet(sk) && sendmsg_is_seen(sk, name);
	if (seen && is_callers(sk))
		return 1;
	return lsm_gate(sk, seen, name, msg->msg_namelen, HOOK_LSM_SENDMSG);
}

#endif
