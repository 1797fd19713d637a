/* SPDX-License-Identifier: GPL-2.0-only */
/* What holds.c and holds_timer.c share: the table, and what ends a hold. */
#ifndef SAGATE_HOLDS_INTERNAL_H
#define SAGATE_HOLDS_INTERNAL_H

#include <uthash.h>
#include <utlist.h>

#include "bpf.h"
#include "hold_thread.h"
#include "holds.h"
#include "rooms.h"

/* How many calls of a gate wait. */
struct gate_holds {
	UT_hash_handle hh;
	__u64 gate; /* cgroup id */
	size_t count;
};

struct one {
	UT_hash_handle hh;
	struct one *prev, *next; /* in order of arrival */
	__u32 tid, pid;
	struct hold_thread thread;
	__u64 since, until;
	__u64 parked; /* when it was put to sleep */
	__u64 out; /* let out for a signal: it may come back until a moment later, 0: it sleeps */
	bool counted; /* bpf_hold_pid_count() */
	bool look;    /* soon: it was put to sleep a moment ago, or a signal came */
	struct flow flow;
	struct neg_key key;
	struct gate_settings gate;
	struct gate_holds *of_gate;
	struct room *room;
	char gate_name[65], space_name[65];
	char comm[17];
};

struct holds {
	struct one *by_tid, *list;
	struct gate_holds *gates;
	struct rooms *rooms;
	struct bpf *bpf;
	sd_event_source *timer; /* enabled while somebody waits, or something is to be tidied */
	__u64 timer_at;		/* 0: it is not */
	struct one *turn;	/* the next to be looked at in turn */
	__u64 turned, looked;
	bool map_used; /* there may be entries of calls that went on */
	__u64 map_swept;
	struct hold_stats stats;
	struct error problem;
	struct hold_watchers watchers;
};

/* holds_timer.c */
int holds_timer_new(struct holds *h, sd_event *event, struct error *e);
/* The timer runs then, or before (ns, CLOCK_BOOTTIME). */
void holds_timer_by(struct holds *h, __u64 when);
/* Soon, as `look` says. */
void holds_look_soon(struct holds *h);
/* Rooms and entries are to be tidied. */
void holds_tidy_soon(struct holds *h);

/* holds.c. The hold ends; *o is gone. */
void holds_release_one(struct holds *h, struct one *o, enum hold_end why);
/* A signal came that its program handles; see hold_status_handled(). It stays in the table for a
 * moment. */
void holds_let_out(struct holds *h, struct one *o, __u64 now, int handled);
void holds_forget(struct holds *h, struct one *o);

#endif
