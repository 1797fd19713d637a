// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "boot_time.h"
#include "flow_json.h"
#include "holds_internal.h"
#include "json_util.h"
#include "log.h"

#define LATE_NS 2000000ULL /* an event that is older has lain about */

static const char *const end_names[] = {
#define X(id, name) [HOLD_##id] = name,
	SAGATE_HOLD_ENDS(X)
#undef X
};

const char *hold_end_name(enum hold_end end)
{
	return end_names[end];
}

/* Those of one room wait for the same. */
static uint64_t key_hash(const struct neg_key *key)
{
	uint64_t h = 0xcbf29ce484222325ULL; /* FNV-1a */

	for (size_t i = 0; i < sizeof(*key); i++)
		h = (h ^ ((const uint8_t *)key)[i]) * 0x100000001b3ULL;
	return h;
}

static json_t *to_json(const struct one *o)
{
	json_t *j = json_pack("{s:I s:I s:s s:s s:f s:f s:b}", "pid", (json_int_t)o->pid, "tid",
			      (json_int_t)o->tid, "gate", o->gate_name, "space", o->space_name,
			      "since_s", (boot_ns() - o->since) / 1e9, "left_s",
			      ((double)o->until - (double)boot_ns()) / 1e9, "asleep", !o->out);

	if (!j)
		return NULL;
	json_object_set_new(j, "comm", json_text(o->comm));
	json_object_set_new(j, "flow", flow_to_json(&o->flow));
	return j;
}

static void tell(struct holds *h, const struct one *o, const char *state)
{
	json_t *j = h->watchers.are_there(h->watchers.ctx) ? to_json(o) : NULL;

	if (!j)
		return;
	json_object_set_new(j, "event", json_string("hold"));
	json_object_set_new(j, "state", json_string(state));
	h->watchers.tell(h->watchers.ctx, j);
	json_decref(j);
}

static void leave_room(struct one *o)
{
	if (o->room)
		room_left(o->room);
	o->room = NULL;
}

