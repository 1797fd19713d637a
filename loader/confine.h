/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the daemon and its keeper give up before they look at anything from outside: rights that
 * they do not need, system calls that they do not make, core dumps.
 */
#ifndef SAGATE_CONFINE_H
#define SAGATE_CONFINE_H

#include "error.h"

/*
 * No core dumps, which could have keys in them, no new privileges. At the very beginning; for
 * processes forked from here as well.
 */
void confine_begin(void);

/* Which of the two: the keeper wakes who sleeps, and does nothing else. */
enum confined { CONFINED_DAEMON, CONFINED_KEEPER };

/*
 * Gives up all capabilities but those that it needs, for good, and installs the filter of system
 * calls: what is not on the list fails with EPERM, what only somebody else would call, such as
 * execve(), ends the process. 0, or -errno with *e; what could be given up is.
 */
int confine(enum confined who, struct error *e);

#endif
