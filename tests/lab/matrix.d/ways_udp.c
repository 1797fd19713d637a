// SPDX-License-Identifier: GPL-2.0-only
/* Sockets that sendto() their peer, or are connected and send: UDP above all. */
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/errqueue.h>
#include <linux/udp.h>
#include <netinet/ip.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "way.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

WAY(go_connect)
{
	int fd = way_socket(w);

	stage();
	return way_connect(w, fd);
}

WAY(go_sendto)
{
	int fd = way_socket(w);

	stage();
	return way_sendto(w, fd);
}

WAY(go_connect_send)
{
	int fd = way_socket(w), err = way_connect(w, fd);

	stage();
	return err ? err : way_send(w, fd);
}

/* L2TP/IP wants to be bound. */
WAY(go_bound_send)
{
	union name own = name_of(w->to, w->to == TO6 ? OWN6 : OWN4, 0);
	int fd = way_socket(w), err;

	own.v4.sin_zero[0] = 7; /* its connection's number: l2tp_conn_id */
	TRY(bind(fd, &own.sa, name_len(&own)));
	err = way_connect(w, fd);
	stage();
	return err ? err : way_send(w, fd);
}

/* It has sent before: what may be remembered is. */
WAY(go_connect_send_again)
{
	int fd = way_socket(w), err = way_connect(w, fd);

	if (!err)
		err = way_send(w, fd);
	stage();
	return err ? err : way_send(w, fd);
}

WAY(go_write)
{
	int fd = way_socket(w), err = way_connect(w, fd);
	struct iovec text = {body, LENGTH};

	stage();
	if (err)
		return err;
	TRY(w->arg ? writev(fd, &text, 1) : write(fd, body, LENGTH));
	return 0;
}

WAY(go_mmsg)
{
	union name to = peer_name(w);
	struct iovec text = {body, LENGTH};
	struct mmsghdr two[2];
	int fd = way_socket(w), n;

	for (int i = 0; i < 2; i++)
		two[i].msg_hdr = (struct msghdr){.msg_name = &to,
						 .msg_namelen = name_len(&to),
						 .msg_iov = &text,
						 .msg_iovlen = 1};
	stage();
	n = sendmmsg(fd, two, 2, 0);
	return n < 0 ? -errno : n == 2 ? 0 : -EMSGSIZE;
}

WAY(go_splice)
{
	int fd = way_socket(w), err = way_connect(w, fd), pipes[2];

	stage();
	if (err)
		return err;
	TRY(pipe(pipes));
	TRY(write(pipes[1], body, LENGTH));
	TRY(splice(pipes[0], NULL, fd, NULL, LENGTH, 0));
	return 0;
}

WAY(go_sendfile)
{
	int fd = way_socket(w), err = way_connect(w, fd);
	int file = memfd_create("text", MFD_CLOEXEC);
	off_t at = 0;

	stage();
	if (err)
		return err;
	TRY(write(file, body, LENGTH));
	TRY(sendfile(fd, file, &at, LENGTH));
	return 0;
}

/* In fragments, or of more bytes than fit. */
WAY(go_big)
{
	static const unsigned char much[60000];
	union name to = peer_name(w);
	int fd = way_socket(w);

	stage();
	TRY(sendto(fd, much, sizeof(much), 0, &to.sa, name_len(&to)));
	return 0;
}

/* An IPv6 socket that speaks IPv4 becomes an IPv4 one. */
WAY(go_addrform)
{
	int fd = way_socket(w), err = way_connect(w, fd);

	if (!err)
		want(fd, IPPROTO_IPV6, IPV6_ADDRFORM, AF_INET);
	stage();
	return err ? err : way_send(w, fd);
}

/* To a group that is required (tests/lab/matrix). */
WAY(go_group)
{
	union name to = name_of(w->to, w->to == TO6 ? "ff05::1:2" : "239.1.2.3", PORT);
	int fd = way_socket(w);

	stage();
	TRY(sendto(fd, body, LENGTH, 0, &to.sa, name_len(&to)));
	return 0;
}

/* A destination without a family: an IPv4 socket takes it for its own. */
WAY(go_unspec_name)
{
	union name to = peer_name(w);
	int fd = way_socket(w);
	socklen_t len = name_len(&to);

	to.sa.sa_family = AF_UNSPEC;
	stage();
	TRY(sendto(fd, body, LENGTH, 0, &to.sa, len));
	return 0;
}

/* An IPv6 one takes no notice and sends where it is connected to. */
WAY(go_unspec_connected)
{
	union name to = peer_name(w);
	int fd = way_socket(w), err = way_connect(w, fd);

	stage();
	if (err)
		return err;
	to.sa.sa_family = AF_UNSPEC;
	TRY(sendto(fd, body, LENGTH, 0, &to.sa, sizeof(to.v6)));
	return 0;
}

