// SPDX-License-Identifier: GPL-2.0-only
/* Watchers of the control socket: quick ones and slow ones. */
/* needs: loader/control.c loader/control_client.c loader/control_listen.c */
/* needs: loader/control_queue.c loader/control_request.c loader/json_util.c */
/* needs: loader/error.c loader/log.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "server.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(watchers_get_events_until_they_leave),
		T(a_slow_watcher_is_told_what_it_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
