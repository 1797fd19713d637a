// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "way.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

struct order {
	enum peer_op op;
	int family;
	uint16_t port;
};

static int orders = -1; /* of whoever asks */
static pid_t process;

/* Listens, or receives and says nothing: so no ICMP error goes back either. */
static int serve(int family, int type, int proto)
{
	union name own =
		name_of(family == AF_INET ? TO4 : TO6, family == AF_INET ? "0.0.0.0" : "::", PORT);
	int fd = socket(family, type | SOCK_NONBLOCK, proto), one = 1;
	struct linger reset = {1, 0}; /* what it accepts ends at once, with it */

	if (fd < 0)
		return -1; /* this kernel has none */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (type == SOCK_RAW)
		return fd;
	if (bind(fd, &own.sa, name_len(&own)))
		die("the peer's port %d: %s", PORT, strerror(errno));
	if (type == SOCK_STREAM || type == SOCK_DCCP)
		listen(fd, 1024);
	return fd;
}

static int connect_in_time(int fd, const union name *to)
{
	struct pollfd wait = {.fd = fd, .events = POLLOUT};
	socklen_t len = sizeof(int);
	int err = ETIMEDOUT;

	if (connect(fd, &to->sa, name_len(to)) && errno != EINPROGRESS)
		return -errno;
	if (poll(&wait, 1, 300) == 1)
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
	return -err;
}

static int ask_once(const struct order *o, const union name *to)
{
	struct icmphdr echo4 = {.type = ICMP_ECHO};
	struct icmp6_hdr echo6 = {.icmp6_type = ICMP6_ECHO_REQUEST};
	int proto = o->op == PEER_UDP	   ? IPPROTO_UDP
		    : o->family == AF_INET ? IPPROTO_ICMP
					   : IPPROTO_ICMPV6;
	int fd = socket(o->family, SOCK_DGRAM, proto), err = 0;

	if (sendto(fd, o->family == AF_INET ? (void *)&echo4 : (void *)&echo6, 8, 0, &to->sa,
		   name_len(to)) < 0)
		err = -errno;
	close(fd);
	return err;
}

static int obey(const struct order *o)
{
	union name to = name_of(o->family == AF_INET ? TO4 : TO6,
				o->family == AF_INET ? OWN4 : OWN6, o->port);
	struct linger reset = {1, 0};
	int fd, err;

	switch (o->op) {
	case PEER_CONNECT:
		fd = socket(o->family, SOCK_STREAM | SOCK_NONBLOCK, 0);
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		err = connect_in_time(fd, &to);
		if (err)
			close(fd);
		return err ? err : fd;
	case PEER_SEND:
		return send(o->port, body, LENGTH, MSG_NOSIGNAL) < 0 ? -errno : 0;
	case PEER_SHUT:
		return shutdown(o->port, SHUT_WR) ? -errno : 0;
	default:
		return ask_once(o, &to);
	}
}

/* Nothing is ever closed or answered: what it accepts stays open. */
static void run(int fd)
{
	struct pollfd wait[16] = {{.fd = fd, .events = POLLIN}};
	nfds_t n = 1;
	static const int kinds[][2] = {
		{SOCK_STREAM, 0}, {SOCK_DGRAM, 0}, {SOCK_STREAM, 132}, {SOCK_DCCP, IPPROTO_DCCP},
		{SOCK_RAW, 115},  {SOCK_RAW, 136}, {SOCK_RAW, 253}};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		int type = kinds[i][0], proto = kinds[i][1];

		wait[n++] = (struct pollfd){serve(AF_INET, type, proto), POLLIN, 0};
		wait[n++] = (struct pollfd){serve(AF_INET6, type, proto), POLLIN, 0};
	}
	for (;;) {
		char buf[2048];
		struct order o;

		if (poll(wait, n, -1) < 0)
			continue;
		for (nfds_t i = 1; i < n; i++)
			if (wait[i].revents && accept(wait[i].fd, NULL, NULL) < 0)
				(void)!recv(wait[i].fd, buf, sizeof(buf), 0);
		if (wait[0].revents & POLLHUP)
			exit(0);
		if (wait[0].revents && recv(fd, &o, sizeof(o), 0) == sizeof(o)) {
			int err = obey(&o);

			(void)!send(fd, &err, sizeof(err), 0);
		}
	}
}

void peer_start(void)
{
	struct rlimit many = {8192, 8192};
	int pair[2];

	setrlimit(RLIMIT_NOFILE, &many);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		die("socketpair: %s", strerror(errno));
	process = fork();
	if (!process) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(pair[0]);
		host_enter(world.netns_b);
		run(pair[1]);
	}
	close(pair[1]);
	orders = pair[0];
	peer_do(PEER_PING, AF_INET, 0); /* it answers when it listens */
}

void peer_stop(void)
{
	kill(process, SIGKILL);
	waitpid(process, NULL, 0);
	close(orders);
}

int peer_do(enum peer_op op, int family, uint16_t port)
{
	struct order o = {op, family, port};
	int err = -EIO;

	if (send(orders, &o, sizeof(o), 0) < 0 || recv(orders, &err, sizeof(err), 0) < 0)
		return -errno;
	return err;
}
