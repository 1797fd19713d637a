// SPDX-License-Identifier: GPL-2.0-only
/* The state that a runtime gives to its hooks: what is taken from it, what is refused, the bounds.
 */
/* needs: loader/oci_state.c loader/config.c loader/config_check.c loader/config_key.c */
/* needs: loader/config_parse.c loader/config_section.c loader/config_settings.c */
/* needs: loader/config_value.c loader/json_util.c loader/units.c loader/error.c loader/log.c */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "json_util.h"
#include "oci_state.h"

#define ID64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void what_is_meant_for_us_is_taken(void **state)
{
	static const char text[] =
		"{\"ociVersion\":\"1.0.2\",\"id\":\"" ID64 "\",\"pid\":42,\"status\":\"creating\","
		"\"bundle\":\"/b\",\"unknown\":[{}],\"annotations\":{\"org.sagate.mode\":\"hold\","
		"\"org.sagate.hold-timeout\":\"5s\",\"org.sagatex\":\"no\",\"other\":\"y\"}}";
	struct oci_state s;
	struct error e;

	(void)state;
	assert_int_equal(oci_state_parse(text, strlen(text), &s, &e), 0);
	assert_true(s.wanted);
	assert_false(s.ended);
	assert_int_equal(s.pid, 42);
	assert_string_equal(s.id, ID64);
	assert_string_equal(s.gate, ID64);
	assert_int_equal(json_object_size(s.settings), 2);
	assert_string_equal(json_get_text(s.settings, "mode"), "hold");
	assert_string_equal(json_get_text(s.settings, "hold-timeout"), "5s");
	oci_state_free(&s);
}

/* runc gives no pid, crun 0; and what stood in the annotations is of no interest any more. */
static void one_that_has_ended_needs_its_id_alone(void **state)
{
	static const char *const rows[] = {
		"{\"id\":\"a+b\",\"status\":\"stopped\",\"annotations\":{\"org.sagate.mode\":\"no\"}}",
		"{\"id\":\"a+b\",\"status\":\"stopped\",\"pid\":0,"
		"\"annotations\":{\"org.sagate.gate\":\"x\"}}",
	};
	struct oci_state s;
	struct error e;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(oci_state_parse(rows[i], strlen(rows[i]), &s, &e), 0);
		assert_true(s.wanted && s.ended);
		assert_int_equal(s.pid, 0);
		assert_string_equal(s.id, "a+b");
		oci_state_free(&s);
	}
}

static void who_has_no_annotation_of_ours_is_not_looked_at(void **state)
{
	static const char *const rows[] = {
		"{}",
		"{\"annotations\":null}",
		"{\"id\":\"../..\",\"pid\":-1,\"annotations\":{\"a\":1}}",
		"{\"annotations\":{\"org.sagate\":\"x\",\"xorg.sagate.mode\":\"x\"}}",
	};
	struct oci_state s;
	struct error e;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(oci_state_parse(rows[i], strlen(rows[i]), &s, &e), 0);
		assert_false(s.wanted);
		oci_state_free(&s);
	}
}

#define STATE(id, pid, status, annotation)                                                         \
	"{\"id\":" id ",\"pid\":" pid ",\"status\":" status ",\"annotations\":{" annotation "}}"
#define OURS "\"org.sagate.mode\":\"reject\""

