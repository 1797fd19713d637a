// SPDX-License-Identifier: GPL-2.0-only
#include <netinet/in.h>

#include "spd_group.h"

enum spd_rank spd_rank_of(const struct policy_info *p)
{
	if (p->action != XFRM_POLICY_ALLOW)
		return SPD_RANK_BLOCK;
	for (int i = 0; i < p->tmpl_count; i++) {
		if (!p->tmpl[i].optional)
			return SPD_RANK_REQUIRED;
	}
	return p->tmpl_count ? SPD_RANK_OPTIONAL : SPD_RANK_ALLOW;
}

void spd_group_key(const struct spd *spd, const struct spd_entry *e, struct spd_key *key)
{
	spd_make_key(spd->store.space, e->class, &e->pol, key);
}

struct spd_masks_of *spd_group_masks(struct spd *spd, const struct spd_entry *e)
{
	return &spd->masks[e->class][e->pol.sel.family == AF_INET6];
}

static struct spd_entry *group_find(const struct spd *spd, const struct spd_key *key, __u32 hash)
{
	struct mhash_node *n = mhash_first(&spd->by_key, hash);

	for (; n; n = mhash_next(n)) {
		struct spd_entry *e = mhash_entry(n, struct spd_entry, by_key);
		struct spd_key k;

		spd_group_key(spd, e, &k);
		if (!memcmp(&k, key, sizeof(k)))
			return e;
	}
	return NULL;
}

/*
 * The order of a group but for its first: by priority, then those of the kernel's lists by index,
 * then the others by what they protect.
 */
static bool before(const struct spd_entry *a, const struct spd_entry *b)
{
	if (a->pol.priority != b->pol.priority)
		return a->pol.priority < b->pol.priority;
	if (a->pol.unplaced != b->pol.unplaced)
		return b->pol.unplaced;
	if (!a->pol.unplaced)
		return a->pol.index < b->pol.index;
	if (spd_rank_of(&a->pol) != spd_rank_of(&b->pol))
		return spd_rank_of(&a->pol) < spd_rank_of(&b->pol);
	return a->pol.order < b->pol.order;
}

bool spd_tmpls_equal(const struct policy_info *a, const struct policy_info *b)
{
	return a->tmpl_count == b->tmpl_count &&
	       !memcmp(a->tmpl, b->tmpl, a->tmpl_count * sizeof(a->tmpl[0]));
}

/* Is it known that the kernel takes `a` of the two? */
static bool hides(const struct spd_entry *a, const struct spd_entry *b)
{
	return !a->pol.unplaced && !b->pol.unplaced && a->pol.index < b->pol.index &&
	       a->pol.order < b->pol.order;
}

/*
 * The next of those that the kernel may take, from `e` on, all of one priority: no other hides it.
 * `order`: the lowest of those before.
 */
static struct spd_entry *next_open(struct spd_entry *e, __u32 priority, __u32 *order)
{
	for (; e && e->pol.priority == priority; e = e->next) {
		if (e->pol.unplaced)
			return e;
		if (e->pol.order < *order) {
			*order = e->pol.order;
			return e;
		}
	}
	return NULL;
}

static void tie_count(struct spd *spd, struct spd_entry *head)
{
	struct spd_entry *e = head;
	__u32 order = ~0U;
	__u8 tie = 0;

	while (!tie && (e = next_open(e->next, head->pol.priority, &order)))
		tie = !hides(head, e) && (spd_rank_of(&e->pol) != spd_rank_of(&head->pol) ||
					  !spd_tmpls_equal(&e->pol, &head->pol));
	spd->ties += (size_t)tie - head->tie;
	head->tie = tie;
}

/* What the map says of a group. Of a requirement that is tied, the one that asks for more counts.
 */
static void head_value(const struct spd_entry *head, struct spd_value *value)
{
	spd_make_value(&head->pol, value);
	if (!head->tie || head->class == CLASS_REQUIRE)
		return;
	value->place = PLACE_TIED;
	value->order = 0;
}

static void stored_set(struct spd *spd, struct spd_entry *head, bool stored)
{
	if (head->stored == stored)
		return;
	head->stored = stored;
	head->mask->unstored += stored ? -1U : 1U;
	spd->store.missing += stored ? (size_t)-1 : 1;
	spd->stored += stored ? 1 : (size_t)-1;
}

