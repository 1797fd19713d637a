/* SPDX-License-Identifier: GPL-2.0-only */
/* Maps in memory that can be full, refuse, and be looked at after every single write. */
#ifndef FAKE_SINK_H
#define FAKE_SINK_H

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uthash.h>

#include "maps.h"

struct fake_entry {
	UT_hash_handle hh;
	void *value;
	char key[sizeof(struct spd_key)];
};

struct fake_sink {
	struct map_sink sink;
	struct fake_entry *map[MAP_COUNT];
	struct space_state state;
	size_t limit[MAP_COUNT];  /* entries, 0: no limit */
	unsigned int refuse_puts; /* of 1000 puts (of entries that stand too), so many fail */
	unsigned int refuse_dels;
	size_t writes;
	void (*written)(struct fake_sink *f); /* after every write */
	void *ctx;
};

static const struct {
	size_t key, value;
} fake_size[MAP_COUNT] = {
	[MAP_SPD_MASKS] = {sizeof(struct spd_masks_key), sizeof(struct spd_masks)},
	[MAP_SPD] = {sizeof(struct spd_key), sizeof(struct spd_value)},
	[MAP_SAD] = {sizeof(struct sad_key), sizeof(struct sad_value)},
};

static inline void *fake_get(const struct fake_sink *f, enum map_id map, const void *key)
{
	struct fake_entry *e;

	HASH_FIND(hh, f->map[map], key, fake_size[map].key, e);
	return e ? e->value : NULL;
}

static int fake_put(void *ctx, __u32 space, enum map_id map, const void *key, const void *value)
{
	struct fake_sink *f = ctx;
	struct fake_entry *e;

	(void)space;
	if (f->refuse_puts && (unsigned int)(random() % 1000) < f->refuse_puts)
		return -ENOMEM;
	HASH_FIND(hh, f->map[map], key, fake_size[map].key, e);
	if (!e) {
		if (f->limit[map] && HASH_COUNT(f->map[map]) >= f->limit[map])
			return -E2BIG;
		e = calloc(1, sizeof(*e));
		e->value = malloc(fake_size[map].value);
		memcpy(e->key, key, fake_size[map].key);
		HASH_ADD_KEYPTR(hh, f->map[map], e->key, fake_size[map].key, e);
	}
	memcpy(e->value, value, fake_size[map].value);
	f->writes++;
	if (f->written)
		f->written(f);
	return 0;
}

static int fake_del(void *ctx, __u32 space, enum map_id map, const void *key)
{
	struct fake_sink *f = ctx;
	struct fake_entry *e;

	(void)space;
	if (f->refuse_dels && (unsigned int)(random() % 1000) < f->refuse_dels)
		return -EBUSY;
	HASH_FIND(hh, f->map[map], key, fake_size[map].key, e);
	if (!e)
		return -ENOENT;
	HASH_DEL(f->map[map], e);
	free(e->value);
	free(e);
	f->writes++;
	if (f->written)
		f->written(f);
	return 0;
}

static struct space_state *fake_state(void *ctx, __u32 space)
{
	(void)space;
	return &((struct fake_sink *)ctx)->state;
}

static inline void fake_init(struct fake_sink *f)
{
	memset(f, 0, sizeof(*f));
	f->sink = (struct map_sink){f, fake_put, fake_del, fake_state, NULL};
}

static inline size_t fake_count(const struct fake_sink *f, enum map_id map)
{
	return HASH_COUNT(f->map[map]);
}

static inline void fake_done(struct fake_sink *f)
{
	struct fake_entry *e, *tmp;

	for (int map = 0; map < MAP_COUNT; map++) {
		HASH_ITER(hh, f->map[map], e, tmp) {
			HASH_DEL(f->map[map], e);
			free(e->value);
			free(e);
		}
	}
}

/* The seed of a random test: SAGATE_SEED, or another each time; printed. */
static inline unsigned int fake_seed(const char *test)
{
	const char *set = getenv("SAGATE_SEED");
	unsigned int seed = set ? (unsigned int)strtoul(set, NULL, 0) : 1;
	struct timespec t;

	if (!set) {
		clock_gettime(CLOCK_REALTIME, &t);
		seed = (unsigned int)t.tv_nsec ^ (unsigned int)t.tv_sec;
	}
	print_message("%s: SAGATE_SEED=%u\n", test, seed);
	srandom(seed);
	return seed;
}

#endif
