// SPDX-License-Identifier: GPL-2.0-only
/*
 * Maps of a few entries: what does not fit refuses, says so, and recovers; and another size takes
 * the place of a pinned map without losing an entry. Needs root and BPF.
 */
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
#include <unistd.h>
#include <bpf/bpf.h>
#include <cmocka.h>

#include "here.h"

enum { COOKIE = 0x51235, OTHER = 0x51236 };

static struct bpf *bpf;
static struct map_sink sink;
static char pin[64];

/* One space with its tables. */
struct world {
	__u64 cookie;
	__u32 slot;
	struct spd *spd;
	struct sad *sad;
};

static void open_with(__u32 policies, __u32 sas)
{
	const struct bpf_sizes sizes = {policies, sas, 16};

	assert_int_equal(here_open(pin, &sizes, &bpf, &sink), 0);
}

static int setup(void **unused)
{
	(void)unused;
	here_pin("sizes", pin);
	return 0;
}

static int teardown(void **unused)
{
	int r;

	(void)unused;
	r = here_close(bpf, pin);
	bpf = NULL;
	return r;
}

static void world_open(struct world *w, __u64 cookie)
{
	w->cookie = cookie;
	assert_int_equal(here_space(bpf, &sink, cookie, &w->slot, &w->spd, &w->sad), 0);
}

static void world_close(struct world *w)
{
	spd_free(w->spd);
	sad_free(w->sad);
	bpf_space_abandon(bpf, w->slot);
}

/* Policy i: blocks everything to 198.51.100.i. */
static void put(struct world *w, int i)
{
	struct policy_info p = {.index = 8 * i + 1, .priority = 10, .action = XFRM_POLICY_BLOCK};

	p.sel.family = AF_INET;
	p.sel.daddr[0] = htonl(0xc6336400 + i);
	p.sel.dst_len = 32;
	assert_int_equal(spd_put(w->spd, CLASS_MAIN, &p), 1);
}

static void del(struct world *w, int i)
{
	assert_int_equal(spd_del(w->spd, CLASS_MAIN, 8 * i + 1), 1);
}

static struct sa_info sa(int i)
{
	struct sa_info s = {.spi = htonl(i), .reqid = i, .family = AF_INET, .proto = IPPROTO_ESP};

	s.pcpu = SAGATE_PCPU_ANY;
	s.daddr[0] = htonl(0xc6336400 + i);
	s.life.hard_bytes = s.life.soft_bytes = XFRM_INF;
	s.life.hard_packets = s.life.soft_packets = XFRM_INF;
	return s;
}

static enum reason reason(const struct world *w, int i)
{
	struct ask a = {.gate = {.cgroup_id = 1, .allow_no_policy = 1}};

	a.flow = (struct flow){.netns = w->cookie, .proto = IPPROTO_TCP, .family = AF_INET};
	a.flow.daddr[0] = htonl(0xc6336400 + i);
	bpf_heartbeat(bpf);
	assert_int_equal(bpf_ask(bpf, &a), 0);
	return a.decision.reason;
}

static __u8 full(const struct world *w)
{
	return sink.state(sink.ctx, w->slot)->full;
}

static size_t missing(const struct world *w)
{
	struct spd_counts c;

	spd_count(w->spd, &c);
	return c.missing;
}

static void a_full_map_refuses_and_recovers(void **unused)
{
	struct world w = {};

	(void)unused;
	open_with(4, 4);
	world_open(&w, COOKIE);
	assert_int_equal(bpf_space_commit(bpf, w.slot, COOKIE), 0);
	for (int i = 1; i <= 4; i++)
		put(&w, i);
	assert_int_equal(full(&w), 0);
	assert_int_equal(reason(&w, 9), REASON_NO_POLICY);
	put(&w, 5);
	assert_int_equal(missing(&w), 1);
	assert_int_equal(full(&w), FULL_SPD);
	assert_int_equal(reason(&w, 5), REASON_TABLE_FULL);
	assert_int_equal(reason(&w, 9), REASON_TABLE_FULL);
	del(&w, 2);
	assert_int_equal(missing(&w), 0);
	assert_int_equal(full(&w), 0);
	assert_int_equal(reason(&w, 5), REASON_POLICY_BLOCK); /* the one that did not fit */
	assert_int_equal(reason(&w, 1), REASON_POLICY_BLOCK); /* nothing was evicted for it */
	assert_int_equal(reason(&w, 2), REASON_NO_POLICY);
	world_close(&w);
}

