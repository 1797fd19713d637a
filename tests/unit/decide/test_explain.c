// SPDX-License-Identifier: GPL-2.0-only
/*
 * What explain says of SAs and policies, and that it never contradicts decide(), which the kernel
 * runs over the same maps. Needs root and BPF. SEED= chooses other random tables.
 */
/* needs: loader/bpf.c loader/bpf_kick.c loader/bpf_resize.c loader/bpf_batch.c loader/bpf_space.c
 * needs: loader/bpf_late.c loader/bpf_lsm.c loader/bpf_pins.c loader/bpf_adopt.c
 */
/* needs: loader/shadow.c */
/* needs: loader/mirror_store.c loader/xfrm_msg.c */
/* needs: loader/spd.c loader/spd_group.c loader/spd_image.c loader/spd_masks.c */
/* needs: loader/sad.c loader/sad_group.c loader/sad_life.c loader/sad_slots.c */
/* needs: loader/explain_sa.c loader/explain_policy.c loader/explain_selector.c */
/* needs: loader/xfrm_json.c loader/flow_json.c loader/json_util.c loader/units.c */
/* needs: loader/error.c loader/log.c */
#include <arpa/inet.h>
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

#include "explain_policy.h"
#include "explain_sa.h"
#include "flow_json.h"
#include "json_util.h"
#include "one_space.h"

enum { MANY = 60 };

static struct policy_info trap(__u32 index)
{
	struct policy_info p = {.index = index, .priority = 1000, .tmpl_count = 1};

	p.sel.family = AF_INET;
	here_addr("192.0.2.1", p.sel.saddr);
	here_addr("192.0.2.2", p.sel.daddr);
	p.sel.src_len = p.sel.dst_len = 32;
	p.tmpl[0].mode = XFRM_MODE_TRANSPORT;
	p.tmpl[0].proto = IPPROTO_ESP;
	p.tmpl[0].reqid = 7;
	p.tmpl[0].family = AF_INET;
	return p;
}

static struct sa_info sa(__u32 spi)
{
	return sa_of(spi, "192.0.2.1", "192.0.2.2");
}

static struct ask ask(const char *dst, __u16 port)
{
	struct ask a = {.gate = {.cgroup_id = 1, .allow_no_policy = 1}};

	a.flow.netns = COOKIE;
	a.flow.family = AF_INET;
	a.flow.proto = IPPROTO_TCP;
	a.flow.dport = htons(port);
	here_addr(dst, a.flow.daddr);
	return a;
}

static void answer(struct ask *a)
{
	bpf_heartbeat(bpf);
	assert_int_equal(bpf_ask(bpf, a), 0);
}

/* ---- each condition by itself, with both values ---- */

static void told(const char *failed, const char *text)
{
	const struct policy_info *p = spd_find(spd, CLASS_MAIN, 9);
	struct ask a = ask("192.0.2.2", 80);
	struct sa_wanted w;
	json_t *list, *one;
	size_t more;

	answer(&a);
	sa_wanted_of(bpf, &a, p, 0, NULL, &w);
	list = sa_candidates_json(sad, &w, sa_first_fit(sad, &w), &more);
	assert_int_equal(json_array_size(list), 1);
	one = json_array_get(list, 0);
	if (failed) {
		assert_int_equal(a.decision.verdict, VERDICT_WAIT);
		assert_null(sa_first_fit(sad, &w));
		assert_string_equal(json_get_text(one, "failed"), failed);
	} else {
		assert_int_equal(a.decision.verdict, VERDICT_PROTECTED);
		assert_true(json_is_null(json_object_get(one, "failed")));
	}
	assert_string_equal(json_get_text(one, "text"), text);
	assert_int_equal(json_get_bool(one, "used"), !failed);
	json_decref(list);
}

static void says(const struct sa_info *s, const char *failed, const char *text)
{
	assert_int_equal(sad_put(sad, s), 1);
	told(failed, text);
	sad_del(sad, s);
}

static void test_an_sa_whose_end_has_passed_is_expired(void **unused)
{
	struct policy_info p = trap(9);
	struct sa_info s = sa(0xc0ffee);

	(void)unused;
	assert_int_equal(spd_put(spd, CLASS_MAIN, &p), 1);
	s.life.hard_add = 1;
	assert_int_equal(put_a_while_ago(&s), 1);
	told("expired", "expired: its hard lifetime has ended");
	s.life.hard_add = 3600;
	assert_int_equal(sad_put(sad, &s), 1);
	told(NULL, "used");
}

