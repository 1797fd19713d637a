/* SPDX-License-Identifier: GPL-2.0-only */
/* Draws from a seed: the same everywhere, and each world and case has a stream of its own. */
#ifndef ORACLE_RNG_H
#define ORACLE_RNG_H

#include <stdbool.h>
#include <stdint.h>

struct rng {
	uint64_t s;
};

/* splitmix64 */
static inline uint64_t rng_next(struct rng *r)
{
	uint64_t z = (r->s += 0x9e3779b97f4a7c15ULL);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

/* Stream `number` of kind `kind` of a seed. */
static inline struct rng rng_of(uint64_t seed, unsigned int kind, uint64_t number)
{
	struct rng r = {.s = seed ^ (uint64_t)kind << 56};

	r.s = rng_next(&r) + number * 0xd1342543de82ef95ULL;
	rng_next(&r);
	return r;
}

/* 0 … n - 1 */
static inline unsigned int rng_below(struct rng *r, unsigned int n)
{
	return (unsigned int)(rng_next(r) >> 33) % n;
}

static inline bool rng_percent(struct rng *r, unsigned int p)
{
	return rng_below(r, 100) < p;
}

#define RNG_PICK(r, list) ((list)[rng_below(r, sizeof(list) / sizeof((list)[0]))])

#endif
