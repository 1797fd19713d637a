// SPDX-License-Identifier: GPL-2.0-only
/* needs: ike-bridge/acquire.c ike-bridge/ike_arena.c ike-bridge/ike_bridge.c */
/* needs: ike-bridge/ike_conn.c ike-bridge/ike_event.c ike-bridge/ike_find.c */
/* needs: ike-bridge/ike_initiate.c ike-bridge/ike_list.c ike-bridge/ike_listing.c */
/* needs: ike-bridge/ike_reason.c ike-bridge/ike_sa.c ike-bridge/ts.c ike-bridge/ts_names.c */
/* needs: ike-bridge/ts_parse.c ike-bridge/vici_conn.c ike-bridge/vici_msg.c */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* accept4 */
#endif

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../../ike-bridge/ike_bridge.h"
#include "../../../ike-bridge/vici_conn.h"
#include "fake.h"

enum { PATIENCE_MS = 8000 };

struct seen {
	struct ike_bridge *bridge;
	struct fake *fake;
	unsigned int ups, downs, lists, outcomes, updowns;
	uint64_t last_id;
	int last_err;
	char why[256], errmsg[2048];
	char updown[64];
};

static void on_link(void *ctx, bool up, const char *why)
{
	struct seen *s = ctx;

	s->ups += up;
	s->downs += !up;
	if (!up)
		snprintf(s->why, sizeof(s->why), "%s", why);
}

static void on_children(void *ctx)
{
	struct seen *s = ctx;

	s->lists++;
}

static void on_outcome(void *ctx, uint64_t id, int err, const char *errmsg)
{
	struct seen *s = ctx;

	s->outcomes++;
	s->last_id = id;
	s->last_err = err;
	snprintf(s->errmsg, sizeof(s->errmsg), "%s", errmsg ? errmsg : "");
}

static void on_updown(void *ctx, const char *conn, const char *child, bool up, uint32_t reqid)
{
	struct seen *s = ctx;

	s->updowns++;
	snprintf(s->updown, sizeof(s->updown), "%s/%s %d %u", conn, child, up, reqid);
}

static const struct ike_ops ops = {
	.link = on_link,
	.children = on_children,
	.outcome = on_outcome,
	.updown = on_updown,
};

static int setup(void **state)
{
	struct seen *s = calloc(1, sizeof(*s));

	s->fake = fake_new();
	*state = s;
	return ike_bridge_new(s->fake->path, &ops, s, &s->bridge);
}

static int teardown(void **state)
{
	struct seen *s = *state;

	ike_bridge_free(s->bridge);
	fake_free(s->fake);
	free(s);
	return 0;
}

/* Runs both sides until *count reaches n. */
static void until(struct seen *s, const unsigned int *count, unsigned int n)
{
	int64_t end = vici_now() + PATIENCE_MS;
	struct pollfd pfd = {.fd = ike_bridge_fd(s->bridge), .events = POLLIN};

	while (*count < n) {
		if (vici_now() > end)
			fail_msg("waited in vain; link: %s", s->why);
		poll(&pfd, 1, 1);
		assert_int_equal(ike_bridge_dispatch(s->bridge), 0);
		fake_step(s->fake);
	}
}

static size_t count(struct seen *s, bool *current)
{
	size_t n;

	ike_bridge_children(s->bridge, &n, current);
	return n;
}

