/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A control socket in an event loop that the test turns, and what a client does with it. The test
 * has it as *state from set_up() to tear_down(). Include it behind cmocka.h.
 */
#ifndef SERVER_H
#define SERVER_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include "control.h"
#include "control_request.h"
#include "json_util.h"

#define BIG (8 * 1024 * 1024)

struct server {
	char dir[64], path[128];
	sd_event *event;
	struct control *control;
	unsigned int calls;
	uint64_t deferred; /* the request that is answered later */
	uint64_t left;	   /* the last one whose client went before that */
	unsigned int entries,
		fails_at; /* of a list: so many, and when it fails instead; 0: never */
	unsigned int asked, freed;
};

static inline int next_entry(void *ctx, json_t **entry)
{
	struct server *s = ctx;

	assert_int_equal(s->freed, 0);
	if (s->fails_at && s->asked == s->fails_at)
		return -ENOMEM;
	if (s->asked == s->entries)
		return 0;
	*entry = json_integer(s->asked++);
	return 1;
}

static inline void free_list(void *ctx)
{
	((struct server *)ctx)->freed++;
}

static const struct control_list list = {.next = next_entry, .free = free_list};

static inline int handle(void *ctx, const char *command, const json_t *args, json_t **result,
			 struct error *e)
{
	struct server *s = ctx;

	s->calls++;
	if (!strcmp(command, "fail"))
		return error_set(e, -EPERM, "no-way", "it cannot \"be\"");
	if (!strcmp(command, "fail-silently"))
		return -EBUSY;
	if (!strcmp(command, "big")) {
		_cleanup_free_ char *text = malloc(BIG + 1);

		memset(text, 'x', BIG);
		text[BIG] = '\0';
		*result = json_string(text);
	} else if (!strcmp(command, "later")) {
		s->deferred = control_defer(s->control);
	} else if (!strcmp(command, "list")) {
		s->asked = s->freed = 0;
		control_answer_list(s->control, &list, s);
	} else if (!strcmp(command, "echo")) {
		*result = json_deep_copy(args);
	} else if (!strcmp(command, "publish")) {
		json_t *event = json_pack("{s:s}", "event", "sync");

		control_publish(s->control, event);
		json_decref(event);
	}
	return 0;
}

static inline void left(void *ctx, uint64_t request)
{
	((struct server *)ctx)->left = request;
}

static const struct control_ops ops = {.handle = handle, .left = left};

static inline int set_up(void **state)
{
	struct server *s = calloc(1, sizeof(*s));
	struct error e;

	strcpy(s->dir, "/tmp/sagate-control-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	snprintf(s->path, sizeof(s->path), "%s/run/control.sock", s->dir);
	assert_true(sd_event_new(&s->event) >= 0);
	if (control_new(s->event, s->path, &ops, s, &s->control, &e) < 0)
		fail_msg("%s", e.message);
	*state = s;
	return 0;
}

static inline int tear_down(void **state)
{
	struct server *s = *state;
	char path[160];

	control_free(s->control);
	sd_event_unref(s->event);
	assert_int_equal(access(s->path, F_OK), -1);
	snprintf(path, sizeof(path), "%s.lock", s->path);
	unlink(path);
	snprintf(path, sizeof(path), "%s/run", s->dir);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(rmdir(s->dir), 0);
	free(s);
	return 0;
}

static inline double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static inline int dial(const struct server *s)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	strcpy(sa.sun_path, s->path);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

/* One turn of the server's loop, which must never take long. */
static inline void turn(struct server *s)
{
	double before = now();

	assert_true(sd_event_run(s->event, 10000) >= 0);
	assert_true(now() - before < 1);
}

/* Sends all of it, the server running meanwhile; false when the server hangs up. */
static inline bool say(struct server *s, int fd, const char *data, size_t len)
{
	double end = now() + 15;
	ssize_t n;

	while (len && now() < end) {
		n = send(fd, data, len, MSG_NOSIGNAL);
		if (n < 0 && errno == EPIPE)
			return false;
		if (n > 0) {
			data += n;
			len -= n;
		}
		turn(s);
	}
	return !len;
}

/* Reads up to a newline (1), the end of the connection (0), or for `seconds` (-1). */
static inline int hear(struct server *s, int fd, char *buf, size_t size, double seconds)
{
	double end = now() + seconds;
	char *newline = NULL;
	size_t got = 0;
	ssize_t n;

	while (now() < end && got + 1 < size && !newline) {
		n = recv(fd, buf + got, size - got - 1, MSG_PEEK);
		if (n < 0 && errno != ECONNRESET) {
			turn(s);
			continue;
		}
		if (n <= 0)
			break;
		newline = memchr(buf + got, '\n', n);
		if (newline)
			n = newline + 1 - (buf + got);
		assert_int_equal(recv(fd, buf + got, n, 0), n);
		got += n;
	}
	buf[newline ? got - 1 : got] = '\0';
	return newline ? 1 : now() < end ? 0 : -1;
}

static inline void ask(struct server *s, const char *line, const char *expected)
{
	char buf[4096];
	int fd = dial(s);

	assert_true(say(s, fd, line, strlen(line)));
	assert_int_equal(hear(s, fd, buf, sizeof(buf), 5), 1);
	if (strncmp(buf, expected, strlen(expected)))
		fail_msg("%.100s: \"%s\" is not \"%s…\"", line, buf, expected);
	close(fd);
	turn(s);
}

static inline int start_watch(struct server *s)
{
	char buf[256];
	int fd = dial(s);

	assert_true(say(s, fd, "{\"command\":\"watch\"}\n", 20));
	assert_int_equal(hear(s, fd, buf, sizeof(buf), 5), 1);
	assert_string_equal(buf, "{\"result\":\"watching\"}");
	return fd;
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

#endif
