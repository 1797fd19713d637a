// SPDX-License-Identifier: GPL-2.0-only
/* needs: ike-bridge/vici_conn.c ike-bridge/vici_msg.c */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* accept4 */
#endif

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include <cmocka.h>

#include "../../../ike-bridge/vici_conn.h"
#include "fake.h"
#include "frames.h"

/* One connection, and the other end of it in our own hands. */
struct seen {
	struct vici_conn conn;
	struct fake *fake;
	int epfd, peer;
	unsigned int events, dones, closes;
	int err;
	uint64_t arg;
	char why[VICI_WHY_MAX];
	bool reopen, close_in_event;
};

static void on_event(void *ctx, const struct vici_packet *pkt)
{
	struct seen *s = ctx;

	assert_int_equal(pkt->type, VICI_EVENT);
	s->events++;
	if (s->close_in_event)
		vici_conn_close(&s->conn);
}

static void on_closed(void *ctx, const char *why)
{
	struct seen *s = ctx;

	s->closes++;
	strcpy(s->why, why);
	if (s->reopen)
		assert_int_equal(vici_conn_open(&s->conn, s->fake->path, 1000), 0);
}

static void on_done(void *ctx, uint64_t arg, int err, const struct vici_packet *pkt)
{
	struct seen *s = ctx;

	assert_int_equal(!pkt, err && err != -EOPNOTSUPP);
	s->dones++;
	s->arg = arg;
	s->err = err;
}

static const struct vici_conn_ops ops = {on_event, on_closed};

static int setup(void **state)
{
	struct seen *s = calloc(1, sizeof(*s));

	s->fake = fake_new();
	s->epfd = epoll_create1(EPOLL_CLOEXEC);
	vici_conn_init(&s->conn, s->epfd, &ops, s);
	assert_int_equal(vici_conn_open(&s->conn, s->fake->path, 1000), 0);
	s->peer = accept4(s->fake->listener, NULL, NULL, SOCK_CLOEXEC);
	*state = s;
	return s->peer < 0;
}

static int teardown(void **state)
{
	struct seen *s = *state;

	vici_conn_close(&s->conn);
	close(s->peer);
	close(s->epfd);
	fake_free(s->fake);
	free(s);
	return 0;
}

static void ask(struct seen *s, const char *name, unsigned int timeout_ms, uint64_t arg)
{
	assert_int_equal(
		vici_conn_send_name(&s->conn, VICI_CMD_REQUEST, name, timeout_ms, on_done, arg), 0);
	vici_conn_ready(&s->conn);
}

/* What the client has sent and we have not read yet, as a whole number of frames. */
static unsigned int frames_sent(struct seen *s)
{
	uint8_t buf[4096];
	ssize_t n = recv(s->peer, buf, sizeof(buf), MSG_DONTWAIT);
	unsigned int frames = 0;

	for (ssize_t at = 0; at < n; frames++)
		at += 4 + (buf[at + 2] << 8 | buf[at + 3]);
	return frames;
}

static void send_packet(struct seen *s, const void *data, size_t len)
{
	uint8_t hdr[4] = {0, 0, len >> 8, len};

	fake_write(s->peer, hdr, 4);
	fake_write(s->peer, data, len);
}

static void an_answer_may_come_byte_by_byte_and_events_before_it(void **state)
{
	struct seen *s = *state;
	const uint8_t hdr[4] = {0, 0, sizeof(frame_list_conn) >> 8,
				(uint8_t)sizeof(frame_list_conn)};

	ask(s, "list-conns", 1000, 7);
	for (size_t i = 0; i < 4 + sizeof(frame_list_conn); i++) {
		fake_write(s->peer, i < 4 ? &hdr[i] : &frame_list_conn[i - 4], 1);
		vici_conn_ready(&s->conn);
		assert_int_equal(s->events, i == 3 + sizeof(frame_list_conn));
	}
	assert_int_equal(s->dones, 0);
	send_packet(s, "\1", 1);
	vici_conn_ready(&s->conn);
	assert_int_equal(s->dones, 1);
	assert_int_equal(s->arg, 7);
	assert_int_equal(s->err, 0);
	assert_int_equal(s->closes, 0);
}

static void one_operation_is_out_at_a_time(void **state)
{
	struct seen *s = *state;

	for (uint64_t i = 1; i <= 3; i++)
		ask(s, "version", 1000, i);
	assert_int_equal(frames_sent(s), 1);
	assert_true(vici_conn_retract(&s->conn, 2));
	assert_false(vici_conn_retract(&s->conn, 2));
	assert_false(vici_conn_retract(&s->conn, 1));
	send_packet(s, "\2", 1);
	vici_conn_ready(&s->conn);
	assert_int_equal(s->err, -EOPNOTSUPP);
	assert_int_equal(frames_sent(s), 1);
	send_packet(s, "\1", 1);
	vici_conn_ready(&s->conn);
	assert_int_equal(s->arg, 3);
	assert_int_equal(s->dones, 2);
}