void holds_forget(struct holds *h, struct one *o)
{
	leave_room(o);
	if (h->turn == o)
		h->turn = o->next;
	if (o->counted)
		bpf_hold_pid_count(h->bpf, o->pid, -1);
	HASH_DEL(h->by_tid, o);
	DL_DELETE(h->list, o);
	h->stats.waiting--;
	if (!--o->of_gate->count) {
		/* it is in there: NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
		HASH_DEL(h->gates, o->of_gate);
		free(o->of_gate);
	}
	free(o);
}

enum { NO_SIGNAL = -1 };

/*
 * What BPF must know before the thread goes on: when, so that its next call is none of this one's
 * turns; and the signal that may have ended it, 0: one that stops it. Only while it sleeps: see
 * bpf_hold_put().
 */
static void note_released(struct holds *h, const struct one *o, int handled)
{
	struct hold entry;

	if (bpf_hold_get(h->bpf, o->tid, &entry))
		return;
	entry.released = boot_ns();
	entry.tries = 0;
	entry.asked = 0;
	entry.signal = handled > 0 ? (__u8)handled : 0;
	entry.stopped = !handled;
	bpf_hold_put(h->bpf, o->tid, &entry);
}

static void ended(struct holds *h, struct one *o, enum hold_end why)
{
	h->stats.ended[why]++;
	log_debug("hold of %s (thread %u) ends after %.6f s: %s", o->comm, o->tid,
		  (boot_ns() - o->since) / 1e9, end_names[why]);
	tell(h, o, end_names[why]);
}

/*
 * All who wait in o's room go on. Returns the next one after *o that is not among them: those
 * before need not be asked again, who may be many.
 */
static struct one *release_room(struct holds *h, struct one *first, enum hold_end why)
{
	struct room *room = first->room;
	struct one *o, *next, *after = first->next;

	while (after && after->room == room)
		after = after->next;

	DL_FOREACH(h->list, o)
		if (o->room == room)
			note_released(h, o, NO_SIGNAL);
	room_thaw(room);
	DL_FOREACH_SAFE(h->list, o, next) {
		if (o->room != room)
			continue;
		ended(h, o, why);
		holds_forget(h, o);
	}
	return after;
}

void holds_release_one(struct holds *h, struct one *o, enum hold_end why)
{
	if (why != HOLD_GONE)
		note_released(h, o, NO_SIGNAL);
	else
		bpf_hold_del(h->bpf, o->tid);
	if (!o->out)
		room_let_out(o->room, (pid_t)o->tid);
	ended(h, o, why);
	holds_forget(h, o);
}

/* Would the flow wait still? */
static bool waits(const struct holds *h, const struct one *o)
{
	struct ask a = {.flow = o->flow, .gate = o->gate};

	return bpf_ask(h->bpf, &a) || (a.decision.verdict == VERDICT_WAIT && !a.decision.failed);
}

void holds_settled(struct holds *h, __u32 space)
{
	struct one *o = h->list, *next;
	bool any = false;

	while (o) {
		next = o->next;
		if (!o->out && o->key.space == space && !waits(h, o)) {
			next = release_room(h, o, HOLD_PASSES);
			any = true;
		}
		o = next;
	}
	if (any)
		sched_yield(); /* to them: they may be on this CPU */
	holds_tidy_soon(h);
}

void holds_failed(struct holds *h, const struct neg_key *key)
{
	struct one *o = h->list, *next;

	while (o) {
		next = o->next;
		if (!o->out && !memcmp(&o->key, key, sizeof(*key)))
			next = release_room(h, o, HOLD_FAILED);
		o = next;
	}
	holds_tidy_soon(h);
}

void holds_decide_anew(struct holds *h)
{
	struct one *o = h->list;

	while (o)
		o = o->out ? o->next : release_room(h, o, HOLD_GATE);
	holds_tidy_soon(h);
}

void holds_let_out(struct holds *h, struct one *o, __u64 now, int handled)
{
	note_released(h, o, handled); /* its handler runs, and its call ends or comes back */
	room_let_out(o->room, (pid_t)o->tid);
	o->out = now;
	leave_room(o);
	h->stats.ended[HOLD_SIGNAL]++;
	tell(h, o, end_names[HOLD_SIGNAL]);
}

int holds_new(sd_event *event, struct bpf *b, const struct hold_watchers *watchers,
	      struct holds **out, struct error *e)
{
	struct holds *h = calloc(1, sizeof(*h));
	int err;

	if (!h)
		return error_set(e, -ENOMEM, "memory", "no memory");
	h->bpf = b;
	h->watchers = *watchers;
	err = rooms_new(&h->rooms, e);
	if (!err)
		err = holds_timer_new(h, event, e);
	if (err < 0) {
		holds_free(h);
		return err;
	}
	h->map_used = true; /* an earlier daemon's entries */
	holds_tidy_soon(h);
	*out = h;
	return 0;
}

void holds_free(struct holds *h)
{
	struct one *o, *next;

	if (!h)
		return;
	sd_event_source_disable_unref(h->timer);
	DL_FOREACH_SAFE(h->list, o, next)
		holds_forget(h, o);
	rooms_free(h->rooms);
	free(h);
}

static struct gate_holds *gate_holds_of(struct holds *h, __u64 gate)
{
	struct gate_holds *g;

	HASH_FIND(hh, h->gates, &gate, sizeof(gate), g);
	if (g)
		return g;
	g = calloc(1, sizeof(*g));
	if (!g)
		return NULL;
	g->gate = gate;
	HASH_ADD(hh, h->gates, gate, sizeof(g->gate), g);
	return g;
}

static struct one *new_one(struct holds *h, const struct event *e)
{
	struct gate_holds *of_gate = gate_holds_of(h, e->gate);
	struct one *o = of_gate ? calloc(1, sizeof(*o)) : NULL;

	if (!o)
		return NULL;
	o->of_gate = of_gate;
	of_gate->count++;
	o->tid = e->tid;
	o->since = e->since;
	HASH_ADD(hh, h->by_tid, tid, sizeof(o->tid), o);
	DL_APPEND(h->list, o);
	h->stats.waiting++;
	return o;
}

/* The call is rejected at its next turn, and counted so. */
static void refuse(struct holds *h, struct one *o, enum unheld as, const struct error *why)
{
	struct hold entry;

	if (!bpf_hold_get(h->bpf, o->tid, &entry)) {
		entry.stop = as;
		bpf_hold_put(h->bpf, o->tid, &entry);
	}
	if (strcmp(h->problem.message, why->message))
		log_warning("a call of %s (thread %u) cannot be held and is rejected: %s", o->comm,
			    o->tid, why->message);
	h->problem = *why;
	h->stats.refused++;
	tell(h, o, unheld_name(as));
	holds_forget(h, o);
}

/* Puts the thread to sleep; when that cannot be, its call is rejected. */
static void park(struct holds *h, struct one *o)
{
	struct error e = {};
	int err;

	if (!o->counted && bpf_signals_watched(h->bpf)) {
		o->counted = true; /* first: what comes before it sleeps is looked for */
		bpf_hold_pid_count(h->bpf, o->pid, 1);
	}
	err = rooms_park(h->rooms, (pid_t)o->tid, key_hash(&o->key), &o->room, &e);
	if (err == -ESRCH) {
		bpf_hold_del(h->bpf, o->tid);
		holds_forget(h, o);
	} else if (err) {
		refuse(h, o, UNHELD_ROOM, &e);
	} else {
		o->parked = boot_ns();
		bpf_hold_parked(h->bpf, o->parked);
		h->stats.parked++;
		tell(h, o, "parked");
		o->look = true;
		holds_timer_by(h, o->until);
		holds_look_soon(h);
	}
}

/*
 * An event that lay about: its call may have passed meanwhile, though it would wait now. Who is put
 * to sleep in another call, with a timeout, is told EINTR there.
 */
static bool went_on(const struct one *o, const struct event *e)
{
	enum hold_thread_state state;
	int handled;

	if (boot_ns() - e->time < LATE_NS)
		return false;
	state = hold_thread_look(&o->thread, &handled);
	return state == HOLD_THREAD_GONE || state == HOLD_THREAD_ELSEWHERE;
}

void holds_event(struct holds *h, const struct event *e, const struct gate_settings *settings,
		 const char *gate, const char *space)
{
	struct error error = {};
	struct hold entry;
	struct one *o;

	/* it asked again since, or was rejected meanwhile */
	if (bpf_hold_get(h->bpf, e->tid, &entry) || entry.asked != e->time)
		return;
	HASH_FIND(hh, h->by_tid, &e->tid, sizeof(e->tid), o);
	if (o && (o->thread.started != e->started || o->since != e->since)) {
		holds_forget(h, o); /* another thread of that id, or another call */
		o = NULL;
	}
	if (o && !o->out && e->time < o->parked)
		return; /* it asked on its way to sleep */
	h->map_used = true;
	if (!o)
		o = new_one(h, e);
	if (!o)
		return; /* BPF rejects it in a while */
	o->pid = e->pid;
	o->thread = (struct hold_thread){.pid = (pid_t)e->pid,
					 .tid = (pid_t)e->tid,
					 .started = e->started,
					 .ip = e->ip,
					 .sp = e->sp,
					 .signals = bpf_kick(h->bpf) == KICK_SIGNALS};
	o->until = e->until;
	o->flow = e->flow;
	o->key = e->decision.neg;
	o->gate = *settings;
	o->out = 0;
	leave_room(o); /* it was asleep, and asks again: somebody else woke it */
	memcpy(o->comm, e->comm, sizeof(e->comm));
	snprintf(o->gate_name, sizeof(o->gate_name), "%s", gate);
	snprintf(o->space_name, sizeof(o->space_name), "%s", space);
	if (!waits(h, o) || went_on(o, e)) {
		holds_forget(h, o); /* it finds so itself */
		return;
	}
	if (o->of_gate->count > o->gate.hold_max) {
		error_set(&error, -EBUSY, "busy", "gate %s: %u calls wait already (hold-max)", gate,
			  o->gate.hold_max);
		refuse(h, o, UNHELD_TABLE, &error);
		return;
	}
	park(h, o);
	holds_tidy_soon(h);
}

void holds_signal(struct holds *h, const struct hold_signal *s)
{
	struct one *o;

	bpf_hold_pid_looked(h->bpf, s->pid);
	DL_FOREACH(h->list, o)
		o->look |= o->pid == s->pid;
	holds_look_soon(h);
}

const struct hold_stats *holds_stats(const struct holds *h)
{
	return &h->stats;
}

const struct error *holds_problem(const struct holds *h)
{
	return &h->problem;
}

json_t *holds_to_json(const struct holds *h)
{
	json_t *list = json_array();
	const struct one *o;

	DL_FOREACH(h->list, o)
		json_array_append_new(list, to_json(o));
	return list;
}
