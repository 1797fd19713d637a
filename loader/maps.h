/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where the tables of the mirror write to. The daemon's sink is the pinned BPF maps (bpf.c); unit
 * tests give their own.
 */
#ifndef SAGATE_MAPS_H
#define SAGATE_MAPS_H

#include <stdbool.h>

#include "abi.h"

enum map_id {
	MAP_SPD_MASKS,	 /* struct spd_masks_key → struct spd_masks */
	MAP_SPD,	 /* struct spd_key → struct spd_value */
	MAP_SAD,	 /* struct sad_key → struct sad_value */
	MAP_ROUTE_PLENS, /* struct route_plens_key → struct route_plens */
	MAP_ROUTES,	 /* struct route_key → struct route_value */
	MAP_BACKOFF,	 /* struct neg_key → __u64, boottime until which it is backed off */
	MAP_COUNT
};

struct map_sink {
	void *ctx;
	/*
	 * Adds or replaces one entry. The epoch of `space` is raised first, so that a decision that
	 * runs meanwhile looks again, and after it (space_changed). Returns 0 or -errno (-E2BIG:
	 * the map is full); on failure the map is as before.
	 */
	int (*put)(void *ctx, __u32 space, enum map_id map, const void *key, const void *value);
	/* Removes one entry; -ENOENT when there is none. */
	int (*del)(void *ctx, __u32 space, enum map_id map, const void *key);
	/*
	 * The space's slot of space_state, for its counts and flags (masks, plens, full, synced …).
	 * Written directly: each field is one byte or one aligned word.
	 */
	struct space_state *(*state)(void *ctx, __u32 space);
	/*
	 * Until the first commit: what an earlier daemon left and still decides. Returns 0 with a
	 * copy in *value, or -errno (-ENOENT: no entry, or nothing of an earlier daemon is left)
	 * and leaves it alone. May be NULL.
	 */
	int (*left)(void *ctx, __u32 space, enum map_id map, const void *key, void *value);
};

/*
 * What a decision rests on has another value than before: decisions that ran meanwhile look again,
 * and none made earlier is remembered. Call it after a change of space_state as well as before.
 */
static inline void space_changed(struct space_state *state)
{
	__atomic_add_fetch(&state->epoch, 1, __ATOMIC_SEQ_CST);
}

/* Where reading a map has come to. Zero is its beginning. */
struct map_cursor {
	__u32 at;
	bool going;
};

/* The same maps, to be read. */
struct map_source {
	void *ctx;
	/* Copies one entry's value. 0, or -ENOENT when there is none, or -errno. */
	int (*get)(void *ctx, enum map_id map, const void *key, void *value);
	/*
	 * The next part: at most *count keys and values, of all spaces, and how many came. Entries
	 * that stand all the while are read at least once. Returns 1 when more may follow, 0 at the
	 * end, or -errno.
	 */
	int (*read)(void *ctx, enum map_id map, struct map_cursor *cursor, void *keys, void *values,
		    __u32 *count);
};

#endif
