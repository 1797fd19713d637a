// SPDX-License-Identifier: GPL-2.0-only
#include <netinet/in.h>
#include <stdint.h>

#include "spd_group.h"

/*
 * Indices come one after the other (xfrm_gen_index: by 8, requirements' by 1), and a dump lists
 * them so: what is found next is then in the next bucket, and not where no cache has it.
 */
static __u32 index_hash(enum spd_class class, __u32 index)
{
	return (index ^ index >> 3) + class * 0x9e3779b9U;
}

static struct spd_entry *entry_find(const struct spd *spd, enum spd_class class, __u32 index)
{
	struct mhash_node *n =
		spd->entries[class] ? mhash_first(&spd->by_index, index_hash(class, index)) : NULL;

	for (; n; n = mhash_next(n)) {
		struct spd_entry *e = mhash_entry(n, struct spd_entry, by_index);

		if (e->class == class && e->pol.index == index)
			return e;
	}
	return NULL;
}

/* The policy that stands, not one that is only remembered as gone. */
static struct spd_entry *entry_standing(const struct spd *spd, enum spd_class class, __u32 index)
{
	struct spd_entry *e = entry_find(spd, class, index);

	return e && !e->gone ? e : NULL;
}

static bool policy_equal(const struct policy_info *a, const struct policy_info *b)
{
	return !memcmp(a, b, offsetof(struct policy_info, sec_ctx)) && spd_tmpls_equal(a, b);
}

static struct spd_entry *entry_new(const struct policy_info *p)
{
	size_t tmpls = p->tmpl_count * sizeof(p->tmpl[0]);
	struct spd_entry *e = malloc(offsetof(struct spd_entry, pol.tmpl) + tmpls);

	if (!e)
		return NULL;
	memset(e, 0, offsetof(struct spd_entry, pol));
	memcpy(&e->pol, p, offsetof(struct policy_info, tmpl) + tmpls);
	return e;
}

/* Room in the hash was made before. */
static void entry_add(struct spd *spd, struct spd_entry *e)
{
	mhash_add(&spd->by_index, &e->by_index, index_hash(e->class, e->pol.index));
	spd->entries[e->class]++;
	spd->fresh[e->class]++;
	e->generation = spd->generation[e->class];
}

/* It was put, or taken away, since the mark. */
static void entry_refresh(struct spd *spd, struct spd_entry *e)
{
	spd->fresh[e->class] += e->generation != spd->generation[e->class];
	e->generation = spd->generation[e->class];
}

static void entry_drop(struct spd *spd, struct spd_entry *e)
{
	spd->gone -= e->gone;
	spd->entries[e->class]--;
	spd->fresh[e->class] -= e->generation == spd->generation[e->class];
	mhash_del(&spd->by_index, &e->by_index);
	free(e);
}

/* Takes a policy out. While a dump runs that may yet list it, it is remembered as gone. */
static void entry_unlink(struct spd *spd, struct spd_entry *e, bool remember)
{
	spd_group_remove(spd, e);
	if (!remember) {
		entry_drop(spd, e);
		return;
	}
	e->gone = 1;
	entry_refresh(spd, e);
	spd->gone++;
}

/* An earlier daemon's image of the same policy, when there is one to go by. */
static bool image_left(const struct spd *spd, const struct spd_entry *e, const struct spd_key *key,
		       struct spd_value *was)
{
	const struct map_sink *sink = spd->store.sink;

	return sink->left && e->class != CLASS_REQUIRE &&
	       !sink->left(sink->ctx, spd->store.space, MAP_SPD, key, was) &&
	       was->index == e->pol.index;
}

static bool image_was_trap(const struct spd *spd, const struct spd_entry *e,
			   const struct spd_key *key)
{
	struct spd_value was;

	if (spd_rank_of(&e->pol) == SPD_RANK_REQUIRED || !image_left(spd, e, key, &was))
		return false;
	return was.block ? was.trap_block : spd_image_requires(&was);
}

