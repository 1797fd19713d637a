/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Waiting rooms: frozen threaded cgroups, each made in the cgroup of the threads that sleep in it
 * (cgroup-v2.rst, "Threads" and cgroup.freeze). A thread that is moved into one sleeps on its way
 * out of the kernel, at the point where its call is restarted; the others of its process run on.
 *
 * A room outlives its daemon: rooms_sweep() is for whoever comes after. While it exists its parent
 * takes no new domain children, so an idle one is removed.
 */
#ifndef SAGATE_ROOMS_H
#define SAGATE_ROOMS_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "error.h"

#define ROOM_PREFIX "sagate-hold-" /* then a number */

struct rooms;

/* Those who wait for one thing, in one cgroup. Freed by rooms_tidy() once all have left. */
struct room {
	struct room *next;
	char cgroup[PATH_MAX]; /* whose threads it takes: a path from the v2 root */
	uint64_t waits_for;    /* the caller's */
	unsigned int number;
	int dir, freeze, threads; /* descriptors */
	size_t count;		  /* rooms_park() less room_left(): not freed before it is 0 */
	bool thawed;		  /* takes nobody any more, is to go */
};

int rooms_new(struct rooms **out, struct error *e);
void rooms_free(struct rooms *r); /* thaws them all first; NULL is fine */

/*
 * Puts the thread to sleep with those of its cgroup that wait for the same. 0 and *room (borrowed),
 * or -errno with *e: -ESRCH it is gone; -EOPNOTSUPP its cgroup can have no threaded child, since it
 * has domain children with processes; -EAGAIN (code "cgroup-limit") none more.
 */
int rooms_park(struct rooms *r, pid_t tid, uint64_t waits_for, struct room **room, struct error *e);

/* All in it go on. */
void room_thaw(struct room *room);
/* One goes on, the others sleep. -ESRCH: it is gone. */
int room_let_out(struct room *room, pid_t tid);
/* One who was put to sleep in it is not counted any more. */
void room_left(struct room *room);

/*
 * Moves threads out of rooms that were thawed and removes those that are empty, a part of the work
 * each time. True: there is more to do.
 */
bool rooms_tidy(struct rooms *r);

size_t rooms_count(const struct rooms *r);

/* Thaws and removes every room of the host, whoever made it. Returns how many there were. */
size_t rooms_sweep(void);

#endif
