// SPDX-License-Identifier: GPL-2.0-only
/*
 * decide(), as the kernel runs it, over maps that this test fills: SAs can stand here that this
 * machine's kernel could not make. Needs root and BPF.
 */
/* needs: loader/bpf.c loader/bpf_kick.c loader/bpf_resize.c loader/bpf_batch.c loader/bpf_space.c
 * needs: loader/bpf_lsm.c loader/bpf_pins.c loader/bpf_adopt.c
 */
/* needs: loader/shadow.c */
/* needs: loader/mirror_store.c loader/xfrm_msg.c */
/* needs: loader/spd.c loader/spd_group.c loader/spd_image.c loader/spd_masks.c */
/* needs: loader/sad.c loader/sad_group.c loader/sad_life.c loader/sad_slots.c */
/* needs: loader/error.c loader/log.c */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

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

static struct space_state *state(void)
{
	return sink.state(sink.ctx, slot);
}

static int start(void **unused)
{
	(void)unused;
	here_pin("unit", pin);
	return here_open(pin, NULL, &bpf, &sink);
}

static int stop(void **unused)
{
	(void)unused;
	return here_close(bpf, pin);
}

static int setup(void **unused)
{
	(void)unused;
	if (here_space(bpf, &sink, COOKIE, &slot, &spd, &sad))
		return -1;
	here_route(&sink, slot, "2001:db8::1", AF_INET6);
	return bpf_space_commit(bpf, slot, COOKIE);
}

static int teardown(void **unused)
{
	(void)unused;
	spd_free(spd);
	sad_free(sad);
	bpf_space_close(bpf, slot);
	return 0;
}

static struct policy_info policy(const char *src, __u8 src_len, const char *dst, __u8 dst_len)
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

static void add_tmpl(struct policy_info *p, __u8 mode, __u32 reqid, __u8 proto)
{
	struct spd_tmpl *t = &p->tmpl[p->tmpl_count++];

	t->mode = mode;
	t->reqid = reqid;
	t->proto = proto;
	t->family = p->sel.family;
}

/* A trap in transport mode, host to host. */
static struct policy_info trap(void)
{
	struct policy_info p = policy("192.0.2.1", 32, "192.0.2.2", 32);

	add_tmpl(&p, XFRM_MODE_TRANSPORT, 7, IPPROTO_ESP);
	return p;
}

/* The SA that fits it. */
static struct sa_info sa(void)
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

static struct flow flow(const char *dst, __u16 port)
{
	struct flow f = {.netns = COOKIE, .proto = IPPROTO_TCP, .dport = htons(port)};

	f.family = strchr(dst, ':') ? AF_INET6 : AF_INET;
	here_addr(dst, f.daddr);
	return f;
}

static struct gate_settings gate = {.cgroup_id = 1, .allow_no_policy = 1};

static struct decision ask_as(const struct flow *f, const struct gate_settings *g)
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

static void put(const struct policy_info *p)
{
	assert_int_equal(spd_put(spd, CLASS_MAIN, p), 1);
}

static void test_without_a_policy(void **unused)
{
	struct gate_settings strict = {.cgroup_id = 1}, unset = {};
	struct flow f = flow("192.0.2.2", 80);

	(void)unused;
	assert_reason(f, NO_POLICY);
	assert_int_equal(ask_as(&f, &strict).reason, REASON_NO_POLICY_DENY);
	assert_int_equal(ask_as(&f, &unset).reason, REASON_GATE_UNSET);
	f.netns++;
	assert_reason(f, NO_SPACE);
	f.netns--;
	state()->default_block = 1;
	assert_reason(f, DEFAULT_BLOCK);
}

static void test_a_template_needs_its_sa(void **unused)
{
	struct policy_info p = trap();
	struct sa_info s = sa();
	struct flow f = flow("192.0.2.2", 80);
	struct decision d;

	(void)unused;
	put(&p);
	assert_reason(f, NO_SA);
	assert_reason(flow("192.0.2.3", 80), NO_POLICY);
	assert_int_equal(sad_put(sad, &s), 1);
	d = ask_as(&f, &gate);
	assert_int_equal(d.verdict, VERDICT_PROTECTED);
	assert_int_equal(d.spi[0], s.spi);
	assert_int_equal(d.main_index, p.index);
	sad_del(sad, &s);
	d = ask_as(&f, &gate);
	assert_int_equal(d.verdict, VERDICT_WAIT);
	assert_int_equal(d.neg.index, p.index);
	assert_int_equal(d.neg.peer[0], f.daddr[0]);
}

