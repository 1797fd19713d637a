// SPDX-License-Identifier: GPL-2.0-only
/*
 * What one daemon has loaded is the next one's, if it is whole and exactly what that one would
 * load; whatever else is found there, it loads for itself. Needs root and BPF.
 */
/* needs: loader/bpf.c loader/bpf_kick.c loader/bpf_resize.c loader/bpf_batch.c loader/bpf_space.c
 * needs: loader/bpf_late.c loader/bpf_lsm.c loader/bpf_pins.c loader/bpf_adopt.c
 */
/* needs: loader/shadow.c */
/* needs: loader/mirror_store.c loader/xfrm_msg.c */
/* needs: loader/spd.c loader/spd_group.c loader/spd_image.c loader/spd_masks.c */
/* needs: loader/sad.c loader/sad_group.c loader/sad_life.c loader/sad_slots.c */
/* needs: loader/error.c loader/log.c */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <cmocka.h>

#include "here.h"

enum { PATHS = 256 };

static struct bpf *bpf;
static struct map_sink sink;
static char pin[64];

static int setup(void **unused)
{
	(void)unused;
	here_pin("adopt", pin);
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

static void begin(__u32 policies)
{
	const struct bpf_sizes sizes = {policies, 4, 16};

	assert_int_equal(here_open(pin, &sizes, &bpf, &sink), 0);
}

/* The daemon ends, and the next one begins: does it use what that one had? */
static bool next_adopts(__u32 policies)
{
	bpf_close(bpf);
	bpf = NULL;
	begin(policies);
	return bpf_adopted(bpf);
}

static __u32 program_id(enum hook hook)
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);

	assert_int_equal(bpf_obj_get_info_by_fd(bpf_program_fd(bpf, hook), &info, &len), 0);
	return info.id;
}

/* How many loads are pinned; *name is that of the last. */
static int loads(char name[PATHS])
{
	struct dirent *entry;
	char path[PATHS];
	int n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/load", pin);
	dir = opendir(path);
	assert_non_null(dir);
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.') {
			snprintf(name, PATHS, "%.100s/%.100s", path, entry->d_name);
			n++;
		}
	closedir(dir);
	return n;
}

/* What is pinned below the one load under that name. */
static void pin_of(const char *name, char path[PATHS])
{
	char folder[PATHS];

	assert_int_equal(loads(folder), 1);
	snprintf(path, PATHS, "%.200s/%s", folder, name);
	assert_int_equal(access(path, F_OK), 0);
}

static void put_in_place(const char *path, int fd)
{
	assert_true(fd >= 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(bpf_obj_pin(fd, path), 0);
}

/* It was loaded, whole: the daemon after that one adopts. */
static void loads_and_mends(__u32 before)
{
	__u32 id;

	assert_false(next_adopts(4));
	id = program_id(HOOK_CONNECT4);
	assert_int_not_equal(id, before);
	assert_true(next_adopts(4));
	assert_int_equal(program_id(HOOK_CONNECT4), id);
}

static void the_next_daemon_uses_every_program(void **unused)
{
	struct ask ask = {.gate = {.cgroup_id = 1}, .flow = {.family = AF_INET, .netns = 1}};
	__u32 before[HOOK_COUNT] = {};

	(void)unused;
	begin(4);
	assert_false(bpf_adopted(bpf));
	for (int hook = 0; hook < HOOK_COUNT; hook++)
		if (bpf_program_fd(bpf, hook) >= 0)
			before[hook] = program_id(hook);
	for (int i = 0; i < 3; i++) {
		assert_true(next_adopts(4));
		for (int hook = 0; hook < HOOK_COUNT; hook++)
			assert_int_equal(bpf_program_fd(bpf, hook) < 0 ? 0 : program_id(hook),
					 before[hook]);
		assert_int_equal(bpf_ask(bpf, &ask), 0);
		assert_int_equal(ask.decision.reason, REASON_NO_SPACE);
	}
}

static void one_pin_less_is_a_load(void **unused)
{
	static const char *const names[] = {"made", "bss", "rodata", "ask", "gate_egress"};
	char path[PATHS];

	(void)unused;
	begin(4);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		pin_of(names[i], path);
		assert_int_equal(unlink(path), 0);
		loads_and_mends(program_id(HOOK_CONNECT4));
	}
}

/* Name and type are right, and it is bound to the same pinned maps: but it is of another load. */
static void a_program_of_another_load_is_a_load(void **unused)
{
	char path[PATHS], made[PATHS];
	int other;

	(void)unused;
	begin(4);
	pin_of("gate_connect4", path);
	other = bpf_obj_get(path);
	pin_of("made", made);
	assert_int_equal(unlink(made), 0);
	loads_and_mends(program_id(HOOK_CONNECT4));
	put_in_place(path, other);
	close(other);
	loads_and_mends(program_id(HOOK_CONNECT4));
}

static void another_program_under_a_name_is_a_load(void **unused)
{
	static const struct bpf_insn passes[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_CGROUP_INET4_CONNECT);
	char path[PATHS];
	int fd;

	(void)unused;
	begin(4);
	pin_of("gate_connect4", path);
	put_in_place(path, bpf_program_fd(bpf, HOOK_CONNECT6));
	loads_and_mends(program_id(HOOK_CONNECT4));
	/* of its name and type, and it lets all pass */
	fd = bpf_prog_load(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, "gate_connect4", "GPL", passes, 2,
			   &opts);
	put_in_place(path, fd);
	close(fd);
	loads_and_mends(program_id(HOOK_CONNECT4));
}

static void a_map_in_the_place_of_another_is_a_load(void **unused)
{
	char path[PATHS];
	int fd;

	(void)unused;
	begin(4);
	snprintf(path, sizeof(path), "%s/map/failed", pin);
	fd = bpf_map_create(BPF_MAP_TYPE_HASH, "failed", sizeof(struct neg_key), sizeof(__u64),
			    16384,
			    &(struct bpf_map_create_opts){.sz = sizeof(struct bpf_map_create_opts),
							  .map_flags = BPF_F_NO_PREALLOC});
	put_in_place(path, fd);
	close(fd);
	loads_and_mends(program_id(HOOK_CONNECT4));
	/* what says which they are is of another layout */
	pin_of("made", path);
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "made", 4, 4096, 1, NULL);
	put_in_place(path, fd);
	close(fd);
	loads_and_mends(program_id(HOOK_CONNECT4));
}

static void another_size_is_a_load_and_the_old_one_stays_until_all_is_settled(void **unused)
{
	char path[PATHS];

	(void)unused;
	begin(4);
	assert_false(next_adopts(9));
	assert_int_equal(loads(path), 2);
	assert_true(next_adopts(9));
	bpf_settled(bpf);
	assert_int_equal(loads(path), 1);
	assert_true(next_adopts(9));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(the_next_daemon_uses_every_program),
		T(one_pin_less_is_a_load),
		T(a_program_of_another_load_is_a_load),
		T(another_program_under_a_name_is_a_load),
		T(a_map_in_the_place_of_another_is_a_load),
		T(another_size_is_a_load_and_the_old_one_stays_until_all_is_settled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
