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
/* "not all of its policies fit into the map (policies-max=4): …": one that is full. */
const char *space_full_text(const struct space *s, const struct space_full *f, char *buf,
			    size_t size);
/* {"policies-max": false, …}: a new reference. */
json_t *space_full_json(const struct space *s);

#endif
