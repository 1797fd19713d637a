// SPDX-License-Identifier: GPL-2.0-only
/* Spaces in the maps: slots, the sink that the mirror's tables write to, and the first commit. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "boot_time.h"
#include "bpf_internal.h"
#include "log.h"

const size_t bpf_map_key_size[MAP_COUNT] = {
	[MAP_SPD_MASKS] = sizeof(struct spd_masks_key),
	[MAP_SPD] = sizeof(struct spd_key),
	[MAP_SAD] = sizeof(struct sad_key),
	[MAP_ROUTE_PLENS] = sizeof(struct route_plens_key),
	[MAP_ROUTES] = sizeof(struct route_key),
	[MAP_BACKOFF] = sizeof(struct neg_key),
};

const size_t bpf_map_value_size[MAP_COUNT] = {
	[MAP_SPD_MASKS] = sizeof(struct spd_masks), [MAP_SPD] = sizeof(struct spd_value),
	[MAP_SAD] = sizeof(struct sad_value),	    [MAP_ROUTE_PLENS] = sizeof(struct route_plens),
	[MAP_ROUTES] = sizeof(struct route_value),  [MAP_BACKOFF] = sizeof(__u64),
};

enum { KEY_MAX = sizeof(struct spd_key) };
_Static_assert(sizeof(struct spd_key) >= sizeof(struct neg_key), "the longest key");

static void raise_epoch(struct bpf *b, __u32 space)
{
	space_changed(&b->state[space]);
}

static int sink_put(void *ctx, __u32 space, enum map_id map, const void *key, const void *value)
{
	struct bpf *b = ctx;
	int r;

	if (bpf_batch_takes(b, space, map))
		return bpf_batch_put(b, space, map, key, value);
	if (b->shadow[space])
		return shadow_put(b->shadow[space], map, key, bpf_map_key_size[map], value,
				  bpf_map_value_size[map]);
	raise_epoch(b, space);
	r = bpf_map_update_elem(b->map[map], key, value, BPF_ANY) ? -errno : 0;
	raise_epoch(b, space);
	if (!r)
		bpf_late_drop(b, space, map, key);
	return r;
}

static int sink_del(void *ctx, __u32 space, enum map_id map, const void *key)
{
	struct bpf *b = ctx;
	int r;

	if (bpf_batch_takes(b, space, map))
		return bpf_batch_del(b, space, map, key);
	if (b->shadow[space])
		return shadow_del(b->shadow[space], map, key, bpf_map_key_size[map]);
	raise_epoch(b, space);
	r = bpf_map_delete_elem(b->map[map], key) ? -errno : 0;
	raise_epoch(b, space);
	bpf_late_drop(b, space, map, key);
	return r;
}

static int sink_left(void *ctx, __u32 space, enum map_id map, const void *key, void *value)
{
	struct bpf *b = ctx;

	if (!b->shadow[space] || b->unread[space])
		return -ENOENT;
	return bpf_map_lookup_elem(b->map[map], key, value) ? -errno : 0;
}

static struct space_state *sink_state(void *ctx, __u32 space)
{
	struct bpf *b = ctx;

	return b->shadow[space] ? shadow_state(b->shadow[space]) : &b->state[space];
}

void bpf_sink(struct bpf *b, struct map_sink *sink)
{
	sink->ctx = b;
	sink->put = sink_put;
	sink->del = sink_del;
	sink->state = sink_state;
	sink->left = sink_left;
}

static int source_get(void *ctx, enum map_id map, const void *key, void *value)
{
	const struct bpf *b = ctx;

	return bpf_map_lookup_elem(b->map[map], key, value) ? -errno : 0;
}

static int source_read(void *ctx, enum map_id map, struct map_cursor *cursor, void *keys,
		       void *values, __u32 *count)
{
	const struct bpf *b = ctx;
	__u32 next;

	if (!bpf_map_lookup_batch(b->map[map], cursor->going ? &cursor->at : NULL, &next, keys,
				  values, count, NULL)) {
		cursor->at = next;
		cursor->going = true;
		return 1;
	}
	/* -ENOENT comes with the last part */
	return errno == ENOENT ? 0 : -errno;
}

void bpf_source(struct bpf *b, struct map_source *source)
{
	*source = (struct map_source){.ctx = b, .get = source_get, .read = source_read};
}

