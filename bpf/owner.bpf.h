/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the kernel knows of a packet and of the socket that owns it, beyond what it shows to a
 * program: read from its own structures, most of it only when a packet is about to be dropped.
 */
#ifndef SAGATE_OWNER_BPF_H
#define SAGATE_OWNER_BPF_H

/* include/net/ip.h, include/linux/ipv6.h */
#define IPSKB_XFRM_TRANSFORMED	4
#define IP6SKB_XFRM_TRANSFORMED 1

/* include/net/dst.h, include/linux/skbuff.h */
#define DST_NOXFRM    2
#define SKB_DST_NOREF 1ULL

/* include/linux/net.h */
#define SOCK_DGRAM 2
#define SOCK_RAW   3

#define XFRM_POLICY_OUT	  1
#define XFRM_POLICY_ALLOW 0

/* Never a program's: what it reads is what the kernel read when it sent the packet. */
#define read_kernel(to, from) bpf_core_read(&(to), sizeof(to), &(from))

/*
 * xfrm_output() has had this packet: it marks each one, with what no program can write. So ESP and
 * AH of a raw socket are told from the kernel's own, without a list of SPIs, which would lag behind
 * the kernel by a moment: the first packet of a new SA would be lost.
 */
static __always_inline bool is_transformed(struct __sk_buff *skb, __u8 family)
{
	const void *cb = __builtin_preserve_access_index(&((struct sk_buff *)skb)->cb);
	__u16 flags = 0;

	if (family == AF_INET) {
		read_kernel(flags, ((struct inet_skb_parm *)cb)->flags);
		return flags & IPSKB_XFRM_TRANSFORMED;
	}
	read_kernel(flags, ((struct inet6_skb_parm *)cb)->flags);
	return flags & IP6SKB_XFRM_TRANSFORMED;
}

/* Only what netfilter tracks is translated (nf_nat_inet_fn()). */
static __always_inline bool is_tracked(struct __sk_buff *skb)
{
	const struct sk_buff *kernel = (const struct sk_buff *)skb;
	unsigned long nfct = 0;

	if (!bpf_core_field_exists(kernel->_nfct))
		return false;
	read_kernel(nfct, kernel->_nfct);
	return nfct != 0;
}

enum dst_says {
	DST_SAYS_NOTHING,
	DST_SAYS_EXEMPT, /* the device has disable_xfrm: nobody asked the policies */
	DST_SAYS_XFRM,	 /* the policies were asked again behind NAT: it is transformed next */
};

/* See __ip_finish_output(), "Policy lookup after SNAT yielded a new policy". */
static __always_inline enum dst_says dst_says(struct __sk_buff *skb)
{
	const struct dst_entry *dst;
	unsigned short flags = 0;
	unsigned long ref = 0;
	void *xfrm = NULL;

	read_kernel(ref, ((struct sk_buff *)skb)->_skb_refdst);
	dst = (void *)(ref & ~SKB_DST_NOREF);
	if (!dst)
		return DST_SAYS_NOTHING;
	read_kernel(xfrm, dst->xfrm);
	if (xfrm)
		return DST_SAYS_XFRM;
	read_kernel(flags, dst->flags);
	return flags & DST_NOXFRM ? DST_SAYS_EXEMPT : DST_SAYS_NOTHING;
}

/*
 * It is sent on a device that gives it back to the IP layer, which asks the policies again: it
 * comes here once more. An xfrm interface drops what finds no SA (xfrmi_xmit2()); a VRF device
 * routes anew (vrf_process_v4_outbound()).
 */
static __always_inline bool comes_again(struct __sk_buff *skb)
{
	const struct rtnl_link_ops *ops = NULL;
	const struct net_device *dev = NULL;
	const char *name = NULL;
	union {
		char text[8];
		__u64 word;
	} kind = {}, xfrm = {"xfrm"}, vrf = {"vrf"};

	read_kernel(dev, ((struct sk_buff *)skb)->dev);
	read_kernel(ops, dev->rtnl_link_ops);
	if (!ops)
		return false;
	read_kernel(name, ops->kind);
	bpf_probe_read_kernel_str(kind.text, sizeof(kind.text), name);
	return kind.word == xfrm.word || kind.word == vrf.word;
}

/* The socket, whole also of a SYN-ACK (sk_to_full_sk()). */
static __always_inline const struct sock *owner_of(struct __sk_buff *skb)
{
	const struct sock *sk = NULL;

	read_kernel(sk, ((struct sk_buff *)skb)->sk);
	return sk;
}

/* Cookie of the network namespace: newer kernels only have a helper for it here. */
static __always_inline __u64 netns_of(const struct sock *sk)
{
	const struct net *net = NULL;
	__u64 cookie = 0;

	read_kernel(net, sk->__sk_common.skc_net.net);
	if (net)
		read_kernel(cookie, net->net_cookie);
	return cookie;
}

/*
 * The socket has a policy of its own that lets it send in clear over that family: the kernel asks
 * that one first (xfrm_sk_policy_lookup()). IKE daemons give it to the sockets they negotiate on,
 * TCP's too; it takes CAP_NET_ADMIN.
 */
static __noinline bool has_bypass(const struct sock *sk, __u16 family)
{
	const struct xfrm_policy *policy = NULL;
	__u8 action = ~0, templates = ~0;
	__u16 of = 0;

	read_kernel(policy, sk->sk_policy[XFRM_POLICY_OUT]);
	if (!policy)
		return false;
	read_kernel(of, policy->family);
	read_kernel(action, policy->action);
	read_kernel(templates, policy->xfrm_nr);
	return of == family && action == XFRM_POLICY_ALLOW && !templates;
}

static __always_inline bool is_kernels(const struct sock *sk)
{
	return BPF_CORE_READ_BITFIELD_PROBED(sk, sk_kern_sock);
}

/*
 * The kernel sends resets and ICMP of every network namespace on the same few sockets, each time
 * with another one set (inet_ctl_sock_create(), icmp_xmit_lock()).
 */
static __always_inline bool is_shared(const struct sock *owner, const struct bpf_sock *sk)
{
	return sk->type == SOCK_RAW && is_kernels(owner);
}

/*
 * The thread that runs here, and what else helpers would say of it: they are not for these programs
 * on every kernel.
 */
static __always_inline const struct task_struct *current_task(void)
{
	return (const struct task_struct *)bpf_get_current_task();
}

static __always_inline __u64 cgroup_of(const struct task_struct *task)
{
	const struct css_set *set = NULL;
	const struct cgroup *cgroup = NULL;
	const struct kernfs_node *node = NULL;
	__u64 id = 0;

	read_kernel(set, task->cgroups);
	read_kernel(cgroup, set->dfl_cgrp);
	read_kernel(node, cgroup->kn);
	read_kernel(id, node->id);
	return id;
}

/*
 * Is the thread that runs here the one that sends? Sockets of TCP, SCTP and DCCP also send when a
 * timer or the peer says so, in the middle of any thread, but not while one has them locked. The
 * others send for their callers only; those of the kernel itself (resets, answers to pings) for
 * nobody.
 */
static __always_inline bool is_sender(const struct sock *owner, const struct bpf_sock *sk)
{
	int owned = 0;

	if (is_kernels(owner))
		return false;
	if (sk->protocol != IPPROTO_TCP && sk->protocol != IPPROTO_SCTP &&
	    sk->protocol != IPPROTO_DCCP)
		return true;
	read_kernel(owned, owner->sk_lock.owned);
	return owned;
}

#endif
