/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The two rtnetlink sockets of routes.c: one that hears of changes and one that asks. Non-blocking,
 * close-on-exec. Never logs.
 */
#ifndef SAGATE_ROUTES_NL_H
#define SAGATE_ROUTES_NL_H

#include <linux/netlink.h>
#include <netlink/socket.h>
#include <stdbool.h>
#include <stdint.h>

#include "error.h"

enum { ROUTES_DUMPS = 7 }; /* how many dumps make a view */

/* Opens both inside the namespace, and conf/all/disable_xfrm; the caller owns all three. */
int routes_nl_open(int netns_fd, struct nl_sock **events, struct nl_sock **asker, int *noxfrm_fd,
		   struct error *e);
/* Asks for the dump with number i. 0 or -errno. */
int routes_nl_dump(struct nl_sock *asker, unsigned int i, uint32_t seq);
/* Sends a batch of messages that are already written. 0 or -errno. */
int routes_nl_send(struct nl_sock *sock, void *batch, size_t size);
/*
 * Receives one datagram from the kernel into buf. Its length; 0 when nothing is there or it came
 * from somebody else; -ENOBUFS when some were lost; -EMSGSIZE when it did not fit; -errno.
 */
int routes_nl_receive(struct nl_sock *sock, void *buf, size_t size);

#endif
