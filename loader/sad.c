// SPDX-License-Identifier: GPL-2.0-only
#include <netinet/in.h>
#include <stdint.h>

#include "sad_group.h"
#include "sad_life.h"
#include "sad_slots.h"

bool sad_usable(const struct sa_info *sa)
{
	const int max = sa->sel.family == AF_INET ? 32 : 128;

	return sa->spi && !(sa->flags & XFRM_STATE_WILDRECV) && sa->pcpu == SAGATE_PCPU_ANY &&
	       !sa->exhausted &&
	       /* Kernels before 6.12 let them in with a selector that has no family. */
	       (!sa->sel.family || (sa->sel.src_len <= max && sa->sel.dst_len <= max));
}

/* Without the mark: UPDSA finds an SA by a mark that the SA only has to let in. */
static __u32 id_hash(const struct sa_info *sa)
{
	__u32 h = mhash_mix((__u32)sa->proto << 8 | sa->family, sa->daddr, sizeof(sa->daddr));

	return mhash_mix(h, &sa->spi, sizeof(sa->spi));
}

static bool id_equal(const struct sa_info *a, const struct sa_info *b)
{
	return a->spi == b->spi && a->proto == b->proto && a->family == b->family &&
	       !memcmp(a->daddr, b->daddr, sizeof(a->daddr));
}

static struct sad_entry *entry_find(const struct sad *sad, const struct sa_info *id)
{
	struct mhash_node *n = mhash_first(&sad->by_id, id_hash(id));

	for (; n; n = mhash_next(n)) {
		struct sad_entry *e = mhash_entry(n, struct sad_entry, by_id);

		if (id_equal(&e->sa, id) && e->sa.mark == id->mark &&
		    e->sa.mark_mask == id->mark_mask)
			return e;
	}
	return NULL;
}

/* Room in the hash was made before. */
static void entry_add(struct sad *sad, struct sad_entry *e)
{
	mhash_add(&sad->by_id, &e->by_id, id_hash(&e->sa));
	e->generation = sad->generation;
	sad->fresh++;
}

/* It was put, or taken away, since the mark. */
static void entry_refresh(struct sad *sad, struct sad_entry *e)
{
	sad->fresh += e->generation != sad->generation;
	e->generation = sad->generation;
}

static void entry_drop(struct sad *sad, struct sad_entry *e)
{
	sad->gone -= e->gone;
	sad->fresh -= e->generation == sad->generation;
	mhash_del(&sad->by_id, &e->by_id);
	free(e);
}

/* Takes an SA out. While a dump runs that may yet list it, it is remembered as gone. */
static void entry_unlink(struct sad *sad, struct sad_entry *e, bool remember)
{
	if (e->in_group)
		sad_slots_remove(sad, e);
	if (!remember) {
		entry_drop(sad, e);
		return;
	}
	e->gone = 1;
	e->slot = SAD_SLOT_NONE;
	entry_refresh(sad, e);
	sad->gone++;
}

static bool sa_equal(const struct sa_info *a, const struct sa_info *b)
{
	return !memcmp(a, b, offsetof(struct sa_info, life)) &&
	       a->life.soft_add == b->life.soft_add && a->life.soft_use == b->life.soft_use &&
	       a->life.soft_bytes == b->life.soft_bytes &&
	       a->life.hard_bytes == b->life.hard_bytes &&
	       a->life.soft_packets == b->life.soft_packets &&
	       a->life.hard_packets == b->life.hard_packets &&
	       sad_life_starts_equal(&a->life, &b->life);
}

static bool same_group(const struct sad *sad, const struct sad_entry *e, const struct sa_info *sa)
{
	struct sad_key a, b;

	sad_group_key(sad, &e->sa, &a);
	sad_group_key(sad, sa, &b);
	return e->in_group && sad_usable(sa) && !memcmp(&a, &b, sizeof(a));
}

/* `found` is the entry of its identity, or NULL. */
static int put_found(struct sad *sad, const struct sa_info *sa, struct sad_entry *found)
{
	struct sad_entry *e, *old = found && !found->gone ? found : NULL;

	if (old)
		old->unsure = 0;
	if (old && sa_equal(&old->sa, sa)) {
		entry_refresh(sad, old);
		sad_slots_again(sad, old, sa);
		return 0;
	}
	if (old && same_group(sad, old, sa)) {
		entry_refresh(sad, old);
		sad_slots_change(sad, old, sa);
		return 1;
	}
	e = calloc(1, sizeof(*e));
	if (!e || mhash_reserve(&sad->by_id, 1) || mhash_reserve(&sad->by_key, 1)) {
		free(e);
		return -ENOMEM;
	}
	e->sa = *sa;
	e->slot = SAD_SLOT_NONE;
	e->deadline = old && sad_life_starts_equal(&old->sa.life, &sa->life)
			      ? old->deadline
			      : sad_life_deadline(&sa->life, sad->clock);
	if (sad_usable(sa))
		sad_slots_insert(sad, e);
	entry_add(sad, e);
	if (old) {
		entry_unlink(sad, old, false);
		sad_slots_refill(sad, SIZE_MAX);
	} else if (found) {
		entry_drop(sad, found);
	}
	return 1;
}

