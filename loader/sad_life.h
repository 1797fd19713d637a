/* SPDX-License-Identifier: GPL-2.0-only */
/* The lifetimes of SAs as deadlines of CLOCK_BOOTTIME. sad.c's. */
#ifndef SAGATE_SAD_LIFE_H
#define SAGATE_SAD_LIFE_H

#include <stdbool.h>

#include "sad.h"
#include "xfrm_msg.h"

/* Both clocks as they stand. */
void sad_life_now(struct sad_now *now);

/*
 * When the hard lifetime has surely ended, in nanoseconds of CLOCK_BOOTTIME; 0: none of it runs,
 * and `clock` is not asked.
 */
__u64 sad_life_deadline(const struct sa_life *life, void (*clock)(struct sad_now *now));

/*
 * The same of an SA that was known with that deadline, and that the kernel lists again as it was:
 * a later one when the wall clock was set back, since the kernel then keeps it longer
 * (xfrm_timer_handler()), or when it should be gone. Never an earlier one.
 */
__u64 sad_life_deadline_again(__u64 deadline, const struct sa_life *life,
			      void (*clock)(struct sad_now *now));

/* Seconds until the end that a deadline is of, at least 0; -1: `deadline` is 0. */
__s64 sad_life_left(__u64 deadline, void (*clock)(struct sad_now *now));

/* Whether it has passed, as sad_check() compares it. */
bool sad_life_over(__u64 deadline, void (*clock)(struct sad_now *now));

/* Whether the hard lifetimes and the times they count from are the same: so is the deadline. */
bool sad_life_starts_equal(const struct sa_life *a, const struct sa_life *b);

#endif
