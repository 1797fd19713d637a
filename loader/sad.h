/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The SAs of one space and their image in the maps: for what a template asks (struct sad_key) the
 * slots 0 … n - 1, each with one SA that xfrm_state_find could choose. An SA that no flow going out
 * can use stays in the table only: WILDRECV, direction in, bound to one CPU, no sequence numbers
 * left, a selector longer than an address. So do SAs beyond SAD_SLOTS_MAX (those that expire first)
 * and those the map has no room for; FULL_SAD is then set in space_state.full.
 *
 * Identity: (daddr, spi, proto, family, mark value and mask), as __xfrm_state_locate tells SAs
 * apart.
 */
#ifndef SAGATE_SAD_H
#define SAGATE_SAD_H

#include <stdbool.h>
#include <stddef.h>

#include "maps.h"
#include "xfrm_msg.h"

struct sad;

struct sad_counts {
	size_t sas;	/* in the table */
	size_t stored;	/* in the map */
	size_t missing; /* usable and not in the map */
};

/* Nanoseconds of two clocks at one moment. */
struct sad_now {
	__u64 boot; /* CLOCK_BOOTTIME */
	__u64 real; /* CLOCK_REALTIME */
};

/* An empty table for an empty map. The sink must outlive it. NULL: no memory. */
struct sad *sad_new(__u32 space, const struct map_sink *sink);

/* Frees the table and leaves the maps as they are. */
void sad_free(struct sad *sad);

/* Another clock, for tests. */
void sad_set_clock(struct sad *sad, void (*clock)(struct sad_now *now));

/*
 * Adds an SA or replaces the one of its identity; an SA that stands is never missing from the map
 * in between. Returns 1 when something changed, 0 when it stood so already (what it has
 * transferred does not count), -ENOMEM (nothing changed: the caller must see that it comes again).
 *
 * The deadline is worked out once, and again when the lifetimes or the times they count from
 * change: the kernel's timer runs on CLOCK_BOOTTIME (xfrm_state_alloc) and a step of the wall
 * clock, which add_time is in, does not move it. An SA that stands beyond it, or longer since that
 * clock was set back, has a later one: see sad_life_deadline_again().
 */
int sad_put(struct sad *sad, const struct sa_info *sa);

/*
 * UPDSA. When the SA stands, the kernel changes only its lifetimes and, if not 0, its if_id
 * (xfrm_state_update; encapsulation and care-of address are not kept here), while the message shows
 * the request: everything else is kept. When it does not, it replaced a larval one and is as the
 * message says. Which of the two it was, and what there is to keep, cannot be told between mark and
 * sweep of an SA that the dump has not listed yet: when it does, both are put together, and
 * sad_unsure() tells of those that it did not list. As sad_put(); -EAGAIN: it could not be told
 * which of several SAs with marks it was (nothing changed): compare with another dump.
 */
int sad_update(struct sad *sad, const struct sa_info *sa);

/* At the end of a dump: whether SAs may be other than UPDSA told: compare with another one. */
bool sad_unsure(const struct sad *sad);

/* Returns 1, or 0 when there was none; between mark and sweep -ENOMEM (nothing changed). */
int sad_del(struct sad *sad, const struct sa_info *sa);

/*
 * EXPIRE, hard. Told of with another add time than ours it may be of an SA before ours (the timer
 * takes one away before it tells so, not under xfrm_cfg_mutex, and the next of its identity may
 * have been told of in between), or of ours: the timer moves the add time of one that expires hard
 * before it did soft, as after a clock step or with a new limit (xfrm_timer_handler()). Ours goes,
 * then, and -EAGAIN says that another dump must tell whether it stands. Else returns as sad_del().
 */
int sad_expire(struct sad *sad, const struct sa_info *sa);

/* FLUSHSA of a protocol (xfrm_flush_takes). Returns how many went. */
size_t sad_flush(struct sad *sad, __u8 proto);

/* Mark and sweep, with changes and a dump in any order between the two: see spd_mark(). */
void sad_mark(struct sad *sad);
int sad_put_dumped(struct sad *sad, const struct sa_info *sa);
size_t sad_sweep(struct sad *sad);
/* Between the two: calls `each` for what sad_sweep() would take now. */
void sad_each_unlisted(const struct sad *sad, void (*each)(void *ctx, const struct sa_info *),
		       void *ctx);

/* As spd_retry(); some more than `max` may go in, the slots of one template. */
size_t sad_retry(struct sad *sad, size_t max);

/* The SA as it stands, or NULL; valid until the table changes. */
const struct sa_info *sad_find(const struct sad *sad, const struct sa_info *identity);

/* Seconds until the hard lifetime ends, at least 0; -1: it has none. `sa` is one of this table's.
 */
__s64 sad_expires_in(const struct sad *sad, const struct sa_info *sa);

/* Of an SA of this table: its hard lifetime has ended; it has a slot in the map. */
bool sad_expired(const struct sad *sad, const struct sa_info *sa);
bool sad_stored(const struct sa_info *sa);

/* Whether a flow going out could use it at all. */
bool sad_usable(const struct sa_info *sa);

/* Calls `each` for every SA, in no order, until it returns other than 0, which is returned. */
int sad_each(const struct sad *sad, int (*each)(void *ctx, const struct sa_info *), void *ctx);

/*
 * The same for the usable SAs that a template asks for; key->space and key->slot are not looked at.
 * Stored ones come first, in the order of their slots.
 */
int sad_each_of(const struct sad *sad, const struct sad_key *key,
		int (*each)(void *ctx, const struct sa_info *), void *ctx);

/*
 * What the map must hold. sad_image: the value of one key of this space, false when there must be
 * none. sad_each_image: calls `each` for the entries behind one bucket of the table, and returns
 * the next bucket, 0 after the last; entries that stand all the while are told at least once,
 * whatever changes between two calls.
 */
bool sad_image(const struct sad *sad, const struct sad_key *key, struct sad_value *value);
__u32 sad_each_image(const struct sad *sad, __u32 bucket,
		     void (*each)(void *ctx, const void *key, const void *value), void *ctx);

void sad_count(const struct sad *sad, struct sad_counts *counts);

#endif