/* Each row spoils one condition of an SA that would fit: xfrm_state_look_at. */
static void test_each_condition_of_an_sa(void **unused)
{
	struct policy_info p = trap();
	struct sa_info s;
	struct flow f = flow("192.0.2.2", 80);

	(void)unused;
	p.tmpl[0].spi = htonl(0xc0ffee);
	put(&p);
#define SPOIL(change, want)                                                                        \
	s = sa();                                                                                  \
	change;                                                                                    \
	assert_int_equal(sad_put(sad, &s), 1);                                                     \
	assert_reason(f, want);                                                                    \
	sad_del(sad, &s)
	SPOIL(, SA);
	SPOIL(s.reqid = 8, NO_SA);
	SPOIL(s.reqid = 0, NO_SA);
	SPOIL(s.mode = XFRM_MODE_TUNNEL, NO_SA);
	SPOIL(s.proto = IPPROTO_AH, NO_SA);
	SPOIL(s.if_id = 1, NO_SA);
	SPOIL(here_addr("192.0.2.9", s.daddr), NO_SA);
	SPOIL(here_addr("192.0.2.9", s.saddr), SA_SOURCE);
	SPOIL(memset(s.saddr, 0, 16), SA);
	SPOIL(s.spi = htonl(0xbad), SA_SPI);
	SPOIL(s.mark = 1; s.mark_mask = 1, SA_MARK);
	SPOIL(s.sel.family = AF_INET6, SA_SELECTOR);
	SPOIL(s.sel.family = AF_INET; s.sel.proto = IPPROTO_UDP, SA_SELECTOR);
	SPOIL(s.sel.family = AF_INET; s.sel.proto = IPPROTO_TCP, SA);
	SPOIL(s.sel.family = AF_INET; s.sel.dport = htons(81);
	      s.sel.dport_mask = 0xffff, SA_SELECTOR);
	SPOIL(s.sel.family = AF_INET; s.sel.dport = htons(80); s.sel.dport_mask = 0xffff, SA);
	SPOIL(s.sel.family = AF_INET; s.sel.ifindex = HERE_DEV + 1, SA_SELECTOR);
	SPOIL(s.sel.family = AF_INET; s.sel.ifindex = HERE_DEV, SA);
	SPOIL(s.life.hard_add = 1; s.life.add_time = 1, SA_EXPIRED);
	SPOIL(s.flags = XFRM_STATE_WILDRECV, NO_SA);
	SPOIL(s.dir = SAGATE_SA_DIR_IN, NO_SA);
	SPOIL(s.pcpu = 0, NO_SA);
#undef SPOIL
}

static void test_the_first_condition_names_the_sa_that_came_furthest(void **unused)
{
	struct policy_info p = trap();
	struct sa_info s = sa();

	(void)unused;
	p.tmpl[0].spi = htonl(0x1234);
	put(&p);
	s.sel.family = AF_INET;
	s.sel.proto = IPPROTO_UDP;
	s.spi = htonl(0x1234);
	sad_put(sad, &s);
	s = sa();
	sad_put(sad, &s);
	assert_reason(flow("192.0.2.2", 80), SA_SELECTOR);
}

static void test_a_tunnel_has_its_own_addresses(void **unused)
{
	struct policy_info p = policy("192.0.2.1", 32, "203.0.113.0", 24);
	struct sa_info s = sa();
	struct decision d;
	struct flow f = flow("203.0.113.9", 80);

	(void)unused;
	add_tmpl(&p, XFRM_MODE_TUNNEL, 7, IPPROTO_ESP);
	here_addr("192.0.2.1", p.tmpl[0].saddr);
	here_addr("192.0.2.2", p.tmpl[0].daddr);
	put(&p);
	d = ask_as(&f, &gate);
	assert_int_equal(d.reason, REASON_NO_SA);
	assert_int_equal(d.neg.peer[0], p.tmpl[0].daddr[0]);
	sad_put(sad, &s);
	assert_reason(f, NO_SA); /* transport */
	sad_del(sad, &s);
	s.mode = XFRM_MODE_TUNNEL;
	sad_put(sad, &s);
	assert_reason(f, SA);
	/* without a source in the template, routing's */
	memset(p.tmpl[0].saddr, 0, 16);
	put(&p);
	assert_reason(f, SA);
	here_route(&sink, slot, "192.0.2.77", AF_INET);
	f.has_saddr = KNOWN_BOUND;
	here_addr("192.0.2.1", f.saddr);
	assert_reason(f, SA_SOURCE);
	/* a route that names a source (IPv6) does so for packets, not for tunnels */
	here_route_as(&sink, slot, "192.0.2.1", AF_INET, true);
	assert_reason(f, SOURCE_UNKNOWN);
	p.tmpl[0].optional = 1;
	put(&p);
	assert_reason(f, SOURCE_UNKNOWN);
	p.tmpl[0].optional = 0;
	put(&p);
	sad_del(sad, &s);
	memset(s.saddr, 0, 16);
	sad_put(sad, &s);
	assert_reason(f, SA);
}

