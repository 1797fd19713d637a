// SPDX-License-Identifier: GPL-2.0-only
/* SCTP's further ways, and families that send through a socket of the kernel's. */
#include <netinet/ip.h>

#include "way.h"
#include <linux/if_pppox.h>
#include <linux/rxrpc.h>

#define SCTP_SOCKOPT_CONNECTX 110
#define SCTP_DSTADDRV4	      7 /* include/uapi/linux/sctp.h */
#ifndef SOL_SCTP
#define SOL_SCTP 132
#endif

WAY(go_connectx)
{
	union name to = peer_name(w);
	int fd = way_socket(w);

	stage();
	if (setsockopt(fd, SOL_SCTP, SCTP_SOCKOPT_CONNECTX, &to, name_len(&to)) < 0 &&
	    errno != EINPROGRESS)
		return -errno;
	return 0;
}

/* To who needs no protection, with the peer's as one more address of it. */
WAY(go_sctp_address)
{
	struct way via = *w;
	struct in_addr more = {inet_addr(PEER4)};
	int fd = way_socket(w);

	via.flags |= ELSEWHERE;
	stage();
	if (way_sendmsg(&via, fd, false, SOL_SCTP, SCTP_DSTADDRV4, &more, sizeof(more)))
		return -errno;
	pause_ms(300); /* the first address does not answer: net.sctp.rto_initial */
	return 0;
}

/* Calls of AFS: the kernel sends UDP in a thread of its own. */
WAY(go_rxrpc)
{
	struct sockaddr_rxrpc to = {
		.srx_family = AF_RXRPC, .srx_service = 1, .transport_type = SOCK_DGRAM};
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(unsigned long))];
	} control = {.head = {.cmsg_level = SOL_RXRPC,
			      .cmsg_type = RXRPC_USER_CALL_ID,
			      .cmsg_len = CMSG_LEN(sizeof(unsigned long))}};
	struct iovec text = {body, LENGTH};
	struct msghdr m = {.msg_name = &to,
			   .msg_namelen = sizeof(to),
			   .msg_iov = &text,
			   .msg_iovlen = 1,
			   .msg_control = &control,
			   .msg_controllen = sizeof(control)};
	union name peer = peer_name(w);
	int fd = socket(AF_RXRPC, SOCK_DGRAM, family_of(w));

	if (fd < 0)
		not_here(errno);
	memcpy(&to.transport, &peer, name_len(&peer));
	to.transport_len = (uint16_t)name_len(&peer);
	stage();
	TRY(sendmsg(fd, &m, 0));
	pause_ms(50); /* a thread of the kernel's sends */
	return 0;
}

/* L2TP: the user's UDP socket, which the kernel sends on. */
WAY(go_pppol2tp)
{
	struct sockaddr_pppol2tp at = {.sa_family = AF_PPPOX, .sa_protocol = PX_PROTO_OL2TP};
	int udp = way_socket(w), err = way_connect(w, udp);
	int tunnel = socket(AF_PPPOX, SOCK_DGRAM, PX_PROTO_OL2TP);
	int session = socket(AF_PPPOX, SOCK_DGRAM, PX_PROTO_OL2TP);

	if (tunnel < 0 || session < 0)
		not_here(errno);
	at.pppol2tp.fd = udp;
	at.pppol2tp.s_tunnel = at.pppol2tp.d_tunnel = (uint16_t)(getpid() & 0x7fff) + 1;
	if (!err && connect(tunnel, (struct sockaddr *)&at, sizeof(at)))
		err = -errno;
	at.pppol2tp.s_session = at.pppol2tp.d_session = 1;
	if (!err && connect(session, (struct sockaddr *)&at, sizeof(at)))
		err = -errno;
	stage();
	if (err)
		return err;
	TRY(send(session, body, LENGTH, MSG_NOSIGNAL));
	return 0;
}

/* Oracle's datagrams over TCP, which a thread of the kernel's connects. */
WAY(go_rds)
{
	union name own = name_of(w->to, OWN4, 5000), to = peer_name(w);
	int fd = socket(AF_RDS, SOCK_SEQPACKET, 0);

	if (fd < 0)
		not_here(errno);
	TRY(bind(fd, &own.sa, name_len(&own)));
	stage();
	TRY(sendto(fd, body, LENGTH, 0, &to.sa, name_len(&to)));
	pause_ms(100);
	return 0;
}

/* It falls back to TCP, on a socket of the kernel's. */
WAY(go_smc)
{
	union name to = peer_name(w);
	int fd = socket(AF_SMC, SOCK_STREAM, 0);

	if (fd < 0)
		not_here(errno);
	stage();
	TRY(connect(fd, &to.sa, name_len(&to)));
	return 0;
}
