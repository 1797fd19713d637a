// SPDX-License-Identifier: GPL-2.0-only
/*
 * held ROUNDS CGROUP DAEMON: for the script hold, in its namespace. In each round a policy asks for
 * an SA, a process in the gate at CGROUP calls connect(), and once it sleeps in a waiting room the
 * policy goes. From the event, as a listener sees it that only reads it, to connect() returned,
 * against a connect() that need not wait; and the CPU that the call and the daemon (its process id)
 * use. The call waits for 2 ms, and in other rounds for 100: an idle machine's caches are cold.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/netlink.h>
#include <linux/xfrm.h>

#include "stats.h"
#include "world.h"
#include "xfrm_nl.h"

enum { PEER = 7 }; /* the policy's number: xfrm_nl.c has its address */

struct shared {
	double before, after; /* connect(), us */
	double cpu_ms;	      /* the caller's */
	int error;
};

static struct shared *shared;

static double clock_us(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static void pause_ms(long ms)
{
	nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

static pid_t call(const char *cgroup)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons(80),
				 .sin_addr.s_addr = htonl(0x80000000U + PEER)};
	pid_t pid = fork();
	char path[512];
	double cpu;
	int fd;

	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (pid)
		return pid;
	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, "0", 1) != 1)
		die("%s: %s", path, strerror(errno));
	fd = socket(AF_INET, SOCK_STREAM, 0);
	cpu = clock_us(CLOCK_PROCESS_CPUTIME_ID);
	shared->before = clock_us(CLOCK_MONOTONIC);
	shared->error = connect(fd, (struct sockaddr *)&to, sizeof(to)) ? errno : 0;
	shared->after = clock_us(CLOCK_MONOTONIC);
	shared->cpu_ms = (clock_us(CLOCK_PROCESS_CPUTIME_ID) - cpu) / 1e3;
	_exit(0);
}

static void done(pid_t pid)
{
	if (waitpid(pid, NULL, 0) < 0)
		die("waitpid: %s", strerror(errno));
	if (shared->error)
		die("connect(): %s", strerror(shared->error));
}

/* The first number of /proc/PID/schedstat: ns on a CPU. */
static double daemon_ms(const char *pid)
{
	char path[64];
	double ns = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/schedstat", pid);
	f = fopen(path, "r");
	if (!f || fscanf(f, "%lf", &ns) != 1)
		die("%s: %s", path, strerror(errno));
	fclose(f);
	return ns / 1e6;
}

static bool sleeps(pid_t pid)
{
	char path[64], text[4096] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	f = fopen(path, "r");
	if (f) {
		text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
		fclose(f);
	}
	return strstr(text, "/sagate-hold-") != NULL;
}

static int listen_bare(void)
{
	struct sockaddr_nl policies = {.nl_family = AF_NETLINK,
				       .nl_groups = 1U << (XFRMNLGRP_POLICY - 1)};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_XFRM);

	if (fd < 0 || bind(fd, (struct sockaddr *)&policies, sizeof(policies)))
		die("listener: %s", strerror(errno));
	return fd;
}

static double event_us(int bare)
{
	char buffer[4096];

	if (recv(bare, buffer, sizeof(buffer), 0) < 0)
		die("listener: %s", strerror(errno));
	return clock_us(CLOCK_MONOTONIC);
}

/* False: it went through before the daemon had the policy. */
static bool held_round(int fd, int bare, const char *cgroup, const char *daemon, int idle_ms,
		       double *us, double *ms)
{
	double cpu, gone;
	pid_t pid;
	int tries;

	xfrm_policy(fd, true, PEER);
	event_us(bare);
	pause_ms(idle_ms);
	cpu = daemon_ms(daemon);
	pid = call(cgroup);
	for (tries = 0; tries < 200 && !sleeps(pid); tries++)
		pause_ms(1);
	pause_ms(idle_ms);
	gone = clock_us(CLOCK_MONOTONIC);
	xfrm_policy(fd, false, PEER);
	event_us(bare);
	done(pid);
	*us = shared->after - gone;
	*ms = shared->cpu_ms + daemon_ms(daemon) - cpu;
	return tries < 200;
}

/* Nobody waits: from the request to the event read. */
static double listener_round(int fd, int bare, int idle_ms)
{
	double gone;

	xfrm_policy(fd, true, PEER);
	event_us(bare);
	pause_ms(idle_ms);
	gone = clock_us(CLOCK_MONOTONIC);
	xfrm_policy(fd, false, PEER);
	return event_us(bare) - gone;
}

static void tell(const char *name, const char *unit, int idle_ms, double value, double base,
		 int rounds)
{
	printf("{\"bench\":\"hold\",\"case\":\"%s, waits %d ms\",\"unit\":\"%s\","
	       "\"value\":%.4g,\"base\":%.4g,\"ratio\":%.4f,\"rounds\":%d}\n",
	       name, idle_ms, unit, value, base, value / base, rounds);
}

static void measure(int rounds, const char *cgroup, const char *daemon, int idle_ms)
{
	static double us[ROUNDS_MAX], ms[ROUNDS_MAX], seen_us[ROUNDS_MAX], plain_us[ROUNDS_MAX],
		plain_ms[ROUNDS_MAX];
	int n = 0, fd = xfrm_open(), bare = listen_bare();
	double seen;

	for (int i = 0; i < rounds; i++) {
		seen_us[n] = listener_round(fd, bare, idle_ms);
		pause_ms(idle_ms);
		done(call(cgroup));
		plain_us[n] = shared->after - shared->before;
		plain_ms[n] = shared->cpu_ms;
		n += held_round(fd, bare, cgroup, daemon, idle_ms, &us[n], &ms[n]);
	}
	if (n < rounds * 9 / 10)
		die("only %d of %d calls were held", n, rounds);
	seen = quantile(seen_us, (size_t)n, 0.5);
	tell("event to connect() returned, p50", "us", idle_ms, quantile(us, (size_t)n, 0.5) - seen,
	     quantile(plain_us, (size_t)n, 0.5), n);
	tell("event to connect() returned, p99", "us", idle_ms,
	     quantile(us, (size_t)n, 0.99) - seen, quantile(plain_us, (size_t)n, 0.99), n);
	tell("CPU of a call that waits", "ms", idle_ms, quantile(ms, (size_t)n, 0.5),
	     quantile(plain_ms, (size_t)n, 0.5), n);
	close(fd);
	close(bare);
}

int main(int argc, char **argv)
{
	int rounds = argc == 4 ? atoi(argv[1]) : 0;

	if (rounds < 1 || rounds > ROUNDS_MAX)
		die("usage: held ROUNDS CGROUP DAEMON");
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		die("mmap: %s", strerror(errno));
	measure(rounds, argv[2], argv[3], 2);
	measure(rounds, argv[2], argv[3], 100);
	return 0;
}
