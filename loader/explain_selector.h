/* SPDX-License-Identifier: GPL-2.0-only */
/* Where a flow is outside a selector, in words, for explain. Pure. */
#ifndef SAGATE_EXPLAIN_SELECTOR_H
#define SAGATE_EXPLAIN_SELECTOR_H

#include <stddef.h>

#include "abi.h"
#include "xfrm_msg.h"

/* X(NAME, "name"): what is compared, in the order of __xfrm4_selector_match(). */
#define SELECTOR_PARTS(X)                                                                          \
	X(FAMILY, "family")                                                                        \
	X(DST, "dst")                                                                              \
	X(SRC, "src")                                                                              \
	X(DPORT, "dport")                                                                          \
	X(SPORT, "sport")                                                                          \
	X(PROTO, "proto")                                                                          \
	X(DEV, "dev")

enum selector_part {
#define X(id, name) SELECTOR_##id,
	SELECTOR_PARTS(X)
#undef X
		SELECTOR_FITS
};

const char *selector_part_name(enum selector_part part);

/* What is compared in the lookup with this if_id: there the interface's own device is. */
struct flow flow_in_lookup(const struct flow *flow, __u32 if_id);

/*
 * The first part that keeps the flow out, and the selector's and the flow's value of it in `text`
 * ("dport 81 ≠ 80"); SELECTOR_FITS leaves `text` untouched. A source or device that is not known
 * of the flow is outside of every selector that compares it.
 */
enum selector_part selector_outside(const struct selector_info *sel, const struct flow *f,
				    char *text, size_t size);

#endif
