// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "units.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define DURATION_MAX_NS (365ULL * 24 * 3600 * 1000000000)

static const struct {
	const char *name;
	uint64_t ns;
} duration_units[] = {
	{"h", 3600000000000ULL},
	{"m", 60000000000ULL},
	{"s", 1000000000ULL},
	{"ms", 1000000ULL},
};

#define ERRNO_ROW(n) {#n, n},
static const struct {
	const char *name;
	int number;
} errnos[] = {UNITS_ERRNOS(ERRNO_ROW)};

#define PROTO_ROW(s, n) {s, n},
static const struct {
	const char *name;
	uint8_t number;
} protos[] = {UNITS_PROTOS(PROTO_ROW)};

/* Decimal digits without sign, space or leading zero. Returns the bytes read, 0: not a number. */
static size_t digits(const char *text, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;
	size_t n = 0;

	for (; text[n] >= '0' && text[n] <= '9'; n++) {
		uint64_t d = (uint64_t)(text[n] - '0');

		if ((n && !v) || v > (max - d) / 10)
			return 0;
		v = v * 10 + d;
	}
	if (n)
		*out = v;
	return n;
}

static int duration_read(const char *text, size_t len, uint64_t *ns)
{
	uint64_t v;
	size_t n = digits(text, DURATION_MAX_NS, &v);

	if (!n || n > len)
		return -EINVAL;
	if (n == len && !v) {
		*ns = 0;
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(duration_units); i++) {
		const char *name = duration_units[i].name;

		if (strlen(name) != len - n || memcmp(name, text + n, len - n))
			continue;
		if (v > DURATION_MAX_NS / duration_units[i].ns)
			return -EINVAL;
		*ns = v * duration_units[i].ns;
		return 0;
	}
	return -EINVAL;
}

int duration_parse(const char *text, uint64_t *ns, struct error *e)
{
	if (duration_read(text, strlen(text), ns))
		return error_set(e, -EINVAL, "bad-duration",
				 "duration \"%.100s\": write a whole number and ms, s, m or h, "
				 "as in 30s, at most 365 days",
				 text);
	return 0;
}

int duration_range_parse(const char *text, uint64_t *low, uint64_t *high, struct error *e)
{
	const char *dots = strstr(text, "..");
	uint64_t a, b;

	if (!dots || duration_read(text, (size_t)(dots - text), &a) ||
	    duration_read(dots + 2, strlen(dots + 2), &b))
		return error_set(e, -EINVAL, "bad-duration",
				 "range \"%.100s\": write two durations as in 1s..60s", text);
	if (!a || a > b)
		return error_set(e, -EINVAL, "bad-duration",
				 "range \"%.100s\": the first duration must be above 0 and not "
				 "above the second",
				 text);
	*low = a;
	*high = b;
	return 0;
}

char *duration_format(uint64_t ns, char *buf, size_t size)
{
	uint64_t ms = ns / 1000000;

	if (!ms) {
		snprintf(buf, size, "0");
		return buf;
	}
	for (size_t i = 0; i < ARRAY_SIZE(duration_units); i++) {
		uint64_t unit = duration_units[i].ns / 1000000;

		if (ms % unit)
			continue;
		snprintf(buf, size, "%llu%s", (unsigned long long)(ms / unit),
			 duration_units[i].name);
		break;
	}
	return buf;
}

int errno_parse(const char *text, int *number, struct error *e)
{
	char list[400] = "";
	size_t used = 0;

	for (size_t i = 0; i < ARRAY_SIZE(errnos); i++) {
		if (!strcmp(errnos[i].name, text)) {
			*number = errnos[i].number;
			return 0;
		}
		used += (size_t)snprintf(list + used, sizeof(list) - used, " %s", errnos[i].name);
	}
	return error_set(e, -EINVAL, "bad-errno", "errno \"%.40s\": expected one of%s", text, list);
}

const char *errno_name(int number)
{
	if (number < 0)
		number = -number;
	for (size_t i = 0; i < ARRAY_SIZE(errnos); i++)
		if (errnos[i].number == number)
			return errnos[i].name;
	return NULL;
}

