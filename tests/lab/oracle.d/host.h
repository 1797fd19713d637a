/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Two network namespaces without a name, made for this process: `a`, in which the process, the
 * daemon and all that is drawn live, and its peer, which only looks.
 *
 *   a: lan0 192.0.2.1/25 .2 2001:db8::1/64 ::2      ===  peer: p0 (no address)
 *      lan1 192.0.2.129/25 2001:db8:1::1/64         ===        p1 (no address)
 *      lo   198.51.100.1 192.0.2.253 2001:db8:f::1
 *
 * The devices need no neighbours (IFF_NOARP), so what leaves is seen at once and nobody answers.
 * All runs on one processor: frames arrive in the order in which they were sent.
 */
#ifndef ORACLE_HOST_H
#define ORACLE_HOST_H

#include "addr.h"

enum { DEV_NONE, DEV_LAN0, DEV_LAN1, DEV_LO, DEV_XFRM0, DEV_XFRM1, DEV_VRF0, DEV_COUNT };

#define XFRM0_IF_ID 7
#define XFRM1_IF_ID 8

struct route {
	int family;
	struct addr dst;
	int len;
	int dev;	/* DEV_*; 0 with a type that has none */
	struct addr gw; /* zero: on link */
	int dev2;	/* a second next hop; 0: none */
	struct addr gw2;
	struct addr prefsrc;
	uint32_t table, metric;
	uint8_t type; /* RTN_UNICAST, RTN_BLACKHOLE, … */
};

struct rule {
	int family;
	struct addr src, dst;
	int src_len, dst_len;
	uint32_t mark, mask; /* mask 0: not compared */
	int oif;	     /* DEV_* */
	/* what is not known at connect(): 0 is not compared; a uid's rule holds for root or not */
	uint8_t tos, proto;
	uint16_t sport, dport;
	bool uid, root;
	bool l3mdev; /* its table is that of the flow's VRF */
	uint32_t table, prio;
};

void host_up(void);
int host_netns_peer(void);
int host_xfrm_fd(void); /* in a */
int host_ifindex(int dev);
const char *host_dev(int dev);
bool host_has_xfrmi(void);
int host_route_fd(void); /* in a */
/* A device that came or went: its index is looked up again. Then waits until it runs, if it is. */
void host_refresh(int dev);
/* Brings a device up. */
void host_set_up(int dev);
/* The addresses that lan0 and lan1 have always, those that they still have excepted. */
void host_restore(int dev);

/* Each is remembered and taken back by host_undo(). Returns 0 or the kernel's -errno. */
int host_route(const struct route *r);
int host_rule(const struct rule *r);
int host_address(int dev, int family, const struct addr *a, int len);
void host_undo(void);

/* How many ICMPv6 destination unreachable errors this host has made. */
unsigned long host_unreachables(void);

#endif
