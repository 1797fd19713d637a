/* SPDX-License-Identifier: GPL-2.0-only */
/* One client of the control socket, as the server sees it. Used by control.c only. */
#ifndef SAGATE_CONTROL_CLIENT_H
#define SAGATE_CONTROL_CLIENT_H

#include <stdbool.h>
#include <jansson.h>
#include <systemd/sd-event.h>

#include "control_queue.h"
#include "error.h"

struct control_client;
struct control_list;

struct control_client_ops {
	/* A whole request line, without its newline. Answers with control_client_reply(). */
	void (*request)(void *ctx, struct control_client *c, const char *line, size_t len);
	/* The client is done: the owner frees it. Nothing touches it afterwards. */
	void (*gone)(void *ctx, struct control_client *c);
};

struct control_client {
	const struct control_client_ops *ops;
	void *ctx;
	int fd;
	sd_event_source *io;
	sd_event_source *timer;
	char *in; /* the request so far */
	size_t in_len;
	bool input_done; /* the one request was taken: what follows is thrown away */
	bool eof;	 /* the client sends nothing more; it may still read */
	bool reader;	 /* may only look */
	bool watching;
	bool broken;			 /* cut off at the next turn of the loop */
	const struct control_list *list; /* what is answered with one by one; NULL: nothing */
	void *list_ctx;
	bool listed;	   /* and one was */
	uint64_t deferred; /* number of its request, which is answered later; 0: none */
	struct control_queue out;
	struct control_client *prev, *next;
};

/* Takes `fd` (non-blocking) in any case. NULL with errno set when there is no memory. */
struct control_client *control_client_new(sd_event *event, int fd,
					  const struct control_client_ops *ops, void *ctx);
void control_client_free(struct control_client *c);

/* Queues one reply line; without memory the client is cut off without an answer. */
void control_client_reply(struct control_client *c, const json_t *reply);
void control_client_error(struct control_client *c, const struct error *e);
/* The reply is a list, see control_answer_list(). */
void control_client_list(struct control_client *c, const struct control_list *list, void *ctx);
static inline bool control_client_listing(const struct control_client *c)
{
	return c->list;
}
/* The reply comes later (c->deferred is 0 again): until then the client has no timeout. */
void control_client_defer(struct control_client *c, uint64_t request);
/* From now on the client gets events, and has no timeout. */
void control_client_watch(struct control_client *c);
/* Queues an event line for a watcher, or counts it as lost. */
void control_client_event(struct control_client *c, const char *line, size_t len);

#endif
