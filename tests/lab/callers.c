// SPDX-License-Identifier: GPL-2.0-only
/*
 * callers tcp|udp COUNT ADDRESS PEERS PORT: COUNT processes at once, each with one connect() or one
 * sendto() to one of PEERS addresses from ADDRESS (IPv4) on. One line of JSON:
 *
 * {"started":1000,"ok":1000,"errnos":{"EAGAIN":1},"longest_s":1.5}
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ERRNO_MAX = 4096 };

static struct {
	atomic_uint errnos[ERRNO_MAX]; /* 0: it succeeded */
	_Atomic double longest;
} * shared;

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void one(bool udp, struct sockaddr_in to)
{
	int fd = socket(AF_INET, udp ? SOCK_DGRAM : SOCK_STREAM, 0);
	double began = now_s(), took, longest = atomic_load(&shared->longest);
	ssize_t r;

	r = udp ? sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to))
		: connect(fd, (struct sockaddr *)&to, sizeof(to));
	atomic_fetch_add(&shared->errnos[r < 0 ? errno % ERRNO_MAX : 0], 1);
	took = now_s() - began;
	while (took > longest && !atomic_compare_exchange_weak(&shared->longest, &longest, took))
		;
	_exit(0);
}

static void tell(unsigned int started)
{
	const char *comma = "";

	printf("{\"started\":%u,\"ok\":%u,\"errnos\":{", started, shared->errnos[0]);
	for (int i = 1; i < ERRNO_MAX; i++) {
		if (!shared->errnos[i])
			continue;
		printf("%s\"%s\":%u", comma, strerrorname_np(i), shared->errnos[i]);
		comma = ",";
	}
	printf("},\"longest_s\":%.3f}\n", shared->longest);
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	unsigned int count, peers, started = 0;
	in_addr_t first;

	if (argc != 6 || inet_pton(AF_INET, argv[3], &to.sin_addr) != 1) {
		fputs("usage: callers tcp|udp COUNT ADDRESS PEERS PORT\n", stderr);
		return 2;
	}
	count = (unsigned int)atoi(argv[2]);
	peers = (unsigned int)atoi(argv[4]);
	to.sin_port = htons((in_port_t)atoi(argv[5]));
	first = ntohl(to.sin_addr.s_addr);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED || !peers) {
		perror("callers");
		return 1;
	}
	for (unsigned int i = 0; i < count; i++) {
		pid_t pid = fork();

		to.sin_addr.s_addr = htonl(first + i % peers);
		if (!pid)
			one(!strcmp(argv[1], "udp"), to);
		started += pid > 0;
	}
	while (wait(NULL) > 0)
		;
	tell(started);
	return 0;
}
