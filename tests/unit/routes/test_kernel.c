// SPDX-License-Identifier: GPL-2.0-only
/* needs: tests/unit/routes/hints.c tests/unit/routes/net.c tests/unit/routes/random.c */
/* needs: tests/unit/routes/sink.c */
/* needs: loader/routes.c loader/routes_nl.c loader/routes_ask.c loader/routes_view.c */
/* needs: loader/routes_table.c loader/routes_gateways.c loader/route_cells.c */
/* needs: loader/routes_ways.c */
/* needs: loader/netns.c loader/error.c loader/log.c */
/*
 * Source hints against the real kernel, in a network namespace of the test's own (net.h). For
 * random addresses, routes and rules, what the maps say about random destinations is compared with
 * what a connected UDP socket gets; and what is written to the maps, when, and how soon.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "hints.h"
#include "net.h"
#include "random.h"
#include "sink.h"

static void a_quiet_host_has_every_answer(void **state)
{
	struct routes_stats stats;

	(void)state;
	net_need();
	hints_start();
	hints_settle();
	memset(&hints_seen, 0, sizeof(hints_seen));
	hints_compare_many(2000);
	/* fe80::1, ff02::1; IPv4 multicast is not counted */
	assert_int_equal(hints_seen.unknown, 2);
	routes_stats(routes, &stats);
	print_message("cells %u+%u, entries %u+%u, lengths %u+%u, questions %llu, %.2f ms\n",
		      stats.cells[0], stats.cells[1], stats.entries[0], stats.entries[1],
		      stats.plens[0], stats.plens[1], (unsigned long long)stats.questions,
		      (double)stats.duration_ns / 1e6);
	assert_int_equal(sink_maps.state.fwmarks, 0);
	hints_stop();
}

static void random_routing_is_as_connect_has_it(void **state)
{
	unsigned int rounds = getenv("ROUNDS") ? (unsigned int)atoi(getenv("ROUNDS")) : 12;

	(void)state;
	net_need();
	memset(&hints_seen, 0, sizeof(hints_seen));
	for (unsigned int round = 0; round < rounds; round++) {
		hints_setup(state);
		random_seed = round + (getenv("SEED") ? (unsigned int)atoi(getenv("SEED")) : 100);
		ip_begin();
		for (int i = 0; i < 30; i++)
			random_route(i & 1);
		for (int i = (int)rnd(6); i; i--)
			random_rule(i & 1);
		ip_end();
		hints_start();
		hints_settle();
		hints_compare_many(300);
		for (int change = 0; change < 6; change++) {
			ip_begin();
			for (unsigned int i = rnd(4) + 1; i; i--)
				random_change();
			ip_end();
			hints_settle();
			hints_compare_many(100);
		}
		hints_stop();
	}
	print_message("compared %u: same %u, no route %u, unknown %u, device unknown %u\n",
		      hints_seen.same + hints_seen.none + hints_seen.unknown, hints_seen.same,
		      hints_seen.none, hints_seen.unknown, hints_seen.no_device);
	assert_true(hints_seen.same > 1000 && hints_seen.none > 100);
}

static void what_stays_is_not_written_again(void **state)
{
	unsigned int puts, dels;
	const struct route_value *v;

	(void)state;
	net_need();
	hints_start();
	hints_settle();
	puts = sink_maps.puts;
	dels = sink_maps.dels;
	routes_refresh(routes);
	assert_false(routes_ready(routes));
	hints_settle();
	assert_int_equal(sink_maps.puts, puts);
	assert_int_equal(sink_maps.dels, dels);
	ip_begin();
	ip("route add 10.77.0.0/16 dev rtd2");
	ip_end();
	hints_settle();
	/* one entry; its length is in use already */
	assert_int_equal(sink_maps.puts, puts + 1);
	v = hints_lookup("10.77.1.1");
	assert_int_equal(v->saddr[0], inet_addr("192.168.5.1"));
	assert_int_equal(v->oif, if_nametoindex("rtd2"));
	hints_stop();
}

static struct {
	__be32 addr[4];
	struct route_value before, during[4];
	unsigned int n;
} watched[64];

static void watch(void)
{
	for (unsigned int i = 0; i < 64; i++) {
		const struct route_value *v = sink_lookup(AF_INET, watched[i].addr);
		unsigned int n = watched[i].n;

		assert_non_null(v);
		if (memcmp(v, n ? &watched[i].during[n - 1] : &watched[i].before, sizeof(*v))) {
			assert_true(n < 4);
			watched[i].during[watched[i].n++] = *v;
		}
	}
}

static void lookups_never_see_a_third_answer(void **state)
{
	unsigned int moved = 0;

	(void)state;
	net_need();
	hints_start();
	hints_settle();
	for (int round = 0; round < 12; round++) {
		memset(watched, 0, sizeof(watched));
		for (unsigned int i = 0; i < 64; i++) {
			char text[64];
			uint8_t family;

			random_addr(false, text, sizeof(text));
			net_addr(text, &family, watched[i].addr);
			watched[i].before = *sink_lookup(AF_INET, watched[i].addr);
		}
		/* in one transaction for us: the loop does not run before all is there */
		ip_begin();
		if (round & 1)
			ip("route flush table 100");
		for (int i = 0; i < 20; i++)
			random_route(false);
		ip("rule add from all lookup 100 pref 50");
		ip_end();
		sink_maps.on_write = watch;
		hints_settle();
		sink_maps.on_write = NULL;
		/* the answer at the end is the only other one that was ever seen */
		for (unsigned int i = 0; i < 64; i++) {
			assert_true(watched[i].n <= 1);
			moved += watched[i].n;
		}
	}
	assert_true(moved > 50);
	hints_stop();
}