static void a_first_snapshot_that_does_not_fit_refuses_and_recovers(void **unused)
{
	struct world w = {};

	(void)unused;
	open_with(4, 4);
	world_open(&w, COOKIE);
	for (int i = 1; i <= 5; i++)
		put(&w, i);
	assert_int_equal(bpf_space_commit(bpf, w.slot, COOKIE), 0);
	assert_int_equal(missing(&w), 1);
	assert_int_equal(reason(&w, 9), REASON_TABLE_FULL);
	del(&w, 1);
	assert_int_equal(full(&w), 0);
	assert_int_equal(reason(&w, 5), REASON_POLICY_BLOCK);
	assert_int_equal(reason(&w, 9), REASON_NO_POLICY);
	world_close(&w);
}

static void two_spaces_that_do_not_fit_together_refuse_in_the_second(void **unused)
{
	struct world w = {}, other = {};

	(void)unused;
	open_with(4, 4);
	world_open(&w, COOKIE);
	for (int i = 1; i <= 3; i++)
		put(&w, i);
	assert_int_equal(bpf_space_commit(bpf, w.slot, COOKIE), 0);
	world_open(&other, OTHER);
	put(&other, 1);
	put(&other, 2);
	assert_int_equal(bpf_space_commit(bpf, other.slot, OTHER), -E2BIG);
	assert_int_equal(reason(&other, 9), REASON_TABLE_FULL);
	assert_int_equal(reason(&w, 9), REASON_NO_POLICY);
	assert_int_equal(bpf_space_retry(bpf, other.slot, 8), 0);
	assert_int_equal(reason(&other, 9), REASON_TABLE_FULL);
	world_close(&w);
	world_close(&other);
}

/* Two spaces, committed while there was room for both of them. */
static void two_worlds(struct world *w, struct world *other)
{
	open_with(4, 2);
	world_open(w, COOKIE);
	world_open(other, OTHER);
	assert_int_equal(bpf_space_commit(bpf, w->slot, COOKIE), 0);
	assert_int_equal(bpf_space_commit(bpf, other->slot, OTHER), 0);
}

static void room_that_another_space_gives_back_is_taken(void **unused)
{
	struct world w = {}, other = {};

	(void)unused;
	two_worlds(&w, &other);
	for (int i = 1; i <= 4; i++)
		put(&w, i);
	for (int i = 1; i <= 3; i++)
		put(&other, i);
	assert_int_equal(missing(&other), 3);
	assert_int_equal(spd_retry(other.spd, 8), 0);
	assert_int_equal(reason(&other, 9), REASON_TABLE_FULL);
	assert_int_equal(spd_flush(w.spd, CLASS_MAIN), 4);
	assert_int_equal(spd_retry(other.spd, 2), 2);
	assert_int_equal(reason(&other, 9), REASON_TABLE_FULL);
	assert_int_equal(spd_retry(other.spd, 2), 1);
	assert_int_equal(full(&other), 0);
	for (int i = 1; i <= 3; i++)
		assert_int_equal(reason(&other, i), REASON_POLICY_BLOCK);
	assert_int_equal(reason(&other, 9), REASON_NO_POLICY);
	world_close(&w);
	world_close(&other);
}

static void room_for_sas_that_another_space_gives_back_is_taken(void **unused)
{
	struct world w = {}, other = {};
	struct sa_info s;

	(void)unused;
	two_worlds(&w, &other);
	for (int i = 0; i < 4; i++) {
		s = sa(1 + i % 2);
		assert_int_equal(sad_put(i < 2 ? w.sad : other.sad, &s), 1);
	}
	assert_int_equal(full(&other), FULL_SAD);
	assert_int_equal(sad_retry(other.sad, 8), 0);
	assert_int_equal(sad_flush(w.sad, 0), 2);
	assert_int_equal(sad_retry(other.sad, 1), 1);
	assert_int_equal(full(&other), FULL_SAD);
	assert_int_equal(sad_retry(other.sad, 8), 1);
	assert_int_equal(full(&other), 0);
	world_close(&w);
	world_close(&other);
}

