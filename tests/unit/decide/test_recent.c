// SPDX-License-Identifier: GPL-2.0-only
/*
 * What passed a moment ago passes again only while nothing has changed: real calls of a real socket
 * in a gate, over made-up policies and SAs. Each test makes the same call until its answer is
 * remembered, changes one thing, and makes it once more. Needs root, BPF and cgroup v2.
 */
/* needs: tests/bench/world.c loader/cgroup.c loader/netns.c */
/* needs: loader/bpf.c loader/bpf_kick.c loader/bpf_resize.c loader/bpf_batch.c loader/bpf_space.c
 * needs: loader/bpf_late.c loader/bpf_lsm.c loader/bpf_pins.c loader/bpf_adopt.c
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
#include <time.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cmocka.h>

#include "../../bench/world.h"
#include "boot_time.h"

static struct world world;
static int cgroup, sock, recent;
static __u64 gate;

static int start(void **unused)
{
	char path[128];

	(void)unused;
	world_open(&world, 64);
	cgroup = world_cgroup("gated");
	world_gate(&world, cgroup);
	gate = world_gate_id(cgroup);
	world_enter(cgroup);
	snprintf(path, sizeof(path), "%s/map/recent", bpf_pin_path(world.bpf));
	recent = bpf_obj_get(path);
	return recent < 0;
}

static int stop(void **unused)
{
	(void)unused;
	close(recent);
	world_close(&world);
	return 0;
}

/* A fresh socket each time: no source address yet, as a connect() has it. Port 0: any. */
static int call_from(__u16 port, unsigned int k)
{
	const struct sockaddr_in from = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_storage to;
	socklen_t len = world_dest(&world, k, &to);
	int err;

	sock = socket(world.family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(sock >= 0);
	if (port)
		assert_int_equal(bind(sock, (const struct sockaddr *)&from, sizeof(from)), 0);
	err = connect(sock, (struct sockaddr *)&to, len) ? errno : 0;
	close(sock);
	return err;
}

static int call_to(unsigned int k)
{
	return call_from(0, k);
}

static int call(void)
{
	return call_to(0);
}

/* Every answer of every CPU that is or was remembered. */
static void each_recent(void (*each)(const struct recent *r, void *ctx), void *ctx)
{
	const __u32 count = RECENT_MAX * (__u32)libbpf_num_possible_cpus();
	struct recent r;

	for (__u32 i = 0; i < count; i++) {
		assert_int_equal(bpf_map_lookup_elem(recent, &i, &r), 0);
		if (r.daddr[0])
			each(&r, ctx);
	}
}

static void is_of_now(const struct recent *r, void *ctx)
{
	const __u32 epoch = world.sink.state(world.sink.ctx, world.slot)->epoch;

	*(bool *)ctx |= r->epoch == epoch && r->space == world.slot;
}

/* Whether an answer is remembered for the present epoch. */
static bool remembered(void)
{
	bool found = false;

	each_recent(is_of_now, &found);
	return found;
}

static void add_turn(const struct recent *r, void *ctx)
{
	*(unsigned int *)ctx += r->turn;
}

/* Rises with every answer that is remembered. */
static unsigned int turns(void)
{
	unsigned int sum = 0;

	each_recent(add_turn, &sum);
	return sum;
}

static int setup(void **unused)
{
	const struct gate_settings settings = {.cgroup_id = gate, .allow_no_policy = 1};

	(void)unused;
	assert_int_equal(bpf_settings_put(world.bpf, gate, &settings), 0);
	world_reset(&world, 1, AF_INET);
	world_fill(&world, 4);
	bpf_heartbeat(world.bpf);
	assert_int_equal(call(), 0);
	assert_true(remembered());
	assert_int_equal(call(), 0);
	return 0;
}

static struct sa_info first_sa(void)
{
	struct sa_info s = {.spi = htonl(256), .family = AF_INET, .proto = IPPROTO_ESP};

	s.daddr[0] = htonl(0x80000000);
	return s;
}

static struct space_state *state(void)
{
	return world.sink.state(world.sink.ctx, world.slot);
}

static void when_its_sa_goes_it_waits(void **unused)
{
	struct sa_info s = first_sa();

	(void)unused;
	assert_int_equal(sad_del(world.sad, &s), 1);
	assert_int_equal(call(), EAGAIN);
	assert_int_equal(call_to(1), 0);
}

static void when_a_policy_blocks_it_is_denied(void **unused)
{
	struct policy_info p = {.index = 801, .priority = 1, .action = XFRM_POLICY_BLOCK};

	(void)unused;
	p.sel.family = AF_INET;
	assert_int_equal(spd_put(world.spd, CLASS_MAIN, &p), 1);
	assert_int_equal(call(), EACCES);
	assert_int_equal(spd_del(world.spd, CLASS_MAIN, 801), 1);
	assert_int_equal(call(), 0);
}

static void a_clear_answer_ends_with_the_first_policy(void **unused)
{
	struct policy_info p = {.index = 801, .priority = 1, .action = XFRM_POLICY_BLOCK};

	(void)unused;
	assert_int_equal(spd_flush(world.spd, CLASS_MAIN), 4);
	assert_int_equal(call(), 0);
	assert_true(remembered());
	p.sel.family = AF_INET;
	assert_int_equal(spd_put(world.spd, CLASS_MAIN, &p), 1);
	assert_int_equal(call(), EACCES);
}

static void a_clear_answer_ends_when_something_does_not_fit(void **unused)
{
	(void)unused;
	spd_flush(world.spd, CLASS_MAIN);
	assert_int_equal(call(), 0);
	assert_true(remembered());
	state()->full = FULL_SPD; /* as mirror_store_lack(): no epoch is raised */
	assert_int_equal(call(), EAGAIN);
	state()->full = 0;
}

/* It is remembered for every source port, unless one was compared. */
static void a_source_port_that_was_compared_is_not_any_source_port(void **unused)
{
	struct policy_info p = {.index = 801, .priority = 1, .action = XFRM_POLICY_BLOCK};

	(void)unused;
	assert_int_equal(call_from(1000, 0), 0);
	assert_int_equal(call_from(2000, 0), 0);
	p.sel.family = AF_INET;
	p.sel.sport = htons(2000);
	p.sel.sport_mask = 0xffff;
	spd_put(world.spd, CLASS_MAIN, &p);
	assert_int_equal(call_from(1000, 0), 0);
	assert_true(remembered());
	assert_int_equal(call_from(2000, 0), EACCES);
	assert_int_equal(call_from(1000, 0), 0);
}

static void a_source_port_in_an_sas_selector_neither(void **unused)
{
	struct sa_info s = first_sa();

	(void)unused;
	s = *sad_find(world.sad, &s);
	s.sel.family = AF_INET;
	s.sel.sport = htons(1000);
	s.sel.sport_mask = 0xffff;
	assert_int_equal(sad_put(world.sad, &s), 1);
	assert_int_equal(call_from(1000, 0), 0);
	assert_true(remembered());
	assert_int_equal(call_from(2000, 0), EAGAIN);
}

static void another_gate_has_its_own_answer(void **unused)
{
	const struct gate_settings strict = {.cgroup_id = gate};

	(void)unused;
	spd_flush(world.spd, CLASS_MAIN);
	assert_int_equal(call(), 0);
	assert_true(remembered());
	assert_int_equal(bpf_settings_put(world.bpf, gate, &strict), 0);
	assert_int_equal(call(), EACCES);
}

/* To destination k: SOCK_DGRAM or SOCK_STREAM, a port, SO_MARK. */
static int call_with(int type, __u16 port, int mark, unsigned int k)
{
	struct sockaddr_storage to;
	socklen_t len = world_dest(&world, k, &to);
	int err;

	((struct sockaddr_in *)&to)->sin_port = htons(port);
	sock = socket(world.family, type | SOCK_CLOEXEC, 0);
	assert_true(sock >= 0);
	assert_int_equal(setsockopt(sock, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)), 0);
	err = connect(sock, (struct sockaddr *)&to, len) ? errno : 0;
	close(sock);
	return err;
}

