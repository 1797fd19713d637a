/* SPDX-License-Identifier: GPL-2.0-only */
/* The control socket's place in the file system: who owns it, and taking it. */
#ifndef SAGATE_CONTROL_LISTEN_H
#define SAGATE_CONTROL_LISTEN_H

#include <sys/socket.h>
#include <sys/un.h>

#include "error.h"

/* Fills *out: 0, or -EINVAL with *e when `path` is not absolute or too long for a socket. */
int control_address(const char *path, struct sockaddr_un *out, struct error *e);

/*
 * Listens at `path` (see control_new). The listening, non-blocking socket, or -errno with *e; the
 * lock that says "a daemon lives here" is in *lock, held as long as it is open.
 */
int control_listen(const char *path, int *lock, struct error *e);

#endif
