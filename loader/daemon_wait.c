// SPDX-License-Identifier: GPL-2.0-only
/*
 * wait: a request that is answered when its flow would pass or be denied, or when its time is up.
 * The same question as explain's is asked again whenever something settled in its space. Its
 * negotiation is started as a refused call would: once, and not while it is backed off; it is tried
 * again after that.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "boot_time.h"
#include "daemon_internal.h"
#include "flow_json.h"
#include "json_util.h"
#include "log.h"

enum cause { CHANGE, SECOND, TIME_UP };

struct wait_request {
	struct wait_request *next;
	struct daemon *d;
	uint64_t request; /* control_defer() */
	uint64_t netns;	  /* of the space that decides */
	json_t *args;	  /* as for explain */
	sd_event_source *end;
};

static void forget(struct wait_request *w)
{
	LL_DELETE(w->d->waits, w);
	w->d->wait_count--;
	sd_event_source_disable_unref(w->end);
	json_decref(w->args);
	free(w);
}

/* As the ring buffer would tell of a refused call. */
static void negotiate(struct daemon *d, const json_t *args, const struct ask *a)
{
	struct event event = {
		.flow = a->flow,
		.decision = a->decision,
		.pid = json_get_int(args, "pid", 0),
		.comm = "sagate wait",
	};
	struct space *s = daemon_space_of(d, a->gate.spd_netns ? a->gate.spd_netns : a->flow.netns);

	if (s && !a->decision.failed)
		negotiations_event(d->negotiations, s, &event, NEGOTIATIONS_MAX);
}

/* Answers when there is no more to wait for. */
static void look(struct wait_request *w, enum cause cause)
{
	static const char *const causes[] = {"a change", "a second", "its time"};
	_cleanup_json_ json_t *result = NULL;
	struct error e = {};
	struct gate *gate;
	struct ask a;
	int err = daemon_ask(w->d, w->args, &a, &gate, &e);

	if (!err && a.decision.verdict == VERDICT_WAIT && cause != TIME_UP) {
		if (cause == SECOND)
			negotiate(w->d, w->args, &a);
		return;
	}
	if (!err)
		result = daemon_explained(w->d, &a, gate);
	log_debug("wait of pid %lld ends after %s: %s", (long long)json_get_int(w->args, "pid", 0),
		  causes[cause], err ? e.message : verdict_name(a.decision.verdict));
	control_answer(w->d->control, w->request, result, err ? &e : NULL);
	forget(w);
}

static int on_end(sd_event_source *source, uint64_t usec, void *ctx)
{
	(void)source;
	(void)usec;
	look(ctx, TIME_UP);
	return 0;
}

void daemon_waits_settled(struct daemon *d, const struct space *s)
{
	struct wait_request *w, *next;

	LL_FOREACH_SAFE(d->waits, w, next)
	if (w->netns == s->netns)
		look(w, CHANGE);
}

void daemon_waits_second(struct daemon *d)
{
	struct wait_request *w, *next;

	LL_FOREACH_SAFE(d->waits, w, next)
	look(w, SECOND);
}

void daemon_wait_left(struct daemon *d, uint64_t request)
{
	struct wait_request *w;

	LL_SEARCH_SCALAR(d->waits, w, request, request);
	if (w)
		forget(w);
}

static int put_off(struct daemon *d, const json_t *args, uint64_t netns, uint64_t ms,
		   struct error *e)
{
	struct wait_request *w;

	if (d->wait_count >= WAITS_MAX)
		return error_set(e, -EBUSY, "busy", "%d requests wait already: try again later",
				 WAITS_MAX);
	w = calloc(1, sizeof(*w));
	if (!w)
		return error_set(e, -ENOMEM, "no-memory", "no memory");
	if (sd_event_add_time_relative(d->event, &w->end, CLOCK_BOOTTIME, ms * 1000, 1000, on_end,
				       w) < 0) {
		free(w);
		return error_set(e, -ENOMEM, "no-memory", "no memory for a timer");
	}
	w->d = d;
	w->netns = netns;
	w->args = json_incref((json_t *)args);
	w->request = control_defer(d->control);
	LL_PREPEND(d->waits, w);
	d->wait_count++;
	return 0;
}

int daemon_wait(struct daemon *d, const json_t *args, json_t **result, struct error *e)
{
	json_int_t ms = json_get_int(args, "timeout_ms", -1);
	struct gate *gate;
	struct ask a;
	int err;

	if (ms < 0 || ms > WAIT_MS_MAX)
		return error_set(e, -EINVAL, "bad-request",
				 "wait: timeout_ms: a number from 0 to %d is expected",
				 WAIT_MS_MAX);
	err = daemon_ask(d, args, &a, &gate, e);
	if (err)
		return err;
	if (a.decision.verdict == VERDICT_WAIT)
		negotiate(d, args, &a);
	if (a.decision.verdict == VERDICT_WAIT && ms)
		return put_off(d, args, a.gate.spd_netns ? a.gate.spd_netns : a.flow.netns, ms, e);
	*result = daemon_explained(d, &a, gate);
	return 0;
}
