/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Why a policy was chosen, and why the others for that destination were not. The choice is
 * decide()'s; this goes through the same table by itself and compares.
 */
#ifndef SAGATE_EXPLAIN_POLICY_H
#define SAGATE_EXPLAIN_POLICY_H

#include <jansson.h>

#include "spd.h"

#define POLICIES_CONSIDERED_MAX 16

struct policies_why {
	json_t *considered; /* array: those that were not chosen, nearest first */
	size_t more;	    /* how many there are beyond */
	/* a sentence on the chosen one of each class (SUB, MAIN); empty: none was chosen */
	char chosen[2][240];
};

/*
 * Considers every policy of the flow's family whose destination holds the flow's: in the order of
 * xfrm_policy_match() if_id, mark and the selector, then the priority. `flow` and `d` are as
 * bpf_ask() answered. The caller owns ->considered.
 */
void policies_explain(const struct spd *spd, const struct flow *flow, const struct decision *d,
		      struct policies_why *why);

/*
 * Whether the policy matches in the lookup with that if_id (0: the first; else the one that an xfrm
 * interface makes), as far as the flow is known; if not, `failed` names the first
 * condition and `text` has both values ("mark 0x1/0xff ≠ 0x0"), else both are untouched.
 */
bool policy_matches(const struct policy_info *p, const struct flow *flow, __u32 if_id,
		    const char **failed, char *text, size_t size);

#endif
