// SPDX-License-Identifier: GPL-2.0-only
/*
 * memory [ENTRIES [CHURN]]: bytes a policy and an SA take in the daemon's tables and in the maps,
 * and whether anything is more after CHURN changes than before: heap, descriptors, entries. Then
 * that a full map refuses and counts what it refused.
 */
#include <dirent.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>

#include "stats.h"
#include "world.h"

static struct world world;

static size_t heap(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

/* Bytes that the kernel accounts for a map, its empty table included. */
static double map_bytes(const char *name)
{
	char path[160], line[128];
	double bytes = -1;
	FILE *info;
	int fd;

	snprintf(path, sizeof(path), "%s/map/%s", bpf_pin_path(world.bpf), name);
	fd = bpf_obj_get(path);
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	info = fopen(path, "r");
	while (info && fgets(line, sizeof(line), info))
		sscanf(line, "memlock: %lf", &bytes);
	if (fd < 0 || !info || bytes < 0)
		die("map %s: its size cannot be read", name);
	fclose(info);
	close(fd);
	return bytes;
}

static size_t entries(const char *name)
{
	unsigned char key[128], next[128];
	char path[160];
	size_t n = 0;
	int fd;

	snprintf(path, sizeof(path), "%s/map/%s", bpf_pin_path(world.bpf), name);
	fd = bpf_obj_get(path);
	for (void *at = NULL; !bpf_map_get_next_key(fd, at, next); at = key, n++)
		memcpy(key, next, sizeof(key));
	close(fd);
	return n;
}

static size_t descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t n = 0;

	while (dir && readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void tell(const char *bench, const char *name, unsigned int n, double value, double base,
		 const char *unit)
{
	printf("{\"bench\":\"%s\",\"case\":\"%s\",\"policies\":%u,\"unit\":\"%s\",\"value\":%.6g,"
	       "\"base\":%.6g,\"ratio\":%.6g}\n",
	       bench, name, n, unit, value, base, base ? value / base : 0);
}

/* One kind at a time: what the heap grew by is then its own. */
static void sizes(unsigned int n)
{
	size_t before = heap(), both, policies;

	world_reset(&world, 8, AF_INET);
	world_fill(&world, n);
	both = heap() - before;
	sad_flush(world.sad, 0);
	policies = heap() - before;
	tell("memory", "policy in the daemon", n, (double)policies / n, 300, "bytes");
	tell("memory", "SA in the daemon", n, (double)(both - policies) / n, 300, "bytes");
	world_reset(&world, 8, AF_INET);
	world_fill(&world, n);
	tell("memory", "policy in the map", n, map_bytes("spd") / n, 400, "bytes");
	tell("memory", "SA in the map", n, map_bytes("sad") / n, 400, "bytes");
}

/* A policy and its SA go and come again, as when an IKE daemon rekeys. */
static void churn_once(unsigned int k)
{
	world_remove(&world, k);
	world_put(&world, k);
}

/* The same ones each time. */
static void churn_at_random(unsigned int n, unsigned int changes)
{
	srandom(1);
	for (unsigned int i = 0; i < changes / 4; i++)
		churn_once((unsigned int)random() % n);
}

static void churn(unsigned int n, unsigned int changes)
{
	double before[5], after[5];
	static const char *const names[] = {"heap", "descriptors", "policies in the map",
					    "SAs in the map", "bytes of the maps"};

	/* each once, then as below: what grows once, and in the way it then lies there, has grown
	 */
	for (unsigned int i = 0; i < n; i++)
		churn_once(i);
	churn_at_random(n, changes);
	for (int turn = 0; turn < 2; turn++) {
		double *now = turn ? after : before;

		now[0] = (double)heap();
		now[1] = (double)descriptors();
		now[2] = (double)entries("spd");
		now[3] = (double)entries("sad");
		now[4] = map_bytes("spd") + map_bytes("sad");
		if (!turn)
			churn_at_random(n, changes);
	}
	for (size_t i = 0; i < 5; i++)
		tell("churn", names[i], changes, after[i], before[i],
		     i == 0 || i == 4 ? "bytes" : "");
}

/* The map has room for `n`: ten more are refused, counted, and flows are not let through. */
static void refusals(unsigned int n)
{
	struct spd_counts spd;
	struct sad_counts sad;

	for (unsigned int k = n; k < n + 10; k++)
		world_put(&world, k);
	spd_count(world.spd, &spd);
	sad_count(world.sad, &sad);
	tell("full", "policies refused and counted", n, (double)spd.missing, 10, "");
	tell("full", "SAs refused and counted", n, (double)sad.missing, 10, "");
	tell("full", "the space says so", n, world.sink.state(world.sink.ctx, world.slot)->full,
	     FULL_SPD | FULL_SAD, "");
	for (unsigned int k = n; k < n + 10; k++)
		world_remove(&world, k);
	tell("full", "entries kept", n, (double)(entries("spd") + entries("sad")), 2.0 * n, "");
	tell("full", "recovered", n, world.sink.state(world.sink.ctx, world.slot)->full == 0, 1,
	     "");
}

int main(int argc, char **argv)
{
	unsigned int n = argc > 1 ? (unsigned int)atoi(argv[1]) : 100000;
	unsigned int changes = argc > 2 ? (unsigned int)atoi(argv[2]) : 200000;

	world_open(&world, n);
	sizes(n);
	churn(n, changes);
	refusals(n);
	world_close(&world);
	return 0;
}