static void silence_and_half_packets_have_an_end(void **state)
{
	struct seen *s = *state;

	ask(s, "version", 500, 1);
	ask(s, "stats", 500, 2);
	vici_conn_check(&s->conn, vici_now() + 100);
	assert_int_equal(s->closes, 0);
	assert_true(vici_conn_deadline(&s->conn) <= vici_now() + 500);
	s->reopen = true;
	vici_conn_check(&s->conn, vici_now() + 501);
	assert_int_equal(s->closes, 1);
	assert_string_equal(s->why, "no answer from the daemon to version");
	assert_int_equal(s->dones, 2);
	assert_int_equal(s->err, -ECANCELED); /* the second was not even sent */

	s->reopen = false;
	close(s->peer);
	s->peer = accept4(s->fake->listener, NULL, NULL, SOCK_CLOEXEC);
	fake_write(s->peer, "\0", 1);
	vici_conn_ready(&s->conn);
	vici_conn_check(&s->conn, vici_now() + 60000);
	assert_string_equal(s->why, "the daemon stalled inside a packet");
	assert_int_equal(vici_conn_deadline(&s->conn), INT64_MAX);
}

static void an_answer_to_nothing_closes(void **state)
{
	struct seen *s = *state;

	send_packet(s, "\1", 1);
	vici_conn_ready(&s->conn);
	assert_string_equal(s->why, "packet type 1 from the daemon where none was due");
	assert_int_equal(vici_conn_send_name(&s->conn, VICI_CMD_REQUEST, "version", 0, on_done, 0),
			 -ENOTCONN);
	assert_int_equal(vici_conn_peer(&s->conn), 0);
}

static void a_request_from_the_daemon_closes(void **state)
{
	struct seen *s = *state;

	ask(s, "version", 1000, 1);
	send_packet(s, "\0\7version", 9);
	vici_conn_ready(&s->conn);
	assert_string_equal(s->why, "packet type 0 from the daemon where none was due");
	assert_int_equal(s->err, -ECONNRESET);
}

static void a_peer_that_does_not_read_never_blocks_and_the_queue_is_bounded(void **state)
{
	struct seen *s = *state;
	char value[60000];
	int err = 0;
	unsigned int n = 0;

	memset(value, 'x', sizeof(value));
	value[sizeof(value) - 1] = '\0';
	for (unsigned int i = 0; i < 8 && !err; i++) {
		struct vici_buf b = {};

		vici_frame_begin(&b, VICI_CMD_REQUEST, "load-conn");
		for (unsigned int k = 0; k < 8; k++)
			vici_put_value(&b, "v", value);
		assert_int_equal(vici_frame_end(&b), 0);
		assert_int_equal(vici_conn_send(&s->conn, &b, 0, on_done, 0), 0);
		assert_null(b.data);
		vici_conn_ready(&s->conn);
		n++;
	}
	while (!(err = vici_conn_send_name(&s->conn, VICI_CMD_REQUEST, "x", 0, on_done, 0)))
		n++;
	assert_int_equal(err, -ENOBUFS);
	assert_int_equal(n, VICI_QUEUE_MAX);
	close(s->peer);
	s->peer = -1;
	vici_conn_ready(&s->conn);
	vici_conn_ready(&s->conn);
	assert_int_equal(s->closes, 1);
	assert_int_equal(s->dones, n);
}

static void it_may_be_closed_inside_an_event(void **state)
{
	struct seen *s = *state;

	s->close_in_event = true;
	ask(s, "list-conns", 1000, 1);
	send_packet(s, frame_list_conn, sizeof(frame_list_conn));
	send_packet(s, frame_list_conn, sizeof(frame_list_conn));
	vici_conn_ready(&s->conn);
	assert_int_equal(s->events, 1);
	assert_int_equal(s->dones, 1);
	assert_int_equal(s->closes, 0);
}

static void a_huge_length_is_refused_before_memory_is_asked_for(void **state)
{
	struct seen *s = *state;

	fake_write(s->peer, "\x3f\xff\xff\xff", 4);
	vici_conn_ready(&s->conn);
	assert_non_null(strstr(s->why, "packet of 1073741823 bytes announced"));
	assert_null(s->conn.in);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_answer_may_come_byte_by_byte_and_events_before_it),
		TEST(one_operation_is_out_at_a_time),
		TEST(silence_and_half_packets_have_an_end),
		TEST(an_answer_to_nothing_closes),
		TEST(a_request_from_the_daemon_closes),
		TEST(a_peer_that_does_not_read_never_blocks_and_the_queue_is_bounded),
		TEST(it_may_be_closed_inside_an_event),
		TEST(a_huge_length_is_refused_before_memory_is_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
