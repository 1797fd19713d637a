// SPDX-License-Identifier: GPL-2.0-only
#include "sad_group.h"
#include "sad_life.h"
#include "sad_slots.h"

/* Of the SAs that wait for a slot, at most this many are compared when one becomes free. */
#define WAITING_MAX 1024

static void make_value(const struct sad_entry *e, unsigned int slot, unsigned int slots,
		       struct sad_value *v)
{
	const struct sa_info *sa = &e->sa;

	memset(v, 0, sizeof(*v));
	v->deadline = e->deadline;
	memcpy(v->saddr, sa->saddr, sizeof(v->saddr));
	v->spi = sa->spi;
	v->mark = sa->mark;
	v->mark_mask = sa->mark_mask;
	memcpy(v->sel_saddr, sa->sel.saddr, sizeof(v->sel_saddr));
	memcpy(v->sel_daddr, sa->sel.daddr, sizeof(v->sel_daddr));
	v->sel_sport = sa->sel.sport;
	v->sel_dport = sa->sel.dport;
	v->sel_sport_mask = sa->sel.sport_mask;
	v->sel_dport_mask = sa->sel.dport_mask;
	v->sel_ifindex = sa->sel.ifindex;
	v->sel_family = sa->sel.family;
	v->sel_proto = sa->sel.proto;
	v->sel_src_len = sa->sel.src_len;
	v->sel_dst_len = sa->sel.dst_len;
	v->slots = slot ? 0 : (__u8)slots;
	v->dir_in = sa->dir == SAGATE_SA_DIR_IN;
}

static int slot_write(struct sad_group *g, const struct sad_entry *e, unsigned int slot,
		      unsigned int slots)
{
	struct sad_key key = g->key;
	struct sad_value value;
	int r;

	key.slot = (__u8)slot;
	make_value(e, slot, slots, &value);
	r = mirror_store_put(&g->sad->store, MAP_SAD, &key, &value);
	if (r) {
		mirror_store_lack(&g->sad->store);
		g->sad->refused = true;
	}
	return r;
}

static void slot_clear(struct sad_group *g, unsigned int slot)
{
	struct sad_key key = g->key;

	key.slot = (__u8)slot;
	mirror_store_del(&g->sad->store, MAP_SAD, &key);
}

static void slot_set(struct sad *sad, struct sad_entry *e, unsigned int slot)
{
	if ((e->slot == SAD_SLOT_NONE) != (slot == SAD_SLOT_NONE)) {
		sad->stored += slot == SAD_SLOT_NONE ? (size_t)-1 : 1;
		sad->store.missing += slot == SAD_SLOT_NONE ? 1 : (size_t)-1;
	}
	e->slot = (__u8)slot;
}

/*
 * The map refused a write to a slot in use, so what it has there is wrong. Rather none of the group
 * than a wrong one: the full bit is set, and all of it is tried again later.
 */
static void group_break(struct sad_group *g)
{
	for (; g->slots; g->slots--) {
		slot_clear(g, g->slots - 1);
		slot_set(g->sad, g->last, SAD_SLOT_NONE);
		g->last = g->last->prev;
	}
}

