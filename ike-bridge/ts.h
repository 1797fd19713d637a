/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Traffic selectors: strongSwan's text form, matching, and cutting them into
 * prefixes and masks for maps. No I/O, no logging, no allocation.
 *
 *   ADDR/LEN | ADDR | ADDR..ADDR | ADDR-ADDR | dynamic     then optionally
 *   [PROTO] | [PROTO/PORT] | [PROTO/PORT-PORT] | [PROTO/OPAQUE] | [PROTO/ANY]
 *
 * PROTO is a number (0: any) or a name, PORT a number or a service's name, for
 * ICMP a type or type(code).
 */
#ifndef IKE_TS_H
#define IKE_TS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ts {
	uint8_t family;		     /* AF_INET, AF_INET6; 0: dynamic, a host's own address */
	uint8_t proto;		     /* 0: any */
	bool dynamic;		     /* start and end are then unset */
	bool vague;		     /* an unknown service's name: ports widened to any */
	uint8_t start[16];	     /* network order, IPv4 in the first four */
	uint8_t end[16];	     /* inclusive */
	uint16_t port_from, port_to; /* host order; 0–65535 any, 65535–0 OPAQUE;
				      * ICMP: type << 8 | code */
};

/*
 * Resolves names of /etc/protocols and /etc/services; -1 when unknown. proto
 * is 0 where the selector has none: any protocol's service then.
 */
struct ts_names {
	int (*proto)(void *ctx, const char *name);
	int (*port)(void *ctx, const char *name, uint8_t proto);
	void *ctx;
};

/*
 * Parses len bytes of text. names may be NULL: then only numbers and the
 * commonest protocols' names are known. An unknown service's name widens the
 * selector to all ports and sets vague, because taking it for narrower would
 * leave traffic unprotected; an unknown protocol's name is an error.
 * 0 or -EINVAL, and then *out is untouched.
 */
int ts_parse(const char *text, size_t len, const struct ts_names *names, struct ts *out);

/*
 * Whether addr (of that family, network order), proto and port are inside.
 * proto 0 stands for "not known" and matches all, port is in host order and not
 * looked at then nor for protocols without ports. A dynamic selector has no address:
 * addr is then taken to match, the caller compares it itself. OPAQUE matches
 * every port, as the policy does that strongSwan makes of it.
 */
bool ts_matches(const struct ts *ts, uint8_t family, const uint8_t *addr, uint8_t proto,
		uint16_t port);

bool ts_any_port(const struct ts *ts);

/* Bits that all addresses of it share, counted from the front; 0 for dynamic. */
unsigned int ts_common_bits(const struct ts *ts);

struct ts_prefix {
	uint8_t family;
	uint8_t len;
	uint8_t addr[16];
};

enum { TS_PREFIX_MAX = 254, TS_PORT_MAX = 30 }; /* the most any selector needs */

/*
 * The fewest prefixes that cover exactly the addresses, in order. Their number,
 * -E2BIG if more than max, -EINVAL for dynamic.
 */
int ts_prefixes(const struct ts *ts, struct ts_prefix *out, size_t max);

struct ts_port {
	uint16_t port, mask; /* host order */
};

/* The same for the ports: {0, 0} is any. Their number or -E2BIG. */
int ts_ports(const struct ts *ts, struct ts_port *out, size_t max);

#endif
