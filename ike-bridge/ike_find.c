// SPDX-License-Identifier: GPL-2.0-only
#include "ike_find.h"

#include <netinet/in.h>
#include <string.h>

/*
 * How well a side fits, larger is better: shared bits of the selector (an IPv4
 * address counts as many as an IPv6 one), then protocol, then port.
 */
enum {
	NO_MATCH = -1,
	BITS_UNIT = 4,
	PROTO_UNIT = 2,
	PORT_UNIT = 1,
};

struct side {
	uint8_t family, proto;
	const uint8_t *addr;	/* NULL: not known */
	uint16_t port;		/* 0: not known */
	const char *const *own; /* what "dynamic" stands for */
	size_t nown;
};

static int bits_score(const struct ts *ts)
{
	unsigned int bits = ts_common_bits(ts);

	return bits + (ts->family == AF_INET && bits ? 96 : 0);
}

/*
 * The best of the connection's addresses: shared bits, NO_MATCH if none, and
 * then *by_name if one of them is a name.
 */
static int match_own(const struct side *s, bool *by_name)
{
	int best = s->nown ? NO_MATCH : 0, bits;
	bool named = false;
	struct ts ts;

	for (size_t i = 0; i < s->nown; i++) {
		const char *own = s->own[i];

		bits = NO_MATCH;
		if (!strncmp(own, "%any", 4))
			bits = 0;
		else if (ts_parse(own, strlen(own), NULL, &ts) < 0)
			named = true;
		else if (!ts.dynamic && ts_matches(&ts, s->family, s->addr, 0, 0))
			bits = bits_score(&ts);
		if (bits > best)
			best = bits;
	}
	*by_name = best == NO_MATCH && named;
	return best;
}

/* The score of one selector, NO_MATCH if it does not contain what is known of the side. */
static int match_ts(const struct ts *ts, const struct side *s, bool *by_name)
{
	struct ts known = *ts;
	int bits = 0;

	*by_name = false;
	if (!s->port) {
		known.port_from = 0;
		known.port_to = UINT16_MAX;
	}
	if (!s->addr) {
		if (!ts->dynamic && ts->family != s->family)
			return NO_MATCH;
		known.dynamic = true;
	}
	if (!ts_matches(&known, s->family, s->addr, s->proto, s->port))
		return NO_MATCH;
	if (s->addr)
		bits = ts->dynamic ? match_own(s, by_name) : bits_score(ts);
	if (*by_name)
		bits = 0;
	if (bits == NO_MATCH)
		return NO_MATCH;
	return bits * BITS_UNIT + (ts->proto ? PROTO_UNIT : 0) + (ts_any_port(ts) ? 0 : PORT_UNIT);
}

/* The best of a side's selectors. */
static int match_side(const struct ts *ts, size_t n, const struct side *s, bool *by_name)
{
	int best = NO_MATCH;

	*by_name = true;
	for (size_t i = 0; i < n; i++) {
		bool name;
		int score = match_ts(&ts[i], s, &name);

		if (score == NO_MATCH || (name && !*by_name))
			continue;
		if (score > best || (!name && *by_name))
			best = score;
		*by_name = name;
	}
	return best;
}

/* ICMP's type and code are one port in selectors, the same on both sides; xfrm has two. */
static uint16_t port_of(const struct ike_flow *f, uint16_t port)
{
	if (f->proto != IPPROTO_ICMP && f->proto != IPPROTO_ICMPV6)
		return port;
	return f->sport << 8 | (f->dport & 0xff);
}

static int64_t match_child(const struct ike_child *c, const struct ike_flow *f, bool *by_name)
{
	struct side local = {
		.family = f->family,
		.proto = f->proto,
		.addr = f->has_saddr ? f->saddr : NULL,
		.port = port_of(f, f->sport),
		.own = c->local_addrs,
		.nown = c->nlocal_addrs,
	};
	struct side remote = {
		.family = f->family,
		.proto = f->proto,
		.addr = f->daddr,
		.port = port_of(f, f->dport),
		.own = c->remote_addrs,
		.nown = c->nremote_addrs,
	};
	bool local_name, remote_name;
	int l = match_side(c->local, c->nlocal, &local, &local_name);
	int r = match_side(c->remote, c->nremote, &remote, &remote_name);

	if (l == NO_MATCH || r == NO_MATCH)
		return NO_MATCH;
	*by_name = local_name || remote_name;
	return (int64_t)r << 16 | l;
}

const struct ike_child *ike_find(const struct ike_list *l, const struct ike_flow *flow)
{
	const struct ike_child *best = NULL, *named = NULL;
	int64_t best_score = NO_MATCH, at = ike_list_by_reqid(l, flow->reqid);
	size_t nnamed = 0;
	bool by_name;

	if (at >= 0 && match_child(&l->children[at], flow, &by_name) != NO_MATCH)
		return &l->children[at];
	for (size_t i = 0; i < l->n; i++) {
		const struct ike_child *c = &l->children[i];
		int64_t score = match_child(c, flow, &by_name);

		if (score == NO_MATCH)
			continue;
		if (by_name) {
			named = c;
			nnamed++;
		} else if (score > best_score) {
			best = c;
			best_score = score;
		}
	}
	return best ? best : nnamed == 1 ? named : NULL;
}