int proto_parse(const char *text, uint8_t *proto, struct error *e)
{
	uint64_t v;
	size_t n;

	for (size_t i = 0; i < ARRAY_SIZE(protos); i++) {
		if (!strcmp(protos[i].name, text)) {
			*proto = protos[i].number;
			return 0;
		}
	}
	n = digits(text, 255, &v);
	if (!n || text[n])
		return error_set(e, -EINVAL, "bad-protocol",
				 "protocol \"%.100s\": expected " UNITS_PROTO_LIST
				 "or a number from 0 to 255",
				 text);
	*proto = (uint8_t)v;
	return 0;
}

char *proto_format(uint8_t proto, char *buf, size_t size)
{
	for (size_t i = 0; i < ARRAY_SIZE(protos); i++) {
		if (protos[i].number == proto) {
			snprintf(buf, size, "%s", protos[i].name);
			return buf;
		}
	}
	snprintf(buf, size, "%u", proto);
	return buf;
}

int port_parse(const char *text, __be16 *port, struct error *e)
{
	uint64_t v;
	size_t n = digits(text, 65535, &v);

	if (!n || text[n] || !v)
		return error_set(e, -EINVAL, "bad-port",
				 "port \"%.100s\": expected a number from 1 to 65535", text);
	*port = htons((uint16_t)v);
	return 0;
}

char *ports_format(__be16 port, __be16 mask, char *buf, size_t size)
{
	unsigned int free = (uint16_t)~ntohs(mask), first = ntohs(port) & ntohs(mask);

	if (!free)
		snprintf(buf, size, "%u", first);
	else if (!(free & (free + 1))) /* its ones are at the end */
		snprintf(buf, size, "%u-%u", first, first | free);
	else
		snprintf(buf, size, "%u/0x%04x", first, ntohs(mask));
	return buf;
}

/* inet_pton() takes no scope, no octal, no short forms: what it takes is what we want. */
static int addr_read(const char *text, uint8_t *family, __be32 addr[4])
{
	__be32 a[4] = {0};

	if (inet_pton(AF_INET, text, a) == 1)
		*family = AF_INET;
	else if (inet_pton(AF_INET6, text, a) == 1)
		*family = AF_INET6;
	else
		return -EINVAL;
	memcpy(addr, a, sizeof(a));
	return 0;
}

int addr_parse(const char *text, uint8_t *family, __be32 addr[4], struct error *e)
{
	if (addr_read(text, family, addr))
		return error_set(e, -EINVAL, "bad-address",
				 "address \"%.100s\": expected IPv4 (192.0.2.1) or IPv6 "
				 "(2001:db8::1), names are not looked up",
				 text);
	return 0;
}

char *addr_format(uint8_t family, const __be32 addr[4], char *buf, size_t size)
{
	if (!inet_ntop(family, addr, buf, (socklen_t)size) && size)
		buf[0] = '\0';
	return buf;
}

/* Cuts text into host and port (NULL: none) inside copy. */
static int endpoint_split(char *copy, char **host, char **port, bool *bracket)
{
	char *end;

	*bracket = copy[0] == '[';
	*port = NULL;
	*host = copy + *bracket;
	if (*bracket) {
		end = strchr(copy, ']');
		if (!end || (end[1] && end[1] != ':'))
			return -EINVAL;
		if (end[1])
			*port = end + 2;
		*end = '\0';
		return 0;
	}
	end = strchr(copy, ':');
	if (end && !strchr(end + 1, ':')) {
		*end = '\0';
		*port = end + 1;
	}
	return 0;
}

int endpoint_parse(const char *text, struct endpoint *out, struct error *e)
{
	struct endpoint ep = {0};
	char copy[UNITS_TEXT];
	char *host, *port;
	bool bracket;

	if (strlen(text) >= sizeof(copy))
		goto bad;
	strcpy(copy, text);
	if (endpoint_split(copy, &host, &port, &bracket) || addr_read(host, &ep.family, ep.addr))
		goto bad;
	if (bracket != (ep.family == AF_INET6) && (bracket || port))
		goto bad;
	if (port) {
		int r = port_parse(port, &ep.port, e);

		if (r)
			return r;
		ep.has_port = true;
	}
	*out = ep;
	return 0;
bad:
	return error_set(e, -EINVAL, "bad-endpoint",
			 "endpoint \"%.100s\": expected 192.0.2.1, 192.0.2.1:443, 2001:db8::1 or "
			 "[2001:db8::1]:443, names are not looked up",
			 text);
}

