/* SPDX-License-Identifier: GPL-2.0-only */
/* The messages of one datagram. No I/O, no logging: fuzzed as it is. */
#ifndef SAGATE_MIRROR_WALK_H
#define SAGATE_MIRROR_WALK_H

#include <stddef.h>

#include "mirror_nl.h"

/*
 * Calls `handle` for each message in `data` (4-aligned, `len` bytes), as mirror_nl_read() says:
 * READ_MESSAGES, READ_GARBLED or READ_STOPPED.
 */
enum mirror_nl_read mirror_walk(const void *data, size_t len,
				bool (*handle)(void *ctx, const struct nlmsghdr *msg), void *ctx);

#endif
