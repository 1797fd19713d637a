// SPDX-License-Identifier: GPL-2.0-only
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "log.h"
#include "netns.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

static int open_own(void)
{
	int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static bool is_number(const char *what)
{
	return what[0] && what[strspn(what, "0123456789")] == '\0';
}

/* 0, or -EINVAL: it is neither a name, nor a path, nor a process. */
static int path_of(const char *what, char path[PATH_MAX])
{
	int n;

	if (is_number(what))
		n = snprintf(path, PATH_MAX, "/proc/%s/ns/net", what);
	else if (strchr(what, '/'))
		n = snprintf(path, PATH_MAX, "%s", what);
	else
		n = snprintf(path, PATH_MAX, "/run/netns/%s", what);
	return !what[0] || n >= PATH_MAX || !strcmp(what, ".") || !strcmp(what, "..") ? -EINVAL : 0;
}

int netns_open(const char *what, struct error *e)
{
	bool is_pid = is_number(what);
	_cleanup_close_ int fd = -1;
	char path[PATH_MAX];

	if (path_of(what, path))
		return error_set(e, -EINVAL, "bad-netns",
				 "network namespace \"%.100s\": expected a name, a path or a "
				 "process id",
				 what);
	/* O_NONBLOCK: a path may be a FIFO, which would block the daemon here. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		int err = is_pid && errno == ENOENT ? -ESRCH : -errno;

		return error_set(e, err, "no-such-netns", "network namespace %.200s: %s%s", what,
				 strerror(-err),
				 err == -ENOENT ? " (ip netns list shows the named ones)" : "");
	}
	if (ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET)
		return error_set(e, -EINVAL, "bad-netns", "%.200s is no network namespace", path);
	return TAKE_FD(fd);
}

bool netns_is(const char *what, int fd)
{
	struct stat named, held;
	char path[PATH_MAX];

	return !path_of(what, path) && !stat(path, &named) && !fstat(fd, &held) &&
	       named.st_dev == held.st_dev && named.st_ino == held.st_ino;
}

int netns_run(int fd, int (*fn)(void *ctx), void *ctx, struct error *e)
{
	_cleanup_close_ int own = -1;
	int r;

	if (fd < 0)
		return fn(ctx);
	own = open_own();
	if (own < 0)
		return error_set(e, own, "netns", "cannot open our own network namespace: %s",
				 strerror(-own));
	if (setns(fd, CLONE_NEWNET)) {
		r = -errno;
		return error_set(e, r, "netns", "cannot enter the network namespace: %s%s",
				 strerror(-r), r == -EPERM ? " (CAP_SYS_ADMIN is needed)" : "");
	}
	r = fn(ctx);
	if (setns(own, CLONE_NEWNET)) {
		log_error("cannot return from a network namespace: %s; nothing that follows would "
			  "ask the right one, so this is the end",
			  strerror(errno));
		abort();
	}
	return r;
}

static int read_cookie(void *ctx)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(uint64_t);

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, ctx, &len))
		return -errno;
	return 0;
}

int netns_cookie(int fd, uint64_t *cookie, struct error *e)
{
	struct error entering = {0};
	uint64_t value = 0;
	int r = netns_run(fd, read_cookie, &value, &entering);

	if (r && entering.code[0]) {
		if (e)
			*e = entering;
		return r;
	}
	if (r)
		return error_set(e, r, "netns-cookie",
				 "cannot read the network namespace's cookie: %s%s", strerror(-r),
				 r == -ENOPROTOOPT ? " (Linux 5.14 is needed)" : "");
	*cookie = value;
	return 0;
}
