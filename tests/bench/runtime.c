// SPDX-License-Identifier: GPL-2.0-only
/*
 * runtime [quick]: run time of sagate's programs (kernel.bpf_stats), against a program that only
 * reads its gate, on the same calls of the same process in turn.
 *
 * Two ways to choose whom to talk to: `set`, 64 peers again and again, as a host has them, and
 * `all`, any policy's, each time another: then every lookup is of memory that no cache holds.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <bpf/bpf.h>

#include "base.skel.h"
#include "stats.h"
#include "world.h"

enum { CALLS = 200, SET = 64 };

static struct world world;
static struct base_bpf *base;

/* One hook: how it is reached, and the two programs. */
static const struct way {
	const char *name;
	enum hook hook;
	int family;
	bool connects;
} ways[] = {
	{"connect4", HOOK_CONNECT4, AF_INET, true},
	{"sendmsg4", HOOK_SENDMSG4, AF_INET, false},
	{"connect6", HOOK_CONNECT6, AF_INET6, true},
	{"sendmsg6", HOOK_SENDMSG6, AF_INET6, false},
};

static int base_fd(enum hook hook)
{
	const struct bpf_program *progs[] = {
		[HOOK_CONNECT4] = base->progs.gate_connect4,
		[HOOK_CONNECT6] = base->progs.gate_connect6,
		[HOOK_SENDMSG4] = base->progs.gate_sendmsg4,
		[HOOK_SENDMSG6] = base->progs.gate_sendmsg6,
	};

	return bpf_program__fd(progs[hook]);
}

static unsigned int choose(unsigned int policies, bool all)
{
	unsigned int n = all || policies < SET ? policies : SET;
	unsigned int k = (unsigned int)random() % n;

	return all ? k : (unsigned int)((unsigned long long)k * policies / n);
}

/* Nanoseconds a run of the program, over CALLS calls on the socket. */
static double measure(const struct way *way, int fd, int prog, bool all)
{
	static const struct sockaddr none = {.sa_family = AF_UNSPEC};
	struct runs before = runs_of(prog), after;
	struct sockaddr_storage to;

	for (int i = 0; i < CALLS; i++) {
		socklen_t len = world_dest(&world, choose(world.policies, all), &to);
		ssize_t r = way->connects ? connect(fd, (struct sockaddr *)&to, len)
					  : sendto(fd, "x", 1, 0, (struct sockaddr *)&to, len);

		if (r < 0)
			die("%s: %s", way->name, strerror(errno));
		if (way->connects && connect(fd, &none, sizeof(none)))
			die("disconnect: %s", strerror(errno));
	}
	after = runs_of(prog);
	if (after.count - before.count != CALLS)
		die("%s: %llu runs for %d calls", way->name,
		    (unsigned long long)(after.count - before.count), CALLS);
	return (double)(after.ns - before.ns) / CALLS;
}

static int socket_in(const struct way *way, int cgroup)
{
	int fd;

	world_enter(cgroup);
	fd = socket(way->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		die("socket: %s", strerror(errno));
	return fd;
}

/* Not a single call may have been judged by anything but its SA. */
static void all_protected(__u64 gate, __u64 *seen)
{
	struct gate_counters c;

	if (bpf_counters_get(world.bpf, gate, &c))
		die("no counters");
	if (c.verdict[VERDICT_PROTECTED] == *seen || c.refused || c.verdict[VERDICT_CLEAR])
		die("%llu protected, %llu clear, %llu refused: this measures something else",
		    (unsigned long long)(c.verdict[VERDICT_PROTECTED] - *seen),
		    (unsigned long long)c.verdict[VERDICT_CLEAR], (unsigned long long)c.refused);
	*seen = c.verdict[VERDICT_PROTECTED];
}

static void compare(const struct way *way, int gated, int plain, int rounds, bool all)
{
	int a = socket_in(way, gated), b = socket_in(way, plain);
	int prog = bpf_program_fd(world.bpf, way->hook), other = base_fd(way->hook);
	struct series s = {};
	struct summary sum;
	char more[128];

	bpf_heartbeat(world.bpf);
	measure(way, a, prog, all);
	measure(way, b, other, all);
	for (int i = 0; i < rounds; i++) {
		double x, y;

		bpf_heartbeat(world.bpf);
		x = measure(way, a, prog, all);
		y = measure(way, b, other, all);
		series_add(&s, x, y);
	}
	sum = series_sum(&s);
	snprintf(more, sizeof(more), "\"policies\":%u,\"masks\":%u,\"peers\":\"%s\"",
		 world.policies, world.masks, all ? "all" : "set");
	row("runtime", way->name, more, "ns", &sum);
	close(a);
	close(b);
}

int main(int argc, char **argv)
{
	static const unsigned int masks[] = {1, 4, 8, 32}, sizes[] = {1, 1000, 100000, 1000000};
	const bool quick = argc > 1 && !strcmp(argv[1], "quick");
	const size_t size_count = quick ? 2 : 4;
	int gated, plain, stats;
	__u64 seen = 0, id = 0;

	world_open(&world, quick ? 1000 : 1000000);
	base = base_bpf__open_and_load();
	stats = bpf_enable_stats(BPF_STATS_RUN_TIME);
	if (!base || stats < 0)
		die("the baseline cannot be loaded: %s", strerror(errno));
	gated = world_cgroup("gated");
	plain = world_cgroup("plain");
	world_gate(&world, gated);
	for (size_t i = 0; i < 4; i++)
		if (bpf_prog_attach(base_fd(ways[i].hook), plain,
				    (enum bpf_attach_type[]){
					    BPF_CGROUP_INET4_CONNECT, BPF_CGROUP_UDP4_SENDMSG,
					    BPF_CGROUP_INET6_CONNECT, BPF_CGROUP_UDP6_SENDMSG}[i],
				    0))
			die("attach: %s", strerror(errno));
	id = world_gate_id(gated);
	srandom(1);
	for (size_t m = 0; m < 4; m++)
		for (int six = 0; six < 2; six++) {
			world_reset(&world, masks[m], six ? AF_INET6 : AF_INET);
			for (size_t s = 0; s < size_count; s++) {
				/* IPv6 only where the bars are */
				if (six && (masks[m] != 8 || sizes[s] == 1000000))
					continue;
				world_fill(&world, sizes[s]);
				for (size_t w = 0; w < 4; w++)
					for (int all = 0; all < 2; all++)
						if (ways[w].family == world.family)
							compare(&ways[w], gated, plain,
								quick ? 2 : 31, all);
				all_protected(id, &seen);
			}
		}
	close(stats);
	base_bpf__destroy(base);
	world_close(&world);
	return 0;
}
