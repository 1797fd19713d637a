// SPDX-License-Identifier: GPL-2.0-only
/*
 * flood WAY NET COUNT THREADS: threads that call one address after the other, COUNT of them from
 * NET on, each as fast as it can. WAY: udp, tcp; udp-nb, tcp-nb, which do not block.
 *
 * Prints "up", and at SIGTERM how often what came of it: "N=ok N=EAGAIN …".
 */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static atomic_uint results[4096]; /* by errno */
static atomic_uint next;
static unsigned int net, count;
static int type, stream;

static void *run(void *unused)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(80)};
	int fd, failed;

	for (;;) {
		to.sin_addr.s_addr = htonl(net + next++ % count);
		fd = socket(AF_INET, type, 0);
		failed = stream ? connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0
				: sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)) < 0;
		results[failed ? errno : 0]++;
		close(fd);
	}
	return unused;
}

int main(int argc, char **argv)
{
	struct in_addr first;
	pthread_attr_t small;
	pthread_t id;
	sigset_t set;
	int sig;

	if (argc != 5 || inet_pton(AF_INET, argv[2], &first) != 1)
		return 2;
	stream = !strncmp(argv[1], "tcp", 3);
	type = (stream ? SOCK_STREAM : SOCK_DGRAM) | (strstr(argv[1], "-nb") ? SOCK_NONBLOCK : 0);
	net = ntohl(first.s_addr);
	count = (unsigned int)atoi(argv[3]);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 65536);
	for (int i = atoi(argv[4]); i > 0; i--)
		if (pthread_create(&id, &small, run, NULL))
			return 1;
	puts("up");
	fflush(stdout);
	sigwait(&set, &sig);
	for (int i = 0; i < 4096; i++)
		if (results[i])
			printf("%u=%s ", results[i], i ? strerrorname_np(i) ?: "LEAK" : "ok");
	puts("");
	fflush(stdout);
	_exit(0);
}
