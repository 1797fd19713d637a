// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "storm.h"

void storm_die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "storm: ");
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(1);
}

double storm_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int storm_nl_socket(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_XFRM), size = 4 << 20;
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};

	if (fd < 0 || connect(fd, (struct sockaddr *)&kernel, sizeof(kernel)))
		storm_die("no XFRM netlink: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	return fd;
}

void batch_open(struct batch *b)
{
	memset(b, 0, sizeof(*b));
	b->fd = storm_nl_socket();
}

static void *room(struct batch *b, size_t len)
{
	void *at = b->bytes + b->len;

	if (b->len + len > sizeof(b->bytes))
		storm_die("a row of requests is too long");
	memset(at, 0, len);
	b->len += len;
	return at;
}

void *batch_add(struct batch *b, uint16_t type, uint16_t flags, size_t size)
{
	if (b->len + 4096 > sizeof(b->bytes))
		batch_send(b);
	b->msg = room(b, NLMSG_SPACE(size));
	b->msg->nlmsg_len = NLMSG_SPACE(size);
	b->msg->nlmsg_type = type;
	b->msg->nlmsg_flags = NLM_F_REQUEST | flags;
	b->sent++;
	return NLMSG_DATA(b->msg);
}

void *batch_attr(struct batch *b, uint16_t type, const void *data, size_t len)
{
	struct nlattr *a = room(b, NLA_ALIGN(NLA_HDRLEN + len));

	a->nla_type = type;
	a->nla_len = (uint16_t)(NLA_HDRLEN + len);
	b->msg->nlmsg_len += (uint32_t)NLA_ALIGN(NLA_HDRLEN + len);
	if (data)
		memcpy((char *)a + NLA_HDRLEN, data, len);
	return (char *)a + NLA_HDRLEN;
}

/* Nothing but errors comes back, one message each (no request asks for an answer). */
static void read_errors(struct batch *b)
{
	_Alignas(8) char buf[65536];
	ssize_t n;

	while ((n = recv(b->fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0) {
		int rem = (int)n;

		for (struct nlmsghdr *m = (void *)buf; NLMSG_OK(m, rem); m = NLMSG_NEXT(m, rem)) {
			const struct nlmsgerr *e = NLMSG_DATA(m);

			if (m->nlmsg_type == NLMSG_ERROR && e->error) {
				b->failed++;
				b->last_error = -e->error;
			}
		}
	}
}

void batch_send(struct batch *b)
{
	if (b->len && send(b->fd, b->bytes, b->len, 0) != (ssize_t)b->len)
		storm_die("requests not sent: %s", strerror(errno));
	b->len = 0;
	read_errors(b);
}

size_t storm_dump(uint16_t type, void (*each)(void *ctx, const struct nlmsghdr *msg), void *ctx)
{
	struct nlmsghdr ask = {.nlmsg_len = NLMSG_LENGTH(0),
			       .nlmsg_type = type,
			       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP};
	static _Alignas(8) char buf[65536];
	int fd = storm_nl_socket();
	size_t count = 0;

	if (send(fd, &ask, ask.nlmsg_len, 0) < 0)
		storm_die("no dump: %s", strerror(errno));
	for (;;) {
		ssize_t n = recv(fd, buf, sizeof(buf), 0);
		int rem = (int)n;

		if (n <= 0)
			storm_die("dump: %s", strerror(errno));
		for (struct nlmsghdr *m = (void *)buf; NLMSG_OK(m, rem); m = NLMSG_NEXT(m, rem)) {
			if (m->nlmsg_type == NLMSG_ERROR)
				storm_die("dump: the kernel refuses");
			if (m->nlmsg_type == NLMSG_DONE) {
				close(fd);
				return count;
			}
			count++;
			each(ctx, m);
		}
	}
}

int storm_default_block(void)
{
	struct {
		struct nlmsghdr hdr;
		struct xfrm_userpolicy_default body;
	} ask = {.hdr = {.nlmsg_len = sizeof(ask),
			 .nlmsg_type = XFRM_MSG_GETDEFAULT,
			 .nlmsg_flags = NLM_F_REQUEST}};
	int fd = storm_nl_socket();

	if (send(fd, &ask, sizeof(ask), 0) < 0 || recv(fd, &ask, sizeof(ask), 0) < 0 ||
	    ask.hdr.nlmsg_type != XFRM_MSG_GETDEFAULT)
		storm_die("the default policy is not told");
	close(fd);
	return ask.body.out == XFRM_USERPOLICY_BLOCK;
}

const void *storm_attr(const struct nlmsghdr *msg, size_t size, uint16_t type, size_t *len)
{
	const char *at = (const char *)msg + NLMSG_SPACE(size);
	const char *end = (const char *)msg + msg->nlmsg_len;

	while (at + NLA_HDRLEN <= end) {
		const struct nlattr *a = (const void *)at;

		if (a->nla_len < NLA_HDRLEN || at + a->nla_len > end)
			storm_die("an attribute of the kernel's does not fit its message");
		if ((a->nla_type & NLA_TYPE_MASK) == type) {
			if (len)
				*len = (size_t)a->nla_len - NLA_HDRLEN;
			return at + NLA_HDRLEN;
		}
		at += NLA_ALIGN(a->nla_len);
	}
	return NULL;
}
