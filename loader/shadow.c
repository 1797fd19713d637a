// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mirror_hash.h"
#include "shadow.h"

#define NONE 0xffffffffU

/* Entry i is keys[i], values[i]; those whose hashes fall together are a list from bucket[] on. */
struct table {
	unsigned char *keys, *values;
	__u32 *next;
	__u32 *bucket; /* as many as there is room for entries, a power of two */
	__u32 count, size, limit;
	size_t key_size, value_size;
};

struct shadow {
	struct table tables[MAP_COUNT];
	struct space_state state;
};

struct shadow *shadow_new(void)
{
	return calloc(1, sizeof(struct shadow));
}

void shadow_limit(struct shadow *s, enum map_id map, __u32 entries)
{
	s->tables[map].limit = entries;
}

static unsigned char *key_at(const struct table *t, __u32 i)
{
	return t->keys + (size_t)i * t->key_size;
}

static __u32 *bucket_of(const struct table *t, const void *key)
{
	return &t->bucket[mhash_mix(0, key, t->key_size) & (t->size - 1)];
}

/* The link that leads to the entry, or the end of its list. NULL: the table is empty. */
static __u32 *link_to(const struct table *t, const void *key)
{
	__u32 *at;

	if (!t->size)
		return NULL;
	at = bucket_of(t, key);
	while (*at != NONE && memcmp(key_at(t, *at), key, t->key_size))
		at = &t->next[*at];
	return at;
}

static int grow(struct table *t)
{
	__u32 size = t->size ? t->size * 2 : 64;
	void *keys = reallocarray(t->keys, size, t->key_size), *values, *next, *bucket;

	if (!keys)
		return -ENOMEM;
	t->keys = keys;
	values = reallocarray(t->values, size, t->value_size);
	if (!values)
		return -ENOMEM;
	t->values = values;
	next = reallocarray(t->next, size, sizeof(*t->next));
	if (!next)
		return -ENOMEM;
	t->next = next;
	bucket = reallocarray(t->bucket, size, sizeof(*t->bucket));
	if (!bucket)
		return -ENOMEM;
	t->bucket = bucket;
	t->size = size;
	memset(t->bucket, 0xff, size * sizeof(*t->bucket));
	for (__u32 i = 0; i < t->count; i++) {
		__u32 *at = bucket_of(t, key_at(t, i));

		t->next[i] = *at;
		*at = i;
	}
	return 0;
}

int shadow_put(struct shadow *s, enum map_id map, const void *key, size_t key_size,
	       const void *value, size_t value_size)
{
	struct table *t = &s->tables[map];
	__u32 *at, i;

	t->key_size = key_size;
	t->value_size = value_size;
	at = link_to(t, key);
	if (!at || *at == NONE) {
		if (t->limit && t->count >= t->limit)
			return -E2BIG;
		if (t->count == t->size && grow(t))
			return -ENOMEM;
		i = t->count++;
		memcpy(key_at(t, i), key, key_size);
		at = bucket_of(t, key);
		t->next[i] = *at;
		*at = i;
	}
	memcpy(t->values + (size_t)*at * value_size, value, value_size);
	return 0;
}

/* The last entry takes the place of the one that goes. */
int shadow_del(struct shadow *s, enum map_id map, const void *key, size_t key_size)
{
	struct table *t = &s->tables[map];
	__u32 *at, i, last;

	t->key_size = key_size;
	at = link_to(t, key);
	if (!at || *at == NONE)
		return -ENOENT;
	i = *at;
	*at = t->next[i];
	last = --t->count;
	if (i == last)
		return 0;
	at = link_to(t, key_at(t, last));
	*at = i;
	t->next[i] = t->next[last];
	memcpy(key_at(t, i), key_at(t, last), key_size);
	memcpy(t->values + (size_t)i * t->value_size, t->values + (size_t)last * t->value_size,
	       t->value_size);
	return 0;
}

bool shadow_has(const struct shadow *s, enum map_id map, const void *key)
{
	const __u32 *at = link_to(&s->tables[map], key);

	return at && *at != NONE;
}

struct space_state *shadow_state(struct shadow *s)
{
	return &s->state;
}

__u32 shadow_entries(const struct shadow *s, enum map_id map, void **keys, void **values)
{
	*keys = s->tables[map].keys;
	*values = s->tables[map].values;
	return s->tables[map].count;
}

void shadow_free(struct shadow *s)
{
	if (!s)
		return;
	for (int map = 0; map < MAP_COUNT; map++) {
		free(s->tables[map].keys);
		free(s->tables[map].values);
		free(s->tables[map].next);
		free(s->tables[map].bucket);
	}
	free(s);
}
