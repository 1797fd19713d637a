/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SAGATE_DAEMON_H
#define SAGATE_DAEMON_H

#include "config.h"
#include "error.h"

/*
 * Runs the daemon until SIGTERM or SIGINT. `config` is as read from `path` (NULL: the default
 * file); it is read again on SIGHUP, and the daemon then owns the newer one. Enforcement goes on
 * after it returns: gates, programs and maps stay pinned. 0, or -errno with *e when it cannot
 * start.
 */
int daemon_run(const struct config *config, const char *path, struct error *e);

#endif
