// SPDX-License-Identifier: GPL-2.0-only
/* Policies and SAs as JSON: the names `ip xfrm` uses, and those of explain. */
/* needs: loader/xfrm_json.c loader/xfrm_rows.c loader/mirror_store.c loader/xfrm_msg.c */
/* needs: loader/spd.c loader/spd_group.c loader/spd_image.c loader/spd_masks.c */
/* needs: loader/sad.c loader/sad_group.c loader/sad_life.c loader/sad_slots.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <linux/netlink.h>

#include "fake_sink.h"
#include "recorded.h"
#include "xfrm_json.h"
#include "xfrm_msg.h"
#include "xfrm_rows.h"

static json_t *all_policies(const struct spd *spd)
{
	json_t *list = json_array(), *one;
	struct xfrm_rows rows;

	assert_int_equal(xfrm_rows_of_spd(spd, &rows), 0);
	while (xfrm_rows_next_policy(&rows, spd, &one) > 0)
		json_array_append_new(list, one);
	xfrm_rows_free(&rows);
	return list;
}

static json_t *all_sas(const struct sad *sad)
{
	json_t *list = json_array(), *one;
	struct xfrm_rows rows;

	assert_int_equal(xfrm_rows_of_sad(sad, &rows), 0);
	while (xfrm_rows_next_sa(&rows, sad, &one) > 0)
		json_array_append_new(list, one);
	xfrm_rows_free(&rows);
	return list;
}

static void is_json(json_t *j, const char *expected)
{
	json_t *e = json_loads(expected, 0, NULL);
	char *text = json_dumps(j, JSON_SORT_KEYS);

	assert_non_null(e);
	if (!json_equal(j, e))
		fail_msg("%s", text);
	free(text);
	json_decref(e);
	json_decref(j);
}

static void a_recorded_policy_shows_what_ip_xfrm_shows(void **state)
{
	struct policy_info require = {.index = 1, .action = XFRM_POLICY_BLOCK};
	struct xfrm_change c;
	struct fake_sink f;
	struct spd *spd;

	(void)state;
	fake_init(&f);
	spd = spd_new(1, &f.sink);
	assert_int_equal(xfrm_msg_parse(recorded_newpolicy, sizeof(recorded_newpolicy), &c), 0);
	c.policy.index = 17;
	spd_put(spd, CLASS_MAIN, &c.policy);
	require.sel.family = AF_INET;
	spd_put(spd, CLASS_REQUIRE, &require);
	is_json(all_policies(spd),
		"[{\"src\":\"10.1.0.1/24\",\"dst\":\"10.2.0.0/16\",\"proto\":\"tcp\",\"dport\":443,"
		"\"dir\":\"out\",\"action\":\"allow\",\"index\":17,\"priority\":100,\"ptype\":\"main\","
		"\"mark\":{\"value\":\"0x5\",\"mask\":\"0xff\"},\"if_id\":\"0x7\",\"flag\":[],\"tmpl\":["
		"{\"src\":\"192.0.2.1\",\"dst\":\"192.0.2.2\",\"proto\":\"esp\",\"reqid\":9,"
		"\"mode\":\"tunnel\",\"level\":\"required\"},"
		"{\"src\":\"0.0.0.0\",\"dst\":\"0.0.0.0\",\"proto\":\"comp\",\"reqid\":9,"
		"\"mode\":\"transport\",\"level\":\"use\"}]}]");
	is_json(policy_explain_json(spd_find(spd, CLASS_MAIN, 17)),
		"{\"selector\":{\"src\":\"10.1.0.1/24\",\"dst\":\"10.2.0.0/16\",\"proto\":\"tcp\","
		"\"sport\":null,\"dport\":443},\"priority\":100,\"action\":\"allow\",\"index\":17,"
		"\"ptype\":\"main\",\"mark\":{\"value\":\"0x5\",\"mask\":\"0xff\"},\"if_id\":\"0x7\","
		"\"templates\":["
		"{\"proto\":\"esp\",\"mode\":\"tunnel\",\"reqid\":9,\"spi\":\"0x00000000\"},"
		"{\"proto\":\"comp\",\"mode\":\"transport\",\"reqid\":9,\"spi\":\"0x00000000\"}]}");
	spd_free(spd);
	fake_done(&f);
}

static void fake_clock(struct sad_now *now)
{
	*now = (struct sad_now){.boot = 1, .real = 1000ULL * 1000000000};
}

static void an_sa_shows_its_fields_and_what_is_left(void **state)
{
	struct sa_info sa = {.family = AF_INET,
			     .proto = IPPROTO_ESP,
			     .spi = htonl(0xab),
			     .reqid = 9,
			     .mode = XFRM_MODE_BEET,
			     .pcpu = SAGATE_PCPU_ANY,
			     .flags = XFRM_STATE_ESN | XFRM_STATE_AF_UNSPEC,
			     .dir = SAGATE_SA_DIR_OUT,
			     .replay_window = 32};
	struct fake_sink f;
	struct sad *sad;

	(void)state;
	fake_init(&f);
	sad = sad_new(1, &f.sink);
	sad_set_clock(sad, fake_clock);
	sa.saddr[0] = htonl(0xc0000201);
	sa.daddr[0] = htonl(0xc0000202);
	sa.life = (struct sa_life){.soft_bytes = XFRM_INF,
				   .hard_bytes = 5,
				   .hard_add = 60,
				   .soft_packets = XFRM_INF,
				   .hard_packets = XFRM_INF,
				   .add_time = 990};
	sad_put(sad, &sa);
	is_json(all_sas(sad),
		"[{\"src\":\"192.0.2.1\",\"dst\":\"192.0.2.2\",\"proto\":\"esp\","
		"\"spi\":\"0x000000ab\",\"reqid\":9,\"mode\":\"beet\",\"replay-window\":32,"
		"\"flag\":[\"af-unspec\",\"esn\"],\"dir\":\"out\",\"lifetime\":{\"limit\":{"
		"\"bytes\":{\"soft\":null,\"hard\":5},\"packets\":{\"soft\":null,\"hard\":null},"
		"\"add\":{\"soft\":0,\"hard\":60},\"use\":{\"soft\":0,\"hard\":0}},"
		"\"current\":{\"bytes\":0,\"packets\":0,\"add\":990,\"use\":0}},\"expires_in\":50}]");
	sad_free(sad);
	fake_done(&f);
}

/* While a reader takes them one by one, entries go, change and come. */
static void what_goes_while_it_is_listed_is_left_out(void **state)
{
	struct policy_info p = {.action = XFRM_POLICY_BLOCK, .sel = {.family = AF_INET}};
	struct xfrm_rows rows;
	struct fake_sink f;
	struct spd *spd;
	json_t *one;

	(void)state;
	fake_init(&f);
	spd = spd_new(1, &f.sink);
	for (p.index = 1; p.index <= 1000; p.index++) {
		p.priority = 5000 - p.index;
		p.sel.daddr[0] = htonl(p.index);
		p.sel.dst_len = 32;
		spd_put(spd, CLASS_MAIN, &p);
	}
	spd_put(spd, CLASS_REQUIRE, &p);
	assert_int_equal(xfrm_rows_of_spd(spd, &rows), 0);
	assert_int_equal(rows.count, 1000);
	assert_int_equal(xfrm_rows_next_policy(&rows, spd, &one), 1);
	assert_int_equal(json_integer_value(json_object_get(one, "priority")), 4000);
	json_decref(one);
	for (__u32 i = 1; i < 1000; i++)
		spd_del(spd, CLASS_MAIN, i);
	for (p.index = 2000; p.index < 4000; p.index++)
		spd_put(spd, CLASS_MAIN, &p); /* the table grows */
	spd_put(spd, CLASS_MAIN, &(struct policy_info){.index = 7, .sel.family = AF_INET});
	assert_int_equal(xfrm_rows_next_policy(&rows, spd, &one), 1);
	assert_int_equal(json_integer_value(json_object_get(one, "index")), 7);
	json_decref(one);
	assert_int_equal(xfrm_rows_next_policy(&rows, spd, &one), 0);
	assert_int_equal(xfrm_rows_next_policy(&rows, spd, &one), 0);
	xfrm_rows_free(&rows);
	spd_free(spd);
	fake_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_recorded_policy_shows_what_ip_xfrm_shows),
		cmocka_unit_test(an_sa_shows_its_fields_and_what_is_left),
		cmocka_unit_test(what_goes_while_it_is_listed_is_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
