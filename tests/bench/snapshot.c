// SPDX-License-Identifier: GPL-2.0-only
/*
 * snapshot [ENTRIES [ROUNDS]]: from a mirror that begins to its first image in the maps, against a
 * minimal reader of the same two dumps, and against one that also puts each entry into a map. Real
 * policies, and as many SAs where the kernel can have them. Time of this process's CPU.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <linux/netlink.h>

#include "mirror.h"
#include "stats.h"
#include "world.h"
#include "xfrm_nl.h"

static struct world world;

static double cpu_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

struct putting {
	int map;
	struct spd_key key;
	struct spd_value value;
};

static void put_one(void *ctx, const void *msg)
{
	struct putting *p = ctx;
	const struct nlmsghdr *h = msg;

	/* the first words of either message tell policies and SAs apart */
	memcpy(&p->key, NLMSG_DATA(h), sizeof(p->key));
	p->key.space = h->nlmsg_type;
	if (bpf_map_update_elem(p->map, &p->key, &p->value, BPF_ANY))
		die("put: %s", strerror(errno));
}

static double read_only(size_t expected)
{
	int fd = xfrm_open();
	double start = cpu_ms();
	size_t n = xfrm_dump(fd, NULL, NULL);

	if (n != expected)
		die("the dumps have %zu entries, not %zu", n, expected);
	close(fd);
	return cpu_ms() - start;
}

static double read_and_put(size_t expected)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_NO_PREALLOC);
	struct putting p = {};
	double start;
	int fd = xfrm_open();

	p.map = bpf_map_create(BPF_MAP_TYPE_HASH, "bench", sizeof(p.key), sizeof(p.value),
			       (__u32)expected, &opts);
	if (p.map < 0)
		die("map: %s", strerror(errno));
	start = cpu_ms();
	if (xfrm_dump(fd, put_one, &p) != expected)
		die("another number of entries");
	start = cpu_ms() - start;
	close(p.map);
	close(fd);
	return start;
}

static void on_synced(void *ctx, bool synced)
{
	*(bool *)ctx = synced;
}

/* As space.c does it: gathered in memory, then committed. */
static double mirror(unsigned int policies, unsigned int sas)
{
	static const struct mirror_ops ops = {.synced = on_synced};
	struct spd_counts spd;
	struct sad_counts sad;
	bool synced = false;
	sd_event *loop;
	struct mirror *m;
	struct error e = {};
	double start = cpu_ms();

	if (bpf_space_open(world.bpf, world.netns, &world.slot) || sd_event_new(&loop) < 0 ||
	    mirror_new(loop, -1, world.slot, &world.sink, &ops, &synced, NULL, &m, &e))
		die("mirror: %s", e.message);
	while (!synced)
		if (sd_event_run(loop, 10000000) < 0)
			die("the loop ended");
	if (bpf_space_commit(world.bpf, world.slot, world.netns))
		die("it does not fit");
	start = cpu_ms() - start;
	spd_count(mirror_spd(m), &spd);
	sad_count(mirror_sad(m), &sad);
	if (spd.stored != policies || sad.stored != sas)
		die("%zu policies and %zu SAs are in the maps, not %u and %u", spd.stored,
		    sad.stored, policies, sas);
	mirror_free(m);
	sd_event_unref(loop);
	bpf_space_close(world.bpf, world.slot);
	return start;
}

int main(int argc, char **argv)
{
	unsigned int n = argc > 1 ? (unsigned int)atoi(argv[1]) : 100000;
	int rounds = argc > 2 ? atoi(argv[2]) : 9;
	unsigned int sas = 0;
	struct series plain = {}, putting = {};
	struct summary sum;
	char more[96];
	int fd;

	world_open(&world, n);
	bpf_space_close(world.bpf, world.slot);
	if (xfrm_has_esp())
		sas = n;
	fd = xfrm_open();
	for (unsigned int i = 0; i < n; i++)
		xfrm_policy(fd, true, i);
	for (unsigned int i = 0; i < sas; i++)
		xfrm_sa(fd, true, i);
	close(fd);
	for (int r = 0; r < rounds; r++) {
		double m = mirror(n, sas);

		series_add(&plain, m, read_only(n + sas));
		series_add(&putting, m, read_and_put(n + sas));
	}
	snprintf(more, sizeof(more), "\"policies\":%u,\"sas\":%u", n, sas);
	sum = series_sum(&plain);
	row("snapshot", "against reading", more, "ms", &sum);
	sum = series_sum(&putting);
	row("snapshot", "against reading and putting", more, "ms", &sum);
	world_close(&world);
	return 0;
}
