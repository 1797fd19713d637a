/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The keeper: a process of its own that sleeps until the daemon is gone, however it went, or is
 * silent for longer than its heartbeats may be late, and then thaws what it left frozen.
 */
#ifndef SAGATE_KEEPER_H
#define SAGATE_KEEPER_H

#include <sys/types.h>

struct keeper {
	pid_t pid; /* 0: none */
	int alive; /* the daemon's end of a pipe: closed by its death; -1: none */
};

/* 0 or -errno. Call it before there are threads. */
int keeper_start(struct keeper *k);
/* Every second: the daemon runs. Starts another keeper when it has died. */
void keeper_beat(struct keeper *k);
/* The daemon ends in order: nothing is left to thaw. */
void keeper_stop(struct keeper *k);

#endif
