// SPDX-License-Identifier: GPL-2.0-only
/*
 * What VRF devices change in decide(), as the kernel runs it, over hints, policies and SAs that
 * this test makes: which device counts, where a tunnel's source is routed, and what the device
 * looks up once more. Needs root and BPF.
 */
/* needs: loader/bpf.c loader/bpf_kick.c loader/bpf_resize.c loader/bpf_batch.c loader/bpf_space.c
 * needs: loader/bpf_late.c loader/bpf_lsm.c loader/bpf_pins.c loader/bpf_adopt.c
 */
/* needs: loader/shadow.c */
/* needs: loader/mirror_store.c loader/xfrm_msg.c */
/* needs: loader/spd.c loader/spd_group.c loader/spd_image.c loader/spd_masks.c */
/* needs: loader/sad.c loader/sad_group.c loader/sad_life.c loader/sad_slots.c */
/* needs: loader/flow_json.c loader/json_util.c loader/units.c */
/* needs: loader/error.c loader/log.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "flow_json.h"
#include "one_space.h"

enum { PORT = HERE_DEV, VRF = 9 };

static __u32 last_index;

static int vrf_setup(void **unused)
{
	if (setup(unused))
		return -1;
	state()->vrfs = VRF_AGAIN;
	return 0;
}

/* What routing answers a socket bound to `oif`, 0: to none, for every address. */
static void hint(__u32 oif, __u8 family, const char *source, struct route_value value)
{
	struct route_plens_key lens_key = {.space = slot, .oif = oif, .family = family};
	struct route_key key = {.space = slot, .oif = oif, .family = family};
	struct route_plens lens = {.count = 1};

	here_addr(source, value.saddr);
	assert_int_equal(sink.put(sink.ctx, slot, MAP_ROUTES, &key, &value), 0);
	assert_int_equal(sink.put(sink.ctx, slot, MAP_ROUTE_PLENS, &lens_key, &lens), 0);
}

static struct flow flow(const char *dst, __u16 port, __u32 oif)
{
	struct flow f = {.netns = COOKIE, .proto = IPPROTO_TCP, .dport = htons(port), .oif = oif};

	f.family = strchr(dst, ':') ? AF_INET6 : AF_INET;
	f.has_oif = oif ? KNOWN_BOUND : KNOWN_NOT;
	here_addr(dst, f.daddr);
	return f;
}

static struct ask asked(const struct flow *f)
{
	struct ask a = {.flow = *f, .gate = {.cgroup_id = 1, .allow_no_policy = 1}};

	bpf_heartbeat(bpf);
	assert_int_equal(bpf_ask(bpf, &a), 0);
	return a;
}

