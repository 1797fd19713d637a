/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The events that the ring buffer gave, and whose turn it is: each gate's oldest after the other
 * gates', so that however many one of them sends, the others' do not wait behind those.
 */
#ifndef SAGATE_EVENT_TURNS_H
#define SAGATE_EVENT_TURNS_H

#include <stdbool.h>

#include "abi.h"

struct event_turns {
	struct gate_events *by_gate; /* those that have some */
	struct gate_events *turn;    /* … in the order of their turns */
};

void event_turns_free(struct event_turns *t);
/* 0; -ENOSPC: EVENTS_SHARE of its gate are there already; -ENOMEM. Then it is not taken. */
int event_turns_put(struct event_turns *t, const struct event *e);
/* The next one; false: there is none. */
bool event_turns_take(struct event_turns *t, struct event *out);

#endif
