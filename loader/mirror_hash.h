/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A chained hash whose links are part of the entries. The tables of a space hold 100,000 entries
 * in 300 bytes each, two links to an entry: uthash's handle of 56 bytes would take a third of that.
 */
#ifndef SAGATE_MIRROR_HASH_H
#define SAGATE_MIRROR_HASH_H

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <linux/types.h>

struct mhash_node {
	struct mhash_node *next;
	__u32 hash;
};

struct mhash {
	struct mhash_node **bucket; /* a power of two of them; owned */
	__u32 mask;
	__u32 count;
};

#define mhash_entry(node, type, member) ((type *)((char *)(node)-offsetof(type, member)))

/* Every entry; the one at `n`, and no other, may be removed in the body. */
#define mhash_foreach(h, i, n, tmp)                                                                \
	for (__u32 i = 0; (h)->bucket && i <= (h)->mask; i++)                                      \
		for (struct mhash_node *n = (h)->bucket[i], *tmp = n ? n->next : NULL; n;          \
		     n = tmp, tmp = n ? n->next : NULL)

static inline __u32 mhash_mix(__u32 seed, const void *data, size_t len)
{
	const unsigned char *p = data;
	__u64 h = seed, w;
	__u32 half;

	for (; len >= sizeof(w); p += sizeof(w), len -= sizeof(w)) {
		memcpy(&w, p, sizeof(w));
		h = (h ^ w) * 0x9e3779b97f4a7c15ULL;
		h ^= h >> 32;
	}
	for (; len >= sizeof(half); p += sizeof(half), len -= sizeof(half)) {
		memcpy(&half, p, sizeof(half));
		h = (h ^ half) * 0x9e3779b97f4a7c15ULL;
		h ^= h >> 32;
	}
	for (; len; p++, len--)
		h = (h ^ *p) * 0x100000001b3ULL;
	return (__u32)(h ^ h >> 29);
}

static inline struct mhash_node *mhash_first(const struct mhash *h, __u32 hash)
{
	struct mhash_node *n = h->bucket ? h->bucket[hash & h->mask] : NULL;

	while (n && n->hash != hash)
		n = n->next;
	return n;
}

static inline struct mhash_node *mhash_next(const struct mhash_node *n)
{
	const __u32 hash = n->hash;
	struct mhash_node *next = n->next;

	while (next && next->hash != hash)
		next = next->next;
	return next;
}

/* Makes room for `more` entries, so that adding them cannot fail. 0 or -ENOMEM. */
static inline int mhash_reserve(struct mhash *h, __u32 more)
{
	__u32 size = h->bucket ? h->mask + 1 : 0, want = size ? size : 64;
	struct mhash_node **bucket;

	while (want < h->count + more)
		want *= 2;
	if (want == size)
		return 0;
	bucket = calloc(want, sizeof(struct mhash_node *));
	if (!bucket)
		return -ENOMEM;
	for (__u32 i = 0; i < size; i++) {
		struct mhash_node *n = h->bucket[i];

		while (n) {
			struct mhash_node *next = n->next;

			n->next = bucket[n->hash & (want - 1)];
			bucket[n->hash & (want - 1)] = n;
			n = next;
		}
	}
	free(h->bucket);
	h->bucket = bucket;
	h->mask = want - 1;
	return 0;
}

static inline void mhash_add(struct mhash *h, struct mhash_node *n, __u32 hash)
{
	n->hash = hash;
	n->next = h->bucket[hash & h->mask];
	h->bucket[hash & h->mask] = n;
	h->count++;
}

static inline void mhash_del(struct mhash *h, struct mhash_node *n)
{
	struct mhash_node **at = &h->bucket[n->hash & h->mask];

	while (*at != n)
		at = &(*at)->next;
	*at = n->next;
	h->count--;
}

/* Puts `to` in the place of `from`, which has the same hash. */
static inline void mhash_replace(struct mhash *h, struct mhash_node *from, struct mhash_node *to)
{
	struct mhash_node **at = &h->bucket[from->hash & h->mask];

	while (*at != from)
		at = &(*at)->next;
	to->hash = from->hash;
	to->next = from->next;
	*at = to;
}

static inline void mhash_free(struct mhash *h)
{
	free(h->bucket);
	*h = (struct mhash){0};
}

#endif
