/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What one round of rtnetlink dumps says about routing: the prefixes that cut the address space
 * into cells, and what makes an answer depend on more than the destination. Reads messages only: no
 * I/O, no logs. Index [0] is IPv4, [1] IPv6. Sources: rtnetlink(7), fib_rules.c, fib_frontend.c,
 * ip6_fib.c, addrlabel.c.
 */
#ifndef SAGATE_ROUTES_VIEW_H
#define SAGATE_ROUTES_VIEW_H

#include <linux/netlink.h>
#include <uthash.h>

#include "abi.h"
#include "route_cells.h"

/* One next hop of a route; several with one key: the kernel chooses by hash or by reachability. */
struct route_hop {
	struct {
		unsigned __int128 addr;
		uint32_t table, metric;
		uint8_t len, tos;
	} key;
	uint32_t oif;	  /* 0: not told (a next hop object) */
	bool has_prefsrc; /* the route names its source */
};

struct route_link {
	uint32_t ifindex;
	bool loopback;
	bool up;
	bool xfrmi;	    /* an xfrm interface, of these two: */
	uint32_t if_id;	    /* 0: of each packet's metadata */
	uint32_t link;	    /* the device it sends on, 0: any */
	bool vrf;	    /* a VRF device, … */
	bool queue;	    /* … which looks up again what is sent in it: see VRF_QUEUE */
	uint32_t master;    /* of which it is a port, 0: none */
	bool noxfrm;	    /* its own disable_xfrm (IPv4), without conf/all's */
	uint32_t primaries; /* IPv4 addresses that can be a source */
	UT_hash_handle hh;
};

#define TABLE_RULES_MAX 64

struct routes_view {
	struct cell_set set[2];	      /* the prefixes */
	struct cell_set uncertain[2]; /* below these the answer depends on the TOS … */
	/* below these on uid, ports, TOS …, by rules, the others for a marked or bound socket */
	struct cell_set ruled[2], ruled_bound[2];
	uint32_t first_ruled[2]; /* the first of those rules, by priority */
	/* the last of the rules that look a table up; of more tables nothing is known */
	struct table_rule {
		uint32_t table, priority;
	} table_rule[2][TABLE_RULES_MAX];
	uint8_t table_rules[2];
	struct route_hop *hops[2]; /* sorted by routes_view_finish() */
	size_t hop_count[2], hop_size[2];
	struct cell_set sources;  /* IPv6 addresses: whole address, its prefix length */
	struct cell_set gateways; /* IPv6 */
	struct cell_set locals;	  /* IPv4 addresses, sorted by routes_view_finish() */
	struct route_link *links;
	bool shared[2]; /* some routes have several next hops */
	bool from[2];	/* rules or routes that compare the source address */
	bool xfrmi;	/* there are xfrm interfaces */
	uint8_t vrfs;	/* as in struct space_state */
	bool named;	/* IPv6 routes that name their source */
	bool oif_rules; /* rules that compare the device a socket is bound to */
	/* what rules compare the mark with; more than there is room for: the count is
	 * FWMARKS_UNKNOWN */
	struct fwmark fwmark[FWMARKS_MAX];
	uint8_t fwmarks;
};

/*
 * Takes in one message of a dump; types it does not know are skipped. 0, -ENOMEM, or -EBADMSG for a
 * message shorter than it says (the view is then of no use).
 */
int routes_view_add(struct routes_view *view, const struct nlmsghdr *msg);
/* After the last message: sorts, and adds the prefixes that the kernel's code knows. 0, -ENOMEM. */
int routes_view_finish(struct routes_view *view);
void routes_view_clear(struct routes_view *view);

/* The hops of one route: *first in view->hops[six], their number; 0 when it is not there. */
size_t routes_view_hops(const struct routes_view *view, bool six, const struct route_hop *like,
			size_t *first);
const struct route_link *routes_view_link(const struct routes_view *view, uint32_t ifindex);
/* The VRF device that a device is, or is a port of; NULL: none. */
const struct route_link *routes_view_vrf(const struct routes_view *view, uint32_t ifindex);
/* Is this an IPv4 address of a device? Routes outlive the address that they name as their source.
 */
bool routes_view_local(const struct routes_view *view, unsigned __int128 addr);
/* Multicast, link-local …: the socket's options or its scope choose, not routing alone. */
bool routes_view_unknowable(const struct routes_view *view, bool six,
			    const struct cell_prefix *prefix);
/*
 * Rules compare more of the flow than is asked about: then only what comes from a table that is
 * looked up before all of them is known. `bound`: the socket has a mark or is bound to a device.
 */
bool routes_view_ruled(const struct routes_view *view, bool six, bool bound,
		       const struct cell_prefix *prefix);
bool routes_view_before_ruled(const struct routes_view *view, bool six, uint32_t table);

#endif
