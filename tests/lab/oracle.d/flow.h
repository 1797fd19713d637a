/* SPDX-License-Identifier: GPL-2.0-only */
/* One socket call: drawn near a world's policies, asked about, and really made. */
#ifndef ORACLE_FLOW_H
#define ORACLE_FLOW_H

#include "world.h"

enum way { WAY_UDP_SEND, WAY_UDP_CONNECT, WAY_TCP, WAY_PING, WAY_RAW, WAY_COUNT };

struct call {
	enum way way;
	int family;  /* of the addresses */
	bool mapped; /* an AF_INET6 socket and ::ffff:a.b.c.d */
	uint8_t proto;
	struct addr dst, src;  /* src zero: not bound */
	uint16_t dport, sport; /* sport 0: not bound */
	uint32_t mark;
	int dev; /* bound to it; DEV_NONE: not bound */
};

void flow_draw(struct call *c, const struct world *w, uint64_t seed, uint64_t number);

/* Makes the call: 0 or the positive errno it failed with; -1: the socket could not be bound so. */
int flow_send(const struct call *c);

void flow_print(FILE *out, const struct call *c);

#endif
