// SPDX-License-Identifier: GPL-2.0-only
/* needs: loader/routes_ask.c loader/routes_view.c loader/route_cells.c */
/*
 * VRF devices in what rtnetlink tells, and in the answers. Messages made here: not every machine's
 * kernel has such devices, and those that have are asked in the lab (tests/lab/oracle).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>

#include "routes_ask.h"
#include "routes_view.h"

enum { PORT = 3, OTHER = 4, XFRMI = 5, VRF = 9, BLUE = 10 };

struct message {
	struct nlmsghdr h;
	char room[512];
};

static void start(struct message *m, uint16_t type, const void *body, size_t size)
{
	memset(m, 0, sizeof(*m));
	m->h.nlmsg_type = type;
	m->h.nlmsg_len = (uint32_t)NLMSG_LENGTH(size);
	memcpy(NLMSG_DATA(&m->h), body, size);
}

static struct nlattr *put(struct message *m, uint16_t type, const void *data, size_t size)
{
	struct nlattr *a = (struct nlattr *)((char *)m + NLMSG_ALIGN(m->h.nlmsg_len));

	a->nla_type = type;
	a->nla_len = (uint16_t)(NLA_HDRLEN + size);
	if (size)
		memcpy((char *)a + NLA_HDRLEN, data, size);
	m->h.nlmsg_len = (uint32_t)(NLMSG_ALIGN(m->h.nlmsg_len) + NLA_ALIGN(a->nla_len));
	return a;
}

static void put_u32(struct message *m, uint16_t type, uint32_t value)
{
	put(m, type, &value, sizeof(value));
}

static void end(struct message *m, struct nlattr *nest)
{
	nest->nla_len = (uint16_t)((char *)m + m->h.nlmsg_len - (char *)nest);
}

static void start_link(struct message *m, int ifindex, const char *kind)
{
	struct ifinfomsg info = {.ifi_index = ifindex, .ifi_flags = IFF_UP};
	struct nlattr *nest;

	start(m, RTM_NEWLINK, &info, sizeof(info));
	nest = put(m, IFLA_LINKINFO, NULL, 0);
	put(m, IFLA_INFO_KIND, kind, strlen(kind) + 1);
	end(m, nest);
}

static void add(struct routes_view *view, const struct message *m)
{
	assert_int_equal(routes_view_add(view, &m->h), 0);
}

static void add_vrf(struct routes_view *view, int ifindex, const char *queue, uint32_t queues)
{
	struct message m;

	start_link(&m, ifindex, "vrf");
	if (queue)
		put(&m, IFLA_QDISC, queue, strlen(queue) + 1);
	put_u32(&m, IFLA_NUM_TX_QUEUES, queues);
	add(view, &m);
}

static void add_port(struct routes_view *view, int ifindex, uint32_t master)
{
	struct message m;

	start_link(&m, ifindex, "veth");
	if (master)
		put_u32(&m, IFLA_MASTER, master);
	add(view, &m);
}

static void make_view(struct routes_view *view, const char *queue)
{
	struct in_addr here = {.s_addr = inet_addr("192.0.2.1")};
	struct ifaddrmsg addr = {.ifa_family = AF_INET, .ifa_index = PORT};
	struct message m;

	*view = (struct routes_view){0};
	add_port(view, PORT, VRF);
	add_port(view, OTHER, 0);
	add_vrf(view, VRF, queue, 1);
	start(&m, RTM_NEWADDR, &addr, sizeof(addr));
	put(&m, IFA_LOCAL, &here, sizeof(here));
	add(view, &m);
	assert_int_equal(routes_view_finish(view), 0);
}

/* What comes of the kernel's answer to a socket bound to `oif`. */
static struct route_value answer(const struct routes_view *view, uint8_t family, uint32_t oif,
				 uint32_t device, uint8_t type)
{
	struct rtmsg info = {.rtm_family = family, .rtm_table = 100, .rtm_type = type};
	struct cell cell = {.prefix = {.addr = (unsigned __int128)0x20 << 120, .len = 8}};
	struct in6_addr source = {{{0x20, 1, 0xd, 0xb8, [15] = 1}}};
	struct route_value out = {.unknown = 1};
	struct route_ask ask = {
		.view = view, .cell = &cell, .answer = &out, .family = family, .oif = oif};
	struct message m;

	cell.probe = cell.prefix.addr;
	if (family == AF_INET)
		((struct in_addr *)&source)->s_addr = inet_addr("192.0.2.1");
	route_ask_start(&ask);
	start(&m, RTM_NEWROUTE, &info, sizeof(info));
	put_u32(&m, RTA_OIF, device);
	put(&m, RTA_PREFSRC, &source, family == AF_INET ? 4 : 16);
	for (int i = 0; i < 3 && ask.step != STEP_DONE; i++)
		route_ask_reply(&ask, &m.h);
	assert_int_equal(ask.step, STEP_DONE);
	return out;
}

