// SPDX-License-Identifier: GPL-2.0-only
/*
 * A load of the programs is pinned whole: in <pin>/load/NAME is every program, the maps that are
 * its own (bss, rodata) and, pinned last, `made`: the ids of all of them and of the maps they are
 * bound to. NAME is a hash of all that a load is made of.
 *
 * So a daemon that would load the same finds it done, and uses it if under each name there still is
 * what had that id (no id comes twice between two boots). In every other case it loads as the first
 * one did.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf_internal.h"
#include "cleanup.h"
#include "log.h"

enum { MAPS_MAX = 32, PATH_SIZE = 400 };

/* In the order of the object. */
struct made {
	__u32 program[PROGRAMS_MAX]; /* 0: not for this kernel */
	__u32 map[MAPS_MAX];
};

struct found {
	int program[PROGRAMS_MAX]; /* -1: none */
	int map[MAPS_MAX];
};

static void found_close(struct found *f)
{
	for (int i = 0; i < PROGRAMS_MAX; i++)
		cleanup_close(&f->program[i]);
	for (int i = 0; i < MAPS_MAX; i++)
		cleanup_close(&f->map[i]);
}

/* FNV-1a */
static __u64 mix(__u64 h, const void *data, size_t len)
{
	for (const unsigned char *p = data; len; len--)
		h = (h ^ *p++) * 0x100000001b3ULL;
	return h;
}

void bpf_load_name(struct bpf *b, struct bpf_object *obj, const void *elf, size_t len)
{
	const char *libbpf = libbpf_version_string();
	__u64 h = mix(0xcbf29ce484222325ULL, elf, len);
	struct bpf_program *prog;
	struct bpf_map *map;

	h = mix(h, libbpf, strlen(libbpf));
	bpf_object__for_each_program(prog, obj)
	{
		bool wanted = bpf_program__autoload(prog);

		h = mix(h, &wanted, sizeof(wanted));
	}
	bpf_object__for_each_map(map, obj)
	{
		__u32 entries = bpf_map__max_entries(map);
		size_t size = 0;
		const void *initial = bpf_map__initial_value(map, &size);

		h = mix(h, &entries, sizeof(entries));
		h = mix(h, initial, initial ? size : 0);
	}
	snprintf(b->load, sizeof(b->load), "%016llx", (unsigned long long)h);
}

static void path_of(const struct bpf *b, const char *name, char path[PATH_SIZE])
{
	snprintf(path, PATH_SIZE, "%s/load/%s/%s", b->pin, b->load, name);
}

/* A BPF file system takes no dots in names: "sagate_b.bss" is pinned as "bss". */
static void map_path(const struct bpf *b, const struct bpf_map *map, char path[PATH_SIZE])
{
	const char *name = bpf_map__name(map), *dot = strrchr(name, '.');

	if (bpf_map__is_internal(map))
		path_of(b, dot ? dot + 1 : name, path);
	else
		snprintf(path, PATH_SIZE, "%s/map/%s", b->pin, name);
}

/* The kernel's names are cut off. */
static bool same_name(const char kernels[BPF_OBJ_NAME_LEN], const char *name)
{
	return !strncmp(kernels, name, BPF_OBJ_NAME_LEN - 1);
}

static int open_map(const struct bpf *b, const struct bpf_map *map, __u32 id)
{
	_cleanup_close_ int fd = -1;
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);
	char path[PATH_SIZE];

	map_path(b, map, path);
	fd = bpf_obj_get(path);
	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) || info.id != id ||
	    info.type != bpf_map__type(map) || !same_name(info.name, bpf_map__name(map)))
		return -1;
	return TAKE_FD(fd);
}

static bool is_among(__u32 id, const __u32 ids[MAPS_MAX])
{
	for (int i = 0; i < MAPS_MAX; i++)
		if (ids[i] == id)
			return true;
	return false;
}

/* Bound to maps of this load, and to no other. */
static int open_program(const struct bpf *b, const struct bpf_program *prog, __u32 id,
			const struct made *made)
{
	_cleanup_close_ int fd = -1;
	__u32 maps[MAPS_MAX] = {};
	struct bpf_prog_info info = {.nr_map_ids = MAPS_MAX, .map_ids = (__u64)(size_t)maps};
	__u32 len = sizeof(info);
	char path[PATH_SIZE];

	path_of(b, bpf_program__name(prog), path);
	fd = bpf_obj_get(path);
	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) || info.id != id ||
	    info.type != bpf_program__type(prog) || !same_name(info.name, bpf_program__name(prog)))
		return -1;
	for (__u32 i = 0; i < info.nr_map_ids; i++)
		if (i >= MAPS_MAX || !is_among(maps[i], made->map))
			return -1;
	return TAKE_FD(fd);
}

static bool read_made(const struct bpf *b, struct made *made)
{
	_cleanup_close_ int fd = -1;
	struct bpf_map_info info = {};
	__u32 len = sizeof(info), zero = 0;
	char path[PATH_SIZE];

	path_of(b, "made", path);
	fd = bpf_obj_get(path);
	return fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &len) &&
	       info.type == BPF_MAP_TYPE_ARRAY && info.key_size == sizeof(zero) &&
	       info.value_size == sizeof(*made) && !bpf_map_lookup_elem(fd, &zero, made);
}