/* Removes this space's entries of one map that the shadow lacks (all of them without a shadow). */
static int sweep(struct bpf *b, __u32 space, enum map_id map, const struct shadow *keep)
{
	unsigned char key[KEY_MAX], next[KEY_MAX];
	size_t size = bpf_map_key_size[map];
	int more, removed = 0;

	more = !bpf_map_get_next_key(b->map[map], NULL, next);
	while (more) {
		memcpy(key, next, size);
		more = !bpf_map_get_next_key(b->map[map], key, next);
		/* every key starts with the space */
		if (memcmp(key, &space, sizeof(space)))
			continue;
		if (keep && shadow_has(keep, map, key))
			continue;
		raise_epoch(b, space);
		if (!bpf_map_delete_elem(b->map[map], key))
			removed++;
	}
	return removed;
}

static void sweep_all(struct bpf *b, __u32 space)
{
	for (int map = 0; map < MAP_COUNT; map++)
		sweep(b, space, map, NULL);
}

int bpf_space_open(struct bpf *b, __u64 netns, __u32 *slot)
{
	__u32 at;

	if (bpf_map_lookup_elem(b->spaces, &netns, &at) || at >= SPACES_MAX) {
		for (at = 0; at < SPACES_MAX; at++)
			if (!b->state[at].netns && !b->open[at])
				break;
		if (at == SPACES_MAX)
			return -ENOSPC;
	}
	if (b->open[at])
		return -EBUSY;
	b->shadow[at] = shadow_new();
	if (!b->shadow[at])
		return -ENOMEM;
	shadow_limit(b->shadow[at], MAP_SPD, b->sizes.policies);
	shadow_limit(b->shadow[at], MAP_SAD, b->sizes.sas);
	shadow_limit(b->shadow[at], MAP_ROUTES, b->sizes.routes);
	b->open[at] = true;
	if (!b->state[at].netns) {
		/* a daemon that died before its first image was whole may have left some */
		sweep_all(b, at);
		bpf_batch_begin(b, at);
	}
	*slot = at;
	return 0;
}

static const enum map_id commit_order[] = {MAP_SAD,	    MAP_SPD,	   MAP_ROUTES,
					   MAP_ROUTE_PLENS, MAP_SPD_MASKS, MAP_BACKOFF};

/*
 * What does not fit makes the space full (unknown means refuse); the rest still goes in. Many at a
 * time only when no program can be reading: a decision must not see memory that is used again while
 * the epoch stands still (decide()).
 */
static int commit_map(struct bpf *b, __u32 space, enum map_id map, bool unread,
		      const struct shadow *shadow)
{
	LIBBPF_OPTS(bpf_map_batch_opts, opts);
	void *keys, *values;
	__u32 count = shadow_entries(shadow, map, &keys, &values), done = 0;
	int err = 0;

	if (unread && count) {
		done = count;
		if (!bpf_map_update_batch(b->map[map], keys, values, &done, &opts))
			return 0;
		done = 0; /* one by one, to see which of them fit */
	}
	for (; done < count; done++) {
		const char *key = (char *)keys + done * bpf_map_key_size[map];
		const char *value = (char *)values + done * bpf_map_value_size[map];

		raise_epoch(b, space);
		if (!bpf_map_update_elem(b->map[map], key, value, BPF_ANY))
			continue;
		err = -errno;
		bpf_late_add(b, space, map, key, value);
	}
	return err;
}

static int commit_all(struct bpf *b, __u32 space, bool unread, const struct shadow *shadow)
{
	int err = 0, failed;

	for (size_t i = 0; i < MAP_COUNT; i++) {
		failed = commit_map(b, space, commit_order[i], unread, shadow);
		err = failed ?: err;
	}
	return err;
}

__u32 bpf_space_unfit(const struct bpf *b, __u32 space)
{
	return b->unfit[space];
}

/*
 * Entries first, then the lists that lead to them, then the flags and counts, and only then what is
 * left over from an earlier daemon goes: at every moment the maps hold the old image or the new.
 * Both may be more than a map holds: the space is full until the old one went.
 */
