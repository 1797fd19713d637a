/* SPDX-License-Identifier: GPL-2.0-only */
/* For the files that make up the mirror: mirror.c, _apply.c, _events.c, _dump.c, _snapshot.c. */
#ifndef SAGATE_MIRROR_INTERNAL_H
#define SAGATE_MIRROR_INTERNAL_H

#include "mirror.h"
#include "mirror_hash.h"
#include "mirror_nl.h"

enum mirror_phase {
	PHASE_IDLE,
	PHASE_WAIT,  /* for the back-off to run out */
	PHASE_EMPTY, /* until the event socket is read empty */
	PHASE_SA,
	PHASE_POLICY,
	PHASE_DEFAULT,
	PHASE_DRAIN, /* until the event socket is read empty again */
};

struct mirror {
	sd_event *loop;
	sd_event_source *events_io, *dump_io, *timer;
	struct nl_sock *events, *dump;
	int netns_fd; /* own copy, -1: ours */
	const struct map_sink *sink;
	const struct mirror_ops *ops;
	void *ctx;
	uint32_t space;
	struct mirror_options options;
	struct spd *spd;
	struct sad *sad;
	struct mirror_stats stats;
	enum mirror_phase phase;
	uint32_t seq;
	uint64_t begun;	    /* CLOCK_BOOTTIME, the snapshot that runs */
	struct mhash found; /* struct found: differences of the dumps */
	uint64_t backoff;
	const struct mirror_compare_ops *compare; /* somebody wants to know what differs */
	void *compare_ctx;
	bool telling; /* and this snapshot is for him */
	bool synced;
	bool comparing;	   /* it is a comparison: synced when it began, and nothing lost since */
	bool interrupted;  /* this dump */
	bool default_told; /* by an event, since it was asked for */
	bool look_soon;	   /* another comparison is wanted */
	bool look_armed;   /* and the timer is set for it */
	bool again;	   /* something was lost in this dispatch: begin anew */
	bool dropping;	   /* the event socket ran over: what it holds is thrown away */
	bool changed;	   /* in this dispatch */
};

/* The space's state in the maps. */
struct space_state *mirror_state(const struct mirror *m);

/* Applying: changes into the tables, and from there into the maps. */

void mirror_apply(struct mirror *m, const struct xfrm_change *c);

/* Returns whether the default policy was another one. */
bool mirror_default_set(struct mirror *m, const struct xfrm_change *c);

/* Something was changed: says so. */
void mirror_tell(struct mirror *m, enum mirror_what what, const struct xfrm_change *c);

/* Something may have been missed: stale at once, and a whole snapshot. */
void mirror_lost(struct mirror *m);

/* The event socket. */

/*
 * Applies what is queued, up to a limit a call. Returns whether the socket was read empty. A loss
 * is noted in m->again. After an overrun what is queued is older than the gap, and the dump that
 * must follow tells all of it: it is thrown away until the socket was read empty.
 */
bool mirror_events_read(struct mirror *m);

/* One dump. */

/* Sends the request of a phase, PHASE_SA, PHASE_POLICY or PHASE_DEFAULT, and enters the phase. */
void mirror_dump_ask(struct mirror *m, enum mirror_phase phase);

void mirror_dump_close(struct mirror *m);

/* The snapshot: which dump follows which, and when. */

/*
 * Ends a dispatch: goes on with the snapshot as far as the events allow (`empty`: their socket was
 * read empty), and says so if something changed.
 */
void mirror_snapshot_settle(struct mirror *m, bool empty);

/* A dump came to its end: the next phase. */
void mirror_snapshot_next(struct mirror *m);

/* The snapshot failed: again after a while, for as long as it takes. */
void mirror_snapshot_retry(struct mirror *m, int err);

/* Begins one in `usec` from now. 0 or -errno. */
int mirror_snapshot_at(struct mirror *m, uint64_t usec);

/* What a comparison finds. Nothing happens in a snapshot that is none. */

/* A snapshot begins: what an earlier one found counts no more. */
void mirror_found_begin(struct mirror *m);

/* What the mirror has of an entry of a dump that is about to be applied; of no kind: nothing. */
void mirror_found_before(const struct mirror *m, const struct xfrm_change *c,
			 struct xfrm_change *before);

/*
 * The entry was not so in the mirror: a difference, unless an event that waits in the queue will
 * speak of it.
 */
void mirror_found_dumped(struct mirror *m, const struct xfrm_change *c,
			 const struct xfrm_change *before);

/* An event: of what it speaks there is no difference. */
void mirror_found_touched(struct mirror *m, const struct xfrm_change *c);

/*
 * All events are applied, nothing is swept yet. Counts what differs and tells it to whom it is for.
 */
void mirror_found_end(struct mirror *m);

/* The snapshot is over. Returns whether another must begin at once. */
bool mirror_compare_end(struct mirror *m);

#endif
