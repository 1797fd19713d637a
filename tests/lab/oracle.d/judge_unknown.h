/* SPDX-License-Identifier: GPL-2.0-only */
/* For judge.c: what may be not known, and what it is told by. */
#ifndef ORACLE_JUDGE_UNKNOWN_H
#define ORACLE_JUDGE_UNKNOWN_H

#include <jansson.h>

#include "flow.h"

bool judge_prefix_has(const struct addr *prefix, int len, const struct addr *a);
/* May this policy match the call? What only routing knows of it is taken to fit. */
bool judge_may_match(const struct policy *p, const struct call *c);
/* Is there something in this world that makes the answer `not known` right? */
bool judge_unknowable(const struct world *w, const struct call *c, const json_t *answer);

#endif
