// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <netinet/in.h>

#include "spd_masks.h"

/* Is the selector for multicast groups only, for none, or for both? */
static __u8 mask_groups(const struct selector_info *sel)
{
	const bool six = sel->family == AF_INET6;

	if (sel->dst_len < (six ? 8 : 4))
		return 0;
	if (six ? IN6_IS_ADDR_MULTICAST(sel->daddr) : IN_MULTICAST(ntohl(sel->daddr[0])))
		return MASK_GROUP;
	return MASK_HOST;
}

void spd_mask_of(const struct policy_info *p, struct spd_mask *mask)
{
	*mask = (struct spd_mask){
		.mark = p->mark_mask,
		.sport = p->sel.sport_mask,
		.dport = p->sel.dport_mask,
		.src_len = p->sel.src_len,
		.dst_len = p->sel.dst_len,
		.proto = p->sel.proto != 0,
		.dev = (__u8)((p->sel.ifindex ? MASK_DEV : 0) | mask_groups(&p->sel)),
	};
}

static bool room(struct spd_mask_use *u)
{
	__u32 size = u->size ? u->size * 2 : 4;
	struct spd_entry **heap;

	if (u->count < u->size)
		return true;
	heap = reallocarray(u->heap, size, sizeof(struct spd_entry *));
	if (!heap)
		return false;
	u->heap = heap;
	u->size = size;
	return true;
}

/* All that selects; `best` is what the list says of it. */
static bool mask_equal(const struct spd_mask *a, const struct spd_mask *b)
{
	return !memcmp(&a->mark, &b->mark, sizeof(*a) - offsetof(struct spd_mask, mark));
}

struct spd_mask_use *spd_mask_get(struct spd_masks_of *m, const struct spd_mask *mask)
{
	struct spd_mask_use *u, **at = &m->first;

	for (u = m->first; u; at = &u->next, u = u->next) {
		if (mask_equal(&u->mask, mask))
			return room(u) ? u : NULL;
	}
	u = calloc(1, sizeof(*u));
	if (!u || !room(u)) {
		free(u);
		return NULL;
	}
	u->of = m;
	u->mask = *mask;
	m->changed = true;
	u->listed = m->listed < SPD_MASKS_MAX;
	m->listed += u->listed;
	m->count++;
	*at = u;
	return u;
}

void spd_mask_put(struct spd_masks_of *m, struct spd_mask_use *u)
{
	struct spd_mask_use **at = &m->first;

	if (u->count)
		return;
	while (*at != u)
		at = &(*at)->next;
	*at = u->next;
	m->listed -= u->listed;
	m->count--;
	m->changed = true;
	free(u->heap);
	free(u);
}

static void heap_set(struct spd_mask_use *u, __u32 i, struct spd_entry *e)
{
	u->heap[i] = e;
	e->heap_pos = i;
}

/* Moves `e`, for which place `i` is free, up or down to where it belongs. */
static void heap_settle(struct spd_mask_use *u, __u32 i, struct spd_entry *e)
{
	while (i && u->heap[(i - 1) / 2]->pol.priority > e->pol.priority) {
		heap_set(u, i, u->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	for (;;) {
		__u32 child = 2 * i + 1;

		if (child + 1 < u->count &&
		    u->heap[child + 1]->pol.priority < u->heap[child]->pol.priority)
			child++;
		if (child >= u->count || u->heap[child]->pol.priority >= e->pol.priority)
			break;
		heap_set(u, i, u->heap[child]);
		i = child;
	}
	heap_set(u, i, e);
}

/* The best priority is in the list of masks. */
static void best_follow(struct spd_mask_use *u)
{
	if (!u->count || u->mask.best == u->heap[0]->pol.priority)
		return;
	u->mask.best = u->heap[0]->pol.priority;
	u->of->changed = true;
}

void spd_heap_add(struct spd_mask_use *u, struct spd_entry *e)
{
	u->count++;
	heap_settle(u, u->count - 1, e);
	best_follow(u);
}

void spd_heap_del(struct spd_mask_use *u, struct spd_entry *e)
{
	struct spd_entry *last = u->heap[--u->count];

	if (last != e)
		heap_settle(u, e->heap_pos, last);
	best_follow(u);
}

void spd_heap_replace(struct spd_mask_use *u, struct spd_entry *from, struct spd_entry *to)
{
	heap_settle(u, from->heap_pos, to);
	best_follow(u);
}

void spd_masks_make(const struct spd_masks_of *m, struct spd_masks *list)
{
	__u32 n = 0;

	memset(list, 0, sizeof(*list));
	for (const struct spd_mask_use *u = m->first; u; u = u->next) {
		struct spd_mask mask = u->mask;
		__u32 i = n;

		if (!u->listed || !u->count)
			continue;
		for (; i && list->mask[i - 1].best > mask.best; i--)
			list->mask[i] = list->mask[i - 1];
		list->mask[i] = mask;
		n++;
	}
	list->count = n;
}

void spd_masks_write(struct spd_masks_of *m, struct mirror_store *store)
{
	struct space_state *state;
	struct spd_masks list;
	bool failed = false;

	if (!m->changed && !m->dirty)
		return;
	m->changed = false;
	spd_masks_make(m, &list);
	if (!m->dirty && !memcmp(&list, &m->written, sizeof(list)))
		return;
	failed = mirror_store_put(store, MAP_SPD_MASKS, &m->key, &list) != 0;
	if (failed != m->dirty)
		store->missing += failed ? 1 : (size_t)-1;
	m->dirty = failed;
	if (failed) {
		mirror_store_lack(store);
		return;
	}
	m->written = list;
	state = store->sink->state(store->sink->ctx, store->space);
	state->masks[m->key.class][m->key.family == AF_INET6] = (__u8)list.count;
	space_changed(state);
}
