// SPDX-License-Identifier: GPL-2.0-only
/* needs: ike-bridge/ike_arena.c ike-bridge/ike_conn.c ike-bridge/ike_find.c */
/* needs: ike-bridge/ike_list.c ike-bridge/ike_reason.c ike-bridge/ts.c */
/* needs: ike-bridge/ts_parse.c ike-bridge/vici_msg.c */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../../ike-bridge/ike_find.h"
#include "../../../ike-bridge/ike_list.h"
#include "../../../ike-bridge/ike_reason.h"
#include "frames.h"

static struct vici_str str(const char *s)
{
	return (struct vici_str){s, strlen(s)};
}

static void put_ts(struct vici_buf *b, const char *name, const char *ts)
{
	vici_put_list(b, name);
	vici_put_item(b, ts);
	vici_put_list_end(b);
}

/* A list-conn message of one child. */
static void message(struct vici_buf *b, const char *conn, const char *remote_addr,
		    const char *local_ts, const char *remote_ts)
{
	vici_frame_begin(b, VICI_CMD_RESPONSE, NULL);
	vici_put_section(b, conn);
	put_ts(b, "local_addrs", "%any");
	put_ts(b, "remote_addrs", remote_addr);
	vici_put_section(b, "children");
	vici_put_section(b, "c");
	vici_put_value(b, "mode", "TUNNEL");
	put_ts(b, "local-ts", local_ts);
	put_ts(b, "remote-ts", remote_ts);
	vici_put_section_end(b);
	vici_put_section_end(b);
	vici_put_section_end(b);
	assert_int_equal(vici_frame_end(b), 0);
}

static int add_from(struct ike_build *build, const struct ike_list *old, const char *conn,
		    const char *remote_addr, const char *local_ts, const char *remote_ts)
{
	struct vici_buf b = {};
	int err;

	message(&b, conn, remote_addr, local_ts, remote_ts);
	err = ike_build_add(build, old, b.data + 5, b.len - 5, NULL);
	vici_buf_free(&b);
	return err;
}

static int add(struct ike_build *build, const struct ike_list *old, const char *conn,
	       const char *remote_addr, const char *remote_ts)
{
	return add_from(build, old, conn, remote_addr, "dynamic", remote_ts);
}

static void a_list_conn_of_a_real_charon_is_read(void **state)
{
	struct vici_packet pkt;
	struct ike_conn *conn;

	(void)state;
	assert_int_equal(vici_packet_parse(frame_list_conn, sizeof(frame_list_conn), &pkt), 0);
	assert_int_equal(ike_conn_parse(pkt.msg, pkt.msg_len, NULL, &conn), 0);
	assert_int_equal(conn->n, 3);
	assert_string_equal(conn->children[0].conn, "ok");
	assert_string_equal(conn->children[0].name, "net");
	assert_int_equal(conn->children[0].mode, IKE_TRANSPORT);
	assert_true(conn->children[0].remote[0].dynamic);
	assert_string_equal(conn->children[0].remote_addrs[0], "192.0.2.2");
	assert_string_equal(conn->children[1].name, "web");
	assert_int_equal(conn->children[1].mode, IKE_TUNNEL);
	assert_int_equal(conn->children[1].nlocal, 3);
	assert_int_equal(conn->children[1].nremote, 7);
	assert_int_equal(conn->children[1].left_out, 0);
	assert_true(conn->children[1].remote[0].vague); /* http, without names */
	assert_int_equal(conn->children[2].mode, IKE_PASS);
	ike_conn_unref(conn);
}

static void every_cut_or_mutated_message_is_refused_or_read(void **state)
{
	uint32_t seed = 42;
	struct vici_packet pkt;
	struct ike_conn *conn;

	(void)state;
	assert_int_equal(vici_packet_parse(frame_list_conn, sizeof(frame_list_conn), &pkt), 0);
	for (size_t len = 0; len < pkt.msg_len; len++)
		assert_int_equal(ike_conn_parse(pkt.msg, len, NULL, &conn), -EBADMSG);
	for (unsigned int i = 0; i < 5000; i++) {
		uint8_t *copy = malloc(pkt.msg_len);

		memcpy(copy, pkt.msg, pkt.msg_len);
		for (unsigned int k = 0; k <= i % 3; k++) {
			seed = seed * 1664525 + 1013904223;
			copy[(seed >> 8) % pkt.msg_len] = seed >> 24;
		}
		if (!ike_conn_parse(copy, pkt.msg_len, NULL, &conn))
			ike_conn_unref(conn);
		free(copy);
	}
}