int sad_put(struct sad *sad, const struct sa_info *sa)
{
	return put_found(sad, sa, entry_find(sad, sa));
}

/* What xfrm_state_update() takes from a request for an SA that stands. */
static void merge_update(struct sa_info *sa, const struct sa_info *request)
{
	sa->life.soft_add = request->life.soft_add;
	sa->life.hard_add = request->life.hard_add;
	sa->life.soft_use = request->life.soft_use;
	sa->life.hard_use = request->life.hard_use;
	sa->life.soft_bytes = request->life.soft_bytes;
	sa->life.hard_bytes = request->life.hard_bytes;
	sa->life.soft_packets = request->life.soft_packets;
	sa->life.hard_packets = request->life.hard_packets;
	if (request->if_id)
		sa->if_id = request->if_id;
}

static bool is_unsure(const struct sad *sad, const struct sad_entry *e)
{
	return sad->dumping && e->unsure && !e->gone && e->generation == sad->generation;
}

int sad_put_dumped(struct sad *sad, const struct sa_info *sa)
{
	struct sad_entry *e = entry_find(sad, sa);
	struct sa_info merged, request;

	if (e && is_unsure(sad, e) && !sad->flushed[sa->proto]) {
		sad->unsure--;
		merged = *sa;
		request = e->sa;
		if (e->unsure != SAD_UNSURE_IF_ID)
			request.if_id = 0;
		merge_update(&merged, &request);
		return put_found(sad, &merged, e);
	}
	if (sad->flushed[sa->proto] || (e && e->generation == sad->generation))
		return 0;
	return put_found(sad, sa, e);
}

/*
 * What of an SA is left open by a request for it (enum sad_unsure). Before the dump that runs has
 * listed it, what stands may be from before a gap: another SA of the same identity may have taken
 * its place.
 */
static __u8 unsure_after(struct sad *sad, const struct sad_entry *found, const struct sa_info *sa)
{
	__u8 was = found && is_unsure(sad, found) ? found->unsure : SAD_SURE;

	if (!sad->dumping || (found && !was && found->generation == sad->generation))
		return SAD_SURE;
	sad->unsure += !was;
	return sa->if_id ? SAD_UNSURE_IF_ID : was ? was : SAD_UNSURE;
}

int sad_update(struct sad *sad, const struct sa_info *sa)
{
	struct mhash_node *n = mhash_first(&sad->by_id, id_hash(sa));
	const __u32 mark = sa->mark & sa->mark_mask;
	const struct sad_entry *e, *found = NULL;
	struct sa_info merged;
	__u8 unsure;
	int r;

	/* __xfrm_state_lookup: the first whose mark lets the request's in. */
	for (; n; n = mhash_next(n)) {
		e = mhash_entry(n, struct sad_entry, by_id);
		if (e->gone || !id_equal(&e->sa, sa) || (mark & e->sa.mark_mask) != e->sa.mark)
			continue;
		if (found)
			return -EAGAIN;
		found = e;
	}
	unsure = unsure_after(sad, found, sa);
	merged = found ? found->sa : *sa;
	merge_update(&merged, sa);
	r = sad_put(sad, &merged);
	if (r >= 0 && unsure)
		entry_find(sad, &merged)->unsure = unsure;
	return r;
}

/* A dump that runs may list an SA that is gone before we ever saw it. */
static int remember_gone(struct sad *sad, const struct sa_info *sa)
{
	struct sad_entry *e = calloc(1, sizeof(*e));

	if (!e || mhash_reserve(&sad->by_id, 1)) {
		free(e);
		return -ENOMEM;
	}
	e->sa = *sa;
	e->slot = SAD_SLOT_NONE;
	e->gone = 1;
	entry_add(sad, e);
	sad->gone++;
	return 0;
}

int sad_del(struct sad *sad, const struct sa_info *sa)
{
	struct sad_entry *e = entry_find(sad, sa);

	if (!e && sad->dumping)
		return remember_gone(sad, sa);
	if (!e || e->gone)
		return 0;
	entry_unlink(sad, e, sad->dumping);
	sad_slots_refill(sad, SIZE_MAX);
	return 1;
}

int sad_expire(struct sad *sad, const struct sa_info *sa)
{
	const struct sad_entry *e = entry_find(sad, sa);
	const bool another = e && !e->gone && e->sa.life.add_time != sa->life.add_time;
	const int r = sad_del(sad, sa);

	return another && r >= 0 ? -EAGAIN : r;
}

struct removal {
	bool only_old;
	__u8 proto;
};

static bool removal_takes(const struct sad *sad, const struct removal *r, const struct sad_entry *e)
{
	if (r->only_old)
		return e->generation != sad->generation;
	return xfrm_flush_takes(r->proto, e->sa.proto);
}