static void test_an_sa_is_told_the_first_condition_it_fails(void **unused)
{
	struct policy_info p = trap(9);
	struct sa_info s;

	(void)unused;
	p.tmpl[0].spi = htonl(0xc0ffee);
	assert_int_equal(spd_put(spd, CLASS_MAIN, &p), 1);
#define SPOIL(change, failed, text)                                                                \
	s = sa(0xc0ffee);                                                                          \
	change;                                                                                    \
	says(&s, failed, text)
	SPOIL(, NULL, "used");
	SPOIL(s.reqid = 9, "reqid", "reqid 9 ≠ 7");
	SPOIL(s.mark = 1; s.mark_mask = 0xff, "mark", "mark 0x1/0xff ≠ 0x0");
	SPOIL(s.if_id = 2, "if_id", "if_id 0x2 ≠ 0x0");
	SPOIL(s.flags = XFRM_STATE_WILDRECV, "wildrecv", "wildrecv: receives only");
	SPOIL(here_addr("192.0.2.9", s.saddr), "src", "src 192.0.2.9 ≠ 192.0.2.1");
	SPOIL(s.mode = XFRM_MODE_TUNNEL, "mode", "mode tunnel ≠ transport");
	SPOIL(s.proto = IPPROTO_AH, "proto", "proto ah ≠ esp");
	SPOIL(s.spi = htonl(0xbad), "spi", "spi 0x00000bad ≠ 0x00c0ffee");
	SPOIL(s.sel.family = AF_INET6, "selector", "selector family IPv6 ≠ IPv4");
	SPOIL(s.sel.family = AF_INET;
	      s.sel.proto = IPPROTO_UDP, "selector", "selector proto udp ≠ tcp");
	SPOIL(s.sel.family = AF_INET; s.sel.dport = htons(81);
	      s.sel.dport_mask = 0xffff, "selector", "selector dport 81 ≠ 80");
	SPOIL(s.sel.family = AF_INET; s.sel.sport = htons(8);
	      s.sel.sport_mask = htons(0xff08), "sport", "sport 8, and the socket has no port yet");
	SPOIL(s.sel.family = AF_INET; here_addr("10.0.0.0", s.sel.daddr);
	      s.sel.dst_len = 8, "selector", "selector dst 10.0.0.0/8 without 192.0.2.2");
	SPOIL(s.sel.family = AF_INET; here_addr("10.0.0.0", s.sel.saddr);
	      s.sel.src_len = 8, "selector", "selector src 10.0.0.0/8 without 192.0.2.1");
	SPOIL(s.sel.family = AF_INET;
	      s.sel.src_len = 33, "selector", "selector src 0.0.0.0/33 without 192.0.2.1");
	SPOIL(s.sel.family = AF_INET; s.sel.ifindex = 8, "selector", "selector dev: index 8 ≠ 7");
	SPOIL(s.pcpu = 3, "pcpu", "pcpu 3 ≠ any: for that CPU only");
	SPOIL(s.dir = SAGATE_SA_DIR_IN, "direction", "direction in ≠ out");
	SPOIL(s.dir = SAGATE_SA_DIR_OUT, NULL, "used");
	SPOIL(s.exhausted = 1, "sequence", "sequence: no number is left");
	/* two at once: the kernel's first */
	SPOIL(s.reqid = 9; s.mark = 1; s.mark_mask = 1;
	      s.dir = SAGATE_SA_DIR_IN, "reqid", "reqid 9 ≠ 7");
	SPOIL(s.spi = htonl(1); s.mode = XFRM_MODE_TUNNEL, "mode", "mode tunnel ≠ transport");
	SPOIL(s.pcpu = 1; s.sel.family = AF_INET6, "selector", "selector family IPv6 ≠ IPv4");
#undef SPOIL
}

static void test_what_came_furthest_is_first_and_the_rest_is_counted(void **unused)
{
	struct policy_info p = trap(9);
	struct ask a = ask("192.0.2.2", 80);
	struct sa_info s = sa(0x999);
	struct sa_wanted w;
	size_t more;
	json_t *list;

	(void)unused;
	spd_put(spd, CLASS_MAIN, &p);
	for (__u32 i = 0; i < 40; i++) {
		s = sa(0x1000 + i);
		s.reqid = 100 + i;
		sad_put(sad, &s);
	}
	s = sa(0x999);
	s.dir = SAGATE_SA_DIR_IN;
	sad_put(sad, &s);
	s = sa(0x777);
	here_addr("192.0.2.3", s.daddr); /* another peer's: no candidate */
	sad_put(sad, &s);
	answer(&a);
	sa_wanted_of(bpf, &a, &p, 0, NULL, &w);
	list = sa_candidates_json(sad, &w, NULL, &more);
	assert_int_equal(json_array_size(list), SA_CANDIDATES_MAX);
	assert_int_equal(more, 41 - SA_CANDIDATES_MAX);
	assert_string_equal(json_get_text(json_array_get(list, 0), "spi"), "0x00000999");
	assert_string_equal(json_get_text(json_array_get(list, 1), "spi"), "0x00001000");
	json_decref(list);
}

