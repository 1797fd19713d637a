// SPDX-License-Identifier: GPL-2.0-only
/*
 * crowd ADDRESS PORT THREADS: threads that make one call after the other, UDP, and TCP that is not
 * to block (where the policy is there the kernel itself would make it wait).
 *
 * Prints "up"; for each SIGUSR1 "round MS" once every thread has ended a call since, or "stuck
 * TID…"; at SIGTERM "ended MS RESULT=N…" once all have.
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
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { THREADS_MAX = 256, PATIENCE_MS = 5000 };

static struct {
	pthread_t id;
	pid_t tid;
	atomic_ulong calls;
	atomic_int ended;
} threads[THREADS_MAX];
static atomic_uint results[4096]; /* by errno */
static atomic_int stop;
static struct sockaddr_in to = {.sin_family = AF_INET};
static int count;

static int call(unsigned long n)
{
	int type = n % 2 ? SOCK_STREAM | SOCK_NONBLOCK : SOCK_DGRAM, error;
	int fd = socket(AF_INET, type, 0);

	if (type != SOCK_DGRAM)
		error = connect(fd, (struct sockaddr *)&to, sizeof(to)) ? errno : 0;
	else
		error = sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)) < 0 ? errno : 0;
	close(fd);
	return error;
}

static void *run(void *arg)
{
	long i = (long)arg;

	threads[i].tid = (pid_t)syscall(SYS_gettid);
	while (!stop) {
		results[call((unsigned long)i + threads[i].calls)]++;
		threads[i].calls++;
		usleep(1000);
	}
	threads[i].ended = 1;
	return NULL;
}

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Until each has ended a call since, or itself. Says who has not. */
static int all_go_on(const char *word)
{
	unsigned long before[THREADS_MAX];
	long start = now_ms();
	int i, stuck = 0;

	for (i = 0; i < count; i++)
		before[i] = threads[i].calls;
	for (i = 0; i < count && now_ms() - start < PATIENCE_MS;)
		if (threads[i].ended || (!stop && threads[i].calls != before[i]))
			i++;
		else
			usleep(1000);
	for (; i < count; i++)
		if (!threads[i].ended && (stop || threads[i].calls == before[i]))
			printf("%s %d", stuck++ ? "" : "stuck", threads[i].tid);
	if (!stuck)
		printf("%s %ld", word, now_ms() - start);
	return stuck;
}

static void show_results(void)
{
	for (int i = 0; i < 4096; i++)
		if (results[i])
			printf(" %s=%u", !i ? "ok" : strerrorname_np(i) ?: "LEAK", results[i]);
}

int main(int argc, char **argv)
{
	sigset_t set;
	int sig = 0, stuck;

	if (argc != 4 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1)
		return 2;
	to.sin_port = htons((uint16_t)atoi(argv[2]));
	count = atoi(argv[3]);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (long i = 0; i < count; i++)
		if (pthread_create(&threads[i].id, NULL, run, (void *)i))
			return 1;
	setlinebuf(stdout);
	puts("up");
	while (!sigwait(&set, &sig) && sig == SIGUSR1) {
		all_go_on("round");
		puts("");
	}
	stop = 1;
	stuck = all_go_on("ended");
	show_results();
	puts("");
	fflush(stdout);
	_exit(stuck ? 1 : 0);
}