/* What waits changes and goes like what is in the map. */
static void a_first_image_that_had_no_room_gets_it_later(void **unused)
{
	struct policy_info allow = {.index = 8 * 2 + 1, .priority = 10};
	struct world w = {}, other = {};

	(void)unused;
	open_with(4, 2);
	world_open(&w, COOKIE);
	for (int i = 1; i <= 4; i++)
		put(&w, i);
	assert_int_equal(bpf_space_commit(bpf, w.slot, COOKIE), 0);
	world_open(&other, OTHER);
	for (int i = 1; i <= 4; i++)
		put(&other, i);
	assert_int_equal(bpf_space_commit(bpf, other.slot, OTHER), -E2BIG);
	assert_int_equal(bpf_space_late(bpf, other.slot, MAP_SPD), 4);
	del(&other, 1);
	assert_int_equal(bpf_space_late(bpf, other.slot, MAP_SPD), 3);
	del(&w, 1);
	allow.sel.family = AF_INET;
	allow.sel.daddr[0] = htonl(0xc6336402);
	allow.sel.dst_len = 32;
	assert_int_equal(spd_put(other.spd, CLASS_MAIN, &allow), 1);
	assert_int_equal(bpf_space_late(bpf, other.slot, MAP_SPD), 2);
	assert_int_equal(bpf_space_retry(bpf, other.slot, 8), 0);
	assert_int_equal(reason(&other, 2), REASON_TABLE_FULL);
	assert_int_equal(spd_flush(w.spd, CLASS_MAIN), 3);
	assert_int_equal(bpf_space_retry(bpf, other.slot, 1), 1);
	assert_int_equal(reason(&other, 2), REASON_TABLE_FULL);
	assert_int_equal(bpf_space_retry(bpf, other.slot, 8), 1);
	assert_int_equal(bpf_space_unfit(bpf, other.slot), 0);
	assert_int_equal(full(&other), 0);
	assert_int_equal(reason(&other, 1), REASON_NO_POLICY);
	assert_int_equal(reason(&other, 2), REASON_POLICY_ALLOW);
	assert_int_equal(reason(&other, 3), REASON_POLICY_BLOCK);
	assert_int_equal(reason(&other, 4), REASON_POLICY_BLOCK);
	world_close(&w);
	world_close(&other);
}

/* The next daemon finds the map full of another space's entries of the former one. */
static void what_a_restart_found_no_room_for_gets_it_later(void **unused)
{
	struct world w = {}, other = {};

	(void)unused;
	two_worlds(&w, &other);
	put(&other, 5);
	for (int i = 1; i <= 3; i++)
		put(&w, i);
	world_close(&w);
	world_close(&other);
	bpf_close(bpf);

	open_with(4, 2);
	world_open(&other, OTHER);
	put(&other, 5);
	put(&other, 6);
	assert_int_equal(bpf_space_commit(bpf, other.slot, OTHER), -E2BIG);
	assert_int_equal(reason(&other, 5), REASON_TABLE_FULL);
	world_open(&w, COOKIE);
	assert_int_equal(bpf_space_commit(bpf, w.slot, COOKIE), 0);
	assert_int_equal(bpf_space_retry(bpf, other.slot, 8), 1);
	assert_int_equal(full(&other), 0);
	assert_int_equal(reason(&other, 5), REASON_POLICY_BLOCK);
	assert_int_equal(reason(&other, 6), REASON_POLICY_BLOCK);
	assert_int_equal(reason(&other, 9), REASON_NO_POLICY);
	world_close(&w);
	world_close(&other);
}

