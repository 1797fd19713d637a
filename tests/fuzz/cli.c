// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a person writes on a command line: addresses, endpoints, prefixes, ports, protocols, times.
 * What is taken reads the same when it is written again.
 */
/* covers: loader/units.c */
/* needs: loader/units.c loader/error.c */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "check.h"
#include "units.h"

/* Whether `e` says something, in one line that is ended. */
static void refused(const struct error *e)
{
	check(e->code[0] && e->message[0] && strlen(e->message) < sizeof(e->message));
}

static void check_endpoint(const char *text)
{
	struct endpoint a, b;
	struct error e = {0};
	char buf[UNITS_TEXT];

	if (endpoint_parse(text, &a, &e)) {
		refused(&e);
		return;
	}
	check(a.family == AF_INET || a.family == AF_INET6);
	check(!endpoint_parse(endpoint_format(&a, buf, sizeof(buf)), &b, NULL));
	check(a.family == b.family && a.has_port == b.has_port && a.port == b.port &&
	      !memcmp(a.addr, b.addr, sizeof(a.addr)));
}

static void check_addr(const char *text)
{
	__be32 a[4], b[4];
	uint8_t family, again;
	char buf[UNITS_TEXT];
	struct error e = {0};

	if (addr_parse(text, &family, a, &e)) {
		refused(&e);
		return;
	}
	check(!addr_parse(addr_format(family, a, buf, sizeof(buf)), &again, b, NULL));
	check(family == again && !memcmp(a, b, sizeof(a)));
}

static void check_prefix(const char *text)
{
	struct prefix a, b;
	struct error e = {0};
	char buf[UNITS_TEXT];

	if (prefix_parse(text, &a, &e)) {
		refused(&e);
		return;
	}
	check(a.len <= (a.family == AF_INET ? 32 : 128) && prefix_contains(&a, a.family, a.addr));
	check(!prefix_parse(prefix_format(&a, buf, sizeof(buf)), &b, NULL));
	check(a.family == b.family && a.len == b.len && !memcmp(a.addr, b.addr, sizeof(a.addr)));
}

static void check_numbers(const char *text)
{
	uint64_t ns, again, high;
	struct error e = {0};
	char buf[UNITS_TEXT];
	uint8_t proto, p;
	__be16 port;
	int number;

	if (duration_parse(text, &ns, &e))
		refused(&e);
	else
		check(!duration_parse(duration_format(ns, buf, sizeof(buf)), &again, NULL) &&
		      ns == again);
	if (duration_range_parse(text, &ns, &high, &e))
		refused(&e);
	else
		check(ns && ns <= high);
	if (proto_parse(text, &proto, &e))
		refused(&e);
	else
		check(!proto_parse(proto_format(proto, buf, sizeof(buf)), &p, NULL) && proto == p);
	if (port_parse(text, &port, &e))
		refused(&e);
	else
		check(port != 0);
	if (errno_parse(text, &number, &e))
		refused(&e);
	else
		check(!strcmp(errno_name(number), text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), buf[UNITS_TEXT];

	memcpy(text, data, size);
	text[size] = '\0';
	check_endpoint(text);
	check_addr(text);
	check_prefix(text);
	check_numbers(text);
	if (size >= 4)
		ports_format((__be16)(data[0] << 8 | data[1]), (__be16)(data[2] << 8 | data[3]),
			     buf, sizeof(buf));
	free(text);
	return 0;
}
