// SPDX-License-Identifier: GPL-2.0-only
/*
 * crowd CALLS CGROUP: for the script hold, in its namespace. A policy asks for an SA, so many
 * threads in the gate at CGROUP send a datagram each, and when all sleep in waiting rooms the
 * policy goes. From the request for that until the last one is through, against as many calls in
 * turn that need not wait; and how many were lost on the way.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/xfrm.h>

#include "stats.h"
#include "world.h"
#include "xfrm_nl.h"

enum {
	PEER = 7, /* the policy's number: xfrm_nl.c has its address */
	THREADS = 10,
	STACK = 64 * 1024,
	PATIENCE_S = 120,
};

struct shared {
	atomic_uint sent, refused;
	_Atomic double last; /* s */
};

static struct shared *shared;

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void pause_ms(long ms)
{
	nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

static void *send_one(void *unused)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons(80),
				 .sin_addr.s_addr = htonl(0x80000000U + PEER)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)) == 1)
		atomic_fetch_add(&shared->sent, 1);
	else
		atomic_fetch_add(&shared->refused, 1);
	atomic_store(&shared->last, now_s());
	close(fd);
	return unused;
}

static void process(void)
{
	pthread_t threads[THREADS];
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], &attr, send_one, NULL))
			die("no thread");
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	_exit(0);
}

static unsigned int lines_of(const char *path)
{
	FILE *f = fopen(path, "r");
	unsigned int n = 0;

	for (int c; f && (c = fgetc(f)) != EOF;)
		n += c == '\n';
	if (f)
		fclose(f);
	return n;
}

static unsigned int asleep(const char *cgroup)
{
	unsigned int n = 0;
	char pattern[512];
	glob_t rooms;

	snprintf(pattern, sizeof(pattern), "%s/sagate-hold-*/cgroup.threads", cgroup);
	if (!glob(pattern, 0, NULL, &rooms))
		for (size_t i = 0; i < rooms.gl_pathc; i++)
			n += lines_of(rooms.gl_pathv[i]);
	globfree(&rooms);
	return n;
}

static void start(unsigned int calls, const char *cgroup)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	for (unsigned int i = 0; i < calls / THREADS; i++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork: %s", strerror(errno));
		if (pid)
			continue;
		fd = open(path, O_WRONLY);
		if (fd < 0 || write(fd, "0", 1) != 1)
			die("%s: %s", path, strerror(errno));
		process();
	}
}

/* Seconds until the last of so many calls was made, each in its turn. */
static double in_turn(unsigned int calls)
{
	double began = now_s();

	for (unsigned int i = 0; i < calls; i++)
		send_one(NULL);
	return now_s() - began;
}

int main(int argc, char **argv)
{
	unsigned int calls = argc == 3 ? (unsigned int)atoi(argv[1]) : 0, n = 0;
	double began, parked, gone, plain;
	int fd;

	if (calls < THREADS)
		die("usage: crowd CALLS CGROUP");
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		die("mmap: %s", strerror(errno));
	plain = in_turn(calls);
	atomic_store(&shared->sent, 0);
	fd = xfrm_open();
	xfrm_policy(fd, true, PEER);
	pause_ms(100);
	began = now_s();
	start(calls, argv[2]);
	while ((n = asleep(argv[2])) < calls - atomic_load(&shared->refused) &&
	       now_s() - began < PATIENCE_S)
		pause_ms(20);
	parked = now_s() - began;
	gone = now_s();
	xfrm_policy(fd, false, PEER);
	while (wait(NULL) > 0)
		;
	printf("{\"bench\":\"hold\",\"case\":\"%u calls released\",\"unit\":\"s\",\"value\":%.4g,"
	       "\"base\":%.4g,\"ratio\":%.3f,\"slept\":%u,\"sent\":%u,\"refused\":%u,"
	       "\"to_sleep_s\":%.3f}\n",
	       calls, shared->last - gone, plain, (shared->last - gone) / plain, n,
	       atomic_load(&shared->sent), atomic_load(&shared->refused), parked);
	return 0;
}
