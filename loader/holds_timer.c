// SPDX-License-Identifier: GPL-2.0-only
/* What time does to calls that wait: their end, looks at their threads for signals, and tidying. */
#include <errno.h>
#include <string.h>

#include "boot_time.h"
#include "holds_internal.h"

#define MSEC 1000000ULL
/* Looks cost some 25 µs each: at most so many in one go. */
enum { LOOK_MAX = 128 };
/* Between two goes of looks that a signal asks for. */
#define LOOK_PAUSE_NS (20 * MSEC)
/* Where signals are not seen as they come, threads are looked at in turn; else now and then, as
 * well. */
#define TURN_NS	     (50 * MSEC)
#define TURN_SEEN_NS (1000 * MSEC)
#define TIDY_NS	     (50 * MSEC)

static void at(struct holds *h, __u64 when)
{
	h->timer_at = when;
	sd_event_source_set_time(h->timer, when / 1000 + 1);
	sd_event_source_set_enabled(h->timer, SD_EVENT_ONESHOT);
}

void holds_timer_by(struct holds *h, __u64 when)
{
	if (!h->timer_at || when < h->timer_at)
		at(h, when);
}

void holds_look_soon(struct holds *h)
{
	holds_timer_by(h, h->looked + LOOK_PAUSE_NS);
}

void holds_tidy_soon(struct holds *h)
{
	if (h->map_used || rooms_count(h->rooms))
		holds_timer_by(h, boot_ns() + TIDY_NS);
}

/* One that sleeps, or was let out for a signal a moment ago. */
static void look_at(struct holds *h, struct one *o, __u64 now)
{
	enum hold_thread_state state;
	int handled;

	o->look = false;
	if (o->out) {
		if (now - o->out > HOLD_AGAIN_NS)
			holds_forget(h, o);
		return;
	}
	state = hold_thread_look(&o->thread, &handled);
	if (state == HOLD_THREAD_RUNS) { /* where it falls asleep is not known yet */
		o->look = true;
		holds_look_soon(h);
		return;
	}
	if (state == HOLD_THREAD_SIGNALLED)
		holds_let_out(h, o, now, handled);
	else if (state != HOLD_THREAD_SLEEPS)
		holds_release_one(h, o, state == HOLD_THREAD_GONE ? HOLD_GONE : HOLD_ELSEWHERE);
}

/* Those whose turn it is, and, first, those that are to be looked at. Returns when there is more.
 */
static __u64 look(struct holds *h, __u64 now)
{
	__u64 turn = bpf_signals_watched(h->bpf) ? TURN_SEEN_NS : TURN_NS;
	struct one *o, *next;
	int left = LOOK_MAX;

	h->looked = now;
	DL_FOREACH_SAFE(h->list, o, next) {
		if (!o->look)
			continue;
		if (!left--)
			return now + LOOK_PAUSE_NS;
		look_at(h, o, now);
	}
	if (now - h->turned < turn)
		return h->turned + turn;
	h->turned = now;
	if (!h->turn)
		h->turn = h->list;
	while (h->turn && left-- > 0) {
		o = h->turn;
		h->turn = o->next;
		look_at(h, o, now);
	}
	return now + turn;
}

/* Ends those whose time is over. Returns when the next one's is. */
static __u64 end_late(struct holds *h, __u64 now)
{
	struct one *o, *next;
	__u64 first = UINT64_MAX;

	DL_FOREACH_SAFE(h->list, o, next) {
		if (o->out)
			continue;
		if (o->until <= now)
			holds_release_one(h, o, HOLD_TIMEOUT);
		else if (o->until < first)
			first = o->until;
	}
	return first;
}

/* Until when a call may come back that does not sleep, as it was: see hold_comes_back(). */
static __u64 comes_back_until(__u32 tid, const struct hold *entry, __u64 now)
{
	__u64 last = entry->released ? entry->released : entry->asked;

	if (!entry->stopped && !entry->signal)
		return last + HOLD_AGAIN_NS;
	switch (hold_thread_letter((pid_t)tid)) {
	case 0:
		break;
	case 'T':
	case 't':
		last = now;
		break;
	default:
		if (entry->until > last)
			last = entry->until;
	}
	return last + HOLD_AGAIN_NS;
}

/* Of calls that have ended nothing stays. */
static void sweep_entry(void *ctx, __u32 tid, const struct hold *entry)
{
	struct holds *h = ctx;
	struct one *o;

	HASH_FIND(hh, h->by_tid, &tid, sizeof(tid), o);
	if (o || comes_back_until(tid, entry, h->map_swept) >= h->map_swept)
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

static int on_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct holds *h = ctx;
	__u64 now = boot_ns(), ends, looks;

	(void)source;
	(void)usec;
	h->timer_at = 0;
	ends = end_late(h, now);
	looks = look(h, now);
	if (rooms_tidy(h->rooms))
		holds_timer_by(h, now + TIDY_NS);
	sweep_map(h, now);
	if (h->list) {
		holds_timer_by(h, looks);
		holds_timer_by(h, ends);
	}
	if (h->map_used)
		holds_timer_by(h, h->map_swept + HOLD_AGAIN_NS);
	return 0;
}

int holds_timer_new(struct holds *h, sd_event *event, struct error *e)
{
	int err =
		sd_event_add_time(event, &h->timer, CLOCK_BOOTTIME, UINT64_MAX, 1000, on_timer, h);

	if (err >= 0)
		err = sd_event_source_set_enabled(h->timer, SD_EVENT_OFF);
	return err < 0 ? error_set(e, err, "loop", "holds: %s", strerror(-err)) : 0;
}
