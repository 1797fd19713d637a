// SPDX-License-Identifier: GPL-2.0-only
/* needs: tests/unit/routes/hints.c tests/unit/routes/net.c tests/unit/routes/random.c */
/* needs: tests/unit/routes/sink.c */
/* needs: loader/routes.c loader/routes_nl.c loader/routes_ask.c loader/routes_view.c */
/* needs: loader/routes_table.c loader/routes_gateways.c loader/route_cells.c */
/* needs: loader/routes_ways.c */
/* needs: loader/netns.c loader/error.c loader/log.c */
/*
 * Source hints against the real kernel, in a network namespace of the test's own (net.h): one case
 * after the other of what in rules, routes, neighbours and settings decides the source, the device
 * or whether a hint can be given at all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <net/if.h>
#include <sys/socket.h>

#include "hints.h"
#include "net.h"
#include "route_cells.h"
#include "sink.h"

static void rules_on_users_and_ports_make_hints_uncertain(void **state)
{
	(void)state;
	net_need();
	ip_begin();
	ip("rule add to 10.9.0.0/16 uidrange 1000-2000 lookup 100 pref 10");
	ip("rule add to 10.10.0.0/16 dport 443 lookup 100 pref 11");
	ip("rule add fwmark 7 uidrange 1-2 lookup 100 pref 12");
	ip("route add 10.11.0.0/16 tos 0x10 dev rtd1");
	ip_end();
	hints_start();
	hints_settle();
	assert_true(hints_lookup("10.9.1.1")->unknown);
	assert_true(hints_lookup("10.10.1.1")->unknown);
	assert_true(hints_lookup("10.11.1.1")->unknown);
	assert_false(hints_lookup("10.12.1.1")->unknown);
	assert_int_equal(sink_maps.state.fwmarks, 1);
	assert_int_equal(sink_maps.state.fwmark[0].mark, 7);
	assert_int_equal(sink_maps.state.fwmark[0].mask, ~0U);
	ip_begin();
	ip("rule del pref 12");
	ip("rule add uidrange 1000-2000 lookup 100 pref 9");
	ip_end();
	hints_settle();
	assert_true(hints_lookup("10.12.1.1")->unknown);
	assert_int_equal(sink_maps.state.fwmarks, 0);
	/* what a table answers that is looked up before them is known: local addresses, … */
	assert_false(hints_lookup("127.0.0.1")->unknown);
	assert_true(hints_lookup("127.0.0.1")->loopback);
	ip_begin();
	ip("route add 10.13.0.0/16 dev rtd1 table 200");
	ip("rule add lookup 200 pref 8");
	ip_end();
	hints_settle();
	assert_false(hints_lookup("10.13.1.1")->unknown);
	assert_true(hints_lookup("10.12.1.1")->unknown);
	/* … not one that is looked up behind them, too */
	ip_begin();
	ip("rule add to 10.13.0.0/24 lookup 200 pref 10");
	ip_end();
	hints_settle();
	assert_true(hints_lookup("10.13.1.1")->unknown);
	hints_stop();
}

