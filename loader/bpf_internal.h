/* SPDX-License-Identifier: GPL-2.0-only */
/* What bpf.c, bpf_space.c and bpf_sink.c share, and nobody else. */
#ifndef SAGATE_BPF_INTERNAL_H
#define SAGATE_BPF_INTERNAL_H

#include "bpf.h"
#include "shadow.h"

#include <stdbool.h>

struct sagate_bpf;
struct bpf_object;

enum { KICK_PROGRAMS = 4 };

struct bpf {
	struct sagate_bpf *skel;
	char pin[256];
	bool fresh;			   /* nothing was pinned there before */
	int lock;			   /* on the pin folder: one daemon at a time */
	struct space_state *state;	   /* the mapped array */
	struct shadow *shadow[SPACES_MAX]; /* of a space that was not committed yet */
	bool open[SPACES_MAX];		   /* by this daemon */
	__s64 asleep;			   /* how far CLOCK_BOOTTIME is ahead of CLOCK_MONOTONIC */
	int map[MAP_COUNT];
	struct bpf_sizes sizes;
	int spaces, settings, counters, alerts, ike_daemons, events, ask, holds, hold_kicks,
		hold_pids;
	enum kick kick;
	int kick_program[KICK_PROGRAMS]; /* KICK_SIGNALS */
	volatile __u8 *kick_ready;	 /* theirs: a call may rely on them */
	volatile __u64 *hold_parked;
	__u32 kicks_tidied; /* the last one seen, 0: from the start */
	bool kick_attached;
	int signals_program, signals_link; /* -1: none */
	__u64 kick_unwanted;		   /* since when no gate holds, 0: some do */
};

/* What is loaded for the kick, before it is. */
struct kick_choice {
	enum kick way;
	bool impl;	   /* task work under its first name */
	bool sees_signals; /* see signals.bpf.h */
};

/* bpf_kick.c. Asks the running kernel. */
void bpf_kick_choose(struct kick_choice *choice);
/* The programs that are not for that way are not loaded. */
void bpf_kick_prepare(const struct kick_choice *choice, struct bpf_object *obj);
void bpf_kick_open(struct bpf *b, struct bpf_object *obj, volatile __u8 *ready);

/* Size of a map's key and value. */
extern const size_t bpf_map_key_size[MAP_COUNT];
extern const size_t bpf_map_value_size[MAP_COUNT];

#endif
