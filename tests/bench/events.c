// SPDX-License-Identifier: GPL-2.0-only
/*
 * events [CHANGES]: real changes of the kernel's SPD. From the change sent to the entry in the map,
 * against a bare listener that has only read the event; and how many changes a second are in the
 * maps, from a process that makes them as fast as it can.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/netlink.h>
#include <linux/xfrm.h>

#include "mirror.h"
#include "stats.h"
#include "world.h"
#include "xfrm_nl.h"

enum { SINGLE = 2000, STANDING = 1000 };

static struct world world;
static bool synced;
static unsigned long applied;

static double now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static void on_synced(void *ctx, bool now)
{
	(void)ctx;
	synced = now;
}

static void on_changed(void *ctx, enum mirror_what what, const struct xfrm_change *change)
{
	(void)ctx;
	(void)change;
	applied += what == MIRROR_POLICY;
}

static sd_event *loop;
static struct mirror *mirror;

static void start(void)
{
	static const struct mirror_ops ops = {.synced = on_synced, .changed = on_changed};
	struct error e = {};

	bpf_space_close(world.bpf, world.slot);
	if (bpf_space_open(world.bpf, world.netns, &world.slot) || sd_event_new(&loop) < 0 ||
	    mirror_new(loop, -1, world.slot, &world.sink, &ops, NULL, NULL, &mirror, &e))
		die("mirror: %s", e.message);
	while (!synced)
		if (sd_event_run(loop, 10000000) < 0)
			die("the loop ended");
	if (bpf_space_commit(world.bpf, world.slot, world.netns))
		die("it does not fit");
}

static int listen_bare(void)
{
	struct sockaddr_nl policies = {.nl_family = AF_NETLINK,
				       .nl_groups = 1U << (XFRMNLGRP_POLICY - 1)};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_XFRM), size = 32 << 20;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	if (fd < 0 || bind(fd, (struct sockaddr *)&policies, sizeof(policies)))
		die("listener: %s", strerror(errno));
	return fd;
}

/* The same change, first for the one, then for the other; each has read what the other's made. */
static void single(int fd)
{
	static double mirror_us[SINGLE], bare_us[SINGLE];
	int bare = listen_bare();
	char buffer[4096];
	double p50[2], p99[2];

	for (unsigned int i = 0; i < SINGLE; i++) {
		unsigned long seen = applied;
		double t = now_us();

		xfrm_policy(fd, true, STANDING + i);
		while (applied == seen)
			if (sd_event_run(loop, 10000000) < 0)
				die("the loop ended");
		mirror_us[i] = now_us() - t;
		recv(bare, buffer, sizeof(buffer), 0);
		t = now_us();
		xfrm_policy(fd, false, STANDING + i);
		if (recv(bare, buffer, sizeof(buffer), 0) < 0)
			die("listener: %s", strerror(errno));
		bare_us[i] = now_us() - t;
		while (applied == seen + 1)
			if (sd_event_run(loop, 10000000) < 0)
				die("the loop ended");
	}
	p50[0] = quantile(mirror_us, SINGLE, 0.5);
	p99[0] = quantile(mirror_us, SINGLE, 0.99);
	p50[1] = quantile(bare_us, SINGLE, 0.5);
	p99[1] = quantile(bare_us, SINGLE, 0.99);
	for (int i = 0; i < 2; i++) {
		const double *p = i ? p99 : p50;

		printf("{\"bench\":\"change\",\"case\":\"%s\",\"unit\":\"us\",\"value\":%.4g,"
		       "\"base\":%.4g,\"ratio\":%.4f,\"rounds\":%d}\n",
		       i ? "p99" : "p50", p[0], p[1], p[0] / p[1], SINGLE);
	}
	close(bare);
}

static pid_t changing(unsigned int changes)
{
	pid_t pid = fork();
	int fd;

	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (pid)
		return pid;
	world_anywhere();
	fd = xfrm_open();
	for (unsigned int i = 0; i < changes / 2; i++) {
		xfrm_policy(fd, true, STANDING + i % 1000);
		xfrm_policy(fd, false, STANDING + i % 1000);
	}
	_exit(0);
}

static void rate(unsigned int changes)
{
	unsigned long before = applied;
	const struct mirror_stats *stats = mirror_stats(mirror);
	uint64_t overruns = stats->overruns;
	double t = now_us(), mirrored, bare;
	char buffer[4096];
	pid_t pid = changing(changes);
	int fd;

	while (applied < before + changes && stats->overruns == overruns)
		if (sd_event_run(loop, 10000000) < 0)
			die("the loop ended");
	mirrored = changes / ((now_us() - t) / 1e6);
	waitpid(pid, NULL, 0);
	overruns = stats->overruns - overruns;
	fd = listen_bare();
	t = now_us();
	pid = changing(changes);
	for (unsigned int i = 0; i < changes; i++)
		if (recv(fd, buffer, sizeof(buffer), 0) < 0)
			die("listener: %s", strerror(errno));
	bare = changes / ((now_us() - t) / 1e6);
	waitpid(pid, NULL, 0);
	printf("{\"bench\":\"change\",\"case\":\"a second\",\"unit\":\"changes\",\"value\":%.6g,"
	       "\"base\":%.6g,\"ratio\":%.4f,\"overruns\":%llu,\"changes\":%u}\n",
	       mirrored, bare, mirrored / bare, (unsigned long long)overruns, changes);
}

int main(int argc, char **argv)
{
	unsigned int changes = argc > 1 ? (unsigned int)atoi(argv[1]) : 50000;
	int fd;

	world_open(&world, 10000);
	fd = xfrm_open();
	for (unsigned int i = 0; i < STANDING; i++)
		xfrm_policy(fd, true, i);
	start();
	single(fd);
	rate(changes);
	mirror_free(mirror);
	sd_event_unref(loop);
	world_close(&world);
	return 0;
}
