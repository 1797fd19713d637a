// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cgroup.h"
#include "cleanup.h"
#include "oci_cgroup.h"

static int process_open(pid_t pid, struct error *e)
{
	long fd = syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? error_set(e, -errno, "no-such-process", "process %d: %s", pid,
				  strerror(errno))
		      : (int)fd;
}

static bool process_ended(int pidfd)
{
	struct pollfd p = {.fd = pidfd, .events = POLLIN};

	return poll(&p, 1, 0) != 0;
}

static int check_mounts(pid_t pid, struct error *e)
{
	struct stat own, its;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", pid);
	if (stat("/proc/self/ns/mnt", &own) || stat(path, &its))
		return error_set(e, -errno, "no-such-process", "%s: %s", path, strerror(errno));
	if (own.st_ino == its.st_ino && own.st_dev == its.st_dev)
		return error_set(
			e, -EINVAL, "no-container",
			"process %d is in the host's mount namespace: it is no container's", pid);
	return 0;
}

/* `text`: of cgroup.procs. */
static bool only(const char *text, pid_t pid)
{
	char *end;

	return strtol(text, &end, 10) == pid && !strcmp(end, "\n");
}

static int check_alone(pid_t pid, const char *cgroup, struct error *e)
{
	_cleanup_close_ int dir = cgroup_open(cgroup, e), fd = -1;
	char text[64] = "";

	if (dir < 0)
		return dir;
	fd = openat(dir, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		return error_set(e, -errno, "bad-cgroup", "%.200s: cgroup.procs: %s", cgroup,
				 strerror(errno));
	if (only(text, pid))
		return 0;
	return error_set(
		e, -EINVAL, "no-container",
		"cgroup %.200s has other processes than the container's: it is the host's, "
		"and gets no gate by a container (give the container a cgroup v2 of its own)",
		cgroup);
}

int oci_cgroup(pid_t pid, char path[PATH_MAX], struct error *e)
{
	_cleanup_close_ int process = process_open(pid, e);
	char found[PATH_MAX];
	int err;

	if (process < 0)
		return process;
	err = check_mounts(pid, e);
	if (!err)
		err = cgroup_of_pid(pid, found, e);
	if (!err && !strcmp(found, "/"))
		err = error_set(
			e, -EINVAL, "no-container",
			"process %d is in the root of cgroup v2: give the container a cgroup "
			"of its own",
			pid);
	if (!err)
		err = check_alone(pid, found, e);
	if (err)
		return err;
	/* what was read is its own: no other process has had its number meanwhile */
	if (process_ended(process))
		return error_set(e, -ESRCH, "no-such-process", "process %d has ended", pid);
	strcpy(path, found);
	return 0;
}
