// SPDX-License-Identifier: GPL-2.0-only
/* Whose event is served next. */
/* needs: loader/event_turns.c */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "event_turns.h"

static int put(struct event_turns *t, __u64 gate, __u64 time)
{
	struct event e = {.gate = gate, .time = time};

	return event_turns_put(t, &e);
}

static void expect(struct event_turns *t, __u64 gate, __u64 time)
{
	struct event e;

	assert_true(event_turns_take(t, &e));
	assert_int_equal(e.gate, gate);
	assert_int_equal(e.time, time);
}

static void a_gate_waits_for_one_event_of_each_other_gate_only(void **state)
{
	struct event_turns t = {};
	struct event e;

	(void)state;
	for (__u64 i = 1; i <= 5; i++)
		assert_int_equal(put(&t, 1, i), 0);
	expect(&t, 1, 1);
	assert_int_equal(put(&t, 2, 6), 0);
	assert_int_equal(put(&t, 2, 7), 0);
	assert_int_equal(put(&t, 3, 8), 0);
	expect(&t, 1, 2);
	expect(&t, 2, 6);
	expect(&t, 3, 8);
	expect(&t, 1, 3);
	expect(&t, 2, 7);
	assert_int_equal(put(&t, 3, 9), 0);
	expect(&t, 1, 4);
	expect(&t, 3, 9);
	expect(&t, 1, 5);
	assert_false(event_turns_take(&t, &e));
}

static void too_many_of_a_gate_leave_the_others_their_room(void **state)
{
	struct event_turns t = {};

	(void)state;
	for (__u64 i = 0; i < EVENTS_SHARE; i++)
		assert_int_equal(put(&t, 1, i), 0);
	assert_int_equal(put(&t, 1, EVENTS_SHARE), -ENOSPC);
	assert_int_equal(put(&t, 2, 1), 0);
	expect(&t, 1, 0);
	assert_int_equal(put(&t, 1, EVENTS_SHARE), 0);
	expect(&t, 2, 1);
	expect(&t, 1, 1);
	event_turns_free(&t);
	assert_int_equal(put(&t, 1, 7), 0);
	expect(&t, 1, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_gate_waits_for_one_event_of_each_other_gate_only),
		cmocka_unit_test(too_many_of_a_gate_leave_the_others_their_room),
	};

	return cmocka_run_group_tests_name("event_turns", tests, NULL, NULL);
}
