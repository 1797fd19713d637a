/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Negotiations: one for each child (or, for an injected ACQUIRE, for each policy and peer), however
 * many flows ask. Whether one has succeeded is decided by the SAD alone: decide() is asked again
 * for a flow that waits. What the IKE daemon answers only says sooner why it failed.
 *
 * A failed one is backed off, twice as long each time; it is tried again when a program asks after
 * that.
 */
#ifndef SAGATE_NEGOTIATIONS_H
#define SAGATE_NEGOTIATIONS_H

#include <jansson.h>
#include <systemd/sd-event.h>

#include "space.h"

#define NEGOTIATION_STATES(X)                                                                      \
	X(STARTED, "started")                                                                      \
	X(ESTABLISHED, "established")                                                              \
	X(FAILED, "failed")

enum negotiation_state {
#define X(id, name) NEGOTIATION_##id,
	NEGOTIATION_STATES(X)
#undef X
};

struct negotiation_options {
	uint64_t timeout_ns;
	uint64_t backoff_min_ns, backoff_max_ns;
	bool acquire; /* trigger=acquire */
};

struct negotiation_stats {
	uint64_t started, established, failed, active;
};

struct negotiations;

/* `publish` gets an event for watchers (borrowed); it may be called from any function below. */
int negotiations_new(sd_event *event, struct bpf *b, const struct negotiation_options *options,
		     void (*publish)(void *ctx, json_t *event), void *ctx,
		     struct negotiations **out);
/* `failed` gets each thing whose SA will not come for now. */
void negotiations_on_failed(struct negotiations *n,
			    void (*failed)(void *ctx, const struct neg_key *key));
void negotiations_free(struct negotiations *n);
void negotiations_set_options(struct negotiations *n, const struct negotiation_options *options);

/*
 * A refused call. Starts what is needed, once. -EBUSY: no, its gate has opened `most` already that
 * are under way or backed off; -ENOSPC: all gates together have too many. Who needs what another
 * gate has opened has it, too.
 */
int negotiations_event(struct negotiations *n, struct space *s, const struct event *e,
		       unsigned int most);

/* The SPD, SAD, routes or requirements of a space changed: what waits is asked again. */
void negotiations_settled(struct negotiations *n, struct space *s);
void negotiations_outcome(struct negotiations *n, struct space *s, uint64_t id, int err,
			  const char *why);
void negotiations_alert(struct negotiations *n, struct space *s, const char *conn, const char *type,
			const char *text);
/* The space goes away. */
void negotiations_forget(struct negotiations *n, const struct space *s);

const struct negotiation_stats *negotiations_stats(const struct negotiations *n);
/* As peer_times_to_json(): from the start of a negotiation to its SA. */
json_t *negotiations_times(const struct negotiations *n);
json_t *negotiations_to_json(const struct negotiations *n);
/* {"state","last_error"} of the one that a decision waits for; JSON null when there is none. */
json_t *negotiations_of(const struct negotiations *n, const struct space *s,
			const struct neg_key *key);

#endif
