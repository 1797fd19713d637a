// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <uthash.h>
#include <utlist.h>

#include "event_turns.h"

struct one_event {
	struct one_event *prev, *next;
	struct event event;
};

struct gate_events {
	UT_hash_handle hh;
	struct gate_events *prev, *next;
	__u64 gate; /* cgroup id */
	struct one_event *list;
	size_t count;
};

static struct gate_events *events_of(struct event_turns *t, __u64 gate)
{
	struct gate_events *g;

	HASH_FIND(hh, t->by_gate, &gate, sizeof(gate), g);
	if (g)
		return g;
	g = calloc(1, sizeof(*g));
	if (!g)
		return NULL;
	g->gate = gate;
	HASH_ADD(hh, t->by_gate, gate, sizeof(g->gate), g);
	DL_APPEND(t->turn, g);
	return g;
}

static void forget(struct event_turns *t, struct gate_events *g)
{
	/* it is in there: NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
	HASH_DEL(t->by_gate, g);
	DL_DELETE(t->turn, g);
	free(g);
}

int event_turns_put(struct event_turns *t, const struct event *e)
{
	struct gate_events *g = events_of(t, e->gate);
	struct one_event *one;

	if (!g)
		return -ENOMEM;
	if (g->count == EVENTS_SHARE)
		return -ENOSPC;
	one = malloc(sizeof(*one));
	if (!one) {
		if (!g->count)
			forget(t, g);
		return -ENOMEM;
	}
	one->event = *e;
	DL_APPEND(g->list, one);
	g->count++;
	return 0;
}

bool event_turns_take(struct event_turns *t, struct event *out)
{
	struct gate_events *g = t->turn;
	struct one_event *one = g ? g->list : NULL;

	if (!one)
		return false;
	*out = one->event;
	DL_DELETE(g->list, one);
	free(one);
	if (!--g->count) {
		forget(t, g);
	} else {
		DL_DELETE(t->turn, g);
		DL_APPEND(t->turn, g);
	}
	return true;
}

void event_turns_free(struct event_turns *t)
{
	struct event unused;

	while (event_turns_take(t, &unused))
		;
}
