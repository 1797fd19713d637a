// SPDX-License-Identifier: GPL-2.0-only
/*
 * decide(), as the kernel runs it, over maps that this test fills: SAs can stand here that this
 * machine's kernel could not make. Needs root and BPF.
 */
/* needs: loader/bpf.c loader/bpf_kick.c loader/bpf_resize.c loader/bpf_batch.c loader/bpf_space.c
 * needs: loader/bpf_late.c loader/bpf_lsm.c loader/bpf_pins.c loader/bpf_adopt.c
 */
/* needs: loader/shadow.c */
/* needs: loader/mirror_store.c loader/xfrm_msg.c */
/* needs: loader/spd.c loader/spd_group.c loader/spd_image.c loader/spd_masks.c */
/* needs: loader/sad.c loader/sad_group.c loader/sad_life.c loader/sad_slots.c */
/* needs: loader/flow_json.c loader/json_util.c loader/units.c */
/* needs: loader/error.c loader/log.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "asked.h"

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
	SPOIL(s.flags = XFRM_STATE_WILDRECV, NO_SA);
	SPOIL(s.dir = SAGATE_SA_DIR_IN, NO_SA);
	SPOIL(s.pcpu = 0, NO_SA);
#undef SPOIL
}

static void test_an_sa_has_expired_when_its_end_has_passed(void **unused)
{
	struct policy_info p = trap();
	struct sa_info s = sa();

	(void)unused;
	put(&p);
	s.life.hard_add = 1;
	assert_int_equal(put_a_while_ago(&s), 1);
	assert_reason(flow("192.0.2.2", 80), SA_EXPIRED);
	s.life.hard_add = 3600;
	assert_int_equal(sad_put(sad, &s), 1);
	assert_reason(flow("192.0.2.2", 80), SA);
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
	/* UPDPOLICY inserts anew: the last one, or where it was, as the kernel is */
	old.flags = 1;
	put(&old);
	assert_reason(f, POLICY_TIE);
	young.flags = 1;
	put(&young);
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
	static const int orders[][3] = {{0, 1, 2}, {0, 2, 1}, {2, 0, 1}};
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_without_a_policy),
		T(test_a_template_needs_its_sa),
		T(test_each_condition_of_an_sa),
		T(test_an_sa_has_expired_when_its_end_has_passed),
		T(test_the_first_condition_names_the_sa_that_came_furthest),
		T(test_a_tunnel_has_its_own_addresses),
		T(test_templates_all_but_the_optional_ones_need_an_sa),
		T(test_the_lowest_priority_wins),
		T(test_on_a_tie_the_older_one_wins_where_that_is_known),
		T(test_what_an_older_one_hides_says_nothing_in_a_tie),
		T(test_selectors),
		T(test_sub_policies_come_first_and_main_ones_follow),
		T(test_a_trap_that_blocks_is_waited_for_and_another_block_denies),
		T(test_a_source_port_that_the_socket_has_not_got_yet),
		T(test_a_source_port_that_an_sa_compares),
		T(test_an_sa_without_a_source_is_not_enough_for_an_optional_template),
		T(test_an_sa_that_lets_in_is_worse_than_none_for_an_optional_template),
		T(test_ipv6),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
