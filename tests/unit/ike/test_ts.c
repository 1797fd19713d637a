// SPDX-License-Identifier: GPL-2.0-only
/* needs: ike-bridge/ts.c ike-bridge/ts_parse.c */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../../ike-bridge/ts.h"

static int fake_proto(void *ctx, const char *name)
{
	(void)ctx;
	return strcmp(name, "hip") ? -1 : 139;
}

static int fake_port(void *ctx, const char *name, uint8_t proto)
{
	(void)ctx;
	if (!strcmp(name, "http") && proto == IPPROTO_TCP)
		return 80;
	if (!strcmp(name, "domain"))
		return 53;
	if (!strcmp(name, "3com-tsmux"))
		return 106;
	return !strcmp(name, "echo") ? 7 : -1;
}

static const struct ts_names names = {fake_proto, fake_port, NULL};

static int parse(const char *text, struct ts *ts)
{
	return ts_parse(text, strlen(text), &names, ts);
}

static void texts_of_list_conns_are_read(void **state)
{
	static const struct {
		const char *text, *start, *end;
		uint8_t proto;
		uint16_t from, to;
		bool vague;
	} rows[] = {
		{"10.0.0.2/32", "10.0.0.2", "10.0.0.2", 0, 0, 65535, false},
		{"10.0.0.2", "10.0.0.2", "10.0.0.2", 0, 0, 65535, false},
		{"10.0.0.2/32[tcp/http]", "10.0.0.2", "10.0.0.2", 6, 80, 80, false},
		{"10.0.1.0/24[tcp]", "10.0.1.0", "10.0.1.255", 6, 0, 65535, false},
		{"10.0.1.9/24", "10.0.1.0", "10.0.1.255", 0, 0, 65535, false},
		{"0.0.0.0/0[0/domain]", "0.0.0.0", "255.255.255.255", 0, 53, 53, false},
		{"0.0.0.0/0[/53]", "0.0.0.0", "255.255.255.255", 0, 53, 53, false},
		{"10.9.0.0/16[udp/1024-2048]", "10.9.0.0", "10.9.255.255", 17, 1024, 2048, false},
		{"10.8.0.0/16[udp/OPAQUE]", "10.8.0.0", "10.8.255.255", 17, 65535, 0, false},
		{"10.8.0.0/16[udp/ANY]", "10.8.0.0", "10.8.255.255", 17, 0, 65535, false},
		{"10.7.0.0/24[17]", "10.7.0.0", "10.7.0.255", 17, 0, 65535, false},
		{"10.7.0.0/24[icmp/8]", "10.7.0.0", "10.7.0.255", 1, 0x800, 0x800, false},
		{"10.7.0.0/24[icmp/8(0)]", "10.7.0.0", "10.7.0.255", 1, 0x800, 0x800, false},
		{"10.7.0.0/24[icmp/3(4)]", "10.7.0.0", "10.7.0.255", 1, 0x304, 0x304, false},
		{"10.7.0.0/24[icmp/8-8(255)]", "10.7.0.0", "10.7.0.255", 1, 0x800, 0x8ff, false},
		{"10.6.0.0/24[201/echo]", "10.6.0.0", "10.6.0.255", 201, 7, 7, false},
		{"10.6.0.0/24[hip]", "10.6.0.0", "10.6.0.255", 139, 0, 65535, false},
		{"10.6.0.0/24[tcp/3com-tsmux]", "10.6.0.0", "10.6.0.255", 6, 106, 106, false},
		{"10.6.0.0/24[tcp/our-own]", "10.6.0.0", "10.6.0.255", 6, 0, 65535, true},
		{"10.0.2.0..10.0.2.77", "10.0.2.0", "10.0.2.77", 0, 0, 65535, false},
		{"10.0.2.0..10.0.2.77[tcp/80]", "10.0.2.0", "10.0.2.77", 6, 80, 80, false},
		{"2001:db8::/32[ipv6-icmp]", "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
		 58, 0, 65535, false},
		{"2001:db8:1::/48[ipv6-icmp/128]",
		 "2001:db8:1::", "2001:db8:1:ffff:ffff:ffff:ffff:ffff", 58, 0x8000, 0x8000, false},
		{"10.0.2.0-10.0.2.77[tcp/80]", "10.0.2.0", "10.0.2.77", 6, 80, 80, false},
		{"10.0.2.7..10.0.2.7", "10.0.2.7", "10.0.2.7", 0, 0, 65535, false},
		{"0.0.0.0/0", "0.0.0.0", "255.255.255.255", 0, 0, 65535, false},
		{"::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 0, 0, 65535, false},
		{"::/0[0/1024-2047]", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 0, 1024,
		 2047, false},
		{"10.1.0.0/16[0/OPAQUE]", "10.1.0.0", "10.1.255.255", 0, 65535, 0, false},
		{"10.1.0.0/16[icmp/0-7(255)]", "10.1.0.0", "10.1.255.255", 1, 0, 0x7ff, false},
		{"10.1.0.0/16[tcp/0-65534]", "10.1.0.0", "10.1.255.255", 6, 0, 65534, false},
		{"dynamic[udp]", NULL, NULL, 17, 0, 65535, false},
		{"dynamic[0/domain]", NULL, NULL, 0, 53, 53, false},
		{"2001:db8::1..2001:db8::9[sctp/5000-5003]", "2001:db8::1", "2001:db8::9", 132,
		 5000, 5003, false},
		{"::1..::ffff", "::1", "::ffff", 0, 0, 65535, false},
		{"dynamic", NULL, NULL, 0, 0, 65535, false},
		{"dynamic[tcp/http]", NULL, NULL, 6, 80, 80, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t start[16] = {}, end[16] = {};
		struct ts ts;
		int family = AF_INET;

		if (parse(rows[i].text, &ts))
			fail_msg("%s is not read", rows[i].text);
		if (rows[i].start) {
			family = strchr(rows[i].start, ':') ? AF_INET6 : AF_INET;
			inet_pton(family, rows[i].start, start);
			inet_pton(family, rows[i].end, end);
		}
		assert_int_equal(ts.family, rows[i].start ? family : 0);
		assert_int_equal(ts.dynamic, !rows[i].start);
		assert_memory_equal(ts.start, start, 16);
		assert_memory_equal(ts.end, end, 16);
		if (ts.proto != rows[i].proto || ts.port_from != rows[i].from ||
		    ts.port_to != rows[i].to || ts.vague != rows[i].vague)
			fail_msg("%s: proto %u ports %u-%u", rows[i].text, ts.proto, ts.port_from,
				 ts.port_to);
	}
}

static void other_texts_are_refused_and_nothing_is_written(void **state)
{
	static const char *const rows[] = {
		"",
		"/24",
		"10.0.0/24",
		"10.0.0.0/33",
		"10.0.0.0/",
		"10.0.0.0/-1",
		"10.0.0.0/1x",
		"2001:db8::/129",
		"10.0.0.2..",
		"..10.0.0.2",
		"10.0.0.2-",
		"-10.0.0.2",
		"10.0.0.9-10.0.0.2",
		"10.0.0.1-10.0.0.2-10.0.0.3",
		"10.0.0.9..10.0.0.2",
		"10.0.0.1..::1",
		"10.0.0.0/8[",
		"10.0.0.0/8]",
		"10.0.0.0/8[]",
		"10.0.0.0/8[tcp",
		"10.0.0.0/8[tcp]x",
		"10.0.0.0/8[nosuch]",
		"10.0.0.0/8[256]",
		"10.0.0.0/8[tcp/]",
		"10.0.0.0/8[tcp/65536]",
		"10.0.0.0/8[tcp/9-2]",
		"10.0.0.0/8[tcp/1/2]",
		"10.0.0.0/8[tcp/1-]",
		"10.0.0.0/8[icmp/8(0]",
		"10.0.0.0/8[icmp/256]",
		"10.0.0.0/8[icmp/8(256)]",
		"10.0.0.0/8[icmp/echo]",
		"dynamicx",
		"dynamic/32",
		"peer.example.com",
		"%any",
		"10.0.0.0/00000032",
		" 10.0.0.1",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ts ts, before;

		memset(&ts, 0xa5, sizeof(ts));
		before = ts;
		if (parse(rows[i], &ts) != -EINVAL)
			fail_msg("'%s' was read", rows[i]);
		assert_memory_equal(&ts, &before, sizeof(ts));
	}
	assert_int_equal(ts_parse("10.0.0.1\0x", 10, &names, &(struct ts){}), -EINVAL);
}

static void what_is_inside_matches_and_its_neighbour_does_not(void **state)
{
	static const struct {
		const char *text, *addr;
		uint8_t proto;
		uint16_t port;
		bool inside;
	} rows[] = {
		{"10.0.0.2/32", "10.0.0.2", 6, 80, true},
		{"10.0.0.2/32", "10.0.0.3", 6, 80, false},
		{"10.0.0.2/32", "::ffff:10.0.0.2", 6, 80, false},
		{"10.0.2.0..10.0.2.77", "10.0.2.77", 6, 80, true},
		{"10.0.2.0..10.0.2.77", "10.0.2.78", 6, 80, false},
		{"10.0.0.0/8[tcp/80]", "10.1.1.1", 6, 80, true},
		{"10.0.0.0/8[tcp/80]", "10.1.1.1", 6, 81, false},
		{"10.0.0.0/8[tcp/80]", "10.1.1.1", 17, 80, false},
		{"10.0.0.0/8[tcp/80]", "10.1.1.1", 0, 0, true},
		{"10.0.0.0/8[udp/1024-2048]", "10.1.1.1", 17, 2048, true},
		{"10.0.0.0/8[udp/1024-2048]", "10.1.1.1", 17, 2049, false},
		{"10.0.0.0/8[udp/OPAQUE]", "10.1.1.1", 17, 9, true},
		{"10.0.0.0/8[0/53]", "10.1.1.1", 17, 53, true},
		{"10.0.0.0/8[0/53]", "10.1.1.1", 17, 54, false},
		{"10.0.0.0/8[0/53]", "10.1.1.1", 47, 0, true},
		{"2001:db8::/32", "2001:db8:ffff::1", 6, 1, true},
		{"2001:db8::/32", "2001:db9::1", 6, 1, false},
		{"dynamic[tcp]", "192.0.2.9", 6, 1, true},
		{"dynamic[tcp]", "192.0.2.9", 17, 1, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int family = strchr(rows[i].addr, ':') ? AF_INET6 : AF_INET;
		uint8_t addr[16] = {};
		struct ts ts;

		assert_int_equal(parse(rows[i].text, &ts), 0);
		inet_pton(family, rows[i].addr, addr);
		if (ts_matches(&ts, family, addr, rows[i].proto, rows[i].port) != rows[i].inside)
			fail_msg("%s and %s %u/%u", rows[i].text, rows[i].addr, rows[i].proto,
				 rows[i].port);
	}
}

static void prefixes_cover_exactly_the_range(void **state)
{
	static const struct {
		const char *text;
		int n;
		const char *first;
		int first_len, last_len;
	} rows[] = {
		{"10.0.0.2/32", 1, "10.0.0.2", 32, 32},
		{"0.0.0.0/0", 1, "0.0.0.0", 0, 0},
		{"::/0", 1, "::", 0, 0},
		{"10.0.2.0..10.0.2.77", 4, "10.0.2.0", 26, 31},
		{"0.0.0.1..255.255.255.254", 62, "0.0.0.1", 32, 32},
		{"255.255.255.255..255.255.255.255", 1, "255.255.255.255", 32, 32},
		{"::1..ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", 254, "::1", 128, 128},
	};
	struct ts_prefix out[TS_PREFIX_MAX];
	struct ts ts;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t first[16] = {};

		assert_int_equal(parse(rows[i].text, &ts), 0);
		assert_int_equal(ts_prefixes(&ts, out, TS_PREFIX_MAX), rows[i].n);
		inet_pton(ts.family, rows[i].first, first);
		assert_memory_equal(out[0].addr, first, 16);
		assert_int_equal(out[0].len, rows[i].first_len);
		assert_int_equal(out[rows[i].n - 1].len, rows[i].last_len);
		assert_int_equal(ts_prefixes(&ts, out, rows[i].n - 1), -E2BIG);
	}
	assert_int_equal(parse("dynamic", &ts), 0);
	assert_int_equal(ts_prefixes(&ts, out, TS_PREFIX_MAX), -EINVAL);
}

static void port_masks_cover_exactly_the_range(void **state)
{
	static const uint16_t ranges[][2] = {
		{80, 80}, {1024, 2048}, {1, 65534}, {0, 1}, {65535, 65535}, {0, 65535},
	};
	struct ts_port out[TS_PORT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		struct ts ts = {.port_from = ranges[i][0], .port_to = ranges[i][1]};
		int n = ts_ports(&ts, out, TS_PORT_MAX);

		assert_true(n > 0);
		for (unsigned int port = 0; port <= 65535; port++) {
			int hits = 0;

			for (int k = 0; k < n; k++)
				hits += (port & out[k].mask) == out[k].port;
			assert_int_equal(hits, port >= ranges[i][0] && port <= ranges[i][1]);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_of_list_conns_are_read),
		cmocka_unit_test(other_texts_are_refused_and_nothing_is_written),
		cmocka_unit_test(what_is_inside_matches_and_its_neighbour_does_not),
		cmocka_unit_test(prefixes_cover_exactly_the_range),
		cmocka_unit_test(port_masks_cover_exactly_the_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
