/* SPDX-License-Identifier: GPL-2.0-only */
/* The hints' maps in memory, which may be full and be looked at after every single write. */
#ifndef TEST_ROUTES_SINK_H
#define TEST_ROUTES_SINK_H

#include <stdint.h>
#include <uthash.h>

#include "maps.h"

#define SPACE 3

struct sink_item {
	struct route_key key;
	struct route_value value;
	UT_hash_handle hh;
};

struct sink_maps {
	struct sink_item *items;
	struct route_plens plens[2];
	struct space_state state;
	unsigned int puts, entry_puts, dels, room;
	void (*on_write)(void); /* after every write, NULL: none */
};

extern struct sink_maps sink_maps;
extern const struct map_sink sink_ops;

/* A write of the daemon's; space SPACE, ctx NULL. */
int sink_put(void *ctx, __u32 space, enum map_id map, const void *key, const void *value);

struct sink_item *sink_find(const struct route_key *key);

/* As the BPF programs look a destination up. */
const struct route_value *sink_lookup(uint8_t family, const __be32 addr[4]);

/* Empties the maps; on_write stays. */
void sink_clear(void);

#endif