static void a_full_map_makes_the_family_unknown(void **state)
{
	struct routes_stats stats;

	(void)state;
	net_need();
	sink_maps.room = 5;
	hints_start();
	hints_settle();
	routes_stats(routes, &stats);
	assert_true(stats.full[0]);
	assert_true(hints_lookup("10.0.0.1")->unknown);
	sink_maps.room = ~0U;
	routes_refresh(routes);
	hints_settle();
	routes_stats(routes, &stats);
	assert_false(stats.full[0] || stats.full[1]);
	hints_compare_many(200);
	hints_stop();
}

/* Measured from outside: the address is there, how long until the hint is. */
static void a_change_is_in_the_maps_within_milliseconds(void **state)
{
	double worst = 0;

	(void)state;
	net_need();
	hints_start();
	hints_settle();
	for (int i = 0; i < 20; i++) {
		struct timespec a, b;
		double ms;

		ip_begin();
		ip("route %s 10.88.0.0/16 dev rtd2", i & 1 ? "del" : "add");
		ip_end();
		clock_gettime(CLOCK_MONOTONIC, &a);
		do
			sd_event_run(hints_loop, 100000);
		while (!routes_ready(routes));
		clock_gettime(CLOCK_MONOTONIC, &b);
		hints_compare_text("10.88.1.1");
		ms = (double)(b.tv_sec - a.tv_sec) * 1e3 + (double)(b.tv_nsec - a.tv_nsec) / 1e6;
		worst = ms > worst ? ms : worst;
	}
	print_message("event to hint: worst of 20: %.2f ms\n", worst);
	assert_true(worst < 500);
	hints_stop();
}

static void many_routes_and_one_too_many(void **state)
{
	struct routes_stats stats;

	(void)state;
	net_need();
	ip_begin();
	for (int i = 0; i < 40000; i++)
		ip("route add 20.%d.%d.%d/30 dev %s", i >> 14, (i >> 6) & 255, (i & 63) * 4,
		   net_devices[i & 1]);
	ip_end();
	hints_start();
	hints_settle();
	routes_stats(routes, &stats);
	print_message("cells %u, entries %u, %.1f ms\n", stats.cells[0], stats.entries[0],
		      (double)stats.duration_ns / 1e6);
	assert_true(stats.cells[0] > 40000);
	hints_compare_many(100);
	hints_compare_text("20.1.7.9");
	ip_begin();
	for (int i = 0; i < 30000; i++)
		ip("route add 21.%d.%d.%d/30 dev %s", i >> 14, (i >> 6) & 255, (i & 63) * 4,
		   net_devices[i & 1]);
	ip_end();
	hints_settle();
	routes_stats(routes, &stats);
	assert_true(stats.full[0]);
	assert_false(stats.full[1]);
	assert_true(hints_lookup("10.0.0.1")->unknown);
	assert_int_equal(stats.entries[0], 1);
	hints_stop();
}

/* What a former daemon left goes when it is wrong, and stays unwritten when it is right. */
static void left_entries_are_taken_over(void **state)
{
	struct route_key wrong = {.space = SPACE, .family = AF_INET, .len = 32};
	struct route_value value = {.saddr = {1}};
	struct sink_item *item, *next, *left[600];
	unsigned int n = 0, before;

	(void)state;
	net_need();
	hints_start();
	hints_settle();
	hints_stop();
	wrong.addr[0] = inet_addr("10.3.3.3");
	sink_put(NULL, SPACE, MAP_ROUTES, &wrong, &value);
	before = sink_maps.entry_puts;
	assert_true(sd_event_new(&hints_loop) >= 0);
	assert_int_equal(routes_new(hints_loop, -1, SPACE, &sink_ops, NULL, NULL, &routes, NULL),
			 0);
	HASH_ITER(hh, sink_maps.items, item, next)
		left[n++] = item;
	for (unsigned int i = 0; i < n; i++)
		assert_int_equal(routes_adopt(routes, &left[i]->key, &left[i]->value), 0);
	hints_settle();
	assert_true(sink_maps.entry_puts == before);
	assert_null(sink_find(&wrong));
	hints_compare_many(200);
	wrong.space = SPACE + 1;
	assert_int_equal(routes_adopt(routes, &wrong, &value), -EINVAL);
	hints_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_quiet_host_has_every_answer),
		TEST(random_routing_is_as_connect_has_it),
		TEST(what_stays_is_not_written_again),
		TEST(lookups_never_see_a_third_answer),
		TEST(a_full_map_makes_the_family_unknown),
		TEST(a_change_is_in_the_maps_within_milliseconds),
		TEST(many_routes_and_one_too_many),
		TEST(left_entries_are_taken_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
