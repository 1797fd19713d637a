/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The mount option favordynmods of cgroup v2 (Linux 6.0, Documentation/admin-guide/cgroup-v2.rst):
 * without it the first move of a thread after a while waits for an RCU grace period, tens of
 * milliseconds, in which a call that is to be held turns round; with it, fork() and exit() are a
 * little slower.
 */
#ifndef SAGATE_CGROUP_DYNMODS_H
#define SAGATE_CGROUP_DYNMODS_H

#include <stdbool.h>
#include <stddef.h>

#include "error.h"

/* Whether the v2 hierarchy has it. */
bool cgroup_dynmods_on(void);
/* Sets it, the other options of the mount stay as they are. 0, or -errno with *e. */
int cgroup_dynmods_set(struct error *e);

/* The file system's own options in a line of /proc/self/mountinfo (pure; `line` is cut up). */
char *cgroup_dynmods_options(char *line);

#endif