/* Whether `a` is worth a slot more than `b`. */
static bool outlives(const struct sad_entry *a, const struct sad_entry *b)
{
	/* the last of a group with slots: NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
	if ((a->sa.dir == SAGATE_SA_DIR_IN) != (b->sa.dir == SAGATE_SA_DIR_IN))
		return b->sa.dir == SAGATE_SA_DIR_IN;
	return b->deadline && (!a->deadline || a->deadline > b->deadline);
}

/* Gives the group's free slot after the last to `e`, which stands behind g->last in the list. */
static bool slot_append(struct sad_group *g, struct sad_entry *e)
{
	/* The SA first, then the count in slot 0: a count that is too high would show a hole. */
	if (slot_write(g, e, g->slots, g->slots + 1))
		return false;
	if (g->slots && slot_write(g, g->head, 0, g->slots + 1)) {
		slot_clear(g, g->slots);
		return false;
	}
	slot_set(g->sad, e, g->slots++);
	g->last = e;
	return true;
}

/* All slots are in use: `e`, which has none, takes that of the one that expires first. */
static void slot_contend(struct sad_group *g, struct sad_entry *e)
{
	struct sad_entry *least = g->head, *after;

	for (struct sad_entry *s = g->head; s && s->slot != SAD_SLOT_NONE; s = s->next) {
		if (outlives(least, s))
			least = s;
	}
	mirror_store_lack(&g->sad->store);
	if (!outlives(e, least))
		return;
	if (slot_write(g, e, least->slot, g->slots)) {
		group_break(g);
		return;
	}
	sad_group_unlink(g, e);
	sad_group_link(g, e, least);
	slot_set(g->sad, e, least->slot);
	slot_set(g->sad, least, SAD_SLOT_NONE);
	after = g->last == least ? e : g->last;
	sad_group_unlink(g, least);
	sad_group_link(g, least, after);
	g->last = after;
}

void sad_slots_insert(struct sad *sad, struct sad_entry *e)
{
	struct sad_group g;

	sad_group_open(sad, &e->sa, &g);
	e->in_group = 1;
	e->slot = SAD_SLOT_NONE;
	sad->store.missing++;
	sad_group_link(&g, e, g.last);
	if (g.slots < SAD_SLOTS_MAX)
		slot_append(&g, e);
	else
		slot_contend(&g, e);
}

/* The one without a slot that expires last, or NULL. */
static struct sad_entry *waiting_best(const struct sad_group *g)
{
	struct sad_entry *best = g->last ? g->last->next : g->head, *e = best;

	for (int n = 0; e && n < WAITING_MAX; n++, e = e->next) {
		if (outlives(e, best))
			best = e;
	}
	return best;
}

/* Moves `with`, in the list and the map, to the place of `e`, which leaves the list. */
static void take_place(struct sad_group *g, struct sad_entry *e, struct sad_entry *with)
{
	struct sad_entry *prev;

	slot_set(g->sad, with, e->slot);
	if (g->last == with)
		g->last = with->prev;
	sad_group_unlink(g, with);
	prev = e->prev;
	if (g->last == e)
		g->last = with;
	sad_group_unlink(g, e);
	sad_group_link(g, with, prev);
}

/*
 * Takes the slot of `e` away and `e` out of the list. Whoever takes its place is written there
 * before it leaves its own, and the count shrinks before the last slot goes: a reader of all the
 * slots finds every SA that stands, at any moment.
 */
static void slot_remove(struct sad_group *g, struct sad_entry *e)
{
	struct sad_entry *with = g->slots == SAD_SLOTS_MAX ? waiting_best(g) : NULL;
	unsigned int slot = e->slot, last = g->slots - 1;
	int r = 0;

	if (with) {
		r = slot_write(g, with, slot, g->slots);
		if (!r)
			take_place(g, e, with);
	} else if (last) {
		if (slot != last)
			r = slot_write(g, g->last, slot, last);
		if (!r && slot)
			r = slot_write(g, g->head, 0, last);
		if (!r) {
			if (slot != last) {
				take_place(g, e, g->last);
			} else {
				g->last = e->prev;
				sad_group_unlink(g, e);
			}
			slot_clear(g, last);
			g->slots--;
		}
	} else {
		slot_clear(g, 0);
		sad_group_unlink(g, e);
		g->slots = 0;
		g->last = NULL;
	}
	if (r) {
		group_break(g);
		sad_group_unlink(g, e);
	}
}

void sad_slots_remove(struct sad *sad, struct sad_entry *e)
{
	struct sad_group g;

	sad_group_open(sad, &e->sa, &g);
	if (e->slot == SAD_SLOT_NONE)
		sad_group_unlink(&g, e);
	else
		slot_remove(&g, e);
	slot_set(sad, e, 0); /* neither missing nor … */
	sad->stored--;	     /* … stored */
	e->in_group = 0;
}

/* Gives free slots to those that wait. False when the map refused. */
static bool group_fill(struct sad *sad, struct sad_entry *head)
{
	struct sad_group g;

	sad_group_open(sad, &head->sa, &g);
	while (g.slots < SAD_SLOTS_MAX) {
		struct sad_entry *e = waiting_best(&g);

		if (!e)
			break;
		sad_group_unlink(&g, e);
		sad_group_link(&g, e, g.last);
		if (!slot_append(&g, e))
			return false;
	}
	return true;
}

void sad_slots_refill(struct sad *sad, size_t max)
{
	const size_t before = sad->stored;

	if (sad->refused && sad->store.missing) {
		sad->refused = false;
		mhash_foreach(&sad->by_id, i, node, tmp)
		{
			struct sad_entry *e = mhash_entry(node, struct sad_entry, by_id);

			if (!e->in_group || e->slot != SAD_SLOT_NONE)
				continue;
			if (!group_fill(sad, e))
				goto out;
			if (sad->stored - before >= max) {
				sad->refused = true; /* it may be: to be tried again */
				goto out;
			}
		}
	}
out:
	mirror_store_settle(&sad->store);
}

/* The same SA with other values, under the same key: one write in place. */
static void group_rewrite(struct sad *sad, struct sad_entry *e, const struct sad_value *was)
{
	struct sad_value value;
	struct sad_group g;

	if (e->slot == SAD_SLOT_NONE)
		return;
	sad_group_open(sad, &e->sa, &g);
	make_value(e, e->slot, g.slots, &value);
	if (memcmp(&value, was, sizeof(value)) && slot_write(&g, e, e->slot, g.slots))
		group_break(&g);
}

/* It says `sa` from now on. */
static void change(struct sad *sad, struct sad_entry *e, const struct sa_info *sa, __u64 deadline)
{
	struct sad_value was;
	struct sad_group g;

	sad_group_open(sad, &e->sa, &g);
	make_value(e, e->slot, g.slots, &was);
	e->deadline = deadline;
	e->sa = *sa;
	group_rewrite(sad, e, &was);
}

void sad_slots_change(struct sad *sad, struct sad_entry *e, const struct sa_info *sa)
{
	change(sad, e, sa,
	       sad_life_starts_equal(&e->sa.life, &sa->life)
		       ? e->deadline
		       : sad_life_deadline(&sa->life, sad->clock));
}

void sad_slots_again(struct sad *sad, struct sad_entry *e, const struct sa_info *sa)
{
	const __u64 deadline = sad_life_deadline_again(e->deadline, &sa->life, sad->clock);

	if (deadline != e->deadline)
		change(sad, e, sa, deadline);
	else
		e->sa.life = sa->life;
}

bool sad_image(const struct sad *sad, const struct sad_key *key, struct sad_value *value)
{
	struct sad_key group = *key;
	const struct sad_entry *e, *found = NULL;
	unsigned int slots = 0;

	group.slot = 0;
	for (e = sad_group_find(sad, &group); e && e->slot != SAD_SLOT_NONE; e = e->next, slots++)
		found = e->slot == key->slot ? e : found;
	if (found)
		make_value(found, key->slot, slots, value);
	return found;
}

__u32 sad_each_image(const struct sad *sad, __u32 bucket,
		     void (*each)(void *ctx, const void *key, const void *value), void *ctx)
{
	if (!sad->by_key.bucket || bucket > sad->by_key.mask)
		return 0;
	for (struct mhash_node *n = sad->by_key.bucket[bucket]; n; n = n->next) {
		const struct sad_entry *e = mhash_entry(n, struct sad_entry, by_key);
		struct sad_value value;
		struct sad_key key;

		for (; e && e->slot != SAD_SLOT_NONE; e = e->next) {
			sad_group_key(sad, &e->sa, &key);
			key.slot = e->slot;
			if (sad_image(sad, &key, &value))
				each(ctx, &key, &value);
		}
	}
	return bucket < sad->by_key.mask ? bucket + 1 : 0;
}
