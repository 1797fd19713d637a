// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/xfrm.h>
#include <netlink/errno.h>
#include <netlink/netlink.h>

#include "mirror_nl.h"
#include "mirror_walk.h"
#include "netns.h"

/* Dumps come in parts of at most 32 KiB (netlink_recvmsg), events one at a time and shorter. */
static _Alignas(struct nlmsghdr) char buffer[64 * 1024];

/*
 * Never ACQUIRE: a listener there makes the kernel believe that a key manager lives, and it makes
 * larval SAs (xfrm_acquire_is_on).
 */
static const int groups[] = {XFRMNLGRP_SA, XFRMNLGRP_POLICY, XFRMNLGRP_EXPIRE, XFRMNLGRP_MIGRATE,
			     XFRMNLGRP_MAPPING};

static int errno_of(int nl_err)
{
	switch (-nl_err) {
	case NLE_NOMEM:
		return -ENOMEM;
	case NLE_PERM:
		return -EPERM;
	case NLE_PROTO_MISMATCH:
		return -EPROTONOSUPPORT;
	default:
		return errno ? -errno : -EIO;
	}
}

static int open_here(int rcvbuf, struct nl_sock **sock)
{
	struct nl_sock *s = nl_socket_alloc();
	int r;

	if (!s)
		return -ENOMEM;
	errno = 0;
	r = nl_connect(s, NETLINK_XFRM);
	if (!r)
		r = nl_socket_set_nonblocking(s);
	if (!r && rcvbuf) {
		int fd = nl_socket_get_fd(s);

		if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &rcvbuf, sizeof(rcvbuf)))
			setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf));
		for (size_t i = 0; !r && i < sizeof(groups) / sizeof(groups[0]); i++)
			r = nl_socket_add_membership(s, groups[i]);
	}
	if (r) {
		r = errno_of(r);
		nl_socket_free(s);
		return r;
	}
	*sock = s;
	return 0;
}

struct opening {
	int rcvbuf;
	struct nl_sock *sock;
};

static int open_inside(void *ctx)
{
	struct opening *o = ctx;

	return open_here(o->rcvbuf, &o->sock);
}

int mirror_nl_open(int netns_fd, int rcvbuf, struct nl_sock **sock, struct error *error)
{
	struct opening o = {.rcvbuf = rcvbuf};
	struct error why = {0};
	int r = netns_run(netns_fd, open_inside, &o, &why);

	if (r && why.code[0] && error)
		*error = why;
	else if (r)
		error_set(error, r, "netlink",
			  "cannot open an XFRM netlink socket: %s (needs "
			  "CAP_NET_ADMIN and a kernel with CONFIG_XFRM_USER)",
			  strerror(-r));
	else
		*sock = o.sock;
	return r;
}

int mirror_nl_ask(struct nl_sock *sock, uint16_t type, uint16_t flags, uint32_t seq)
{
	/*
	 * GETSA asks for a usersa_id, GETPOLICY for a userpolicy_id (xfrm_msg_min); a dump goes
	 * without: xfrm_dump_sa() looks for attributes right behind the header, and the kernel logs
	 * what it cannot read as one.
	 */
	struct {
		struct nlmsghdr hdr;
		struct xfrm_userpolicy_id id;
	} req = {.hdr = {.nlmsg_type = type,
			 .nlmsg_flags = (__u16)(NLM_F_REQUEST | flags),
			 .nlmsg_seq = seq}};
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	ssize_t n;

	switch (flags & NLM_F_DUMP ? NLMSG_NOOP : type) {
	case NLMSG_NOOP:
		req.hdr.nlmsg_len = NLMSG_LENGTH(0);
		break;
	case XFRM_MSG_GETSA:
		req.hdr.nlmsg_len = NLMSG_LENGTH(sizeof(struct xfrm_usersa_id));
		break;
	case XFRM_MSG_GETPOLICY:
		req.hdr.nlmsg_len = NLMSG_LENGTH(sizeof(struct xfrm_userpolicy_id));
		break;
	default:
		req.hdr.nlmsg_len = NLMSG_LENGTH(sizeof(struct xfrm_userpolicy_default));
	}
	n = sendto(nl_socket_get_fd(sock), &req, req.hdr.nlmsg_len, MSG_DONTWAIT | MSG_NOSIGNAL,
		   (struct sockaddr *)&kernel, sizeof(kernel));
	return n < 0 ? -errno : 0;
}

/* What errno says of a read. */
static enum mirror_nl_read read_failed(int *err)
{
	if (errno == EAGAIN || errno == EWOULDBLOCK)
		return READ_NOTHING;
	if (errno == ENOBUFS)
		return READ_OVERRUN;
	*err = -errno;
	return READ_ERROR;
}

enum mirror_nl_read mirror_nl_drop(struct nl_sock *sock, int *err)
{
	ssize_t n;

	do /* no room for a byte: nothing is copied (netlink_recvmsg) */
		/* cppcheck-suppress nullPointer ; see above */
		n = recv(nl_socket_get_fd(sock), NULL, 0, MSG_DONTWAIT | MSG_TRUNC);
	while (n < 0 && errno == EINTR);
	return n < 0 ? read_failed(err) : READ_MESSAGES;
}

enum mirror_nl_read mirror_nl_read(struct nl_sock *sock,
				   bool (*handle)(void *ctx, const struct nlmsghdr *msg), void *ctx,
				   int *err)
{
	struct sockaddr_nl from = {0};
	struct iovec iov = {.iov_base = buffer, .iov_len = sizeof(buffer)};
	struct msghdr hdr = {
		.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1};
	enum mirror_nl_read r;
	ssize_t n;

	do
		n = recvmsg(nl_socket_get_fd(sock), &hdr, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return read_failed(err);
	if (hdr.msg_namelen < sizeof(from) || from.nl_pid != 0)
		r = READ_FOREIGN;
	else if (hdr.msg_flags & MSG_TRUNC)
		r = READ_TRUNCATED;
	else
		r = mirror_walk(buffer, (size_t)n, handle, ctx);
	explicit_bzero(buffer, (size_t)n < sizeof(buffer) ? (size_t)n : sizeof(buffer));
	return r;
}
