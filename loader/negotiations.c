// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <utlist.h>

#include "boot_time.h"
#include "flow_json.h"
#include "json_util.h"
#include "log.h"
#include "negotiations.h"

enum {
	NEGOTIATIONS_MAX = 16384,
	WAITERS_MAX = 256, /* different policies and peers that one child serves */
	NAME_MAX_ = 64,
	ERROR_MAX = 256,
};

/* An answer of the IKE daemon is given this long to show in the SAD. */
#define GRACE_NS 1000000000ULL
/* Neither wanted nor failing for so long: forgotten. */
#define IDLE_NS 600000000000ULL

/* One thing that programs wait for: what the maps call it, and a flow to ask decide() with. */
struct waiter {
	struct neg_key key;
	struct flow flow;
};

struct negotiation {
	struct negotiation *next;
	struct space *space;
	char conn[NAME_MAX_ + 1], child[NAME_MAX_ + 1]; /* empty: an ACQUIRE, or nobody to ask */
	enum negotiation_state state;
	struct waiter *waiters;
	size_t waiter_count;
	unsigned int attempts;		     /* since the last success */
	uint64_t since;			     /* in this state */
	uint64_t deadline;		     /* STARTED: fails then; FAILED: backed off until */
	uint64_t ike_id;		     /* 0: no initiate runs */
	bool held;			     /* the IKE daemon's policy blocks meanwhile */
	char verdict_on_deadline[ERROR_MAX]; /* what the IKE daemon said, or empty */
	char last_error[ERROR_MAX];
};

struct negotiations {
	struct negotiation *list;
	size_t count;
	struct bpf *bpf;
	sd_event_source *timer;
	struct negotiation_options options;
	struct negotiation_stats stats;
	void (*publish)(void *ctx, json_t *event);
	void *ctx;
};

static const char *const state_names[] = {
#define X(id, name) [NEGOTIATION_##id] = name,
	NEGOTIATION_STATES(X)
#undef X
};

static void describe(const struct negotiation *g, char *text, size_t size)
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

static json_t *to_json(const struct negotiation *g)
{
	const struct neg_key *k = &g->waiters[0].key;
	const struct requirement *req =
		k->class == CLASS_REQUIRE ? requirements_find(g->space->requirements, k->index)
					  : NULL;
	char peer[UNITS_TEXT], child[2 * NAME_MAX_ + 2];
	uint64_t now = boot_ns();
	json_t *o;

	snprintf(child, sizeof(child), "%s/%s", g->conn, g->child);
	o = json_pack("{s:s s:s s:s? s:I s:s s:s? s:s s:I s:f s:s?}", "space", g->space->name,
		      "for", k->class == CLASS_REQUIRE ? "requirement" : "policy", "name",
		      req ? req->name : NULL, "index", (json_int_t)k->index, "peer",
		      addr_format(k->family, k->peer, peer, sizeof(peer)), "child",
		      g->conn[0] ? child : NULL, "state", state_names[g->state], "attempts",
		      (json_int_t)g->attempts, "since_s", (now - g->since) / 1e9, "last_error",
		      g->last_error[0] ? g->last_error : NULL);
	if (o)
		json_object_set_new(o, "next_try_s",
				    g->state == NEGOTIATION_FAILED && g->deadline > now
					    ? json_real((g->deadline - now) / 1e9)
					    : json_null());
	return o;
}

static void publish(struct negotiations *n, const struct negotiation *g)
{
	json_t *o = to_json(g);

	json_object_set_new(o, "event", json_string("negotiation"));
	n->publish(n->ctx, o);
	json_decref(o);
}

static void free_one(struct negotiation *g)
{
	free(g->waiters);
	free(g);
}

static void rearm(struct negotiations *n);

static void set_state(struct negotiations *n, struct negotiation *g, enum negotiation_state state)
{
	if (g->state == NEGOTIATION_STARTED)
		n->stats.active--;
	if (state == NEGOTIATION_STARTED)
		n->stats.active++;
	g->state = state;
	g->since = boot_ns();
}

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

static void end_initiate(struct negotiation *g)
{
	if (g->ike_id && g->space->ike)
		ike_bridge_cancel(g->space->ike, g->ike_id);
	g->ike_id = 0;
}

