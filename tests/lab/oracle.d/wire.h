/* SPDX-License-Identifier: GPL-2.0-only */
/* What arrives at the peer's ends. */
#ifndef ORACLE_WIRE_H
#define ORACLE_WIRE_H

#include "addr.h"

struct seen {
	int dev; /* DEV_*: the end of it in a */
	int family;
	int proto; /* of the outermost header, or of ESP or AH in IP in IP; 108: IPComp */
	uint32_t spi;
	struct addr src, dst;
};

/* Opens the sockets: after host_up(). */
void wire_open(void);

/*
 * Sends a frame of its own behind all that was sent, and waits until it arrives: *out gets the IP
 * packets before it, at most max. Returns their number. Multicast is left out: it is the kernel's.
 */
int wire_take(struct seen *out, int max);

/* What a packet tells: 1 and *out, or 0: none that counts. */
int wire_read(const uint8_t *p, size_t n, struct seen *out);

/* The first IP packet that this host sent to itself since it was called last: 1, or 0. */
int wire_take_own(struct seen *out);

#endif
