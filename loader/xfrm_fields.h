/* SPDX-License-Identifier: GPL-2.0-only */
/* Which fields of two SAs or policies differ, by the names of `ip xfrm`. Pure. */
#ifndef SAGATE_XFRM_FIELDS_H
#define SAGATE_XFRM_FIELDS_H

#include <stddef.h>

#include "xfrm_msg.h"

/*
 * Writes the names, separated by ", ", as far as they fit. What an SA has transferred, and when
 * first, is not compared: it changes with its use, and nobody is told. Returns how many differ.
 */
unsigned int sa_fields_differing(const struct sa_info *a, const struct sa_info *b, char *names,
				 size_t size);
unsigned int policy_fields_differing(const struct policy_info *a, const struct policy_info *b,
				     char *names, size_t size);

/* Of a key in the map: "SA to 192.0.2.2 esp mode 1 reqid 7 slot 0". */
const char *sad_key_name(const struct sad_key *k, char *text, size_t size);
const char *spd_key_name(const struct spd_key *k, char *text, size_t size);

/* "SA 192.0.2.1 → 192.0.2.2 esp spi 0x00001001", with its mark if it has one. Returns `text`. */
const char *sa_name(const struct sa_info *sa, char *text, size_t size);
/* "policy 192.0.2.0/24 → 192.0.2.2/32 index 9 priority 3", with mark and if_id if it has them. */
const char *policy_name(const struct policy_info *p, char *text, size_t size);

#endif
