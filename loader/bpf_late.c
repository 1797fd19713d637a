// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the maps had no room for when a space was committed. The tables take it for stored: it is
 * kept here, changed and dropped as they say, until other spaces give room back.
 */
#include <errno.h>
#include <string.h>

#include <bpf/bpf.h>

#include "bpf_internal.h"

void bpf_late_add(struct bpf *b, __u32 space, enum map_id map, const void *key, const void *value)
{
	b->unfit[space] |= 1U << map;
	if (!b->late[space])
		b->late[space] = shadow_new();
	if (!b->late[space] || shadow_put(b->late[space], map, key, bpf_map_key_size[map], value,
					  bpf_map_value_size[map]))
		b->late_lost[space] = true;
}

void bpf_late_drop(struct bpf *b, __u32 space, enum map_id map, const void *key)
{
	if (b->late[space])
		shadow_del(b->late[space], map, key, bpf_map_key_size[map]);
}

void bpf_late_free(struct bpf *b, __u32 space)
{
	shadow_free(b->late[space]);
	b->late[space] = NULL;
	b->late_lost[space] = false;
	b->unfit[space] = 0;
}

/* From the end, where an entry goes without moving another. */
static size_t retry_map(struct bpf *b, __u32 space, enum map_id map, size_t max)
{
	struct shadow *late = b->late[space];
	void *keys, *values;
	size_t n = 0;
	__u32 count;

	while ((count = shadow_entries(late, map, &keys, &values)) && n < max) {
		const char *key = (char *)keys + (count - 1) * bpf_map_key_size[map];
		const char *value = (char *)values + (count - 1) * bpf_map_value_size[map];
		int err;

		space_changed(&b->state[space]);
		err = bpf_map_update_elem(b->map[map], key, value, BPF_ANY);
		space_changed(&b->state[space]);
		if (err)
			break;
		shadow_del(late, map, key, bpf_map_key_size[map]);
		n++;
	}
	if (!shadow_entries(late, map, &keys, &values))
		b->unfit[space] &= ~(1U << map);
	return n;
}

/* Whatever comes first: as long as FULL_COMMIT is set, nothing of it is trusted. */
size_t bpf_space_retry(struct bpf *b, __u32 space, size_t max)
{
	size_t n = 0;

	if (!b->late[space] || b->late_lost[space])
		return 0;
	for (int map = 0; map < MAP_COUNT && n < max; map++)
		n += retry_map(b, space, map, max - n);
	if (b->unfit[space])
		return n;
	bpf_late_free(b, space);
	space_changed(&b->state[space]);
	b->state[space].full &= (__u8)~FULL_COMMIT;
	space_changed(&b->state[space]);
	return n;
}

size_t bpf_space_late(const struct bpf *b, __u32 space, enum map_id map)
{
	void *keys, *values;

	return b->late[space] ? shadow_entries(b->late[space], map, &keys, &values) : 0;
}