WAY(go_disconnect_send)
{
	union name none = {.sa.sa_family = AF_UNSPEC};
	int fd = way_socket(w), err = way_connect(w, fd);

	stage();
	if (err)
		return err;
	TRY(connect(fd, &none.sa, sizeof(none.v4)));
	return way_send(w, fd);
}

/* Connected to where nothing needs protection; then to the peer (arg 0: sendto() only). */
WAY(go_reconnect)
{
	union name via = name_of(w->to, w->to == TO6 ? VIA6 : VIA4, PORT);
	int fd = way_socket(w);

	TRY(connect(fd, &via.sa, name_len(&via)));
	stage();
	if (!w->arg)
		return way_sendto(w, fd);
	TRY(way_connect(w, fd));
	return way_send(w, fd);
}

/* arg: the option; beyond 1000 on a socket that is connected. */
WAY(go_cmsg)
{
	struct in_pktinfo info4 = {.ipi_spec_dst.s_addr = inet_addr(OWN4)};
	struct in6_pktinfo info6 = {.ipi6_ifindex = 0};
	bool connected = w->arg > 1000, v4 = family_of(w) == AF_INET;
	int fd = way_socket(w), type = w->arg % 1000, value = 0x10;
	int err = connected ? way_connect(w, fd) : 0;
	const void *data = &value;
	size_t size = sizeof(value);

	inet_pton(AF_INET6, OWN6, &info6.ipi6_addr);
	if (v4 && type == IP_PKTINFO) {
		data = &info4;
		size = sizeof(info4);
	} else if (!v4 && type == IPV6_PKTINFO) {
		data = &info6;
		size = sizeof(info6);
	} else if (type == IP_ORIGDSTADDR || type == IPV6_ORIGDSTADDR) {
		static union name origin;

		origin = peer_name(w);
		data = &origin;
		size = name_len(&origin);
	}
	stage();
	return err ? err
		   : way_sendmsg(w, fd, connected, v4 ? IPPROTO_IP : IPPROTO_IPV6, type, data,
				 size);
}

/* The second send, behind the change, is what sends. arg: unconnected. */
WAY(go_more)
{
	union name to = peer_name(w);
	int fd = way_socket(w), err = w->arg ? 0 : way_connect(w, fd);

	if (!err && sendto(fd, body, LENGTH, MSG_MORE, w->arg ? &to.sa : NULL,
			   w->arg ? name_len(&to) : 0) < 0)
		err = -errno;
	stage();
	return err ? err : way_send(w, fd);
}

/* Nothing is sent any more, the cork is drawn: no call of sending. */
WAY(go_cork)
{
	int fd = way_socket(w), err = way_connect(w, fd);

	want(fd, IPPROTO_UDP, UDP_CORK, 1);
	if (!err)
		err = way_send(w, fd);
	stage();
	if (err)
		return err;
	want(fd, IPPROTO_UDP, UDP_CORK, 0);
	return 0;
}

/* arg: as a control message, on a connected socket. */
WAY(go_gso)
{
	uint16_t size = 50;
	int fd = way_socket(w), err = w->arg ? way_connect(w, fd) : 0;

	if (!w->arg)
		want(fd, IPPROTO_UDP, UDP_SEGMENT, size);
	stage();
	if (err)
		return err;
	return w->arg ? way_sendmsg(w, fd, true, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size))
		      : way_sendto(w, fd);
}

WAY(go_zerocopy)
{
	int fd = way_socket(w), err = way_connect(w, fd);

	want(fd, SOL_SOCKET, SO_ZEROCOPY, 1);
	stage();
	if (err)
		return err;
	TRY(send(fd, body, LENGTH, MSG_ZEROCOPY | MSG_NOSIGNAL));
	return 0;
}

/* io_submit(): a write of the kernel's older asynchronous interface. */
WAY(go_aio)
{
	int fd = way_socket(w), err = way_connect(w, fd);
	struct iocb one = {.aio_lio_opcode = IOCB_CMD_PWRITE,
			   .aio_fildes = (uint32_t)fd,
			   .aio_buf = (uintptr_t)body,
			   .aio_nbytes = LENGTH},
		    *list = &one;
	struct io_event event;
	aio_context_t ctx = 0;

	stage();
	if (err)
		return err;
	if (syscall(SYS_io_setup, 1, &ctx))
		not_here(errno);
	TRY(syscall(SYS_io_submit, ctx, 1, &list));
	TRY(syscall(SYS_io_getevents, ctx, 1, 1, &event, NULL));
	return event.res < 0 ? (int)event.res : 0;
}