static void test_templates_all_but_the_optional_ones_need_an_sa(void **unused)
{
	struct policy_info p = policy("192.0.2.1", 32, "192.0.2.2", 32);
	struct sa_info esp = sa(), comp = sa();
	struct flow f = flow("192.0.2.2", 80);

	(void)unused;
	comp.proto = IPPROTO_COMP;
	comp.spi = htonl(5);
	add_tmpl(&p, XFRM_MODE_TRANSPORT, 7, IPPROTO_COMP);
	p.tmpl[0].optional = 1;
	put(&p);
	assert_reason(f, POLICY_OPTIONAL);
	sad_put(sad, &comp);
	/* compressed is not protected, but it is what the policy wants */
	assert_reason(f, COMPRESSED);
	add_tmpl(&p, XFRM_MODE_TRANSPORT, 7, IPPROTO_ESP);
	put(&p);
	assert_reason(f, NO_SA);
	assert_int_equal(ask_as(&f, &gate).tmpl, 1);
	sad_put(sad, &esp);
	assert_reason(f, SA);
	sad_del(sad, &comp);
	assert_reason(f, SA);
	p.tmpl[0].optional = 0;
	put(&p);
	assert_reason(f, NO_SA);
	assert_int_equal(ask_as(&f, &gate).tmpl, 0);
	add_tmpl(&p, XFRM_MODE_TRANSPORT, 7, IPPROTO_AH);
	put(&p);
	assert_reason(f, TEMPLATE_LIMIT);
}

/* Of one priority: in one of the kernel's lists the older, across them one that blocks, or neither.
 */
static void test_on_a_tie_the_older_one_wins_where_that_is_known(void **unused)
{
	struct policy_info old = policy("0.0.0.0", 0, "192.0.2.0", 24);
	struct policy_info young = policy("0.0.0.0", 0, "192.0.2.2", 32);
	struct policy_info exact = policy("192.0.2.1", 32, "192.0.2.2", 32);
	struct flow f = flow("192.0.2.2", 80);

	(void)unused;
	add_tmpl(&young, XFRM_MODE_TRANSPORT, 7, IPPROTO_ESP);
	put(&old);
	put(&young);
	assert_true(old.index < young.index);
	assert_reason(f, POLICY_ALLOW);
	put(&exact);
	assert_reason(f, POLICY_ALLOW);
	add_tmpl(&exact, XFRM_MODE_TRANSPORT, 8, IPPROTO_ESP);
	put(&exact);
	assert_reason(f, POLICY_TIE);
	spd_del(spd, CLASS_MAIN, exact.index); /* the same one would be a trap that blocks */
	exact.action = XFRM_POLICY_BLOCK;
	put(&exact);
	assert_reason(f, POLICY_BLOCK);
	spd_del(spd, CLASS_MAIN, exact.index);
	/* a new priority puts it behind all that have it */
	old.priority = young.priority + 1;
	put(&old);
	assert_reason(f, NO_SA);
	old.priority = young.priority;
	put(&old);
	assert_reason(f, POLICY_TIE);
}

/* Of the two in one list the older counts, or the third: which is not to be seen. */
static void test_what_an_older_one_hides_says_nothing_in_a_tie(void **unused)
{
	static const int orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
					{1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
	struct policy_info p[3] = {policy("192.0.2.1", 32, "192.0.2.2", 32),
				   policy("192.0.2.1", 32, "192.0.2.2", 32),
				   policy("0.0.0.0", 0, "192.0.2.0", 24)};
	struct flow f = flow("192.0.2.2", 80);

	(void)unused;
	p[1].sel.proto = IPPROTO_TCP;
	p[1].action = XFRM_POLICY_BLOCK;
	add_tmpl(&p[2], XFRM_MODE_TRANSPORT, 7, IPPROTO_ESP);
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		for (int k = 0; k < 3; k++)
			put(&p[orders[i][k]]);
		assert_reason(f, POLICY_TIE);
		for (int k = 0; k < 3; k++)
			spd_del(spd, CLASS_MAIN, p[k].index);
	}
}

static void test_the_lowest_priority_wins(void **unused)
{
	struct policy_info narrow = policy("0.0.0.0", 0, "192.0.2.2", 32);
	struct policy_info wide = policy("0.0.0.0", 0, "192.0.2.0", 24);
	struct flow f = flow("192.0.2.2", 80);

	(void)unused;
	wide.action = XFRM_POLICY_BLOCK;
	put(&narrow);
	put(&wide);
	assert_reason(f, POLICY_ALLOW);
	narrow.priority = 999;
	put(&narrow);
	assert_reason(f, POLICY_ALLOW);
	narrow.priority = 1001;
	put(&narrow);
	assert_reason(f, POLICY_BLOCK);
	spd_del(spd, CLASS_MAIN, wide.index);
	assert_reason(f, POLICY_ALLOW);
	assert_reason(flow("192.0.2.3", 80), NO_POLICY);
}

