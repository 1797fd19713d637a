/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where the measurements take place: a network namespace of our own, in which everything is routed
 * into the loopback device, cgroups of our own, and sagate's maps with as many made-up policies
 * and SAs as are asked for: put there by the daemon's own tables (spd.h, sad.h), so that sockets'
 * real calls are decided on them.
 */
#ifndef BENCH_WORLD_H
#define BENCH_WORLD_H

#include <netinet/in.h>

#include "bpf.h"
#include "sad.h"
#include "spd.h"

#define WORLD_MASKS_MAX 32

struct world {
	struct bpf *bpf;
	struct map_sink sink;
	struct spd *spd;
	struct sad *sad;
	__u64 netns;
	__u32 slot;
	unsigned int masks;
	unsigned int policies; /* in it now, and as many SAs */
	int family;
};

/* All of these end the program with a message when something does not work. */

void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Enters a new namespace and opens the maps, for `entries` policies and SAs. */
void world_open(struct world *w, unsigned int entries);
void world_close(struct world *w); /* removes pins and cgroups */

/* world_open() keeps this process on one CPU; this lets it go to others again. */
void world_anywhere(void);

/* Empties it, and says what shape what follows has: how many masks, which family. */
void world_reset(struct world *w, unsigned int masks, int family);

/*
 * Fills it up to `policies` policies and SAs, the masks taking turns. All have one priority: every
 * mask is looked at for every flow, the worst case there is.
 */
void world_fill(struct world *w, unsigned int policies);

/* Policy k and its SA, into the tables and the maps or out of both. */
void world_put(struct world *w, unsigned int k);
void world_remove(struct world *w, unsigned int k);

/* A destination that policy k protects, and its SA; UDP port 9. Network order, v4 or v6. */
socklen_t world_dest(const struct world *w, unsigned int k, struct sockaddr_storage *to);

/* A cgroup below our own; returns a descriptor. */
int world_cgroup(const char *name);
/* Moves this process into it (sockets belong to the cgroup they are made in). */
void world_enter(int cgroup);
/* Attaches sagate's programs to a cgroup, as the daemon does, mode reject. */
void world_gate(struct world *w, int cgroup);
void world_guard(struct world *w, int cgroup);
__u64 world_gate_id(int cgroup); /* key of its settings and counters */

/* What kernel.bpf_stats counted of a program. */
struct runs {
	__u64 ns, count;
};

struct runs runs_of(int prog);

#endif
