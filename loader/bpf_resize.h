/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sizes of the maps, and pinned maps of another size: bpf.c's.
 *
 * A map cannot grow. So a new one is made, filled from the old one while nobody writes to either
 * (the caller holds the lock on the pins), and takes over its name by rename(): at every moment a
 * whole map is pinned, and a daemon that dies on the way leaves one image or the other. Programs
 * that are attached read the old one until their links are updated.
 */
#ifndef SAGATE_BPF_RESIZE_H
#define SAGATE_BPF_RESIZE_H

#include "bpf.h"

struct bpf_object;

#define BPF_RESIZED 3 /* maps whose size is configured */

struct bpf_resize {
	int old[BPF_RESIZED]; /* the pinned map that is replaced, -1: none */
};

#define BPF_RESIZE_NONE                                                                            \
	{                                                                                          \
		{                                                                                  \
			-1, -1, -1                                                                 \
		}                                                                                  \
	}

/* Before the load: sets the maps' sizes. *sizes becomes what will be in force. */
int bpf_resize_plan(struct bpf_resize *r, struct bpf_object *obj, const char *pin,
		    const struct bpf_sizes *want, struct bpf_sizes *sizes, struct error *e);

/* After it: fills the new maps and pins them in the place of the old ones. */
int bpf_resize_move(struct bpf_resize *r, struct bpf_object *obj, const char *pin, struct error *e);

void bpf_resize_done(struct bpf_resize *r);

#endif
