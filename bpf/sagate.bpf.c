// SPDX-License-Identifier: GPL-2.0-only
/*
 * sagate's programs: each hook makes one flow of its context and asks gate(), which asks decide().
 * ask is the same decide() for userspace.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include "abi.h"
#include "held_calls.h"
#include "maps.bpf.h"
#include "share.bpf.h"
#include "flow.bpf.h"
#include "packet.bpf.h"
#include "route.bpf.h"
#include "spd.bpf.h"
#include "sad.bpf.h"
#include "call.bpf.h"
#include "check.bpf.h"
#include "again.bpf.h"
#include "decide.bpf.h"
#include "recent.bpf.h"
#include "hold.bpf.h"
#include "kick.bpf.h"
#include "signals.bpf.h"
#include "owner.bpf.h"
#include "gate.bpf.h"
#include "lsm.bpf.h"
#include "guard.bpf.h"
#include "sockopt.bpf.h"

SEC("cgroup/connect4")
int gate_connect4(struct bpf_sock_addr *ctx)
{
	struct call c;

	__builtin_memset(&c.flow, 0, sizeof(c.flow));
	flow_connect4(&c.flow, ctx);
	return gate(&c, ctx, HOOK_CONNECT4);
}

SEC("cgroup/connect6")
int gate_connect6(struct bpf_sock_addr *ctx)
{
	struct call c;

	__builtin_memset(&c.flow, 0, sizeof(c.flow));
	flow_connect6(&c.flow, ctx);
	return gate(&c, ctx, HOOK_CONNECT6);
}

SEC("cgroup/sendmsg4")
int gate_sendmsg4(struct bpf_sock_addr *ctx)
{
	struct call c;

	__builtin_memset(&c.flow, 0, sizeof(c.flow));
	flow_sendmsg4(&c.flow, ctx);
	return gate(&c, ctx, HOOK_SENDMSG4);
}

SEC("cgroup/sendmsg6")
int gate_sendmsg6(struct bpf_sock_addr *ctx)
{
	struct call c;

	__builtin_memset(&c.flow, 0, sizeof(c.flow));
	flow_sendmsg6(&c.flow, ctx);
	return gate(&c, ctx, HOOK_SENDMSG6);
}

SEC("cgroup/setsockopt")
int gate_setsockopt(struct bpf_sockopt *ctx)
{
	struct call c;
	int says;

	__builtin_memset(&c.flow, 0, sizeof(c.flow));
	says = flow_sockopt(&c.flow, ctx);
	if (says == OPTION_OTHER)
		ctx->optlen = 0;
	if (says == OPTION_OTHER || says == OPTION_SHORT)
		return 1;
	return gate(&c, NULL, HOOK_SETSOCKOPT);
}

SEC("cgroup_skb/egress")
int gate_egress(struct __sk_buff *skb)
{
	return skb->ifindex == LOOPBACK_IFINDEX || guard(skb);
}

SEC("syscall")
int ask(struct ask *ctx)
{
	struct call c = {};

	c.flow = ctx->flow;
	decide(&c, &ctx->gate);
	note_failed(&c.decision);
	ctx->flow = c.flow;
	ctx->decision = c.decision;
	ctx->vrf = c.vrf;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