static void a_flow_that_differs_in_one_thing_is_another(void **unused)
{
	const struct gate_settings strict = {.cgroup_id = gate};
	struct policy_info p = {.index = 801, .priority = 1, .mark_mask = ~0U};

	(void)unused;
	assert_int_equal(bpf_settings_put(world.bpf, gate, &strict), 0);
	spd_flush(world.spd, CLASS_MAIN);
	p.sel.family = AF_INET;
	p.sel.daddr[0] = htonl(0x80000000);
	p.sel.dst_len = 32;
	p.sel.proto = IPPROTO_UDP;
	p.sel.dport = htons(9);
	p.sel.dport_mask = 0xffff;
	assert_int_equal(spd_put(world.spd, CLASS_MAIN, &p), 1);
	assert_int_equal(call_with(SOCK_DGRAM, 9, 0, 0), 0);
	assert_true(remembered());
	assert_int_equal(call_with(SOCK_DGRAM, 9, 0, 1), EACCES);
	assert_int_equal(call_with(SOCK_DGRAM, 10, 0, 0), EACCES);
	assert_int_equal(call_with(SOCK_DGRAM, 9, 1, 0), EACCES);
	assert_int_equal(call_with(SOCK_STREAM, 9, 0, 0), EACCES);
	assert_int_equal(call_with(SOCK_DGRAM, 9, 0, 0), 0);
}