static void sas_that_do_not_fit_refuse_and_recover(void **unused)
{
	struct sa_info s;
	struct world w = {};

	(void)unused;
	open_with(4, 2);
	world_open(&w, COOKIE);
	assert_int_equal(bpf_space_commit(bpf, w.slot, COOKIE), 0);
	for (int i = 1; i <= 3; i++) {
		s = sa(i);
		assert_int_equal(sad_put(w.sad, &s), 1);
	}
	assert_int_equal(full(&w), FULL_SAD);
	s = sa(1);
	assert_int_equal(sad_del(w.sad, &s), 1);
	assert_int_equal(full(&w), 0);
	world_close(&w);
}

static __u32 pinned_size(const char *map)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/map/%s", pin, map);
	fd = bpf_obj_get(path);
	assert_true(fd >= 0);
	assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &len), 0);
	close(fd);
	return info.max_entries;
}

/* The image of the former daemon decides from the new maps before the next one read anything. */
static void another_size_keeps_every_entry(void **unused)
{
	struct world w = {};

	(void)unused;
	open_with(4, 4);
	world_open(&w, COOKIE);
	for (int i = 1; i <= 3; i++)
		put(&w, i);
	assert_int_equal(bpf_space_commit(bpf, w.slot, COOKIE), 0);
	world_close(&w);
	bpf_close(bpf);

	open_with(8, 2);
	assert_int_equal(bpf_sizes(bpf).policies, 8);
	assert_int_equal(pinned_size("spd"), 8);
	assert_int_equal(pinned_size("sad"), 2);
	for (int i = 1; i <= 3; i++)
		assert_int_equal(reason(&w, i), REASON_POLICY_BLOCK);
	assert_int_equal(reason(&w, 4), REASON_NO_POLICY);
	world_open(&w, COOKIE);
	for (int i = 1; i <= 8; i++)
		put(&w, i);
	assert_int_equal(bpf_space_commit(bpf, w.slot, COOKIE), 0);
	assert_int_equal(full(&w), 0);
	assert_int_equal(reason(&w, 8), REASON_POLICY_BLOCK);
	world_close(&w);
}

static void a_size_below_what_is_in_use_is_not_taken(void **unused)
{
	struct world w = {};

	(void)unused;
	open_with(4, 4);
	world_open(&w, COOKIE);
	for (int i = 1; i <= 3; i++)
		put(&w, i);
	assert_int_equal(bpf_space_commit(bpf, w.slot, COOKIE), 0);
	world_close(&w);
	bpf_close(bpf);

	open_with(2, 4);
	assert_int_equal(bpf_sizes(bpf).policies, 4);
	assert_int_equal(pinned_size("spd"), 4);
	for (int i = 1; i <= 3; i++)
		assert_int_equal(reason(&w, i), REASON_POLICY_BLOCK);
	bpf_close(bpf);

	open_with(3, 4);
	assert_int_equal(pinned_size("spd"), 3);
	assert_int_equal(reason(&w, 3), REASON_POLICY_BLOCK);
}

/* Both images, the former daemon's and the new one, are more than the map holds at once. */
static void an_adopted_map_with_no_room_for_both_images_recovers(void **unused)
{
	struct world w = {};

	(void)unused;
	open_with(4, 4);
	world_open(&w, COOKIE);
	for (int i = 1; i <= 4; i++)
		put(&w, i);
	assert_int_equal(bpf_space_commit(bpf, w.slot, COOKIE), 0);
	world_close(&w);
	bpf_close(bpf);

	open_with(4, 4);
	world_open(&w, COOKIE);
	for (int i = 5; i <= 8; i++)
		put(&w, i);
	assert_int_equal(bpf_space_commit(bpf, w.slot, COOKIE), 0);
	assert_int_equal(full(&w), 0);
	for (int i = 1; i <= 4; i++) {
		assert_int_equal(reason(&w, i), REASON_NO_POLICY);
		assert_int_equal(reason(&w, i + 4), REASON_POLICY_BLOCK);
	}
	world_close(&w);
}

