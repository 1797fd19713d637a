/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel types that the BPF programs use, and no others: small enough to be read. Contexts and
 * map types are stable kernel interfaces (include/uapi/linux/bpf.h); a structure that is not must
 * carry preserve_access_index, so that libbpf relocates its fields for the running kernel.
 */
#ifndef __VMLINUX_H__
#define __VMLINUX_H__

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef signed char __s8;
typedef short __s16;
typedef int __s32;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u64 __be64;
typedef __u32 __wsum;
typedef _Bool bool;

#define NULL ((void *)0)

enum { false = 0, true = 1 };

/* enum bpf_map_type */
enum {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_CGROUP_STORAGE = 19,
	BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE = 21,
	BPF_MAP_TYPE_RINGBUF = 27,
};

/* BPF_MAP_CREATE and BPF_MAP_UPDATE_ELEM flags */
enum {
	BPF_ANY = 0,
	BPF_NOEXIST = 1,
	BPF_F_NO_PREALLOC = 1U << 0,
	BPF_F_MMAPABLE = 1U << 10,
};

/* The socket as cgroup programs see it. Byte order: ports and addresses network, the rest host. */
struct bpf_sock {
	__u32 bound_dev_if, family, type, protocol;
	__u32 mark, priority;
	__u32 src_ip4;
	__u32 src_ip6[4];
	__u32 src_port; /* host byte order */
	__be16 dst_port;
	__u16 : 16;
	__u32 dst_ip4;
	__u32 dst_ip6[4];
	__u32 state;
	__s32 rx_queue_mapping;
};

/* Context of cgroup_skb. */
struct __sk_buff {
	__u32 len, pkt_type, mark, queue_mapping;
	__u32 protocol; /* network byte order */
	__u32 vlan_present, vlan_tci, vlan_proto;
	__u32 priority, ingress_ifindex, ifindex, tc_index;
	__u32 cb[5], hash, tc_classid, data, data_end, napi_id, family;
	__be32 remote_ip4, local_ip4;
	__be32 remote_ip6[4], local_ip6[4];
	__u32 remote_port, local_port;
	__u32 data_meta;
	__u64 flow_keys;
	__u64 tstamp;
	__u32 wire_len;
	__u32 gso_segs;
	union {
		struct bpf_sock *sk;
		__u64 : 64;
	} __attribute__((aligned(8)));
};

/* Context of connect4/6 and sendmsg4/6. */
struct bpf_sock_addr {
	__u32 user_family;
	__u32 user_ip4;
	__u32 user_ip6[4];
	__u32 user_port; /* network byte order, in the low 16 bits */
	__u32 family, type, protocol;
	__u32 msg_src_ip4;
	__u32 msg_src_ip6[4];
	union {
		struct bpf_sock *sk;
		__u64 : 64;
	} __attribute__((aligned(8)));
};

/* Context of cgroup/setsockopt. */
struct bpf_sockopt {
	struct bpf_sock *sk;
	void *optval, *optval_end;
	__s32 level, optname, optlen, retval;
};

/*
 * The rest is no stable interface: libbpf finds each field in the running kernel's BTF.
 */
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* What a thread had in its registers when it entered the kernel (x86). */
struct pt_regs {
	unsigned long r10, cx, dx, si, di, bx;
	unsigned long orig_ax; /* number of the system call */
	unsigned long ip, sp;
};

struct net {
	__u64 net_cookie;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct in6_addr {
	union {
		__be32 u6_addr32[4];
	} in6_u;
};

struct sock_common {
	possible_net_t skc_net;
	__be32 skc_daddr, skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num; /* host byte order; of raw sockets the protocol */
	unsigned short skc_family;
	volatile unsigned char skc_state;
	__u8 : 8;
	int skc_bound_dev_if;
	struct in6_addr skc_v6_daddr, skc_v6_rcv_saddr;
	__u32 : 32;
};

struct kernfs_node {
	__u64 id;
};

struct cgroup;

struct cgroup_subsys_state {
	struct cgroup *cgroup;
	struct cgroup_subsys_state *parent;
};

struct cgroup {
	struct cgroup_subsys_state self;
	struct kernfs_node *kn;
};

struct css_set {
	struct cgroup *dfl_cgrp; /* in v2 */
};

struct sock_cgroup_data {
	struct cgroup *cgroup; /* in which the socket was made */
};

typedef struct {
	int owned;
} socket_lock_t;

struct xfrm_policy {
	__u16 family;
	__u8 action;
	__u8 xfrm_nr; /* templates */
};

struct sock {
	struct sock_common __sk_common;
	socket_lock_t sk_lock;
	struct xfrm_policy *sk_policy[2]; /* its own, by direction */
	__u8 sk_kern_sock : 1;
	long sk_sndtimeo; /* jiffies */
	__u16 sk_type, sk_protocol;
	__u32 sk_mark;
	struct sock_cgroup_data sk_cgrp_data;
};

/* What the context of a sock_addr program is for the kernel. */
struct bpf_sock_addr_kern {
	struct sock *sk;
};

struct inet_sock {
	unsigned long inet_flags;
};

/* Linux 6.1 to 6.5 */
struct inet_sock___bits {
	__u8 hdrincl : 1;
};

struct msghdr {
	void *msg_name;
	int msg_namelen;
	unsigned int msg_flags;
};

struct rtnl_link_ops {
	const char *kind;
};

struct net_device {
	const struct rtnl_link_ops *rtnl_link_ops;
};

struct dst_entry {
	void *xfrm;
	unsigned short flags;
};

struct sk_buff {
	struct sock *sk;
	struct net_device *dev;
	unsigned long _skb_refdst, _nfct;
	char cb[48]; /* in the IP layer one of the next two */
};

struct inet_skb_parm {
	__u16 flags;
};

struct inet6_skb_parm {
	__u16 flags;
};

struct socket {
	struct sock *sk;
};

struct inode {
	unsigned short i_mode;
};

struct file {
	struct inode *f_inode;
	unsigned int f_flags;
	void *private_data; /* of a socket's file: its struct socket */
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct sigaction {
	void *sa_handler;
	unsigned long sa_flags;
};

struct k_sigaction {
	struct sigaction sa;
};

struct sighand_struct {
	struct k_sigaction action[64];
};

struct task_struct {
	struct thread_info {
		__u32 status;
	} thread_info;
	unsigned int flags;
	int pid, tgid;
	struct css_set *cgroups;
	__u64 start_boottime; /* ns */
	char comm[16];
	struct files_struct *files;
	struct sighand_struct *sighand;
	unsigned long jobctl;
	void *task_works;
};

struct bpf_map {
	__u32 max_entries;
};

#pragma clang attribute pop

/* A map's value has one of these; what is in it is the kernel's (include/uapi/linux/bpf.h). */
struct bpf_task_work {
	__u64 __opaque;
} __attribute__((aligned(8)));

#endif
