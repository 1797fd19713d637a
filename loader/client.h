/* SPDX-License-Identifier: GPL-2.0-only */
/* The other end of the control socket: what every command but `daemon` uses. Blocks, with bounds.
 */
#ifndef SAGATE_CLIENT_H
#define SAGATE_CLIENT_H

#include <jansson.h>

#include "error.h"

#define CLIENT_TIMEOUT_S 30 /* without a byte from the daemon */

/*
 * One request, one answer. `path` NULL: the default socket. Takes `args` (NULL: none). 0 with
 * *result a new reference; or -errno with *e, which is the daemon's own error when it answered
 * one, else in words: no-daemon, not-permitted, daemon-died, timeout, bad-answer.
 */
int client_call(const char *path, const char *command, json_t *args, json_t **result,
		struct error *e);

/*
 * Calls event(ctx, object) for every event until it returns another value than 0, which is then
 * returned, or the connection ends (-errno with *e). ready(ctx) is called once, when the daemon
 * has said that it sends. The object is borrowed.
 */
int client_watch(const char *path, void (*ready)(void *ctx),
		 int (*event)(void *ctx, const json_t *event), void *ctx, struct error *e);

#endif
