/* SPDX-License-Identifier: GPL-2.0-only */
/* The real daemon, in this network namespace, with a control socket and pins of its own. */
#ifndef ORACLE_DAEMON_H
#define ORACLE_DAEMON_H

#include <jansson.h>

#include "flow.h"

/* Starts `program` daemon with REQUIRES requirements; ready when its first snapshot is in the maps.
 * `dir` is made. */
void daemon_start(const char *program, const char *dir, const struct require *requires);
void daemon_stop(void);

/*
 * Waits until all that was installed before is in the maps: a policy and a route of its own, made
 * last, must show, and the daemon must know of no routing change that it has not answered.
 */
void daemon_settle(uint64_t number);

/* explain's answer, to be released; never NULL. */
json_t *daemon_explain(const struct call *c);

#endif
