/* SPDX-License-Identifier: GPL-2.0-only */
/* What bpf.c, bpf_space.c and bpf_sink.c share, and nobody else. */
#ifndef SAGATE_BPF_INTERNAL_H
#define SAGATE_BPF_INTERNAL_H

#include "bpf.h"
#include "shadow.h"

#include <stdbool.h>

struct sagate_bpf;

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
	int spaces, settings, counters, alerts, ike_daemons, events, ask;
};

/* Size of a map's key and value. */
extern const size_t bpf_map_key_size[MAP_COUNT];
extern const size_t bpf_map_value_size[MAP_COUNT];

#endif