/*
 * Makes the map say what the group's first policy says. `was` is what the map has, NULL: nothing.
 * When the new value cannot be written, the old one goes: a wrong answer would be worse than
 * none, which with the full bit set means wait.
 */
static void group_store(struct spd *spd, struct spd_entry *head, const struct spd_value *was)
{
	struct spd_value value;
	struct spd_key key;

	head_value(head, &value);
	if (was && !memcmp(was, &value, sizeof(value))) {
		stored_set(spd, head, true);
		return;
	}
	spd_group_key(spd, head, &key);
	if (head->mask->listed && !mirror_store_put(&spd->store, MAP_SPD, &key, &value)) {
		stored_set(spd, head, true);
		return;
	}
	mirror_store_lack(&spd->store);
	if (was)
		mirror_store_del(&spd->store, MAP_SPD, &key);
	stored_set(spd, head, false);
}

/* Puts `to` first in the group in the place of `from`; both counted as what `from` was. */
static void head_change(struct spd *spd, struct spd_entry *from, struct spd_entry *to)
{
	if (from == to)
		return;
	mhash_replace(&spd->by_key, &from->by_key, &to->by_key);
	spd_heap_replace(from->mask, from, to);
	to->stored = from->stored;
	spd->ties -= from->tie;
	to->tie = 0;
	from->stored = from->tie = 0;
}

static void list_insert(struct spd_entry **list, struct spd_entry *e)
{
	struct spd_entry **at = list;

	while (*at && before(*at, e))
		at = &(*at)->next;
	e->next = *at;
	*at = e;
}

/* Of those that the kernel may take, the one that protects most, and of these the oldest. */
static struct spd_entry *list_choose(struct spd_entry *list)
{
	struct spd_entry *e = list, *best = list, **at = &list;
	__u32 order = list->pol.unplaced ? ~0U : list->pol.order;

	while ((e = next_open(e->next, list->pol.priority, &order)))
		if (spd_rank_of(&e->pol) < spd_rank_of(&best->pol) ||
		    (spd_rank_of(&e->pol) == spd_rank_of(&best->pol) &&
		     e->pol.order < best->pol.order))
			best = e;
	while (*at != best)
		at = &(*at)->next;
	if (best == list)
		return list;
	*at = best->next;
	best->next = list;
	return best;
}

/* Adds `add` to the group's list and takes `del` out, each if not NULL; returns its new first. */
static struct spd_entry *list_change(struct spd_entry *head, struct spd_entry *add,
				     struct spd_entry *del)
{
	struct spd_entry *list = head->next, **at = &list;

