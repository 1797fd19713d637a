// SPDX-License-Identifier: GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <time.h>

#include "hints.h"
#include "net.h"
#include "random.h"
#include "sink.h"

sd_event *hints_loop;
struct routes *routes;
struct hints_seen hints_seen;

static unsigned int updates;

static void on_updated(void *ctx)
{
	(void)ctx;
	updates++;
}

void hints_start(void)
{
	struct error e = {0};

	assert_true(sd_event_new(&hints_loop) >= 0);
	updates = 0;
	if (routes_new(hints_loop, -1, SPACE, &sink_ops, on_updated, NULL, &routes, &e))
		fail_msg("%s", e.message);
	assert_false(routes_ready(routes));
	assert_int_equal(sink_maps.puts, 0);
}

void hints_settle(void)
{
	struct timespec began, t;

	clock_gettime(CLOCK_MONOTONIC, &began);
	do {
		if (!sd_event_run(hints_loop, 20000) && routes_ready(routes))
			return;
		clock_gettime(CLOCK_MONOTONIC, &t);
	} while (t.tv_sec - began.tv_sec < 20);
	fail_msg("not ready after 20 s");
}

void hints_stop(void)
{
	routes_free(routes);
	routes = NULL;
	sd_event_unref(hints_loop);
	hints_loop = NULL;
}

int hints_setup(void **state)
{
	(void)state;
	sink_clear();
	net_make();
	return 0;
}

int hints_teardown(void **state)
{
	(void)state;
	sink_maps.on_write = NULL;
	hints_stop();
	sink_clear();
	return 0;
}

void hints_compare(uint8_t family, const __be32 addr[4])
{
	const struct route_value *v = sink_lookup(family, addr);
	struct net_answer o = net_connect(family, addr);
	char text[INET6_ADDRSTRLEN], has[INET6_ADDRSTRLEN], wants[INET6_ADDRSTRLEN];

	inet_ntop(family, addr, text, sizeof(text));
	if (!v)
		fail_msg("%s: no entry", text);
	if (v->unknown) {
		hints_seen.unknown += family == AF_INET6 || (ntohl(addr[0]) >> 28) != 14;
		return;
	}
	if (v->none != (o.error != 0))
		fail_msg("%s: none=%u, but connect() says %s", text, v->none, strerror(o.error));
	if (v->none) {
		hints_seen.none++;
		return;
	}
	if (v->noxfrm && !memcmp(v->saddr, (__be32[4]){0}, 16)) {
		hints_seen.same++; /* a local prefix: exempt, whatever the source */
		return;
	}
	inet_ntop(family, v->saddr, has, sizeof(has));
	inet_ntop(family, o.saddr, wants, sizeof(wants));
	if (memcmp(v->saddr, o.saddr, 16))
		fail_msg("%s: source %s, but connect() takes %s", text, has, wants);
	if (!v->oif)
		hints_seen.no_device++;
	else if (net_mtu[v->oif] != o.mtu)
		fail_msg("%s: device %u (MTU %u), but the socket's MTU is %u", text, v->oif,
			 net_mtu[v->oif], o.mtu);
	assert_int_equal(v->loopback, v->oif == 1);
	if (family == AF_INET && v->oif)
		assert_int_equal(v->noxfrm, v->oif == 1);
	hints_seen.same++;
}

void hints_compare_text(const char *text)
{
	uint8_t family;
	__be32 addr[4];

	net_addr(text, &family, addr);
	hints_compare(family, addr);
}

const struct route_value *hints_lookup(const char *text)
{
	uint8_t family;
	__be32 addr[4];

	net_addr(text, &family, addr);
	return sink_lookup(family, addr);
}

void hints_compare_many(unsigned int n)
{
	static const char *const special[] = {
		"0.0.0.0",	"0.1.2.3",	  "127.0.0.1",	"127.9.9.9", "255.255.255.255",
		"10.0.0.1",	"10.255.255.255", "240.0.0.1",	"::1",	     "::",
		"fd00:0:0:1::", "2001:db8:f::1",  "64:ff9b::1", "2000::",    "fec0::1",
		"2001::1",	"2002:1::1",	  "fe80::1",	"ff02::1",   "224.0.0.1"};

	for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++)
		hints_compare_text(special[i]);
	for (unsigned int i = 0; i < n; i++) {
		char text[64];

		random_addr(i & 1, text, sizeof(text));
		hints_compare_text(text);
	}
}