static void test_selectors(void **unused)
{
	struct policy_info p = policy("0.0.0.0", 0, "192.0.2.2", 32);
	struct flow f = flow("192.0.2.2", 80);

	(void)unused;
	p.action = XFRM_POLICY_BLOCK;
#define SELECT(change, undo, want)                                                                 \
	change;                                                                                    \
	spd_put(spd, CLASS_MAIN, &p);                                                              \
	assert_reason(f, want);                                                                    \
	undo
	SELECT(p.sel.proto = IPPROTO_TCP, , POLICY_BLOCK);
	SELECT(p.sel.proto = IPPROTO_UDP, p.sel.proto = 0, NO_POLICY);
	SELECT(p.sel.dport = htons(80); p.sel.dport_mask = 0xffff, , POLICY_BLOCK);
	SELECT(p.sel.dport = htons(64); p.sel.dport_mask = htons(0xffc0), , POLICY_BLOCK);
	SELECT(p.sel.dport = htons(81); p.sel.dport_mask = 0xffff, p.sel.dport_mask = 0, NO_POLICY);
	p.sel.dport = 0;
	SELECT(p.sel.ifindex = HERE_DEV, , POLICY_BLOCK);
	SELECT(p.sel.ifindex = HERE_DEV + 1, p.sel.ifindex = 0, NO_POLICY);
	SELECT(p.mark = 3; p.mark_mask = 0xf, , NO_POLICY);
	SELECT(f.mark = 0x13, , POLICY_BLOCK);
	SELECT(p.mark = 0x13, , NO_POLICY); /* bits outside the mask never match */
	p.mark = p.mark_mask = f.mark = 0;
	SELECT(p.if_id = 1, p.if_id = 0, NO_POLICY);
	SELECT(here_addr("192.0.2.1", p.sel.saddr); p.sel.src_len = 32, , POLICY_BLOCK);
	SELECT(here_addr("192.0.2.9", p.sel.saddr), , NO_POLICY);
#undef SELECT
}

static void test_sub_policies_come_first_and_main_ones_follow(void **unused)
{
	struct policy_info sub = trap(), p = trap();
	struct sa_info s = sa(), other = sa();
	struct flow f = flow("192.0.2.2", 80);

	(void)unused;
	sub.type = XFRM_POLICY_TYPE_SUB;
	sub.tmpl[0].reqid = 9;
	other.reqid = 9;
	other.spi = htonl(9);
	spd_put(spd, CLASS_SUB, &sub);
	assert_reason(f, NO_SA);
	sad_put(sad, &other);
	assert_reason(f, SA);
	put(&p);
	assert_reason(f, NO_SA); /* the MAIN policy's template */
	sad_put(sad, &s);
	assert_reason(f, SA);
	p = policy("192.0.2.1", 32, "192.0.2.2", 32);
	p.priority = 1;
	p.action = XFRM_POLICY_BLOCK;
	put(&p);
	assert_reason(f, POLICY_BLOCK);
}

/* What libreswan 5 does while it negotiates, and what an operator does inside its trap. */
static void test_a_trap_that_blocks_is_waited_for_and_another_block_denies(void **unused)
{
	struct policy_info p = trap(), operators = p;
	struct flow f = flow("192.0.2.2", 80);
	struct decision trapped, held;

	(void)unused;
	put(&p);
	trapped = ask_as(&f, &gate);
	assert_int_equal(trapped.reason, REASON_NO_SA);
	p.action = XFRM_POLICY_BLOCK;
	put(&p);
	held = ask_as(&f, &gate);
	assert_int_equal(held.reason, REASON_TRAP_BLOCK);
	assert_int_equal(held.verdict, VERDICT_WAIT);
	assert_memory_equal(&held.neg, &trapped.neg, sizeof(held.neg)); /* the same negotiation */
	operators.index++;
	operators.priority--;
	operators.action = XFRM_POLICY_BLOCK;
	operators.sel.dport = htons(23);
	operators.sel.dport_mask = 0xffff;
	put(&operators);
	assert_reason(flow("192.0.2.2", 23), POLICY_BLOCK);
	assert_reason(f, TRAP_BLOCK);
	p.action = XFRM_POLICY_ALLOW;
	put(&p);
	assert_reason(f, NO_SA);
	assert_reason(flow("192.0.2.2", 23), POLICY_BLOCK);
}

static void require(const char *dst, __u8 len, bool exempt, __u32 priority)
{
	struct policy_info p = policy("0.0.0.0", 0, dst, len);

	p.action = exempt ? XFRM_POLICY_ALLOW : XFRM_POLICY_BLOCK;
	p.priority = priority;
	assert_int_equal(spd_put(spd, CLASS_REQUIRE, &p), 1);
}

static void test_a_requirement_needs_a_policy_and_its_sa(void **unused)
{
	struct policy_info p = trap();
	struct sa_info s = sa();
	struct flow f = flow("192.0.2.2", 80);
	struct policy_info clear = policy("0.0.0.0", 0, "192.0.2.2", 32);

	(void)unused;
	require("192.0.2.0", 24, false, 100);
	assert_reason(f, REQUIRED_NO_POLICY);
	assert_reason(flow("198.51.100.1", 80), NO_POLICY);
	sad_put(sad, &s);
	assert_reason(f, REQUIRED_NO_POLICY); /* an SA without its policy protects nothing */
	put(&p);
	assert_reason(f, SA);
	clear.priority = 1;
	put(&clear);
	assert_reason(f, REQUIRED_CLEAR);
	require("192.0.2.2", 32, true, 50);
	assert_reason(f, POLICY_ALLOW);
	assert_reason(flow("192.0.2.3", 80), REQUIRED_NO_POLICY);
	/* before the kernel's default */
	state()->default_block = 1;
	assert_reason(flow("192.0.2.3", 80), REQUIRED_NO_POLICY);
	assert_reason(flow("198.51.100.1", 80), DEFAULT_BLOCK);
}