static void fail(struct negotiations *n, struct negotiation *g, const char *why)
{
	uint64_t backoff = n->options.backoff_min_ns;
	char name[256];

	for (unsigned int i = 1; i < g->attempts && backoff < n->options.backoff_max_ns; i++)
		backoff *= 2;
	if (backoff > n->options.backoff_max_ns)
		backoff = n->options.backoff_max_ns;
	end_initiate(g);
	set_state(n, g, NEGOTIATION_FAILED);
	snprintf(g->last_error, sizeof(g->last_error), "%s", why);
	g->deadline = g->since + backoff;
	n->stats.failed++;
	tell_maps(n, g, g->deadline);
	describe(g, name, sizeof(name));
	log_warning("negotiation %s failed: %s; not tried again for %.1f s", name, why,
		    backoff / 1e9);
	publish(n, g);
}

static void establish(struct negotiations *n, struct negotiation *g)
{
	uint64_t took = boot_ns() - g->since;
	bool started = g->state == NEGOTIATION_STARTED;
	char name[256];

	describe(g, name, sizeof(name));
	if (started)
		log_info("negotiation %s established after %.3f s", name, took / 1e9);
	else
		log_info("negotiation %s is not needed: its SA came by itself", name);
	end_initiate(g);
	set_state(n, g, NEGOTIATION_ESTABLISHED);
	g->attempts = 0;
	g->last_error[0] = '\0';
	n->stats.established += started;
	tell_maps(n, g, 0);
	publish(n, g);
}

/* Would the waiter's flow pass now? Asked of the kernel's own decide(). */
static bool passes(struct negotiations *n, const struct waiter *w, struct decision *d)
{
	struct ask a = {.flow = w->flow, .gate = {.cgroup_id = 1, .allow_no_policy = 1}};

	if (bpf_ask(n->bpf, &a))
		return false;
	*d = a.decision;
	return d->verdict == VERDICT_PROTECTED || d->verdict == VERDICT_CLEAR;
}

static void remove_one(struct negotiations *n, struct negotiation *g)
{
	if (g->state == NEGOTIATION_STARTED)
		n->stats.active--;
	end_initiate(g);
	LL_DELETE(n->list, g);
	n->count--;
	free_one(g);
}

/* The flow needs no SA any more: its policy or requirement went. */
static void withdraw(struct negotiations *n, struct negotiation *g)
{
	char name[256];

	describe(g, name, sizeof(name));
	log_info("negotiation %s is withdrawn: its flow needs no SA any more", name);
	tell_maps(n, g, 0);
	remove_one(n, g);
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
		g->deadline = boot_ns() + GRACE_NS;
		snprintf(g->verdict_on_deadline, sizeof(g->verdict_on_deadline),
			 "the IKE daemon gave up: it blocks the flow no more, and no SA came");
	}
	g->held = reason == REASON_TRAP_BLOCK;
}

/* Ends the negotiation if its flow passes now: *g may be gone then. */
static bool recheck(struct negotiations *n, struct negotiation *g)
{
	struct decision d = {};

	if (!passes(n, &g->waiters[0], &d)) {
		note_held(g, d.reason);
		return false;
	}
	if (d.verdict == VERDICT_PROTECTED)
		establish(n, g);
	else
		withdraw(n, g);
	return true;
}

void negotiations_settled(struct negotiations *n, struct space *s)
{
	struct negotiation *g, *next;

	LL_FOREACH_SAFE(n->list, g, next)
	if (g->space == s && g->state != NEGOTIATION_ESTABLISHED)
		recheck(n, g);
	rearm(n);
}

static void on_deadline(struct negotiations *n, struct negotiation *g)
{
	char why[ERROR_MAX];
	struct decision d = {};

	if (recheck(n, g))
		return;
	passes(n, &g->waiters[0], &d);
	if (g->verdict_on_deadline[0])
		snprintf(why, sizeof(why), "%s", g->verdict_on_deadline);
	else
		snprintf(why, sizeof(why), "no usable SA within %.0f s: %s",
			 n->options.timeout_ns / 1e9, reason_text(d.reason));
	fail(n, g, why);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *ctx)
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
		else if (g->state != NEGOTIATION_STARTED && now - g->since > IDLE_NS &&
			 (g->state != NEGOTIATION_FAILED || g->deadline <= now)) {
			tell_maps(n, g, 0);
			remove_one(n, g);
		}
	}
	rearm(n);
	return 0;
}

