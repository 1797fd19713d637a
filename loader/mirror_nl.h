/* SPDX-License-Identifier: GPL-2.0-only */
/* The mirror's sockets: opening them inside a namespace, asking, and reading checked messages. */
#ifndef SAGATE_MIRROR_NL_H
#define SAGATE_MIRROR_NL_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/netlink.h>
#include <netlink/socket.h>

#include "error.h"

/*
 * A non-blocking XFRM socket in the namespace `netns_fd` (-1: own), bound to the groups an event
 * socket needs if `rcvbuf` is not 0 (its buffer's size). 0 or -errno with *error; *sock is the
 * caller's.
 */
int mirror_nl_open(int netns_fd, int rcvbuf, struct nl_sock **sock, struct error *error);

/* Sends a request without a body; `type` XFRM_MSG_GET…, `flags` besides NLM_F_REQUEST. 0 or -errno.
 */
int mirror_nl_ask(struct nl_sock *sock, uint16_t type, uint16_t flags, uint32_t seq);

/* What one read came to. */
enum mirror_nl_read {
	READ_MESSAGES, /* the handler was called for each message */
	READ_NOTHING,  /* the socket is empty */
	READ_FOREIGN,  /* from another sender than the kernel: dropped */
	READ_OVERRUN,
	READ_TRUNCATED,
	READ_GARBLED, /* the datagram is not a row of messages; those before were handled */
	READ_STOPPED, /* the handler returned false: it has closed the socket, or wants no more */
	READ_ERROR,   /* *err is set */
};

/*
 * Reads one datagram and calls `handle` for each message in it, of which all nlmsg_len bytes are
 * readable and 4-aligned. The buffer, which may have held keys, is wiped before it returns.
 */
enum mirror_nl_read mirror_nl_read(struct nl_sock *sock,
				   bool (*handle)(void *ctx, const struct nlmsghdr *msg), void *ctx,
				   int *err);

/*
 * Takes one datagram from the socket without looking at it: READ_MESSAGES, or READ_NOTHING,
 * READ_OVERRUN, READ_ERROR as above. Costs a tenth of reading it.
 */
enum mirror_nl_read mirror_nl_drop(struct nl_sock *sock, int *err);

#endif