static void it_comes_up_and_lists(void **state)
{
	struct seen *s = *state;
	const struct ike_child *c;
	bool current;
	size_t n;

	assert_int_equal(ike_bridge_initiate(s->bridge, "conn0", "child", 0, &s->last_id),
			 -ENOTCONN);
	assert_int_equal(ike_bridge_peer_pid(s->bridge), 0);
	s->fake->reqid = 42;
	until(s, &s->lists, 1);
	assert_int_equal(s->ups, 1);
	assert_int_equal(s->downs, 0);
	assert_true(ike_bridge_up(s->bridge));
	assert_int_equal(ike_bridge_peer_pid(s->bridge), getpid());
	assert_string_equal(ike_bridge_version(s->bridge), "fake?[31m 9.9");
	c = ike_bridge_children(s->bridge, &n, &current);
	assert_true(current);
	assert_int_equal(n, 2);
	assert_string_equal(c[0].conn, "conn0");
	assert_string_equal(c[0].name, "child");
	assert_int_equal(c[0].mode, IKE_TRANSPORT);
	assert_int_equal(c[0].reqid, 42);
	assert_true(c[0].installed);
	assert_int_equal(c[0].nremote, 1);
	assert_int_equal(c[0].remote[0].port_from, 443);
	assert_int_equal(c[0].left_out, 1);
	assert_string_equal(c[0].remote_addrs[0], "192.0.2.10");
	assert_int_equal(c[1].reqid, 0);
	assert_false(c[1].installed);
}

static void a_flow_finds_its_child_by_reqid_or_by_selectors(void **state)
{
	struct seen *s = *state;
	struct ike_flow flow = {
		.family = AF_INET, .proto = IPPROTO_TCP, .dport = 443, .daddr = {192, 0, 2, 11}};
	const struct ike_child *c;

	s->fake->reqid = 42;
	until(s, &s->lists, 1);
	c = ike_bridge_find(s->bridge, &flow);
	assert_non_null(c);
	assert_string_equal(c->conn, "conn1");
	flow.reqid = 42; /* which contradicts the address */
	assert_string_equal(ike_bridge_find(s->bridge, &flow)->conn, "conn1");
	flow.daddr[3] = 10;
	assert_string_equal(ike_bridge_find(s->bridge, &flow)->conn, "conn0");
	flow.dport = 80;
	assert_null(ike_bridge_find(s->bridge, &flow));
	flow.dport = 443;
	flow.has_saddr = true;
	memcpy(flow.saddr, (uint8_t[]){192, 0, 2, 7}, 4);
	assert_null(ike_bridge_find(s->bridge, &flow));
	flow.saddr[3] = 1;
	assert_non_null(ike_bridge_find(s->bridge, &flow));
	flow.daddr[3] = 99;
	assert_null(ike_bridge_find(s->bridge, &flow));
}

static void a_change_is_told_and_no_change_is_not(void **state)
{
	struct seen *s = *state;
	unsigned int rounds = 0;

	until(s, &s->lists, 1);
	ike_bridge_refresh(s->bridge);
	for (; rounds < 200; rounds++) {
		ike_bridge_dispatch(s->bridge);
		fake_step(s->fake);
	}
	assert_int_equal(s->lists, 1);
	s->fake->loaded = 3;
	ike_bridge_refresh(s->bridge);
	until(s, &s->lists, 2);
	assert_int_equal(count(s, NULL), 3);
	s->fake->loaded = 1; /* nobody asks: noticed by itself */
	until(s, &s->lists, 3);
	assert_int_equal(count(s, NULL), 1);
}

static void an_updown_teaches_the_reqid_and_takes_it_back(void **state)
{
	struct seen *s = *state;
	size_t n;
	int fd;

	until(s, &s->lists, 1);
	fd = s->fake->conns[0].fd; /* the first one is for events */
	fake_updown(fd, "conn1", "child", true, "77");
	until(s, &s->updowns, 1);
	assert_string_equal(s->updown, "conn1/child 1 77");
	assert_int_equal(ike_bridge_children(s->bridge, &n, NULL)[1].reqid, 77);
	fake_updown(fd, "conn1", "child", false, "77");
	until(s, &s->updowns, 2);
	assert_int_equal(ike_bridge_children(s->bridge, &n, NULL)[1].reqid, 0);
	fake_updown(fd, "new\nconn", "child", true, "99999999999");
	until(s, &s->updowns, 3);
	assert_string_equal(s->updown, "new?conn/child 1 0");
	assert_int_equal(s->lists, 3);
}

