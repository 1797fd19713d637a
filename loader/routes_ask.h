/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Asking the kernel what it would choose for one destination: the questions (RTM_GETROUTE, as `ip
 * route get` asks) and what follows from the answers, a step at a time. No I/O, no logs.
 *
 * Most cells take one question. Where routes with several next hops are about, a second one asks
 * which route matched, and one more for each device among its hops, to see whether all give the
 * same source. Where the source may change the answer, IPv4 is asked again with it, as connect()
 * does (ip_route_connect() looks up twice, sendto() once). Where rules or routes compare the
 * source, each address of this host is asked about as one: a socket bound to it may leave by
 * another device.
 */
#ifndef SAGATE_ROUTES_ASK_H
#define SAGATE_ROUTES_ASK_H

#include "maps.h"
#include "routes_view.h"

#define ROUTES_ASK_SIZE 96 /* bytes of the longest question */

#define ROUTES_ASK_SOURCES 8 /* more addresses: a bound source's device is not known */

enum route_step { STEP_PLAIN, STEP_MATCH, STEP_DEVICE, STEP_SOURCE, STEP_FROM, STEP_DONE };

struct route_ask {
	const struct routes_view *view;
	const struct cell *cell;
	struct route_value *answer; /* written at STEP_DONE */
	bool all_noxfrm;	    /* conf/all/disable_xfrm */
	uint8_t family;
	uint32_t oif, mark; /* of the socket that is asked for */
	enum route_step step;
	struct route_value found; /* as far as it is known */
	uint32_t table, metric;	  /* of the route, as the first reply says */
	size_t hop, hop_end;	  /* STEP_DEVICE: those still to ask */
	uint32_t device;	  /* STEP_DEVICE: the one asked about */
	bool seen;		  /* STEP_DEVICE: one has answered */
	bool ruled;		  /* see routes_view_before_ruled() */
	size_t source;		  /* STEP_FROM: the one asked about */
};

/* Begins with a cell; may be done at once (step STEP_DONE). */
void route_ask_start(struct route_ask *ask);
/* Writes the next question to buf (ROUTES_ASK_SIZE bytes, 4-aligned); returns its length. */
size_t route_ask_write(const struct route_ask *ask, uint32_t seq, void *buf);
/* Takes the reply: RTM_NEWROUTE or NLMSG_ERROR, of which the length has been checked. */
void route_ask_reply(struct route_ask *ask, const struct nlmsghdr *msg);

#endif
