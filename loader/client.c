// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "cleanup.h"
#include "client.h"
#include "control.h"
#include "control_listen.h"
#include "json_util.h"

#define ANSWER_MAX (1024UL * 1024 * 1024)

struct client {
	const char *path;
	int fd;
	char *buf;
	size_t start, end, size; /* start … end is not consumed yet */
};

static void client_close(struct client *c)
{
	cleanup_close(&c->fd);
	free(c->buf);
}

static int no_connection(int err, const char *path, struct error *e)
{
	if (err == ENOENT || err == ECONNREFUSED)
		return error_set(
			e, -err, "no-daemon",
			"no daemon at %s: start it with `systemctl start sagate` or `sagate "
			"daemon`, or name its socket with -s",
			path);
	if (err == EACCES || err == EPERM)
		return error_set(e, -err, "not-permitted",
				 "not permitted to use %s: run it as root", path);
	if (err == EAGAIN)
		return error_set(e, -err, "busy", "the daemon at %s does not take connections: %s",
				 path, "it is busy or stopped, try again");
	return error_set(e, -err, "no-daemon", "cannot connect to the daemon at %s: %s", path,
			 strerror(err));
}

static int died(const struct client *c, struct error *e)
{
	return error_set(e, -ECONNRESET, "daemon-died",
			 "the daemon at %s went away before its answer was whole: see its log",
			 c->path);
}

static int client_connect(struct client *c, const char *path, struct error *e)
{
	struct sockaddr_un sa;
	struct timeval limit = {.tv_sec = CLIENT_TIMEOUT_S};
	int r;

	c->path = path ? path : CONTROL_PATH;
	r = control_address(c->path, &sa, e);
	if (r < 0)
		return r;
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0 ||
	    connect(c->fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0)
		return no_connection(errno, c->path, e);
	return 0;
}

static int client_send(struct client *c, const char *command, json_t *args, struct error *e)
{
	_cleanup_json_ json_t *request = NULL;
	_cleanup_free_ char *line = NULL;
	size_t len, done = 0;
	ssize_t n;

	request = json_pack("{s:s,s:o}", "command", command, "args", args ? args : json_object());
	line = request ? json_line(request, &len) : NULL;
	if (!line)
		return error_set(e, -EINVAL, "bad-request",
				 "the request cannot be written: its text is no UTF-8");
	while (done < len) {
		n = send(c->fd, line + done, len - done, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		/* One who hangs up early has said why: the answer is read all the same. */
		if (n < 0 && errno == EPIPE)
			return 0;
		if (n < 0)
			return error_set(e, -errno, "timeout",
					 "the daemon at %s does not take the request: %s", c->path,
					 strerror(errno));
		done += n;
	}
	return 0;
}

static int make_room(struct client *c, struct error *e)
{
	size_t size = c->size ? c->size * 2 : 65536;
	char *p;

	if (c->start) {
		memmove(c->buf, c->buf + c->start, c->end - c->start);
		c->end -= c->start;
		c->start = 0;
	}
	if (c->end < c->size)
		return 0;
	p = size <= ANSWER_MAX ? realloc(c->buf, size) : NULL;
	if (!p)
		return error_set(e, -ENOMEM, "no-memory", "no memory for the daemon's answer");
	c->buf = p;
	c->size = size;
	return 0;
}

/* Waits at most `seconds` (-1: for ever) for more bytes. */
static int client_fill(struct client *c, int seconds, struct error *e)
{
	struct pollfd p = {.fd = c->fd, .events = POLLIN};
	ssize_t n;
	int r = make_room(c, e);

	if (r < 0)
		return r;
	do {
		r = poll(&p, 1, seconds < 0 ? -1 : seconds * 1000);
	} while (r < 0 && errno == EINTR);
	if (r == 0)
		return error_set(e, -ETIMEDOUT, "timeout",
				 "the daemon at %s has not answered for %d s: is it stopped?",
				 c->path, seconds);
	do {
		n = recv(c->fd, c->buf + c->end, c->size - c->end, 0);
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return died(c, e);
	c->end += n;
	return 0;
}

/* Behind the first `seen` bytes, which have none. */
static char *find_newline(const struct client *c, size_t seen)
{
	return c->buf ? memchr(c->buf + c->start + seen, '\n', c->end - c->start - seen) : NULL;
}

/* Reads one line as JSON; *out is a new reference. */
static int client_line(struct client *c, int seconds, json_t **out, struct error *e)
{
	size_t seen = 0;
	char *newline;
	int r;

	while (!(newline = find_newline(c, seen))) {
		seen = c->end - c->start;
		r = client_fill(c, seconds, e);
		if (r < 0)
			return r;
	}
	*out = json_loadb(c->buf + c->start, newline - c->buf - c->start, 0, NULL);
	c->start = newline - c->buf + 1;
	if (!json_is_object(*out)) {
		json_decref(*out);
		return error_set(
			e, -EBADMSG, "bad-answer",
			"what serves %s is no daemon of sagate: its answer is no JSON object",
			c->path);
	}
	return 0;
}

static int client_answer(struct client *c, json_t **result, struct error *e)
{
	_cleanup_json_ json_t *answer = NULL;
	const json_t *error;
	json_t *value;
	const char *code, *message;
	int r = client_line(c, CLIENT_TIMEOUT_S, &answer, e);

	if (r < 0)
		return r;
	error = json_object_get(answer, "error");
	code = json_get_text(error, "code");
	message = json_get_text(error, "message");
	if (error)
		return error_set(e, -EREMOTEIO, code ? code : "failed", "%s",
				 message ? message : "the daemon refused, and did not say why");
	value = json_object_get(answer, "result");
	if (!value)
		return error_set(e, -EBADMSG, "bad-answer",
				 "the daemon at %s answered neither a result nor an error",
				 c->path);
	*result = json_incref(value);
	return 0;
}

static int client_open(struct client *c, const char *path, const char *command, json_t *args,
		       struct error *e)
{
	int r = client_connect(c, path, e);

	if (r < 0) {
		json_decref(args);
		return r;
	}
	return client_send(c, command, args, e);
}

int client_call(const char *path, const char *command, json_t *args, json_t **result,
		struct error *e)
{
	_cleanup_(client_close) struct client c = {.fd = -1};
	int r = client_open(&c, path, command, args, e);

	return r < 0 ? r : client_answer(&c, result, e);
}

int client_watch(const char *path, void (*ready)(void *ctx),
		 int (*event)(void *ctx, const json_t *event), void *ctx, struct error *e)
{
	_cleanup_(client_close) struct client c = {.fd = -1};
	_cleanup_json_ json_t *watching = NULL;
	json_t *one;
	int r = client_open(&c, path, "watch", NULL, e);

	if (r == 0)
		r = client_answer(&c, &watching, e);
	if (r == 0 && ready)
		ready(ctx);
	while (r == 0) {
		r = client_line(&c, -1, &one, e);
		if (r < 0)
			return r;
		r = event(ctx, one);
		json_decref(one);
	}
	return r;
}
