/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Policies and SAs as JSON, with the fields and names that `ip xfrm` shows. Keys are never among
 * them: the tables do not have any. All return a new reference, NULL without memory.
 */
#ifndef SAGATE_XFRM_JSON_H
#define SAGATE_XFRM_JSON_H

#include <jansson.h>

#include "sad.h"
#include "spd.h"

/* An entry of "show spd" and of "show sad". */
json_t *policy_to_json(const struct policy_info *p);
json_t *sa_to_json(const struct sad *sad, const struct sa_info *sa);

/* The fields that tell an SA, and when it expires. */
json_t *sa_brief_json(const struct sad *sad, const struct sa_info *sa);

/* "policy" of explain: selector, priority, action, index, templates; without their SAs. */
json_t *policy_explain_json(const struct policy_info *p);

/* A name as `ip xfrm` has it, or the number written into `buf`. */
const char *xfrm_proto_text(__u8 proto, char *buf, size_t size);
const char *xfrm_mode_text(__u8 mode, char *buf, size_t size);

/* An address as text; `family` AF_INET or AF_INET6, anything else: as IPv6. */
json_t *address_to_json(const __be32 addr[4], __u8 family);

#endif
