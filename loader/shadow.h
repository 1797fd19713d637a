/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The first image of a space, gathered in memory and then put into the maps at once: until then an
 * earlier daemon's entries go on deciding, so that a restart has no gap and no empty map.
 */
#ifndef SAGATE_SHADOW_H
#define SAGATE_SHADOW_H

#include <stdbool.h>
#include <stddef.h>
#include "maps.h"

struct shadow;

struct shadow *shadow_new(void); /* NULL: no memory */
void shadow_free(struct shadow *s);

/* No more than so many entries of one map: then shadow_put() of a new one is -E2BIG. 0: no limit.
 */
void shadow_limit(struct shadow *s, enum map_id map, __u32 entries);

int shadow_put(struct shadow *s, enum map_id map, const void *key, size_t key_size,
	       const void *value, size_t value_size);
int shadow_del(struct shadow *s, enum map_id map, const void *key, size_t key_size);
bool shadow_has(const struct shadow *s, enum map_id map, const void *key);
/* The space's flags and counts as the tables set them. Owned by *s. */
struct space_state *shadow_state(struct shadow *s);
/* How many entries one map has, and their keys and values, one after the other. Owned by *s. */
__u32 shadow_entries(const struct shadow *s, enum map_id map, void **keys, void **values);

#endif