static void rearm(struct negotiations *n)
{
	uint64_t first = boot_ns() + IDLE_NS;
	struct negotiation *g;

	LL_FOREACH(n->list, g)
		if (g->state == NEGOTIATION_STARTED && g->deadline < first)
			first = g->deadline;
	sd_event_source_set_time(n->timer, first / 1000 + 1);
	sd_event_source_set_enabled(n->timer, n->list ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

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
	err = sd_event_add_time(event, &n->timer, CLOCK_BOOTTIME, UINT64_MAX, 1000, on_timer, n);
	if (err < 0) {
		free(n);
		return err;
	}
	*out = n;
	return 0;
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
	free_one(g);
	free(n);
}

void negotiations_forget(struct negotiations *n, const struct space *s)
{
	struct negotiation *g, *next;

	LL_FOREACH_SAFE(n->list, g, next)
	if (g->space == s)
		remove_one(n, g);
}

/* Whose child protects the flow? Names are empty when there is nobody to ask. */
struct target {
	char conn[NAME_MAX_ + 1], child[NAME_MAX_ + 1];
	const struct policy_info *policy; /* for an ACQUIRE */
	char problem[2 * ERROR_MAX];	  /* why nothing can be started; empty: it can */
};

static int set_names(struct target *t, const char *conn, const char *child)
{
	if (strlen(conn) > NAME_MAX_ || strlen(child) > NAME_MAX_) {
		snprintf(t->problem, sizeof(t->problem),
			 "the name of child %.64s/%.64s is too long", conn, child);
		return -ENAMETOOLONG;
	}
	strcpy(t->conn, conn);
	strcpy(t->child, child);
	return 0;
}

/* A peer that may be anywhere: initiate cannot be told whom to call, an ACQUIRE can. */
static bool is_anybody(const struct ike_child *child)
{
	for (size_t i = 0; i < child->nremote_addrs; i++)
		if (strcmp(child->remote_addrs[i], "%any") &&
		    strcmp(child->remote_addrs[i], "%any6"))
			return false;
	return true;
}

static void find_child(struct target *t, struct space *s, const struct flow *f, __u32 reqid)
{
	struct ike_flow ike = {
		.family = f->family,
		.proto = f->proto,
		.has_saddr = f->has_saddr,
		.sport = ntohs(f->sport),
		.dport = ntohs(f->dport),
		.reqid = reqid,
	};
	const struct ike_child *child;

	memcpy(ike.saddr, f->saddr, sizeof(ike.saddr));
	memcpy(ike.daddr, f->daddr, sizeof(ike.daddr));
	child = ike_bridge_find(s->ike, &ike);
	if (!child || child->mode == IKE_PASS || child->mode == IKE_DROP)
		snprintf(t->problem, sizeof(t->problem),
			 "no child of a loaded connection covers the flow (swanctl --list-conns)");
	else if (!is_anybody(child))
		set_names(t, child->conn, child->name);
	else if (!t->policy || !t->policy->tmpl_count)
		snprintf(t->problem, sizeof(t->problem),
			 "child %s/%s has no remote address to call, and no trap to start it by",
			 child->conn, child->name);
}

static void find_by_vici(struct target *t, struct space *s, const struct event *e,
			 const struct requirement *req)
{
	__u32 reqid = 0;

	if (!s->ike) {
		snprintf(t->problem, sizeof(t->problem), "space %s has no VICI socket", s->name);
		return;
	}
	if (!ike_bridge_up(s->ike)) {
		snprintf(t->problem, sizeof(t->problem), "no IKE daemon at %s: %s", s->vici,
			 s->ike_problem[0] ? s->ike_problem : "not connected yet");
		return;
	}
	if (req && req->child[0]) {
		char name[sizeof(req->child)], *slash;

		strcpy(name, req->child);
		slash = strchr(name, '/');
		if (slash) {
			*slash = '\0';
			set_names(t, name, slash + 1);
			return;
		}
	}
	if (t->policy && e->decision.tmpl < t->policy->tmpl_count)
		reqid = t->policy->tmpl[e->decision.tmpl].reqid;
	find_child(t, s, &e->flow, reqid);
}

static void find_target(struct negotiations *n, struct target *t, struct space *s,
			const struct event *e)
{
	const struct neg_key *key = &e->decision.neg;
	const struct requirement *req = NULL;

	memset(t, 0, sizeof(*t));
	/* it negotiates already; and if it was somebody else who blocked, nothing undoes that */
	if (e->decision.reason == REASON_TRAP_BLOCK)
		return;
	if (key->class == CLASS_REQUIRE)
		req = requirements_find(s->requirements, key->index);
	else
		t->policy = spd_find(mirror_spd(s->mirror), key->class, key->index);
	if (!n->options.acquire)
		find_by_vici(t, s, e, req);
	else if (!t->policy || !t->policy->tmpl_count)
		snprintf(t->problem, sizeof(t->problem),
			 "trigger=acquire needs a policy with a template, and there is none");
}

static struct negotiation *find_one(struct negotiations *n, const struct space *s,
				    const struct target *t, const struct neg_key *key)
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

static int add_waiter(struct negotiation *g, const struct event *e)
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

static struct negotiation *new_one(struct negotiations *n, struct space *s, const struct target *t,
				   const struct event *e)
{
	struct negotiation *g;

	if (n->count >= NEGOTIATIONS_MAX)
		return NULL;
	g = calloc(1, sizeof(*g));
	if (!g)
		return NULL;
	g->space = s;
	g->state = NEGOTIATION_FAILED;
	strcpy(g->conn, t->conn);
	strcpy(g->child, t->child);
	if (add_waiter(g, e)) {
		free_one(g);
		return NULL;
	}
	LL_APPEND(n->list, g);
	n->count++;
	return g;
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

static void start(struct negotiations *n, struct negotiation *g, const struct target *t,
		  const struct event *e)
{
	char name[256];
	struct error error = {};
	int err = 0;

	put_first(g, &e->decision.neg);
	set_state(n, g, NEGOTIATION_STARTED);
	g->attempts++;
	g->deadline = g->since + n->options.timeout_ns;
	g->verdict_on_deadline[0] = '\0';
	g->held = e->decision.reason == REASON_TRAP_BLOCK;
	n->stats.started++;
	describe(g, name, sizeof(name));
	if (t->problem[0]) {
		fail(n, g, t->problem);
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
		fail(n, g, error.message);
		return;
	}
	log_info("negotiation %s started for %s (pid %u)", name, e->comm, e->pid);
	publish(n, g);
}

void negotiations_event(struct negotiations *n, struct space *s, const struct event *e)
{
	struct negotiation *g;
	struct decision d;
	struct target t;
	uint64_t until;

	if (e->decision.verdict != VERDICT_WAIT || !e->decision.neg.index)
		return;
	if (passes(n, &(struct waiter){.flow = e->flow}, &d))
		return; /* the SA came meanwhile */
	find_target(n, &t, s, e);
	g = find_one(n, s, &t, &e->decision.neg);
	if (!g)
		g = new_one(n, s, &t, e);
	else if (add_waiter(g, e))
		log_debug("negotiation %s/%s has too many waiters", g->conn, g->child);
	if (!g) {
		log_error("too many negotiations: flows wait without one");
		return;
	}
	if (g->state == NEGOTIATION_STARTED)
		return;
	if (g->state == NEGOTIATION_FAILED && g->attempts && g->deadline > boot_ns()) {
		/* somebody else's flow to the same child: it is backed off too */
		until = g->deadline;
		s->sink.put(s->sink.ctx, s->slot, MAP_BACKOFF, &e->decision.neg, &until);
		return;
	}
	start(n, g, &t, e);
	rearm(n);
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
	if (recheck(n, g) || err == -EINPROGRESS)
		return;
	/* the netlink events may still be on their way; a refused duplicate may be another's
	 * success */
	g->deadline = boot_ns() + GRACE_NS;
	snprintf(g->verdict_on_deadline, sizeof(g->verdict_on_deadline), "%s",
		 err ? (why ? why : strerror(-err))
		     : "the IKE daemon says established, but no usable SA is there");
	rearm(n);
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

const struct negotiation_stats *negotiations_stats(const struct negotiations *n)
{
	return &n->stats;
}

json_t *negotiations_to_json(const struct negotiations *n)
{
	json_t *list = json_array();
	struct negotiation *g;

	LL_FOREACH(n->list, g)
		json_array_append_new(list, to_json(g));
	return list;
}

json_t *negotiations_of(const struct negotiations *n, const struct space *s,
			const struct neg_key *key)
{
	struct negotiation *g;

	LL_FOREACH(n->list, g)
		for (size_t i = 0; g->space == s && i < g->waiter_count; i++)
			if (!memcmp(&g->waiters[i].key, key, sizeof(*key)))
				return json_pack("{s:s s:s?}", "state", state_names[g->state],
						 "last_error",
						 g->last_error[0] ? g->last_error : NULL);
	return json_null();
}
