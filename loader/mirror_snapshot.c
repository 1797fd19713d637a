// SPDX-License-Identifier: GPL-2.0-only
/*
 * One snapshot is: the event socket read empty, mark, GETSA dump, GETPOLICY dump, GETDEFAULT, the
 * event socket read empty again, sweep. Meanwhile events are applied as they come. Why what stands
 * at the end is right:
 *
 * - The event socket is bound before the first dump, so every change after that is told, or its
 *   loss is (ENOBUFS), which begins a new snapshot.
 * - After an overrun the kernel drops all events until the queue has been read empty (netlink's
 *   NETLINK_S_CONGESTED), and the queue still holds what came before the gap. Therefore it is read
 *   empty before the mark: an event applied after the mark has none missing behind it. Nothing of
 *   what is read so is applied: every change it tells of was made before the dump is asked for. It
 *   would cost most of the time until the mirror is whole again, for states that may be long gone.
 * - The events of one object come in the order of its changes, so the last one says what it is. An
 *   event may be older than the dump (it waited in the queue) or newer than the part of the dump
 * that is read after it (the kernel fills a part when the one before is read). Neither can be seen;
 * so where both speak of an object the events do, whatever they say last (spd_put_dumped).
 * - What no event touched since the mark is as the dump says, and what the dump does not list
 * either is gone: this is what the sweep takes, and the only way to learn of changes that raise no
 * event.
 * - UPDPOLICY puts a new policy at the front of the list that the dump walks, behind the walker's
 *   back; such a policy is in its event only. The kernel sends the event before it lets go of
 *   xfrm_cfg_mutex, and answers GETDEFAULT only under that mutex: with the answer, the events of
 * all that the dumps may have missed are in the queue. Therefore the last reading before the sweep.
 */
#include <errno.h>

#include "boot_time.h"
#include "mirror_internal.h"

#define SOON_MIN	    10000ULL
#define SOON_MAX	    100000ULL
#define BACKOFF_MIN	    10000ULL
#define BACKOFF_MAX	    1000000ULL
#define BACKOFF_INTERRUPTED BACKOFF_MIN /* a dump that changes cut short: they may be over */

/* A snapshot from the start; one that runs is given up. */
static void begin(struct mirror *m)
{
	if (m->timer)
		sd_event_source_set_enabled(m->timer, SD_EVENT_OFF);
	mirror_dump_close(m);
	m->again = false;
	m->look_armed = false;
	m->comparing = m->synced;
	m->stats.reconciles += m->comparing;
	mirror_found_begin(m);
	m->begun = boot_ns();
	m->phase = PHASE_EMPTY;
}

static int timer_dispatch(sd_event_source *s, uint64_t usec, void *ctx)
{
	struct mirror *m = ctx;

	(void)s;
	(void)usec;
	begin(m);
	mirror_snapshot_settle(m, mirror_events_read(m));
	return 0;
}

/* Until another comparison: as long as the last snapshot took, so that they take half the time. */
static uint64_t soon(const struct mirror *m)
{
	uint64_t usec = m->stats.duration / 1000;

	return usec < SOON_MIN ? SOON_MIN : usec > SOON_MAX ? SOON_MAX : usec;
}

int mirror_snapshot_at(struct mirror *m, uint64_t usec)
{
	uint64_t now;
	int r = sd_event_now(m->loop, CLOCK_MONOTONIC, &now);

	if (r < 0)
		return r;
	if (!m->timer)
		return sd_event_add_time(m->loop, &m->timer, CLOCK_MONOTONIC, now + usec, 1,
					 timer_dispatch, m);
	r = sd_event_source_set_time(m->timer, now + usec);
	return r < 0 ? r : sd_event_source_set_enabled(m->timer, SD_EVENT_ONESHOT);
}

void mirror_snapshot_retry(struct mirror *m, int err)
{
	m->stats.dump_errors++;
	m->stats.last_error = err;
	mirror_dump_close(m);
	m->phase = PHASE_WAIT;
	if (err == -EINTR) {
		mirror_snapshot_at(m, BACKOFF_INTERRUPTED);
		return;
	}
	m->backoff = m->backoff ? m->backoff * 2 : BACKOFF_MIN;
	if (m->backoff > BACKOFF_MAX)
		m->backoff = BACKOFF_MAX;
	mirror_snapshot_at(m, m->backoff);
}

/* The last events before the sweep are applied: what is in the tables now is what stands. */
static void finish(struct mirror *m)
{
	size_t swept;

	mirror_found_end(m);
	m->look_soon |= sad_unsure(m->sad);
	swept = sad_sweep(m->sad);
	swept += spd_sweep(m->spd, CLASS_MAIN);
	swept += spd_sweep(m->spd, CLASS_SUB);
	mirror_dump_close(m);
	m->phase = PHASE_IDLE;
	m->backoff = 0;
	m->stats.snapshots++;
	m->stats.synced_at = boot_ns();
	m->stats.duration = m->stats.synced_at - m->begun;
	if (swept)
		mirror_tell(m, MIRROR_SWEPT, NULL);
	mirror_state(m)->synced = SYNCED;
	if (!m->synced) {
		m->synced = true;
		if (m->ops->synced)
			m->ops->synced(m->ctx, true);
	}
	m->look_armed = m->look_soon;
	mirror_snapshot_at(m, mirror_compare_end(m) ? 0
			      : m->look_soon	    ? soon(m)
						    : m->options.reconcile_usec);
}

void mirror_snapshot_next(struct mirror *m)
{
	switch (m->phase) {
	case PHASE_SA:
		mirror_dump_ask(m, PHASE_POLICY);
		break;
	case PHASE_POLICY:
		mirror_dump_ask(m, PHASE_DEFAULT);
		break;
	default:
		m->phase = PHASE_DRAIN;
		break;
	}
}

void mirror_snapshot_settle(struct mirror *m, bool empty)
{
	if (m->again && m->phase != PHASE_WAIT) {
		m->again = false;
		begin(m);
	}
	if (m->phase == PHASE_EMPTY && empty) {
		spd_mark(m->spd, CLASS_MAIN);
		spd_mark(m->spd, CLASS_SUB);
		sad_mark(m->sad);
		m->look_soon = false;
		mirror_dump_ask(m, PHASE_SA);
	} else if (m->phase == PHASE_DRAIN && empty) {
		finish(m);
	} else if (m->phase == PHASE_IDLE && m->look_soon && !m->look_armed) {
		m->look_armed = true;
		mirror_snapshot_at(m, soon(m));
	}
	if (!m->changed)
		return;
	m->changed = false;
	if (m->ops->settled)
		m->ops->settled(m->ctx);
}