static void an_initiate_ends_with_success_or_the_reason(void **state)
{
	struct seen *s = *state;
	uint64_t id;

	until(s, &s->lists, 1);
	assert_int_equal(ike_bridge_initiate(s->bridge, "conn0", "child", 5000, &id), 0);
	until(s, &s->outcomes, 1);
	assert_int_equal(s->last_id, id);
	assert_int_equal(s->last_err, 0);

	s->fake->log = "received AUTHENTICATION_FAILED notify error";
	s->fake->initiate = "establishing CHILD_SA 'child' failed";
	assert_int_equal(ike_bridge_initiate(s->bridge, "conn0", "child", 5000, &id), 0);
	until(s, &s->outcomes, 2);
	assert_int_equal(s->last_err, -EKEYREJECTED);
	assert_string_equal(s->errmsg, "establishing CHILD_SA 'child' failed: "
				       "received AUTHENTICATION_FAILED notify error");

	s->fake->log = NULL;
	s->fake->initiate = "CHILD_SA 'child' not established after 5000ms";
	assert_int_equal(ike_bridge_initiate(s->bridge, "conn0", "child", 5000, &id), 0);
	until(s, &s->outcomes, 3);
	assert_int_equal(s->last_err, -ETIMEDOUT);
	assert_int_equal(s->fake->tracked, 3);
}

static void only_so_many_are_waited_for_and_only_so_many_queued(void **state)
{
	struct seen *s = *state;
	unsigned int taken = 0;
	uint64_t id;
	int err;

	until(s, &s->lists, 1);
	while (!(err = ike_bridge_initiate(s->bridge, "conn0", "child", 5000, &id)))
		taken++;
	assert_int_equal(err, -ENOBUFS);
	assert_int_equal(taken, 3 + IKE_QUEUE_MAX); /* half of the 6 idle threads */
	ike_bridge_cancel(s->bridge, id);	    /* the last one has not begun */
	until(s, &s->outcomes, taken - 1);
	assert_int_equal(s->fake->tracked, 3);
	assert_int_equal(s->fake->initiates, taken - 1);
}

static void a_cancelled_one_is_not_told(void **state)
{
	struct seen *s = *state;
	uint64_t first, second;

	until(s, &s->lists, 1);
	s->fake->at = "initiate";
	s->fake->fault = SILENT;
	assert_int_equal(ike_bridge_initiate(s->bridge, "conn0", "child", 5000, &first), 0);
	until(s, &s->fake->initiates, 1);
	ike_bridge_cancel(s->bridge, first);
	assert_int_equal(ike_bridge_initiate(s->bridge, "conn0", "child", 5000, &second), 0);
	until(s, &s->fake->initiates, 2);
	fake_die(s->fake);
	until(s, &s->outcomes, 1);
	until(s, &s->downs, 1);
	assert_int_equal(s->last_id, second);
	assert_int_equal(s->last_err, -ECONNRESET);
	assert_int_equal(s->outcomes, 1);
}

static void a_daemon_that_dies_is_found_again(void **state)
{
	struct seen *s = *state;
	bool current;

	until(s, &s->lists, 1);
	for (unsigned int i = 1; i <= 3; i++) {
		fake_die(s->fake);
		until(s, &s->downs, i);
		assert_false(ike_bridge_up(s->bridge));
		assert_int_equal(count(s, &current), 2);
		assert_false(current);
		fake_listen(s->fake);
		until(s, &s->lists, i + 1);
		assert_int_equal(s->ups, i + 1);
	}
}

