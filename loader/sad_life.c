// SPDX-License-Identifier: GPL-2.0-only
#include <time.h>

#include "sad_life.h"

#define NS 1000000000ULL

/*
 * The kernel sends with an SA until its timer takes it away, and that counts whole seconds from a
 * start of which it knows the second: up to one later, and once more where the hard end comes
 * before the soft one. Where the daemon runs the timer's EXPIRE says it exactly; this is for when
 * it does not.
 */
enum { LATE = 2 }; /* seconds */

void sad_life_now(struct sad_now *now)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	now->boot = (__u64)t.tv_sec * NS + (__u64)t.tv_nsec;
	clock_gettime(CLOCK_REALTIME, &t);
	now->real = (__u64)t.tv_sec * NS + (__u64)t.tv_nsec;
}

/*
 * Nanoseconds left of `limit` seconds since `start`, a time of the wall clock, of an SA that the
 * kernel still has. When `start` lies ahead, or so long ago that it should have none, that clock
 * was set since, nobody knows how much is left, and *known is false: the kernel's timer does not
 * follow it.
 */
static __u64 remaining(__u32 limit, __u64 start, __u64 real, bool *known)
{
	const __u64 seconds = (__u64)limit + LATE, whole = seconds * NS, now = real / NS;

	if (start <= now && now - start <= seconds && real - start * NS < whole)
		return whole - (real - start * NS);
	*known = false;
	return whole;
}

/* xfrm_timer_handler: the earlier of both; without a first use the second does not run yet. */
static __u64 deadline_at(const struct sa_life *life, const struct sad_now *now, bool *known)
{
	__u64 left = ~0ULL, use;

	*known = true;
	if (life->hard_add)
		left = remaining(life->hard_add, life->add_time, now->real, known);
	if (life->hard_use && life->use_time) {
		use = remaining(life->hard_use, life->use_time, now->real, known);
		left = use < left ? use : left;
	}
	return now->boot + left;
}

static bool runs(const struct sa_life *life)
{
	return life->hard_add || (life->hard_use && life->use_time);
}

__u64 sad_life_deadline(const struct sa_life *life, void (*clock)(struct sad_now *now))
{
	struct sad_now now;
	bool known;

	if (!runs(life))
		return 0;
	clock(&now);
	return deadline_at(life, &now, &known);
}

__u64 sad_life_deadline_again(__u64 deadline, const struct sa_life *life,
			      void (*clock)(struct sad_now *now))
{
	struct sad_now now;
	__u64 again;
	bool known;

	if (!deadline || !runs(life))
		return deadline;
	clock(&now);
	again = deadline_at(life, &now, &known);
	if (known ? again > deadline + LATE * NS : now.boot >= deadline)
		return again;
	return deadline;
}

bool sad_life_starts_equal(const struct sa_life *a, const struct sa_life *b)
{
	return a->hard_add == b->hard_add && a->hard_use == b->hard_use &&
	       a->add_time == b->add_time && a->use_time == b->use_time;
}

__s64 sad_life_left(__u64 deadline, void (*clock)(struct sad_now *now))
{
	struct sad_now now;

	if (!deadline)
		return -1;
	clock(&now);
	now.boot += LATE * NS;
	return deadline > now.boot ? (__s64)((deadline - now.boot) / NS) : 0;
}

bool sad_life_over(__u64 deadline, void (*clock)(struct sad_now *now))
{
	struct sad_now now;

	if (!deadline)
		return false;
	clock(&now);
	return now.boot >= deadline;
}
