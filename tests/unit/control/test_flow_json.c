// SPDX-License-Identifier: GPL-2.0-only
/* Which flow is a request about? What is not understood is refused, not left out. */
/* needs: loader/flow_json.c loader/json_util.c loader/units.c loader/error.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "flow_json.h"
#include "json_util.h"

static int parse(const char *more, struct flow *f)
{
	_cleanup_json_ json_t *args = json_object();
	json_t *rest = json_loads(more, 0, NULL);
	struct error e = {};
	int err;

	assert_non_null(rest);
	json_object_set_new(args, "proto", json_string("tcp"));
	json_object_set_new(args, "dst", json_string("192.0.2.1"));
	json_object_update(args, rest);
	json_decref(rest);
	err = flow_from_json(args, 42, f, &e);
	assert_true(!err || (err == -EINVAL && e.message[0]));
	return err;
}

static void a_flow_is_read_whole(void **state)
{
	struct flow f;

	(void)state;
	assert_int_equal(parse("{\"dport\":443,\"sport\":5,\"src\":\"192.0.2.9\",\"mark\":"
			       "4294967295,\"netns\":7,\"ifindex\":3}",
			       &f),
			 0);
	assert_int_equal(f.dport, htons(443));
	assert_int_equal(f.sport, htons(5));
	assert_int_equal(f.saddr[0], inet_addr("192.0.2.9"));
	assert_int_equal(f.has_saddr, KNOWN_BOUND);
	assert_int_equal(f.mark, UINT32_MAX);
	assert_int_equal(f.netns, 7);
	assert_int_equal(f.oif, 3);
	assert_int_equal(f.has_oif, KNOWN_BOUND);
	assert_int_equal(parse("{\"src\":null,\"mark\":null}", &f), 0);
	assert_int_equal(f.netns, 42);
	assert_false(f.has_saddr || f.has_oif || f.mark);
}

/* Each would be a question about another flow, and its answer taken for the one that was meant. */
static void what_is_not_understood_is_refused(void **state)
{
	static const char *const keys[] = {"dport", "sport", "mark", "ifindex", "netns"};
	static const char *const values[] = {"-1", "\"5\"", "true", "[]", "1e300", "-1e300"};
	struct flow f = {.mark = 99};
	char text[64];

	(void)state;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		for (size_t j = 0; j < sizeof(values) / sizeof(values[0]); j++) {
			/* beyond the range is its end, which no namespace has for a cookie */
			if (!strcmp(keys[i], "netns") && !strcmp(values[j], "1e300"))
				continue;
			snprintf(text, sizeof(text), "{\"%s\":%s}", keys[i], values[j]);
			assert_int_equal(parse(text, &f), -EINVAL);
		}
	}
	assert_int_equal(parse("{\"dport\":65536}", &f), -EINVAL);
	assert_int_equal(parse("{\"mark\":4294967296}", &f), -EINVAL);
	assert_int_equal(parse("{\"ifindex\":2147483648}", &f), -EINVAL);
	assert_int_equal(parse("{\"src\":5}", &f), -EINVAL);
	assert_int_equal(parse("{\"src\":\"2001:db8::1\"}", &f), -EINVAL);
	assert_int_equal(f.mark, 99);
}

static void a_mapped_destination_has_a_mapped_source(void **state)
{
	struct flow f;

	(void)state;
	assert_int_equal(parse("{\"dst\":\"::ffff:192.0.2.1\",\"src\":\"::ffff:192.0.2.9\"}", &f),
			 0);
	assert_int_equal(f.family, AF_INET);
	assert_int_equal(f.saddr[0], inet_addr("192.0.2.9"));
	assert_int_equal(f.saddr[3], 0);
	assert_int_equal(parse("{\"dst\":\"::ffff:192.0.2.1\",\"src\":\"::\"}", &f), 0);
	assert_int_equal(f.saddr[0], 0);
	assert_int_equal(parse("{\"dst\":\"::ffff:192.0.2.1\",\"src\":\"2001:db8::9\"}", &f),
			 -EINVAL);
}

static void a_real_beyond_the_range_is_its_end(void **state)
{
	_cleanup_json_ json_t *o = json_loads(
		"{\"a\":1e300,\"b\":-1e300,\"c\":9223372036854775808.0,\"d\":-1.5,\"e\":2e9}", 0,
		NULL);

	(void)state;
	assert_true(json_get_int(o, "a", 0) == INT64_MAX);
	assert_true(json_get_int(o, "b", 0) == INT64_MIN);
	assert_true(json_get_int(o, "c", 0) == INT64_MAX);
	assert_int_equal(json_get_int(o, "d", 0), -1);
	assert_int_equal(json_get_int(o, "e", 0), 2000000000);
	assert_true(json_get_bool(o, "a"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flow_is_read_whole),
		cmocka_unit_test(what_is_not_understood_is_refused),
		cmocka_unit_test(a_mapped_destination_has_a_mapped_source),
		cmocka_unit_test(a_real_beyond_the_range_is_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
