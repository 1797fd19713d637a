/* SPDX-License-Identifier: GPL-2.0-only */
/* Netlink requests, one at a time, each answered before the next. */
#ifndef ORACLE_NL_H
#define ORACLE_NL_H

#include <linux/netlink.h>
#include <stddef.h>
#include <stdint.h>

struct nl_msg {
	struct nlmsghdr h;
	char room[2048];
};

/* A socket of NETLINK_* `protocol` in the current network namespace. Ends the program on error. */
int nl_open(int protocol);

/* Begins a request; `body` is the fixed part behind the header. */
void nl_start(struct nl_msg *m, uint16_t type, uint16_t flags, const void *body, size_t size);
void nl_put(struct nl_msg *m, uint16_t type, const void *data, size_t size);
void nl_put_u32(struct nl_msg *m, uint16_t type, uint32_t value);
void nl_put_text(struct nl_msg *m, uint16_t type, const char *text);
/* Nested attributes: everything put between the two is inside. */
struct nlattr *nl_nest(struct nl_msg *m, uint16_t type);
void nl_nest_end(struct nl_msg *m, struct nlattr *nest);

/* Sends and waits for the kernel's acknowledgement: 0 or -errno. */
int nl_ask(int fd, struct nl_msg *m);

/*
 * Sends a dump request and calls `each` for every message of the answer. 0 or -errno.
 */
int nl_dump(int fd, struct nl_msg *m, void (*each)(void *ctx, const struct nlmsghdr *h), void *ctx);

#endif
