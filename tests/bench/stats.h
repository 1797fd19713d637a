/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Two things measured in turn, round by round, on a machine that does other work too: the ratio of
 * each round's pair, and of these the median and the middle half.
 */
#ifndef BENCH_STATS_H
#define BENCH_STATS_H

#include <stddef.h>

#define ROUNDS_MAX 400

struct series {
	double a[ROUNDS_MAX]; /* what is measured */
	double b[ROUNDS_MAX]; /* its baseline, of the same round */
	size_t n;
};

struct summary {
	double a, b;		 /* medians */
	double min_a, min_b;	 /* of the least disturbed rounds */
	double ratio, low, high; /* median, and the quarters, of a / b */
	size_t n;
};

void series_add(struct series *s, double a, double b);
struct summary series_sum(const struct series *s);

/* The k-th of n values, k in 0 … 1; sorts them. n > 0. */
double quantile(double *values, size_t n, double k);

/*
 * One row of the result as a line of JSON on stdout: bench and case name it, `more` is further
 * members (`"policies":1,"masks":4`), `unit` is that of a and b.
 */
void row(const char *bench, const char *name, const char *more, const char *unit,
	 const struct summary *s);

#endif