/*
 * xfrm_policy_insert_list: a new priority puts it behind all that have it, whatever is changed
 * after that; no dump shows this, but what an earlier daemon has seen of it stands in the maps.
 */
static bool unplaced(const struct spd *spd, const struct spd_entry *e, const struct spd_key *key,
		     const struct spd_entry *old)
{
	struct spd_value was;

	if (old)
		return old->pol.unplaced || old->pol.priority != e->pol.priority;
	return image_left(spd, e, key, &was) && was.place == PLACE_UNKNOWN &&
	       was.priority == e->pol.priority;
}

/*
 * libreswan 5 turns its trap, by UPDPOLICY, into a BLOCK while it negotiates. A policy that an
 * operator adds, inside a trap or not, is one of its own from the start.
 */
static bool was_trap(const struct spd *spd, const struct spd_entry *e, const struct spd_key *key,
		     const struct spd_entry *old)
{
	if (!old)
		return image_was_trap(spd, e, key);
	return old->pol.was_trap || spd_rank_of(&old->pol) == SPD_RANK_REQUIRED;
}

/* When a policy was put: by a change, in a dump, or as the second entry of one that stands. */
struct put_time {
	__u32 order;
	__u32 seen;
};

/* The kernel inserts anew what UPDPOLICY changes, and be it to the same. */
static struct put_time time_of_change(struct spd *spd, enum spd_class class,
				      const struct spd_entry *found)
{
	const struct spd_entry *old = found && !found->gone ? found : NULL;
	struct put_time t = {.seen = spd->seen_before};

	if (old && (class == CLASS_REQUIRE || old->pol.order == spd->newest[class]))
		t.order = old->pol.order;
	else
		t.order = ++spd->newest[class];
	return t;
}

static struct put_time time_of_dump(struct spd *spd, enum spd_class class,
				    const struct spd_entry *found)
{
	struct put_time t = {.seen = ++spd->seen};

	if (found && !found->gone)
		t.order = found->pol.order;
	else
		t.order = ORDER_NOW - (spd->seen - spd->seen_before);
	spd->disordered[class] |= t.order >= spd->last_listed[class];
	spd->last_listed[class] = t.order;
	return t;
}

static bool listed(const struct spd *spd, const struct spd_entry *e)
{
	return (__s32)(e->seen - spd->seen_before) > 0;
}

/* It stood so already. */
static int put_again(struct spd *spd, struct spd_entry *old, const struct policy_info *p,
		     struct put_time t)
{
	int r = old->pol.order != t.order;

	entry_refresh(spd, old);
	old->pol.sec_ctx |= p->sec_ctx;
	old->seen = t.seen;
	if (r)
		spd_group_reorder(spd, old, t.order);
	return r && !old->pol.unplaced;
}

/* `found` is the entry of its class and index, or NULL. */
static int put_one(struct spd *spd, enum spd_class class, const struct policy_info *p,
		   struct spd_entry *found, struct put_time t)
{
	struct spd_entry *e, *old = found && !found->gone ? found : NULL;
	struct spd_key key, old_key;
	struct spd_mask mask;
	bool same_group = false;

