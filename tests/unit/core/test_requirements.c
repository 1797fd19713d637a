// SPDX-License-Identifier: GPL-2.0-only
/* Requirements out of loaded children, in the policy table. */
/* needs: loader/requirements.c loader/requirements_ike.c loader/requirements_config.c */
/* needs: loader/explain_selector.c loader/config.c loader/config_check.c loader/config_key.c */
/* needs: loader/config_parse.c loader/config_section.c loader/config_settings.c */
/* needs: loader/config_value.c */
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
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "config.h"
#include "explain_selector.h"
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

/* ---- the edges of what is required ---- */

struct asked {
	struct flow flow;
	__u32 best;
	bool required;
};

static int ask_each(void *ctx, enum spd_class class, const struct policy_info *p)
{
	struct asked *a = ctx;
	char text[200];

	assert_int_equal(class, CLASS_REQUIRE);
	if (selector_outside(&p->sel, &a->flow, text, sizeof(text)) == SELECTOR_FITS &&
	    p->priority < a->best) {
		a->best = p->priority;
		a->required = p->action == XFRM_POLICY_BLOCK;
	}
	return 0;
}

/* "PROTO SRC SPORT DST DPORT" */
static bool required(const char *text)
{
	struct asked a = {.best = ~0U};
	char src[64], dst[64];
	unsigned int proto, sport, dport;
	int family;

	assert_int_equal(sscanf(text, "%u %63s %u %63s %u", &proto, src, &sport, dst, &dport), 5);
	family = strchr(dst, ':') ? AF_INET6 : AF_INET;
	a.flow.family = family;
	a.flow.proto = proto;
	a.flow.sport = htons(sport);
	a.flow.dport = htons(dport);
	a.flow.has_saddr = KNOWN_BOUND;
	assert_int_equal(inet_pton(family, src, a.flow.saddr), 1);
	assert_int_equal(inet_pton(family, dst, a.flow.daddr), 1);
	spd_each(spd, ask_each, &a);
	return a.required;
}