/* A socket without a port is given one behind connect4/6: which, nobody knows yet. */
static void test_a_source_port_that_the_socket_has_not_got_yet(void **unused)
{
	struct policy_info p = trap(), all = policy("0.0.0.0", 0, "0.0.0.0", 0);
	struct flow f = flow("192.0.2.2", 80), bound = f, ping = f;

	(void)unused;
	bound.sport = htons(5001);
	ping.proto = IPPROTO_ICMP;
	p.sel.sport = htons(40000);
	p.sel.sport_mask = htons(0xffff);
	put(&p);
	assert_int_equal(spd_set_ports(spd, 32768, 60999), 0);
	assert_reason(f, SPORT_UNKNOWN);
	assert_reason(bound, NO_POLICY);
	assert_reason(ping, NO_POLICY);
	assert_reason(flow("192.0.2.3", 80), NO_POLICY); /* what it does not select passes */
	all.index = 99;
	all.priority = p.priority;
	put(&all);
	assert_reason(f, SPORT_UNKNOWN);
	all.priority = p.priority - 1;
	put(&all);
	assert_reason(f, POLICY_ALLOW);
	assert_int_equal(spd_del(spd, CLASS_MAIN, all.index), 1);
	/* ports that no socket is given without asking */
	assert_int_equal(spd_set_ports(spd, 50000, 60999), 0);
	assert_reason(f, NO_POLICY);
	assert_int_equal(spd_set_ports(spd, 40000, 40000), 0);
	assert_reason(f, SPORT_UNKNOWN);
	assert_int_equal(spd_del(spd, CLASS_MAIN, p.index), 1);
	assert_reason(f, NO_POLICY);
	/* port 0 is not what it will have */
	p.sel.sport = 0;
	p.sel.sport_mask = htons(0xff00);
	put(&p);
	assert_reason(f, NO_POLICY);
	bound.sport = htons(200);
	assert_reason(bound, NO_SA);
	/* a requirement */
	p.sel.sport_mask = 0;
	assert_int_equal(spd_del(spd, CLASS_MAIN, p.index), 1);
	p.action = XFRM_POLICY_BLOCK;
	p.tmpl_count = 0;
	p.sel.sport = htons(0x9c00);
	p.sel.sport_mask = htons(0xfc00);
	assert_int_equal(spd_put(spd, CLASS_REQUIRE, &p), 1);
	assert_reason(f, SPORT_UNKNOWN);
	assert_int_equal(spd_flush(spd, CLASS_REQUIRE), 1);
	assert_reason(f, NO_POLICY);
}

static void test_a_source_port_that_an_sa_compares(void **unused)
{
	struct policy_info p = trap();
	struct sa_info s = sa();
	struct flow f = flow("192.0.2.2", 80), bound = f;

	(void)unused;
	bound.sport = htons(5001);
	put(&p);
	s.sel.family = AF_INET;
	s.sel.sport = htons(5001);
	s.sel.sport_mask = htons(0xffff);
	sad_put(sad, &s);
	assert_reason(f, SPORT_UNKNOWN);
	assert_reason(bound, SA);
	p.tmpl[0].optional = 1;
	put(&p);
	assert_reason(f, SPORT_UNKNOWN);
	s.spi = htonl(0x77);
	s.sel.family = 0;
	sad_put(sad, &s);
	assert_reason(f, SA);
}

/* The kernel looks for those without a source only when none with it is being made. */
static void test_an_sa_without_a_source_is_not_enough_for_an_optional_template(void **unused)
{
	struct policy_info p = trap();
	struct sa_info s = sa();
	struct flow f = flow("192.0.2.2", 80);

	(void)unused;
	memset(s.saddr, 0, 16);
	sad_put(sad, &s);
	put(&p);
	assert_reason(f, SA);
	p.tmpl[0].optional = 1;
	put(&p);
	assert_reason(f, SA_ANY_SOURCE);
	here_addr("192.0.2.1", s.saddr);
	s.spi = htonl(0x77);
	sad_put(sad, &s);
	assert_reason(f, SA);
}

/* The kernel takes it and then refuses (xfrm_tmpl_resolve_one()). */
static void test_an_sa_that_lets_in_is_worse_than_none_for_an_optional_template(void **unused)
{
	struct policy_info p = trap();
	struct flow f = flow("192.0.2.2", 80);
	struct sa_info s = sa();

	(void)unused;
	s.dir = SAGATE_SA_DIR_IN;
	p.tmpl[0].optional = 1;
	put(&p);
	assert_reason(f, POLICY_OPTIONAL);
	sad_put(sad, &s);
	assert_reason(f, SA_DIRECTION);
	p.tmpl[0].optional = 0;
	put(&p);
	assert_reason(f, NO_SA);
	s.spi = htonl(0x77);
	s.dir = SAGATE_SA_DIR_OUT;
	sad_put(sad, &s);
	assert_reason(f, SA);
}

