// SPDX-License-Identifier: GPL-2.0-only
/* Requirements out of loaded children, in the policy table. */
/* needs: loader/requirements.c loader/requirements_ike.c */
/* needs: loader/spd.c loader/spd_group.c loader/spd_image.c loader/spd_masks.c */
/* needs: loader/mirror_store.c loader/xfrm_msg.c loader/error.c loader/log.c loader/units.c */
/* needs: loader/json_util.c ike-bridge/ts.c ike-bridge/ts_parse.c */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "requirements.h"

static struct space_state state;
static struct requirements *reqs;
static struct spd *spd;

static int put(void *ctx, __u32 space, enum map_id map, const void *key, const void *value)
{
	(void)ctx, (void)space, (void)map, (void)key, (void)value;
	return 0;
}

static int del(void *ctx, __u32 space, enum map_id map, const void *key)
{
	(void)ctx, (void)space, (void)map, (void)key;
	return 0;
}

static struct space_state *get_state(void *ctx, __u32 space)
{
	(void)ctx, (void)space;
	return &state;
}

static const struct map_sink sink = {.put = put, .del = del, .state = get_state};

/* The maps of an earlier daemon: this test adopts nothing. */
int bpf_spd_each(const struct bpf *b,
		 int (*each)(void *ctx, const struct spd_key *, const struct spd_value *),
		 void *ctx)
{
	(void)b, (void)each, (void)ctx;
	return 0;
}

static int setup(void **unused)
{
	(void)unused;
	spd = spd_new(0, &sink);
	return requirements_new(spd, &reqs);
}

static int teardown(void **unused)
{
	(void)unused;
	requirements_free(reqs);
	spd_free(spd);
	return 0;
}

struct child {
	struct ike_child c;
	struct ts local, remote;
	const char *local_addr[1], *remote_addr[1];
};

static void make(struct child *k, enum ike_mode mode, const char *local, const char *remote,
		 const char *remote_addr)
{
	memset(k, 0, sizeof(*k));
	assert_int_equal(ts_parse(local, strlen(local), NULL, &k->local), 0);
	assert_int_equal(ts_parse(remote, strlen(remote), NULL, &k->remote), 0);
	k->local_addr[0] = "192.0.2.1";
	k->remote_addr[0] = remote_addr;
	k->c = (struct ike_child){
		.conn = "conn",
		.name = "child",
		.mode = mode,
		.local = &k->local,
		.nlocal = 1,
		.remote = &k->remote,
		.nremote = 1,
		.local_addrs = k->local_addr,
		.nlocal_addrs = 1,
		.remote_addrs = k->remote_addr,
		.nremote_addrs = 1,
	};
}

static int from(struct child *k)
{
	return requirements_from_ike(reqs, &k->c, k ? 1 : 0, false);
}

static json_t *first(void)
{
	json_t *list = requirements_to_json(reqs, "host"), *one;

	one = json_incref(json_array_get(list, 0));
	json_decref(list);
	return one;
}

static void test_dynamic_selectors_are_the_connection_s_addresses(void **unused)
{
	struct child k;
	json_t *o;

	(void)unused;
	make(&k, IKE_TRANSPORT, "dynamic", "dynamic[tcp/80]", "192.0.2.2");
	assert_int_equal(from(&k), 1);
	o = first();
	assert_string_equal(json_string_value(json_object_get(o, "to")), "192.0.2.2/32");
	assert_string_equal(json_string_value(json_object_get(o, "from")), "192.0.2.1/32");
	assert_string_equal(json_string_value(json_object_get(o, "proto")), "tcp");
	assert_int_equal(json_integer_value(json_object_get(o, "port")), 80);
	assert_string_equal(json_string_value(json_object_get(o, "child")), "conn/child");
	json_decref(o);
	/* a peer that nobody knows before it comes requires nothing */
	make(&k, IKE_TRANSPORT, "dynamic", "dynamic", "%any");
	assert_int_equal(from(&k), 0);
}

static void test_ranges_become_prefixes_and_port_masks(void **unused)
{
	struct child k;

	(void)unused;
	make(&k, IKE_TUNNEL, "10.0.0.0/24", "10.1.0.0..10.1.0.5[udp/1024-1027]", "192.0.2.2");
	assert_int_equal(from(&k), 2); /* .0/30 and .4/31, one port mask */
	make(&k, IKE_TUNNEL, "10.0.0.0/24", "2001:db8::/32", "192.0.2.2");
	assert_int_equal(from(&k), 0); /* families that do not meet */
}

static void test_too_many_selectors_are_required_from_anywhere(void **unused)
{
	struct child k;
	json_t *o;

	(void)unused;
	make(&k, IKE_TUNNEL, "10.0.0.1..10.255.255.254[tcp/1-65534]",
	     "11.0.0.1..11.255.255.254[tcp/1-65534]", "192.0.2.2");
	assert_in_range(from(&k), 1, 60);
	o = first();
	assert_true(json_is_null(json_object_get(o, "from")));
	assert_true(json_is_null(json_object_get(o, "port")));
	json_decref(o);
}

static void test_pass_is_an_exemption_and_drop_is_nothing(void **unused)
{
	const struct policy_info *p;
	struct child k;

	(void)unused;
	make(&k, IKE_PASS, "0.0.0.0/0", "10.0.0.0/8", "%any");
	assert_int_equal(from(&k), 1);
	p = spd_find(spd, CLASS_REQUIRE, 1);
	assert_int_equal(p->action, XFRM_POLICY_ALLOW);
	make(&k, IKE_DROP, "0.0.0.0/0", "10.0.0.0/8", "%any");
	assert_int_equal(from(&k), 0);
}

static void test_more_specific_requirements_are_asked_first(void **unused)
{
	struct child wide, narrow;
	struct ike_child both[2];

	(void)unused;
	make(&wide, IKE_TUNNEL, "0.0.0.0/0", "0.0.0.0/0", "192.0.2.2");
	make(&narrow, IKE_PASS, "0.0.0.0/0", "10.0.0.0/8", "%any");
	both[0] = wide.c;
	both[1] = narrow.c;
	assert_int_equal(requirements_from_ike(reqs, both, 2, false), 2);
	assert_true(spd_find(spd, CLASS_REQUIRE, 2)->priority <
		    spd_find(spd, CLASS_REQUIRE, 1)->priority);
}

static void test_what_stands_keeps_its_index_and_the_rest_goes(void **unused)
{
	struct child k;

	(void)unused;
	make(&k, IKE_TUNNEL, "10.0.0.0/24", "10.1.0.0/24", "192.0.2.2");
	from(&k);
	from(&k);
	assert_non_null(requirements_find(reqs, 1));
	assert_int_equal(requirements_count(reqs), 1);
	assert_int_equal(requirements_from_ike(reqs, NULL, 0, true), 1); /* lingers */
	requirements_expire(reqs);
	assert_int_equal(requirements_count(reqs), 1);
	assert_int_equal(requirements_from_ike(reqs, NULL, 0, false), 0);
	assert_null(spd_find(spd, CLASS_REQUIRE, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(test_dynamic_selectors_are_the_connection_s_addresses),
		T(test_ranges_become_prefixes_and_port_masks),
		T(test_too_many_selectors_are_required_from_anywhere),
		T(test_pass_is_an_exemption_and_drop_is_nothing),
		T(test_more_specific_requirements_are_asked_first),
		T(test_what_stands_keeps_its_index_and_the_rest_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
