// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nl.h"
#include "say.h"

int nl_open(int protocol)
{
	struct sockaddr_nl self = {.nl_family = AF_NETLINK};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);

	if (fd < 0 || bind(fd, (struct sockaddr *)&self, sizeof(self)))
		die("netlink: %s", strerror(errno));
	return fd;
}

void nl_start(struct nl_msg *m, uint16_t type, uint16_t flags, const void *body, size_t size)
{
	static uint32_t seq;

	memset(m, 0, sizeof(*m));
	m->h.nlmsg_type = type;
	m->h.nlmsg_flags = NLM_F_REQUEST | flags;
	m->h.nlmsg_seq = ++seq;
	m->h.nlmsg_len = (uint32_t)NLMSG_LENGTH(size);
	memcpy(NLMSG_DATA(&m->h), body, size);
}

static struct nlattr *end_of(struct nl_msg *m)
{
	return (struct nlattr *)((char *)m + NLMSG_ALIGN(m->h.nlmsg_len));
}

void nl_put(struct nl_msg *m, uint16_t type, const void *data, size_t size)
{
	struct nlattr *a = end_of(m);

	if (NLMSG_ALIGN(m->h.nlmsg_len) + NLA_HDRLEN + size > sizeof(*m))
		die("netlink: a request of more than %zu bytes", sizeof(*m));
	a->nla_type = type;
	a->nla_len = (uint16_t)(NLA_HDRLEN + size);
	if (size)
		memcpy((char *)a + NLA_HDRLEN, data, size);
	m->h.nlmsg_len = (uint32_t)(NLMSG_ALIGN(m->h.nlmsg_len) + NLA_ALIGN(a->nla_len));
}

void nl_put_u32(struct nl_msg *m, uint16_t type, uint32_t value)
{
	nl_put(m, type, &value, sizeof(value));
}

void nl_put_text(struct nl_msg *m, uint16_t type, const char *text)
{
	nl_put(m, type, text, strlen(text) + 1);
}

struct nlattr *nl_nest(struct nl_msg *m, uint16_t type)
{
	struct nlattr *a = end_of(m);

	nl_put(m, type | NLA_F_NESTED, NULL, 0);
	return a;
}

void nl_nest_end(struct nl_msg *m, struct nlattr *nest)
{
	nest->nla_len = (uint16_t)((char *)end_of(m) - (char *)nest);
}

static void transmit(int fd, const struct nl_msg *m)
{
	if (send(fd, m, m->h.nlmsg_len, 0) < 0)
		die("netlink: %s", strerror(errno));
}

/* The error of an acknowledgement or DONE message. */
static int error_of(const struct nlmsghdr *h)
{
	int err = 0;

	if (h->nlmsg_len >= NLMSG_LENGTH(sizeof(err)))
		memcpy(&err, NLMSG_DATA(h), sizeof(err));
	return err;
}

static int answers(int fd, uint32_t seq, void (*each)(void *ctx, const struct nlmsghdr *h),
		   void *ctx)
{
	static _Alignas(8) char buf[65536];

	for (;;) {
		ssize_t n = recv(fd, buf, sizeof(buf), 0);
		struct nlmsghdr *h = (struct nlmsghdr *)buf;

		if (n < 0)
			die("netlink: %s", strerror(errno));
		for (; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
			if (h->nlmsg_seq != seq)
				continue;
			if (h->nlmsg_type == NLMSG_ERROR || h->nlmsg_type == NLMSG_DONE)
				return error_of(h);
			if (each)
				each(ctx, h);
		}
	}
}

int nl_ask(int fd, struct nl_msg *m)
{
	m->h.nlmsg_flags |= NLM_F_ACK;
	transmit(fd, m);
	return answers(fd, m->h.nlmsg_seq, NULL, NULL);
}

int nl_dump(int fd, struct nl_msg *m, void (*each)(void *ctx, const struct nlmsghdr *h), void *ctx)
{
	m->h.nlmsg_flags |= NLM_F_DUMP;
	transmit(fd, m);
	return answers(fd, m->h.nlmsg_seq, each, ctx);
}
