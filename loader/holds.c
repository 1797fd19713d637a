// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>
#include <utlist.h>

#include "boot_time.h"
#include "flow_json.h"
#include "hold_thread.h"
#include "holds.h"
#include "json_util.h"
#include "log.h"
#include "rooms.h"

/* How often threads are looked at for signals, and how many in one go. */
#define LOOK_EVERY_USEC 50000
enum { LOOK_MAX = 128 };

struct one {
	UT_hash_handle hh;
	struct one *prev, *next; /* in order of arrival */
	__u32 tid, pid;
	struct hold_thread thread;
	__u64 since, until;
	__u64 out; /* let out for a signal: it may come back until a moment later, 0: it sleeps */
	struct flow flow;
	struct neg_key key;
	struct gate_settings gate;
	struct room *room;
	char gate_name[65], space_name[65];
	char comm[17];
};

struct holds {
	struct one *by_tid, *list;
	struct rooms *rooms;
	struct bpf *bpf;
	sd_event_source *timer; /* enabled while somebody waits or rooms are to go */
	struct one *look;	/* the next to be looked at */
	bool map_used;		/* there may be entries of calls that went on */
	__u64 map_swept;
	struct hold_stats stats;
	char problem[512];
	void (*publish)(void *ctx, json_t *event);
	void *ctx;
};

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
	json_t *j = to_json(o);

	if (!j)
		return;
	json_object_set_new(j, "event", json_string("hold"));
	json_object_set_new(j, "state", json_string(state));
	h->publish(h->ctx, j);
	json_decref(j);
}

static void arm(struct holds *h)
{
	const struct one *o;
	__u64 first;

	if (!h->list && !rooms_count(h->rooms) && !h->map_used) {
		sd_event_source_set_enabled(h->timer, SD_EVENT_OFF);
		return;
	}
	first = boot_ns() + LOOK_EVERY_USEC * 1000ULL;
	if (!h->list && !rooms_count(h->rooms))
		first = h->map_swept + HOLD_AGAIN_NS;
	DL_FOREACH(h->list, o)
		if (!o->out && o->until < first)
			first = o->until;
	sd_event_source_set_time(h->timer, first / 1000 + 1);
	sd_event_source_set_enabled(h->timer, SD_EVENT_ONESHOT);
}

static void forget(struct holds *h, struct one *o)
{
	if (h->look == o)
		h->look = o->next;
	HASH_DEL(h->by_tid, o);
	DL_DELETE(h->list, o);
	h->stats.waiting--;
	free(o);
}

/*
 * What BPF must know before the thread goes on: when, so that its next call is none of this one's
 * turns. Only while it sleeps: see bpf_hold_put().
 */
static void note_released(struct holds *h, const struct one *o)
{
	struct hold entry;

	if (bpf_hold_get(h->bpf, o->tid, &entry))
		return;
	entry.released = boot_ns();
	entry.tries = 0;
	entry.asked = 0;
	bpf_hold_put(h->bpf, o->tid, &entry);
}

static void ended(struct holds *h, struct one *o, enum hold_end why)
{
	h->stats.ended[why]++;
	log_debug("hold of %s (thread %u) ends after %.6f s: %s", o->comm, o->tid,
		  (boot_ns() - o->since) / 1e9, end_names[why]);
	tell(h, o, end_names[why]);
}

/* All who wait in the room go on. */
static void release_room(struct holds *h, struct room *room, enum hold_end why)
{
	struct one *o, *next;

	DL_FOREACH(h->list, o)
		if (o->room == room)
			note_released(h, o);
	room_thaw(room);
	DL_FOREACH_SAFE(h->list, o, next) {
		if (o->room != room)
			continue;
		ended(h, o, why);
		forget(h, o);
	}
}

