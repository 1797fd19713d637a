/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What decide() is asked most, in one space. Include it behind cmocka.h.
 */
#ifndef ASKED_H
#define ASKED_H

#include "flow_json.h"
#include "one_space.h"

static inline struct policy_info policy(const char *src, __u8 src_len, const char *dst,
					__u8 dst_len)
{
	static __u32 index = 100;
	struct policy_info p = {.index = index += 8, .priority = 1000};

	p.sel.family = strchr(dst, ':') ? AF_INET6 : AF_INET;
	here_addr(src, p.sel.saddr);
	here_addr(dst, p.sel.daddr);
	p.sel.src_len = src_len;
	p.sel.dst_len = dst_len;
	return p;
}

static inline void add_tmpl(struct policy_info *p, __u8 mode, __u32 reqid, __u8 proto)
{
	struct spd_tmpl *t = &p->tmpl[p->tmpl_count++];

	t->mode = mode;
	t->reqid = reqid;
	t->proto = proto;
	t->family = p->sel.family;
}

/* A trap in transport mode, host to host. */
static inline struct policy_info trap(void)
{
	struct policy_info p = policy("192.0.2.1", 32, "192.0.2.2", 32);

	add_tmpl(&p, XFRM_MODE_TRANSPORT, 7, IPPROTO_ESP);
	return p;
}

/* The SA that fits it. */
static inline struct sa_info sa(void)
{
	return sa_of(0xc0ffee, "192.0.2.1", "192.0.2.2");
}

static inline struct flow flow(const char *dst, __u16 port)
{
	struct flow f = {.netns = COOKIE, .proto = IPPROTO_TCP, .dport = htons(port)};

	f.family = strchr(dst, ':') ? AF_INET6 : AF_INET;
	here_addr(dst, f.daddr);
	return f;
}

static struct gate_settings gate = {.cgroup_id = 1, .allow_no_policy = 1};

static inline struct decision ask_as(const struct flow *f, const struct gate_settings *g)
{
	struct ask a = {.flow = *f, .gate = *g};

	bpf_heartbeat(bpf);
	assert_int_equal(bpf_ask(bpf, &a), 0);
	return a.decision;
}

#define assert_reason(f, want)                                                                     \
	do {                                                                                       \
		struct flow f_ = (f);                                                              \
		assert_string_equal(reason_name(ask_as(&f_, &gate).reason),                        \
				    reason_name(REASON_##want));                                   \
	} while (0)

static inline void require(const char *dst, __u8 len, bool exempt, __u32 priority)
{
	struct policy_info p = policy("0.0.0.0", 0, dst, len);

	p.action = exempt ? XFRM_POLICY_ALLOW : XFRM_POLICY_BLOCK;
	p.priority = priority;
	assert_int_equal(spd_put(spd, CLASS_REQUIRE, &p), 1);
}

#endif