char *endpoint_format(const struct endpoint *endpoint, char *buf, size_t size)
{
	bool v6 = endpoint->family == AF_INET6;
	char host[INET6_ADDRSTRLEN];

	addr_format(endpoint->family, endpoint->addr, host, sizeof(host));
	if (endpoint->has_port)
		snprintf(buf, size, v6 ? "[%s]:%u" : "%s:%u", host, ntohs(endpoint->port));
	else
		snprintf(buf, size, "%s", host);
	return buf;
}

void addr_mask(uint8_t family, uint8_t len, __be32 addr[4])
{
	unsigned int bits = family == AF_INET ? 32 : 128;

	if (len > bits)
		len = (uint8_t)bits;
	for (unsigned int i = 0; i < 4; i++) {
		unsigned int from = i * 32;

		if (len <= from)
			addr[i] = 0;
		else if (len < from + 32)
			addr[i] &= htonl(0xffffffffU << (from + 32 - len));
	}
}

/* ::ffff:a.b.c.d/96+n names IPv4 flows: whoever sends to it speaks IPv4. */
static void unmap(struct prefix *p)
{
	if (p->family != AF_INET6 || p->len < 96 || p->addr[0] || p->addr[1] ||
	    p->addr[2] != htonl(0xffff))
		return;
	p->family = AF_INET;
	p->len -= 96;
	p->addr[0] = p->addr[3];
	p->addr[1] = p->addr[2] = p->addr[3] = 0;
}

bool prefix_equal(const struct prefix *a, const struct prefix *b)
{
	return a->family == b->family && a->len == b->len &&
	       !memcmp(a->addr, b->addr, sizeof(a->addr));
}

int prefix_parse(const char *text, struct prefix *out, struct error *e)
{
	const char *slash = strchr(text, '/');
	size_t host = slash ? (size_t)(slash - text) : strlen(text);
	struct prefix p = {0}, masked;
	char copy[UNITS_TEXT];
	uint64_t len;

	if (host >= sizeof(copy))
		goto bad;
	memcpy(copy, text, host);
	copy[host] = '\0';
	if (addr_read(copy, &p.family, p.addr))
		goto bad;
	len = p.family == AF_INET ? 32 : 128;
	if (slash) {
		size_t n = digits(slash + 1, len, &len);

		if (!n || slash[1 + n])
			goto bad;
	}
	p.len = (uint8_t)len;
	masked = p;
	addr_mask(p.family, p.len, masked.addr);
	if (memcmp(masked.addr, p.addr, sizeof(p.addr))) {
		prefix_format(&masked, copy, sizeof(copy));
		return error_set(e, -EINVAL, "bad-prefix",
				 "prefix \"%.100s\": bits are set behind the length, did you mean "
				 "%s",
				 text, copy);
	}
	unmap(&p);
	*out = p;
	return 0;
bad:
	return error_set(e, -EINVAL, "bad-prefix",
			 "prefix \"%.100s\": expected an address and a length, as in 10.0.0.0/8 or "
			 "2001:db8::/32",
			 text);
}

char *prefix_format(const struct prefix *prefix, char *buf, size_t size)
{
	char host[INET6_ADDRSTRLEN];

	addr_format(prefix->family, prefix->addr, host, sizeof(host));
	snprintf(buf, size, "%s/%u", host, prefix->len);
	return buf;
}

bool prefix_contains(const struct prefix *prefix, uint8_t family, const __be32 addr[4])
{
	__be32 masked[4];

	if (prefix->family != family)
		return false;
	memcpy(masked, addr, sizeof(masked));
	addr_mask(family, prefix->len, masked);
	return !memcmp(masked, prefix->addr, sizeof(masked));
}