/* First those without a slot, so that none of them is moved into one only to be removed next. */
static size_t remove_all(struct sad *sad, const struct removal *r)
{
	size_t n = 0;

	if (r->only_old && sad->fresh == sad->by_id.count)
		return 0;
	for (int stored = 0; stored < 2; stored++) {
		mhash_foreach(&sad->by_id, i, node, tmp)
		{
			struct sad_entry *e = mhash_entry(node, struct sad_entry, by_id);

			if (e->gone || !removal_takes(sad, r, e) ||
			    (!stored && e->slot != SAD_SLOT_NONE))
				continue;
			entry_unlink(sad, e, false);
			n++;
		}
	}
	if (n)
		sad_slots_refill(sad, SIZE_MAX);
	return n;
}

size_t sad_flush(struct sad *sad, __u8 proto)
{
	for (int p = 0; sad->dumping && p < 256; p++)
		sad->flushed[p] |= xfrm_flush_takes(proto, (__u8)p);
	return remove_all(sad, &(struct removal){.proto = proto});
}

static void forget_gone(struct sad *sad)
{
	sad->dumping = false;
	memset(sad->flushed, 0, sizeof(sad->flushed));
	if (!sad->gone)
		return;
	mhash_foreach(&sad->by_id, i, node, tmp)
	{
		struct sad_entry *e = mhash_entry(node, struct sad_entry, by_id);

		if (e->gone)
			entry_drop(sad, e);
	}
}

void sad_mark(struct sad *sad)
{
	forget_gone(sad);
	sad->generation++;
	sad->fresh = 0;
	sad->dumping = true;
	sad->unsure = 0;
}

bool sad_unsure(const struct sad *sad)
{
	return sad->unsure;
}

size_t sad_sweep(struct sad *sad)
{
	forget_gone(sad);
	return remove_all(sad, &(struct removal){.only_old = true});
}

size_t sad_retry(struct sad *sad, size_t max)
{
	const size_t before = sad->stored;

	sad_slots_refill(sad, max);
	return sad->stored - before;
}

void sad_each_unlisted(const struct sad *sad, void (*each)(void *ctx, const struct sa_info *),
		       void *ctx)
{
	mhash_foreach(&sad->by_id, i, node, tmp)
	{
		const struct sad_entry *e = mhash_entry(node, struct sad_entry, by_id);

		if (!e->gone && e->generation != sad->generation)
			each(ctx, &e->sa);
	}
}

const struct sa_info *sad_find(const struct sad *sad, const struct sa_info *identity)
{
	const struct sad_entry *e = entry_find(sad, identity);

	return e && !e->gone ? &e->sa : NULL;
}

__s64 sad_expires_in(const struct sad *sad, const struct sa_info *sa)
{
	const struct sad_entry *e = mhash_entry(sa, struct sad_entry, sa);

	return sad_life_left(e->deadline, sad->clock);
}

bool sad_expired(const struct sad *sad, const struct sa_info *sa)
{
	return sad_life_over(mhash_entry(sa, struct sad_entry, sa)->deadline, sad->clock);
}

bool sad_stored(const struct sa_info *sa)
{
	return mhash_entry(sa, struct sad_entry, sa)->slot != SAD_SLOT_NONE;
}

int sad_each(const struct sad *sad, int (*each)(void *ctx, const struct sa_info *), void *ctx)
{
	mhash_foreach(&sad->by_id, i, node, tmp)
	{
		const struct sad_entry *e = mhash_entry(node, struct sad_entry, by_id);
		int r = e->gone ? 0 : each(ctx, &e->sa);

		if (r)
			return r;
	}
	return 0;
}

int sad_each_of(const struct sad *sad, const struct sad_key *key,
		int (*each)(void *ctx, const struct sa_info *), void *ctx)
{
	struct sad_key k = *key;
	int r = 0;

	k.space = sad->store.space;
	k.slot = 0;
	for (struct sad_entry *e = sad_group_find(sad, &k); e && !r; e = e->next)
		r = each(ctx, &e->sa);
	return r;
}

void sad_count(const struct sad *sad, struct sad_counts *counts)
{
	counts->sas = sad->by_id.count - sad->gone;
	counts->stored = sad->stored;
	counts->missing = sad->store.missing;
}

void sad_set_clock(struct sad *sad, void (*clock)(struct sad_now *now))
{
	sad->clock = clock;
}

struct sad *sad_new(__u32 space, const struct map_sink *sink)
{
	struct sad *sad = calloc(1, sizeof(*sad));

	if (!sad)
		return NULL;
	sad->store = (struct mirror_store){.sink = sink, .space = space, .full_bit = FULL_SAD};
	sad->clock = sad_life_now;
	return sad;
}

void sad_free(struct sad *sad)
{
	if (!sad)
		return;
	mhash_foreach(&sad->by_id, i, node, tmp) free(mhash_entry(node, struct sad_entry, by_id));
	mhash_free(&sad->by_id);
	mhash_free(&sad->by_key);
	mirror_store_done(&sad->store);
	free(sad);
}
