/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The mirror of one network namespace: keeps its SPD, SAD and default policy in the maps, from XFRM
 * netlink. space_state.synced is SYNCED while everything that the kernel has told is in the maps
 * and nothing was missed; the moment something may have been missed it is SYNCED_ONCE, until a
 * whole dump is in. The maps are never emptied for that (mark and sweep).
 */
#ifndef SAGATE_MIRROR_H
#define SAGATE_MIRROR_H

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "error.h"
#include "maps.h"
#include "sad.h"
#include "spd.h"
#include "xfrm_msg.h"

struct mirror;

/* What changed() is about. */
enum mirror_what {
	MIRROR_POLICY,	/* change: as in the message */
	MIRROR_SA,	/* change: as in the message */
	MIRROR_DEFAULT, /* change: as in the message */
	MIRROR_SWEPT,	/* something went that no message told of; change is NULL */
};

struct mirror_ops {
	/* Became whole or stale. The first call is the end of the first snapshot. */
	void (*synced)(void *ctx, bool synced);
	/* After a change is in the maps. Soft expiries are reported too. */
	void (*changed)(void *ctx, enum mirror_what what, const struct xfrm_change *change);
	/* After a batch of changes (one dispatch of the loop). */
	void (*settled)(void *ctx);
};

struct mirror_options {
	int rcvbuf;		 /* bytes of the event socket's buffer, 0: 8 MiB */
	uint64_t reconcile_usec; /* between two comparisons with a dump, 0: 60 s */
};

struct mirror_stats {
	uint64_t snapshots;   /* whole dumps that came to an end, all kinds */
	uint64_t resyncs;     /* begun because something may have been missed */
	uint64_t reconciles;  /* begun without cause, by time, or to look at something unknown */
	uint64_t overruns;    /* ENOBUFS on the event socket */
	uint64_t dropped;     /* messages thrown away unread, which an overrun had made stale */
	uint64_t truncated;   /* messages longer than the read buffer */
	uint64_t interrupted; /* dumps with NLM_F_DUMP_INTR */
	uint64_t dump_errors; /* dumps that failed and were tried again */
	uint64_t foreign;     /* messages of senders that are not the kernel */
	uint64_t unparsable;  /* messages of the kernel that could not be read */
	uint64_t unknown;     /* message types that this build does not know */
	uint64_t events;      /* messages read from the event socket and applied */
	uint64_t differences; /* found and repaired by comparisons while synced */
	uint64_t differed_at; /* the last of them, ns of CLOCK_BOOTTIME */
	uint64_t synced_at; /* nanoseconds of CLOCK_BOOTTIME, when the last snapshot ended, 0: never
			     */
	uint64_t duration;  /* nanoseconds it took */
	int last_error;	    /* negative errno of the last failed dump, 0: none */
};

/*
 * Begins to mirror the namespace `netns_fd` (-1: the caller's; not kept) as `space` of the sink. It
 * goes on in the loop; nothing here ever blocks. `event`, `sink`,
 * `ops` and `ctx` must outlive it; `options` may be NULL and is copied. Needs CAP_NET_ADMIN in the
 * namespace, and CAP_SYS_ADMIN to enter it. The process is single-threaded: its namespace is
 * changed and changed back. 0, or -errno with *error filled and *mirror untouched.
 */
int mirror_new(sd_event *event, int netns_fd, uint32_t space, const struct map_sink *sink,
	       const struct mirror_ops *ops, void *ctx, const struct mirror_options *options,
	       struct mirror **mirror, struct error *error);

/* Ends it; NULL is accepted. The maps and space_state stay as they are. */
void mirror_free(struct mirror *m);

/* Valid until the loop runs on. */
struct spd *mirror_spd(struct mirror *m);
struct sad *mirror_sad(struct mirror *m);

bool mirror_synced(const struct mirror *m);
bool mirror_default_block(const struct mirror *m);
const struct mirror_stats *mirror_stats(const struct mirror *m);

/* Compares with a dump now, without going stale, and repairs what differs. */
void mirror_reconcile(struct mirror *m);

/* One entry that the mirror had otherwise than the kernel. */
struct mirror_difference {
	const char *name; /* "SA …", "policy …", "default policy" */
	bool in_kernel, in_mirror;
	const char *fields; /* names of those that differ, when it is in both; else NULL */
};

struct mirror_compare_ops {
	/* What it points to is valid only now. */
	void (*differs)(void *ctx, const struct mirror_difference *d);
	/* All differences have been told, and the mirror is for another to compare. */
	void (*done)(void *ctx);
};

/*
 * The same, and tells what differed. Changes meanwhile are no differences: of an entry that an
 * event touches nothing is told. When something is lost meanwhile, the resync comes
 * first and then it begins anew, for as long as it takes. `ops` and `ctx` must last until done() or
 * mirror_compare_stop(). One at a time: -EBUSY.
 */
int mirror_compare(struct mirror *m, const struct mirror_compare_ops *ops, void *ctx);
/* No more calls. What is under way goes on as a mere mirror_reconcile(). */
void mirror_compare_stop(struct mirror *m);

#endif
