/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * cgroup v2: where it is mounted (alone, or beside v1 on hybrid hosts), opening a gate's cgroup,
 * its id, and the way back from an id or a process to a path.
 *
 * A cgroup's path is relative to the v2 root and begins with a slash ("/system.slice/x.service";
 * "/" is the root). Paths of the file system are said to be so. All functions return 0 or a
 * descriptor, or -errno with *e (may be NULL); outputs are untouched on failure.
 */
#ifndef SAGATE_CGROUP_H
#define SAGATE_CGROUP_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "error.h"

/* The cgroups that sagate run makes; then its process id. They go when they are empty. */
#define CGROUP_RUN_PREFIX "sagate-run-"

/*
 * Finds the v2 mount in the text of /proc/self/mountinfo (proc_pid_mountinfo(5)), the whole
 * hierarchy (root "/") before a part of it. Pure. `text` is cut up. -ENOENT: there is none;
 * -ENAMETOOLONG.
 */
int cgroup_mount_find(char *text, char mount[PATH_MAX]);

/* The same from /proc/self/mountinfo of this process. */
int cgroup_mount(char mount[PATH_MAX], struct error *e);

/*
 * Opens a cgroup given by its path, or by a path of the file system below the v2 mount. "..", "."
 * and symbolic links are refused: the name shown is the cgroup that is gated. Returns a
 * close-on-exec directory descriptor that the caller owns.
 * -ENOENT no such cgroup; -ENOTDIR; -EINVAL not a path, or not cgroup v2; -ENODEV no v2 mount.
 */
int cgroup_open(const char *path, struct error *e);

/* The id (bpf_get_current_cgroup_id(), the inode number of kernfs) of an open cgroup. */
int cgroup_id(int fd, uint64_t *id, struct error *e);

/* The path of the cgroup with this id; -ENOENT when it is gone (or removed and still in use). */
int cgroup_path(uint64_t id, char path[PATH_MAX], struct error *e);

/* Is it the root of the v2 hierarchy, however it is written? */
bool cgroup_is_root(const char *path);

/*
 * The v2 cgroup of a process, from /proc/PID/cgroup ("0::"). 0 stands for this process.
 * -ESRCH no such process; -ENOENT it has none, or its cgroup lies outside our cgroup namespace.
 */
int cgroup_of_pid(pid_t pid, char path[PATH_MAX], struct error *e);

/* Each process in an open cgroup and below it that can be seen, until each() returns false. */
void cgroup_each_pid(int fd, bool (*each)(void *ctx, pid_t pid), void *ctx);

/* A process in an open cgroup, or else below it; 0: there is none that can be seen. */
pid_t cgroup_first_pid(int fd);

#endif