static void release_one(struct holds *h, struct one *o, enum hold_end why)
{
	if (why != HOLD_GONE)
		note_released(h, o);
	else
		bpf_hold_del(h->bpf, o->tid);
	if (!o->out)
		room_let_out(o->room, (pid_t)o->tid);
	ended(h, o, why);
	forget(h, o);
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

	while (o) {
		next = o->next;
		if (!o->out && o->key.space == space && !waits(h, o)) {
			release_room(h, o->room, HOLD_PASSES);
			next = h->list; /* others may have gone with it */
		}
		o = next;
	}
	arm(h);
}

void holds_failed(struct holds *h, const struct neg_key *key)
{
	struct one *o = h->list, *next;

	while (o) {
		next = o->next;
		if (!o->out && !memcmp(&o->key, key, sizeof(*key))) {
			release_room(h, o->room, HOLD_FAILED);
			next = h->list;
		}
		o = next;
	}
	arm(h);
}

void holds_gates_changed(struct holds *h)
{
	struct one *o = h->list;

	while (o) {
		if (o->out) {
			o = o->next;
			continue;
		}
		release_room(h, o->room, HOLD_GATE);
		o = h->list; /* others have gone with it */
	}
	arm(h);
}

/* One that sleeps, or was let out for a signal a moment ago. */
static void look_at(struct holds *h, struct one *o, __u64 now)
{
	enum hold_thread_state state;

	if (o->out) {
		if (now - o->out > HOLD_AGAIN_NS)
			forget(h, o);
		return;
	}
	if (o->until <= now) {
		release_one(h, o, HOLD_TIMEOUT);
		return;
	}
	state = hold_thread_look(&o->thread);
	if (state == HOLD_THREAD_SLEEPS)
		return;
	if (state == HOLD_THREAD_GONE || state == HOLD_THREAD_ELSEWHERE) {
		release_one(h, o, HOLD_GONE);
		return;
	}
	/* its handler runs, and its call ends or comes back */
	note_released(h, o);
	room_let_out(o->room, (pid_t)o->tid);
	o->out = now;
	o->room = NULL;
	h->stats.ended[HOLD_SIGNAL]++;
	tell(h, o, end_names[HOLD_SIGNAL]);
}

/* Of calls that have ended nothing stays. */
static void sweep_entry(void *ctx, __u32 tid, const struct hold *entry)
{
	struct holds *h = ctx;
	struct one *o;

	HASH_FIND(hh, h->by_tid, &tid, sizeof(tid), o);
	if (o || h->map_swept - (entry->released ? entry->released : entry->asked) <= HOLD_AGAIN_NS)
		h->map_used = true;
	else
		bpf_hold_del(h->bpf, tid);
}

static void sweep_map(struct holds *h, __u64 now)
{
	if (!h->map_used || now - h->map_swept < HOLD_AGAIN_NS)
		return;
	h->map_used = false;
	h->map_swept = now;
	bpf_hold_each(h->bpf, sweep_entry, h);
	h->map_used |= bpf_kicks_tidy(h->bpf);
}

static void end_late(struct holds *h, __u64 now)
{
	struct one *o, *next;

	DL_FOREACH_SAFE(h->list, o, next)
		if (!o->out && o->until <= now)
			release_one(h, o, HOLD_TIMEOUT);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct holds *h = ctx;
	__u64 now = boot_ns();
	struct one *o;

	(void)source;
	(void)usec;
	end_late(h, now);
	for (int i = 0; i < LOOK_MAX && h->list; i++) {
		o = h->look ? h->look : h->list;
		h->look = o->next;
		look_at(h, o, now);
		if (!h->look)
			break; /* once round is enough */
	}
	rooms_tidy(h->rooms);
	sweep_map(h, now);
	arm(h);
	return 0;
}

int holds_new(sd_event *event, struct bpf *b, void (*publish)(void *ctx, json_t *event), void *ctx,
	      struct holds **out, struct error *e)
{
	struct holds *h = calloc(1, sizeof(*h));
	int err;

