// SPDX-License-Identifier: GPL-2.0-only
/* needs: ike-bridge/vici_msg.c */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../../ike-bridge/vici_msg.h"
#include "frames.h"

static void encode_sample(struct vici_buf *b)
{
	vici_frame_begin(b, VICI_CMD_REQUEST, "sample");
	vici_put_value(b, "key1", "value1");
	vici_put_section(b, "section1");
	vici_put_section(b, "sub-section");
	vici_put_value(b, "key2", "value2");
	vici_put_section_end(b);
	vici_put_list(b, "list1");
	vici_put_item(b, "item1");
	vici_put_item(b, "");
	vici_put_list_end(b);
	vici_put_section_end(b);
}

static void what_is_encoded_is_read_back(void **state)
{
	static const struct {
		enum vici_element_type type;
		unsigned int depth;
		const char *name, *value;
	} want[] = {
		{VICI_KEY_VALUE, 0, "key1", "value1"},
		{VICI_SECTION_START, 0, "section1", NULL},
		{VICI_SECTION_START, 1, "sub-section", NULL},
		{VICI_KEY_VALUE, 2, "key2", "value2"},
		{VICI_SECTION_END, 1, NULL, NULL},
		{VICI_LIST_START, 1, "list1", NULL},
		{VICI_LIST_ITEM, 1, NULL, "item1"},
		{VICI_LIST_ITEM, 1, NULL, ""},
		{VICI_LIST_END, 1, NULL, NULL},
		{VICI_SECTION_END, 0, NULL, NULL},
	};
	struct vici_buf b = {};
	struct vici_packet pkt;
	struct vici_element e;
	struct vici_reader r;

	(void)state;
	encode_sample(&b);
	assert_int_equal(vici_frame_end(&b), 0);
	assert_int_equal(b.data[3], b.len - VICI_HDR_LEN);
	assert_int_equal(vici_packet_parse(b.data + 4, b.len - 4, &pkt), 0);
	assert_int_equal(pkt.type, VICI_CMD_REQUEST);
	assert_true(vici_str_is(pkt.name, "sample"));
	vici_reader_init(&r, pkt.msg, pkt.msg_len);
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		assert_int_equal(vici_next(&r, &e), 1);
		assert_int_equal(e.type, want[i].type);
		assert_int_equal(e.depth, want[i].depth);
		if (want[i].name)
			assert_true(vici_str_is(e.name, want[i].name));
		if (want[i].value)
			assert_true(vici_str_is(e.value, want[i].value));
	}
	assert_int_equal(vici_next(&r, &e), 0);
	vici_buf_free(&b);
}

static void what_does_not_fit_is_refused_by_the_encoder(void **state)
{
	struct vici_buf b = {};
	char name[257], *value = malloc(65537);

	(void)state;
	memset(name, 'n', 256);
	name[256] = '\0';
	memset(value, 'v', 65536);
	value[65536] = '\0';

	vici_frame_begin(&b, VICI_CMD_REQUEST, "x");
	vici_put_value(&b, name, "v");
	assert_int_equal(vici_frame_end(&b), -EMSGSIZE);
	vici_frame_begin(&b, VICI_CMD_REQUEST, "x");
	vici_put_value(&b, name + 1, value);
	assert_int_equal(vici_frame_end(&b), -EMSGSIZE);
	vici_frame_begin(&b, VICI_CMD_REQUEST, "x");
	vici_put_value(&b, name + 1, value + 1);
	assert_int_equal(vici_frame_end(&b), 0);
	for (int i = 0; i < 8; i++)
		vici_put_value(&b, "a", value + 1);
	assert_int_equal(vici_frame_end(&b), -EMSGSIZE);
	assert_true(b.len <= VICI_HDR_LEN + VICI_PACKET_MAX);
	vici_frame_begin(&b, VICI_CMD_RESPONSE, "named");
	assert_int_equal(vici_frame_end(&b), -EINVAL);
	vici_frame_begin(&b, VICI_EVENT, NULL);
	assert_int_equal(vici_frame_end(&b), -EINVAL);
	vici_buf_free(&b);
	free(value);
}

/* A copy of exactly that size on the heap, so that the sanitizer sees an over-read. */
static int check_copy(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	struct vici_packet pkt;
	int ret;

	memcpy(copy, data, len);
	ret = vici_packet_parse(copy, len, &pkt);
	if (!ret)
		ret = vici_check(pkt.msg, pkt.msg_len);
	free(copy);
	return ret;
}

static void every_truncation_is_refused_or_balanced(void **state)
{
	size_t good = 0;

	(void)state;
	assert_int_equal(check_copy(frame_list_conn, sizeof(frame_list_conn)), 0);
	for (size_t len = 0; len < sizeof(frame_list_conn); len++)
		good += check_copy(frame_list_conn, len) == 0;
	/* only right after the name: an event without a message; all else is in a section */
	assert_int_equal(good, 1);
}

static void mutations_never_over_read(void **state)
{
	uint8_t buf[sizeof(frame_list_conn)];
	uint32_t seed = 20240229;
	size_t bad = 0, rounds = 20000;

	(void)state;
	for (size_t i = 0; i < rounds; i++) {
		memcpy(buf, frame_list_conn, sizeof(buf));
		for (unsigned int k = 0; k <= i % 4; k++) {
			seed = seed * 1664525 + 1013904223;
			buf[(seed >> 8) % sizeof(buf)] = seed >> 24;
		}
		bad += check_copy(buf, sizeof(buf)) < 0;
	}
	assert_true(bad > rounds / 10);
	assert_true(bad < rounds);
}

