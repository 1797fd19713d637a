/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Holds: the calls that wait for an SA, each a thread that sleeps in a waiting room. The BPF
 * program refused the call so that the kernel restarts it, and decides again when the thread
 * wakes: whatever is done here, waiting can only be too short.
 *
 * A thread goes on when its flow would pass or be denied now (asked of the kernel's own decide()),
 * when the negotiation fails, at the end of its time, when a signal has come that its program
 * handles, and when it turns out not to be in that call any more.
 */
#ifndef SAGATE_HOLDS_H
#define SAGATE_HOLDS_H

#include <jansson.h>
#include <systemd/sd-event.h>

#include "bpf.h"

/* X(NAME, "name"): why a hold ended. */
#define SAGATE_HOLD_ENDS(X)                                                                        \
	X(PASSES, "passes")                                                                        \
	X(FAILED, "failed")                                                                        \
	X(TIMEOUT, "timeout")                                                                      \
	X(SIGNAL, "signal")                                                                        \
	X(GONE, "gone")                                                                            \
	X(ELSEWHERE, "elsewhere")                                                                  \
	X(GATE, "gate")

enum hold_end {
#define X(id, name) HOLD_##id,
	SAGATE_HOLD_ENDS(X)
#undef X
		HOLD_END_COUNT
};

struct hold_stats {
	uint64_t parked;
	uint64_t ended[HOLD_END_COUNT];
	uint64_t refused; /* no waiting room: the call was rejected */
	size_t waiting;
};

struct holds;

/* Whom to tell of calls that wait and go on. */
struct hold_watchers {
	bool (*are_there)(const void *ctx);	/* else there is nothing to be told */
	void (*tell)(void *ctx, json_t *event); /* borrowed */
	void *ctx;
};

int holds_new(sd_event *event, struct bpf *b, const struct hold_watchers *watchers,
	      struct holds **out, struct error *e);
/* Everybody goes on, and is decided by BPF alone. NULL is fine. */
void holds_free(struct holds *h);

/* A call was refused to be held: its thread is put to sleep, unless its flow passes by now. */
void holds_event(struct holds *h, const struct event *e, const struct gate_settings *settings,
		 const char *gate, const char *space);

/* A signal came for a process of whose threads some sleep. */
void holds_signal(struct holds *h, const struct hold_signal *s);
/* The SPD, SAD, routes or requirements of a space changed: who waits there is asked about. */
void holds_settled(struct holds *h, __u32 space);
/* A negotiation failed. */
void holds_failed(struct holds *h, const struct neg_key *key);
/* Gates came, went or have other settings, or a space is known now: everybody is decided anew. */
void holds_decide_anew(struct holds *h);

const struct hold_stats *holds_stats(const struct holds *h);
json_t *holds_to_json(const struct holds *h);
/* The last cgroup that could have no waiting room, and why; an empty message: none. */
const struct error *holds_problem(const struct holds *h);
const char *hold_end_name(enum hold_end end);

#endif
