/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The loaded children and their reqids. A new list is built beside the old one
 * and takes its place whole, or is thrown away. No I/O, no logging.
 */
#ifndef IKE_LIST_H
#define IKE_LIST_H

#include "ike_conn.h"
#include "vici_msg.h"

struct ike_reqid {
	uint32_t reqid;
	uint32_t child; /* index */
};

struct ike_list {
	struct ike_conn **conns;
	size_t nconns, conns_size;
	struct ike_child *children; /* of all connections, in the daemon's order */
	size_t n;
	uint32_t *slots; /* hash of (conn, name): index + 1 */
	size_t nslots;	 /* a power of two, 0 if there are none */
	void *reqids;	 /* tree (tsearch) of struct ike_reqid, by reqid */
	size_t nreqids;
};

void ike_list_free(struct ike_list *l);

/* A list being built out of list-conn events. Zero-initialised is empty. */
struct ike_build {
	struct ike_conn **conns;
	size_t nconns, conns_size;
	size_t nchildren, memory;
	size_t same;   /* so many are the old list's, in its order */
	size_t cursor; /* where in the old list the next one is expected */
};

void ike_build_free(struct ike_build *b);

/*
 * Adds one message; one that the old list has already is shared with it.
 * 0, -EBADMSG, -E2BIG (more than is allowed) or -ENOMEM.
 */
int ike_build_add(struct ike_build *b, const struct ike_list *old, const void *msg, size_t len,
		  const struct ts_names *names);

/*
 * The build takes the list's place and is empty afterwards; what was known of
 * the reqids of children that are still there is kept. 1 if anything changed, 0
 * if not, -ENOMEM, and then the list is as it was.
 */
int ike_list_take(struct ike_list *l, struct ike_build *b);

/* Index of a child, -1 if there is none. */
int64_t ike_list_lookup(const struct ike_list *l, struct vici_str conn, struct vici_str name);

/* Index of the child with that reqid, -1 if not known. */
int64_t ike_list_by_reqid(const struct ike_list *l, uint32_t reqid);

/* A reqid belongs to that child (and to no other). True if any child's reqid field changed. */
bool ike_list_learn(struct ike_list *l, size_t child, uint32_t reqid);

/* No longer, unless its trap keeps it. True if the child's reqid field changed. */
bool ike_list_unlearn(struct ike_list *l, size_t child, uint32_t reqid);

/* Forgets all reqids: another daemon gives other ones. */
void ike_list_forget(struct ike_list *l);

#endif
