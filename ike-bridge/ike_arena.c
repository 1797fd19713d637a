// SPDX-License-Identifier: GPL-2.0-only
#include "ike_arena.h"

#include <stdalign.h>
#include <stdlib.h>

enum { CHUNK_MIN = 512 };

struct ike_chunk {
	struct ike_chunk *next;
	size_t used, size;
	alignas(max_align_t) unsigned char data[];
};

void *ike_arena_alloc(struct ike_arena *a, size_t size)
{
	struct ike_chunk *c = a->chunks;
	size_t want;
	void *p;

	size = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	if (!c || c->size - c->used < size) {
		want = size > CHUNK_MIN ? size : CHUNK_MIN;
		c = calloc(1, sizeof(*c) + want);
		if (!c)
			return NULL;
		c->size = want;
		c->next = a->chunks;
		a->chunks = c;
		a->total += sizeof(*c) + want;
	}
	p = c->data + c->used;
	c->used += size;
	return p;
}

void ike_arena_free(struct ike_arena *a)
{
	struct ike_chunk *c, *next;

	for (c = a->chunks; c; c = next) {
		next = c->next;
		free(c);
	}
	*a = (struct ike_arena){};
}
