// SPDX-License-Identifier: GPL-2.0-only
/* The control socket with real clients, good and hostile, in one event loop. */
/* needs: loader/control.c loader/control_client.c loader/control_listen.c */
/* needs: loader/control_queue.c loader/control_request.c loader/json_util.c */
/* needs: loader/error.c loader/log.c */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
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
#include <cmocka.h>

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

static int next_entry(void *ctx, json_t **entry)
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

static void free_list(void *ctx)
{
	((struct server *)ctx)->freed++;
}

static const struct control_list list = {.next = next_entry, .free = free_list};

static int handle(void *ctx, const char *command, const json_t *args, json_t **result,
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

static void left(void *ctx, uint64_t request)
{
	((struct server *)ctx)->left = request;
}

static const struct control_ops ops = {.handle = handle, .left = left};

static int set_up(void **state)
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

static int tear_down(void **state)
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

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static int dial(const struct server *s)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	strcpy(sa.sun_path, s->path);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

/* One turn of the server's loop, which must never take long. */
static void turn(struct server *s)
{
	double before = now();

	assert_true(sd_event_run(s->event, 10000) >= 0);
	assert_true(now() - before < 1);
}

/* Sends all of it, the server running meanwhile; false when the server hangs up. */
static bool say(struct server *s, int fd, const char *data, size_t len)
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
static int hear(struct server *s, int fd, char *buf, size_t size, double seconds)
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

static void ask(struct server *s, const char *line, const char *expected)
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

static void requests_are_answered_and_bad_ones_refused(void **state)
{
	static const char *const rows[][2] = {
		{"{\"command\":\"echo\",\"args\":{\"a\":[1,\"ä\"]}}\n",
		 "{\"result\":{\"a\":[1,\"ä\"]}}"},
		{"{\"command\":\"echo\"}\n", "{\"result\":{}}"},
		{"{\"command\":\"nothing\"}\nmore\n", "{\"result\":{}}"},
		{"{\"command\":\"fail\"}\n",
		 "{\"error\":{\"code\":\"no-way\",\"message\":\"it cannot \\\"be\\\"\"}}"},
		{"{\"command\":\"fail-silently\"}\n",
		 "{\"error\":{\"code\":\"failed\",\"message\":\"fail-silently: "},
		{"\n", "{\"error\":{\"code\":\"bad-request\""},
		{"[]\n", "{\"error\":{\"code\":\"bad-request\""},
		{"{}\n", "{\"error\":{\"code\":\"bad-request\""},
		{"{\"command\":1}\n", "{\"error\":{\"code\":\"bad-request\""},
		{"{\"command\":\"\"}\n", "{\"error\":{\"code\":\"bad-request\""},
		{"{\"command\":\"A\"}\n", "{\"error\":{\"code\":\"bad-request\""},
		{"{\"command\":\"echo\",\"args\":[]}\n", "{\"error\":{\"code\":\"bad-request\""},
		{"{\"command\":\"echo\",\"args\":null}\n", "{\"error\":{\"code\":\"bad-request\""},
		{"{\"command\":\"echo\",\"x\":{}}\n", "{\"error\":{\"code\":\"bad-request\""},
		{"{\"command\":\"echo\",\"command\":\"echo\"}\n",
		 "{\"error\":{\"code\":\"bad-request\""},
		{"{\"command\":\"abcdefghijklmnopqrstuvwxyzabcdefgh\"}\n",
		 "{\"error\":{\"code\":\"bad-request\""},
		{"{\"command\":\"e\xff\"}\n", "{\"error\":{\"code\":\"bad-request\""},
		{"{\"command\":\"echo\"} x\n", "{\"error\":{\"code\":\"bad-request\""},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ask(*state, rows[i][0], rows[i][1]);
}

static void one_who_sent_all_and_shut_down_gets_his_answer(void **state)
{
	struct server *s = *state;
	char buf[256];
	int fd = dial(s);

	assert_true(say(s, fd, "{\"command\":\"echo\"}\n", 19));
	shutdown(fd, SHUT_WR);
	assert_int_equal(hear(s, fd, buf, sizeof(buf), 5), 1);
	assert_string_equal(buf, "{\"result\":{}}");
	assert_int_equal(hear(s, fd, buf, sizeof(buf), 5), 0);
	close(fd);
	fd = dial(s);
	assert_true(say(s, fd, "{\"comm", 7));
	shutdown(fd, SHUT_WR);
	assert_int_equal(hear(s, fd, buf, sizeof(buf), 5), 1);
	assert_non_null(strstr(buf, "bad-request"));
	close(fd);
}

/* Asks for something that is answered later; returns the request's number. */
static uint64_t ask_for_later(struct server *s, int fd)
{
	double end = now() + 5;

	s->deferred = 0;
	assert_true(say(s, fd, "{\"command\":\"later\"}\n", 20));
	while (!s->deferred && now() < end)
		turn(s);
	assert_int_not_equal(s->deferred, 0);
	return s->deferred;
}

/* A client who waits is not cut off, however long; one who left is no harm, nor is another. */
static void a_deferred_request_is_answered_when_its_time_has_come(void **state)
{
	struct error e = {.code = "no", .message = "way"};
	_cleanup_json_ json_t *result = json_string("done");
	struct server *s = *state;
	uint64_t first, second;
	int one = dial(s), two = dial(s);
	char buf[256];

	first = ask_for_later(s, one);
	shutdown(one, SHUT_WR);
	second = ask_for_later(s, two);
	assert_int_not_equal(first, second);
	assert_int_equal(hear(s, one, buf, sizeof(buf), CONTROL_TIMEOUT_S + 2), -1);
	ask(s, "{\"command\":\"echo\"}\n", "{\"result\":{}}");
	control_answer(s->control, second, NULL, &e);
	control_answer(s->control, first, result, NULL);
	control_answer(s->control, first, result, NULL); /* no more than once */
	assert_int_equal(hear(s, one, buf, sizeof(buf), 5), 1);
	assert_string_equal(buf, "{\"result\":\"done\"}");
	assert_int_equal(hear(s, one, buf, sizeof(buf), 5), 0);
	assert_int_equal(hear(s, two, buf, sizeof(buf), 5), 1);
	assert_string_equal(buf, "{\"error\":{\"code\":\"no\",\"message\":\"way\"}}");
	close(one);
	close(two);
	one = dial(s);
	assert_int_equal(s->left, 0);
	first = ask_for_later(s, one);
	close(one);
	for (int i = 0; i < 5; i++)
		turn(s);
	assert_int_equal(s->left, first);
	control_answer(s->control, first, result, NULL);
	turn(s);
}

static void a_line_of_a_megabyte_is_refused_without_keeping_it(void **state)
{
	struct server *s = *state;
	char *line = malloc(1024 * 1024), buf[256];
	int fd = dial(s);

	memset(line, 'x', 1024 * 1024);
	say(s, fd, line, 1024 * 1024);
	assert_int_equal(hear(s, fd, buf, sizeof(buf), 5), 1);
	assert_non_null(strstr(buf, "longer than 64 KiB"));
	assert_int_equal(s->calls, 0);
	close(fd);
	free(line);
}

/* The longest that fits, and one byte more. */
static void the_limit_of_a_line_is_exact(void **state)
{
	static const char head[] = "{\"command\":\"echo\",\"args\":{\"a\":\"", tail[] = "\"}}\n";
	struct server *s = *state;
	char *line = malloc(CONTROL_LINE_MAX + 2), *answer = malloc(2 * CONTROL_LINE_MAX);

	for (int over = 0; over < 2; over++) {
		size_t len = CONTROL_LINE_MAX + over;
		int fd = dial(s);

		memset(line, 'x', len);
		memcpy(line, head, strlen(head));
		memcpy(line + len - strlen(tail), tail, strlen(tail));
		say(s, fd, line, len);
		assert_int_equal(hear(s, fd, answer, 2 * CONTROL_LINE_MAX, 5), 1);
		if (over)
			assert_non_null(strstr(answer, "longer than 64 KiB"));
		else
			assert_non_null(strstr(answer, "{\"result\":{\"a\":\"xxx"));
		close(fd);
	}
	free(line);
	free(answer);
}

static void a_large_answer_arrives_whole(void **state)
{
	struct server *s = *state;
	char *buf = malloc(BIG + 64);
	int fd = dial(s);

	assert_true(say(s, fd, "{\"command\":\"big\"}\n", 18));
	assert_int_equal(hear(s, fd, buf, BIG + 64, 60), 1);
	assert_int_equal(strlen(buf), BIG + strlen("{\"result\":\"\"}"));
	close(fd);
	free(buf);
}

/* Asks for a list of so many entries; the client does not read yet. */
static int ask_for_list(struct server *s, unsigned int entries, unsigned int fails_at)
{
	int fd = dial(s);

	s->entries = entries;
	s->fails_at = fails_at;
	assert_true(say(s, fd, "{\"command\":\"list\"}\n", 19));
	for (int i = 0; i < 20; i++)
		turn(s);
	return fd;
}

static void a_list_is_one_document_of_all_its_entries(void **state)
{
	static const unsigned int counts[] = {0, 1, 2, 300000};
	_cleanup_free_ char *buf = malloc(BIG);
	struct server *s = *state;

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		_cleanup_json_ json_t *answer = NULL;
		int fd = ask_for_list(s, counts[i], 0);

		if (i % 2)
			shutdown(fd, SHUT_WR);
		assert_int_equal(hear(s, fd, buf, BIG, 60), 1);
		answer = json_loads(buf, 0, NULL);
		assert_int_equal(json_array_size(json_object_get(answer, "result")), counts[i]);
		assert_int_equal(s->freed, 1);
		close(fd);
		turn(s);
	}
}

/* Who does not read holds up nobody, and no more of the list is made than fits into its queue. */
static void a_list_waits_for_its_reader_and_is_freed_with_it(void **state)
{
	_cleanup_free_ char *buf = malloc(BIG);
	struct server *s = *state;
	unsigned int made;
	int fd = ask_for_list(s, 1000000, 0);

	made = s->asked;
	assert_in_range(made, 1, 150000); /* 7 bytes each: a part, and the socket's buffer */
	for (int i = 0; i < 20; i++)
		turn(s);
	assert_int_equal(s->asked, made);
	ask(s, "{\"command\":\"echo\"}\n", "{\"result\":{}}");
	assert_int_equal(s->freed, 0);
	close(fd);
	for (int i = 0; i < 20; i++)
		turn(s);
	assert_int_equal(s->freed, 1);
	/* what cannot go on is cut off, and not taken for whole */
	fd = ask_for_list(s, 1000, 500);
	assert_int_equal(hear(s, fd, buf, BIG, 10), 0);
	assert_null(json_loads(buf, 0, NULL));
	assert_int_equal(s->freed, 1);
	close(fd);
	/* and the server's own end frees it, too */
	fd = ask_for_list(s, 1000000, 0);
	control_free(s->control);
	s->control = NULL;
	assert_int_equal(s->freed, 1);
	close(fd);
}

static int start_watch(struct server *s)
{
	char buf[256];
	int fd = dial(s);

	assert_true(say(s, fd, "{\"command\":\"watch\"}\n", 20));
	assert_int_equal(hear(s, fd, buf, sizeof(buf), 5), 1);
	assert_string_equal(buf, "{\"result\":\"watching\"}");
	return fd;
}

/* Half a request, an answer not read, a connection not closed: all are cut off, in 10 s. */
static void idle_and_stalled_clients_are_cut_off(void **state)
{
	struct server *s = *state;
	struct pollfd p[3] = {};
	double start = now();
	int half = dial(s), stalled = dial(s), done = dial(s), watcher = start_watch(s), gone = 0;

	assert_true(say(s, half, "{\"command\":", 11));
	assert_true(say(s, stalled, "{\"command\":\"big\"}\n", 18));
	assert_true(say(s, done, "{\"command\":\"echo\"}\n", 19));
	p[0].fd = half;
	p[1].fd = stalled;
	p[2].fd = done;
	while ((gone < 3 || now() < start + 11) && now() < start + 15) {
		turn(s);
		gone = 0;
		poll(p, 3, 0);
		for (int i = 0; i < 3; i++)
			gone += !!(p[i].revents & POLLHUP);
		if (now() < start + 9)
			assert_int_equal(gone, 0);
	}
	assert_int_equal(gone, 3);
	/* a watcher may wait as long as it likes */
	assert_int_equal(control_watchers(s->control), 1);
	close(watcher);
	close(half);
	close(stalled);
	close(done);
}

static void publish(struct server *s, int n)
{
	json_t *event =
		json_pack("{s:s,s:i,s:s}", "event", "verdict", "n", n, "pad",
			  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");

	assert_int_equal(control_publish(s->control, event), 0);
	json_decref(event);
}

static void watchers_get_events_until_they_leave(void **state)
{
	struct server *s = *state;
	char buf[256];
	int a, b;

	publish(s, 0);
	assert_int_equal(control_watchers(s->control), 0);
	a = start_watch(s);
	b = start_watch(s);
	assert_int_equal(control_watchers(s->control), 2);
	publish(s, 1);
	assert_int_equal(hear(s, a, buf, sizeof(buf), 5), 1);
	assert_non_null(strstr(buf, "\"n\":1"));
	assert_int_equal(hear(s, b, buf, sizeof(buf), 5), 1);
	assert_non_null(strstr(buf, "\"n\":1"));
	close(a);
	for (double end = now() + 5; control_watchers(s->control) > 1 && now() < end;)
		turn(s);
	assert_int_equal(control_watchers(s->control), 1);
	/* one that shut down its own side only still listens */
	shutdown(b, SHUT_WR);
	turn(s);
	turn(s);
	ask(s, "{\"command\":\"publish\"}\n", "{\"result\":{}}");
	assert_int_equal(hear(s, b, buf, sizeof(buf), 5), 1);
	assert_string_equal(buf, "{\"event\":\"sync\"}");
	close(b);
}

/* Every event is either there or counted, in its place; memory stays bounded. */
static void a_slow_watcher_is_told_what_it_lost(void **state)
{
	struct server *s = *state;
	int fd = start_watch(s), fast = start_watch(s), total = 60000, next = 0, fast_next = 0;
	json_int_t lost = 0;
	char buf[256];

	for (int n = 0; n < total; n++) {
		publish(s, n);
		if (n % 100)
			continue;
		turn(s);
		while (fast_next < n - 2000 && hear(s, fast, buf, sizeof(buf), 5) == 1)
			fast_next++;
	}
	while (next + lost < total && hear(s, fd, buf, sizeof(buf), 5) == 1) {
		json_t *event = json_loads(buf, 0, NULL);

		assert_non_null(event);
		if (!strcmp(json_get_text(event, "event"), "lost")) {
			assert_true(json_get_int(event, "count", 0) > 0);
			lost += json_get_int(event, "count", 0);
		} else {
			assert_int_equal(json_get_int(event, "n", -1), next + lost);
			next++;
		}
		json_decref(event);
	}
	assert_true(lost > 0);
	assert_int_equal(next + lost, total);
	assert_true(next * 120 < 2 * CONTROL_QUEUE_MAX);
	/* the fast one lost nothing by it */
	while (fast_next < total) {
		assert_int_equal(hear(s, fast, buf, sizeof(buf), 5), 1);
		assert_null(strstr(buf, "lost"));
		fast_next++;
	}
	close(fd);
	close(fast);
}

static void too_many_clients_are_told_so_and_room_comes_back(void **state)
{
	struct server *s = *state;
	int fds[CONTROL_CLIENTS_MAX];
	char buf[256];
	int fd;

	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		fds[i] = dial(s);
		turn(s);
	}
	fd = dial(s);
	assert_int_equal(hear(s, fd, buf, sizeof(buf), 5), 1);
	assert_non_null(strstr(buf, "\"code\":\"busy\""));
	assert_int_equal(hear(s, fd, buf, sizeof(buf), 5), 0);
	close(fd);
	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
		close(fds[i]);
	for (int i = 0; i < 2 * CONTROL_CLIENTS_MAX; i++)
		turn(s);
	ask(s, "{\"command\":\"echo\"}\n", "{\"result\":{}}");
}

static void a_shortage_of_descriptors_passes(void **state)
{
	struct server *s = *state;
	struct rlimit old, low;
	int fd = dial(s), used = dup(fd);
	double start = now();
	int turns = 0;
	char buf[256];

	getrlimit(RLIMIT_NOFILE, &old);
	low = old;
	low.rlim_cur = used + 1;
	setrlimit(RLIMIT_NOFILE, &low);
	while (now() < start + 0.5) {
		turn(s);
		turns++;
	}
	setrlimit(RLIMIT_NOFILE, &old);
	/* a loop that spins would have taken many thousands */
	assert_true(turns < 200);
	close(used);
	assert_true(say(s, fd, "{\"command\":\"echo\"}\n", 19));
	assert_int_equal(hear(s, fd, buf, sizeof(buf), 5), 1);
	close(fd);
}

static void garbage_and_hangups_leave_the_server_well(void **state)
{
	struct server *s = *state;
	unsigned int rnd = 7;
	char junk[700];

	for (int round = 0; round < 300; round++) {
		int fd = dial(s);

		for (size_t i = 0; i < sizeof(junk); i++) {
			rnd = rnd * 1103515245 + 12345;
			junk[i] = rnd >> 16;
		}
		say(s, fd, junk, 1 + (rnd >> 8) % sizeof(junk));
		close(fd);
		turn(s);
	}
	ask(s, "{\"command\":\"echo\"}\n", "{\"result\":{}}");
}

/* What user and group 65534 is told; without a request it only connects. */
static void asked_by_nobody(struct server *s, const char *request, const char *reply)
{
	char buf[512] = "";
	int status, pair[2];
	pid_t pid;

	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		struct sockaddr_un sa = {.sun_family = AF_UNIX};
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);
		ssize_t n;

		strcpy(sa.sun_path, s->path);
		if (setgid(65534) || setuid(65534) ||
		    connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
		    (request && send(fd, request, strlen(request), MSG_NOSIGNAL) < 0))
			_exit(1);
		n = recv(fd, buf, sizeof(buf), 0);
		if (n < 0 || write(pair[1], buf, n) != n)
			_exit(2);
		_exit(0);
	}
	for (double end = now() + 5; waitpid(pid, &status, WNOHANG) == 0 && now() < end;)
		turn(s);
	assert_int_equal(status, 0);
	assert_true(read(pair[0], buf, sizeof(buf) - 1) > 0);
	assert_non_null(strstr(buf, reply));
	close(pair[0]);
	close(pair[1]);
}

