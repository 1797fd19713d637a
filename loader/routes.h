/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Source hints: which source address and device the kernel's routing would choose for an unbound
 * socket, for every destination, in MAP_ROUTES and MAP_ROUTE_PLENS. Computed by asking the kernel
 * about one address of each cell (route_cells.h) whenever routes, rules, addresses or links of the
 * network namespace change; entries that stay the same are not written again, and every lookup
 * meanwhile gives its old or its new answer (routes_table.h).
 *
 * Exact for a socket with any mark, bound to a device or not (routes_ways.h), without IP_TOS,
 * IP_UNICAST_IF, IPV6_ADDR_PREFERENCES and the like. Where the answer hangs on more than the
 * destination, the entry says `unknown`:
 *   - multicast, IPv6 link-local (IP_MULTICAST_IF or the scope choose), IPv4 routes with a TOS;
 *   - below the `to` of rules on uid, protocol, ports or TOS (all of a family without `to`), but
 *     for what a table answers that is looked up before them, as the one of local addresses is;
 *   - routes with several next hops whose sources differ; with one source and several devices the
 *     source is given and oif is 0: the device is not known;
 *   - IPv4 without any address; an IPv6 destination without a route where rules or routes compare
 *     the source.
 * Where an IPv6 route names its source, `named` says that a tunnel that goes there does not have
 * it. In a local IPv4 prefix (AnyIP) each destination is its own source: the entry is known only
 * where the device has disable_xfrm, which exempts it whatever the source; saddr is 0 then. Where
 * rules or routes compare the source, `by_source` says that a bound one may change the device.
 * Nothing is told by the kernel, so routes_refresh() is for it: disable_xfrm, IPv6 address labels,
 * sysctls.
 */
#ifndef SAGATE_ROUTES_H
#define SAGATE_ROUTES_H

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "error.h"
#include "maps.h"

#define ROUTES_CELLS_MAX 65536 /* for each family; more: the family is unknown, and a log line */

struct routes;

struct routes_stats {
	bool ready;	      /* computed once since nothing changed meanwhile */
	uint32_t cells[2];    /* [family == AF_INET6], as are the next */
	uint32_t entries[2];  /* in MAP_ROUTES */
	uint32_t plens[2];    /* prefix lengths in use */
	uint32_t unknown[2];  /* cells without an answer */
	bool full[2];	      /* more than ROUTES_CELLS_MAX, or the map is full */
	uint64_t computed;    /* how often */
	uint64_t overruns;    /* ENOBUFS on either socket */
	uint64_t questions;   /* RTM_GETROUTE for one destination */
	uint64_t last_ns;     /* CLOCK_BOOTTIME, end of the last computation; 0: none yet */
	uint64_t duration_ns; /* of the last computation */
};

/*
 * Begins to follow the routing of a network namespace (netns_fd, not kept; -1: our own) for a
 * space. Nothing is in the maps yet: the first computation runs in the loop. `updated` (may be
 * NULL) is called after each. Takes a reference to the loop; `sink` must outlive it. 0, or -errno
 * with *e.
 */
int routes_new(sd_event *loop, int netns_fd, uint32_t space, const struct map_sink *sink,
	       void (*updated)(void *ctx), void *ctx, struct routes **out, struct error *e);

/* Ends it; what stands in the maps stays. NULL is accepted. Not from inside `updated`. */
void routes_free(struct routes *routes);

/*
 * Takes over an entry that a former daemon left in MAP_ROUTES: it stays until the first computation
 * replaces, keeps or removes it. Before the loop runs. -EINVAL: not of this space; -ENOMEM.
 */
int routes_adopt(struct routes *routes, const struct route_key *key,
		 const struct route_value *value);

/* Computes again soon (reload, periodic reconcile). */
void routes_refresh(struct routes *routes);

/* The hints are in the maps, and no change has been seen that is not in them. */
bool routes_ready(const struct routes *routes);
void routes_stats(const struct routes *routes, struct routes_stats *out);

#endif
