// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "boot_time.h"
#include "log.h"
#include "negotiations_internal.h"
#include "peer_times.h"

int negotiations_new(sd_event *event, struct bpf *b, const struct negotiation_options *options,
		     void (*publish_fn)(void *ctx, json_t *event), void *ctx,
		     struct negotiations **out)
{
	struct negotiations *n = calloc(1, sizeof(*n));
	int err;

	if (!n)
		return -ENOMEM;
	n->bpf = b;
	n->options = *options;
	n->publish = publish_fn;
	n->ctx = ctx;
	err = sd_event_add_time(event, &n->timer, CLOCK_BOOTTIME, UINT64_MAX, 1000,
				negotiations_on_timer, n);
	if (err < 0) {
		free(n);
		return err;
	}
	*out = n;
	return 0;
}

void negotiations_on_failed(struct negotiations *n,
			    void (*failed)(void *ctx, const struct neg_key *key))
{
	n->failed = failed;
}

void negotiations_set_options(struct negotiations *n, const struct negotiation_options *options)
{
	n->options = *options;
}

void negotiations_free(struct negotiations *n)
{
	struct negotiation *g, *next;

	if (!n)
		return;
	sd_event_source_disable_unref(n->timer);
	LL_FOREACH_SAFE(n->list, g, next)
	negotiation_free(g);
	peer_times_free(n->times);
	free(n);
}

void negotiations_forget(struct negotiations *n, const struct space *s)
{
	struct negotiation *g, *next;

	LL_FOREACH_SAFE(n->list, g, next)
	if (g->space == s)
		negotiation_remove(n, g);
}

/* The waiter that was just refused is the one to ask decide() about. */
static void put_first(struct negotiation *g, const struct neg_key *key)
{
	for (size_t i = 1; i < g->waiter_count; i++)
		if (!memcmp(&g->waiters[i].key, key, sizeof(*key))) {
			struct waiter w = g->waiters[0];

			g->waiters[0] = g->waiters[i];
			g->waiters[i] = w;
			return;
		}
}

static void start(struct negotiations *n, struct negotiation *g, const struct negotiation_target *t,
		  const struct event *e)
{
	char name[256];
	struct error error = {};
	int err = 0;

	put_first(g, &e->decision.neg);
	negotiation_set_state(n, g, NEGOTIATION_STARTED);
	g->attempts++;
	g->deadline = g->since + n->options.timeout_ns;
	g->verdict_on_deadline[0] = '\0';
	g->held = e->decision.reason == REASON_TRAP_BLOCK;
	n->stats.started++;
	negotiation_describe(g, name, sizeof(name));
	if (t->problem[0]) {
		negotiation_fail(n, g, t->problem);
		return;
	}
	if (g->conn[0]) {
		err = ike_bridge_initiate(g->space->ike, g->conn, g->child,
					  n->options.timeout_ns / 1000000, &g->ike_id);
		if (err)
			error_set(&error, err, "initiate", "the IKE daemon cannot be asked: %s",
				  strerror(-err));
	} else if (t->policy) {
		err = space_acquire(g->space, &e->flow, t->policy, &error);
	}
	if (err) {
		negotiation_fail(n, g, error.message);
		return;
	}
	log_info("negotiation %s started for %s (pid %u)", name, e->comm, e->pid);
	negotiation_publish(n, g);
}

/* Somebody else's flow to the same child: it is backed off too. */
static void back_off_too(struct negotiations *n, const struct negotiation *g,
			 const struct neg_key *key)
{
	struct map_sink *sink = &g->space->sink;

	sink->put(sink->ctx, g->space->slot, MAP_BACKOFF, key, &g->deadline);
	if (n->failed)
		n->failed(n->ctx, key);
}

int negotiations_event(struct negotiations *n, struct space *s, const struct event *e,
		       unsigned int most)
{
	struct negotiation *g;
	struct decision d;
	struct negotiation_target t;
	int err;

	if (e->decision.verdict != VERDICT_WAIT || !e->decision.neg.index)
		return 0;
	if (negotiation_passes(n, s, &e->flow, &d))
		return 0; /* the SA came meanwhile */
	negotiation_find_target(n, &t, s, e);
	g = negotiation_find(n, s, &t, &e->decision.neg);
	err = g ? 0 : negotiation_new(n, s, &t, e, most, &g);
	if (err)
		return err;
	if (negotiation_add_waiter(g, e))
		log_debug("negotiation %s/%s has too many waiters", g->conn, g->child);
	if (g->state == NEGOTIATION_STARTED)
		return 0;
	if (g->state == NEGOTIATION_FAILED && g->attempts && g->deadline > boot_ns()) {
		back_off_too(n, g, &e->decision.neg);
		return 0;
	}
	start(n, g, &t, e);
	negotiations_rearm(n);
	return 0;
}

void negotiations_settled(struct negotiations *n, struct space *s)
{
	struct negotiation *g, *next;

	LL_FOREACH_SAFE(n->list, g, next)
	if (g->space == s && g->state != NEGOTIATION_ESTABLISHED)
		negotiation_recheck(n, g);
	negotiations_rearm(n);
}

void negotiations_outcome(struct negotiations *n, struct space *s, uint64_t id, int err,
			  const char *why)
{
	struct negotiation *g;

	LL_FOREACH(n->list, g)
		if (g->space == s && g->ike_id == id && g->state == NEGOTIATION_STARTED)
			break;
	if (!g)
		return;
	g->ike_id = 0;
	if (negotiation_recheck(n, g) || err == -EINPROGRESS)
		return;
	/* the netlink events may still be on their way; a refused duplicate may be another's
	 * success */
	g->deadline = boot_ns() + NEGOTIATION_GRACE_NS;
	snprintf(g->verdict_on_deadline, sizeof(g->verdict_on_deadline), "%s",
		 err ? (why ? why : strerror(-err))
		     : "the IKE daemon says established, but no usable SA is there");
	negotiations_rearm(n);
}

/* An alert names the connection only: all that negotiate with it hear of it. */
void negotiations_alert(struct negotiations *n, struct space *s, const char *conn, const char *type,
			const char *text)
{
	struct negotiation *g;

	LL_FOREACH(n->list, g) {
		if (g->space != s || g->state != NEGOTIATION_STARTED || !conn ||
		    strcmp(g->conn, conn))
			continue;
		snprintf(g->verdict_on_deadline, sizeof(g->verdict_on_deadline), "%s",
			 text ? text : type);
		log_debug("negotiation %s/%s: alert %s", g->conn, g->child, type);
	}
}

json_t *negotiations_times(const struct negotiations *n)
{
	return peer_times_to_json(n->times);
}

const struct negotiation_stats *negotiations_stats(const struct negotiations *n)
{
	return &n->stats;
}

json_t *negotiations_to_json(const struct negotiations *n)
{
	json_t *list = json_array();
	struct negotiation *g;

	LL_FOREACH(n->list, g)
		json_array_append_new(list, negotiation_to_json(g));
	return list;
}

json_t *negotiations_of(const struct negotiations *n, const struct space *s,
			const struct neg_key *key)
{
	struct negotiation *g;

	LL_FOREACH(n->list, g)
		for (size_t i = 0; g->space == s && i < g->waiter_count; i++)
			if (!memcmp(&g->waiters[i].key, key, sizeof(*key)))
				return json_pack("{s:s s:s?}", "state",
						 negotiation_state_names[g->state], "last_error",
						 g->last_error[0] ? g->last_error : NULL);
	return json_null();
}
