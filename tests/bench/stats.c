// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stats.h"

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double quantile(double *values, size_t n, double k)
{
	qsort(values, n, sizeof(*values), by_value);
	return values[(size_t)(k * (double)(n - 1) + 0.5)];
}

void series_add(struct series *s, double a, double b)
{
	if (s->n == ROUNDS_MAX || a <= 0 || b <= 0)
		return;
	s->a[s->n] = a;
	s->b[s->n++] = b;
}

struct summary series_sum(const struct series *s)
{
	double a[ROUNDS_MAX], b[ROUNDS_MAX], ratio[ROUNDS_MAX];
	struct summary sum = {.n = s->n};

	if (!s->n)
		return sum;
	memcpy(a, s->a, s->n * sizeof(*a));
	memcpy(b, s->b, s->n * sizeof(*b));
	for (size_t i = 0; i < s->n; i++)
		ratio[i] = s->a[i] / s->b[i];
	sum.a = quantile(a, s->n, 0.5);
	sum.b = quantile(b, s->n, 0.5);
	sum.min_a = a[0];
	sum.min_b = b[0];
	sum.ratio = quantile(ratio, s->n, 0.5);
	sum.low = quantile(ratio, s->n, 0.25);
	sum.high = quantile(ratio, s->n, 0.75);
	return sum;
}

void row(const char *bench, const char *name, const char *more, const char *unit,
	 const struct summary *s)
{
	printf("{\"bench\":\"%s\",\"case\":\"%s\"%s%s,\"unit\":\"%s\",\"value\":%.6g,\"base\":%.6g,"
	       "\"min\":%.6g,\"base_min\":%.6g,\"ratio\":%.4f,\"low\":%.4f,\"high\":%.4f,"
	       "\"rounds\":%zu}\n",
	       bench, name, more[0] ? "," : "", more, unit, s->a, s->b, s->min_a, s->min_b,
	       s->ratio, s->low, s->high, s->n);
	fflush(stdout);
}
