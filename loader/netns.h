/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Network namespaces: open one, tell it by its cookie, do something inside it. For one thread: the
 * daemon has no other, and setns() moves only the thread that calls it.
 */
#ifndef SAGATE_NETNS_H
#define SAGATE_NETNS_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"

/*
 * Opens a network namespace by what a person writes: digits are a process id, text with a slash is
 * a path, anything else a name below /run/netns (a name of digits only needs its path). Returns a
 * close-on-exec descriptor that the caller owns, or -errno with *e: -ENOENT, -ESRCH, -EINVAL (it
 * is no network namespace), -EACCES …
 */
int netns_open(const char *what, struct error *e);

/*
 * Whether `what` (as above) names the namespace behind `fd`. While fd is open no other one can be
 * taken for it.
 */
bool netns_is(const char *what, int fd);

/*
 * Runs fn(ctx) inside the namespace and comes back. Returns fn's value, or -errno with *e when the
 * namespace cannot be entered (fn is not called then). fd -1: where we are, nothing is entered.
 * When it cannot come back the program aborts with a message: every later system call would ask
 * the wrong namespace.
 */
int netns_run(int fd, int (*fn)(void *ctx), void *ctx, struct error *e);

/*
 * The cookie by which BPF knows the namespace (bpf_get_netns_cookie): unique until reboot, never
 * 0, never used again. Linux 5.14 (SO_NETNS_COOKIE). fd -1: our own. 0 or -errno with *e.
 */
int netns_cookie(int fd, uint64_t *cookie, struct error *e);

#endif