/* A daemon died before its first image was whole: the next one's has nothing of it. */
static void what_a_dead_daemon_began_is_gone(void **unused)
{
	struct spd_key key = {.class = CLASS_MAIN, .family = AF_INET, .dst_len = 32};
	struct spd_value value = {.index = 1};
	struct world w = {};
	char path[128];
	int fd;

	(void)unused;
	open_with(4, 4);
	snprintf(path, sizeof(path), "%s/map/spd", pin);
	fd = bpf_obj_get(path);
	assert_true(fd >= 0);
	key.space = 0; /* the slot that the first space takes */
	key.daddr[0] = htonl(0xc6336409);
	assert_int_equal(bpf_map_update_elem(fd, &key, &value, BPF_ANY), 0);
	world_open(&w, COOKIE);
	assert_int_equal(w.slot, 0);
	for (int i = 1; i <= 4; i++)
		put(&w, i);
	assert_int_equal(bpf_space_commit(bpf, w.slot, COOKIE), 0);
	assert_int_equal(bpf_map_lookup_elem(fd, &key, &value), -ENOENT);
	assert_int_equal(reason(&w, 9), REASON_NO_POLICY);
	assert_int_equal(reason(&w, 4), REASON_POLICY_BLOCK);
	close(fd);
	world_close(&w);
}

static size_t pinned_entries(const char *map)
{
	struct spd_key key, next;
	char path[128];
	size_t n = 0;
	int fd;

	snprintf(path, sizeof(path), "%s/map/%s", pin, map);
	fd = bpf_obj_get(path);
	assert_true(fd >= 0);
	for (void *at = NULL; !bpf_map_get_next_key(fd, at, &next); at = &key, n++)
		key = next;
	close(fd);
	return n;
}

/* More than go into the map in one call, with changes of what is not there yet. */
static void a_first_image_of_many_is_whole_and_in_order(void **unused)
{
	struct policy_info allow = {.index = 8 * 7 + 1, .priority = 10};
	struct world w = {};

	(void)unused;
	open_with(2000, 4);
	world_open(&w, COOKIE);
	for (int i = 1; i <= 250; i++)
		put(&w, i);
	for (int turn = 0; turn < 4; turn++) {
		del(&w, 3);
		put(&w, 3);
	}
	for (int i = 251; i <= 1000; i++)
		put(&w, i);
	del(&w, 5);
	del(&w, 1000); /* it waits to be put */
	allow.sel.family = AF_INET;
	allow.sel.daddr[0] = htonl(0xc6336407);
	allow.sel.dst_len = 32;
	assert_int_equal(spd_put(w.spd, CLASS_MAIN, &allow), 1);
	assert_int_equal(reason(&w, 1), REASON_NO_SPACE); /* nothing of it decides yet */
	assert_int_equal(bpf_space_commit(bpf, w.slot, COOKIE), 0);
	assert_int_equal(pinned_entries("spd"), 998);
	for (int i = 1; i <= 1000; i++)
		assert_int_equal(reason(&w, i), i == 5 || i == 1000 ? REASON_NO_POLICY
						: i == 7	    ? REASON_POLICY_ALLOW
								    : REASON_POLICY_BLOCK);
	world_close(&w);
	assert_int_equal(pinned_entries("spd"), 998);
}

/* A daemon that stops before the first image is whole leaves nothing that takes room. */
static void what_was_not_committed_goes_with_the_space(void **unused)
{
	struct world w = {};

	(void)unused;
	open_with(1000, 4);
	world_open(&w, COOKIE);
	for (int i = 1; i <= 300; i++)
		put(&w, i);
	world_close(&w);
	assert_int_equal(pinned_entries("spd"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(a_full_map_refuses_and_recovers),
		T(a_first_snapshot_that_does_not_fit_refuses_and_recovers),
		T(two_spaces_that_do_not_fit_together_refuse_in_the_second),
		T(room_that_another_space_gives_back_is_taken),
		T(room_for_sas_that_another_space_gives_back_is_taken),
		T(a_first_image_that_had_no_room_gets_it_later),
		T(what_a_restart_found_no_room_for_gets_it_later),
		T(sas_that_do_not_fit_refuse_and_recover),
		T(what_a_dead_daemon_began_is_gone),
		T(a_first_image_of_many_is_whole_and_in_order),
		T(what_was_not_committed_goes_with_the_space),
		T(another_size_keeps_every_entry),
		T(a_size_below_what_is_in_use_is_not_taken),
		T(an_adopted_map_with_no_room_for_both_images_recovers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