/* Each selector with flows just inside and just outside of it. */
static void test_every_form_of_selector_is_exact_at_its_edges(void **unused)
{
	static const struct {
		const char *local, *remote;
		const char *in[6], *out[8];
	} rows[] = {
		{"192.0.2.1/32",
		 "10.0.0.0/8",
		 {"6 192.0.2.1 0 10.0.0.0 1", "17 192.0.2.1 9 10.255.255.255 65535",
		  "47 192.0.2.1 0 10.1.1.1 0"},
		 {"6 192.0.2.1 0 9.255.255.255 1", "6 192.0.2.1 0 11.0.0.0 1",
		  "6 192.0.2.2 0 10.0.0.0 1", "6 192.0.2.0 0 10.0.0.0 1"}},
		{"0.0.0.0/0",
		 "10.0.0.3..10.0.1.9[tcp]",
		 {"6 1.1.1.1 0 10.0.0.3 1", "6 1.1.1.1 0 10.0.1.9 1", "6 1.1.1.1 0 10.0.1.0 1"},
		 {"6 1.1.1.1 0 10.0.0.2 1", "6 1.1.1.1 0 10.0.1.10 1", "17 1.1.1.1 0 10.0.0.3 1"}},
		{"0.0.0.0/0",
		 "0.0.0.0/0[tcp/80]",
		 {"6 1.1.1.1 5 2.2.2.2 80"},
		 {"6 1.1.1.1 5 2.2.2.2 79", "6 1.1.1.1 5 2.2.2.2 81", "17 1.1.1.1 5 2.2.2.2 80"}},
		{"0.0.0.0/0",
		 "10.0.0.0/24[udp/1000-3001]",
		 {"17 1.1.1.1 0 10.0.0.0 1000", "17 1.1.1.1 0 10.0.0.0 3001",
		  "17 1.1.1.1 0 10.0.0.0 1024", "17 1.1.1.1 0 10.0.0.0 2047"},
		 {"17 1.1.1.1 0 10.0.0.0 999", "17 1.1.1.1 0 10.0.0.0 3002",
		  "6 1.1.1.1 0 10.0.0.0 1000"}},
		{"0.0.0.0/0[tcp/1024-2047]",
		 "10.0.0.0/24[tcp/0-65534]",
		 {"6 1.1.1.1 1024 10.0.0.0 0", "6 1.1.1.1 2047 10.0.0.0 65534"},
		 {"6 1.1.1.1 1023 10.0.0.0 0", "6 1.1.1.1 2048 10.0.0.0 0",
		  "6 1.1.1.1 1024 10.0.0.0 65535"}},
		{"0.0.0.0/0",
		 "10.0.0.0/24[0/53]",
		 {"17 1.1.1.1 0 10.0.0.0 53", "6 1.1.1.1 0 10.0.0.0 53"},
		 {"17 1.1.1.1 0 10.0.0.0 52", "6 1.1.1.1 0 10.0.0.0 54"}},
		{"0.0.0.0/0",
		 "10.0.0.0/24[udp/OPAQUE]",
		 {"17 1.1.1.1 0 10.0.0.0 0", "17 1.1.1.1 0 10.0.0.0 65535"},
		 {"6 1.1.1.1 0 10.0.0.0 1"}},
		/* type and code are xfrm's source and destination port; code 0 is any */
		{"0.0.0.0/0",
		 "10.0.0.0/24[icmp/8]",
		 {"1 1.1.1.1 8 10.0.0.0 0", "1 1.1.1.1 8 10.0.0.0 3"},
		 {"1 1.1.1.1 7 10.0.0.0 0", "1 1.1.1.1 9 10.0.0.0 0", "17 1.1.1.1 8 10.0.0.0 0"}},
		{"0.0.0.0/0[icmp/3(4)]",
		 "10.0.0.0/24",
		 {"1 1.1.1.1 3 10.0.0.0 4"},
		 {"1 1.1.1.1 3 10.0.0.0 3", "1 1.1.1.1 3 10.0.0.0 5", "1 1.1.1.1 4 10.0.0.0 4"}},
		{"0.0.0.0/0",
		 "10.0.0.0/24[icmp/1-7(255)]",
		 {"1 1.1.1.1 1 10.0.0.0 0", "1 1.1.1.1 7 10.0.0.0 255"},
		 {"1 1.1.1.1 0 10.0.0.0 0", "1 1.1.1.1 8 10.0.0.0 0"}},
		{"0.0.0.0/0",
		 "10.0.0.0/24[icmp/8-8(255)]",
		 {"1 1.1.1.1 8 10.0.0.0 0", "1 1.1.1.1 8 10.0.0.0 255"},
		 {"1 1.1.1.1 7 10.0.0.0 0", "1 1.1.1.1 9 10.0.0.0 0"}},
		{"::/0",
		 "2001:db8::1..2001:db8::9[132/5000-5003]",
		 {"132 ::1 0 2001:db8::1 5000", "132 ::1 0 2001:db8::9 5003"},
		 {"132 ::1 0 2001:db8:: 5000", "132 ::1 0 2001:db8::a 5000",
		  "132 ::1 0 2001:db8::1 4999", "132 ::1 0 2001:db8::1 5004",
		  "6 ::1 0 2001:db8::1 5000"}},
		{"::/0",
		 "::/0[ipv6-icmp/128]",
		 {"58 ::1 128 2001:db8::1 0"},
		 {"58 ::1 127 2001:db8::1 0", "58 ::1 129 2001:db8::1 0", "1 1.1.1.1 8 2.2.2.2 0"}},
		{"0.0.0.0/0",
		 "0.0.0.0/0",
		 {"6 1.1.1.1 0 0.0.0.0 1", "6 1.1.1.1 0 255.255.255.255 1"},
		 {"6 ::1 0 ::2 1"}},
	};
	struct child k;

	(void)unused;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		make(&k, IKE_TUNNEL, rows[i].local, rows[i].remote, "192.0.2.2");
		assert_true(from(&k) > 0);
		for (size_t f = 0; f < 6 && rows[i].in[f]; f++)
			if (!required(rows[i].in[f]))
				fail_msg("%s: not required: %s", rows[i].remote, rows[i].in[f]);
		for (size_t f = 0; f < 8 && rows[i].out[f]; f++)
			if (required(rows[i].out[f]))
				fail_msg("%s: required: %s", rows[i].remote, rows[i].out[f]);
	}
}

/* What a connection writes for its own addresses. */
static void test_dynamic_is_every_address_that_is_known(void **unused)
{
	const char *remotes[] = {"peer.example.org", "192.0.2.20-192.0.2.29",
				 "198.51.100.0/28",  "%any",
				 "0.0.0.0/0",	     "192.0.2.9"};
	const char *locals[] = {"192.0.2.1", "%any"};
	struct child k;

	(void)unused;
	make(&k, IKE_TRANSPORT, "dynamic", "dynamic", NULL);
	k.c.remote_addrs = remotes;
	k.c.nremote_addrs = 6;
	assert_true(from(&k) > 0);
	assert_true(required("6 192.0.2.1 0 192.0.2.9 1"));
	assert_true(required("6 192.0.2.1 0 192.0.2.20 1"));
	assert_true(required("6 192.0.2.1 0 192.0.2.29 1"));
	assert_true(required("6 192.0.2.1 0 198.51.100.15 1"));
	assert_false(required("6 192.0.2.1 0 192.0.2.19 1"));
	assert_false(required("6 192.0.2.1 0 192.0.2.30 1"));
	assert_false(required("6 192.0.2.1 0 198.51.100.16 1"));
	assert_false(required("6 192.0.2.7 0 192.0.2.9 1"));
	/* with an unknown one among its own, from anywhere */
	k.c.local_addrs = locals;
	k.c.nlocal_addrs = 2;
	from(&k);
	assert_true(required("6 192.0.2.7 0 192.0.2.9 1"));
	k.c.nlocal_addrs = 1;
	from(&k);
	assert_false(required("6 192.0.2.7 0 192.0.2.9 1"));
	/* or with a selector that was not understood, which may be one of its own */
	k.c.left_out = 1;
	from(&k);
	assert_true(required("6 192.0.2.7 0 192.0.2.9 1"));
	/* a name alone is no address */
	k.c.nremote_addrs = 1;
	assert_int_equal(from(&k), 0);
}

