/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A world: an SPD, a SAD, routes and rules, drawn from a seed and a number. Policies and SAs are
 * drawn near each other, so that many fit and many just do not.
 */
#ifndef ORACLE_WORLD_H
#define ORACLE_WORLD_H

#include "host.h"
#include "rng.h"
#include "xfrm.h"

#define POLICIES_MAX 24
#define SAS_MAX	     96
#define ROUTES_MAX   28
#define RULES_MAX    12

#define REQUIRES 3 /* of a seed, in all of its worlds */

struct vrf {
	bool here;
	bool ports[DEV_LAN1 + 1]; /* of DEV_LAN0, DEV_LAN1 */
	bool queue;
	bool no_rule; /* the kernel's own l3mdev rule is taken away */
	int leaking;  /* routes of another table that lead into its device */
};

struct world {
	struct vrf vrf;
	struct require require[REQUIRES];
	uint64_t number;
	bool default_block;
	bool xfrmi; /* some routes lead into xfrm interfaces */
	bool lives; /* some SAs' lifetimes end */
	int policies, sas, routes, rules;
	struct policy policy[POLICIES_MAX];
	struct sa sa[SAS_MAX];
	struct route route[ROUTES_MAX];
	struct rule rule[RULES_MAX];
	int refused; /* of what was drawn, by the kernel */
};

void requires_draw(struct require out[REQUIRES], uint64_t seed);
void world_draw(struct world *w, uint64_t seed, uint64_t number);
/* Takes the former world away and puts this one in; what the kernel refuses is taken out of it. */
void world_install(struct world *w);
void world_print(FILE *out, const struct world *w);

const struct sa *world_sa(const struct world *w, uint32_t spi);

/* Addresses that flows go to and come from; index 0 … n - 1. */
struct addr world_remote(int family, unsigned int i, unsigned int *n);
struct addr world_local(int family, unsigned int i, unsigned int *n, int *dev);

struct addr world_vrf_address(int family);

/* Is it one of those that flows come from? */
bool world_own(const struct addr *a);

#endif