	if (old && policy_equal(&old->pol, p))
		return put_again(spd, old, p, t);
	e = entry_new(p);
	if (!e)
		return -ENOMEM;
	e->class = (__u8) class;
	e->pol.order = t.order;
	e->seen = t.seen;
	spd_mask_of(&e->pol, &mask);
	/* twice the room by key: a policy that is new meets no other's memory on its way */
	if (mhash_reserve(&spd->by_index, 1) ||
	    mhash_reserve(&spd->by_key, spd->by_key.count + 1) ||
	    !(e->mask = spd_mask_get(spd_group_masks(spd, e), &mask))) {
		free(e);
		return -ENOMEM;
	}
	spd_group_key(spd, e, &key);
	if (old) {
		spd_group_key(spd, old, &old_key);
		same_group = !memcmp(&key, &old_key, sizeof(key));
	}
	e->pol.unplaced |= unplaced(spd, e, &key, old);
	e->pol.was_trap = was_trap(spd, e, &key, same_group ? old : NULL);
	spd_group_insert(spd, e, same_group ? old : NULL, &key, mhash_mix(0, &key, sizeof(key)));
	entry_add(spd, e);
	if (old && !same_group) {
		entry_unlink(spd, old, false);
		spd_group_refill(spd, SIZE_MAX);
	} else if (found) {
		entry_drop(spd, found);
	}
	spd->seconds += class >= CLASS_SPORT && !old;
	if (!spd->store.missing)
		mirror_store_settle(&spd->store);
	return 1;
}

/* Whether a socket may be given a port that the policy's selector lets in. */
static bool meets_ports(const struct spd *spd, const struct policy_info *p)
{
	const __u16 mask = ntohs(p->sel.sport_mask), port = ntohs(p->sel.sport) & mask;
	const __u16 open = (__u16)~mask;

	if (!mask)
		return false;
	/* a mask that is no prefix: its ports are spread out, and one of them will be met */
	if (open & (open + 1))
		return true;
	return port <= spd->port_last && (port | open) >= spd->port_first;
}

static int del_one(struct spd *spd, enum spd_class class, __u32 index);

/* The second entry of a policy, in the class of source ports not given yet: made, kept or gone. */
static int put_sport(struct spd *spd, enum spd_class class, const struct policy_info *p,
		     struct put_time t)
{
	struct policy_info *copy;
	struct spd_entry *e;
	int r;

	if (!meets_ports(spd, p))
		return entry_standing(spd, class + CLASS_SPORT, p->index)
			       ? del_one(spd, class + CLASS_SPORT, p->index)
			       : 0;
	e = entry_new(p);
	if (!e)
		return -ENOMEM;
	copy = &e->pol;
	copy->sel.sport = copy->sel.sport_mask = 0;
	r = put_one(spd, class + CLASS_SPORT, copy, entry_find(spd, class + CLASS_SPORT, p->index),
		    t);
	free(e);
	return r;
}

/* First what makes flows wait, last what no longer does. */
static int put_both(struct spd *spd, enum spd_class class, const struct policy_info *p,
		    struct spd_entry *found, struct put_time t)
{
	int more = meets_ports(spd, p) ? put_sport(spd, class, p, t) : 0;
	int r = more < 0 ? more : put_one(spd, class, p, found, t);

	if (r >= 0 && !meets_ports(spd, p))
		more = put_sport(spd, class, p, t);
	return more < 0 ? more : r;
}

int spd_put(struct spd *spd, enum spd_class class, const struct policy_info *p)
{
	struct spd_entry *e = entry_find(spd, class, p->index);

	return put_both(spd, class, p, e, time_of_change(spd, class, e));
}

int spd_set_ports(struct spd *spd, __u16 first, __u16 last)
{
	const __u16 was[2] = {spd->port_first, spd->port_last};
	int r = 0;

	if (was[0] == first && was[1] == last)
		return 0;
	spd->port_first = first;
	spd->port_last = last;
	for (int c = 0; c < CLASS_SPORT; c++) {
		mhash_foreach(&spd->by_index, i, node, tmp)
		{
			const struct spd_entry *e = mhash_entry(node, struct spd_entry, by_index);

			if (r >= 0 && e->class == c && !e->gone && e->pol.sel.sport_mask)
				r = put_sport(spd, c, &e->pol,
					      (struct put_time){e->pol.order, e->seen});
		}
	}
	if (r >= 0)
		return 0;
	spd->port_first = was[0];
	spd->port_last = was[1];
	return r;
}