static void an_unchanged_list_is_noticed_and_shared(void **state)
{
	struct ike_list list = {};
	struct ike_build build = {};
	struct ike_conn *kept;

	(void)state;
	assert_int_equal(add(&build, &list, "a", "192.0.2.1", "dynamic"), 0);
	assert_int_equal(add(&build, &list, "b", "192.0.2.2", "dynamic"), 0);
	assert_int_equal(ike_list_take(&list, &build), 1);
	kept = list.conns[1];
	assert_int_equal(add(&build, &list, "a", "192.0.2.1", "dynamic"), 0);
	assert_int_equal(add(&build, &list, "b", "192.0.2.2", "dynamic"), 0);
	assert_int_equal(ike_list_take(&list, &build), 0);

	ike_list_learn(&list, 1, 9);
	list.children[1].installed = true;
	assert_int_equal(add(&build, &list, "b", "192.0.2.2", "dynamic"), 0);
	assert_int_equal(ike_list_take(&list, &build), 1);
	assert_ptr_equal(list.conns[0], kept);
	assert_int_equal(list.n, 1);
	assert_int_equal(list.children[0].reqid, 9);
	assert_true(list.children[0].installed);
	assert_int_equal(ike_list_by_reqid(&list, 9), 0);
	assert_int_equal(ike_list_lookup(&list, str("a"), str("c")), -1);
	assert_int_equal(ike_list_take(&list, &build), 1); /* and now there are none */
	assert_int_equal(list.n, 0);
	ike_list_free(&list);
}

static void a_reqid_belongs_to_one_child_and_a_trap_keeps_it(void **state)
{
	struct ike_list list = {};
	struct ike_build build = {};

	(void)state;
	add(&build, &list, "a", "192.0.2.1", "dynamic");
	add(&build, &list, "b", "192.0.2.2", "dynamic");
	ike_list_take(&list, &build);
	assert_true(ike_list_learn(&list, 0, 5));
	assert_false(ike_list_learn(&list, 0, 5));
	assert_true(ike_list_learn(&list, 1, 5));
	assert_int_equal(list.children[0].reqid, 0);
	assert_int_equal(ike_list_by_reqid(&list, 5), 1);
	list.children[1].installed = true;
	assert_false(ike_list_unlearn(&list, 1, 5));
	list.children[1].installed = false;
	assert_true(ike_list_unlearn(&list, 1, 5));
	assert_int_equal(ike_list_by_reqid(&list, 5), -1);
	assert_false(ike_list_learn(&list, 0, 0));
	ike_list_free(&list);
}

static void too_many_children_are_refused(void **state)
{
	struct ike_list list = {};
	struct ike_build build = {};
	int err = 0;
	size_t n = 0;

	(void)state;
	while (!(err = add(&build, &list, "a", "192.0.2.1", "dynamic")))
		n++;
	assert_int_equal(err, -E2BIG);
	assert_true(n <= IKE_CHILDREN_MAX && build.memory <= IKE_MEMORY_MAX);
	assert_true(n > 10000);
	ike_build_free(&build);
}

static void too_many_selectors_are_counted(void **state)
{
	struct vici_buf b = {};
	struct ike_conn *conn;

	(void)state;
	vici_frame_begin(&b, VICI_CMD_RESPONSE, NULL);
	vici_put_section(&b, "a");
	vici_put_section(&b, "children");
	vici_put_section(&b, "c");
	vici_put_list(&b, "remote-ts");
	for (int i = 0; i < IKE_TS_MAX + 3; i++)
		vici_put_item(&b, "10.0.0.0/8");
	vici_put_list_end(&b);
	vici_put_section_end(&b);
	vici_put_section(&b, "control\nname");
	vici_put_section_end(&b);
	vici_put_section_end(&b);
	vici_put_section_end(&b);
	assert_int_equal(vici_frame_end(&b), 0);
	assert_int_equal(ike_conn_parse(b.data + 5, b.len - 5, NULL, &conn), 0);
	assert_int_equal(conn->n, 1);
	assert_int_equal(conn->children[0].nremote, IKE_TS_MAX);
	assert_int_equal(conn->children[0].left_out, 3);
	ike_conn_unref(conn);
	vici_buf_free(&b);
}

