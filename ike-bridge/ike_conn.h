/* SPDX-License-Identifier: GPL-2.0-only */
/* One loaded connection, parsed out of one list-conn event. No I/O, no logging. */
#ifndef IKE_CONN_H
#define IKE_CONN_H

#include "ike_arena.h"
#include "ike_bridge.h"
#include "ts.h"

struct ike_conn {
	unsigned int refs;
	uint64_t hash;	      /* of the message */
	struct ike_arena mem; /* holds all that the children point to */
	struct ike_child *children;
	size_t n;
};

/*
 * A new connection with one reference. A child whose name is empty or holds
 * control characters is left out; a selector that cannot be read is counted in
 * left_out. 0, -EBADMSG (not such a message; *out is untouched) or -ENOMEM.
 */
int ike_conn_parse(const void *msg, size_t len, const struct ts_names *names,
		   struct ike_conn **out);

struct ike_conn *ike_conn_ref(struct ike_conn *c);
void ike_conn_unref(struct ike_conn *c); /* NULL is fine */

/* What tells two list-conn messages apart without parsing them. */
uint64_t ike_conn_hash(const void *msg, size_t len);

#endif
