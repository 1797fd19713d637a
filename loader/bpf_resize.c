// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf_resize.h"
#include "cleanup.h"
#include "log.h"

enum { PATH_SIZE = 320, KEY_MAX = 128, VALUE_MAX = 256 };

static const struct {
	const char *map, *option;
	size_t size; /* which of struct bpf_sizes */
} resized[BPF_RESIZED] = {
	{"spd", "policies-max", offsetof(struct bpf_sizes, policies)},
	{"sad", "sas-max", offsetof(struct bpf_sizes, sas)},
	{"routes", "routes-max", offsetof(struct bpf_sizes, routes)},
};
_Static_assert(sizeof(struct spd_key) <= KEY_MAX && sizeof(struct spd_value) <= VALUE_MAX, "spd");
_Static_assert(sizeof(struct sad_key) <= KEY_MAX && sizeof(struct sad_value) <= VALUE_MAX, "sad");

static __u32 *size_of(struct bpf_sizes *s, int i)
{
	return (__u32 *)((char *)s + resized[i].size);
}

/* Whether the map has more than `max` entries. */
static bool holds_more(int fd, __u32 max)
{
	unsigned char key[KEY_MAX], next[KEY_MAX];
	__u32 n = 0;

	for (void *at = NULL; !bpf_map_get_next_key(fd, at, next); at = key) {
		if (++n > max)
			return true;
		memcpy(key, next, sizeof(key));
	}
	return false;
}

/* What is pinned under the name of map i: *keep is the size it has when it stays. */
static int look(struct bpf_resize *r, int i, const char *pin, __u32 want, __u32 *keep,
		struct error *e)
{
	_cleanup_close_ int fd = -1;
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);
	char path[PATH_SIZE];

	*keep = want;
	snprintf(path, sizeof(path), "%s/map/%s", pin, resized[i].map);
	fd = bpf_obj_get(path);
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len))
		return error_set(e, -errno, "pin", "%s: %s", path, strerror(errno));
	/* another layout is for the load to refuse in words */
	if (info.max_entries == want || info.key_size > KEY_MAX || info.value_size > VALUE_MAX) {
		*keep = info.max_entries;
		return 0;
	}
	if (holds_more(fd, want)) {
		log_warning("%s=%u is less than what is in %s: its size stays %u; to change it, "
			    "raise it, or remove policies, SAs or routes and restart",
			    resized[i].option, want, path, info.max_entries);
		*keep = info.max_entries;
		return 0;
	}
	r->old[i] = TAKE_FD(fd);
	return 0;
}

int bpf_resize_plan(struct bpf_resize *r, struct bpf_object *obj, const char *pin,
		    const struct bpf_sizes *want, struct bpf_sizes *sizes, struct error *e)
{
	struct bpf_sizes in_force = {POLICIES_MAX, SAS_MAX, ROUTES_MAX};

	if (want)
		in_force = *want;
	for (int i = 0; i < BPF_RESIZED; i++) {
		struct bpf_map *map = bpf_object__find_map_by_name(obj, resized[i].map);
		__u32 *size = size_of(&in_force, i);
		int err = map ? look(r, i, pin, *size, size, e) : -ENOENT;

		if (!err)
			err = bpf_map__set_max_entries(map, *size);
		if (!err && r->old[i] >= 0)
			err = bpf_map__set_pin_path(map, NULL); /* or it would be taken for this */
		if (err)
			return error_set(e, err, "load", "map %s: %s", resized[i].map,
					 strerror(-err));
	}
	*sizes = in_force;
	return 0;
}

static int copy(int from, int to)
{
	unsigned char key[KEY_MAX], next[KEY_MAX], value[VALUE_MAX];

	for (void *at = NULL; !bpf_map_get_next_key(from, at, next); at = key) {
		if (bpf_map_lookup_elem(from, next, value) ||
		    bpf_map_update_elem(to, next, value, BPF_ANY))
			return -errno;
		memcpy(key, next, sizeof(key));
	}
	return 0;
}

/* The new map takes the name over; there is always one. */
static int take_name(int fd, const char *pin, const char *name)
{
	char path[PATH_SIZE], next[PATH_SIZE];

	snprintf(path, sizeof(path), "%s/map/%s", pin, name);
	snprintf(next, sizeof(next), "%s/map/%s_new", pin, name);
	unlink(next); /* of a daemon that died here */
	if (bpf_obj_pin(fd, next))
		return -errno;
	return rename(next, path) ? -errno : 0;
}

int bpf_resize_move(struct bpf_resize *r, struct bpf_object *obj, const char *pin, struct error *e)
{
	int err = 0;

	for (int i = 0; i < BPF_RESIZED && !err; i++) {
		const struct bpf_map *map = bpf_object__find_map_by_name(obj, resized[i].map);

		if (r->old[i] >= 0)
			err = copy(r->old[i], bpf_map__fd(map));
	}
	for (int i = 0; i < BPF_RESIZED && !err; i++) {
		const struct bpf_map *map = bpf_object__find_map_by_name(obj, resized[i].map);

		if (r->old[i] < 0)
			continue;
		err = take_name(bpf_map__fd(map), pin, resized[i].map);
		if (!err)
			log_info("%s: map %s now holds %u entries", resized[i].option,
				 resized[i].map, bpf_map__max_entries(map));
	}
	return err ? error_set(e, err, "pin", "the maps cannot take their new sizes: %s",
			       strerror(-err))
		   : 0;
}

void bpf_resize_done(struct bpf_resize *r)
{
	for (int i = 0; i < BPF_RESIZED; i++)
		cleanup_close(&r->old[i]);
}
