/* SPDX-License-Identifier: GPL-2.0-only */
/* What of a space has no room in the maps, what follows, and which key of [daemon] makes room. */
#ifndef SAGATE_SPACE_FULL_H
#define SAGATE_SPACE_FULL_H

#include <jansson.h>

#include "space.h"

/* X(NAME, member of struct bpf_sizes, "key", "what", "what follows", "or else"): FULL_NAME. */
#define SPACE_FULL(X)                                                                              \
	X(SPD, policies, "policies-max", "policies", "its flows are refused (table-full)",         \
	  "or use fewer policies or selector shapes")                                              \
	X(SAD, sas, "sas-max", "SAs", "flows that need one of the others wait (table-full)",       \
	  "or have fewer SAs alike: 16 for one template and address")                              \
	X(ROUTES, routes, "routes-max", "routing prefixes",                                        \
	  "source addresses are not known: flows whose policies compare them wait "                \
	  "(source-unknown)",                                                                      \
	  "or have fewer routes")

struct space_full {
	__u8 bit; /* enum full */
	const char *key, *what, *or_else;
};

/* All kinds, whether full or not; ends with bit 0. */
extern const struct space_full space_fulls[];

/* FULL_SPD, FULL_SAD and FULL_ROUTES, of those that do not fit. */
__u8 space_full(const struct space *s);
/*
 * Other spaces may have given room back: what did not fit is tried again, about `max` entries of
 * each kind. Returns how many went in. Routing is asked for anew when the other spaces have fewer
 * of its entries, `others`, than they had.
 */
size_t space_full_retry(struct space *s, size_t others, size_t max);
/* Notes what the other spaces have while routing does not fit. */
void space_full_routes_note(struct space *s, size_t others);
/* How many entries of that kind the space has in the map. */
size_t space_full_used(const struct space *s, __u8 bit);

#define SPACE_FULL_TEXT 512
/*
 * "not all of its policies fit into the map (policies-max=4): …": one that is full. Who of the
 * list `all` else has some of it is told: "(policies-max=4, of which space c has 3, this one 1)".
 */
const char *space_full_text(const struct space *s, const struct space *all,
			    const struct space_full *f, char *buf, size_t size);
/* {"policies-max": false, …}: a new reference. */
json_t *space_full_json(const struct space *s);

#endif
