// SPDX-License-Identifier: GPL-2.0-only
/* The control socket with real clients, good and hostile, in one event loop. */
/* needs: loader/control.c loader/control_client.c loader/control_listen.c */
/* needs: loader/control_queue.c loader/control_request.c loader/json_util.c */
/* needs: loader/error.c loader/log.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "server.h"

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
		T(too_many_clients_are_told_so_and_room_comes_back),
		T(a_shortage_of_descriptors_passes),
		T(garbage_and_hangups_leave_the_server_well),
		cmocka_unit_test(the_request_parser_takes_any_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