static void test_what_routing_does_not_say_refuses(void **unused)
{
	struct policy_info p = trap();
	struct flow f = flow("192.0.2.2", 80);

	(void)unused;
	put(&p);
	f.mark = 1;
	assert_reason(f, NO_SA);
	state()->fwmarks = FWMARKS_UNKNOWN;
	assert_reason(f, SOURCE_UNKNOWN);
	f.mark = 0;
	assert_reason(f, NO_SA);
	f.oif = HERE_DEV + 1;
	f.has_oif = KNOWN_BOUND;
	assert_reason(f, SOURCE_UNKNOWN);
	here_addr("192.0.2.9", f.saddr);
	f.has_saddr = KNOWN_BOUND;
	assert_reason(f, NO_POLICY);
	f = flow("192.0.2.2", 80);
	state()->plens[0] = 0;
	assert_reason(f, SOURCE_UNKNOWN);
	here_route(&sink, slot, NULL, AF_INET);
	assert_reason(f, NO_ROUTE);
	require("192.0.2.0", 24, false, 100);
	assert_reason(f, REQUIRED_NO_POLICY);
}

/* Into an xfrm interface nothing goes without an SA: where that may be, no policy is no answer. */
static void test_unknown_routing_where_there_are_xfrm_interfaces(void **unused)
{
	struct route_value value = {.unknown = 1};
	struct route_key key = {.space = slot, .family = AF_INET};
	struct flow f = flow("192.0.2.2", 80);

	(void)unused;
	here_addr("192.0.2.1", f.saddr);
	f.has_saddr = KNOWN_BOUND;
	assert_int_equal(sink.put(sink.ctx, slot, MAP_ROUTES, &key, &value), 0);
	assert_reason(f, NO_POLICY);
	value.by_source = BY_SOURCE_XFRMI;
	assert_int_equal(sink.put(sink.ctx, slot, MAP_ROUTES, &key, &value), 0);
	assert_reason(f, SOURCE_UNKNOWN);
}

/* Its policy comes with the child that is required: that one is negotiated for. */
static void test_an_xfrm_interface_without_a_policy_has_its_requirement_negotiated(void **unused)
{
	struct route_value value = {.xfrmi = 1, .if_id = 42, .link = HERE_DEV, .oif = HERE_DEV};
	struct route_key key = {.space = slot, .family = AF_INET};
	struct flow f = flow("192.0.2.2", 80);
	struct decision d;

	(void)unused;
	here_addr("192.0.2.1", value.saddr);
	assert_int_equal(sink.put(sink.ctx, slot, MAP_ROUTES, &key, &value), 0);
	assert_reason(f, INTERFACE_NO_POLICY);
	assert_int_equal(ask_as(&f, &gate).neg.index, 0);
	require("192.0.2.0", 24, false, 100);
	d = ask_as(&f, &gate);
	assert_int_equal(d.reason, REASON_INTERFACE_NO_POLICY);
	assert_int_equal(d.verdict, VERDICT_WAIT);
	assert_int_equal(d.neg.class, CLASS_REQUIRE);
	assert_int_not_equal(d.neg.index, 0);
	assert_int_equal(d.req_index, d.neg.index);
}

static void test_a_stale_mirror(void **unused)
{
	struct gate_settings open = {.cgroup_id = 1, .allow_no_policy = 1, .stale_open = 1};
	struct policy_info p = trap();
	struct sa_info s = sa();
	struct flow f = flow("192.0.2.2", 80), other = flow("198.51.100.1", 80);
	struct ask a = {.gate = gate};

	(void)unused;
	put(&p);
	sad_put(sad, &s);
	assert_reason(f, SA);
	state()->synced = SYNCED_ONCE;
	assert_reason(f, STALE);
	assert_int_equal(ask_as(&f, &open).reason, REASON_SA);
	assert_reason(other, NO_POLICY);
	state()->synced = SYNCED_NEVER;
	assert_reason(f, STALE);
	assert_reason(other, STALE);
	assert_reason(flow("127.0.0.1", 80), NOXFRM_DEVICE);
	assert_reason(flow("::1", 80), NOXFRM_DEVICE);
	assert_int_equal(ask_as(&other, &open).reason, REASON_STALE_OPEN);
	state()->synced = SYNCED;
	state()->heartbeat = boot_ns() - HEARTBEAT_LATE_NS - 1000000;
	a.flow = f;
	assert_int_equal(bpf_ask(bpf, &a), 0);
	assert_int_equal(a.decision.reason, REASON_STALE);
	state()->full = FULL_SPD;
	assert_reason(other, TABLE_FULL);
	state()->full = FULL_SAD;
	assert_reason(other, NO_POLICY);
	assert_reason(f, SA);
}

