/* SPDX-License-Identifier: GPL-2.0-only */
/* For the files that make up the negotiations: negotiations*.c. */
#ifndef SAGATE_NEGOTIATIONS_INTERNAL_H
#define SAGATE_NEGOTIATIONS_INTERNAL_H

#include "negotiations.h"

enum {
	NEGOTIATION_NAME_MAX = 64,
	NEGOTIATION_ERROR_MAX = 256,
};

/* An answer of the IKE daemon is given this long to show in the SAD. */
#define NEGOTIATION_GRACE_NS 1000000000ULL
/* Neither wanted nor failing for so long: forgotten. */
#define NEGOTIATION_IDLE_NS 600000000000ULL

/* One thing that programs wait for: what the maps call it, and a flow to ask decide() with. */
struct waiter {
	struct neg_key key;
	struct flow flow;
};

struct negotiation {
	struct negotiation *next;
	struct space *space;
	__u64 gate; /* who opened it, a cgroup id */
	char conn[NEGOTIATION_NAME_MAX + 1],
		child[NEGOTIATION_NAME_MAX + 1]; /* empty: an ACQUIRE, or nobody to ask */
	enum negotiation_state state;
	struct waiter *waiters;
	size_t waiter_count;
	unsigned int attempts; /* since the last success */
	uint64_t since;	       /* in this state */
	uint64_t deadline;     /* STARTED: fails then; FAILED: backed off until */
	uint64_t ike_id;       /* 0: no initiate runs */
	bool held;	       /* the IKE daemon's policy blocks meanwhile */
	char verdict_on_deadline[NEGOTIATION_ERROR_MAX]; /* what the IKE daemon said, or empty */
	char last_error[NEGOTIATION_ERROR_MAX];
};

struct negotiations {
	struct negotiation *list;
	size_t count;
	struct bpf *bpf;
	sd_event_source *timer;
	struct negotiation_options options;
	struct negotiation_stats stats;
	struct peer_time *times;
	void (*publish)(void *ctx, json_t *event);
	void (*failed)(void *ctx, const struct neg_key *key);
	void *ctx;
};

/* Whose child protects a flow (negotiations_target.c). Names are empty when there is nobody to ask.
 */

struct negotiation_target {
	char conn[NEGOTIATION_NAME_MAX + 1], child[NEGOTIATION_NAME_MAX + 1];
	const struct policy_info *policy;	 /* for an ACQUIRE */
	char problem[2 * NEGOTIATION_ERROR_MAX]; /* why nothing can be started; empty: it can */
};

void negotiation_find_target(struct negotiations *n, struct negotiation_target *t, struct space *s,
			     const struct event *e);

/* The table, and what one is called (negotiations_table.c). */

extern const char *const negotiation_state_names[];

/* That of a target, or, without a child to ask, of a policy and peer; or NULL. */
struct negotiation *negotiation_find(struct negotiations *n, const struct space *s,
				     const struct negotiation_target *t, const struct neg_key *key);
/* For the flow of an event, FAILED and never tried. 0, or as negotiations_event(), or -ENOMEM. */
int negotiation_new(struct negotiations *n, struct space *s, const struct negotiation_target *t,
		    const struct event *e, unsigned int most, struct negotiation **out);
/* One more flow that waits for it. 0 or -errno. */
int negotiation_add_waiter(struct negotiation *g, const struct event *e);
void negotiation_remove(struct negotiations *n, struct negotiation *g);
void negotiation_free(struct negotiation *g);
/* Cancels what the IKE daemon was asked. */
void negotiation_end_initiate(struct negotiation *g);
void negotiation_set_state(struct negotiations *n, struct negotiation *g,
			   enum negotiation_state state);
/* For logs. */
void negotiation_describe(const struct negotiation *g, char *text, size_t size);
json_t *negotiation_to_json(const struct negotiation *g);
void negotiation_publish(struct negotiations *n, const struct negotiation *g);

/* How one ends, and its back-off (negotiations_end.c). */

/* Would the waiter's flow pass now? Asked of the kernel's own decide(). */
bool negotiation_passes(struct negotiations *n, const struct space *s, const struct flow *f,
			struct decision *d);
/* Ends the negotiation if its flow passes now: *g may be gone then. */
bool negotiation_recheck(struct negotiations *n, struct negotiation *g);
/* Nothing runs for it, nor is it backed off: forgotten. */
void negotiation_forget(struct negotiations *n, struct negotiation *g);
/* Backs it off. */
void negotiation_fail(struct negotiations *n, struct negotiation *g, const char *why);
/* The timer of deadlines: when it must run next, and what it does. */
void negotiations_rearm(struct negotiations *n);
int negotiations_on_timer(sd_event_source *source, uint64_t usec, void *ctx);

#endif
