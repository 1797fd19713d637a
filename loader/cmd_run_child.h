/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The process of `sagate run`: made first, let go when its gate is attached, then waited for as if
 * it had been started directly.
 */
#ifndef SAGATE_CMD_RUN_CHILD_H
#define SAGATE_CMD_RUN_CHILD_H

#include <signal.h>
#include <sys/types.h>

#include "error.h"

struct run_child {
	pid_t pid;
	int fd;	       /* to the child until it has started its program */
	sigset_t mask; /* as it was before: the program gets it back */
	struct sigaction sigchld;
};

/*
 * Forks; the child enters the cgroup through `procs` and waits there, to execute argv. From here on
 * signals are kept for run_child_wait(). 0 or -errno with *e (the child is gone then).
 */
int run_child_fork(struct run_child *c, int procs, char *const argv[], struct error *e);

/* The child ends without having run anything. */
void run_child_cancel(struct run_child *c);

/* Lets it go on. 0, or -errno with *e when the program cannot be started: the child is gone then.
 */
int run_child_go(struct run_child *c, struct error *e);

/*
 * Waits for its end, and passes on signals that were sent to us alone; stops and continues with it.
 * Returns the exit status as a shell has it: 128 + the signal that killed it.
 */
int run_child_wait(struct run_child *c);

#endif
