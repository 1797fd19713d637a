/* SPDX-License-Identifier: GPL-2.0-only */
/* Maps that keep nothing. All of a key and a value is read, and some are refused. */
#ifndef FUZZ_SINK_H
#define FUZZ_SINK_H

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "maps.h"

static struct space_state sink_space;
static unsigned int sink_room, sink_over; /* puts that are taken; then one in sixteen is */

static const struct {
	size_t key, value;
} sink_size[MAP_COUNT] = {
	[MAP_SPD_MASKS] = {sizeof(struct spd_masks_key), sizeof(struct spd_masks)},
	[MAP_SPD] = {sizeof(struct spd_key), sizeof(struct spd_value)},
	[MAP_SAD] = {sizeof(struct sad_key), sizeof(struct sad_value)},
	[MAP_ROUTE_PLENS] = {sizeof(struct route_plens_key), sizeof(struct route_plens)},
	[MAP_ROUTES] = {sizeof(struct route_key), sizeof(struct route_value)},
};

static inline void sink_reset(unsigned int room)
{
	memset(&sink_space, 0, sizeof(sink_space));
	sink_room = room;
	sink_over = 0;
}

/* memcpy() is looked at by ASan. */
static void sink_look(const void *data, size_t size)
{
	static char copy[16384];

	_Static_assert(sizeof(struct spd_masks) <= sizeof(copy) &&
			       sizeof(struct sad_value) <= sizeof(copy) &&
			       sizeof(struct spd_value) <= sizeof(copy),
		       "room for each value");
	memcpy(copy, data, size);
}

static int sink_put(void *ctx, __u32 space, enum map_id map, const void *key, const void *value)
{
	(void)ctx, (void)space;
	sink_look(key, sink_size[map].key);
	sink_look(value, sink_size[map].value);
	if (!sink_room)
		return ++sink_over % 16 ? -E2BIG : 0;
	sink_room--;
	return 0;
}

static int sink_del(void *ctx, __u32 space, enum map_id map, const void *key)
{
	(void)ctx, (void)space;
	sink_look(key, sink_size[map].key);
	return 0;
}

static struct space_state *sink_state(void *ctx, __u32 space)
{
	(void)ctx, (void)space;
	return &sink_space;
}

static const struct map_sink sink = {.put = sink_put, .del = sink_del, .state = sink_state};

#endif