static void a_port_belongs_to_its_vrf_and_a_bridge_is_none(void **state)
{
	struct routes_view view;
	struct message m;

	(void)state;
	make_view(&view, "noqueue");
	start_link(&m, BLUE, "bridge");
	add(&view, &m);
	add_port(&view, XFRMI, BLUE);
	assert_int_equal(view.vrfs, VRF_AGAIN);
	assert_int_equal(routes_view_vrf(&view, PORT)->ifindex, VRF);
	assert_int_equal(routes_view_vrf(&view, VRF)->ifindex, VRF);
	assert_null(routes_view_vrf(&view, OTHER));
	assert_null(routes_view_vrf(&view, XFRMI));
	assert_null(routes_view_vrf(&view, 77));
	routes_view_clear(&view);
}

/* qdisc_tx_is_default(): none of its own, and one queue. */
static void a_vrf_with_a_queue_is_known_by_it(void **state)
{
	static const struct {
		const char *queue;
		uint32_t queues;
		bool looks;
	} rows[] = {
		{"noqueue", 1, false}, {"pfifo", 1, true}, {"noqueue", 2, true}, {NULL, 1, true}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct routes_view view = {0};

		add_vrf(&view, VRF, rows[i].queue, rows[i].queues);
		assert_int_equal(view.vrfs, VRF_AGAIN | (rows[i].looks ? VRF_QUEUE : 0));
		routes_view_clear(&view);
	}
}

static void an_ipv4_socket_in_a_vrf_has_the_routed_device_in_its_flow(void **state)
{
	struct routes_view view;
	struct route_value v;

	(void)state;
	make_view(&view, "noqueue");
	v = answer(&view, AF_INET, VRF, PORT, RTN_UNICAST);
	assert_int_equal(v.oif, PORT);
	assert_int_equal(v.vrf, VRF);
	assert_int_equal(v.vrf_flags, VRF_BOUND);
	v = answer(&view, AF_INET, PORT, VRF, RTN_LOCAL);
	assert_int_equal(v.vrf, VRF);
	assert_int_equal(v.link, VRF);
	assert_int_equal(v.vrf_flags, VRF_AGAIN | VRF_OWN);
	v = answer(&view, AF_INET, 0, VRF, RTN_UNICAST);
	assert_int_equal(v.vrf_flags, VRF_AGAIN);
	v = answer(&view, AF_INET, VRF, OTHER, RTN_UNICAST);
	assert_false(v.unknown);
	assert_int_equal(v.vrf, 0);
	v = answer(&view, AF_INET, 0, OTHER, RTN_UNICAST);
	assert_int_equal(v.vrf_flags | v.vrf, 0);
	routes_view_clear(&view);
}

static void an_ipv6_socket_has_the_vrf_of_what_it_is_bound_to(void **state)
{
	struct routes_view view;
	struct route_value v;

	(void)state;
	make_view(&view, "noqueue");
	v = answer(&view, AF_INET6, PORT, PORT, RTN_UNICAST);
	assert_int_equal(v.vrf, VRF);
	assert_int_equal(v.vrf_flags, 0);
	v = answer(&view, AF_INET6, VRF, PORT, RTN_UNICAST);
	assert_int_equal(v.vrf, 0);
	assert_int_equal(v.vrf_flags, VRF_BOUND);
	v = answer(&view, AF_INET6, 0, PORT, RTN_UNICAST);
	assert_int_equal(v.vrf, 0);
	assert_false(v.unknown);
	/* out of the VRF: the source is the kernel's version's */
	v = answer(&view, AF_INET6, VRF, OTHER, RTN_UNICAST);
	assert_false(v.unknown);
	assert_int_equal(v.oif, OTHER);
	assert_int_equal(v.saddr[0], 0);
	assert_int_equal(v.vrf_flags, VRF_BOUND | VRF_LEFT);
	assert_int_equal(answer(&view, AF_INET6, PORT, OTHER, RTN_UNICAST).vrf_flags, VRF_LEFT);
	routes_view_clear(&view);
}

static void a_queue_is_told_for_all_that_is_sent_in_the_vrf(void **state)
{
	struct routes_view view;

	(void)state;
	make_view(&view, "pfifo");
	assert_int_equal(answer(&view, AF_INET, 0, PORT, RTN_UNICAST).vrf_flags, VRF_QUEUE);
	assert_int_equal(answer(&view, AF_INET, 0, PORT, RTN_UNICAST).link, VRF);
	assert_int_equal(answer(&view, AF_INET6, 0, PORT, RTN_UNICAST).vrf_flags, VRF_QUEUE);
	assert_int_equal(answer(&view, AF_INET, 0, OTHER, RTN_UNICAST).vrf_flags, 0);
	routes_view_clear(&view);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_port_belongs_to_its_vrf_and_a_bridge_is_none),
		cmocka_unit_test(a_vrf_with_a_queue_is_known_by_it),
		cmocka_unit_test(an_ipv4_socket_in_a_vrf_has_the_routed_device_in_its_flow),
		cmocka_unit_test(an_ipv6_socket_has_the_vrf_of_what_it_is_bound_to),
		cmocka_unit_test(a_queue_is_told_for_all_that_is_sent_in_the_vrf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
