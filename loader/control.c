// SPDX-License-Identifier: GPL-2.0-only
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* struct ucred, accept4 */
#endif
#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <time.h>

#include "cleanup.h"
#include "control.h"
#include "control_client.h"
#include "control_listen.h"
#include "control_request.h"
#include "json_util.h"
#include "log.h"

struct control {
	const struct control_ops *ops;
	void *ctx;
	sd_event *event;
	struct sockaddr_un address;
	int fd, lock;
	sd_event_source *io;
	sd_event_source *pause; /* while descriptors are short */
	struct control_client *clients;
	unsigned int count, watchers, readers;
	bool shared;		       /* with a group */
	struct control_client *asking; /* whose request handle() has */
	uint64_t requests;	       /* deferred so far */
};

static void client_gone(void *ctx, struct control_client *client)
{
	struct control *c = ctx;

	if (client->prev)
		client->prev->next = client->next;
	else
		c->clients = client->next;
	if (client->next)
		client->next->prev = client->prev;
	c->count--;
	c->readers -= client->reader;
	c->watchers -= client->watching;
	if (client->deferred && c->ops->left)
		c->ops->left(c->ctx, client->deferred);
	control_client_free(client);
}

static bool only_looks(const char *command)
{
	static const char *const looks[] = {"status", "show", "explain", "watch"};

	for (size_t i = 0; i < sizeof(looks) / sizeof(looks[0]); i++)
		if (!strcmp(command, looks[i]))
			return true;
	return false;
}

static void answer(struct control *c, struct control_client *client,
		   const struct control_request *q)
{
	_cleanup_json_ json_t *result = NULL, *reply = NULL;
	struct error e = {};
	uint64_t deferred;
	int r;

	if (!strcmp(q->command, "watch")) {
		result = json_string("watching");
	} else {
		deferred = c->requests;
		c->asking = client;
		r = c->ops->handle(c->ctx, q->command, q->args, &result, &e);
		c->asking = NULL;
		if (deferred != c->requests || control_client_listing(client))
			return;
		if (r < 0) {
			if (!e.code[0])
				error_set(&e, r, "failed", "%s: %s", q->command, strerror(-r));
			control_client_error(client, &e);
			return;
		}
	}
	reply = json_pack("{s:o}", "result", result ? json_incref(result) : json_object());
	control_client_reply(client, reply);
	if (!strcmp(q->command, "watch")) {
		control_client_watch(client);
		c->watchers++;
	}
}

uint64_t control_defer(struct control *c)
{
	control_client_defer(c->asking, ++c->requests);
	return c->requests;
}

void control_answer(struct control *c, uint64_t request, const json_t *result,
		    const struct error *e)
{
	_cleanup_json_ json_t *reply = NULL;
	struct control_client *i = c->clients;

	while (i && i->deferred != request)
		i = i->next;
	if (!i)
		return;
	i->deferred = 0;
	if (e) {
		control_client_error(i, e);
		return;
	}
	reply = json_pack("{s:o}", "result",
			  result ? json_incref((json_t *)result) : json_object());
	control_client_reply(i, reply);
}

void control_answer_list(struct control *c, const struct control_list *list, void *ctx)
{
	control_client_list(c->asking, list, ctx);
}

static void client_request(void *ctx, struct control_client *client, const char *line, size_t len)
{
	struct control_request q;
	struct error e;

	if (control_request_parse(line, len, &q, &e) < 0) {
		control_client_error(client, &e);
		return;
	}
	if (client->reader && !only_looks(q.command)) {
		error_set(&e, -EPERM, "not-permitted",
			  "%s: is for root; who is only in the group of the control socket may ask "
			  "for status, show, explain and watch",
			  q.command);
		control_client_error(client, &e);
	} else {
		answer(ctx, client, &q);
	}
	control_request_clear(&q);
}

static const struct control_client_ops client_ops = {
	.request = client_request,
	.gone = client_gone,
};

