/* SPDX-License-Identifier: GPL-2.0-only */
/* How the parts of a world are drawn. */
#ifndef ORACLE_DRAW_H
#define ORACLE_DRAW_H

#include "world.h"

int draw_family(struct rng *r);
/* `low` with its bits behind `len` drawn: an address of that prefix. */
struct addr draw_local(struct rng *r, int family, int *dev);
struct addr draw_remote(struct rng *r, int family);

/* A host on a device's link that is nobody. */
struct addr draw_gateway(int family, int dev);
void draw_route(struct route *t, struct rng *r, int family, int len);
void draw_routes(struct world *w, struct rng *r);
void draw_policies(struct world *w, struct rng *r);
/* Of some: an index, and a later update. After the policies. */
void draw_order(struct world *w, uint64_t seed);
void draw_sas(struct world *w, struct rng *r); /* after the policies */

#endif
