// SPDX-License-Identifier: GPL-2.0-only
/* needs: loader/units.c loader/error.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "units.h"

#define REFUSED(expr)                                                                              \
	do {                                                                                       \
		memset(&e, 0, sizeof(e));                                                          \
		assert_int_equal(expr, -EINVAL);                                                   \
		assert_true(e.code[0] && e.message[0]);                                            \
	} while (0)

static struct error e;

static void durations_have_a_unit(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} good[] = {{"30s", 30000000000},
		    {"500ms", 500000000},
		    {"2m", 120000000000},
		    {"1h", 3600000000000},
		    {"0", 0},
		    {"0s", 0},
		    {"365h", 1314000000000000}};
	static const char *const bad[] = {"",
					  "30",
					  "s",
					  "-1s",
					  "+1s",
					  " 1s",
					  "1s ",
					  "1 s",
					  "1.5s",
					  "01s",
					  "1S",
					  "1us",
					  "1d",
					  "1ms2",
					  "00",
					  "8761h",
					  "18446744073709551616s",
					  "99999999999999999999999h"};
	char buf[UNITS_TEXT];
	uint64_t ns = 7;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(duration_parse(good[i].text, &ns, &e), 0);
		assert_int_equal(ns, good[i].ns);
		assert_int_equal(duration_parse(duration_format(ns, buf, sizeof(buf)), &ns, &e), 0);
		assert_int_equal(ns, good[i].ns);
	}
	ns = 7;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		REFUSED(duration_parse(bad[i], &ns, &e));
	assert_int_equal(ns, 7);
	assert_string_equal(duration_format(90000000000, buf, sizeof(buf)), "90s");
	assert_string_equal(duration_format(1500000000, buf, sizeof(buf)), "1500ms");
	assert_string_equal(duration_format(7200000000000, buf, sizeof(buf)), "2h");
	assert_string_equal(duration_format(999999, buf, sizeof(buf)), "0");
}

static void ranges_rise_from_above_zero(void **state)
{
	static const char *const bad[] = {"1s",	     "1s..",	   "..1s",    "0..1s", "2s..1s",
					  "1s...2s", "1s..2s..3s", "1s.. 2s", "1..2s", ""};
	uint64_t a = 1, b = 2;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		REFUSED(duration_range_parse(bad[i], &a, &b, &e));
	assert_int_equal(a, 1);
	assert_int_equal(b, 2);
	assert_int_equal(duration_range_parse("1s..60s", &a, &b, &e), 0);
	assert_int_equal(a, 1000000000);
	assert_int_equal(b, 60000000000);
	assert_int_equal(duration_range_parse("5ms..5ms", &a, &b, &e), 0);
}

static void errnos_are_names_of_the_list(void **state)
{
	int number = 0;

	(void)state;
	assert_int_equal(errno_parse("EHOSTUNREACH", &number, &e), 0);
	assert_int_equal(number, EHOSTUNREACH);
	assert_string_equal(errno_name(number), "EHOSTUNREACH");
	assert_string_equal(errno_name(-EAGAIN), "EAGAIN");
	assert_null(errno_name(512));
	assert_null(errno_name(0));
	REFUSED(errno_parse("eagain", &number, &e));
	REFUSED(errno_parse("11", &number, &e));
	REFUSED(errno_parse("ERESTARTSYS", &number, &e));
	REFUSED(errno_parse("EINPROGRESS", &number, &e));
	assert_non_null(strstr(e.message, "EKEYREJECTED"));
}

static void protocols_are_names_or_numbers(void **state)
{
	static const char *const bad[] = {"", "TCP", "256", "-1", "6 ", "06", "tcp6"};
	char buf[UNITS_TEXT];
	uint8_t proto = 9;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		REFUSED(proto_parse(bad[i], &proto, &e));
	assert_int_equal(proto, 9);
	for (unsigned int i = 0; i < 256; i++) {
		proto_format((uint8_t)i, buf, sizeof(buf));
		assert_int_equal(proto_parse(buf, &proto, &e), 0);
		assert_int_equal(proto, i);
	}
	assert_int_equal(proto_parse("sctp", &proto, &e), 0);
	assert_int_equal(proto, IPPROTO_SCTP);
	assert_string_equal(proto_format(IPPROTO_ICMPV6, buf, sizeof(buf)), "icmpv6");
}

static void endpoints_come_back_as_written(void **state)
{
	static const struct {
		const char *text, *out;
		unsigned int port;
	} good[] = {{"192.0.2.1", "192.0.2.1", 0},
		    {"192.0.2.1:1", "192.0.2.1:1", 1},
		    {"0.0.0.0:65535", "0.0.0.0:65535", 65535},
		    {"2001:DB8::1", "2001:db8::1", 0},
		    {"[::1]", "::1", 0},
		    {"[::1]:443", "[::1]:443", 443},
		    {"::ffff:192.0.2.1", "::ffff:192.0.2.1", 0},
		    {"::", "::", 0}};
	static const char *const bad[] = {"",
					  "192.0.2.1:",
					  "192.0.2.1:0",
					  "192.0.2.1:65536",
					  "192.0.2.1:01",
					  "192.0.2",
					  "192.0.2.1 ",
					  " 192.0.2.1",
					  "192.0.2.256",
					  "192.0.2.01",
					  "[::1",
					  "[::1]443",
					  "[::1]:",
					  "[::1]:x",
					  "[192.0.2.1]:1",
					  "[192.0.2.1]",
					  "fe80::1%eth0",
					  "host.example:1",
					  "::1]",
					  "1:2",
					  "[::1]:1:2",
					  "192.0.2.1:1:2",
					  ":1",
					  "[]:1"};
	struct endpoint ep = {.family = 77}, untouched = ep;
	char buf[UNITS_TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		REFUSED(endpoint_parse(bad[i], &ep, &e));
	assert_memory_equal(&ep, &untouched, sizeof(ep));
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(endpoint_parse(good[i].text, &ep, &e), 0);
		assert_string_equal(endpoint_format(&ep, buf, sizeof(buf)), good[i].out);
		assert_int_equal(ep.has_port, good[i].port != 0);
		assert_int_equal(ntohs(ep.port), good[i].port);
		assert_int_equal(ep.family, strchr(good[i].out, '.') && good[i].out[0] != ':'
						    ? AF_INET
						    : AF_INET6);
		if (ep.family == AF_INET)
			assert_int_equal(ep.addr[1] | ep.addr[2] | ep.addr[3], 0);
	}
	memset(buf, '1', sizeof(buf) - 1);
	buf[sizeof(buf) - 1] = '\0';
	REFUSED(endpoint_parse(buf, &ep, &e));
}

static void ports_under_a_mask_are_a_range_where_they_are_one(void **state)
{
	static const struct {
		unsigned int port, mask;
		const char *out;
	} rows[] = {
		{443, 0xffff, "443"},	     {1024, 0xfc00, "1024-2047"},
		{1030, 0xfc00, "1024-2047"}, {65535, 0x8000, "32768-65535"},
		{6, 0xfffe, "6-7"},	     {3, 0x00ff, "3/0x00ff"},
		{0x101, 0xfeff, "1/0xfeff"},
	};
	char buf[UNITS_TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(
			ports_format(htons(rows[i].port), htons(rows[i].mask), buf, sizeof(buf)),
			rows[i].out);
}

static void prefixes_have_no_bits_behind_their_length(void **state)
{
	static const char *const bad[] = {
		"",	"10.0.0.0/", "10.0.0.0/33", "::/129",	   "10.0.0.0/8 ", "10.0.0.0/08",
		"10/8", "/8",	     "10.0.0.0/-1", "10.0.0.0//8", "[::]/0"};
	static const char *const good[] = {"10.0.0.0/8",    "0.0.0.0/0",   "192.0.2.1/32", "::/0",
					   "2001:db8::/33", "fe80::1/128", "128.0.0.0/1"};
	struct prefix p = {.len = 99};
	char buf[UNITS_TEXT];
	uint8_t family;
	__be32 addr[4];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		REFUSED(prefix_parse(bad[i], &p, &e));
	REFUSED(prefix_parse("10.0.0.1/8", &p, &e));
	assert_non_null(strstr(e.message, "bits are set behind the length"));
	assert_non_null(strstr(e.message, "10.0.0.0/8"));
	REFUSED(prefix_parse("2001:db8::1/64", &p, &e));
	REFUSED(prefix_parse("1.0.0.0/0", &p, &e));
	assert_int_equal(p.len, 99);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(prefix_parse(good[i], &p, &e), 0);
		assert_string_equal(prefix_format(&p, buf, sizeof(buf)), good[i]);
	}
	assert_int_equal(prefix_parse("10.1.2.3", &p, &e), 0);
	assert_int_equal(p.len, 32);
	assert_int_equal(prefix_parse("172.16.0.0/12", &p, &e), 0);
	assert_int_equal(addr_parse("172.31.255.255", &family, addr, &e), 0);
	assert_true(prefix_contains(&p, family, addr));
	assert_int_equal(addr_parse("172.32.0.0", &family, addr, &e), 0);
	assert_false(prefix_contains(&p, family, addr));
	assert_false(prefix_contains(&p, AF_INET6, addr));
	REFUSED(addr_parse("[::1]", &family, addr, &e));
}

static void prefixes_are_equal_whatever_stands_between_their_fields(void **state)
{
	struct prefix a, b;

	(void)state;
	memset(&a, 0x00, sizeof(a));
	memset(&b, 0xff, sizeof(b));
	a.family = b.family = AF_INET;
	a.len = b.len = 24;
	memset(b.addr, 0, sizeof(b.addr));
	a.addr[0] = b.addr[0] = htonl(0xc0000200);
	assert_true(prefix_equal(&a, &b));
	b.len = 25;
	assert_false(prefix_equal(&a, &b));
	b.len = 24;
	b.family = AF_INET6;
	assert_false(prefix_equal(&a, &b));
	b.family = AF_INET;
	b.addr[3] = 1;
	assert_false(prefix_equal(&a, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations_have_a_unit),
		cmocka_unit_test(ranges_rise_from_above_zero),
		cmocka_unit_test(errnos_are_names_of_the_list),
		cmocka_unit_test(protocols_are_names_or_numbers),
		cmocka_unit_test(endpoints_come_back_as_written),
		cmocka_unit_test(ports_under_a_mask_are_a_range_where_they_are_one),
		cmocka_unit_test(prefixes_have_no_bits_behind_their_length),
		cmocka_unit_test(prefixes_are_equal_whatever_stands_between_their_fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