static void the_most_specific_child_is_found(void **state)
{
	static const struct {
		const char *dst;
		uint8_t proto;
		uint16_t port;
		const char *conn;
	} rows[] = {
		{"10.1.2.3", 6, 80, "tcp80"},	{"10.1.2.3", 6, 81, "tcp"},
		{"10.1.2.3", 17, 80, "wide"},	{"10.1.2.3", 0, 0, "tcp80"},
		{"10.1.9.9", 6, 80, "wide"},	{"192.0.2.7", 6, 1, "peer"},
		{"192.0.2.8", 6, 1, "range"},	{"203.0.113.1", 6, 1, "named"},
		{"2001:db8::1", 6, 1, "named"},
	};
	struct ike_list list = {};
	struct ike_build build = {};

	(void)state;
	add(&build, &list, "wide", "198.51.100.1", "10.1.0.0/16");
	add(&build, &list, "tcp", "198.51.100.1", "10.1.2.0/24[tcp]");
	add(&build, &list, "tcp80", "198.51.100.1", "10.1.2.0/24[tcp/80]");
	add(&build, &list, "range", "192.0.2.0/24", "dynamic");
	add(&build, &list, "peer", "192.0.2.7", "dynamic");
	add(&build, &list, "named", "peer.example.com", "dynamic");
	ike_list_take(&list, &build);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ike_flow flow = {.proto = rows[i].proto, .dport = rows[i].port};
		const struct ike_child *c;

		flow.family = strchr(rows[i].dst, ':') ? AF_INET6 : AF_INET;
		inet_pton(flow.family, rows[i].dst, flow.daddr);
		c = ike_find(&list, &flow);
		if (!c || strcmp(c->conn, rows[i].conn))
			fail_msg("%s: %s, not %s", rows[i].dst, c ? c->conn : "-", rows[i].conn);
	}
	ike_list_free(&list);

	/* two that only a resolver could tell apart: neither */
	add(&build, &list, "one", "one.example.com", "dynamic");
	add(&build, &list, "two", "two.example.com", "dynamic");
	ike_list_take(&list, &build);
	assert_null(ike_find(&list, &(struct ike_flow){.family = AF_INET, .proto = 6}));
	ike_list_free(&list);
}

static void the_remote_side_counts_before_the_local_one(void **state)
{
	struct ike_flow flow = {.family = AF_INET,
				.has_saddr = true,
				.saddr = {192, 0, 2, 1},
				.daddr = {10, 1, 2, 3}};
	struct ike_list list = {};
	struct ike_build build = {};

	(void)state;
	add_from(&build, &list, "own", "198.51.100.1", "192.0.2.1/32", "10.0.0.0/8");
	add_from(&build, &list, "peer", "198.51.100.1", "0.0.0.0/0", "10.1.2.0/24");
	add_from(&build, &list, "both", "198.51.100.1", "192.0.2.0/24", "10.1.2.0/24");
	ike_list_take(&list, &build);
	assert_string_equal(ike_find(&list, &flow)->conn, "both");
	flow.saddr[2] = 9;
	assert_string_equal(ike_find(&list, &flow)->conn, "peer");
	flow.saddr[2] = 2;
	flow.daddr[2] = 9;
	assert_string_equal(ike_find(&list, &flow)->conn, "own");
	ike_list_free(&list);
	add_from(&build, &list, "own", "198.51.100.1", "192.0.2.1/32", "10.0.0.0/8");
	add_from(&build, &list, "peer", "198.51.100.1", "0.0.0.0/0", "10.1.2.0/24");
	ike_list_take(&list, &build);
	flow.daddr[2] = 2;
	assert_string_equal(ike_find(&list, &flow)->conn, "peer");
	ike_list_free(&list);
}

/* xfrm has ICMP's type and code as two ports, selectors have them as one, on either side. */
static void an_icmp_flow_is_found_by_type_and_code(void **state)
{
	struct ike_flow flow = {.family = AF_INET, .proto = 1, .daddr = {10, 1, 2, 3}, .sport = 8};
	struct ike_list list = {};
	struct ike_build build = {};

	(void)state;
	add(&build, &list, "echo", "198.51.100.1", "10.1.0.0/16[icmp/8]");
	add(&build, &list, "frag", "198.51.100.1", "10.1.0.0/16[icmp/3(4)]");
	ike_list_take(&list, &build);
	assert_string_equal(ike_find(&list, &flow)->conn, "echo");
	flow.sport = 3;
	flow.dport = 4;
	assert_string_equal(ike_find(&list, &flow)->conn, "frag");
	flow.dport = 5;
	assert_null(ike_find(&list, &flow));
	ike_list_free(&list);
}

