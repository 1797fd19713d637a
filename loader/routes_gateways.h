/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * IPv6 passes over a gateway whose neighbour entry has failed (rt6_check_neigh), and nobody tells
 * of that but the neighbour's own events. They are many; what counts is a gateway that begins or
 * ceases to be failed. No I/O, no logs.
 */
#ifndef SAGATE_ROUTES_GATEWAYS_H
#define SAGATE_ROUTES_GATEWAYS_H

#include <linux/netlink.h>

#include "route_cells.h"

struct routes_gateway {
	unsigned __int128 addr;
	bool known, failed;
};

struct routes_gateways {
	struct routes_gateway *v; /* sorted by address */
	size_t n;
};

/* From now on these addresses (set: doubles are welcome); what is known of old ones stays. */
int routes_gateways_replace(struct routes_gateways *gateways, const struct cell_set *set);
/* Does this RTM_NEWNEIGH or RTM_DELNEIGH change what routing sees? */
bool routes_gateways_changed(struct routes_gateways *gateways, const struct nlmsghdr *msg);
void routes_gateways_clear(struct routes_gateways *gateways);

#endif