/* decide() comes to the first, the kernel takes the newest that is not dying. */
static void test_of_several_sas_that_fit_the_kernels_is_marked(void **unused)
{
	struct policy_info p = trap(9);
	struct ask a = ask("192.0.2.2", 80);
	struct sa_wanted w;

	(void)unused;
	spd_put(spd, CLASS_MAIN, &p);
	for (__u32 i = 1; i <= 4; i++) {
		struct sa_info s = sa(i);

		s.life.add_time = i == 3 ? 1003 : 1000;
		if (i == 4) {
			s.life.add_time = 1004;
			s.life.soft_add = 1; /* long ago */
		}
		sad_put(sad, &s);
	}
	answer(&a);
	assert_int_equal(a.decision.verdict, VERDICT_PROTECTED);
	sa_wanted_of(bpf, &a, &p, 0, NULL, &w);
	assert_int_equal(ntohl(sa_first_fit(sad, &w)->spi), 1);
	assert_int_equal(ntohl(sa_preferred_fit(sad, &w)->spi), 3);
}

/* Of more SAs of one kind than there are slots the rest is said to be in no map. */
static void test_an_sa_without_a_slot_says_so(void **unused)
{
	struct policy_info p = trap(9);
	struct ask a = ask("192.0.2.2", 80);
	struct sa_wanted w;
	struct sa_info s;
	char text[160];
	int full = 0, fits = 0;

	(void)unused;
	spd_put(spd, CLASS_MAIN, &p);
	answer(&a);
	sa_wanted_of(bpf, &a, &p, 0, NULL, &w);
	for (__u32 i = 0; i < SAD_SLOTS_MAX + 3; i++) {
		s = sa(0x1000 + i);
		sad_put(sad, &s);
	}
	for (__u32 i = 0; i < SAD_SLOTS_MAX + 3; i++) {
		enum sa_condition c;

		s = sa(0x1000 + i);
		c = sa_condition_of(sad, sad_find(sad, &s), &w, text, sizeof(text));
		full += c == SA_FAILS_TABLE_FULL;
		fits += c == SA_FITS;
	}
	assert_int_equal(full, 3);
	assert_int_equal(fits, SAD_SLOTS_MAX);
}

/* ---- policies ---- */

/* The text on the policy with that index among those considered, or NULL. */
static const char *considered(const struct policies_why *why, __u32 index)
{
	const json_t *p;
	size_t i;

	json_array_foreach(why->considered, i, p)
		if (json_get_int(p, "index", 0) == index)
			return json_get_text(p, "text");
	return NULL;
}