/* NULL: all of it; else the name of the first that is not what was loaded. */
static const char *find_all(const struct bpf *b, struct bpf_object *obj, struct found *found)
{
	struct bpf_program *prog;
	struct bpf_map *map;
	struct made made;
	int i = 0;

	if (!read_made(b, &made))
		return "made";
	bpf_object__for_each_map(map, obj)
	{
		if (i == MAPS_MAX || (found->map[i] = open_map(b, map, made.map[i])) < 0)
			return bpf_map__name(map);
		i++;
	}
	i = 0;
	bpf_object__for_each_program(prog, obj)
	{
		if (i == PROGRAMS_MAX)
			return bpf_program__name(prog);
		if (bpf_program__autoload(prog)) {
			found->program[i] = open_program(b, prog, made.program[i], &made);
			if (found->program[i] < 0)
				return bpf_program__name(prog);
		}
		i++;
	}
	return NULL;
}

static int use(struct bpf *b, struct bpf_object *obj, struct found *found, struct error *e)
{
	struct bpf_program *prog;
	struct bpf_map *map;
	int i = 0, err;

	bpf_object__for_each_map(map, obj)
	{
		err = bpf_map__reuse_fd(map, found->map[i++]);
		if (err)
			return error_set(e, err, "maps", "map %s: %s", bpf_map__name(map),
					 strerror(-err));
	}
	i = 0;
	bpf_object__for_each_program(prog, obj)
	{
		b->program[i] = prog;
		b->program_fd[i] = TAKE_FD(found->program[i]);
		i++;
	}
	b->adopted = true;
	return 0;
}

int bpf_adopt(struct bpf *b, struct bpf_object *obj, struct error *e)
{
	_cleanup_(found_close) struct found found;
	const char *misfit;
	char path[PATH_SIZE];
	int err;

	memset(&found, -1, sizeof(found));
	path_of(b, "", path);
	if (access(path, F_OK))
		return 0;
	misfit = find_all(b, obj, &found);
	if (misfit) {
		log_notice("%s: %s is not what was loaded: the programs are loaded anew", path,
			   misfit);
		return 0;
	}
	err = use(b, obj, &found, e);
	if (!err)
		log_info("the programs are those of the daemon before (%s)", path);
	return err ?: 1;
}

int bpf_prog_fd(const struct bpf *b, const struct bpf_program *prog)
{
	if (!b->adopted)
		return bpf_program__fd(prog);
	for (int i = 0; i < PROGRAMS_MAX; i++)
		if (b->program[i] == prog)
			return b->program_fd[i];
	return -ENOENT;
}

void bpf_adopted_close(struct bpf *b)
{
	for (int i = 0; b->adopted && i < PROGRAMS_MAX; i++)
		if (b->program[i])
			cleanup_close(&b->program_fd[i]);
}

static int pin_program(const struct bpf *b, const struct bpf_program *prog, __u32 *id)
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);
	int fd = bpf_program__fd(prog);
	char path[PATH_SIZE];

	if (fd < 0)
		return 0;
	path_of(b, bpf_program__name(prog), path);
	if (bpf_obj_pin(fd, path) || bpf_obj_get_info_by_fd(fd, &info, &len))
		return -errno;
	*id = info.id;
	return 0;
}

static int pin_map(const struct bpf *b, const struct bpf_map *map, __u32 *id)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);
	char path[PATH_SIZE];

	map_path(b, map, path);
	if ((bpf_map__is_internal(map) && bpf_obj_pin(bpf_map__fd(map), path)) ||
	    bpf_obj_get_info_by_fd(bpf_map__fd(map), &info, &len))
		return -errno;
	*id = info.id;
	return 0;
}

static int pin_made(const struct bpf *b, const struct made *made)
{
	_cleanup_close_ int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "sagate_made", sizeof(__u32),
						sizeof(*made), 1, NULL);
	__u32 zero = 0;
	char path[PATH_SIZE];

	path_of(b, "made", path);
	return fd < 0 || bpf_map_update_elem(fd, &zero, made, BPF_ANY) || bpf_obj_pin(fd, path)
		       ? -errno
		       : 0;
}

static int pin_all(const struct bpf *b, struct bpf_object *obj)
{
	struct bpf_program *prog;
	struct made made = {};
	struct bpf_map *map;
	int i = 0, err = 0;

	bpf_object__for_each_program(prog, obj)
	{
		err = err ?: i == PROGRAMS_MAX ? -E2BIG : pin_program(b, prog, &made.program[i]);
		i++;
	}
	i = 0;
	bpf_object__for_each_map(map, obj)
	{
		err = err ?: i == MAPS_MAX ? -E2BIG : pin_map(b, map, &made.map[i]);
		i++;
	}
	return err ?: pin_made(b, &made);
}

int bpf_load_pin(const struct bpf *b, struct bpf_object *obj, struct error *e)
{
	char path[PATH_SIZE], name[64];
	int err;

	snprintf(name, sizeof(name), "load/%s", b->load);
	bpf_pins_drop(b->pin, name); /* of one that died here, or was tampered with */
	path_of(b, "", path);
	err = mkdir(path, 0700) ? -errno : pin_all(b, obj);
	return err ? error_set(e, err, "pin", "%s: %s", path, strerror(-err)) : 0;
}

void bpf_loads_drop(const char *pin, const char *keep)
{
	struct dirent *entry;
	char path[PATH_SIZE];
	DIR *dir;

	snprintf(path, sizeof(path), "%s/load", pin);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || !strcmp(entry->d_name, keep))
			continue;
		snprintf(path, sizeof(path), "load/%s", entry->d_name);
		bpf_pins_drop(pin, path);
	}
	if (dir)
		closedir(dir);
}
