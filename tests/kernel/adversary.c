// SPDX-License-Identifier: GPL-2.0-only
/*
 * adversary FORBIDDEN ALLOWED PORT SECONDS: one thread changes the address in a sockaddr to and
 * fro, as fast as it can, while another connects and sends to it. What left is seen at the peer;
 * here is counted which of the two a call that succeeded had:
 *
 * {"tcp":{"forbidden":0,"allowed":812,"errors":93},"udp":{"sent":9000,"errors":70},"held":1500}
 *
 * held: calls that took longer than 2 ms, so that their thread slept and the address changed under
 * them.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static struct sockaddr_in to = {.sin_family = AF_INET};
static in_addr_t forbidden, allowed;
static unsigned int held;

static void *flip(void *unused)
{
	volatile in_addr_t *address = &to.sin_addr.s_addr;

	for (;;) {
		*address = forbidden;
		*address = allowed;
	}
	return unused;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int make_socket(int type)
{
	struct timeval limit = {.tv_usec = 20000};
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit))) {
		perror("adversary: socket");
		exit(1);
	}
	return fd;
}

static in_addr_t peer_of(int fd)
{
	struct sockaddr_in peer = {};
	socklen_t len = sizeof(peer);

	getpeername(fd, (struct sockaddr *)&peer, &len);
	return peer.sin_addr.s_addr;
}

int main(int argc, char **argv)
{
	unsigned int tcp_forbidden = 0, tcp_allowed = 0, tcp_errors = 0, sent = 0, udp_errors = 0;
	double end, begun;
	pthread_t thread;
	int fd, udp;

	if (argc != 5 || inet_pton(AF_INET, argv[1], &forbidden) != 1 ||
	    inet_pton(AF_INET, argv[2], &allowed) != 1)
		return 2;
	to.sin_port = htons((unsigned short)atoi(argv[3]));
	end = now() + atof(argv[4]);
	udp = make_socket(SOCK_DGRAM);
	if (pthread_create(&thread, NULL, flip, NULL))
		return 1;
	while ((begun = now()) < end) {
		fd = make_socket(SOCK_STREAM);
		if (connect(fd, (struct sockaddr *)&to, sizeof(to)))
			tcp_errors++;
		else if (peer_of(fd) == forbidden)
			tcp_forbidden++;
		else
			tcp_allowed++;
		close(fd);
		held += now() - begun > 0.002;
		begun = now();
		if (sendto(udp, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)) == 1)
			sent++;
		else
			udp_errors++;
		held += now() - begun > 0.002;
	}
	printf("{\"tcp\":{\"forbidden\":%u,\"allowed\":%u,\"errors\":%u},"
	       "\"udp\":{\"sent\":%u,\"errors\":%u},\"held\":%u}\n",
	       tcp_forbidden, tcp_allowed, tcp_errors, sent, udp_errors, held);
	return 0;
}
