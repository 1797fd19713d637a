// SPDX-License-Identifier: GPL-2.0-only
/*
 * snapshot [ENTRIES [ROUNDS]]: from a mirror that begins to its first image in the maps, against a
 * minimal reader of the same two dumps, which receives and parses them, and against one that also
 * puts each entry into a map, as many in one system call as the mirror does. Real policies, and as
 * many SAs where the kernel can have them. Time of this process's CPU, the kernel's part with it.
 *
 * The second against the first is the floor: what no mirror in such a map can be faster than.
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
#include "xfrm_msg.h"
#include "xfrm_nl.h"

static struct world world;

static double cpu_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

enum { BATCH = 256 };

struct reading {
	int map; /* -1: nothing is put anywhere */
	size_t count;
	struct spd_key keys[BATCH];
	struct spd_value values[BATCH];
};

static void put_batch(struct reading *r, __u32 count)
{
	LIBBPF_OPTS(bpf_map_batch_opts, opts);

	if (count && bpf_map_update_batch(r->map, r->keys, r->values, &count, &opts))
		die("put: %s", strerror(errno));
}

static void read_one(void *ctx, const void *msg)
{
	const struct nlmsghdr *h = msg;
	struct reading *r = ctx;
	struct xfrm_change c;
	__u32 i = r->count % BATCH;

	if (xfrm_msg_parse(msg, h->nlmsg_len, &c) ||
	    (c.kind != CHANGE_POLICY_PUT && c.kind != CHANGE_SA_PUT))
		die("a message of a dump cannot be read");
	r->count++;
	if (r->map < 0)
		return;
	r->keys[i].space = h->nlmsg_type;
	r->keys[i].if_id = c.kind == CHANGE_SA_PUT ? c.sa.reqid : c.policy.index;
	if (i == BATCH - 1)
		put_batch(r, BATCH);
}

static double read_dumps(struct reading *r, size_t expected)
{
	int fd = xfrm_open();
	double start = cpu_ms();

	r->count = 0;
	xfrm_dump(fd, read_one, r);
	if (r->map >= 0)
		put_batch(r, r->count % BATCH);
	start = cpu_ms() - start;
	if (r->count != expected)
		die("the dumps have %zu entries, not %zu", r->count, expected);
	close(fd);
	return start;
}

static double read_only(size_t expected)
{
	static struct reading r = {.map = -1};

	return read_dumps(&r, expected);
}

static double read_and_put(size_t expected)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_NO_PREALLOC);
	static struct reading r;
	const struct spd_key other = {};
	double time;

	r.map = bpf_map_create(BPF_MAP_TYPE_HASH, "bench", sizeof(r.keys[0]), sizeof(r.values[0]),
			       (__u32)expected, &opts);
	if (r.map < 0)
		die("map: %s", strerror(errno));
	time = read_dumps(&r, expected);
	if (!bpf_map_update_elem(r.map, &other, &r.values[0], BPF_NOEXIST) || errno != E2BIG)
		die("not every entry is in the map");
	close(r.map);
	return time;
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
	struct series plain = {}, putting = {}, floor = {};
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
	/* memory that nobody used before costs more, and would all be the first one's */
	mirror(n, sas);
	read_and_put(n + sas);
	for (int r = 0; r < rounds; r++) {
		double m = mirror(n, sas), read = read_only(n + sas), put = read_and_put(n + sas);

		series_add(&plain, m, read);
		series_add(&putting, m, put);
		series_add(&floor, put, read);
	}
	snprintf(more, sizeof(more), "\"policies\":%u,\"sas\":%u", n, sas);
	sum = series_sum(&plain);
	row("snapshot", "against reading", more, "ms", &sum);
	sum = series_sum(&putting);
	row("snapshot", "against reading and putting", more, "ms", &sum);
	sum = series_sum(&floor);
	row("snapshot", "floor: putting against reading", more, "ms", &sum);
	world_close(&world);
	return 0;
}
