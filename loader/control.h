/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The daemon's control socket: one request line, one reply line; `watch` is answered with events
 * until the client leaves. Lives in the daemon's sd-event loop and never blocks it: a client that
 * sends half a request, or does not read, costs memory up to a bound and is cut off.
 *
 *   → {"command":"attach","args":{…}}
 *   ← {"result":…}   or   {"error":{"code":"…","message":"…"}}
 *
 * Root and the daemon's own user are served; with control_share() members of a group, too, who may
 * only look. What outlives the daemon: nothing but the lock
 * file (PATH.lock), which holds no state.
 */
#ifndef SAGATE_CONTROL_H
#define SAGATE_CONTROL_H

#include <jansson.h>
#include <systemd/sd-event.h>

#include "error.h"

#define CONTROL_PATH	    "/run/sagate/control.sock"
#define CONTROL_CLIENTS_MAX 64
#define CONTROL_READERS_MAX 32		  /* of them, who may only look: root finds room */
#define CONTROL_QUEUE_MAX   (1024 * 1024) /* bytes of events queued for one client */
#define CONTROL_PART_MAX    (32 * 1024)	  /* bytes of a list queued for one client */
#define CONTROL_TIMEOUT_S   10		  /* for a request to come in, a reply to move on */

struct control;

struct control_ops {
	/*
	 * Answers one request; `watch` never comes here. 0 with *result a new reference (NULL
	 * stands for {}), or a negative errno with *e filled. Must not block and must not free
	 * the control; may publish. `args` is an object, borrowed. What takes its time calls
	 * control_defer() and answers later, what is long control_answer_list(): what it returns
	 * then is not looked at.
	 */
	int (*handle)(void *ctx, const char *command, const json_t *args, json_t **result,
		      struct error *e);
	/*
	 * The client of a deferred request has gone before its answer, or goes with
	 * control_free(). May be NULL.
	 */
	void (*left)(void *ctx, uint64_t request);
};

/*
 * Listens on `path` (absolute). Its directory is created 0700 when missing (its parent is not); the
 * socket is 0600. A dead daemon's socket is replaced, a living one's is left alone: -EADDRINUSE
 * with the daemon's pid in *e. `ops` and `ctx` must outlive the control. *out is untouched on
 * failure. Takes its own reference on the event loop.
 */
int control_new(sd_event *event, const char *path, const struct control_ops *ops, void *ctx,
		struct control **out, struct error *e);

/*
 * Members of `group` may connect, too, and ask what changes nothing and costs the kernel nothing:
 * status, show, explain, watch. 0, or -errno with *e.
 */
int control_share(struct control *c, const char *group, struct error *e);

/* Cuts every client off and removes the socket. Accepts NULL. */
void control_free(struct control *c);

/*
 * Only from within handle(): its request is answered later, by control_answer() with the number
 * returned here. The client waits for as long as that takes.
 */
uint64_t control_defer(struct control *c);

/*
 * Answers a deferred request: with `result` (borrowed, NULL stands for {}), or, when `e` is not
 * NULL, with that error. Nothing happens when the client has left.
 */
void control_answer(struct control *c, uint64_t request, const json_t *result,
		    const struct error *e);

/* A list that is read entry by entry, as fast as its client reads. */
struct control_list {
	/*
	 * 1 with a new reference in *entry, 0 at the end, or -errno: the client is cut off, for
	 * what it got cannot be taken back.
	 */
	int (*next)(void *ctx, json_t **entry);
	/* Called once: at the end, or when the client is gone. */
	void (*free)(void *ctx);
};

/*
 * Only from within handle(): answers its request with an array. Entries are asked for when there is
 * room, CONTROL_PART_MAX bytes of them are queued at most (and the last of them whole), and between
 * two such parts the loop goes on. Takes `ctx`.
 */
void control_answer_list(struct control *c, const struct control_list *list, void *ctx);

/*
 * Queues `event` (an object, borrowed: the caller's reference stays the caller's) for every
 * watcher. A watcher whose queue is full loses it and is told so later by one line
 * {"event":"lost","count":N} in its place. 0, or -errno when the event cannot be written as JSON.
 * Does nothing, cheaply, while nobody watches; ask control_watchers() before you build the event.
 */
int control_publish(struct control *c, const json_t *event);
unsigned int control_watchers(const struct control *c);

#endif
