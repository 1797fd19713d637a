// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mirror_store.h"

struct mirror_leftover {
	struct mirror_leftover *next;
	enum map_id map;
	union {
		struct spd_key spd;
		struct sad_key sad;
		struct spd_masks_key masks;
	} key;
};

static size_t key_size(enum map_id map)
{
	switch (map) {
	case MAP_SPD:
		return sizeof(struct spd_key);
	case MAP_SAD:
		return sizeof(struct sad_key);
	default:
		return sizeof(struct spd_masks_key);
	}
}

static void leftover_drop(struct mirror_store *s, enum map_id map, const void *key)
{
	struct mirror_leftover **at = &s->leftovers;

	while (*at) {
		struct mirror_leftover *l = *at;

		if (l->map != map || memcmp(&l->key, key, key_size(map))) {
			at = &l->next;
			continue;
		}
		*at = l->next;
		free(l);
	}
}

int mirror_store_put(struct mirror_store *s, enum map_id map, const void *key, const void *value)
{
	int r = s->sink->put(s->sink->ctx, s->space, map, key, value);

	if (!r && s->leftovers)
		leftover_drop(s, map, key);
	return r;
}

void mirror_store_del(struct mirror_store *s, enum map_id map, const void *key)
{
	struct mirror_leftover *l;
	int r = s->sink->del(s->sink->ctx, s->space, map, key);

	if (!r || r == -ENOENT)
		return;
	mirror_store_lack(s);
	l = calloc(1, sizeof(*l));
	if (!l) {
		s->leftover_lost = true;
		return;
	}
	l->map = map;
	memcpy(&l->key, key, key_size(map));
	l->next = s->leftovers;
	s->leftovers = l;
}

void mirror_store_lack(struct mirror_store *s)
{
	s->sink->state(s->sink->ctx, s->space)->full |= s->full_bit;
}

void mirror_store_settle(struct mirror_store *s)
{
	struct space_state *state = s->sink->state(s->sink->ctx, s->space);
	struct mirror_leftover **at = &s->leftovers;
	__u8 full;

	while (*at) {
		struct mirror_leftover *l = *at;
		int r = s->sink->del(s->sink->ctx, s->space, l->map, &l->key);

		if (r && r != -ENOENT) {
			at = &l->next;
			continue;
		}
		*at = l->next;
		free(l);
	}
	full = state->full & (__u8)~s->full_bit;
	if (s->missing || s->leftovers || s->leftover_lost)
		full |= s->full_bit;
	if (state->full != full)
		state->full = full;
}

void mirror_store_done(struct mirror_store *s)
{
	while (s->leftovers) {
		struct mirror_leftover *l = s->leftovers;

		s->leftovers = l->next;
		free(l);
	}
}