static void several_next_hops_with_one_source(void **state)
{
	(void)state;
	net_need();
	ip_begin();
	ip("route add 10.20.0.0/16 nexthop dev rtd1 nexthop dev rtd2");
	ip("route add 10.21.0.0/16 src 10.0.0.1 nexthop dev rtd1 nexthop dev rtd2");
	ip("route add 10.22.0.0/16 src 10.1.0.1 nexthop via 172.16.0.7 dev rtd1 "
	   "nexthop via 172.16.0.8 dev rtd1");
	/* beside them, of the table that the kernel has in one with main */
	ip("route add 10.25.1.1/32 dev rtd1 src 10.0.0.1 table local");
	ip("-6 route add 2620:5::/32 nexthop via 2001:db8:1::9 nexthop via fd00:0:0:1::9");
	ip("-6 route add 2620:6::/32 src 2001:db8:f::1 nexthop via 2001:db8:1::9 "
	   "nexthop via fd00:0:0:1::9");
	ip("-6 route add 2620:7::/32 dev rtd1");
	ip("-6 route append 2620:7::/32 dev rtd0");
	ip_end();
	hints_start();
	hints_settle();
	assert_true(hints_lookup("10.20.1.1")->unknown);
	assert_false(hints_lookup("10.21.1.1")->unknown);
	assert_int_equal(hints_lookup("10.21.1.1")->oif, 0);
	assert_int_equal(hints_lookup("10.21.1.1")->saddr[0], inet_addr("10.0.0.1"));
	assert_false(hints_lookup("10.22.1.1")->unknown);
	assert_int_equal(hints_lookup("10.22.1.1")->oif, if_nametoindex("rtd1"));
	assert_true(hints_lookup("2620:5::1")->unknown);
	assert_true(hints_lookup("2620:7::1")->unknown);
	assert_false(hints_lookup("2620:6::1")->unknown);
	assert_int_equal(hints_lookup("2620:6::1")->oif, 0);
	assert_false(hints_lookup("10.23.1.1")->unknown);
	assert_false(hints_lookup("10.25.1.1")->unknown);
	hints_stop();
}

/* Packets have the source that a route names; tunnels that routing gives theirs have not. */
static void a_source_that_an_ipv6_route_names(void **state)
{
	(void)state;
	net_need();
	ip_begin();
	ip("-6 route add 2620:8::/32 dev rtd1 src 2001:db8:f::1");
	ip("-6 route add 2620:9::/32 dev rtd1");
	ip("route add 10.24.0.0/16 dev rtd1 src 10.1.0.1");
	ip_end();
	hints_start();
	hints_settle();
	assert_false(hints_lookup("2620:8::1")->unknown);
	assert_true(hints_lookup("2620:8::1")->named);
	assert_false(hints_lookup("2620:9::1")->named);
	assert_false(hints_lookup("10.24.1.1")->named);
	hints_stop();
}

/* connect() asks twice, the second time with the source; sendto() once. */
static void a_rule_on_the_source_may_change_the_device(void **state)
{
	(void)state;
	net_need();
	ip_begin();
	ip("route add 10.30.0.0/16 dev rtd1 src 192.168.5.1");
	ip("route add default dev rtd2 table 100");
	ip("rule add from 192.168.5.1 lookup 100 pref 10");
	ip_end();
	hints_start();
	hints_settle();
	assert_int_equal(hints_lookup("10.30.1.1")->saddr[0], inet_addr("192.168.5.1"));
	assert_int_equal(hints_lookup("10.30.1.1")->oif, 0);
	assert_int_equal(hints_lookup("10.1.1.1")->oif, if_nametoindex("rtd1"));
	hints_stop();
}

/* sendto() then sends from an address that is no longer ours, connect() refuses. */
static void a_source_that_is_gone_is_not_known(void **state)
{
	(void)state;
	net_need();
	ip_begin();
	ip("route add 10.50.0.0/16 dev rtd1 src 10.1.0.2 table 100");
	ip("rule add lookup 100 pref 10");
	ip_end();
	hints_start();
	hints_settle();
	assert_int_equal(hints_lookup("10.50.1.1")->saddr[0], inet_addr("10.1.0.2"));
	ip_begin();
	ip("address del 10.1.0.2/16 dev rtd1");
	ip_end();
	hints_settle();
	assert_true(hints_lookup("10.50.1.1")->unknown);
	assert_false(hints_lookup("10.51.1.1")->unknown);
	hints_stop();
}

