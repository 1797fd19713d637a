// SPDX-License-Identifier: GPL-2.0-only
/*
 * guard [quick]: what the guard costs: run time a packet (kernel.bpf_stats) against a program that
 * returns 1, and bulk TCP through a gate against none, over veth and over loopback. All packets are
 * of flows that no policy is for, beside `policies` that are.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <bpf/bpf.h>

#include "base.skel.h"
#include "stats.h"
#include "world.h"

enum { PACKETS = 2000, PORT = 9000, CHUNK = 128 * 1024, POLICIES = 10000 };

static struct world world;
static struct base_bpf *base;
static pid_t sinks[2];

static void stop_sinks(void)
{
	for (int i = 0; i < 2; i++)
		if (sinks[i] > 0)
			kill(-sinks[i], SIGKILL); /* and the one behind each connection */
}

static void run(const char *command)
{
	if (system(command))
		die("%s: failed", command);
}

static struct sockaddr_in address(const char *host)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(PORT)};

	inet_pton(AF_INET, host, &a.sin_addr);
	return a;
}

/* Datagrams to one peer, or each to another. */
static double packets(int fd, int prog, bool all)
{
	struct runs before = runs_of(prog), after;
	struct sockaddr_in to = address("198.51.100.1");

	for (int i = 0; i < PACKETS; i++) {
		if (all)
			to.sin_addr.s_addr = htonl(0xc6336400U | ((unsigned int)random() & 0xff));
		if (all)
			to.sin_port = htons((uint16_t)(1024 + random() % 60000));
		if (sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
			die("sendto: %s", strerror(errno));
	}
	after = runs_of(prog);
	if (after.count - before.count != PACKETS)
		die("%llu runs for %d packets", (unsigned long long)(after.count - before.count),
		    PACKETS);
	return (double)(after.ns - before.ns) / PACKETS;
}

static int udp_in(int cgroup)
{
	int fd;

	world_enter(cgroup);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		die("socket: %s", strerror(errno));
	return fd;
}

static void run_time(int gated, int plain, int rounds)
{
	int a = udp_in(gated), b = udp_in(plain), stats = bpf_enable_stats(BPF_STATS_RUN_TIME);
	int ours = bpf_program_fd(world.bpf, HOOK_EGRESS),
	    one = bpf_program__fd(base->progs.one_egress);

	for (int all = 0; all < 2; all++) {
		struct series s = {};
		struct summary sum;

		for (int i = 0; i < rounds + 1; i++) {
			double x, y;

			bpf_heartbeat(world.bpf);
			x = packets(a, ours, all);
			y = packets(b, one, all);
			if (i)
				series_add(&s, x, y);
		}
		sum = series_sum(&s);
		row("guard", all ? "packet, each of another flow" : "packet of one flow", "", "ns",
		    &sum);
	}
	close(stats);
	close(a);
	close(b);
}

/* Reads and drops all that comes. */
static void sink(const char *host)
{
	struct sockaddr_in at = address(host);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	static char buf[CHUNK];

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 8))
		_exit(1);
	for (;;) {
		int c = accept(fd, NULL, NULL);

		if (!fork()) {
			while (read(c, buf, sizeof(buf)) > 0)
				;
			_exit(0);
		}
		close(c);
	}
}

static int connect_in(int cgroup, const char *host)
{
	struct sockaddr_in to = address(host);
	int fd;

	world_enter(cgroup);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	for (int i = 0; connect(fd, (struct sockaddr *)&to, sizeof(to)); i++) {
		if (i == 500)
			die("%s: %s", host, strerror(errno));
		usleep(10000);
	}
	return fd;
}

/* Megabytes a second, over `ms`. */
static double throughput(int fd, int ms)
{
	static char buf[CHUNK];
	struct timespec start, now;
	double sent = 0, took;

	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		ssize_t n = write(fd, buf, sizeof(buf));

		if (n < 0)
			die("write: %s", strerror(errno));
		sent += (double)n;
		clock_gettime(CLOCK_MONOTONIC, &now);
		took = (double)(now.tv_sec - start.tv_sec) * 1e3 +
		       (double)(now.tv_nsec - start.tv_nsec) / 1e6;
	} while (took < ms);
	return sent / took / 1e3;
}

static void bulk(const char *name, const char *host, int gated, int plain, int rounds)
{
	int a = connect_in(gated, host), b = connect_in(plain, host);
	struct series s = {};
	struct summary sum;

	for (int i = 0; i < rounds + 1; i++) {
		double x, y;

		bpf_heartbeat(world.bpf);
		x = throughput(a, 100);
		y = throughput(b, 100);
		if (i)
			series_add(&s, x, y);
	}
	sum = series_sum(&s);
	row("guard", name, "", "MB/s", &sum);
	close(a);
	close(b);
}

/* A peer behind a veth pair, in a namespace that is this function's alone. */
static pid_t start_sink(const char *host, bool elsewhere)
{
	char command[160];
	pid_t pid = fork();

	if (pid)
		return pid;
	setpgid(0, 0);
	if (elsewhere && unshare(CLONE_NEWNET))
		_exit(1);
	if (elsewhere) {
		snprintf(
			command, sizeof(command),
			"nsenter --net=/proc/%d/ns/net ip link add v0 type veth peer name v1 netns %d && "
			"ip addr add %s/24 dev v1 && ip link set v1 up && ip link set lo up",
			getppid(), getpid(), host);
		if (system(command))
			_exit(1);
	}
	sink(host);
	_exit(0);
}

int main(int argc, char **argv)
{
	const bool quick = argc > 1 && !strcmp(argv[1], "quick");
	const int rounds = quick ? 2 : 41;
	int gated, plain, empty;

	world_open(&world, POLICIES);
	world_reset(&world, 8, AF_INET);
	world_fill(&world, quick ? 1000 : POLICIES);
	base = base_bpf__open_and_load();
	run("ip link add d0 type veth peer name d1 && ip link set d0 arp off up && ip link set d1 up && "
	    "ip route add 198.51.100.0/24 dev d0");
	gated = world_cgroup("gated");
	plain = world_cgroup("plain");
	empty = world_cgroup("empty");
	world_gate(&world, gated);
	world_guard(&world, gated);
	if (!base || bpf_prog_attach(bpf_program__fd(base->progs.one_egress), empty,
				     BPF_CGROUP_INET_EGRESS, 0))
		die("the baseline cannot be attached: %s", strerror(errno));
	run_time(gated, empty, rounds);
	atexit(stop_sinks);
	world_anywhere();
	world_enter(plain);
	sinks[0] = start_sink("203.0.113.2", true);
	sinks[1] = start_sink("192.0.2.1", false);
	run("for i in $(seq 100); do ip link show v0 >/dev/null 2>&1 && break; sleep 0.05; done; "
	    "ip addr add 203.0.113.1/24 dev v0 && ip link set v0 up");
	bulk("bulk TCP over veth", "203.0.113.2", gated, plain, rounds);
	bulk("bulk TCP over loopback", "192.0.2.1", gated, plain, rounds);
	stop_sinks();
	while (wait(NULL) > 0)
		;
	base_bpf__destroy(base);
	world_close(&world);
	return 0;
}
