// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cgroup.h"
#include "cleanup.h"
#include "cmd_run_cgroup.h"

/* A child of a threaded cgroup is made invalid: processes cannot enter it (cgroup-v2, "Threads").
 */
static int check_type(const char *dir)
{
	_cleanup_close_ int fd = -1;
	char path[PATH_MAX + 16], type[32] = "";

	snprintf(path, sizeof(path), "%s/cgroup.type", dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, type, sizeof(type) - 1) < 0)
		return -errno;
	return strncmp(type, "domain invalid", 14) ? 0 : -EOPNOTSUPP;
}

static int open_procs(const char *dir)
{
	char path[PATH_MAX + 16];
	int fd;

	snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* In the cgroup `parent` (from the v2 root). 0 or -errno with nothing left behind. */
static int make_in(struct run_cgroup *c, const char *mount, const char *parent)
{
	const char *at = strcmp(parent, "/") ? parent : "";
	int r, n;

	n = snprintf(c->path, sizeof(c->path), "%s/" CGROUP_RUN_PREFIX "%d", at, getpid());
	if (n >= (int)sizeof(c->path))
		return -ENAMETOOLONG;
	n = snprintf(c->dir, sizeof(c->dir), "%s%s", mount, c->path);
	if (n >= (int)sizeof(c->dir))
		return -ENAMETOOLONG;
	rmdir(c->dir); /* an empty one of an earlier process with our id */
	if (mkdir(c->dir, 0755) < 0)
		return -errno;
	r = check_type(c->dir);
	if (r < 0)
		rmdir(c->dir);
	return r;
}

/* A cgroup's cgroup.procs takes this process. */
static int move_to(const char *dir)
{
	_cleanup_close_ int fd = open_procs(dir);

	if (fd < 0)
		return fd;
	return write(fd, "0", 1) < 0 ? -errno : 0;
}

int run_cgroup_make(struct run_cgroup *c, struct error *e)
{
	char mount[PATH_MAX], own[PATH_MAX];
	struct error why = {};
	int r = cgroup_mount(mount, e);

	c->left[0] = '\0';
	if (r < 0)
		return r;
	r = cgroup_of_pid(0, own, &why);
	if (r == 0) {
		snprintf(c->left, sizeof(c->left), "%s%s", mount, own);
		r = make_in(c, mount, own);
		if (r == 0)
			return 0;
		error_set(&why, r, "cgroup", "no child cgroup can be made in %.200s: %s", own,
			  strerror(-r));
		if (!strcmp(own, "/"))
			return error_set(e, r, "cgroup", "%s: run it as root", why.message);
	}
	r = make_in(c, mount, "/");
	if (r < 0)
		return error_set(e, r, "cgroup",
				 "%.300s; nor in the root of cgroup v2, %.80s: %s: run it as root",
				 why.message, mount, strerror(-r));
	fprintf(stderr, "sagate: %s: the command runs in %s, outside the caller's limits\n",
		why.message, c->path);
	return 0;
}

int run_cgroup_enter(struct run_cgroup *c, struct error *e)
{
	int r = move_to(c->dir);

	return r < 0 ? error_set(e, r, "cgroup", "%.300s cannot be entered: %s", c->dir,
				 strerror(-r))
		     : 0;
}

int run_cgroup_remove(struct run_cgroup *c)
{
	int r = c->left[0] ? move_to(c->left) : 0;

	if (!rmdir(c->dir) || errno == ENOENT)
		return 0;
	return r < 0 ? r : -errno;
}
