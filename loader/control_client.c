// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#include "control.h"
#include "control_client.h"
#include "control_request.h"
#include "json_util.h"

#define TIMEOUT_US (CONTROL_TIMEOUT_S * 1000000ULL)

static void update_io(struct control_client *c)
{
	uint32_t events = c->eof ? 0 : EPOLLIN;

	if (control_queue_len(&c->out) || c->list || c->broken)
		events |= EPOLLOUT;
	sd_event_source_set_io_events(c->io, events);
}

static void restart_timer(struct control_client *c)
{
	sd_event_source_set_time_relative(c->timer, TIMEOUT_US);
	sd_event_source_set_enabled(c->timer,
				    c->watching || c->deferred ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

void control_client_reply(struct control_client *c, const json_t *reply)
{
	_cleanup_free_ char *line = NULL;
	size_t len;

	c->input_done = true;
	line = reply ? json_line(reply, &len) : NULL;
	if (!line || control_queue_put(&c->out, line, len) < 0)
		c->broken = true;
	restart_timer(c);
	update_io(c);
}

void control_client_error(struct control_client *c, const struct error *e)
{
	_cleanup_json_ json_t *reply = json_error_object(e);

	control_client_reply(c, reply);
}

static void put_text(struct control_client *c, const char *text, size_t len)
{
	if (control_queue_put(&c->out, text, len) < 0)
		c->broken = true;
}

void control_client_list(struct control_client *c, const struct control_list *list, void *ctx)
{
	static const char begin[] = "{\"result\":[";

	c->input_done = true;
	c->list = list;
	c->list_ctx = ctx;
	put_text(c, begin, sizeof(begin) - 1);
	restart_timer(c);
	update_io(c);
}

static void end_list(struct control_client *c)
{
	const struct control_list *list = c->list;

	c->list = NULL;
	if (list)
		list->free(c->list_ctx);
}

/* 1, 0 at the end, or -errno. */
static int put_entry(struct control_client *c)
{
	_cleanup_json_ json_t *entry = NULL;
	_cleanup_free_ char *text = NULL;
	int r = c->list->next(c->list_ctx, &entry);

	if (r <= 0)
		return r;
	text = json_dumps(entry, JSON_COMPACT | JSON_ENCODE_ANY);
	if (!text)
		return -ENOMEM;
	if (c->listed)
		put_text(c, ",", 1);
	c->listed = true;
	put_text(c, text, strlen(text));
	return 1;
}

static void more_of_list(struct control_client *c)
{
	static const char end[] = "]}\n";
	int r = 1;

	while (r > 0 && c->list && !c->broken && control_queue_len(&c->out) < CONTROL_PART_MAX)
		r = put_entry(c);
	if (r > 0)
		return;
	if (r < 0)
		c->broken = true;
	else
		put_text(c, end, sizeof(end) - 1);
	end_list(c);
}

void control_client_defer(struct control_client *c, uint64_t request)
{
	c->deferred = request;
	restart_timer(c);
}

void control_client_watch(struct control_client *c)
{
	c->watching = true;
	restart_timer(c);
}

void control_client_event(struct control_client *c, const char *line, size_t len)
{
	control_queue_event(&c->out, line, len, CONTROL_QUEUE_MAX);
	update_io(c);
}

static void bad_input(struct control_client *c, const char *what)
{
	struct error e;

	error_set(&e, -EBADMSG, "bad-request", "bad request: %s", what);
	control_client_error(c, &e);
}

static void take_input(struct control_client *c, size_t got)
{
	char *newline = memchr(c->in + c->in_len, '\n', got);

	c->in_len += got;
	if (newline) {
		c->input_done = true;
		c->ops->request(c->ctx, c, c->in, newline - c->in);
	} else if (c->in_len >= CONTROL_LINE_MAX) {
		bad_input(c, "the line is longer than 64 KiB");
	}
	if (c->input_done) {
		free(c->in);
		c->in = NULL;
	}
}

/* 0, or -errno when the client is gone. */
static int read_input(struct control_client *c)
{
	char waste[4096];
	ssize_t n;

	if (c->input_done)
		n = recv(c->fd, waste, sizeof(waste), MSG_DONTWAIT);
	else
		n = recv(c->fd, c->in + c->in_len, CONTROL_LINE_MAX - c->in_len, MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n > 0) {
		if (!c->input_done)
			take_input(c, n);
		return 0;
	}
	c->eof = true;
	if (!c->input_done && !c->in_len)
		return -ECONNRESET;
	if (!c->input_done)
		bad_input(c, "the line has no end");
	return 0;
}

/* 0, or -errno when the client is gone. */
static int send_output(struct control_client *c)
{
	long n;

	if (c->list)
		more_of_list(c);
	n = control_queue_send(&c->out, c->fd);
	if (n < 0)
		return n;
	if (n > 0)
		restart_timer(c);
	if (c->watching)
		control_queue_tell_lost(&c->out, CONTROL_QUEUE_MAX);
	return 0;
}

static int on_io(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct control_client *c = userdata;
	int r = 0;

	(void)s;
	(void)fd;
	if (revents & EPOLLIN && !c->eof)
		r = read_input(c);
	if (r == 0)
		r = send_output(c);
	/* One who shut down only his side of the connection still gets his answer. */
	if (c->eof && (revents & EPOLLHUP ||
		       (!c->watching && !c->deferred && !c->list && !control_queue_len(&c->out))))
		r = -ECONNRESET;
	if (r < 0 || c->broken)
		c->ops->gone(c->ctx, c);
	else
		update_io(c);
	return 0;
}

static int on_timeout(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct control_client *c = userdata;

	(void)s;
	(void)usec;
	c->ops->gone(c->ctx, c);
	return 0;
}

struct control_client *control_client_new(sd_event *event, int fd,
					  const struct control_client_ops *ops, void *ctx)
{
	struct control_client *c = calloc(1, sizeof(*c));

	if (!c) {
		close(fd);
		return NULL;
	}
	c->ops = ops;
	c->ctx = ctx;
	c->fd = fd;
	c->in = malloc(CONTROL_LINE_MAX);
	if (!c->in || sd_event_add_io(event, &c->io, fd, EPOLLIN, on_io, c) < 0 ||
	    sd_event_add_time_relative(event, &c->timer, CLOCK_MONOTONIC, TIMEOUT_US, 0, on_timeout,
				       c) < 0) {
		control_client_free(c);
		errno = ENOMEM;
		return NULL;
	}
	return c;
}

void control_client_free(struct control_client *c)
{
	if (!c)
		return;
	end_list(c);
	sd_event_source_disable_unref(c->io);
	sd_event_source_disable_unref(c->timer);
	cleanup_close(&c->fd);
	control_queue_free(&c->out);
	free(c->in);
	free(c);
}