	if (!h)
		return error_set(e, -ENOMEM, "memory", "no memory");
	h->bpf = b;
	h->publish = publish;
	h->ctx = ctx;
	err = rooms_new(&h->rooms, e);
	if (!err) {
		err = sd_event_add_time(event, &h->timer, CLOCK_BOOTTIME, UINT64_MAX, 1000,
					on_timer, h);
		if (err >= 0)
			err = sd_event_source_set_enabled(h->timer, SD_EVENT_OFF);
		if (err < 0)
			error_set(e, err, "loop", "holds: %s", strerror(-err));
	}
	if (err < 0) {
		holds_free(h);
		return err;
	}
	*out = h;
	return 0;
}

void holds_free(struct holds *h)
{
	struct one *o, *next;

	if (!h)
		return;
	sd_event_source_disable_unref(h->timer);
	rooms_free(h->rooms);
	DL_FOREACH_SAFE(h->list, o, next)
		forget(h, o);
	free(h);
}

static struct one *new_one(struct holds *h, const struct event *e)
{
	struct one *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->tid = e->tid;
	o->since = e->since;
	HASH_ADD(hh, h->by_tid, tid, sizeof(o->tid), o);
	DL_APPEND(h->list, o);
	h->stats.waiting++;
	return o;
}

/* The call is rejected at its next turn. */
static void refuse(struct holds *h, struct one *o, const struct error *why)
{
	struct hold entry;

	if (!bpf_hold_get(h->bpf, o->tid, &entry)) {
		entry.stop = 1;
		bpf_hold_put(h->bpf, o->tid, &entry);
	}
	if (strcmp(h->problem, why->message))
		log_warning("a call of %s (thread %u) cannot be held and is rejected: %s", o->comm,
			    o->tid, why->message);
	snprintf(h->problem, sizeof(h->problem), "%s", why->message);
	h->stats.refused++;
	tell(h, o, "no-room");
	forget(h, o);
}

void holds_event(struct holds *h, const struct event *e, const struct gate_settings *settings,
		 const char *gate, const char *space)
{
	struct error error = {};
	struct hold entry;
	struct one *o;
	int err;

	/* it asked again since, was rejected meanwhile, or is asleep already */
	if (bpf_hold_get(h->bpf, e->tid, &entry) || entry.asked != e->time)
		return;
	HASH_FIND(hh, h->by_tid, &e->tid, sizeof(e->tid), o);
	if (o && (o->thread.started != e->started || o->since != e->since)) {
		forget(h, o); /* another thread of that id, or another call */
		o = NULL;
	}
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
					 .sp = e->sp};
	o->until = e->until;
	o->flow = e->flow;
	o->key = e->decision.neg;
	o->gate = *settings;
	o->out = 0;
	memcpy(o->comm, e->comm, sizeof(e->comm));
	snprintf(o->gate_name, sizeof(o->gate_name), "%s", gate);
	snprintf(o->space_name, sizeof(o->space_name), "%s", space);
	if (!waits(h, o)) {
		forget(h, o); /* it finds so itself */
		return;
	}
	err = rooms_park(h->rooms, (pid_t)o->tid, key_hash(&o->key), &o->room, &error);
	if (err == -ESRCH) {
		bpf_hold_del(h->bpf, o->tid);
		forget(h, o);
	} else if (err) {
		refuse(h, o, &error);
	} else {
		bpf_hold_parked(h->bpf, boot_ns());
		h->stats.parked++;
		tell(h, o, "parked");
	}
	arm(h);
}

const struct hold_stats *holds_stats(const struct holds *h)
{
	return &h->stats;
}

const char *holds_problem(const struct holds *h)
{
	return h->problem;
}

json_t *holds_to_json(const struct holds *h)
{
	json_t *list = json_array();
	const struct one *o;

	DL_FOREACH(h->list, o)
		json_array_append_new(list, to_json(o));
	return list;
}