static void malformed_messages_are_refused(void **state)
{
	static const struct {
		const char *what;
		size_t len;
		const char *bytes;
		int ret;
	} rows[] = {
		{"nothing", 0, "", 0},
		{"key and value", 6, "\3\1k\0\1v", 0},
		{"empty name", 5, "\3\0\0\1v", 0},
		{"value cut", 5, "\3\1k\0\1", -EBADMSG},
		{"length cut", 4, "\3\1k\0", -EBADMSG},
		{"name cut", 2, "\3\5", -EBADMSG},
		{"no name", 1, "\3", -EBADMSG},
		{"NUL in a value", 6, "\3\1k\0\1\0", -EBADMSG},
		{"NUL in a name", 6, "\3\1\0\0\1v", -EBADMSG},
		{"section", 4, "\1\1s\2", 0},
		{"section left open", 3, "\1\1s", -EBADMSG},
		{"section end alone", 1, "\2", -EBADMSG},
		{"one end too many", 5, "\1\1s\2\2", -EBADMSG},
		{"list", 8, "\4\1l\5\0\1i\6", 0},
		{"list left open", 3, "\4\1l", -EBADMSG},
		{"list in a list", 8, "\4\1l\4\1m\6\6", -EBADMSG},
		{"key in a list", 10, "\4\1l\3\1k\0\1v\6", -EBADMSG},
		{"section in a list", 8, "\4\1l\1\1s\2\6", -EBADMSG},
		{"section ends in a list", 8, "\1\1s\4\1l\2\6", -EBADMSG},
		{"item without a list", 4, "\5\0\1i", -EBADMSG},
		{"list end alone", 1, "\6", -EBADMSG},
		{"type 0", 1, "\0", -EBADMSG},
		{"type 7", 3, "\7\1x", -EBADMSG},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (vici_check(rows[i].bytes, rows[i].len) != rows[i].ret)
			fail_msg("%s", rows[i].what);
	}
}

static void sections_nest_only_so_deep(void **state)
{
	uint8_t msg[(VICI_DEPTH_MAX + 1) * 4], *bomb;
	size_t n = VICI_PACKET_MAX / 3;

	(void)state;
	for (unsigned int depth = VICI_DEPTH_MAX; depth <= VICI_DEPTH_MAX + 1; depth++) {
		for (unsigned int i = 0; i < depth; i++)
			memcpy(msg + 3 * i, "\1\1s", 3);
		memset(msg + 3 * depth, VICI_SECTION_END, depth);
		assert_int_equal(vici_check(msg, 4 * depth), depth > VICI_DEPTH_MAX ? -EBADMSG : 0);
	}
	bomb = malloc(n * 3);
	for (size_t i = 0; i < n; i++)
		memcpy(bomb + 3 * i, "\1\1s", 3);
	assert_int_equal(vici_check(bomb, n * 3), -EBADMSG);
	free(bomb);
}

static void packets_are_split_as_their_type_says(void **state)
{
	struct vici_packet pkt;

	(void)state;
	assert_int_equal(vici_packet_parse("", 0, &pkt), -EBADMSG);
	assert_int_equal(vici_packet_parse("\10", 1, &pkt), -EBADMSG);
	assert_int_equal(vici_packet_parse("\7", 1, &pkt), -EBADMSG);
	assert_int_equal(vici_packet_parse("\7\3ab", 4, &pkt), -EBADMSG);
	assert_int_equal(vici_packet_parse("\7\2ab", 4, &pkt), 0);
	assert_true(vici_str_is(pkt.name, "ab"));
	assert_int_equal(vici_packet_parse("\1\3", 2, &pkt), 0);
	assert_null(pkt.name.p);
	assert_int_equal(pkt.msg_len, 1);
}

static void a_bad_reader_stays_bad_and_skip_ends_where_it_should(void **state)
{
	static const char msg[] = "\1\1s\1\1t\3\1k\0\1v\2\4\1l\5\0\1i\6\2\3\1z\0\1y";
	struct vici_element e;
	struct vici_reader r;
	struct vici_str v;

	(void)state;
	vici_reader_init(&r, msg, sizeof(msg) - 1);
	assert_int_equal(vici_next(&r, &e), 1);
	assert_int_equal(vici_skip(&r), 0);
	assert_int_equal(vici_next(&r, &e), 1);
	assert_true(vici_str_is(e.name, "z"));
	assert_true(vici_root_value(msg, sizeof(msg) - 1, "z", &v));
	assert_true(vici_str_is(v, "y"));
	assert_false(vici_root_value(msg, sizeof(msg) - 1, "k", &v));
	vici_reader_init(&r, "\2\1", 2);
	assert_int_equal(vici_next(&r, &e), -EBADMSG);
	assert_int_equal(vici_next(&r, &e), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_encoded_is_read_back),
		cmocka_unit_test(what_does_not_fit_is_refused_by_the_encoder),
		cmocka_unit_test(every_truncation_is_refused_or_balanced),
		cmocka_unit_test(mutations_never_over_read),
		cmocka_unit_test(malformed_messages_are_refused),
		cmocka_unit_test(sections_nest_only_so_deep),
		cmocka_unit_test(packets_are_split_as_their_type_says),
		cmocka_unit_test(a_bad_reader_stays_bad_and_skip_ends_where_it_should),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