static void what_was_missed_makes_it_stale(void **unused)
{
	(void)unused;
	state()->synced = SYNCED_ONCE;
	assert_int_equal(call(), EAGAIN);
	state()->synced = SYNCED;
	assert_int_equal(call(), 0);
}

static void sleep_ms(long ms)
{
	const struct timespec ts = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&ts, NULL);
}

/* The time is what is tested here: the answer must end with it, whoever remembers. */
static void it_ends_when_the_daemon_is_silent(void **unused)
{
	const struct gate_settings open = {.cgroup_id = gate, .stale_open = 1};

	(void)unused;
	state()->heartbeat = boot_ns() - HEARTBEAT_LATE_NS + 300000000;
	space_changed(state());
	assert_int_equal(call(), 0);
	assert_true(remembered());
	sleep_ms(310);
	assert_int_equal(call(), EAGAIN);
	assert_int_equal(bpf_settings_put(world.bpf, gate, &open), 0);
	assert_int_equal(call(), 0);
}

/* Five seconds of heartbeat are 500 jiffies: half a second even where HZ is 1000. */
static void it_lasts_while_the_daemon_beats(void **unused)
{
	unsigned int before;

	(void)unused;
	bpf_heartbeat(world.bpf);
	space_changed(state());
	assert_int_equal(call(), 0);
	before = turns();
	sleep_ms(100);
	assert_int_equal(call(), 0);
	assert_int_equal(turns(), before);
}

static void it_ends_with_the_sas_hard_lifetime(void **unused)
{
	struct sa_info s = first_sa();
	const struct sa_info *stands = sad_find(world.sad, &s);
	__u64 end;

	(void)unused;
	assert_non_null(stands);
	s = *stands;
	s.life.hard_add = 1;
	s.life.add_time = (__u64)time(NULL);
	assert_int_equal(sad_put(world.sad, &s), 1);
	assert_int_equal(call(), 0);
	assert_true(remembered());
	for (end = boot_ns() + 3100000000ULL; boot_ns() < end; sleep_ms(20))
		call();
	assert_int_equal(call(), EAGAIN);
}

/* Bound to one device while another counts, as in a VRF: it is remembered as the hook gave it. */
static void a_socket_bound_to_another_device_than_counts_is_found_again(void **unused)
{
	struct route_plens_key lens_key = {.space = world.slot, .oif = 1, .family = AF_INET};
	struct route_key key = {.space = world.slot, .oif = 1, .family = AF_INET};
	struct route_plens lens = {.count = 1};
	struct route_value value = {.oif = 77};
	struct sockaddr_storage to;
	socklen_t len = world_dest(&world, 0, &to);
	unsigned int before = turns(), first = 0;

	(void)unused;
	inet_pton(AF_INET, "192.0.2.1", value.saddr);
	world.sink.put(world.sink.ctx, world.slot, MAP_ROUTES, &key, &value);
	world.sink.put(world.sink.ctx, world.slot, MAP_ROUTE_PLENS, &lens_key, &lens);
	space_changed(state());
	for (int i = 0; i < 2; i++) {
		sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		assert_int_equal(setsockopt(sock, SOL_SOCKET, SO_BINDTODEVICE, "lo", 2), 0);
		/* what routing says to it is all the same */
		if (connect(sock, (struct sockaddr *)&to, len))
			assert_int_not_equal(errno, EAGAIN);
		close(sock);
		if (!i)
			first = turns();
	}
	assert_int_not_equal(first, before);
	assert_int_equal(turns(), first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup(f, setup)
		T(when_its_sa_goes_it_waits),
		T(when_a_policy_blocks_it_is_denied),
		T(a_clear_answer_ends_with_the_first_policy),
		T(a_clear_answer_ends_when_something_does_not_fit),
		T(a_source_port_that_was_compared_is_not_any_source_port),
		T(a_source_port_in_an_sas_selector_neither),
		T(another_gate_has_its_own_answer),
		T(a_flow_that_differs_in_one_thing_is_another),
		T(what_was_missed_makes_it_stale),
		T(it_ends_when_the_daemon_is_silent),
		T(it_lasts_while_the_daemon_beats),
		T(it_ends_with_the_sas_hard_lifetime),
		T(a_socket_bound_to_another_device_than_counts_is_found_again),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
