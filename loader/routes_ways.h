/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ways in which a socket can ask routing for the same destination: unbound or bound to a
 * device, and with a mark that policy routing compares. Each has a table of hints of its own. The
 * plain way (no device, mark 0) is always there and always the first.
 */
#ifndef SAGATE_ROUTES_WAYS_H
#define SAGATE_ROUTES_WAYS_H

#include "routes_table.h"
#include "routes_view.h"

#define ROUTES_WAYS_MAX	 48
#define ROUTES_MARKS_MAX 12 /* kinds of marks, mark 0 among them */

struct routes_way {
	uint32_t oif;  /* 0: not bound */
	uint32_t mark; /* one of its kind */
	uint16_t marks;
	bool wanted;
	struct routes_table tables[2]; /* [family == AF_INET6] */
};

struct routes_ways {
	const struct map_sink *sink;
	uint32_t space;
	size_t n;
	struct routes_way v[ROUTES_WAYS_MAX];
};

void routes_ways_init(struct routes_ways *ways, uint32_t space, const struct map_sink *sink);
/* The way, added where it is not there yet; NULL: no room. */
struct routes_way *routes_ways_get(struct routes_ways *ways, uint32_t oif, uint16_t marks);
/*
 * Makes them those that the view has devices and marks for, at most `max`; hints of all others are
 * removed from the maps, and what they would answer is not known.
 */
void routes_ways_choose(struct routes_ways *ways, const struct routes_view *view, size_t max);
void routes_ways_clear(struct routes_ways *ways);

#endif
