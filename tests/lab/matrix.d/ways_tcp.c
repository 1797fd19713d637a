// SPDX-License-Identifier: GPL-2.0-only
/* TCP: what sends without a call, what the peer makes it send, and what is the kernel's own. */
#include <netinet/tcp.h>
#include <poll.h>

#include "way.h"

#ifndef TCP_FASTOPEN_CONNECT
#define TCP_FASTOPEN_CONNECT 30
#endif
#ifndef TCP_FASTOPEN_NO_COOKIE
#define TCP_FASTOPEN_NO_COOKIE 34
#endif

/* arg: NO_COOKIE: the SYN has the data. */
WAY(go_fastopen)
{
	union name to = peer_name(w);
	int fd = way_socket(w);

	if (w->arg)
		want(fd, IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, 1);
	stage();
	TRY(sendto(fd, body, LENGTH, MSG_FASTOPEN | MSG_NOSIGNAL, &to.sa, name_len(&to)));
	return 0;
}

/* arg: NO_COOKIE: connect() sends nothing, the SYN leaves with the first write(). */
WAY(go_fastopen_connect)
{
	int fd = way_socket(w), err;

	want(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1);
	if (w->arg)
		want(fd, IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, 1);
	err = way_connect(w, fd);
	stage();
	if (err)
		return err;
	TRY(write(fd, body, LENGTH));
	return 0;
}

/* Connected before, with a byte over; then data, or (arg) a FIN. */
WAY(go_stream)
{
	int fd = way_socket(w), err = way_connect(w, fd);

	if (!err && send(fd, body, 1, MSG_NOSIGNAL) < 0)
		err = -errno;
	stage();
	if (err)
		return err;
	if (!w->arg)
		return way_send(w, fd);
	TRY(shutdown(fd, SHUT_WR));
	return 0;
}

WAY(go_urgent)
{
	int fd = way_socket(w), err = way_connect(w, fd);

	stage();
	if (err)
		return err;
	TRY(send(fd, body, 1, MSG_OOB | MSG_NOSIGNAL));
	return 0;
}

/* Its reset: no call of sending either. */
WAY(go_close)
{
	int fd = way_socket(w), err = way_connect(w, fd);

	stage();
	if (err)
		return err;
	TRY(close(fd));
	return 0;
}

/* A timer sends, in whatever process runs. */
WAY(go_keepalive)
{
	int fd = way_socket(w), err = way_connect(w, fd);

	stage();
	if (err)
		return err;
	want(fd, IPPROTO_TCP, TCP_KEEPINTVL, 1);
	want(fd, IPPROTO_TCP, TCP_KEEPIDLE, 1);
	want(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	pause_ms(1300);
	return 0;
}

static int listen_here(const struct way *w, uint16_t *port)
{
	union name own = name_of(w->to, w->to == TO6 ? OWN6 : OWN4, 0);
	socklen_t len = sizeof(own);
	int fd = way_socket(w);

	if (bind(fd, &own.sa, name_len(&own)) || listen(fd, 8) || getsockname(fd, &own.sa, &len))
		not_here(errno);
	*port = ntohs(own.v4.sin_port); /* at the same place in both */
	return fd;
}

/* The peer connects: SYN-ACKs are of no call at all. */
WAY(go_listen)
{
	uint16_t port;
	int fd = listen_here(w, &port), err;

	stage();
	err = peer_do(PEER_CONNECT, family_of(w), port);
	close(fd);
	return err < 0 ? err : 0;
}

/* The peer connected; arg 0: we write, 1: we only acknowledge what it sends. */
WAY(go_accepted)
{
	uint16_t port;
	int fd = listen_here(w, &port), one = 0;
	int peers = peer_do(PEER_CONNECT, family_of(w), port), err;
	struct linger reset = {1, 0};

	if (peers >= 0) {
		one = accept(fd, NULL, NULL);
		setsockopt(one, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	}
	stage();
	if (peers < 0)
		return peers;
	if (!w->arg)
		return way_send(w, one);
	err = peer_do(PEER_SEND, family_of(w), (uint16_t)peers);
	pause_ms(60); /* acknowledgements may be put off for 40 ms */
	return err;
}

/* Whoever may, makes a connection without a packet. */
WAY(go_repair)
{
	int fd = way_socket(w), err;

	want(fd, IPPROTO_TCP, TCP_REPAIR, 1);
	err = way_connect(w, fd);
	stage();
	if (err)
		return err;
	want(fd, IPPROTO_TCP, TCP_REPAIR, 0);
	err = way_send(w, fd);
	return err == -ECONNRESET ? 0 : err; /* the peer has none, and may have said so */
}

/* ---- the kernel's own answers, of no socket of ours ---- */

/* A socket that closed, and has nothing any more but the kernel's memory of it, answers a FIN. */
WAY(go_time_wait)
{
	uint16_t port;
	int fd = listen_here(w, &port), peers = peer_do(PEER_CONNECT, family_of(w), port), one;
	struct linger gently = {0, 0};

	if (peers >= 0) {
		one = accept(fd, NULL, NULL);
		setsockopt(one, SOL_SOCKET, SO_LINGER, &gently, sizeof(gently));
		close(one); /* FIN_WAIT2 */
	}
	stage();
	return peers < 0 ? peers : peer_do(PEER_SHUT, family_of(w), (uint16_t)peers);
}

WAY(go_closed_port)
{
	int err;

	stage();
	err = peer_do(PEER_CONNECT, family_of(w), 9);
	return err == -ECONNREFUSED || err == -ETIMEDOUT ? 0 : err;
}

WAY(go_unreachable)
{
	stage();
	return peer_do(PEER_UDP, family_of(w), 9);
}

WAY(go_echo_reply)
{
	stage();
	return peer_do(PEER_PING, family_of(w), 0);
}
