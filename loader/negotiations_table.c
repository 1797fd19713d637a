// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "boot_time.h"
#include "negotiations_internal.h"

enum { WAITERS_MAX = 256 /* different policies and peers that one child serves */ };

const char *const negotiation_state_names[] = {
#define X(id, name) [NEGOTIATION_##id] = name,
	NEGOTIATION_STATES(X)
#undef X
};

void negotiation_describe(const struct negotiation *g, char *text, size_t size)
{
	char peer[UNITS_TEXT];
	const struct neg_key *k = &g->waiters[0].key;

	addr_format(k->family, k->peer, peer, sizeof(peer));
	if (g->conn[0])
		snprintf(text, size, "%s: %s/%s", g->space->name, g->conn, g->child);
	else
		snprintf(text, size, "%s: %s %u, peer %s", g->space->name,
			 k->class == CLASS_REQUIRE ? "requirement" : "policy", k->index, peer);
}

json_t *negotiation_to_json(const struct negotiation *g)
{
	const struct neg_key *k = &g->waiters[0].key;
	const struct requirement *req =
		k->class == CLASS_REQUIRE ? requirements_find(g->space->requirements, k->index)
					  : NULL;
	char peer[UNITS_TEXT], child[2 * NEGOTIATION_NAME_MAX + 2];
	uint64_t now = boot_ns();
	json_t *o;

	snprintf(child, sizeof(child), "%s/%s", g->conn, g->child);
	o = json_pack("{s:s s:s s:s? s:I s:s s:s? s:s s:I s:f s:s?}", "space", g->space->name,
		      "for", k->class == CLASS_REQUIRE ? "requirement" : "policy", "name",
		      req ? req->name : NULL, "index", (json_int_t)k->index, "peer",
		      addr_format(k->family, k->peer, peer, sizeof(peer)), "child",
		      g->conn[0] ? child : NULL, "state", negotiation_state_names[g->state],
		      "attempts", (json_int_t)g->attempts, "since_s", (now - g->since) / 1e9,
		      "last_error", g->last_error[0] ? g->last_error : NULL);
	if (o)
		json_object_set_new(o, "next_try_s",
				    g->state == NEGOTIATION_FAILED && g->deadline > now
					    ? json_real((g->deadline - now) / 1e9)
					    : json_null());
	return o;
}

void negotiation_publish(struct negotiations *n, const struct negotiation *g)
{
	json_t *o = negotiation_to_json(g);

	json_object_set_new(o, "event", json_string("negotiation"));
	n->publish(n->ctx, o);
	json_decref(o);
}

void negotiation_free(struct negotiation *g)
{
	free(g->waiters);
	free(g);
}

void negotiation_end_initiate(struct negotiation *g)
{
	if (g->ike_id && g->space->ike)
		ike_bridge_cancel(g->space->ike, g->ike_id);
	g->ike_id = 0;
}

void negotiation_set_state(struct negotiations *n, struct negotiation *g,
			   enum negotiation_state state)
{
	if (g->state == NEGOTIATION_STARTED)
		n->stats.active--;
	if (state == NEGOTIATION_STARTED)
		n->stats.active++;
	g->state = state;
	g->since = boot_ns();
}

struct negotiation *negotiation_find(struct negotiations *n, const struct space *s,
				     const struct negotiation_target *t, const struct neg_key *key)
{
	struct negotiation *g;

	LL_FOREACH(n->list, g) {
		if (g->space != s)
			continue;
		if (t->conn[0] ? !strcmp(g->conn, t->conn) && !strcmp(g->child, t->child)
			       : !g->conn[0] && !memcmp(&g->waiters[0].key, key, sizeof(*key)))
			return g;
	}
	return NULL;
}

int negotiation_add_waiter(struct negotiation *g, const struct event *e)
{
	struct waiter *more;

	for (size_t i = 0; i < g->waiter_count; i++)
		if (!memcmp(&g->waiters[i].key, &e->decision.neg, sizeof(struct neg_key))) {
			g->waiters[i].flow = e->flow;
			return 0;
		}
	if (g->waiter_count == WAITERS_MAX)
		return -ENOSPC; /* it is refused as waiting, not as failed */
	more = realloc(g->waiters, (g->waiter_count + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	g->waiters = more;
	more[g->waiter_count].key = e->decision.neg;
	more[g->waiter_count].flow = e->flow;
	g->waiter_count++;
	return 0;
}

/* Where there are too many, the oldest goes that nobody waits for. 0, or as negotiation_new(). */
static int make_room(struct negotiations *n, __u64 gate, unsigned int most)
{
	struct negotiation *g, *idle = NULL, *own = NULL;
	uint64_t now = boot_ns();
	unsigned int count = 0;

	LL_FOREACH(n->list, g) {
		bool open = g->state != NEGOTIATION_ESTABLISHED;
		bool rests = !open || (g->state == NEGOTIATION_FAILED && g->deadline <= now);

		if (rests && !idle)
			idle = g;
		if (!open || g->gate != gate)
			continue;
		count++;
		if (rests && !own)
			own = g;
	}
	if (count >= most) {
		if (!own)
			return -EBUSY;
		negotiation_forget(n, own);
	} else if (n->count >= NEGOTIATIONS_MAX) {
		if (!idle)
			return -ENOSPC;
		negotiation_forget(n, idle);
	}
	return 0;
}

int negotiation_new(struct negotiations *n, struct space *s, const struct negotiation_target *t,
		    const struct event *e, unsigned int most, struct negotiation **out)
{
	int err = make_room(n, e->gate, most);
	struct negotiation *g;

	if (err)
		return err;
	g = calloc(1, sizeof(*g));
	if (!g)
		return -ENOMEM;
	g->space = s;
	g->gate = e->gate;
	g->state = NEGOTIATION_FAILED;
	strcpy(g->conn, t->conn);
	strcpy(g->child, t->child);
	if (negotiation_add_waiter(g, e)) {
		negotiation_free(g);
		return -ENOMEM;
	}
	LL_APPEND(n->list, g);
	n->count++;
	*out = g;
	return 0;
}

void negotiation_remove(struct negotiations *n, struct negotiation *g)
{
	if (g->state == NEGOTIATION_STARTED)
		n->stats.active--;
	negotiation_end_initiate(g);
	LL_DELETE(n->list, g);
	n->count--;
	negotiation_free(g);
}
