/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Does what a gate refuses reach the caller? Two UDP sockets that were made in its cgroup, by a
 * child which lives as long as that takes, connect and send to an address that every gate refuses
 * (PROBE_PORT in abi.h). Nothing leaves, even when it is not refused: connect() sends nothing, the
 * send only probes (MSG_PROBE), and the sockets are bound to the loopback device.
 *
 * The sockets keep the kernel from detaching a removed cgroup's programs: gate_probe_end() first.
 */
#ifndef SAGATE_GATE_PROBE_H
#define SAGATE_GATE_PROBE_H

#include <stdbool.h>
#include <sys/types.h>

#include "reasons.h"

enum { PROBE_HOOKS = HOOK_SENDMSG6 + 1 }; /* connect4, connect6, sendmsg4, sendmsg6 */

struct gate_probe {
	int sockets[2]; /* IPv4, IPv6; -1: not there */
	int from;	/* where the child sends them, -1: none is under way */
	pid_t child;
	int err;	      /* why there are none; 0: there are, or will be */
	unsigned int resting; /* so many calls of gate_probe_ready() it is not tried again */
};

void gate_probe_init(struct gate_probe *p);
/*
 * True: it can ask. Begins to make the sockets where there are none, for an open cgroup, and goes
 * on at each call; never waits. p->err says what came of it.
 */
bool gate_probe_ready(struct gate_probe *p, int cgroup_fd);
/* 0: the hook refuses, and its caller learns of it; the errno that came instead, or -1: none. */
int gate_probe_ask(const struct gate_probe *p, enum hook hook);
void gate_probe_end(struct gate_probe *p);

#endif
