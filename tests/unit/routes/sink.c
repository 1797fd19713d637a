// SPDX-License-Identifier: GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "route_cells.h"
#include "sink.h"

struct sink_maps sink_maps = {.room = ~0U};

struct sink_item *sink_find(const struct route_key *key)
{
	struct sink_item *item;

	HASH_FIND(hh, sink_maps.items, key, sizeof(*key), item);
	return item;
}

int sink_put(void *ctx, __u32 space, enum map_id map, const void *key, const void *value)
{
	struct sink_item *item;

	assert_null(ctx);
	assert_int_equal(space, SPACE);
	sink_maps.puts++;
	if (map == MAP_ROUTE_PLENS) {
		const struct route_plens_key *k = key;

		/* of the plain way: the lookups here are its */
		if (!k->oif && !k->marks)
			memcpy(&sink_maps.plens[k->family == AF_INET6], value,
			       sizeof(sink_maps.plens[0]));
	} else {
		assert_int_equal(map, MAP_ROUTES);
		sink_maps.entry_puts++;
		item = sink_find(key);
		if (!item && HASH_COUNT(sink_maps.items) >= sink_maps.room)
			return -E2BIG;
		if (!item) {
			item = calloc(1, sizeof(*item));
			memcpy(&item->key, key, sizeof(item->key));
			HASH_ADD(hh, sink_maps.items, key, sizeof(item->key), item);
		}
		memcpy(&item->value, value, sizeof(item->value));
	}
	if (sink_maps.on_write)
		sink_maps.on_write();
	return 0;
}

static int sink_del(void *ctx, __u32 space, enum map_id map, const void *key)
{
	struct sink_item *item;

	(void)ctx;
	(void)space;
	if (map == MAP_ROUTE_PLENS)
		return 0;
	assert_int_equal(map, MAP_ROUTES);
	item = sink_find(key);
	sink_maps.dels++;
	if (!item)
		return -ENOENT;
	HASH_DEL(sink_maps.items, item);
	free(item);
	if (sink_maps.on_write)
		sink_maps.on_write();
	return 0;
}

static struct space_state *sink_state(void *ctx, __u32 space)
{
	(void)ctx;
	(void)space;
	return &sink_maps.state;
}

const struct map_sink sink_ops = {.put = sink_put, .del = sink_del, .state = sink_state};

const struct route_value *sink_lookup(uint8_t family, const __be32 addr[4])
{
	bool six = family == AF_INET6;

	for (unsigned int i = 0; i < sink_maps.plens[six].count && i < PLENS_MAX; i++) {
		struct route_key key = {
			.space = SPACE, .family = family, .len = sink_maps.plens[six].len[i]};
		struct cell_prefix p = {.len = key.len};
		struct sink_item *item;

		p.addr =
			key.len ? cell_addr(family, addr) >> (128 - key.len) << (128 - key.len) : 0;
		cell_addr_to(family, p.addr, key.addr);
		item = sink_find(&key);
		if (item)
			return &item->value;
	}
	return NULL;
}

void sink_clear(void)
{
	struct sink_item *item, *next;

	HASH_ITER(hh, sink_maps.items, item, next) {
		HASH_DEL(sink_maps.items, item);
		free(item);
	}
	memset(sink_maps.plens, 0, sizeof(sink_maps.plens));
	memset(&sink_maps.state, 0, sizeof(sink_maps.state));
	sink_maps.room = ~0U;
	sink_maps.puts = sink_maps.entry_puts = sink_maps.dels = 0;
}