/* Each fault at each point of the way up: told in one line, and overcome. */
static void no_fault_of_the_daemon_is_the_end(void **state)
{
	static const char *const at[] = {"version",    "child-updown",	"stats",   "list-conn",
					 "list-conns", "list-policies", "list-sas"};
	static const struct {
		enum fault fault;
		const char *why;
	} faults[] = {
		{HALF_CLOSE, "closed by the daemon"},
		{HUGE_LENGTH, "packet of 1073741824 bytes announced by the daemon"},
		{EMPTY, "packet of 0 bytes announced by the daemon"},
		{GARBAGE, "unknown packet from the daemon (type 9)"},
		{WRONG, "where none was due"},
		{UNBALANCED, "malformed message from the daemon"},
		{GONE, "closed by the daemon"},
	};
	struct seen *s = *state;

	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		for (size_t k = 0; k < sizeof(faults) / sizeof(faults[0]); k++) {
			ike_bridge_free(s->bridge);
			fake_die(s->fake);
			fake_listen(s->fake);
			s->ups = s->downs = s->lists = 0;
			s->fake->at = at[i];
			s->fake->fault = faults[k].fault;
			assert_int_equal(ike_bridge_new(s->fake->path, &ops, s, &s->bridge), 0);
			until(s, &s->downs, 1);
			assert_int_equal(s->lists, 0);
			if (!strstr(s->why, faults[k].why))
				fail_msg("%s, fault %zu: %s", at[i], k, s->why);
			s->fake->at = NULL;
			until(s, &s->lists, 1);
		}
	}
}

static void a_list_that_breaks_off_changes_nothing(void **state)
{
	struct seen *s = *state;
	bool current;

	until(s, &s->lists, 1);
	s->fake->loaded = 5;
	s->fake->at = "list-conns";
	s->fake->fault = GONE;
	ike_bridge_refresh(s->bridge);
	until(s, &s->downs, 1);
	assert_int_equal(count(s, &current), 2);
	assert_false(current);
	assert_int_equal(s->lists, 1);
	s->fake->at = NULL;
	until(s, &s->lists, 2);
	assert_int_equal(count(s, &current), 5);
	assert_true(current);
}

static void a_daemon_without_alert_or_stats_will_do(void **state)
{
	static const char *const at[] = {"alert", "stats", "list-policies", "list-sas", "version"};
	struct seen *s = *state;

	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		fake_die(s->fake);
		fake_listen(s->fake);
		ike_bridge_free(s->bridge);
		s->lists = s->downs = 0;
		s->fake->at = at[i];
		s->fake->fault = UNKNOWN;
		assert_int_equal(ike_bridge_new(s->fake->path, &ops, s, &s->bridge), 0);
		until(s, &s->lists, 1);
		assert_int_equal(s->downs, 0);
	}
}

static void a_daemon_that_is_not_there_is_told_once(void **state)
{
	struct seen *s = *state;
	int64_t end = vici_now() + 1000;

	fake_die(s->fake);
	until(s, &s->downs, 1);
	while (vici_now() < end)
		ike_bridge_dispatch(s->bridge);
	assert_int_equal(s->downs, 1);
	assert_non_null(strstr(s->why, "No such file or directory"));
}

static void what_is_no_uri_is_refused(void **state)
{
	struct ike_bridge *b = NULL;

	(void)state;
	assert_int_equal(ike_bridge_new("tcp://127.0.0.1:4502", &ops, NULL, &b), -EINVAL);
	assert_int_equal(ike_bridge_new("relative/path", &ops, NULL, &b), -EINVAL);
	assert_null(b);
	assert_string_equal(vici_uri_path("unix:///run/charon.vici"), "/run/charon.vici");
	assert_string_equal(vici_uri_path("/run/charon.vici"), "/run/charon.vici");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_comes_up_and_lists),
		TEST(a_flow_finds_its_child_by_reqid_or_by_selectors),
		TEST(a_change_is_told_and_no_change_is_not),
		TEST(an_updown_teaches_the_reqid_and_takes_it_back),
		TEST(an_initiate_ends_with_success_or_the_reason),
		TEST(only_so_many_are_waited_for_and_only_so_many_queued),
		TEST(a_cancelled_one_is_not_told),
		TEST(a_daemon_that_dies_is_found_again),
		TEST(no_fault_of_the_daemon_is_the_end),
		TEST(a_list_that_breaks_off_changes_nothing),
		TEST(a_daemon_without_alert_or_stats_will_do),
		TEST(a_daemon_that_is_not_there_is_told_once),
		cmocka_unit_test(what_is_no_uri_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
