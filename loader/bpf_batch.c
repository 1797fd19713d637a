// SPDX-License-Identifier: GPL-2.0-only
/*
 * Policies and SAs of spaces that no flow is of yet, on their way into the maps: many in one system
 * call, which halves what each costs, and without a copy of all of them in memory.
 */
#include <errno.h>
#include <string.h>

#include <bpf/bpf.h>

#include "bpf_internal.h"

static struct bpf_batch *batch_of(struct bpf *b, enum map_id map)
{
	return map == MAP_SPD ? &b->spd_batch : &b->sad_batch;
}

/* So many fit if the map has nothing of other spaces. */
static __u32 limit_of(const struct bpf *b, enum map_id map)
{
	return map == MAP_SPD ? b->sizes.policies : b->sizes.sas;
}

static void flush(struct bpf *b, enum map_id map)
{
	LIBBPF_OPTS(bpf_map_batch_opts, opts);
	struct bpf_batch *q = batch_of(b, map);
	__u32 count = q->count, done = count, space;

	q->count = 0;
	if (!count || !bpf_map_update_batch(b->map[map], q->keys, q->values, &done, &opts))
		return;
	/* one by one, to see which of them fit */
	for (__u32 i = 0; i < count; i++) {
		const unsigned char *key = q->keys + i * bpf_map_key_size[map];

		if (!bpf_map_update_elem(b->map[map], key, q->values + i * bpf_map_value_size[map],
					 BPF_ANY))
			continue;
		/* every key starts with the space */
		memcpy(&space, key, sizeof(space));
		b->unread_error[space] = -errno;
		bpf_late_add(b, space, map, key, q->values + i * bpf_map_value_size[map]);
	}
}

bool bpf_batch_takes(const struct bpf *b, __u32 space, enum map_id map)
{
	return b->unread[space] && (map == MAP_SPD || map == MAP_SAD);
}

int bpf_batch_put(struct bpf *b, __u32 space, enum map_id map, const void *key, const void *value)
{
	struct bpf_batch *q = batch_of(b, map);

	if (q->puts[space] >= limit_of(b, map)) {
		/* it may be one too many: the table has to know */
		flush(b, map);
		if (bpf_map_update_elem(b->map[map], key, value, BPF_ANY))
			return -errno;
		bpf_late_drop(b, space, map, key);
		return 0;
	}
	q->puts[space]++;
	bpf_late_drop(b, space, map, key);
	memcpy(q->keys + q->count * bpf_map_key_size[map], key, bpf_map_key_size[map]);
	memcpy(q->values + q->count * bpf_map_value_size[map], value, bpf_map_value_size[map]);
	if (++q->count == BATCH_MAX)
		flush(b, map);
	return 0;
}

int bpf_batch_del(struct bpf *b, __u32 space, enum map_id map, const void *key)
{
	flush(b, map);
	bpf_late_drop(b, space, map, key);
	return bpf_map_delete_elem(b->map[map], key) ? -errno : 0;
}

void bpf_batch_begin(struct bpf *b, __u32 space)
{
	b->unread[space] = true;
	b->unread_error[space] = 0;
	b->spd_batch.puts[space] = b->sad_batch.puts[space] = 0;
}

int bpf_batch_end(struct bpf *b, __u32 space)
{
	flush(b, MAP_SPD);
	flush(b, MAP_SAD);
	b->unread[space] = false;
	return b->unread_error[space];
}
