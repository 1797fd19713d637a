/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A network namespace of the test's own, and what its kernel says:
 *
 *	lo    rtd0 ═ rtp0    rtd1 ═ rtp1    rtd2 ═ rtp2    rtd3 ═ rtp3    (veth)
 *
 * each rtd with addresses and an MTU of its own.
 */
#ifndef TEST_ROUTES_NET_H
#define TEST_ROUTES_NET_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/types.h>

extern const char *const net_devices[4];
extern unsigned int net_mtu[64]; /* by ifindex */

/* Leaves the namespace for a new one; where that is not allowed, it says so and net_need() skips.
 */
void net_make(void);

/* Skips the test without a namespace of its own. */
void net_need(void);

/*
 * Commands for ip(8), run all at once by ip_end(), those that fail left out; a line that begins
 * with -6 goes to a process of its own (no such options there).
 */
void ip_begin(void);
void __attribute__((format(printf, 1, 2))) ip(const char *fmt, ...);
void ip_end(void);

void net_write(const char *path, const char *text);

void net_addr(const char *text, uint8_t *family, __be32 addr[4]);

/* What a connected UDP socket gets. */
struct net_answer {
	int error; /* errno, then the others are 0 */
	__be32 saddr[4];
	unsigned int mtu;
};

struct net_answer net_connect(uint8_t family, const __be32 addr[4]);

#endif
