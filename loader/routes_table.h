/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The source hints of one space and family as they stand in the maps, and how they are replaced:
 * mark and sweep, in an order in which every lookup at any moment gives either its old or its new
 * answer, never a third, never none.
 */
#ifndef SAGATE_ROUTES_TABLE_H
#define SAGATE_ROUTES_TABLE_H

#include <uthash.h>

#include "maps.h"
#include "route_cells.h"

struct route_entry {
	struct route_key key;
	struct route_value value;
	bool marked;
	UT_hash_handle hh;
};

struct routes_table {
	const struct map_sink *sink;
	uint32_t space;
	uint32_t oif; /* these two as in struct route_key */
	uint16_t marks;
	uint8_t family;
	struct route_entry *entries;
	struct route_plens plens;
	uint8_t plen_count;
};

/*
 * Replaces the table by one answer for each cell (cells and answers: n, as cells_build() made
 * them). A cell whose answer is that of the cell around it gets no entry. Returns 0, -ENOMEM, or
 * the sink's error; then the whole family is marked unknown.
 */
int routes_table_replace(struct routes_table *table, const struct cell *cells,
			 const struct route_value *answers, size_t n);
/* One entry 0/0 `unknown`, nothing else. If even that does not fit, no prefix length is in use. */
void routes_table_unknown(struct routes_table *table);
/* An entry that stands in the map already: it is kept, replaced or removed by the next replace. */
int routes_table_adopt(struct routes_table *table, const struct route_key *key,
		       const struct route_value *value);
/* Takes all of it out of the maps: what is asked for in this way is not known any more. */
void routes_table_remove(struct routes_table *table);
/* Frees the memory; what stands in the maps stays. */
void routes_table_clear(struct routes_table *table);

#endif