int bpf_space_commit(struct bpf *b, __u32 space, __u64 netns)
{
	struct shadow *shadow = b->shadow[space];
	struct space_state *state = &b->state[space], *from;
	const bool unread = b->unread[space];
	int removed = 0, err = 0;

	if (!shadow)
		return 0;
	from = shadow_state(shadow);
	if (unread)
		err = bpf_batch_end(b, space);
	err = commit_all(b, space, unread, shadow) ?: err;
	raise_epoch(b, space);
	memcpy(state->masks, from->masks, sizeof(state->masks));
	memcpy(state->plens, from->plens, sizeof(state->plens));
	state->default_block = from->default_block;
	memcpy(state->fwmark, from->fwmark, sizeof(state->fwmark));
	state->fwmarks = from->fwmarks;
	state->vrfs = from->vrfs;
	state->full = from->full;
	if (err)
		state->full |= FULL_COMMIT;
	state->netns = netns;
	state->heartbeat = boot_ns();
	for (size_t i = 0; i < MAP_COUNT && !unread; i++)
		removed += sweep(b, space, commit_order[i], shadow);
	if (err) {
		bpf_space_retry(b, space, SIZE_MAX);
		err = b->unfit[space] ? err : 0;
	}
	raise_epoch(b, space);
	state->synced = from->synced;
	raise_epoch(b, space);
	b->shadow[space] = NULL;
	shadow_free(shadow);
	if (removed)
		log_debug("space %u: %d entries of an earlier daemon removed", space, removed);
	if (bpf_map_update_elem(b->spaces, &netns, &space, BPF_ANY))
		return -errno;
	return err;
}

void bpf_space_abandon(struct bpf *b, __u32 space)
{
	if (b->unread[space]) {
		bpf_batch_end(b, space);
		sweep_all(b, space);
	}
	shadow_free(b->shadow[space]);
	b->shadow[space] = NULL;
	bpf_late_free(b, space);
	b->open[space] = false;
}

void bpf_space_distrust(struct bpf *b, __u32 space)
{
	raise_epoch(b, space);
	__atomic_store_n(&b->state[space].synced, SYNCED_NEVER, __ATOMIC_SEQ_CST);
	raise_epoch(b, space);
}

/*
 * The name goes first, then what makes it a space, then its entries. A decision that began before
 * must not find a space that is trusted and has no policies: what makes it trusted goes, and the
 * epoch is raised again, before the rest.
 */
void bpf_space_close(struct bpf *b, __u32 space)
{
	struct space_state *state = &b->state[space];
	__u64 netns = state->netns;

	bpf_space_abandon(b, space);
	bpf_map_delete_elem(b->spaces, &netns);
	bpf_space_distrust(b, space);
	__atomic_store_n(&state->netns, 0, __ATOMIC_SEQ_CST);
	state->heartbeat = 0;
	state->default_block = state->full = state->fwmarks = state->vrfs = state->queue = 0;
	memset(state->fwmark, 0, sizeof(state->fwmark));
	memset(state->masks, 0, sizeof(state->masks));
	memset(state->plens, 0, sizeof(state->plens));
	sweep_all(b, space);
}

__u8 bpf_space_queue(const struct bpf *b, __u32 space)
{
	return __atomic_load_n(&b->state[space].queue, __ATOMIC_ACQUIRE);
}

void bpf_space_set_queue(struct bpf *b, __u32 space, __u8 queue)
{
	__atomic_store_n(&b->state[space].queue, queue, __ATOMIC_RELEASE);
}

int bpf_space_prune(struct bpf *b)
{
	int closed = 0;

	for (__u32 i = 0; i < SPACES_MAX; i++)
		if (b->state[i].netns && !b->open[i]) {
			bpf_space_close(b, i);
			closed++;
		}
	return closed;
}

/* In suspend CLOCK_MONOTONIC stands still: what recent.bpf.h remembers by it is no longer so. */
static bool was_suspended(struct bpf *b, __u64 now)
{
	struct timespec ts;
	__s64 asleep;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	asleep = (__s64)now - ((__s64)ts.tv_sec * 1000000000LL + ts.tv_nsec);
	/* the two are read one after the other: the first is never ahead by more than it slept */
	if (asleep <= b->asleep + 100000000LL)
		return false;
	b->asleep = asleep;
	return true;
}

void bpf_heartbeat(struct bpf *b)
{
	__u64 now = boot_ns();
	bool suspended = was_suspended(b, now);

	for (int i = 0; i < SPACES_MAX; i++)
		if (b->state[i].netns && !b->shadow[i]) {
			__atomic_store_n(&b->state[i].heartbeat, now, __ATOMIC_RELEASE);
			if (suspended)
				raise_epoch(b, i);
		}
}

int bpf_spd_each(const struct bpf *b,
		 int (*each)(void *ctx, const struct spd_key *, const struct spd_value *),
		 void *ctx)
{
	struct spd_key key, next;
	struct spd_value value;
	void *at = NULL;
	int err = 0;

	while (!err && !bpf_map_get_next_key(b->map[MAP_SPD], at, &next)) {
		key = next;
		at = &key;
		if (!bpf_map_lookup_elem(b->map[MAP_SPD], &key, &value))
			err = each(ctx, &key, &value);
	}
	return err;
}
