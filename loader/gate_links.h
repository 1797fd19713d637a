/* SPDX-License-Identifier: GPL-2.0-only */
/* The links of one gate: made, pinned, adopted, removed. */
#ifndef SAGATE_GATE_LINKS_H
#define SAGATE_GATE_LINKS_H

#include <linux/bpf.h>

#include "gates.h"

/*
 * Attaches the programs that are not attached yet, so far as this kernel has them, to an open
 * cgroup and pins them; the settings are written as soon as the cgroup has its storage, before the
 * second program is attached. Whole, or what stood before stands as it did. With guard=off the
 * guard has no link; one that is there goes.
 */
int gate_links_make(struct bpf *b, struct gate *gate, int cgroup_fd, struct error *e);

/*
 * Opens the pinned links of gate->name and puts this daemon's programs behind them; links that are
 * missing are made. -ENOENT: the cgroup is gone (what was pinned is removed). Any other error: the
 * links stay pinned and go on deciding, with the programs they have.
 */
int gate_links_adopt(struct bpf *b, struct gate *gate, struct error *e);

/* Unpins and closes: the kernel detaches. */
void gate_links_remove(struct bpf *b, struct gate *gate);
/* Closes and leaves the pins. */
void gate_links_close(struct gate *gate);

/*
 * Whether any of them is attached: the kernel detaches links when their cgroup is removed, and no
 * socket that was made in it is left.
 */
bool gate_links_alive(const struct gate *gate);

enum gate_link_state {
	GATE_LINK_OURS, /* or the gate is to have none for that hook */
	GATE_LINK_DETACHED,
	GATE_LINK_OTHER,   /* another program is behind it */
	GATE_LINK_MISSING, /* could not be made */
};

enum gate_link_state gate_link_look(struct bpf *b, const struct gate *gate, enum hook hook);
/* One that is detached: unpinned and closed, for gate_links_make() to make it anew. */
void gate_link_forget(struct bpf *b, struct gate *gate, enum hook hook);
/* A new link behind what others have attached to the cgroup, in the place of the one that is. */
int gate_link_behind(struct bpf *b, struct gate *gate, int cgroup_fd, enum hook hook,
		     struct error *e);

enum bpf_attach_type gate_hook_type(enum hook hook);
const char *gate_hook_name(enum hook hook);

#endif