static void nonsense_is_refused_and_said(void **state)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{"", "expected one JSON object"},
		{"nonsense", "expected one JSON object"},
		{"[]", "expected one JSON object"},
		{"{} {}", "expected one JSON object"},
		{"{\"id\":\"a\",\"id\":\"b\"}", "expected one JSON object"},
		{"{\"annotations\":[]}", "annotations: expected an object"},
		{"{\"annotations\":{" OURS "}}", "id: expected"},
		{STATE("7", "1", "\"created\"", OURS), "id: expected"},
		{STATE("\"\"", "1", "\"created\"", OURS), "id: expected"},
		{STATE("\"a/b\"", "1", "\"created\"", OURS), "id: expected"},
		{STATE("\"..\"", "1", "\"created\"", OURS), "id: expected"},
		{STATE("\"a b\"", "1", "\"created\"", OURS), "id: expected"},
		{STATE("\"" ID64 ID64 ID64 ID64 "\"", "1", "\"created\"", OURS), "id: expected"},
		{STATE("\"" ID64 "0\"", "1", "\"created\"", OURS), "org.sagate.gate"},
		{STATE("\"a\"", "0", "\"created\"", OURS), "pid: expected"},
		{STATE("\"a\"", "-1", "\"creating\"", OURS), "pid: expected"},
		{STATE("\"a\"", "4294967297", "\"created\"", OURS), "pid: expected"},
		{STATE("\"a\"", "1.0", "\"created\"", OURS), "pid: expected"},
		{STATE("\"a\"", "\"1\"", "\"created\"", OURS), "pid: expected"},
		{STATE("\"a\"", "null", "\"created\"", OURS), "pid: expected"},
		{STATE("\"a\"", "1", "\"running\"", OURS), "status: expected"},
		{STATE("\"a\"", "1", "7", OURS), "status: expected"},
		{STATE("\"a\"", "1", "\"created\"", "\"org.sagate.mode\":\"x\""), "reject, hold"},
		{STATE("\"a\"", "1", "\"created\"", "\"org.sagate.mode\":7"),
		 "annotation org.sagate.mode: text is expected"},
		{STATE("\"a\"", "1", "\"created\"", "\"org.sagate.a\\u000ab\":7"),
		 "annotation org.sagate.…: text is expected"},
		{STATE("\"a\"", "1", "\"created\"", "\"org.sagate.\":\"\""), "no such setting"},
		{STATE("\"a\"", "1", "\"created\"", "\"org.sagate.vici\":\"unix:///x\""),
		 "no such setting"},
		{STATE("\"a\"", "1", "\"created\"", "\"org.sagate.gate\":\"a/b\""),
		 "org.sagate.gate: expected"},
	};
	struct oci_state s = {.pid = 77};
	struct error e;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		/* a valid id stands in the message */
		const bool named =
			strstr(rows[i].text, "\"pid\"") && strncmp(rows[i].says, "id:", 3);

		s.id[0] = '\0';
		if (!oci_state_parse(rows[i].text, strlen(rows[i].text), &s, &e))
			fail_msg("taken: %s", rows[i].text);
		if (!strstr(e.message, rows[i].says))
			fail_msg("%s: %s", rows[i].text, e.message);
		assert_int_equal(s.pid, 77);
		assert_int_equal(s.id[0] != '\0', named);
		assert_non_null(strstr(rows[i].text, s.id));
	}
}

/* Every beginning of a state, and every byte of it replaced: no crash, no leak. */
static void damaged_ones_are_no_harm(void **state)
{
	static const char whole[] = STATE("\"a\"", "42", "\"created\"", OURS);
	struct oci_state s;
	char text[sizeof(whole)];
	struct error e;

	(void)state;
	for (size_t i = 0; i < sizeof(whole) - 1; i++) {
		if (!oci_state_parse(whole, i, &s, &e))
			fail_msg("taken when cut at %zu", i);
		for (int byte = 0; byte < 256; byte++) {
			memcpy(text, whole, sizeof(text));
			text[i] = (char)byte;
			if (!oci_state_parse(text, sizeof(whole) - 1, &s, &e))
				oci_state_free(&s);
		}
	}
}

/* A pipe that a child fills with `size` blanks, and then holds open for good, or closes. */
static int filled(size_t size, bool open)
{
	char blanks[4096];
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	if (!fork()) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(fds[0]);
		memset(blanks, ' ', sizeof(blanks));
		for (; size; size -= size < sizeof(blanks) ? size : sizeof(blanks))
			if (write(fds[1], blanks, size < sizeof(blanks) ? size : sizeof(blanks)) <=
			    0)
				_exit(1);
		while (open)
			pause();
		_exit(0);
	}
	close(fds[1]);
	return fds[0];
}

static void reading_has_bounds(void **state)
{
	static const struct {
		size_t size;
		bool open;
		int err;
	} rows[] = {
		{0, false, 0},
		{100000, false, 0},
		{OCI_STATE_MAX, false, 0},
		{OCI_STATE_MAX + 1, false, -EMSGSIZE},
		{OCI_STATE_MAX + 1, true, -EMSGSIZE},
		{100, true, -ETIMEDOUT},
	};
	struct error e;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int fd = filled(rows[i].size, rows[i].open);
		char *text = NULL;
		size_t len = 0;

		assert_int_equal(
			oci_state_read(fd, rows[i].err == -ETIMEDOUT ? 1 : 20, &text, &len, &e),
			rows[i].err);
		assert_int_equal(len, rows[i].err ? 0 : rows[i].size);
		free(text);
		close(fd);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_meant_for_us_is_taken),
		cmocka_unit_test(one_that_has_ended_needs_its_id_alone),
		cmocka_unit_test(who_has_no_annotation_of_ours_is_not_looked_at),
		cmocka_unit_test(nonsense_is_refused_and_said),
		cmocka_unit_test(damaged_ones_are_no_harm),
		cmocka_unit_test(reading_has_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