#define assert_reason(f, want)                                                                     \
	do {                                                                                       \
		struct flow f_ = (f);                                                              \
		assert_string_equal(reason_name(asked(&f_).decision.reason),                       \
				    reason_name(REASON_##want));                                   \
	} while (0)

static struct policy_info blocking(__u8 family)
{
	struct policy_info p = {.priority = 1000, .action = XFRM_POLICY_BLOCK};

	p.index = last_index += 8;
	p.sel.family = family;
	return p;
}

/* Everything of a family needs ESP in transport mode. */
static struct policy_info trap(__u8 family)
{
	struct policy_info p = blocking(family);

	p.action = XFRM_POLICY_ALLOW;
	p.tmpl_count = 1;
	p.tmpl[0] = (struct spd_tmpl){
		.mode = XFRM_MODE_TRANSPORT, .reqid = 7, .proto = IPPROTO_ESP, .family = family};
	return p;
}

static void put_sa(const char *src, const char *dst, __u8 mode)
{
	struct sa_info s = sa_of(0xc0ffee, src, dst);

	s.mode = mode;
	assert_int_equal(sad_put(sad, &s), 1);
}

static void over_ipv4_the_routed_device_counts_over_ipv6_none(void **unused)
{
	struct policy_info on_port = blocking(AF_INET), on_vrf = blocking(AF_INET);
	struct flow f = flow("198.51.100.1", 80, VRF);

	(void)unused;
	hint(VRF, AF_INET, "192.0.2.1",
	     (struct route_value){.oif = PORT, .vrf = VRF, .vrf_flags = VRF_BOUND});
	hint(VRF, AF_INET6, "2001:db8::1",
	     (struct route_value){.oif = PORT, .vrf_flags = VRF_BOUND});
	hint(PORT, AF_INET6, "2001:db8::1", (struct route_value){.oif = PORT, .vrf = VRF});
	on_vrf.sel.ifindex = VRF;
	put(&on_vrf);
	assert_reason(f, NO_POLICY);
	assert_int_equal(asked(&f).flow.oif, PORT);
	on_port.sel.ifindex = PORT;
	put(&on_port);
	assert_reason(f, POLICY_BLOCK);
	on_vrf = blocking(AF_INET6);
	on_vrf.sel.ifindex = VRF;
	put(&on_vrf);
	on_port = blocking(AF_INET6);
	on_port.sel.ifindex = PORT;
	put(&on_port);
	assert_reason(flow("2001:db8:a::1", 80, VRF), NO_POLICY);
	assert_reason(flow("2001:db8:a::1", 80, PORT), POLICY_BLOCK);
	assert_reason(flow("2001:db8:a::1", 80, 0), NO_POLICY);
}

static void bound_to_a_device_without_a_hint_it_is_not_known_which_counts(void **unused)
{
	struct policy_info p = blocking(AF_INET6);

	(void)unused;
	assert_reason(flow("2001:db8:a::1", 80, VRF), NO_POLICY);
	p.sel.ifindex = PORT;
	put(&p);
	assert_reason(flow("2001:db8:a::1", 80, VRF), SOURCE_UNKNOWN);
	hint(VRF, AF_INET6, "::", (struct route_value){.unknown = 1, .vrf_flags = VRF_BOUND});
	assert_reason(flow("2001:db8:a::1", 80, VRF), NO_POLICY);
	hint(PORT, AF_INET6, "::", (struct route_value){.unknown = 1});
	assert_reason(flow("2001:db8:a::1", 80, PORT), POLICY_BLOCK);
	hint(VRF, AF_INET, "0.0.0.0", (struct route_value){.unknown = 1, .vrf_flags = VRF_BOUND});
	p = blocking(AF_INET);
	p.sel.ifindex = PORT;
	put(&p);
	assert_reason(flow("198.51.100.1", 80, VRF), SOURCE_UNKNOWN);
}

static void a_tunnels_source_is_routed_in_the_vrf(void **unused)
{
	struct policy_info p = trap(AF_INET);

	(void)unused;
	p.tmpl[0].mode = XFRM_MODE_TUNNEL;
	here_addr("203.0.113.9", p.tmpl[0].daddr);
	put(&p);
	hint(VRF, AF_INET, "192.0.2.77",
	     (struct route_value){.oif = PORT, .vrf = VRF, .vrf_flags = VRF_BOUND});
	put_sa("192.0.2.77", "203.0.113.9", XFRM_MODE_TUNNEL);
	assert_reason(flow("198.51.100.1", 80, VRF), SA);
	assert_reason(flow("198.51.100.1", 80, 0), SA_SOURCE);
}

static void where_ipv6_leaves_the_vrf_only_the_source_is_not_known(void **unused)
{
	struct flow f = flow("2001:db8:a::1", 80, VRF);
	struct policy_info p = blocking(AF_INET6);

	(void)unused;
	hint(VRF, AF_INET6,
	     "::", (struct route_value){.oif = PORT, .vrf_flags = VRF_BOUND | VRF_LEFT});
	assert_reason(f, NO_POLICY);
	here_addr("2001:db8::7", p.sel.saddr);
	p.sel.src_len = 128;
	put(&p);
	assert_reason(f, SOURCE_UNKNOWN);
	here_addr("2001:db8::7", f.saddr);
	f.has_saddr = KNOWN_BOUND;
	assert_reason(f, POLICY_BLOCK);
}

/* Sent on the VRF device itself, to an address of its own: looked up again as what it is by then.
 */
static void to_its_own_address_the_device_looks_again(void **unused)
{
	struct flow f = flow("192.0.2.1", 80, VRF);
	struct policy_info p = trap(AF_INET);

	(void)unused;
	hint(VRF, AF_INET, "192.0.2.1",
	     (struct route_value){.oif = VRF,
				  .link = VRF,
				  .vrf = VRF,
				  .vrf_flags = VRF_BOUND | VRF_AGAIN | VRF_OWN});
	assert_reason(f, NO_POLICY);
	state()->default_block = 1;
	assert_reason(f, DEFAULT_BLOCK);
	state()->default_block = 0;
	/* the first look finds the SA for TCP, the second nothing for ESP */
	p.sel.proto = IPPROTO_TCP;
	put(&p);
	assert_reason(f, NO_SA);
	put_sa("192.0.2.1", "192.0.2.1", XFRM_MODE_TRANSPORT);
	assert_reason(f, SA);
	/* and here the SA again: delivered is only what has none */
	p = trap(AF_INET);
	p.priority = 2000;
	put(&p);
	assert_reason(f, VRF_LOOKUP);
}

static void it_looks_without_ports_and_over_ipv4_without_the_mark(void **unused)
{
	struct policy_info p = blocking(AF_INET);
	struct flow f = flow("192.0.2.1", 80, VRF), g = flow("2001:db8::1", 80, VRF);
	struct route_value own = {
		.oif = VRF, .link = VRF, .vrf = VRF, .vrf_flags = VRF_BOUND | VRF_AGAIN | VRF_OWN};

	(void)unused;
	hint(VRF, AF_INET, "192.0.2.1", own);
	own.vrf = 0;
	hint(VRF, AF_INET6, "2001:db8::1", own);
	f.mark = g.mark = 5;
	p.mark_mask = 5; /* mark 0 */
	put(&p);
	assert_reason(f, POLICY_BLOCK);
	p = blocking(AF_INET6);
	p.mark_mask = 5;
	put(&p);
	assert_reason(g, NO_POLICY);
	g.mark = 2;
	assert_reason(g, POLICY_BLOCK);
	f.mark = 0;
	p = blocking(AF_INET);
	p.index = last_index += 8;
	p.priority = 1;
	p.action = XFRM_POLICY_ALLOW;
	p.sel.dport = htons(80);
	p.sel.dport_mask = 0xffff;
	put(&p);
	assert_reason(f, POLICY_BLOCK);
	assert_int_equal(asked(&f).flow.dport, htons(80));
}

/* What is sent in a VRF with a queue is what the second look makes of it. */
static void a_queue_forgets_what_was_found_first(void **unused)
{
	struct flow f = flow("198.51.100.1", 80, VRF);
	struct policy_info p = trap(AF_INET);

	(void)unused;
	state()->vrfs = VRF_AGAIN | VRF_QUEUE;
	hint(VRF, AF_INET, "192.0.2.1",
	     (struct route_value){
		     .oif = PORT, .link = VRF, .vrf = VRF, .vrf_flags = VRF_BOUND | VRF_QUEUE});
	assert_reason(f, NO_POLICY);
	p.sel.dport = htons(80);
	p.sel.dport_mask = 0xffff;
	put(&p);
	put_sa("192.0.2.1", "198.51.100.1", XFRM_MODE_TRANSPORT);
	/* in clear, says the second look, which has no port: that is not to be */
	assert_reason(f, VRF_LOOKUP);
	p = trap(AF_INET);
	put(&p);
	assert_reason(f, SA);
	/* a route that is not known may lead there */
	hint(VRF, AF_INET, "0.0.0.0", (struct route_value){.unknown = 1, .vrf_flags = VRF_BOUND});
	here_addr("192.0.2.1", f.saddr);
	f.has_saddr = KNOWN_BOUND;
	assert_reason(f, SA);
	spd_del(spd, CLASS_MAIN, p.index);
	assert_reason(f, VRF_LOOKUP);
}

/* A route of another table into the VRF device. */
static void a_route_into_the_device_is_followed(void **unused)
{
	struct flow f = flow("198.51.100.1", 80, 0);
	struct policy_info p = trap(AF_INET);

	(void)unused;
	hint(0, AF_INET, "192.0.2.1",
	     (struct route_value){.oif = VRF, .link = VRF, .vrf = VRF, .vrf_flags = VRF_AGAIN});
	assert_reason(f, VRF_LOOKUP); /* nothing is known of what it does */
	hint(VRF, AF_INET, "192.0.2.1",
	     (struct route_value){.oif = PORT, .vrf = VRF, .vrf_flags = VRF_BOUND});
	assert_reason(f, NO_POLICY);
	p.sel.ifindex = PORT;
	put(&p);
	assert_reason(f, NO_SA);
	put_sa("192.0.2.1", "198.51.100.1", XFRM_MODE_TRANSPORT);
	assert_reason(f, SA);
	assert_int_equal(asked(&f).flow.oif, VRF);
	/* back to the device: dropped */
	hint(VRF, AF_INET, "192.0.2.1",
	     (struct route_value){
		     .oif = VRF, .link = VRF, .vrf = VRF, .vrf_flags = VRF_BOUND | VRF_AGAIN});
	assert_reason(f, VRF_LOOKUP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define VT(f) cmocka_unit_test_setup_teardown(f, vrf_setup, teardown)
		VT(over_ipv4_the_routed_device_counts_over_ipv6_none),
		VT(bound_to_a_device_without_a_hint_it_is_not_known_which_counts),
		VT(a_tunnels_source_is_routed_in_the_vrf),
		VT(where_ipv6_leaves_the_vrf_only_the_source_is_not_known),
		VT(to_its_own_address_the_device_looks_again),
		VT(it_looks_without_ports_and_over_ipv4_without_the_mark),
		VT(a_queue_forgets_what_was_found_first),
		VT(a_route_into_the_device_is_followed),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