static void test_why_a_policy_was_chosen_and_the_others_not(void **unused)
{
	struct ask a = ask("192.0.2.2", 80);
	struct policies_why why = {};
	struct policy_info p;

	(void)unused;
	p = trap(9);
	spd_put(spd, CLASS_MAIN, &p);
	answer(&a);
	policies_explain(spd, &a.flow, &a.decision, &why);
	assert_string_equal(why.chosen[CLASS_MAIN], "the only one that matches");
	assert_string_equal(why.chosen[CLASS_SUB], "");
	assert_int_equal(json_array_size(why.considered), 0);
	json_decref(why.considered);
#define OTHER(number, change)                                                                      \
	p = trap(number);                                                                          \
	p.priority = 10;                                                                           \
	change;                                                                                    \
	spd_put(spd, CLASS_MAIN, &p)
	OTHER(17, p.priority = 2000; p.sel.src_len = 0);
	OTHER(25, p.mark = 5; p.mark_mask = 0xff);
	OTHER(33, p.if_id = 3);
	OTHER(41, here_addr("192.0.2.9", p.sel.saddr));
	OTHER(49, p.sel.dport = htons(443); p.sel.dport_mask = 0xffff);
	OTHER(57, p.sel.proto = IPPROTO_UDP);
	OTHER(65, p.sel.ifindex = 8);
	OTHER(73, here_addr("192.0.2.3", p.sel.daddr)); /* not for that destination */
#undef OTHER
	answer(&a);
	assert_int_equal(a.decision.main_index, 9);
	policies_explain(spd, &a.flow, &a.decision, &why);
	assert_string_equal(why.chosen[CLASS_MAIN],
			    "the lowest priority of 2 that match (1000 < 2000)");
	assert_int_equal(json_array_size(why.considered), 7);
	assert_int_equal(json_get_int(json_array_get(why.considered, 0), "index", 0), 17);
	assert_string_equal(considered(&why, 17), "priority 2000 > 1000");
	assert_string_equal(considered(&why, 25), "mark 0x5/0xff ≠ 0x0");
	assert_string_equal(considered(&why, 33), "if_id 0x3 ≠ 0x0");
	assert_string_equal(considered(&why, 41), "src 192.0.2.9/32 without 192.0.2.1");
	assert_string_equal(considered(&why, 49), "dport 443 ≠ 80");
	assert_string_equal(considered(&why, 57), "proto udp ≠ tcp");
	assert_string_equal(considered(&why, 65), "dev: index 8 ≠ 7");
	assert_null(considered(&why, 73));
	json_decref(why.considered);
}

static void test_ties_and_sub_policies_are_said(void **unused)
{
	struct policy_info p = trap(9), block = trap(17), sub = trap(24);
	struct ask a = ask("192.0.2.2", 80);
	struct policies_why why = {};

	(void)unused;
	block.action = XFRM_POLICY_BLOCK;
	block.tmpl_count = 0;
	block.sel.src_len = 0;
	spd_put(spd, CLASS_MAIN, &p);
	spd_put(spd, CLASS_MAIN, &block);
	answer(&a);
	assert_int_equal(a.decision.main_index, 17);
	policies_explain(spd, &a.flow, &a.decision, &why);
	assert_string_equal(why.chosen[CLASS_MAIN],
			    "index 17 and index 9 share priority 1000, and which one the kernel "
			    "takes is not known: index 17, which blocks, is assumed");
	assert_string_equal(considered(&why, 9), why.chosen[CLASS_MAIN]);
	json_decref(why.considered);
	sub.type = XFRM_POLICY_TYPE_SUB;
	spd_put(spd, CLASS_SUB, &sub);
	answer(&a);
	assert_int_equal(a.decision.sub_index, 24);
	policies_explain(spd, &a.flow, &a.decision, &why);
	assert_string_equal(why.chosen[CLASS_SUB],
			    "sub policies come before main ones; the only one that matches");
	assert_int_equal(a.decision.main_index, 17); /* it blocks all the same */
	json_decref(why.considered);
	spd_del(spd, CLASS_MAIN, 17);
	answer(&a);
	policies_explain(spd, &a.flow, &a.decision, &why);
	assert_string_equal(considered(&why, 9), "main: not asked after what the sub policy says");
	json_decref(why.considered);
}

/* ---- random tables: explain and decide() say the same ---- */

static __be32 random_addr(void)
{
	return htonl(0xc0000200u | (1 + rand() % 3));
}

static struct policy_info random_policy(__u32 index)
{
	static const __u8 src_lens[] = {0, 30, 32}, dst_lens[] = {24, 31, 32};
	struct policy_info p = trap(index);

	p.priority = rand() % 8;
	p.sel.src_len = src_lens[rand() % 3];
	p.sel.dst_len = dst_lens[rand() % 3];
	p.sel.saddr[0] = random_addr();
	p.sel.daddr[0] = random_addr();
	p.sel.proto = rand() % 4 ? 0 : IPPROTO_TCP;
	if (!(rand() % 3)) {
		p.sel.dport = htons(rand() % 4);
		p.sel.dport_mask = rand() % 2 ? 0xffff : htons(0xfffe);
	}
	p.if_id = !(rand() % 8);
	p.sel.ifindex = rand() % 6 ? 0 : HERE_DEV + rand() % 2;
	p.mark_mask = rand() % 3 ? 0 : 3;
	p.mark = rand() % 4 & p.mark_mask;
	p.action = rand() % 6 ? XFRM_POLICY_ALLOW : XFRM_POLICY_BLOCK;
	p.tmpl_count = p.action == XFRM_POLICY_BLOCK ? 0 : rand() % 3;
	for (int i = 0; i < p.tmpl_count; i++) {
		struct spd_tmpl *t = &p.tmpl[i];

		*t = p.tmpl[0];
		t->reqid = 7 + rand() % 2;
		t->mode = rand() % 3 ? XFRM_MODE_TRANSPORT : XFRM_MODE_TUNNEL;
		t->proto = rand() % 4 ? IPPROTO_ESP : IPPROTO_AH;
		t->optional = !(rand() % 4);
		t->spi = rand() % 4 ? 0 : htonl(0x1000 + rand() % MANY);
		memset(t->saddr, 0, sizeof(t->saddr));
		memset(t->daddr, 0, sizeof(t->daddr));
		if (t->mode == XFRM_MODE_TUNNEL) {
			t->daddr[0] = random_addr();
			t->saddr[0] = rand() % 2 ? random_addr() : 0;
		}
	}
	return p;
}