	list_insert(&list, head); /* where it belongs if it were not chosen */
	if (add)
		list_insert(&list, add);
	/* it is in the list: NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
	while (del && *at != del)
		at = &(*at)->next;
	if (del)
		*at = del->next;
	return list ? list_choose(list) : NULL;
}

/* The map's value for the group, if it has one. */
static const struct spd_value *value_was(const struct spd_entry *head, struct spd_value *value)
{
	if (!head->stored)
		return NULL;
	head_value(head, value);
	return value;
}

/*
 * The entry is written before the list of masks: a decision in between decides as before the
 * change.
 */
void spd_group_insert(struct spd *spd, struct spd_entry *e, struct spd_entry *old,
		      const struct spd_key *key, __u32 hash)
{
	struct spd_entry *head = group_find(spd, key, hash), *first;
	const struct spd_value *was = NULL;
	struct spd_value value;

	if (!head) {
		e->next = NULL;
		mhash_add(&spd->by_key, &e->by_key, hash);
		spd_heap_add(e->mask, e);
		e->mask->unstored++;
		spd->store.missing++;
		first = e;
	} else {
		was = value_was(head, &value);
		first = list_change(head, e, old);
		head_change(spd, head, first);
		/* The same policy with another priority, or the old first one further down. */
		spd_heap_replace(first->mask, first, first);
	}
	tie_count(spd, first);
	group_store(spd, first, was);
	spd_masks_write(spd_group_masks(spd, first), &spd->store);
}

/*
 * The entry goes, or the next policy takes its place, before the list of masks follows: until then
 * the list is only longer, or its best priority lower, than need be, which costs a decision one
 * more look and hides nothing.
 */
void spd_group_remove(struct spd *spd, struct spd_entry *e)
{
	struct spd_masks_of *m = spd_group_masks(spd, e);
	struct spd_mask_use *mask = e->mask;
	const struct spd_value *was;
	struct spd_entry *head, *first;
	struct spd_value value;
	struct spd_key key;

	spd_group_key(spd, e, &key);
	head = group_find(spd, &key, mhash_mix(0, &key, sizeof(key)));
	was = value_was(head, &value);
	first = list_change(head, NULL, e);
	if (first) {
		head_change(spd, head, first);
		tie_count(spd, first);
		group_store(spd, first, was);
	} else {
		if (was)
			mirror_store_del(&spd->store, MAP_SPD, &key);
		stored_set(spd, e, true); /* neither missing nor … */
		spd->stored--;		  /* … stored */
		spd->ties -= e->tie;
		mhash_del(&spd->by_key, &e->by_key);
		spd_heap_del(mask, e);
		spd_mask_put(m, mask);
	}
	spd_masks_write(m, &spd->store);
}

void spd_group_reorder(struct spd *spd, struct spd_entry *e, __u32 order)
{
	const struct spd_value *was;
	struct spd_entry *head, *first;
	struct spd_value value;
	struct spd_key key;

	if (e->pol.order == order)
		return;
	spd_group_key(spd, e, &key);
	head = group_find(spd, &key, mhash_mix(0, &key, sizeof(key)));
	was = value_was(head, &value);
	e->pol.order = order;
	first = list_change(head, NULL, NULL);
	head_change(spd, head, first);
	tie_count(spd, first);
	group_store(spd, first, was);
}

/* Tries to store what a mask's groups lack. False when the map refused, or *max are stored. */
static bool mask_fill(struct spd *spd, struct spd_mask_use *u, size_t *max)
{
	for (__u32 i = 0; i < u->count && u->unstored; i++) {
		if (u->heap[i]->stored)
			continue;
		if (!(*max)--)
			return false;
		group_store(spd, u->heap[i], NULL);
		if (!u->heap[i]->stored)
			return false;
	}
	return true;
}

/* Entries first, then the list, as in spd_group_insert(). */
void spd_group_refill(struct spd *spd, size_t max)
{
	bool go = spd->store.missing != 0;

	for (int c = 0; go && c < CLASS_COUNT * 2; c++) {
		struct spd_masks_of *m = &spd->masks[c / 2][c % 2];

		for (struct spd_mask_use *u = m->first; go && u; u = u->next) {
			if (!u->listed && m->listed < SPD_MASKS_MAX) {
				u->listed = m->changed = true;
				m->listed++;
			}
			if (u->listed && u->unstored)
				go = mask_fill(spd, u, &max);
		}
		spd_masks_write(m, &spd->store);
	}
	mirror_store_settle(&spd->store);
}

bool spd_image(const struct spd *spd, const struct spd_key *key, struct spd_value *value)
{
	const struct spd_entry *head = group_find(spd, key, mhash_mix(0, key, sizeof(*key)));

	if (!head || !head->stored)
		return false;
	head_value(head, value);
	return true;
}

__u32 spd_each_image(const struct spd *spd, __u32 bucket,
		     void (*each)(void *ctx, const void *key, const void *value), void *ctx)
{
	if (!spd->by_key.bucket || bucket > spd->by_key.mask)
		return 0;
	for (struct mhash_node *n = spd->by_key.bucket[bucket]; n; n = n->next) {
		const struct spd_entry *e = mhash_entry(n, struct spd_entry, by_key);
		struct spd_value value;
		struct spd_key key;

		if (!e->stored)
			continue;
		spd_group_key(spd, e, &key);
		head_value(e, &value);
		each(ctx, &key, &value);
	}
	return bucket < spd->by_key.mask ? bucket + 1 : 0;
}

void spd_masks_image(const struct spd *spd, enum spd_class class, __u8 family,
		     struct spd_masks_key *key, struct spd_masks *list)
{
	const struct spd_masks_of *m = &spd->masks[class][family == AF_INET6];

	*key = m->key;
	spd_masks_make(m, list);
}