static void test_a_failed_negotiation_is_known_until_its_back_off_ends(void **unused)
{
	struct policy_info p = trap();
	struct flow f = flow("192.0.2.2", 80);
	struct decision d;
	__u64 until = boot_ns() + 60000000000ULL;

	(void)unused;
	put(&p);
	d = ask_as(&f, &gate);
	assert_int_equal(d.failed, 0);
	sink.put(sink.ctx, slot, MAP_BACKOFF, &d.neg, &until);
	assert_int_equal(ask_as(&f, &gate).failed, 1);
	until = boot_ns() - 1;
	sink.put(sink.ctx, slot, MAP_BACKOFF, &d.neg, &until);
	assert_int_equal(ask_as(&f, &gate).failed, 0);
}

/* What a new daemon does with the maps of the one before it. */
static void test_the_old_image_decides_until_the_new_one_is_whole(void **unused)
{
	struct policy_info old = trap(), new = policy("0.0.0.0", 0, "192.0.2.3", 32);
	struct sa_info s = sa();
	__u32 again;

	(void)unused;
	put(&old);
	sad_put(sad, &s);
	assert_int_equal(bpf_space_open(bpf, COOKIE, &again), -EBUSY);
	bpf_space_abandon(bpf, slot);
	assert_int_equal(bpf_space_open(bpf, COOKIE, &again), 0);
	assert_int_equal(again, slot);
	spd_free(spd);
	sad_free(sad);
	spd = spd_new(slot, &sink);
	sad = sad_new(slot, &sink);
	here_route(&sink, slot, "192.0.2.1", AF_INET);
	new.action = XFRM_POLICY_BLOCK;
	put(&new);
	state()->synced = SYNCED;
	assert_reason(flow("192.0.2.2", 80), SA);
	assert_reason(flow("192.0.2.3", 80), NO_POLICY);
	assert_int_equal(bpf_space_commit(bpf, slot, COOKIE), 0);
	assert_reason(flow("192.0.2.2", 80), NO_POLICY);
	assert_reason(flow("192.0.2.3", 80), POLICY_BLOCK);
	assert_int_equal(bpf_space_prune(bpf), 0);
	bpf_space_abandon(bpf, slot);
	assert_int_equal(bpf_space_prune(bpf), 1);
	assert_reason(flow("192.0.2.3", 80), NO_SPACE);
}

/* IPv6 walks the same way. */
static void test_ipv6(void **unused)
{
	struct policy_info p = policy("2001:db8::1", 128, "2001:db8::", 32);
	struct sa_info s = sa();
	struct flow f = flow("2001:db8::2", 80);

	(void)unused;
	add_tmpl(&p, XFRM_MODE_TRANSPORT, 7, IPPROTO_ESP);
	put(&p);
	assert_reason(f, NO_SA);
	assert_reason(flow("2001:db9::2", 80), NO_POLICY);
	s.family = AF_INET6;
	here_addr("2001:db8::1", s.saddr);
	here_addr("2001:db8::2", s.daddr);
	sad_put(sad, &s);
	assert_reason(f, SA);
}

/* ---- any number of policies, against a search that looks at each of them ---- */

static bool in_prefix(const __be32 *a, const __be32 *b, __u8 len)
{
	for (int i = 0; i < len; i++) {
		__u32 bit = 0x80000000u >> (i % 32);

		if ((ntohl(a[i / 32]) ^ ntohl(b[i / 32])) & bit)
			return false;
	}
	return true;
}

static bool matches(const struct policy_info *p, const struct flow *f)
{
	return p->sel.family == f->family && (f->mark & p->mark_mask) == p->mark &&
	       in_prefix(f->daddr, p->sel.daddr, p->sel.dst_len) &&
	       in_prefix(f->saddr, p->sel.saddr, p->sel.src_len) &&
	       !((f->dport ^ p->sel.dport) & p->sel.dport_mask) &&
	       !((f->sport ^ p->sel.sport) & p->sel.sport_mask) &&
	       (!p->sel.proto || p->sel.proto == f->proto);
}

static __u32 rank(const struct policy_info *p)
{
	return p->priority << 2 | (p->action == XFRM_POLICY_BLOCK ? 0 : p->tmpl_count ? 1 : 2);
}

/* 192.0.2.x, and with these bits 224.0.2.x */
#define TO_GROUP htonl(0x20000000)

static __u32 random_addr(void)
{
	return htonl(0xc0000200u | (rand() & 0x3f));
}

static struct policy_info random_policy(__u32 index)
{
	/* few enough shapes for SPD_MASKS_MAX */
	static const __u8 src_lens[] = {0, 28, 32}, dst_lens[] = {26, 29, 32};
	/* no two with one priority: ties have a test of their own */
	struct policy_info p = {.index = index, .priority = rand() % 40 << 16 | index};

