// SPDX-License-Identifier: GPL-2.0-only
/* Histograms of the time to an SA. */
/* needs: loader/peer_times.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "peer_times.h"

#define MS 1000000ULL

static json_int_t bucket(const json_t *row, const char *le)
{
	return json_integer_value(json_object_get(json_object_get(row, "buckets"), le));
}

static void each_time_counts_in_its_bucket_and_all_above(void **state)
{
	struct peer_time *list = NULL;
	json_t *out, *row;

	(void)state;
	peer_times_note(&list, "host", "192.0.2.2", 10 * MS);
	peer_times_note(&list, "host", "192.0.2.2", 10 * MS + 1);
	peer_times_note(&list, "host", "192.0.2.2", 200 * MS);
	peer_times_note(&list, "host", "192.0.2.2", 60000 * MS);
	peer_times_note(&list, "blue", "192.0.2.2", MS);
	out = peer_times_to_json(list);
	assert_int_equal(json_array_size(out), 2);
	row = json_array_get(out, 0);
	assert_string_equal(json_string_value(json_object_get(row, "space")), "host");
	assert_string_equal(json_string_value(json_object_get(row, "peer")), "192.0.2.2");
	assert_int_equal(json_integer_value(json_object_get(row, "count")), 4);
	assert_true(json_real_value(json_object_get(row, "sum_s")) > 60.21);
	assert_int_equal(bucket(row, "0.01"), 1);
	assert_int_equal(bucket(row, "0.03"), 2);
	assert_int_equal(bucket(row, "0.1"), 2);
	assert_int_equal(bucket(row, "0.3"), 3);
	assert_int_equal(bucket(row, "30"), 3);
	json_decref(out);
	peer_times_free(list);
}

static void only_so_many_peers_have_their_own(void **state)
{
	struct peer_time *list = NULL;
	char peer[32];
	json_t *out;

	(void)state;
	for (int i = 0; i < PEER_TIMES_MAX + 50; i++) {
		snprintf(peer, sizeof(peer), "192.0.2.%d", i);
		peer_times_note(&list, "host", peer, MS);
	}
	peer_times_note(&list, "host", "192.0.2.0", MS);
	out = peer_times_to_json(list);
	assert_int_equal(json_array_size(out), PEER_TIMES_MAX + 1);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(out, 0), "count")), 2);
	assert_int_equal(
		json_integer_value(json_object_get(json_array_get(out, PEER_TIMES_MAX), "count")),
		50);
	json_decref(out);
	peer_times_free(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_time_counts_in_its_bucket_and_all_above),
		cmocka_unit_test(only_so_many_peers_have_their_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