/* Says no to a connection that becomes no client; takes `fd`. */
static void turn_away(int fd, const char *code, const char *message)
{
	_cleanup_json_ json_t *reply = NULL;
	_cleanup_free_ char *line = NULL;
	struct error e;
	size_t len;

	error_set(&e, -EPERM, code, "%s", message);
	reply = json_error_object(&e);
	line = reply ? json_line(reply, &len) : NULL;
	if (line && send(fd, line, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_debug("control: a client left before it was told: %s", message);
	close(fd);
}

static void take_client(struct control *c, int fd)
{
	struct ucred cred = {.uid = (uid_t)-1};
	socklen_t len = sizeof(cred);
	struct control_client *client;
	bool reader;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		cred.uid = (uid_t)-1;
	/* that he is in the group the kernel saw to: the socket's mode */
	reader = cred.uid != 0 && cred.uid != geteuid();
	if (cred.uid == (uid_t)-1 || (reader && !c->shared)) {
		log_warning("control: pid %d of uid %u was refused: only root may ask", cred.pid,
			    cred.uid);
		turn_away(fd, "not-permitted", "only root may use the control socket");
		return;
	}
	if (c->count >= CONTROL_CLIENTS_MAX || (reader && c->readers >= CONTROL_READERS_MAX)) {
		turn_away(fd, "busy", "the daemon has too many clients: try again later");
		return;
	}
	client = control_client_new(c->event, fd, &client_ops, c);
	if (!client)
		return;
	client->reader = reader;
	c->readers += reader;
	client->next = c->clients;
	if (c->clients)
		c->clients->prev = client;
	c->clients = client;
	c->count++;
}

static int on_pause_over(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct control *c = userdata;

	(void)s;
	(void)usec;
	return sd_event_source_set_enabled(c->io, SD_EVENT_ON);
}

static int on_connection(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct control *c = userdata;
	/* cppcheck-suppress nullPointer ; the address is not wanted */
	int conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)revents;
	if (conn >= 0) {
		take_client(c, conn);
		return 0;
	}
	if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM)
		return 0;
	/* The connection stays in the queue: without a pause the loop would spin. */
	log_warning("control: no connection accepted for a second: %s", strerror(errno));
	sd_event_source_set_enabled(s, SD_EVENT_OFF);
	sd_event_source_set_time_relative(c->pause, 1000000);
	return sd_event_source_set_enabled(c->pause, SD_EVENT_ONESHOT);
}

int control_new(sd_event *event, const char *path, const struct control_ops *ops, void *ctx,
		struct control **out, struct error *e)
{
	struct control *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return error_set(e, -ENOMEM, "no-memory", "no memory for the control socket");
	c->ops = ops;
	c->ctx = ctx;
	c->event = sd_event_ref(event);
	c->fd = c->lock = -1;
	r = control_listen(path, &c->lock, e);
	if (r < 0) {
		control_free(c);
		return r;
	}
	c->fd = r;
	control_address(path, &c->address, NULL);
	r = sd_event_add_io(event, &c->io, c->fd, EPOLLIN, on_connection, c);
	if (r >= 0)
		r = sd_event_add_time_relative(event, &c->pause, CLOCK_MONOTONIC, 0, 0,
					       on_pause_over, c);
	if (r >= 0)
		r = sd_event_source_set_enabled(c->pause, SD_EVENT_OFF);
	if (r < 0) {
		control_free(c);
		return error_set(e, r, "control-socket", "cannot watch the control socket: %s",
				 strerror(-r));
	}
	*out = c;
	return 0;
}

int control_share(struct control *c, const char *group, struct error *e)
{
	const char *path = c->address.sun_path;
	const struct group *g = getgrnam(group);

	if (!g)
		return error_set(e, -ENOENT, "control-socket", "group=%s: there is no such group",
				 group);
	/* in this order: never open to another group */
	if (lchown(path, (uid_t)-1, g->gr_gid) || chmod(path, 0660))
		return error_set(e, -errno, "control-socket",
				 "%s cannot be given to group %s: %s (is the daemon's user in it?)",
				 path, group, strerror(errno));
	c->shared = true;
	return 0;
}

void control_free(struct control *c)
{
	if (!c)
		return;
	while (c->clients)
		client_gone(c, c->clients);
	sd_event_source_disable_unref(c->io);
	sd_event_source_disable_unref(c->pause);
	if (c->fd >= 0)
		unlink(c->address.sun_path);
	cleanup_close(&c->fd);
	cleanup_close(&c->lock);
	sd_event_unref(c->event);
	free(c);
}

int control_publish(struct control *c, const json_t *event)
{
	_cleanup_free_ char *line = NULL;
	size_t len;

	if (!c->watchers)
		return 0;
	line = json_line(event, &len);
	if (!line)
		return -EINVAL;
	for (struct control_client *i = c->clients; i; i = i->next)
		if (i->watching)
			control_client_event(i, line, len);
	return 0;
}

unsigned int control_watchers(const struct control *c)
{
	return c->watchers;
}
