/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of the bridge share; nobody else's business. */
#ifndef IKE_INTERNAL_H
#define IKE_INTERNAL_H

#include "ike_bridge.h"
#include "ike_list.h"
#include "ike_reason.h"
#include "ts_names.h"
#include "vici_conn.h"

enum {
	IKE_ANSWER_MS = 10000,	 /* for all but initiate */
	IKE_LISTING_MS = 300000, /* for a listing that goes on and on */
	IKE_INITIATE_MS = 30000, /* if the caller does not say */
	IKE_GRACE_MS = 5000,	 /* for the answer to come after its timeout */
	IKE_RETRY_MIN_MS = 100,
	IKE_RETRY_MAX_MS = 5000,
	IKE_POLL_MS = 3000,   /* between two lists, at least */
	IKE_POLL_FACTOR = 20, /* and so many times as long as one takes */
	IKE_ID_FIRST = 256,   /* initiate's ids; smaller args are for other operations */
	IKE_SAS_EVERY = 10,   /* lists SAs once in so many times */
};

/* An initiate that is waited for, and the connection it has to itself. */
struct ike_slot {
	struct ike_bridge *bridge;
	struct vici_conn conn;
	uint64_t id; /* 0: free */
	bool cancelled;
	struct ike_reason reason;
};

/* The steps of one listing, in order. */
enum ike_step { IKE_IDLE, IKE_CONNS, IKE_POLICIES, IKE_SAS };

/* What list-policies said of one child. */
struct ike_trap {
	uint32_t reqid;
	bool installed;
};

struct ike_bridge {
	struct ike_ops ops;
	void *ctx;
	char *path;
	int epfd, timerfd;
	int64_t armed; /* what the timer is set to */

	struct vici_conn events, cmd;
	bool up, told_down;
	unsigned int setup; /* answers still due before it is up */
	int64_t retry_at;   /* INT64_MAX while connected */
	int64_t backoff;
	char why[VICI_WHY_MAX]; /* the last reason told */
	char version[IKE_TEXT_MAX];

	struct ts_names_system names;
	struct ike_list list;
	struct ike_build build;
	struct ike_trap *traps; /* of each child, while they are listed */
	bool current;		/* the list is of this connection */
	bool changed;		/* something to tell at the end of this listing */
	bool list_again, with_sas;
	enum ike_step step;
	unsigned int rounds;
	int64_t list_at, list_began;

	struct ike_slot slots[IKE_TRACKED_MAX];
	unsigned int tracked_max;
	struct vici_conn shared; /* for those not waited for */
	uint64_t last_id;
	uint64_t forget, forget_cmd; /* cancelled while under way on shared, on cmd */
};

/* ike_bridge.c: everything down, to be tried again; why is one line. */
void ike_link_fail(struct ike_bridge *b, const char *why);
void ike_bridge_arm(struct ike_bridge *b); /* after anything that sets a deadline */

/* ike_listing.c */
void ike_listing_event(struct ike_bridge *b, const struct vici_packet *pkt);
int ike_listing_setup(struct ike_bridge *b);  /* registers its events on cmd */
void ike_listing_start(struct ike_bridge *b); /* if none is under way */
void ike_listing_reset(struct ike_bridge *b); /* the link is gone */

/* ike_event.c: child-updown and alert */
void ike_event(struct ike_bridge *b, const struct vici_packet *pkt);

/* ike_sa.c: calls fn for each CHILD_SA of a list-sa or child-updown message */
typedef void ike_sa_fn(struct ike_bridge *b, struct vici_str conn, struct vici_str child,
		       uint32_t reqid, bool up);
void ike_sa_each(struct ike_bridge *b, const struct vici_packet *pkt, bool up, ike_sa_fn *fn);
uint32_t ike_parse_u32(struct vici_str s); /* 0 for what is not a number */

/* ike_initiate.c */
void ike_initiate_init(struct ike_bridge *b);
void ike_initiate_prepare(struct ike_bridge *b); /* the link is up */
void ike_initiate_reset(struct ike_bridge *b);	 /* closes all: outcomes are told */

#endif
