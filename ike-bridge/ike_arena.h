/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory that is given back all at once. Zero-initialised is empty. */
#ifndef IKE_ARENA_H
#define IKE_ARENA_H

#include <stddef.h>

struct ike_chunk;

struct ike_arena {
	struct ike_chunk *chunks;
	size_t total; /* bytes held */
};

/* Zeroed and aligned for anything; NULL if there is no memory. */
void *ike_arena_alloc(struct ike_arena *a, size_t size);

void ike_arena_free(struct ike_arena *a);

#endif