int spd_put_dumped(struct spd *spd, enum spd_class class, const struct policy_info *p)
{
	struct spd_entry *e = entry_find(spd, class, p->index);

	if (spd->flushed[class] || (e && e->generation == spd->generation[class]))
		return 0;
	return put_both(spd, class, p, e, time_of_dump(spd, class, e));
}

/* A dump that runs may list a policy that is gone before we ever saw it. */
static int remember_gone(struct spd *spd, enum spd_class class, __u32 index)
{
	struct spd_entry *e = calloc(1, sizeof(*e));

	if (!e || mhash_reserve(&spd->by_index, 1)) {
		free(e);
		return -ENOMEM;
	}
	e->class = (__u8) class;
	e->pol.index = index;
	e->gone = 1;
	entry_add(spd, e);
	spd->gone++;
	return 0;
}

static int del_one(struct spd *spd, enum spd_class class, __u32 index)
{
	struct spd_entry *e = entry_find(spd, class, index);

	if (!e && spd->dumping[class])
		return remember_gone(spd, class, index);
	if (!e || e->gone)
		return 0;
	spd->seconds -= class >= CLASS_SPORT;
	entry_unlink(spd, e, spd->dumping[class]);
	spd_group_refill(spd, SIZE_MAX);
	return 1;
}

int spd_del(struct spd *spd, enum spd_class class, __u32 index)
{
	int r = del_one(spd, class, index), more = 0;

	if (r >= 0 && entry_standing(spd, class + CLASS_SPORT, index))
		more = del_one(spd, class + CLASS_SPORT, index);
	return more < 0 ? more : r;
}

/*
 * Removes all of a class, or only what was not put since spd_mark(). The kernel takes them away
 * under one lock, we one after the other: so first those that let through, last those that block.
 */
static size_t remove_all(struct spd *spd, enum spd_class class, bool only_old)
{
	size_t n = 0;

	if (spd->entries[class] == (only_old ? spd->fresh[class] : 0))
		return 0;
	for (int rank = SPD_RANK_COUNT - 1; rank >= 0; rank--) {
		mhash_foreach(&spd->by_index, i, node, tmp)
		{
			struct spd_entry *e = mhash_entry(node, struct spd_entry, by_index);

			if (e->class != class || e->gone || (int)spd_rank_of(&e->pol) != rank)
				continue;
			if (only_old && e->generation == spd->generation[class])
				continue;
			spd->seconds -= class >= CLASS_SPORT;
			entry_unlink(spd, e, false);
			n++;
		}
	}
	if (n)
		spd_group_refill(spd, SIZE_MAX);
	return n;
}

size_t spd_flush(struct spd *spd, enum spd_class class)
{
	size_t n;

	spd->flushed[class] = spd->dumping[class];
	n = remove_all(spd, class, false);
	remove_all(spd, class + CLASS_SPORT, false);
	return n;
}

static void forget_gone(struct spd *spd, enum spd_class class)
{
	spd->dumping[class] = spd->flushed[class] = false;
	if (!spd->gone)
		return;
	mhash_foreach(&spd->by_index, i, node, tmp)
	{
		struct spd_entry *e = mhash_entry(node, struct spd_entry, by_index);

		if (e->class == class && e->gone)
			entry_drop(spd, e);
	}
}

void spd_mark(struct spd *spd, enum spd_class class)
{
	forget_gone(spd, class);
	spd->generation[class]++;
	spd->fresh[class] = 0;
	spd->dumping[class] = true;
	spd->last_listed[class] = ~0U;
	spd->seen_before = spd->seen;
	forget_gone(spd, class + CLASS_SPORT);
	spd->generation[class + CLASS_SPORT]++;
	spd->fresh[class + CLASS_SPORT] = 0;
}

/*
 * Policies that no dump or change has told of before stand among those that were known, or changes
 * were missed: the order is the dump's then.
 */
