// SPDX-License-Identifier: GPL-2.0-only
/*
 * What sagate's programs are compared with: a program that only reads its gate (its settings and
 * the caller's network namespace), and one that returns 1.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "abi.h"

struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_STORAGE);
	__type(key, __u64);
	__type(value, struct gate_settings);
} settings SEC(".maps");

static __always_inline int read_gate(struct bpf_sock_addr *ctx)
{
	const struct gate_settings *g = bpf_get_local_storage(&settings, 0);

	return g->mode == MODE_REJECT && bpf_get_netns_cookie(ctx) != g->spd_netns;
}

#define PAIR(hook)                                                                                 \
	SEC("cgroup/" #hook) int gate_##hook(struct bpf_sock_addr *ctx)                            \
	{                                                                                          \
		return read_gate(ctx);                                                             \
	}                                                                                          \
	SEC("cgroup/" #hook) int one_##hook(struct bpf_sock_addr *ctx)                             \
	{                                                                                          \
		return ctx != NULL;                                                                \
	}

PAIR(connect4)
PAIR(connect6)
PAIR(sendmsg4)
PAIR(sendmsg6)

SEC("cgroup_skb/egress")
int one_egress(struct __sk_buff *ctx)
{
	return ctx != NULL;
}

char LICENSE[] SEC("license") = "GPL";
