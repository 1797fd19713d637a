// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "shadow.h"

struct shadow_entry {
	UT_hash_handle hh;
	size_t key_size;
	unsigned char bytes[]; /* key, then value */
};

struct shadow {
	struct shadow_entry *entries[MAP_COUNT];
	__u32 limit[MAP_COUNT];
	struct space_state state;
};

struct shadow *shadow_new(void)
{
	return calloc(1, sizeof(struct shadow));
}

void shadow_limit(struct shadow *s, enum map_id map, __u32 entries)
{
	s->limit[map] = entries;
}

static struct shadow_entry *find(const struct shadow *s, enum map_id map, const void *key,
				 size_t key_size)
{
	struct shadow_entry *entry;

	HASH_FIND(hh, s->entries[map], key, key_size, entry);
	return entry;
}

int shadow_put(struct shadow *s, enum map_id map, const void *key, size_t key_size,
	       const void *value, size_t value_size)
{
	struct shadow_entry *entry = find(s, map, key, key_size);

	if (!entry && s->limit[map] && HASH_COUNT(s->entries[map]) >= s->limit[map])
		return -E2BIG;
	if (!entry) {
		entry = malloc(sizeof(*entry) + key_size + value_size);
		if (!entry)
			return -ENOMEM;
		entry->key_size = key_size;
		memcpy(entry->bytes, key, key_size);
		HASH_ADD_KEYPTR(hh, s->entries[map], entry->bytes, key_size, entry);
	}
	memcpy(entry->bytes + key_size, value, value_size);
	return 0;
}

int shadow_del(struct shadow *s, enum map_id map, const void *key, size_t key_size)
{
	struct shadow_entry *entry = find(s, map, key, key_size);

	if (!entry)
		return -ENOENT;
	HASH_DEL(s->entries[map], entry);
	free(entry);
	return 0;
}

bool shadow_has(const struct shadow *s, enum map_id map, const void *key, size_t key_size)
{
	return find(s, map, key, key_size);
}

struct space_state *shadow_state(struct shadow *s)
{
	return &s->state;
}

int shadow_each(const struct shadow *s, enum map_id map,
		int (*each)(void *ctx, const void *key, const void *value), void *ctx)
{
	struct shadow_entry *entry, *next;
	int err;

	HASH_ITER(hh, s->entries[map], entry, next) {
		err = each(ctx, entry->bytes, entry->bytes + entry->key_size);
		if (err)
			return err;
	}
	return 0;
}

void shadow_free(struct shadow *s)
{
	struct shadow_entry *entry, *next;

	if (!s)
		return;
	for (int map = 0; map < MAP_COUNT; map++)
		HASH_ITER(hh, s->entries[map], entry, next) {
			HASH_DEL(s->entries[map], entry);
			free(entry);
		}
	free(s);
}