static void only_root_is_served(void **state)
{
	struct server *s = *state;
	char dir[128];

	if (geteuid() != 0)
		skip();
	snprintf(dir, sizeof(dir), "%s/run", s->dir);
	assert_int_equal(chmod(s->dir, 0755) | chmod(dir, 0755) | chmod(s->path, 0666), 0);
	asked_by_nobody(s, NULL, "\"code\":\"not-permitted\"");
}

static void members_of_the_group_look_and_no_more(void **state)
{
	struct server *s = *state;
	char dir[128];
	struct stat st;
	struct error e;
	unsigned int calls;

	if (geteuid() != 0)
		skip();
	assert_int_equal(control_share(s->control, "no such group", &e), -ENOENT);
	assert_int_equal(control_share(s->control, "nogroup", &e), 0);
	assert_int_equal(stat(s->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	assert_int_equal(st.st_gid, 65534);
	snprintf(dir, sizeof(dir), "%s/run", s->dir);
	assert_int_equal(chmod(s->dir, 0755) | chmod(dir, 0711), 0);
	asked_by_nobody(s, "{\"command\":\"status\"}\n", "{\"result\":");
	calls = s->calls;
	asked_by_nobody(s, "{\"command\":\"attach\"}\n", "\"code\":\"not-permitted\"");
	asked_by_nobody(s, "{\"command\":\"detach\"}\n", "\"code\":\"not-permitted\"");
	asked_by_nobody(s, "{\"command\":\"wait\"}\n", "\"code\":\"not-permitted\"");
	asked_by_nobody(s, "{\"command\":\"doctor\"}\n", "\"code\":\"not-permitted\"");
	assert_int_equal(s->calls, calls);
	ask(s, "{\"command\":\"echo\"}\n", "{\"result\":{}}");
}

/* A member who takes every place: root still finds one. */
static void members_of_the_group_leave_room_for_root(void **state)
{
	struct server *s = *state;
	int status, pair[2];
	struct error e;
	char dir[128], one;
	pid_t pid;

	if (geteuid() != 0)
		skip();
	assert_int_equal(control_share(s->control, "nogroup", &e), 0);
	snprintf(dir, sizeof(dir), "%s/run", s->dir);
	assert_int_equal(chmod(s->dir, 0755) | chmod(dir, 0711), 0);
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		struct sockaddr_un sa = {.sun_family = AF_UNIX};
		int fds[CONTROL_CLIENTS_MAX];

		strcpy(sa.sun_path, s->path);
		if (setgid(65534) || setuid(65534))
			_exit(1);
		close(pair[1]);
		for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
			fds[i] = socket(AF_UNIX, SOCK_STREAM, 0);
			if (connect(fds[i], (struct sockaddr *)&sa, sizeof(sa)))
				_exit(2);
		}
		_exit(read(pair[0], &one, 1) ? 3 : 0);
	}
	close(pair[0]);
	for (int i = 0; i < 2 * CONTROL_CLIENTS_MAX; i++)
		turn(s);
	ask(s, "{\"command\":\"echo\"}\n", "{\"result\":{}}");
	close(pair[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void modes_of_socket_and_directory_are_roots_alone(void **state)
{
	struct server *s = *state;
	char dir[128];
	struct stat st;

	assert_int_equal(stat(s->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	snprintf(dir, sizeof(dir), "%s/run", s->dir);
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
}

static void a_living_daemons_socket_is_left_alone(void **state)
{
	struct server *s = *state;
	struct control *other = NULL;
	char expected[64], lock[160];
	struct error e;

	snprintf(expected, sizeof(expected), "another daemon (pid %d) serves", getpid());
	assert_int_equal(control_new(s->event, s->path, &ops, s, &other, &e), -EADDRINUSE);
	assert_non_null(strstr(e.message, expected));
	assert_null(other);
	/* also when somebody removed its lock */
	snprintf(lock, sizeof(lock), "%s.lock", s->path);
	unlink(lock);
	assert_int_equal(control_new(s->event, s->path, &ops, s, &other, &e), -EADDRINUSE);
	assert_non_null(strstr(e.message, expected));
	ask(s, "{\"command\":\"echo\"}\n", "{\"result\":{}}");
}

static void a_dead_daemons_socket_is_replaced(void **state)
{
	struct server *s = *state;
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct control *other = NULL;
	char lock[160];
	struct error e;
	int fd;

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%.90s/dead", s->dir);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	close(fd);
	assert_int_equal(control_new(s->event, sa.sun_path, &ops, s, &other, &e), 0);
	control_free(other);
	/* but never a file that is no socket */
	fd = open(sa.sun_path, O_CREAT | O_WRONLY, 0600);
	close(fd);
	assert_int_equal(control_new(s->event, sa.sun_path, &ops, s, &other, &e), -EEXIST);
	assert_int_equal(access(sa.sun_path, F_OK), 0);
	unlink(sa.sun_path);
	snprintf(lock, sizeof(lock), "%s.lock", sa.sun_path);
	unlink(lock);
	assert_int_equal(control_new(s->event, "control.sock", &ops, s, &other, &e), -EINVAL);
	assert_int_equal(control_new(s->event, "/nonexistent/dir/x", &ops, s, &other, &e), -ENOENT);
}

static void the_request_parser_takes_any_bytes(void **state)
{
	static const char seed[] =
		"{\"command\":\"attach\",\"args\":{\"name\":\"x\",\"n\":[1,{}]}}";
	unsigned int rnd = 3;

	(void)state;
	for (int round = 0; round < 50000; round++) {
		struct control_request q;
		/* exactly as long as it is: a byte too far is seen by ASan */
		size_t len = round % sizeof(seed);
		char *line = malloc(len ? len : 1);
		struct error e = {};

		memcpy(line, seed, len);
		for (int n = 0; n < 2 && len; n++) {
			rnd = rnd * 1103515245 + 12345;
			line[(rnd >> 8) % len] = "{}[]\":,\\\0\xff\n1x "[rnd % 14];
		}
		if (control_request_parse(line, len, &q, &e) == 0)
			control_request_clear(&q);
		else
			assert_string_equal(e.code, "bad-request");
		free(line);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(requests_are_answered_and_bad_ones_refused),
		T(one_who_sent_all_and_shut_down_gets_his_answer),
		T(a_deferred_request_is_answered_when_its_time_has_come),
		T(a_line_of_a_megabyte_is_refused_without_keeping_it),
		T(the_limit_of_a_line_is_exact),
		T(a_large_answer_arrives_whole),
		T(a_list_is_one_document_of_all_its_entries),
		T(a_list_waits_for_its_reader_and_is_freed_with_it),
		T(idle_and_stalled_clients_are_cut_off),
		T(watchers_get_events_until_they_leave),
		T(a_slow_watcher_is_told_what_it_lost),
		T(too_many_clients_are_told_so_and_room_comes_back),
		T(a_shortage_of_descriptors_passes),
		T(garbage_and_hangups_leave_the_server_well),
		T(only_root_is_served),
		T(members_of_the_group_look_and_no_more),
		T(members_of_the_group_leave_room_for_root),
		T(modes_of_socket_and_directory_are_roots_alone),
		T(a_living_daemons_socket_is_left_alone),
		T(a_dead_daemons_socket_is_replaced),
		cmocka_unit_test(the_request_parser_takes_any_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