static struct sa_info random_sa(__u32 spi)
{
	struct sa_info s = sa(spi);

	s.reqid = 7 + rand() % 2;
	s.saddr[0] = rand() % 4 ? random_addr() : 0;
	s.daddr[0] = random_addr();
	s.mode = rand() % 3 ? XFRM_MODE_TRANSPORT : XFRM_MODE_TUNNEL;
	s.proto = rand() % 4 ? IPPROTO_ESP : IPPROTO_AH;
	s.mark_mask = rand() % 4 ? 0 : 3;
	s.mark = rand() % 4 & s.mark_mask;
	s.if_id = !(rand() % 10);
	s.flags = rand() % 12 ? 0 : XFRM_STATE_WILDRECV;
	s.dir = rand() % 6 ? 0 : 1 + rand() % 2;
	s.pcpu = rand() % 12 ? SAGATE_PCPU_ANY : 1;
	s.exhausted = !(rand() % 12);
	if (!(rand() % 3)) {
		s.sel.family = AF_INET;
		s.sel.daddr[0] = random_addr();
		s.sel.dst_len = rand() % 2 ? 30 : 32;
		s.sel.proto = rand() % 2 ? IPPROTO_TCP : 0;
		s.sel.sport = htons(rand() % 2);
		s.sel.sport_mask = rand() % 2 ? 0 : 0xffff;
	}
	if (!(rand() % 8)) {
		s.life.hard_add = 1; /* see put_a_while_ago() */
	}
	return s;
}

static struct ask random_ask(void)
{
	struct ask a = ask("192.0.2.1", rand() % 4);

	a.flow.daddr[0] = random_addr();
	if (rand() % 2) {
		a.flow.saddr[0] = random_addr();
		a.flow.has_saddr = KNOWN_BOUND;
	}
	a.flow.sport = htons(rand() % 2);
	a.flow.mark = rand() % 4;
	a.flow.proto = rand() % 2 ? IPPROTO_TCP : IPPROTO_UDP;
	return a;
}

static int count_candidate(void *ctx, const struct sa_info *s)
{
	(void)s;
	++*(size_t *)ctx;
	return 0;
}

/*
 * The list has the used SA exactly once and first, and leaves none out. Returns whether one may fit
 * of which that is not known.
 */
static bool check_candidates(const struct sa_wanted *w, const struct sa_info *used)
{
	size_t more, i, marked = 0, all = 0, unsure = 0;
	json_t *list = sa_candidates_json(sad, w, used, &more), *one;

	json_array_foreach(list, i, one) {
		const char *failed = json_get_text(one, "failed");

		unsure += failed && (!strcmp(failed, "sport") || !strcmp(failed, "any-source"));
		marked += json_get_bool(one, "used");
		if (json_get_bool(one, "used"))
			assert_int_equal(i, 0);
		if (!used)
			assert_false(json_is_null(json_object_get(one, "failed")));
	}
	assert_int_equal(marked, used ? 1 : 0);
	sad_each(sad, count_candidate, &all);
	assert_true(json_array_size(list) + more <= all);
	json_decref(list);
	return unsure;
}

/* Goes through the templates as explain does; returns what decide() must have said. */
static __u8 by_templates(const struct ask *a, const struct policy_info *p)
{
	const struct sa_wanted *before = NULL;
	struct sa_wanted w[TMPLS_MAX];
	bool any = false;

	for (int i = 0; i < p->tmpl_count; i++) {
		const struct sa_info *fit;
		bool unsure;

		sa_wanted_of(bpf, a, p, i, before, &w[i]);
		fit = sa_first_fit(sad, &w[i]);
		unsure = check_candidates(&w[i], fit);
		assert_int_equal(a->decision.spi[i], fit ? fit->spi : 0);
		if (!fit && (!p->tmpl[i].optional || unsure)) {
			assert_int_equal(a->decision.tmpl, i);
			return VERDICT_WAIT;
		}
		if (fit)
			before = &w[i];
		any |= fit != NULL;
	}
	return any ? VERDICT_PROTECTED : VERDICT_CLEAR;
}

