// SPDX-License-Identifier: GPL-2.0-only
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "cgroup.h"
#include "cleanup.h"

#define FILEID_KERNFS 0xfe /* include/linux/exportfs.h */
#define WALK_DEPTH    64

static void cleanup_file(FILE **f)
{
	if (*f)
		fclose(*f);
}

static void cleanup_dir(DIR **d)
{
	if (*d)
		closedir(*d);
}

/* \040 and the like stand for the bytes that separate the fields. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; to++) {
		unsigned int byte;

		if (s[0] == '\\' && sscanf(s + 1, "%3o", &byte) == 1 && strlen(s) >= 4) {
			*to = (char)byte;
			s += 4;
		} else {
			*to = *s++;
		}
	}
	*to = '\0';
}

int cgroup_mount_find(char *text, char mount[PATH_MAX])
{
	char *line, *lines = text;
	char *best = NULL;

	while ((line = strsep(&lines, "\n"))) {
		char *dash = strstr(line, " - cgroup2 ");
		char *field = line, *root, *point;

		if (!dash)
			continue;
		*dash = '\0';
		for (int i = 0; i < 3; i++)
			/* cppcheck-suppress ignoredReturnValue ; it is passed over */
			strsep(&field, " ");
		root = strsep(&field, " ");
		point = strsep(&field, " ");
		if (!root || !point)
			continue;
		if (!strcmp(root, "/")) {
			best = point;
			break;
		}
		if (!best)
			best = point;
	}
	if (!best)
		return -ENOENT;
	unescape(best);
	if (strlen(best) >= PATH_MAX)
		return -ENAMETOOLONG;
	strcpy(mount, best);
	return 0;
}

static int read_all(const char *path, char **out)
{
	_cleanup_(cleanup_file) FILE *f = fopen(path, "re");
	_cleanup_free_ char *text = NULL;
	size_t size = 0;

	if (!f)
		return -errno;
	/* None of the files read here has a NUL: this reads to the end. */
	if (getdelim(&text, &size, '\0', f) < 0)
		return ferror(f) ? -errno : -ENODATA;
	*out = TAKE_PTR(text);
	return 0;
}

int cgroup_mount(char mount[PATH_MAX], struct error *e)
{
	static char found[PATH_MAX]; /* a call that waits should not wait for the list of mounts */
	_cleanup_free_ char *text = NULL;
	struct statfs fs;
	int r;

	if (found[0] && !statfs(found, &fs) && fs.f_type == CGROUP2_SUPER_MAGIC) {
		strcpy(mount, found);
		return 0;
	}
	r = read_all("/proc/self/mountinfo", &text);
	if (r)
		return error_set(e, r, "no-cgroup2", "cannot read /proc/self/mountinfo: %s",
				 strerror(-r));
	if (cgroup_mount_find(text, mount))
		return error_set(e, -ENODEV, "no-cgroup2",
				 "cgroup v2 is not mounted: mount -t cgroup2 none /sys/fs/cgroup "
				 "(beside v1: /sys/fs/cgroup/unified)");
	strcpy(found, mount);
	return 0;
}

static bool has_dots(const char *path)
{
	for (const char *p = path; p; p = strchr(p, '/')) {
		size_t n;

		p += *p == '/';
		n = strcspn(p, "/");
		if ((n == 1 && p[0] == '.') || (n == 2 && !memcmp(p, "..", 2)))
			return true;
	}
	return false;
}

/* What follows the mount point in a path of the file system; NULL when it is not below it. */
static const char *below(const char *mount, const char *path)
{
	size_t n = strlen(mount);

	if (strncmp(path, mount, n) || (path[n] && path[n] != '/'))
		return NULL;
	return path + n;
}

/*
 * Part by part, and no part is a link: not openat2(), which systemd's RestrictSUIDSGID= takes away.
 */
