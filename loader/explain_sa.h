/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The SAs that a template could have used, each with the first condition that it fails. The verdict
 * is decide()'s; this looks at the same tables by itself and says why. SAs that are in no map
 * (direction in, bound to a CPU …) are told of too.
 */
#ifndef SAGATE_EXPLAIN_SA_H
#define SAGATE_EXPLAIN_SA_H

#include <jansson.h>

#include "bpf.h"
#include "sad.h"

/*
 * X(NAME, "name"): in the kernel's order: xfrm_state_find() down to the SPI, then
 * xfrm_state_look_at(), the state's lifetime, xfrm_tmpl_resolve_one() for the direction, and the
 * output for the sequence number. The last is the mirror's own: the SA fits and found no room.
 */
#define SA_CONDITIONS(X)                                                                           \
	X(REQID, "reqid")                                                                          \
	X(MARK, "mark")                                                                            \
	X(IF_ID, "if_id")                                                                          \
	X(WILDRECV, "wildrecv")                                                                    \
	X(SRC, "src")                                                                              \
	X(MODE, "mode")                                                                            \
	X(PROTO, "proto")                                                                          \
	X(SPI, "spi")                                                                              \
	X(SELECTOR, "selector")                                                                    \
	X(PCPU, "pcpu")                                                                            \
	X(EXPIRED, "expired")                                                                      \
	X(DIRECTION, "direction")                                                                  \
	X(SEQUENCE, "sequence")                                                                    \
	X(SPORT, "sport")                                                                          \
	X(ANY_SOURCE, "any-source")                                                                \
	X(TABLE_FULL, "table-full")

enum sa_condition {
#define X(id, name) SA_FAILS_##id,
	SA_CONDITIONS(X)
#undef X
		SA_FITS
};

#define SA_CANDIDATES_MAX 16

/* What one template asks for a flow. */
struct sa_wanted {
	struct spd_tmpl tmpl; /* with the addresses of the SA */
	struct flow flow;     /* in the lookup that is asked */
	__u32 mark;	      /* the policy's */
	__u32 if_id;
	bool source_known;
};

/*
 * What template `i` of a policy asks, for the flow as it came back in `a`. A tunnel template
 * without a source has the routed one (asked of the same maps). `before`: what the template before
 * it asked, if that one has an SA, else NULL.
 */
void sa_wanted_of(const struct bpf *b, const struct ask *a, const struct policy_info *p, int i,
		  const struct sa_wanted *before, struct sa_wanted *w);

/*
 * The first condition that an SA of this table fails, with both values in `text` ("reqid 9 ≠ 7"),
 * or SA_FITS with "fits". Its family and destination are taken to be the template's.
 */
enum sa_condition sa_condition_of(const struct sad *sad, const struct sa_info *sa,
				  const struct sa_wanted *w, char *text, size_t size);

/* The SA that decide() comes to first, or NULL: none fits. */
const struct sa_info *sa_first_fit(const struct sad *sad, const struct sa_wanted *w);

/*
 * Of those that fit the one that the kernel prefers: one with a source, not dying, the newest. Of
 * one second: any.
 */
const struct sa_info *sa_preferred_fit(const struct sad *sad, const struct sa_wanted *w);

/*
 * All SAs of that family to that address, those that came furthest first, at most
 * SA_CANDIDATES_MAX; *more is how many there are beyond. `used` is the one that is used, or NULL.
 */
json_t *sa_candidates_json(const struct sad *sad, const struct sa_wanted *w,
			   const struct sa_info *used, size_t *more);

#endif
