// SPDX-License-Identifier: GPL-2.0-only
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* struct ucred, accept4 */
#endif
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "control.h"
#include "control_listen.h"

int control_address(const char *path, struct sockaddr_un *out, struct error *e)
{
	if (path[0] != '/' || strlen(path) >= sizeof(out->sun_path))
		return error_set(
			e, -EINVAL, "bad-path",
			"control socket %s: expected an absolute path of at most %zu bytes", path,
			sizeof(out->sun_path) - 1);
	*out = (struct sockaddr_un){.sun_family = AF_UNIX};
	strcpy(out->sun_path, path);
	return 0;
}

static int make_directory(const char *path, struct error *e)
{
	char copy[PATH_MAX];
	const char *dir;

	snprintf(copy, sizeof(copy), "%s", path);
	dir = dirname(copy);
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return error_set(e, -errno, "control-socket",
				 "cannot make the directory %s of the control socket: %s", dir,
				 strerror(errno));
	return 0;
}

static int in_use(const char *path, pid_t pid, struct error *e)
{
	if (pid > 0)
		return error_set(
			e, -EADDRINUSE, "daemon-running",
			"another daemon (pid %d) serves %s: stop it first, or give this one "
			"another control= and pin=",
			pid, path);
	return error_set(e, -EADDRINUSE, "daemon-running",
			 "another daemon serves %s: stop it first", path);
}

/* Whether somebody answers at the address: 1 (its pid in *pid, 0: not known), 0 or -errno. */
static int probe(const struct sockaddr_un *sa, pid_t *pid)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct ucred cred = {};
	socklen_t len = sizeof(cred);

	*pid = 0;
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) < 0)
		return errno == EAGAIN ? 1 : errno == ECONNREFUSED || errno == ENOENT ? 0 : -errno;
	if (!getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len))
		*pid = cred.pid;
	return 1;
}

/* The lock decides between two daemons that start at once; its file is never removed. */
static int take_lock(const struct sockaddr_un *sa, int *lock, struct error *e)
{
	_cleanup_close_ int fd = -1;
	char path[sizeof(sa->sun_path) + 8];
	pid_t pid;

	snprintf(path, sizeof(path), "%s.lock", sa->sun_path);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return error_set(e, -errno, "control-socket", "cannot open %s: %s", path,
				 strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		probe(sa, &pid);
		return in_use(sa->sun_path, pid, e);
	}
	*lock = TAKE_FD(fd);
	return 0;
}

static int remove_stale(const struct sockaddr_un *sa, struct error *e)
{
	const char *path = sa->sun_path;
	struct stat st;
	pid_t pid;
	int r;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0
				       : error_set(e, -errno, "control-socket", "%s: %s", path,
						   strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return error_set(
			e, -EEXIST, "control-socket",
			"%s is there and is no socket: remove it, or choose another control=",
			path);
	r = probe(sa, &pid);
	if (r > 0)
		return in_use(path, pid, e);
	if (r == 0)
		r = unlink(path) < 0 && errno != ENOENT ? -errno : 0;
	return r < 0 ? error_set(e, r, "control-socket", "cannot replace the old socket %s: %s",
				 path, strerror(-r))
		     : 0;
}

int control_listen(const char *path, int *lock, struct error *e)
{
	_cleanup_close_ int fd = -1, held = -1;
	struct sockaddr_un sa;
	int r;

	r = control_address(path, &sa, e);
	if (r == 0)
		r = make_directory(path, e);
	if (r == 0)
		r = take_lock(&sa, &held, e);
	if (r == 0)
		r = remove_stale(&sa, e);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* unix_bind() takes the mode from the socket's inode: there is no moment with another. */
	if (fd < 0 || fchmod(fd, 0600) < 0 ||
	    bind(fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    listen(fd, CONTROL_CLIENTS_MAX) < 0)
		return error_set(e, -errno, "control-socket",
				 "cannot listen on the control socket %s: %s", path,
				 strerror(errno));
	*lock = TAKE_FD(held);
	return TAKE_FD(fd);
}
