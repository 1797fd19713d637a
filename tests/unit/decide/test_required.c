// SPDX-License-Identifier: GPL-2.0-only
/*
 * decide() where no policy of the kernel's tells: requirements, what routing does not say, a mirror
 * that is late, an image that is not whole. Needs root and BPF.
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
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "asked.h"
#include "boot_time.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_a_requirement_needs_a_policy_and_its_sa),
		T(test_what_routing_does_not_say_refuses),
		T(test_unknown_routing_where_there_are_xfrm_interfaces),
		T(test_an_xfrm_interface_without_a_policy_has_its_requirement_negotiated),
		T(test_a_stale_mirror),
		T(test_a_failed_negotiation_is_known_until_its_back_off_ends),
		T(test_the_old_image_decides_until_the_new_one_is_whole),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
