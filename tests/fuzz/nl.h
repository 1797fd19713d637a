/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A kernel made of a fuzzer's input: netlink messages in a row, as recorded, given out a datagram
 * at a time in the place of the sockets. A message whose nlmsg_pid is odd comes in one datagram
 * with the next. nlmsg_seq tells the socket: 0 is an event's, any other is an answer's, and then
 * the one that was asked with is written over it.
 */
#ifndef FUZZ_NL_H
#define FUZZ_NL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>
#include <linux/netlink.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>

struct nl_input {
	const uint8_t *at;
	size_t left;
};

/* The length of the next message; all that is left when it lies. */
static inline size_t nl_length(const struct nl_input *in, struct nlmsghdr *h)
{
	size_t len;

	*h = (struct nlmsghdr){0};
	if (in->left < sizeof(*h))
		return in->left;
	memcpy(h, in->at, sizeof(*h));
	len = NLMSG_ALIGN((size_t)h->nlmsg_len);
	return len < sizeof(*h) || len > in->left ? in->left : len;
}

static inline bool nl_is_event(const struct nl_input *in)
{
	struct nlmsghdr h;

	nl_length(in, &h);
	return !h.nlmsg_seq;
}

/* The next datagram into `buf`; its length. `seq` gives what each message is numbered with. */
static inline size_t nl_take(struct nl_input *in, char *buf, size_t size, uint32_t (*seq)(void))
{
	struct nlmsghdr h = {.nlmsg_pid = 1};
	size_t n = 0;

	while (in->left && h.nlmsg_pid & 1) {
		size_t len = nl_length(in, &h);

		if (len > size - n)
			break;
		memcpy(buf + n, in->at, len);
		if (h.nlmsg_seq) {
			h.nlmsg_seq = seq();
			memcpy(buf + n, &h, sizeof(h));
		}
		in->at += len;
		in->left -= len;
		n += len;
	}
	return n;
}

/* A message of an int: NLMSG_DONE, NLMSG_ERROR. Its length. */
static inline size_t nl_end(char *buf, uint16_t type, uint32_t seq, int error)
{
	struct nlmsghdr h = {
		.nlmsg_len = NLMSG_LENGTH(sizeof(error)), .nlmsg_type = type, .nlmsg_seq = seq};

	memcpy(buf, &h, sizeof(h));
	memcpy(buf + NLMSG_HDRLEN, &error, sizeof(error));
	return h.nlmsg_len;
}

/* A socket that has something to read for as long as we say. Nobody else reads it. */
struct nl_bell {
	struct nl_sock *sock;
	bool rings;
};

static inline int nl_bell_fd(struct nl_bell *bell)
{
	if (!bell->sock) {
		bell->sock = nl_socket_alloc();
		if (!bell->sock || nl_connect(bell->sock, NETLINK_ROUTE))
			abort();
	}
	return nl_socket_get_fd(bell->sock);
}

static inline void nl_ring(struct nl_bell *bell, bool on)
{
	struct nlmsghdr noop = {.nlmsg_len = sizeof(noop),
				.nlmsg_type = NLMSG_NOOP,
				.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK};
	char ack[256];
	ssize_t n;

	if (bell->rings == on)
		return;
	if (on)
		n = send(nl_bell_fd(bell), &noop, sizeof(noop), 0);
	else
		n = recv(nl_bell_fd(bell), ack, sizeof(ack), 0);
	if (n < 0)
		abort();
	bell->rings = on;
}

/* The caller frees it. */
static inline struct nl_sock *nl_open(struct nl_bell *bell)
{
	struct nl_sock *sock = nl_socket_alloc();

	if (!sock || nl_socket_set_fd(sock, NETLINK_ROUTE, dup(nl_bell_fd(bell))))
		abort();
	return sock;
}

#endif
