/* SPDX-License-Identifier: GPL-2.0-only */
/* The connected sockets of a network namespace, as the kernel lists them, and their end. */
#ifndef SAGATE_DIAG_H
#define SAGATE_DIAG_H

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <netlink/socket.h>

#include "abi.h"
#include "error.h"

struct diag_socket {
	struct inet_diag_sockid id; /* what the kernel finds it by; its cookie is nobody else's */
	__u8 family;		    /* the socket's: AF_INET6 also for v4-mapped addresses */
	__u8 proto;
	__u64 cgroup_id;  /* in which it was made */
	struct flow flow; /* what it sends, but for the namespace */
};

/* A socket to ask with, in the namespace `netns_fd` (-1: our own). 0 or -errno with *e. */
int diag_open(int netns_fd, struct nl_sock **out, struct error *e);

/* Asks for all that are connected, of one family and protocol (TCP, UDP); the answer comes. */
int diag_list(struct nl_sock *sock, __u8 family, __u8 proto);

/*
 * One of them, out of a message of the answer. -EBADMSG: the message is too short, or not one of
 * these; -ENODATA: it does not say in which cgroup the socket was made (one that is not accepted
 * yet), or is not connected. *out is then untouched. No I/O.
 */
int diag_parse(const struct nlmsghdr *msg, __u8 proto, struct diag_socket *out);

/*
 * Ends its connection: the program gets ECONNABORTED, and a UDP socket is not connected any more
 * (EDESTADDRREQ when it sends). `sock` is used for nothing else meanwhile. -ENOENT: it is gone, or
 * another one has its place; -EOPNOTSUPP: the kernel lacks CONFIG_INET_DIAG_DESTROY.
 */
int diag_close(struct nl_sock *sock, const struct diag_socket *s);

/* Whether the kernel can do that for TCP and UDP: 0, or what diag_close() would say. */
int diag_can_close(struct nl_sock *sock);

#endif
