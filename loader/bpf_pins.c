// SPDX-License-Identifier: GPL-2.0-only
/* The pin folder: made, locked, and of our ABI, before anything in it is used. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <linux/magic.h>

#include <bpf/bpf.h>

#include "bpf_internal.h"
#include "cleanup.h"

static int make_folder(const char *path, struct error *e)
{
	/* bpf_lookup() refuses names with a dot, with EPERM */
	if (mkdir(path, 0700) && errno != EEXIST)
		return error_set(e, -errno, "pin", "%s: cannot be made: %s%s", path,
				 strerror(errno),
				 errno == EPERM && strchr(path, '.')
					 ? " (a BPF file system takes no dots in names)"
					 : "");
	return 0;
}

static bool on_bpffs(const char *path)
{
	struct statfs fs;

	return !statfs(path, &fs) && fs.f_type == BPF_FS_MAGIC;
}

/* Whether what is at `pin`, or its nearest folder that is there, is on a BPF file system. */
static bool would_be_on_bpffs(const char *pin)
{
	char path[256];
	char *slash;

	snprintf(path, sizeof(path), "%s", pin);
	/* EPERM: see make_folder() */
	while (access(path, F_OK) && (errno == ENOENT || errno == EPERM) &&
	       (slash = strrchr(path, '/')) && slash > path)
		*slash = '\0';
	return on_bpffs(path);
}

/* /sys/fs/bpf is mounted on most hosts by init; where not, mount it as init would. */
static int open_folders(const char *pin, struct error *e)
{
	static const char root[] = "/sys/fs/bpf";
	static const char *const parts[] = {"", "/map", "/prog", "/load", "/gate"};
	char path[256];
	int err;

	if (!strncmp(pin, root, strlen(root)) && !on_bpffs(root) &&
	    mount("bpf", root, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700"))
		return error_set(e, -errno, "pin",
				 "%s: no BPF file system: %s (mount -t bpf bpf %s)", root,
				 strerror(errno), root);
	if (!would_be_on_bpffs(pin)) /* nothing is made there */
		return error_set(e, -EINVAL, "pin", "%s: not on a BPF file system", pin);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (snprintf(path, sizeof(path), "%s%s", pin, parts[i]) >= (int)sizeof(path))
			return error_set(e, -ENAMETOOLONG, "pin", "%s: longer than 250 bytes", pin);
		err = make_folder(path, e);
		if (err)
			return err;
	}
	return 0;
}

/* Two daemons that write the same maps would undo each other's work. */
static int lock_pins(const char *pin, int *lock, struct error *e)
{
	_cleanup_close_ int fd = open(pin, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return error_set(e, -errno, "pin", "%s: cannot be opened: %s", pin,
				 strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB))
		return error_set(
			e, -errno, errno == EWOULDBLOCK ? "daemon-running" : "pin", "%s: %s", pin,
			errno == EWOULDBLOCK ? "another daemon works with these pins: stop "
					       "it first, or give this one another pin="
					     : strerror(errno));
	*lock = TAKE_FD(fd);
	return 0;
}

/*
 * <pin>/abi holds the ABI number. Maps without it, or with another number, are of a daemon that we
 * do not understand.
 */
static int check_abi(const char *pin, struct error *e)
{
	_cleanup_close_ int fd = -1;
	__u32 zero = 0, abi = SAGATE_ABI;
	char path[256], map[256];
	LIBBPF_OPTS(bpf_map_create_opts, opts);

	snprintf(path, sizeof(path), "%s/abi", pin);
	snprintf(map, sizeof(map), "%s/map/gate_settings", pin);
	fd = bpf_obj_get(path);
	if (fd >= 0) {
		if (bpf_map_lookup_elem(fd, &zero, &abi) || abi != SAGATE_ABI)
			return error_set(
				e, -EPROTO, "abi",
				"%s: pinned by a sagate with ABI %u, this one has %u: run that "
				"version, or detach its gates and remove the folder",
				pin, abi, SAGATE_ABI);
		return 0;
	}
	if (errno != ENOENT)
		return error_set(e, -errno, "abi", "%s: cannot be opened: %s", path,
				 strerror(errno));
	if (!access(map, F_OK))
		return error_set(
			e, -EPROTO, "abi",
			"%s: maps without an ABI number are pinned there: remove the folder", pin);
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "sagate_abi", sizeof(zero), sizeof(abi), 1, &opts);
	if (fd < 0 || bpf_map_update_elem(fd, &zero, &abi, BPF_ANY) || bpf_obj_pin(fd, path))
		return error_set(e, -errno, "abi", "%s: cannot be pinned: %s%s", path,
				 strerror(errno),
				 errno == EPERM ? " (CAP_BPF and CAP_NET_ADMIN are needed)" : "");
	return 0;
}

void bpf_pins_drop(const char *pin, const char *name)
{
	struct dirent *entry;
	char path[640];
	DIR *dir;

	snprintf(path, sizeof(path), "%s/%s", pin, name);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "%s/%s/%s", pin, name, entry->d_name);
		unlink(path);
	}
	if (dir)
		closedir(dir);
	snprintf(path, sizeof(path), "%s/%s", pin, name);
	rmdir(path);
}

void bpf_pins_remove(const char *pin)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/gate", pin);
	if (rmdir(path))
		return;
	bpf_loads_drop(pin, "");
	bpf_pins_drop(pin, "load");
	bpf_pins_drop(pin, "map");
	bpf_pins_drop(pin, "prog");
	bpf_pins_drop(pin, "kick");
	snprintf(path, sizeof(path), "%s/abi", pin);
	unlink(path);
	rmdir(pin);
}

static bool nothing_pinned(const char *pin)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/abi", pin);
	return access(path, F_OK) && errno == ENOENT;
}

int bpf_pins_open(const char *pin, bool *fresh, int *lock, struct error *e)
{
	_cleanup_close_ int fd = -1;
	int err;

	*fresh = nothing_pinned(pin);
	err = open_folders(pin, e);
	if (!err)
		err = lock_pins(pin, &fd, e);
	if (!err)
		err = check_abi(pin, e);
	if (err && *fresh && fd >= 0 && err != -EPROTO)
		bpf_pins_remove(pin);
	if (!err)
		*lock = TAKE_FD(fd);
	return err;
}