static int open_beneath(const char *mount, const char *path)
{
	_cleanup_close_ int at = open(mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	while (at >= 0 && *(path += strspn(path, "/"))) {
		const size_t len = strcspn(path, "/");
		char name[NAME_MAX + 1];
		int next;

		if (len > NAME_MAX)
			return -ENAMETOOLONG;
		memcpy(name, path, len);
		name[len] = '\0';
		next = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (next < 0)
			return -errno;
		close(at);
		at = next;
		path += len;
	}
	return at < 0 ? -errno : TAKE_FD(at);
}

/* Says in words what is wrong with a path that is not in the v2 hierarchy. */
static int explain_missing(const char *path, const char *mount, int err, struct error *e)
{
	struct statfs fs;

	if (err == -ENOTDIR)
		return error_set(e, err, "bad-cgroup",
				 "%.200s is a file: name the cgroup's directory", path);
	if (err == -ENOENT && !statfs(path, &fs) && fs.f_type == CGROUP_SUPER_MAGIC)
		return error_set(e, -EINVAL, "bad-cgroup",
				 "%.200s is cgroup v1: gates need cgroup v2, mounted at %.100s",
				 path, mount);
	if (err == -ENOENT && !statfs(path, &fs) && fs.f_type != CGROUP2_SUPER_MAGIC)
		return error_set(e, -EINVAL, "bad-cgroup",
				 "%.200s is not in cgroup v2, which is mounted at %.100s", path,
				 mount);
	if (err == -ENOENT)
		return error_set(e, err, "no-such-cgroup",
				 "cgroup %.200s: not there below %.100s (systemd-cgls shows them; "
				 "a service's cgroup exists while it runs)",
				 path, mount);
	return error_set(e, err, "bad-cgroup", "cgroup %.200s below %.100s: %s", path, mount,
			 strerror(-err));
}

int cgroup_open(const char *path, struct error *e)
{
	_cleanup_close_ int fd = -1;
	char mount[PATH_MAX];
	const char *rest;
	struct statfs fs;
	int r;

	if (path[0] != '/')
		return error_set(e, -EINVAL, "bad-cgroup",
				 "cgroup \"%.200s\": begin with a slash, as in "
				 "/system.slice/x.service",
				 path);
	if (has_dots(path))
		return error_set(e, -EINVAL, "bad-cgroup",
				 "cgroup %.200s: \".\" and \"..\" are refused, write its own path",
				 path);
	r = cgroup_mount(mount, e);
	if (r)
		return r;
	rest = below(mount, path);
	fd = open_beneath(mount, rest ? rest : path);
	if (fd < 0)
		return explain_missing(path, mount, fd, e);
	if (fstatfs(fd, &fs) || fs.f_type != CGROUP2_SUPER_MAGIC)
		return error_set(e, -EINVAL, "bad-cgroup", "%.200s is not in cgroup v2", path);
	return TAKE_FD(fd);
}

union cgroup_handle {
	struct file_handle handle;
	struct {
		unsigned int bytes;
		int type;
		uint64_t id __attribute__((packed));
	} kernfs;
};

int cgroup_id(int fd, uint64_t *id, struct error *e)
{
	union cgroup_handle h = {.kernfs = {.bytes = sizeof(uint64_t)}};
	int mount_id;

	if (name_to_handle_at(fd, "", &h.handle, &mount_id, AT_EMPTY_PATH))
		return error_set(e, -errno, "bad-cgroup", "cannot read the cgroup's id: %s",
				 strerror(errno));
	*id = h.kernfs.id;
	return 0;
}

bool cgroup_is_root(const char *path)
{
	_cleanup_close_ int fd = cgroup_open(path, NULL), root = cgroup_open("/", NULL);
	uint64_t id = 0, root_id = 0;

	return fd >= 0 && root >= 0 && !cgroup_id(fd, &id, NULL) &&
	       !cgroup_id(root, &root_id, NULL) && id == root_id;
}

/* Without CAP_DAC_READ_SEARCH the kernel opens nothing by its id: look at all of them. */
static int walk(int dirfd, uint64_t id, char path[PATH_MAX], size_t len, int depth)
{
	_cleanup_(cleanup_dir) DIR *dir = NULL;
	struct dirent *entry;
	int r = -ENOENT;
	int copy = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (copy < 0)
		return -errno;
	dir = fdopendir(copy);
	if (!dir) {
		close(copy);
		return -ENOMEM;
	}
	while (r == -ENOENT && (entry = readdir(dir))) {
		_cleanup_close_ int child = -1;
		size_t n = strlen(entry->d_name);

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.' || len + n + 2 > PATH_MAX)
			continue;
		snprintf(path + len, PATH_MAX - len, "/%s", entry->d_name);
		if (entry->d_ino == id)
			return 0;
		child = openat(dirfd, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (child >= 0 && depth < WALK_DEPTH)
			r = walk(child, id, path, len + n + 1, depth + 1);
	}
	return r;
}

/* The path of an open cgroup, as the kernel tells it. */
static int path_of(int fd, const char *mount, char path[PATH_MAX])
{
	char link[64], full[PATH_MAX];
	const char *rest;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, full, sizeof(full) - 1);
	if (n < 0)
		return -errno;
	full[n] = '\0';
	rest = below(mount, full);
	if (!rest)
		return -ENOENT;
	/* A removed cgroup shows as "… (deleted)": what stands at its path is not it. */
	if (faccessat(fd, "cgroup.procs", F_OK, 0))
		return -ENOENT;
	snprintf(path, PATH_MAX, "%s", *rest ? rest : "/");
	return 0;
}

int cgroup_path(uint64_t id, char path[PATH_MAX], struct error *e)
{
	union cgroup_handle h = {
		.kernfs = {.bytes = sizeof(uint64_t), .type = FILEID_KERNFS, .id = id}};
	char mount[PATH_MAX], found[PATH_MAX] = "";
	_cleanup_close_ int root = -1, fd = -1;
	uint64_t root_id = 0;
	int r = cgroup_mount(mount, e);

	if (r)
		return r;
	root = open(mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return error_set(e, -errno, "no-cgroup2", "%.200s: %s", mount, strerror(errno));
	fd = open_by_handle_at(root, &h.handle, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		r = path_of(fd, mount, found);
	else if (errno != EPERM && errno != EOPNOTSUPP)
		r = errno == ESTALE ? -ENOENT : -errno;
	else if (!cgroup_id(root, &root_id, NULL) && root_id == id)
		strcpy(found, "/");
	else
		r = walk(root, id, found, 0, 0);
	if (r)
		return error_set(e, r, "no-such-cgroup", "cgroup with id %llu: %s",
				 (unsigned long long)id,
				 r == -ENOENT ? "there is none (any more)" : strerror(-r));
	strcpy(path, found);
	return 0;
}

int cgroup_of_pid(pid_t pid, char path[PATH_MAX], struct error *e)
{
	_cleanup_free_ char *text = NULL;
	char name[64] = "/proc/self/cgroup";
	char *line, *lines;
	int r;

	if (pid)
		snprintf(name, sizeof(name), "/proc/%d/cgroup", pid);
	r = read_all(name, &text);
	if (r == -ENOENT)
		r = -ESRCH;
	if (r)
		return error_set(e, r, "no-such-process", "process %d: %s", pid, strerror(-r));
	for (lines = text; (line = strsep(&lines, "\n"));) {
		if (strncmp(line, "0::/", 4))
			continue;
		/* "/../x": not in our cgroup namespace. "(deleted)": removed under a zombie. */
		if (has_dots(line + 3) || strlen(line + 3) >= PATH_MAX)
			break;
		strcpy(path, line + 3);
		return 0;
	}
	return error_set(e, -ENOENT, "no-such-cgroup",
			 "process %d has no cgroup v2 that can be seen from here", pid);
}

/* Processes outside our PID namespace show as 0, and are left out. */
static bool each_own(int dirfd, bool (*each)(void *ctx, pid_t pid), void *ctx)
{
	_cleanup_close_ int fd = openat(dirfd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	_cleanup_(cleanup_file) FILE *f = fd < 0 ? NULL : fdopen(fd, "re");
	bool more = true;
	int pid;

	if (f)
		TAKE_FD(fd);
	while (f && more && fscanf(f, "%d", &pid) == 1)
		more = pid <= 0 || each(ctx, pid);
	return more;
}

static bool each_below(int dirfd, int depth, bool (*each)(void *ctx, pid_t pid), void *ctx)
{
	_cleanup_(cleanup_dir) DIR *dir = NULL;
	struct dirent *entry;
	bool more = each_own(dirfd, each, ctx);
	int copy = more ? openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (copy < 0)
		return more;
	dir = fdopendir(copy);
	if (!dir)
		close(copy);
	while (dir && more && depth < WALK_DEPTH && (entry = readdir(dir))) {
		_cleanup_close_ int child = -1;

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		child = openat(dirfd, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (child >= 0)
			more = each_below(child, depth + 1, each, ctx);
	}
	return more;
}

void cgroup_each_pid(int fd, bool (*each)(void *ctx, pid_t pid), void *ctx)
{
	each_below(fd, 0, each, ctx);
}

static bool first_one(void *ctx, pid_t pid)
{
	*(pid_t *)ctx = pid;
	return false;
}

pid_t cgroup_first_pid(int fd)
{
	pid_t pid = 0;

	cgroup_each_pid(fd, first_one, &pid);
	return pid;
}