struct best {
	const struct flow *flow;
	const struct policy_info *chosen;
	bool tie; /* decide() took none of those of one priority */
	size_t matching;
};

static int look_for_better(void *ctx, enum spd_class class, const struct policy_info *p)
{
	struct best *b = ctx;
	const char *failed;
	char text[200];

	(void)class;
	if (!policy_matches(p, b->flow, 0, &failed, text, sizeof(text)))
		return 0;
	b->matching++;
	if (b->tie)
		return 0;
	assert_non_null(b->chosen);
	assert_true(p->priority >= b->chosen->priority);
	return 0;
}

/* No policy that explain says matches comes before the one that decide() took. */
static void check_policies(const struct ask *a, const struct policy_info *chosen)
{
	struct best b = {
		.flow = &a->flow, .chosen = chosen, .tie = a->decision.reason == REASON_POLICY_TIE};
	struct policies_why why = {};
	const json_t *p;
	const char *failed = "";
	char text[200];
	size_t i;

	if (chosen)
		assert_true(policy_matches(chosen, &a->flow, 0, &failed, text, sizeof(text)));
	spd_each(spd, look_for_better, &b);
	policies_explain(spd, &a->flow, &a->decision, &why);
	assert_int_equal(why.chosen[CLASS_MAIN][0] != 0, chosen != NULL);
	if (b.tie)
		assert_true(b.matching >= 2);
	if (b.matching == 1)
		assert_string_equal(why.chosen[CLASS_MAIN], "the only one that matches");
	json_array_foreach(why.considered, i, p) {
		if (!b.tie)
			assert_string_not_equal(json_get_text(p, "failed"), "undecided");
		assert_null(strstr(json_get_text(p, "text"), "not in the maps"));
	}
	json_decref(why.considered);
}

static void test_explain_and_decide_never_contradict_each_other(void **unused)
{
	enum { ROUNDS = 60, FLOWS = 60 };
	unsigned int seed = getenv("SEED") ? atoi(getenv("SEED")) : 1, seen[VERDICT_COUNT] = {};
	static struct sa_info sas[MANY];

	(void)unused;
	print_message("# seed %u\n", seed);
	srand(seed);
	memset(sas, 0, sizeof(sas));
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < 12; i++) {
			__u32 at = rand() % MANY;
			struct policy_info p = random_policy(rand() % 20 * 8 + 1);

			if (sas[at].spi)
				sad_del(sad, &sas[at]);
			sas[at] = random_sa(0x1000 + at);
			put_a_while_ago(&sas[at]);
			if (rand() % 3)
				spd_put(spd, CLASS_MAIN, &p);
			else
				spd_del(spd, CLASS_MAIN, p.index);
		}
		for (int i = 0; i < FLOWS; i++) {
			struct ask a = random_ask();
			const struct policy_info *p;

			answer(&a);
			p = a.decision.main_index ? spd_find(spd, CLASS_MAIN, a.decision.main_index)
						  : NULL;
			check_policies(&a, p);
			seen[a.decision.verdict]++;
			if (p && p->action == XFRM_POLICY_ALLOW)
				assert_string_equal(verdict_name(a.decision.verdict),
						    verdict_name(by_templates(&a, p)));
		}
	}
	print_message("# wait %u deny %u clear %u protected %u\n", seen[VERDICT_WAIT],
		      seen[VERDICT_DENY], seen[VERDICT_CLEAR], seen[VERDICT_PROTECTED]);
	for (int v = 0; v < VERDICT_COUNT; v++)
		assert_true(seen[v] > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_an_sa_is_told_the_first_condition_it_fails),
		T(test_an_sa_whose_end_has_passed_is_expired),
		T(test_what_came_furthest_is_first_and_the_rest_is_counted),
		T(test_of_several_sas_that_fit_the_kernels_is_marked),
		T(test_an_sa_without_a_slot_says_so),
		T(test_why_a_policy_was_chosen_and_the_others_not),
		T(test_ties_and_sub_policies_are_said),
		T(test_explain_and_decide_never_contradict_each_other),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
