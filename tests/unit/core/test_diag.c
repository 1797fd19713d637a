// SPDX-License-Identifier: GPL-2.0-only
/* Messages of inet_diag: what is read of them, and that a short one is not. */
/* needs: loader/diag.c loader/netns.c loader/error.c loader/log.c */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netlink/msg.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "diag.h"

/* A message with these addresses, a mark and a cgroup, at its exact size: ASan sees one byte more.
 */
static struct nlmsghdr *message(int family, const char *src, const char *dst)
{
	struct nl_msg *msg = nlmsg_alloc_simple(SOCK_DIAG_BY_FAMILY, 0);
	struct inet_diag_msg m = {.idiag_family = (__u8)family};
	uint64_t cgroup = 0x1122334455;
	uint32_t mark = 7;
	struct nlmsghdr *h;

	m.id.idiag_sport = htons(1000);
	m.id.idiag_dport = htons(80);
	m.id.idiag_if = 3;
	assert_int_equal(inet_pton(family, src, m.id.idiag_src), 1);
	assert_int_equal(inet_pton(family, dst, m.id.idiag_dst), 1);
	nlmsg_append(msg, &m, sizeof(m), NLMSG_ALIGNTO);
	nla_put(msg, INET_DIAG_MARK, sizeof(mark), &mark);
	nla_put(msg, INET_DIAG_CGROUP_ID, sizeof(cgroup), &cgroup);
	h = malloc(nlmsg_hdr(msg)->nlmsg_len);
	memcpy(h, nlmsg_hdr(msg), nlmsg_hdr(msg)->nlmsg_len);
	nlmsg_free(msg);
	return h;
}

static void a_socket_is_the_flow_that_its_packets_are(void **unused)
{
	static const struct {
		int family, of;
		const char *src, *dst, *flow_src, *flow_dst;
	} rows[] = {
		{AF_INET, AF_INET, "192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.2"},
		{AF_INET6, AF_INET6, "2001:db8::1", "2001:db8::2", "2001:db8::1", "2001:db8::2"},
		{AF_INET6, AF_INET, "::ffff:192.0.2.1", "::ffff:192.0.2.2", "192.0.2.1",
		 "192.0.2.2"},
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct nlmsghdr *h = message(rows[i].family, rows[i].src, rows[i].dst);
		__be32 saddr[4] = {}, daddr[4] = {};
		struct diag_socket s;

		assert_int_equal(diag_parse(h, IPPROTO_TCP, &s), 0);
		inet_pton(rows[i].of, rows[i].flow_src, saddr);
		inet_pton(rows[i].of, rows[i].flow_dst, daddr);
		assert_int_equal(s.family, rows[i].family);
		assert_int_equal(s.cgroup_id, 0x1122334455);
		assert_int_equal(s.flow.family, rows[i].of);
		assert_memory_equal(s.flow.saddr, saddr, sizeof(saddr));
		assert_memory_equal(s.flow.daddr, daddr, sizeof(daddr));
		assert_int_equal(s.flow.has_saddr, KNOWN_BOUND);
		assert_int_equal(s.flow.sport, htons(1000));
		assert_int_equal(s.flow.dport, htons(80));
		assert_int_equal(s.flow.proto, IPPROTO_TCP);
		assert_int_equal(s.flow.mark, 7);
		assert_int_equal(s.flow.oif, 3);
		assert_int_equal(s.flow.has_oif, KNOWN_BOUND);
		free(h);
	}
}

static void a_message_cut_short_is_no_socket(void **unused)
{
	struct nlmsghdr *whole = message(AF_INET, "192.0.2.1", "192.0.2.2");
	struct diag_socket before, s;

	(void)unused;
	memset(&before, 0xaa, sizeof(before));
	s = before;
	for (size_t len = sizeof(*whole); len < whole->nlmsg_len; len++) {
		struct nlmsghdr *cut = malloc(len);

		memcpy(cut, whole, len);
		cut->nlmsg_len = (__u32)len;
		assert_true(diag_parse(cut, IPPROTO_TCP, &s) < 0);
		assert_memory_equal(&s, &before, sizeof(s));
		free(cut);
	}
	free(whole);
}

static void what_is_not_connected_or_of_no_cgroup_is_left_out(void **unused)
{
	struct nlmsghdr *h = message(AF_INET, "192.0.2.1", "192.0.2.2");
	struct inet_diag_msg *m = NLMSG_DATA(h);
	struct diag_socket s;

	(void)unused;
	m->id.idiag_dport = 0;
	assert_int_equal(diag_parse(h, IPPROTO_UDP, &s), -ENODATA);
	m->id.idiag_dport = htons(80);
	nlmsg_find_attr(h, sizeof(*m), INET_DIAG_CGROUP_ID)->nla_type = INET_DIAG_PAD;
	assert_int_equal(diag_parse(h, IPPROTO_UDP, &s), -ENODATA);
	m->idiag_family = AF_UNIX;
	assert_int_equal(diag_parse(h, IPPROTO_UDP, &s), -EBADMSG);
	m->idiag_family = AF_INET;
	h->nlmsg_type = NLMSG_DONE;
	assert_int_equal(diag_parse(h, IPPROTO_UDP, &s), -EBADMSG);
	free(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_socket_is_the_flow_that_its_packets_are),
		cmocka_unit_test(a_message_cut_short_is_no_socket),
		cmocka_unit_test(what_is_not_connected_or_of_no_cgroup_is_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
