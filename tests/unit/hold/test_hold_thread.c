// SPDX-License-Identifier: GPL-2.0-only
/* What is read of a thread in a waiting room, and of the mount options. */
/* needs: loader/hold_thread.c loader/cgroup_dynmods.c loader/cgroup.c loader/error.c */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "cgroup_dynmods.h"
#include "hold_thread.h"

/* Signals 10 (caught by some), 15, 19 (SIGSTOP), 20 (SIGTSTP). */
static void a_signal_counts_when_it_will_do_something(void **state)
{
	static const struct {
		uint64_t thread, process, blocked, ignored, caught;
		int signalled;
	} rows[] = {
		{0, 0, 0, 0, 0x200, 0},		{0x200, 0, 0, 0, 0x200, 1},
		{0, 0x200, 0, 0, 0x200, 1},	{0, 0x200, 0x200, 0, 0x200, 0},
		{0, 0x200, 0, 0, 0x4000, 0}, /* another's handler */
		{0, 0x40000, 0, 0, 0, 1},	{0, 0x80000, 0, 0, 0, 1},
		{0, 0x80000, 0, 0x80000, 0, 0}, {0, 0x80000, 0x80000, 0, 0, 0},
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(text, sizeof(text),
			 "Name:\tSigPnd: ffff\nSigQ:\t1/2\nSigPnd:\t%016jx\nShdPnd:\t%016jx\n"
			 "SigBlk:\t%016jx\nSigIgn:\t%016jx\nSigCgt:\t%016jx\n",
			 (uintmax_t)rows[i].thread, (uintmax_t)rows[i].process,
			 (uintmax_t)rows[i].blocked, (uintmax_t)rows[i].ignored,
			 (uintmax_t)rows[i].caught);
		assert_int_equal(hold_status_signalled(text, false), rows[i].signalled);
		assert_int_equal(hold_status_signalled(text, true), rows[i].signalled);
	}
}

/* Signals 18 (SIGCONT), 10, 14 and 12, all with handlers, and 20 (SIGTSTP) without. */
static void the_kicks_own_signal_waits_and_others_are_told(void **state)
{
	static const struct {
		uint64_t thread, process, blocked;
		int by_task_work, by_signals, handled;
	} rows[] = {
		{0x20000, 0, 0, 1, 0, 0},	{0, 0x20000, 0, 1, 1, 0}, /* somebody's: kill(2) */
		{0x20000, 0x2000, 0, 1, 1, 14}, {0x20000, 0x2000, 0x2000, 1, 0, 0},
		{0x20000, 0x2200, 0, 1, 1, 10}, /* the lowest first … */
		{0x22000, 0x200, 0, 1, 1, 14},	/* … and the thread's before the process's */
		{0x20000, 0x80000, 0, 1, 1, 0}, {0x20000, 0x82000, 0, 1, 1, 14},
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(text, sizeof(text),
			 "Name:\tx\nSigPnd:\t%016jx\nShdPnd:\t%016jx\n"
			 "SigBlk:\t%016jx\nSigIgn:\t0\nSigCgt:\t%016x\n",
			 (uintmax_t)rows[i].thread, (uintmax_t)rows[i].process,
			 (uintmax_t)rows[i].blocked, 0x22a00);
		assert_int_equal(hold_status_signalled(text, false), rows[i].by_task_work);
		assert_int_equal(hold_status_signalled(text, true), rows[i].by_signals);
		assert_int_equal(hold_status_handled(text), rows[i].handled);
	}
}

static void only_some_calls_are_held(void **state)
{
	static const struct {
		const char *text;
		int held;
	} rows[] = {
		{"42 0x3 0x7ffe 0x10 0x0 0x0 0x0 0x7ffe10 0x7f1234\n", 1},
		{"44 0x3 0x7ffe 0x10 0x0 0x0 0x0 0x7ffe10 0x7f1234\n", 1},
		{"46 0x3 0x7ffe 0x10 0x0 0x0 0x0 0x7ffe10 0x7f1234\n", 1},
		{"362 0x3 0x7ffe 0x10 0x0 0x0 0x0 0x7ffe10 0x7f1234\n", 1},
		{"1 0x3 0x7ffe 0x10 0x0 0x0 0x0 0x7ffe10 0x7f1234\n", 1},
		{"54 0x3 0x7ffe 0x10 0x0 0x0 0x0 0x7ffe10 0x7f1234\n", 1},
		{"307 0x3 0x7ffe 0x10 0x0 0x0 0x0 0x7ffe10 0x7f1234\n", 1},
		{"102 0x3 0x7ffe 0x10 0x0 0x0 0x0 0x7ffe10 0x7f1234\n", 1},
		{"426 0x3 0x7ffe 0x10 0x0 0x0 0x0 0x7ffe10 0x7f1234\n", 0},
		/* in a handler, or frozen on the way into one */
		{"44 0xa 0x7ffe 0x10 0x0 0x0 0x0 0x7ff000 0x55aabb\n", 0},
		{"44 0x3 0x7ffe 0x10 0x0 0x0 0x0 0x7ffe10 0x55aabb\n", 0},
		{"44 0x3 0x7ffe 0x10 0x0 0x0 0x0 0x7ffe18 0x7f1234\n", 0},
		{"-1 0x7ffe10 0x7f1234\n", 0},
		/* about to be made again: a signal now would not end it */
		{"42 0x3 0x7ffe 0x10 0x0 0x0 0x0 0x7ffe10 0x7f1232\n", 0},
		{"-1 0x7ffe10 0x7f1232\n", 0},
		{"", 0},
		{"running\n", -EAGAIN},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(hold_syscall_held(rows[i].text, 0x7f1234, 0x7ffe10), rows[i].held);
}

static void the_start_is_found_behind_any_name(void **state)
{
	uint64_t ticks = 0;

	(void)state;
	assert_int_equal(hold_stat_started("7 (a) S 1) S 1 2 3 0 -1 5 6 7 8 9 10 11 12 13 20 0 1 0 "
					   "4711 99 98 97\n",
					   &ticks),
			 0);
	assert_int_equal(ticks, 4711);
	assert_int_equal(hold_stat_started("7 (a) S 1 2", &ticks), -EINVAL);
	assert_int_equal(hold_stat_started("", &ticks), -EINVAL);
}

static void the_state_is_found_behind_any_name(void **state)
{
	(void)state;
	assert_int_equal(hold_stat_letter("7 (a) T 1 2"), 'T');
	assert_int_equal(hold_stat_letter("7 (a) S 1) t 1 2"), 't');
	assert_int_equal(hold_stat_letter("7 (a) T 1) S 1 2"), 'S');
	assert_int_equal(hold_stat_letter("7 (a)"), 0);
	assert_int_equal(hold_stat_letter("7"), 0);
}

static void the_options_are_those_of_the_file_system(void **state)
{
	char line[] = "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 "
		      "rw,nsdelegate,memory_recursiveprot\n";
	char other[] = "29 23 0:26 / /sys/fs/cgroup rw - cgroup cgroup rw,cpu\n";

	(void)state;
	assert_string_equal(cgroup_dynmods_options(line), "rw,nsdelegate,memory_recursiveprot");
	assert_null(cgroup_dynmods_options(other));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_signal_counts_when_it_will_do_something),
		cmocka_unit_test(the_kicks_own_signal_waits_and_others_are_told),
		cmocka_unit_test(only_some_calls_are_held),
		cmocka_unit_test(the_start_is_found_behind_any_name),
		cmocka_unit_test(the_state_is_found_behind_any_name),
		cmocka_unit_test(the_options_are_those_of_the_file_system),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