static void put_in_order(struct spd *spd, enum spd_class class)
{
	bool all = true; /* none was changed since the mark */

	if (!spd->disordered[class] && spd->newest[class] < ORDER_HIGH)
		return;
	mhash_foreach(&spd->by_index, i, node, tmp)
	{
		struct spd_entry *e = mhash_entry(node, struct spd_entry, by_index);

		if (e->class % CLASS_SPORT != class)
			continue;
		if (listed(spd, e))
			spd_group_reorder(spd, e, ORDER_NOW - (e->seen - spd->seen_before));
		else
			all = false;
	}
	spd->disordered[class] = false;
	if (all)
		spd->newest[class] = ORDER_NOW;
}

size_t spd_sweep(struct spd *spd, enum spd_class class)
{
	size_t n;

	forget_gone(spd, class);
	n = remove_all(spd, class, true);
	remove_all(spd, class + CLASS_SPORT, true);
	put_in_order(spd, class);
	return n;
}

size_t spd_retry(struct spd *spd, size_t max)
{
	const size_t before = spd->stored;

	spd_group_refill(spd, max);
	return spd->stored - before;
}

void spd_each_unlisted(const struct spd *spd, enum spd_class class,
		       void (*each)(void *ctx, const struct policy_info *), void *ctx)
{
	mhash_foreach(&spd->by_index, i, node, tmp)
	{
		const struct spd_entry *e = mhash_entry(node, struct spd_entry, by_index);

		if (e->class == class && !e->gone && e->generation != spd->generation[class])
			each(ctx, &e->pol);
	}
}

const struct policy_info *spd_find(const struct spd *spd, enum spd_class class, __u32 index)
{
	struct spd_entry *e = entry_standing(spd, class, index);

	return e ? &e->pol : NULL;
}

int spd_each(const struct spd *spd,
	     int (*each)(void *ctx, enum spd_class, const struct policy_info *), void *ctx)
{
	mhash_foreach(&spd->by_index, i, node, tmp)
	{
		const struct spd_entry *e = mhash_entry(node, struct spd_entry, by_index);
		int r = e->gone || e->class >= CLASS_SPORT ? 0 : each(ctx, e->class, &e->pol);

		if (r)
			return r;
	}
	return 0;
}

void spd_count(const struct spd *spd, struct spd_counts *counts)
{
	*counts = (struct spd_counts){
		.policies = spd->by_index.count - spd->gone - spd->seconds,
		.stored = spd->stored,
		.missing = spd->store.missing,
		.ties = spd->ties,
	};
	for (int c = 0; c < CLASS_COUNT * 2; c++)
		counts->masks += spd->masks[c / 2][c % 2].count;
}

struct spd *spd_new(__u32 space, const struct map_sink *sink)
{
	struct spd *spd = calloc(1, sizeof(*spd));

	if (!spd)
		return NULL;
	spd->port_last = 0xffff;
	for (int c = 0; c < CLASS_COUNT; c++)
		spd->newest[c] = ORDER_NOW;
	spd->store = (struct mirror_store){.sink = sink, .space = space, .full_bit = FULL_SPD};
	for (int c = 0; c < CLASS_COUNT * 2; c++)
		spd->masks[c / 2][c % 2].key = (struct spd_masks_key){
			.space = space,
			.class = (__u8)(c / 2),
			.family = c % 2 ? AF_INET6 : AF_INET,
		};
	return spd;
}

void spd_free(struct spd *spd)
{
	if (!spd)
		return;
	mhash_foreach(&spd->by_index, i, node, tmp)
		free(mhash_entry(node, struct spd_entry, by_index));
	for (int c = 0; c < CLASS_COUNT * 2; c++) {
		struct spd_masks_of *m = &spd->masks[c / 2][c % 2];

		while (m->first) {
			struct spd_mask_use *u = m->first;

			m->first = u->next;
			free(u->heap);
			free(u);
		}
	}
	mhash_free(&spd->by_index);
	mhash_free(&spd->by_key);
	mirror_store_done(&spd->store);
	free(spd);
}