/* Lines of charon 5.9.8, in the order in which it logged them. */
static void the_line_that_says_why_is_picked(void **state)
{
	static const struct {
		const char *lines[6];
		const char *text;
		int err;
	} rows[] = {
		{{"initiating IKE_SA badpsk[1] to 192.0.2.2",
		  "authentication of 'bada' (myself) with pre-shared key",
		  "received AUTHENTICATION_FAILED notify error"},
		 "received AUTHENTICATION_FAILED notify error",
		 -EKEYREJECTED},
		{{"received NO_PROPOSAL_CHOSEN notify, no CHILD_SA built",
		  "failed to establish CHILD_SA, keeping IKE_SA"},
		 "received NO_PROPOSAL_CHOSEN notify, no CHILD_SA built",
		 -EPROTO},
		{{"received TS_UNACCEPTABLE notify, no CHILD_SA built"},
		 "received TS_UNACCEPTABLE notify, no CHILD_SA built",
		 -EPROTO},
		{{"no shared key found for 'nk' - 'nobody'"},
		 "no shared key found for 'nk' - 'nobody'",
		 -ENOKEY},
		{{"unable to determine source address, faking NAT situation",
		  "retransmit 1 of request with message ID 0", "giving up after 2 retransmits",
		  "establishing IKE_SA failed, peer not responding"},
		 "establishing IKE_SA failed, peer not responding",
		 -EHOSTUNREACH},
		{{"retransmit 1 of request with message ID 0",
		  "retransmit 2 of request with message ID 0"},
		 "retransmit 2 of request with message ID 0",
		 -EHOSTUNREACH},
		{{"unable to resolve %any, initiate aborted"},
		 "unable to resolve %any, initiate aborted",
		 -EDESTADDRREQ},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ike_reason r = {};
		char out[2 * IKE_TEXT_MAX], want[2 * IKE_TEXT_MAX];

		for (size_t k = 0; k < 6 && rows[i].lines[k]; k++)
			ike_reason_note(&r, str(rows[i].lines[k]));
		snprintf(want, sizeof(want), "failed: %s", rows[i].text);
		assert_int_equal(ike_reason_tell(&r, str("failed"), out, sizeof(out)), rows[i].err);
		assert_string_equal(out, want);
	}
}

static void texts_of_the_daemon_are_made_printable(void **state)
{
	char out[8];

	(void)state;
	ike_text_copy(out, sizeof(out), str("a\n\033[\377\177 long"));
	assert_string_equal(out, "a??[?? ");
	assert_string_equal(ike_alert_text("ts-mismatch"), "no traffic selector in common");
	assert_string_equal(ike_alert_text("new-kind"), "new-kind");
}

/* As many as a list may have, in the worst order: a move of all for each would not end here. */
static void a_daemon_with_very_many_reqids_is_followed(void **state)
{
	enum { MANY = 4 * IKE_CHILDREN_MAX };
	struct ike_build build = {};
	struct ike_list list = {};

	(void)state;
	assert_int_equal(add(&build, &list, "a", "192.0.2.1", "10.0.0.0/8"), 0);
	assert_int_equal(add(&build, &list, "b", "192.0.2.2", "10.0.0.0/8"), 0);
	assert_int_equal(ike_list_take(&list, &build), 1);
	for (uint32_t i = MANY; i; i--)
		ike_list_learn(&list, i % 2, i);
	assert_false(ike_list_learn(&list, 0, MANY + 1)); /* there is no room */
	assert_int_equal(ike_list_by_reqid(&list, MANY + 1), -1);
	for (uint32_t i = 1; i <= MANY; i++)
		assert_int_equal(ike_list_by_reqid(&list, i), i % 2);
	for (uint32_t i = 1; i <= MANY; i += 2)
		ike_list_unlearn(&list, 1, i);
	assert_int_equal(ike_list_by_reqid(&list, 1), -1);
	/* another list of the same children keeps the rest */
	assert_int_equal(add(&build, &list, "c", "192.0.2.3", "10.0.0.0/8"), 0);
	assert_int_equal(add(&build, &list, "a", "192.0.2.1", "10.0.0.0/8"), 0);
	assert_int_equal(ike_list_take(&list, &build), 1);
	for (uint32_t i = 2; i <= MANY; i += 2)
		assert_int_equal(ike_list_by_reqid(&list, i), 1);
	ike_list_forget(&list);
	assert_int_equal(ike_list_by_reqid(&list, 2), -1);
	ike_list_free(&list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_conn_of_a_real_charon_is_read),
		cmocka_unit_test(every_cut_or_mutated_message_is_refused_or_read),
		cmocka_unit_test(an_unchanged_list_is_noticed_and_shared),
		cmocka_unit_test(a_reqid_belongs_to_one_child_and_a_trap_keeps_it),
		cmocka_unit_test(too_many_children_are_refused),
		cmocka_unit_test(too_many_selectors_are_counted),
		cmocka_unit_test(the_most_specific_child_is_found),
		cmocka_unit_test(the_remote_side_counts_before_the_local_one),
		cmocka_unit_test(an_icmp_flow_is_found_by_type_and_code),
		cmocka_unit_test(the_line_that_says_why_is_picked),
		cmocka_unit_test(texts_of_the_daemon_are_made_printable),
		cmocka_unit_test(a_daemon_with_very_many_reqids_is_followed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
