// SPDX-License-Identifier: GPL-2.0-only
#include "ts.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

static size_t addr_len(uint8_t family)
{
	return family == AF_INET ? 4 : 16;
}

static bool has_ports(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
	case IPPROTO_MH:
		return true; /* as xfrm_flowi_sport() and _dport() have it */
	default:
		return false;
	}
}

bool ts_any_port(const struct ts *ts)
{
	return ts->port_from > ts->port_to || (!ts->port_from && ts->port_to == UINT16_MAX);
}

bool ts_matches(const struct ts *ts, uint8_t family, const uint8_t *addr, uint8_t proto,
		uint16_t port)
{
	if (!ts->dynamic) {
		size_t len = addr_len(ts->family);

		if (family != ts->family || memcmp(addr, ts->start, len) < 0 ||
		    memcmp(addr, ts->end, len) > 0)
			return false;
	}
	if (ts->proto && proto && ts->proto != proto)
		return false;
	if (!proto || ts_any_port(ts) || !has_ports(proto))
		return true;
	return port >= ts->port_from && port <= ts->port_to;
}

static bool bit_of(const uint8_t *addr, unsigned int i)
{
	return addr[i / 8] >> (7 - i % 8) & 1;
}

unsigned int ts_common_bits(const struct ts *ts)
{
	unsigned int i, bits = ts->dynamic ? 0 : addr_len(ts->family) * 8;

	for (i = 0; i < bits && bit_of(ts->start, i) == bit_of(ts->end, i); i++)
		;
	return i;
}

/* Sets, or clears, all bits from i on. */
static void fill(uint8_t *addr, unsigned int i, unsigned int bits, bool value)
{
	for (; i < bits; i++) {
		uint8_t bit = 0x80 >> i % 8;

		addr[i / 8] = value ? addr[i / 8] | bit : addr[i / 8] & ~bit;
	}
}

/* addr + 1; false when it wraps around. */
static bool increment(uint8_t *addr, size_t len)
{
	while (len--) {
		if (++addr[len])
			return true;
	}
	return false;
}

int ts_prefixes(const struct ts *ts, struct ts_prefix *out, size_t max)
{
	size_t n = 0, len = addr_len(ts->family);
	unsigned int bits = len * 8;
	uint8_t addr[16], last[16];

	if (ts->dynamic)
		return -EINVAL;
	memcpy(addr, ts->start, sizeof(addr));
	do {
		unsigned int plen = bits;

		/* the largest block that begins at addr and does not go past the end */
		memcpy(last, addr, sizeof(last));
		while (plen && !bit_of(addr, plen - 1)) {
			fill(last, plen - 1, bits, true);
			if (memcmp(last, ts->end, len) > 0)
				break;
			plen--;
		}
		memcpy(last, addr, sizeof(last));
		fill(last, plen, bits, true);
		if (n == max)
			return -E2BIG;
		out[n] = (struct ts_prefix){.family = ts->family, .len = plen};
		memcpy(out[n++].addr, addr, len);
		memcpy(addr, last, sizeof(addr));
	} while (memcmp(last, ts->end, len) < 0 && increment(addr, len));
	return n;
}

int ts_ports(const struct ts *ts, struct ts_port *out, size_t max)
{
	uint32_t port = ts->port_from;
	size_t n = 0;

	if (ts_any_port(ts)) {
		if (!max)
			return -E2BIG;
		out[0] = (struct ts_port){};
		return 1;
	}
	while (port <= ts->port_to) {
		uint32_t size = 1;

		while (!(port & size) && port + 2 * size - 1 <= ts->port_to)
			size *= 2;
		if (n == max)
			return -E2BIG;
		out[n++] = (struct ts_port){port, ~(size - 1)};
		port += size;
	}
	return n;
}
