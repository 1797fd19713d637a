/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A world in which decide() is asked: a space whose policies, SAs and routes the test makes, and
 * what is asked most. Include it behind cmocka.h.
 */
#ifndef ASKED_H
#define ASKED_H

#include "boot_time.h"
#include "here.h"

enum { COOKIE = 0x5a6a7e };

static struct bpf *bpf;
static struct map_sink sink;
static __u32 slot;
static struct spd *spd;
static struct sad *sad;
static char pin[64];

static const char *const reasons[] = {
#define X(n, v, s, t) [REASON_##n] = s,
	SAGATE_REASONS(X)
#undef X
};

static inline struct space_state *state(void)
{
	return sink.state(sink.ctx, slot);
}

static inline int start(void **unused)
{
	(void)unused;
	here_pin("unit", pin);
	return here_open(pin, NULL, &bpf, &sink);
}

static inline int stop(void **unused)
{
	(void)unused;
	return here_close(bpf, pin);
}

static inline int setup(void **unused)
{
	(void)unused;
	if (here_space(bpf, &sink, COOKIE, &slot, &spd, &sad))
		return -1;
	here_route(&sink, slot, "2001:db8::1", AF_INET6);
	return bpf_space_commit(bpf, slot, COOKIE);
}

static inline int teardown(void **unused)
{
	(void)unused;
	spd_free(spd);
	sad_free(sad);
	bpf_space_close(bpf, slot);
	return 0;
}

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
	struct sa_info s = {
		.spi = htonl(0xc0ffee),
		.reqid = 7,
		.family = AF_INET,
		.proto = IPPROTO_ESP,
		.mode = XFRM_MODE_TRANSPORT,
		.pcpu = SAGATE_PCPU_ANY,
	};

	here_addr("192.0.2.1", s.saddr);
	here_addr("192.0.2.2", s.daddr);
	s.life.hard_bytes = s.life.soft_bytes = XFRM_INF;
	s.life.hard_packets = s.life.soft_packets = XFRM_INF;
	return s;
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
		assert_string_equal(reasons[ask_as(&f_, &gate).reason], reasons[REASON_##want]);   \
	} while (0)

static inline void put(const struct policy_info *p)
{
	assert_int_equal(spd_put(spd, CLASS_MAIN, p), 1);
}

static inline void require(const char *dst, __u8 len, bool exempt, __u32 priority)
{
	struct policy_info p = policy("0.0.0.0", 0, dst, len);

	p.action = exempt ? XFRM_POLICY_ALLOW : XFRM_POLICY_BLOCK;
	p.priority = priority;
	assert_int_equal(spd_put(spd, CLASS_REQUIRE, &p), 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
