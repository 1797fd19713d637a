/* SPDX-License-Identifier: GPL-2.0-only */
/* The cgroup that `sagate run` makes for one command. */
#ifndef SAGATE_CMD_RUN_CGROUP_H
#define SAGATE_CMD_RUN_CGROUP_H

#include <limits.h>

#include "error.h"

struct run_cgroup {
	char path[PATH_MAX];	 /* from the v2 root, as the daemon takes it */
	char dir[PATH_MAX];	 /* in the file system */
	char left[2 * PATH_MAX]; /* where we were before, in the file system; empty: not known */
};

/*
 * Makes sagate-run-PID in the caller's own cgroup, or, where that takes no children, in the v2 root
 * (said on stderr: limits of the caller's cgroup do not hold there). 0 or -errno with *e.
 */
int run_cgroup_make(struct run_cgroup *c, struct error *e);

/* This process moves into it. 0 or -errno with *e. */
int run_cgroup_enter(struct run_cgroup *c, struct error *e);

/* Goes back to where we were, if we have entered it, and removes it. 0, also when it is gone
 * already, or -errno. */
int run_cgroup_remove(struct run_cgroup *c);

#endif
