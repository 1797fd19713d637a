/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One table's way into the maps, with an account of what did not get there: entries that should
 * stand and do not (missing), and entries that should not and do (leftovers, tried again). As long
 * as there is one of either, this table's bit of space_state.full is set and unknown means refuse.
 */
#ifndef SAGATE_MIRROR_STORE_H
#define SAGATE_MIRROR_STORE_H

#include <stdbool.h>
#include <stddef.h>

#include "maps.h"

struct mirror_leftover;

struct mirror_store {
	const struct map_sink *sink; /* not owned */
	__u32 space;
	__u8 full_bit;
	bool leftover_lost; /* a leftover could not be noted: full for ever */
	size_t missing;	    /* kept by the table's owner; then mirror_store_settle() */
	struct mirror_leftover *leftovers;
};

/* As map_sink.put. */
int mirror_store_put(struct mirror_store *s, enum map_id map, const void *key, const void *value);

/* Removes an entry; when the map refuses, it is noted and tried again in mirror_store_settle(). */
void mirror_store_del(struct mirror_store *s, enum map_id map, const void *key);

/* Sets the full bit at once, before a change that leaves something out. */
void mirror_store_lack(struct mirror_store *s);

/* Tries leftovers again and sets or clears the full bit. */
void mirror_store_settle(struct mirror_store *s);

/* Forgets the leftovers; the maps stay as they are. */
void mirror_store_done(struct mirror_store *s);

#endif