static void labels_choose_among_sources(void **state)
{
	(void)state;
	net_need();
	ip_begin();
	ip("-6 route add default dev rtd3");
	ip("-6 addrlabel add prefix 2620:9::/32 label 99");
	ip("-6 addrlabel add prefix 2001:db8:f::/48 label 99");
	ip_end();
	hints_start();
	hints_settle();
	hints_compare_text("2620:9::1");
	hints_compare_text("2620:a::1");
	assert_int_equal(cell_addr(AF_INET6, hints_lookup("2620:9::1")->saddr) >> 80,
			 0x20010db8000f);
	assert_int_not_equal(cell_addr(AF_INET6, hints_lookup("2620:a::1")->saddr) >> 80,
			     0x20010db8000f);
	hints_stop();
}

static void a_failed_gateway_is_passed_over(void **state)
{
	(void)state;
	net_need();
	ip_begin();
	ip("-6 route add 2620:8::/32 via 2001:db8:1::9 dev rtd1 metric 1");
	ip("-6 route add 2620:8::/32 via fd00:0:0:1::9 dev rtd0 metric 2");
	ip_end();
	hints_start();
	hints_settle();
	assert_int_equal(hints_lookup("2620:8::1")->oif, if_nametoindex("rtd1"));
	ip_begin();
	/* as the neighbour's timer does it; set straight to failed it would not be told */
	ip("-6 neigh add 2001:db8:1::9 lladdr 02:00:00:00:00:01 dev rtd1 nud reachable");
	ip("-6 neigh replace 2001:db8:1::9 dev rtd1 nud failed");
	ip_end();
	hints_settle();
	hints_compare_text("2620:8::1");
	assert_int_equal(hints_lookup("2620:8::1")->oif, if_nametoindex("rtd0"));
	ip_begin();
	ip("-6 neigh replace 2001:db8:1::9 lladdr 02:00:00:00:00:01 dev rtd1 nud reachable");
	ip_end();
	hints_settle();
	hints_compare_text("2620:8::1");
	assert_int_equal(hints_lookup("2620:8::1")->oif, if_nametoindex("rtd1"));
	hints_stop();
}

static void disable_xfrm_is_read_for_the_device_and_for_all(void **state)
{
	(void)state;
	net_need();
	net_write("/proc/sys/net/ipv4/conf/rtd1/disable_xfrm", "1");
	hints_start();
	hints_settle();
	assert_true(hints_lookup("10.1.9.9")->noxfrm);
	assert_false(hints_lookup("10.3.9.9")->noxfrm);
	assert_true(hints_lookup("127.0.0.1")->noxfrm);
	net_write("/proc/sys/net/ipv4/conf/all/disable_xfrm", "1");
	routes_refresh(routes);
	hints_settle();
	assert_true(hints_lookup("10.3.9.9")->noxfrm);
	hints_stop();
}

static void a_local_prefix_is_exempt_or_unknown(void **state)
{
	(void)state;
	net_need();
	ip_begin();
	ip("route add local 10.40.0.0/16 dev lo");
	ip_end();
	hints_start();
	hints_settle();
	assert_true(hints_lookup("10.40.1.1")->noxfrm);
	assert_false(hints_lookup("10.40.1.1")->unknown);
	net_write("/proc/sys/net/ipv4/conf/lo/disable_xfrm", "0");
	routes_refresh(routes);
	hints_settle();
	assert_true(hints_lookup("10.40.1.1")->unknown);
	assert_int_equal(hints_lookup("10.0.0.1")->saddr[0], inet_addr("10.0.0.1"));
	hints_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(rules_on_users_and_ports_make_hints_uncertain),
		TEST(several_next_hops_with_one_source),
		TEST(a_source_that_an_ipv6_route_names),
		TEST(a_rule_on_the_source_may_change_the_device),
		TEST(a_source_that_is_gone_is_not_known),
		TEST(labels_choose_among_sources),
		TEST(a_failed_gateway_is_passed_over),
		TEST(disable_xfrm_is_read_for_the_device_and_for_all),
		TEST(a_local_prefix_is_exempt_or_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