static void test_the_more_specific_of_exemption_and_requirement_holds(void **unused)
{
	struct child wide, pass, narrow;
	struct ike_child all[3];

	(void)unused;
	make(&wide, IKE_TUNNEL, "0.0.0.0/0", "10.0.0.0/8", "192.0.2.2");
	make(&pass, IKE_PASS, "0.0.0.0/0", "10.1.0.0/16", "%any");
	make(&narrow, IKE_TUNNEL, "0.0.0.0/0", "10.1.2.0/24[tcp/443]", "192.0.2.2");
	all[0] = wide.c;
	all[1] = pass.c;
	all[2] = narrow.c;
	requirements_from_ike(reqs, all, 3, false);
	assert_true(required("6 1.1.1.1 0 10.2.0.1 1"));
	assert_false(required("6 1.1.1.1 0 10.1.0.1 1"));
	assert_false(required("6 1.1.1.1 0 10.1.2.1 442"));
	assert_true(required("6 1.1.1.1 0 10.1.2.1 443"));
	/* the destination counts before the source, the source before protocol and port */
	make(&wide, IKE_PASS, "10.9.0.0/16", "10.0.0.0/8", "192.0.2.2");
	make(&narrow, IKE_TUNNEL, "10.0.0.0/8", "10.0.0.0/8[tcp/443]", "192.0.2.2");
	all[0] = wide.c;
	all[1] = narrow.c;
	requirements_from_ike(reqs, all, 2, false);
	assert_false(required("6 10.9.0.1 0 10.2.0.1 443"));
	assert_true(required("6 10.8.0.1 0 10.2.0.1 443"));
}

static void test_sections_of_the_configuration_are_exact_too(void **unused)
{
	static const char text[] =
		"[require \"r\"]\nto=10.2.0.0/16, 10.4.0.1\nfrom=192.0.2.1, 198.51.100.0/24\n"
		"proto=tcp\nport=80, 1000-3001\nsport=1024-65535\n"
		"[require \"six\"]\nto=2001:db8::/32\n"
		"[require \"other\"]\nto=0.0.0.0/0\nspace=blue\n[space \"blue\"]\nnetns=blue\n"
		"[require \"many\"]\nto=10.9.0.0/16\nproto=udp\nport=1-65534\nsport=1-65534\n"
		"from=1.0.0.0/32, 2.0.0.0/32\n";
	static const char *const in[] = {
		"6 192.0.2.1 1024 10.2.0.0 80",	       "6 198.51.100.0 65535 10.2.255.255 1000",
		"6 198.51.100.255 2000 10.4.0.1 3001", "6 ::1 0 2001:db8::1 0",
		"17 1.0.0.0 65535 10.9.0.1 65535",
	};
	static const char *const out[] = {
		"6 192.0.2.1 1023 10.2.0.0 80",	  "6 192.0.2.1 1024 10.2.0.0 79",
		"6 192.0.2.1 1024 10.2.0.0 81",	  "6 192.0.2.1 1024 10.2.0.0 999",
		"6 192.0.2.1 1024 10.2.0.0 3002", "6 192.0.2.2 1024 10.2.0.0 80",
		"6 192.0.2.0 1024 10.2.0.0 80",	  "6 198.51.101.0 1024 10.2.0.0 80",
		"6 192.0.2.1 1024 10.4.0.0 80",	  "6 192.0.2.1 1024 10.4.0.2 80",
		"6 192.0.2.1 1024 10.3.0.0 80",	  "17 192.0.2.1 1024 10.2.0.0 80",
		"6 ::1 0 2001:db9:: 0",		  "17 1.0.0.1 65535 10.9.0.1 65535",
	};
	struct config c;
	struct error e;

	(void)unused;
	if (config_parse("f", text, sizeof(text) - 1, &c, &e))
		fail_msg("%s", e.message);
	requirements_from_config(reqs, &c, "host");
	for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++)
		if (!required(in[i]))
			fail_msg("not required: %s", in[i]);
	for (size_t i = 0; i < sizeof(out) / sizeof(out[0]); i++)
		if (required(out[i]))
			fail_msg("required: %s", out[i]);
	config_free(&c);
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
		T(test_every_form_of_selector_is_exact_at_its_edges),
		T(test_dynamic_is_every_address_that_is_known),
		T(test_the_more_specific_of_exemption_and_requirement_holds),
		T(test_sections_of_the_configuration_are_exact_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