	p.sel.family = AF_INET;
	p.sel.src_len = src_lens[rand() % 3];
	p.sel.dst_len = dst_lens[rand() % 3];
	p.sel.saddr[0] = random_addr();
	p.sel.daddr[0] = random_addr();
	p.sel.proto = rand() % 3 ? 0 : rand() % 2 ? IPPROTO_TCP : IPPROTO_UDP;
	if (!(rand() % 3)) {
		p.sel.dport = htons(rand() % 8);
		p.sel.dport_mask = rand() % 2 ? 0xffff : htons(0xfffe);
		p.sel.dport &= p.sel.dport_mask;
	}
	if (!p.sel.proto && !p.sel.dport_mask && rand() % 2)
		p.sel.daddr[0] ^= TO_GROUP;
	p.mark_mask = rand() % 4 ? 0 : 3;
	p.mark = rand() % 4 & p.mark_mask;
	p.action = rand() % 2 ? XFRM_POLICY_BLOCK : XFRM_POLICY_ALLOW;
	if (p.action == XFRM_POLICY_ALLOW && rand() % 2) {
		add_tmpl(&p, XFRM_MODE_TRANSPORT, index, IPPROTO_ESP);
	}
	return p;
}

/* Is `p`, which takes the place of `old`, the same policy, and did it need an SA before? */
static __u8 was_trap(const struct policy_info *old, const struct policy_info *p)
{
	struct spd_key was, is;

	spd_make_key(slot, CLASS_MAIN, old, &was);
	spd_make_key(slot, CLASS_MAIN, p, &is);
	return old->index && !memcmp(&was, &is, sizeof(is)) && (old->was_trap || old->tmpl_count);
}

static __u8 model(const struct policy_info *all, size_t count, const struct flow *f)
{
	const struct policy_info *best = NULL;

	for (size_t i = 0; i < count; i++)
		if (all[i].index && matches(&all[i], f) && (!best || rank(&all[i]) < rank(best)))
			best = &all[i];
	if (!best)
		return REASON_NO_POLICY;
	if (best->action == XFRM_POLICY_BLOCK)
		return best->was_trap ? REASON_TRAP_BLOCK : REASON_POLICY_BLOCK;
	return best->tmpl_count ? REASON_NO_SA : REASON_POLICY_ALLOW;
}

static void test_any_number_of_policies_decides_as_a_search_of_all_of_them(void **unused)
{
	enum { MANY = 300, ROUNDS = 40, FLOWS = 60 };
	static struct policy_info all[MANY];
	unsigned int seed = getenv("SEED") ? atoi(getenv("SEED")) : 1, protectings = 0;

	(void)unused;
	print_message("# seed %u\n", seed);
	srand(seed);
	memset(all, 0, sizeof(all));
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < 20; i++) {
			int at = rand() % MANY;

			if (all[at].index && rand() % 3 == 0) {
				spd_del(spd, CLASS_MAIN, all[at].index);
				all[at].index = 0;
			} else {
				struct policy_info p = random_policy((at + 1) * 8 + 1);

				p.was_trap = was_trap(&all[at], &p);
				all[at] = p;
				spd_put(spd, CLASS_MAIN, &all[at]);
			}
		}
		for (int i = 0; i < FLOWS; i++) {
			struct flow f = {.netns = COOKIE, .family = AF_INET};
			struct decision d;

			f.daddr[0] = random_addr();
			f.saddr[0] = random_addr();
			f.has_saddr = KNOWN_BOUND;
			f.daddr[0] ^= rand() % 4 ? 0 : TO_GROUP;
			f.dport = htons(rand() % 8);
			f.mark = rand() % 4;
			f.proto = rand() % 2 ? IPPROTO_TCP : IPPROTO_UDP;
			d = ask_as(&f, &gate);
			assert_string_equal(reasons[d.reason], reasons[model(all, MANY, &f)]);
			protectings += d.reason == REASON_NO_SA;
		}
	}
	assert_true(protectings > 50); /* the flows did meet policies */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(test_without_a_policy),
		T(test_a_template_needs_its_sa),
		T(test_each_condition_of_an_sa),
		T(test_the_first_condition_names_the_sa_that_came_furthest),
		T(test_a_tunnel_has_its_own_addresses),
		T(test_templates_all_but_the_optional_ones_need_an_sa),
		T(test_the_lowest_priority_wins),
		T(test_on_a_tie_the_older_one_wins_where_that_is_known),
		T(test_what_an_older_one_hides_says_nothing_in_a_tie),
		T(test_selectors),
		T(test_sub_policies_come_first_and_main_ones_follow),
		T(test_a_trap_that_blocks_is_waited_for_and_another_block_denies),
		T(test_a_requirement_needs_a_policy_and_its_sa),
		T(test_a_source_port_that_the_socket_has_not_got_yet),
		T(test_a_source_port_that_an_sa_compares),
		T(test_an_sa_without_a_source_is_not_enough_for_an_optional_template),
		T(test_an_sa_that_lets_in_is_worse_than_none_for_an_optional_template),
		T(test_what_routing_does_not_say_refuses),
		T(test_unknown_routing_where_there_are_xfrm_interfaces),
		T(test_an_xfrm_interface_without_a_policy_has_its_requirement_negotiated),
		T(test_a_stale_mirror),
		T(test_a_failed_negotiation_is_known_until_its_back_off_ends),
		T(test_the_old_image_decides_until_the_new_one_is_whole),
		T(test_ipv6),
		T(test_any_number_of_policies_decides_as_a_search_of_all_of_them),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
