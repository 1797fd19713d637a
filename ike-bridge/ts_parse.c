// SPDX-License-Identifier: GPL-2.0-only
#include "ts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

enum { TEXT_MAX = 255, NUMBER_DIGITS = 5 };

/* The names worth knowing where there is no /etc/protocols. */
static const struct {
	const char *name;
	uint8_t proto;
} protocols[] = {
	{"icmp", 1},	{"igmp", 2},	  {"tcp", 6},	     {"udp", 17},    {"gre", 47},
	{"esp", 50},	{"ah", 51},	  {"ipv6-icmp", 58}, {"icmpv6", 58}, {"ospf", 89},
	{"ipencap", 4}, {"ipv6", 41},	  {"ipip", 94},	     {"vrrp", 112},  {"l2tp", 115},
	{"sctp", 132},	{"udplite", 136},
};

static bool is_icmp(uint8_t proto)
{
	return proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6;
}

/* A decimal number of digits only, at most max; -1 otherwise. */
static int parse_number(const char *s, int max)
{
	int n = 0;
	size_t i;

	for (i = 0; s[i]; i++) {
		if (s[i] < '0' || s[i] > '9' || i == NUMBER_DIGITS)
			return -1;
		n = n * 10 + (s[i] - '0');
	}
	return i && n <= max ? n : -1;
}

static int parse_proto(const char *s, const struct ts_names *names)
{
	int n = parse_number(s, UINT8_MAX);

	if (n >= 0)
		return n;
	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++) {
		if (!strcmp(s, protocols[i].name))
			return protocols[i].proto;
	}
	n = names ? names->proto(names->ctx, s) : -1;
	return n <= UINT8_MAX ? n : -1;
}

/* type or type(code), as one number with the type in the high byte */
static int parse_icmp(char *s)
{
	char *open = strchr(s, '(');
	int type, code = 0;

	if (open) {
		size_t len = strlen(open);

		if (open[len - 1] != ')')
			return -1;
		open[len - 1] = '\0';
		*open = '\0';
		code = parse_number(open + 1, UINT8_MAX);
	}
	type = parse_number(s, UINT8_MAX);
	return type < 0 || code < 0 ? -1 : type << 8 | code;
}

static int parse_port(char *s, uint8_t proto)
{
	return is_icmp(proto) ? parse_icmp(s) : parse_number(s, UINT16_MAX);
}

/* N-N; ICMP's have codes in parentheses, and a service's name may hold a dash too. */
static bool is_range(const char *s, uint8_t proto)
{
	size_t n = strspn(s, "0123456789");

	if (is_icmp(proto))
		return strchr(s, '-');
	return n && s[n] == '-' && s[n + 1] && !s[n + 1 + strspn(s + n + 1, "0123456789")];
}

static int parse_range_of_ports(char *s, struct ts *ts)
{
	char *dash = strchr(s, '-');
	int from, to;

	if (!dash)
		return -EINVAL;
	*dash = '\0';
	from = parse_port(s, ts->proto);
	to = parse_port(dash + 1, ts->proto);
	if (from < 0 || to < from)
		return -EINVAL;
	ts->port_from = from;
	ts->port_to = to;
	return 0;
}

/* As in /etc/services: with a letter, no brackets or slashes, no dash at its ends. */
static bool is_service_name(const char *s)
{
	return s[strspn(s, "0123456789-")] && s[0] != '-' && s[strlen(s) - 1] != '-' &&
	       !strpbrk(s, "[]/() \t");
}

static int parse_ports(char *s, const struct ts_names *names, struct ts *ts)
{
	int port;

	if (!strcmp(s, "OPAQUE")) {
		ts->port_from = UINT16_MAX;
		ts->port_to = 0;
		return 0;
	}
	if (!strcmp(s, "ANY"))
		return 0;
	if (is_range(s, ts->proto))
		return parse_range_of_ports(s, ts);
	if (!is_icmp(ts->proto) && is_service_name(s)) {
		port = names ? names->port(names->ctx, s, ts->proto) : -1;
		ts->vague = port < 0 || port > UINT16_MAX;
		if (ts->vague)
			return 0;
	} else {
		port = parse_port(s, ts->proto);
	}
	if (port < 0)
		return -EINVAL;
	ts->port_from = ts->port_to = port;
	return 0;
}

/* What stands between the brackets; s is ended by the caller. */
static int parse_upper(char *s, const struct ts_names *names, struct ts *ts)
{
	char *slash = strchr(s, '/');
	int proto;

	if (slash)
		*slash = '\0';
	/* swanctl.conf allows [/53]; charon prints [0/53] */
	proto = slash && !*s ? 0 : parse_proto(s, names);
	if (proto < 0)
		return -EINVAL;
	ts->proto = proto;
	return slash ? parse_ports(slash + 1, names, ts) : 0;
}

static int parse_addr(const char *s, uint8_t *family, uint8_t *addr)
{
	if (inet_pton(AF_INET, s, addr) == 1)
		*family = AF_INET;
	else if (inet_pton(AF_INET6, s, addr) == 1)
		*family = AF_INET6;
	else
		return -EINVAL;
	return 0;
}

static int parse_prefix(const char *s, const char *plen, struct ts *ts)
{
	int bits, max;

	if (parse_addr(s, &ts->family, ts->start) < 0)
		return -EINVAL;
	max = ts->family == AF_INET ? 32 : 128;
	bits = plen ? parse_number(plen, max) : max;
	if (bits < 0)
		return -EINVAL;
	memcpy(ts->end, ts->start, sizeof(ts->end));
	for (int i = bits; i < max; i++) {
		ts->start[i / 8] &= ~(0x80 >> i % 8);
		ts->end[i / 8] |= 0x80 >> i % 8;
	}
	return 0;
}

static int parse_range(const char *from, const char *to, struct ts *ts)
{
	uint8_t family;

	if (parse_addr(from, &ts->family, ts->start) < 0 || parse_addr(to, &family, ts->end) < 0)
		return -EINVAL;
	if (family != ts->family || memcmp(ts->start, ts->end, sizeof(ts->end)) > 0)
		return -EINVAL;
	return 0;
}

static int parse_addrs(char *s, struct ts *ts)
{
	char *sep;

	if (!strcmp(s, "dynamic")) {
		ts->dynamic = true;
		return 0;
	}
	sep = strstr(s, "..");
	if (sep) {
		*sep = '\0';
		return parse_range(s, sep + 2, ts);
	}
	sep = strchr(s, '-'); /* as swanctl.conf and a connection's addresses write it */
	if (sep) {
		*sep = '\0';
		return parse_range(s, sep + 1, ts);
	}
	sep = strchr(s, '/');
	if (sep)
		*sep++ = '\0';
	return parse_prefix(s, sep, ts);
}

int ts_parse(const char *text, size_t len, const struct ts_names *names, struct ts *out)
{
	struct ts ts = {.port_to = UINT16_MAX};
	char buf[TEXT_MAX + 1], *open;

	if (len > TEXT_MAX || memchr(text, 0, len))
		return -EINVAL;
	memcpy(buf, text, len);
	buf[len] = '\0';
	open = strchr(buf, '[');
	if (open) {
		if (buf[len - 1] != ']')
			return -EINVAL;
		buf[len - 1] = '\0';
		*open++ = '\0';
		if (parse_upper(open, names, &ts) < 0)
			return -EINVAL;
	}
	if (parse_addrs(buf, &ts) < 0)
		return -EINVAL;
	*out = ts;
	return 0;
}
