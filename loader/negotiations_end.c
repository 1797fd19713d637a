// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>
#include <utlist.h>

#include "boot_time.h"
#include "flow_json.h"
#include "log.h"
#include "negotiations_internal.h"
#include "peer_times.h"
#include "units.h"

static bool is_waiter(void *ctx, const struct neg_key *key)
{
	const struct negotiation *g = ctx;

	for (size_t i = 0; i < g->waiter_count; i++)
		if (!memcmp(&g->waiters[i].key, key, sizeof(*key)))
			return true;
	return false;
}

/* BPF gives errno-failed until the back-off ends; then the next refusal asks again. */
static void tell_maps(struct negotiations *n, struct negotiation *g, uint64_t until)
{
	struct map_sink *sink = &g->space->sink;

	for (size_t i = 0; i < g->waiter_count; i++) {
		const struct neg_key *key = &g->waiters[i].key;

		if (until)
			sink->put(sink->ctx, g->space->slot, MAP_BACKOFF, key, &until);
		else
			sink->del(sink->ctx, g->space->slot, MAP_BACKOFF, key);
	}
	bpf_alerts_forget(n->bpf, is_waiter, g);
}

void negotiation_forget(struct negotiations *n, struct negotiation *g)
{
	tell_maps(n, g, 0);
	negotiation_remove(n, g);
}

void negotiation_fail(struct negotiations *n, struct negotiation *g, const char *why)
{
	uint64_t backoff = n->options.backoff_min_ns;
	char name[256];

	for (unsigned int i = 1; i < g->attempts && backoff < n->options.backoff_max_ns; i++)
		backoff *= 2;
	if (backoff > n->options.backoff_max_ns)
		backoff = n->options.backoff_max_ns;
	negotiation_end_initiate(g);
	negotiation_set_state(n, g, NEGOTIATION_FAILED);
	snprintf(g->last_error, sizeof(g->last_error), "%s", why);
	g->deadline = g->since + backoff;
	n->stats.failed++;
	tell_maps(n, g, g->deadline);
	negotiation_describe(g, name, sizeof(name));
	log_warning("negotiation %s failed: %s; not tried again for %.1f s", name, why,
		    backoff / 1e9);
	negotiation_publish(n, g);
	for (size_t i = 0; n->failed && i < g->waiter_count; i++)
		n->failed(n->ctx, &g->waiters[i].key);
}

static void note_time(struct negotiations *n, const struct negotiation *g, uint64_t took)
{
	char peer[UNITS_TEXT];

	if (!g->waiter_count)
		return;
	addr_format(g->waiters[0].key.family, g->waiters[0].key.peer, peer, sizeof(peer));
	peer_times_note(&n->times, g->space->name, peer, took);
}

static void establish(struct negotiations *n, struct negotiation *g)
{
	uint64_t took = boot_ns() - g->since;
	bool started = g->state == NEGOTIATION_STARTED;
	char name[256];

	negotiation_describe(g, name, sizeof(name));
	if (started)
		note_time(n, g, took);
	if (started)
		log_info("negotiation %s established after %.3f s", name, took / 1e9);
	else
		log_info("negotiation %s is not needed: its SA came by itself", name);
	negotiation_end_initiate(g);
	negotiation_set_state(n, g, NEGOTIATION_ESTABLISHED);
	g->attempts = 0;
	g->last_error[0] = '\0';
	n->stats.established += started;
	tell_maps(n, g, 0);
	negotiation_publish(n, g);
}

bool negotiation_passes(struct negotiations *n, const struct space *s, const struct flow *f,
			struct decision *d)
{
	struct ask a = {.flow = *f, .gate = {.cgroup_id = 1, .allow_no_policy = 1}};

	if (f->netns != s->netns)
		a.gate.spd_netns = s->netns; /* spd=host */
	if (bpf_ask(n->bpf, &a))
		return false;
	*d = a.decision;
	return d->verdict == VERDICT_PROTECTED || d->verdict == VERDICT_CLEAR;
}

/* The flow needs no SA any more: its policy or requirement went. */
static void withdraw(struct negotiations *n, struct negotiation *g)
{
	char name[256];

	negotiation_describe(g, name, sizeof(name));
	log_info("negotiation %s is withdrawn: its flow needs no SA any more", name);
	negotiation_forget(n, g);
}

/*
 * All that is seen of an IKE daemon that was sent an ACQUIRE: libreswan 5 blocks while it
 * negotiates, and when it gives up its trap is back. When it succeeds the SA is there before.
 */
static void note_held(struct negotiation *g, __u8 reason)
{
	if (g->state != NEGOTIATION_STARTED || g->conn[0])
		return;
	if (g->held && reason >= REASON_NO_SA && reason <= REASON_SA_EXPIRED) {
		g->deadline = boot_ns() + NEGOTIATION_GRACE_NS;
		snprintf(g->verdict_on_deadline, sizeof(g->verdict_on_deadline),
			 "the IKE daemon gave up: it blocks the flow no more, and no SA came");
	}
	g->held = reason == REASON_TRAP_BLOCK;
}

bool negotiation_recheck(struct negotiations *n, struct negotiation *g)
{
	struct decision d = {};

	if (!negotiation_passes(n, g->space, &g->waiters[0].flow, &d)) {
		note_held(g, d.reason);
		return false;
	}
	if (d.verdict == VERDICT_PROTECTED)
		establish(n, g);
	else
		withdraw(n, g);
	return true;
}

static void on_deadline(struct negotiations *n, struct negotiation *g)
{
	char why[NEGOTIATION_ERROR_MAX];
	struct decision d = {};

	if (negotiation_recheck(n, g))
		return;
	negotiation_passes(n, g->space, &g->waiters[0].flow, &d);
	if (g->verdict_on_deadline[0])
		snprintf(why, sizeof(why), "%s", g->verdict_on_deadline);
	else
		snprintf(why, sizeof(why), "no usable SA within %.0f s: %s",
			 n->options.timeout_ns / 1e9, reason_text(d.reason));
	negotiation_fail(n, g, why);
}

int negotiations_on_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct negotiations *n = ctx;
	struct negotiation *g, *next;
	uint64_t now = boot_ns();

	(void)source;
	(void)usec;
	LL_FOREACH_SAFE(n->list, g, next)
	{
		if (g->state == NEGOTIATION_STARTED && g->deadline <= now)
			on_deadline(n, g);
		else if (g->state != NEGOTIATION_STARTED && now - g->since > NEGOTIATION_IDLE_NS &&
			 (g->state != NEGOTIATION_FAILED || g->deadline <= now)) {
			negotiation_forget(n, g);
		}
	}
	negotiations_rearm(n);
	return 0;
}

void negotiations_rearm(struct negotiations *n)
{
	uint64_t first = boot_ns() + NEGOTIATION_IDLE_NS;
	struct negotiation *g;

	LL_FOREACH(n->list, g)
		if (g->state == NEGOTIATION_STARTED && g->deadline < first)
			first = g->deadline;
	sd_event_source_set_time(n->timer, first / 1000 + 1);
	sd_event_source_set_enabled(n->timer, n->list ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}
