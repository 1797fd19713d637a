// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>
#include <time.h>

#include "json_util.h"
#include "render.h"

/* "time" is a text, or seconds since 1970. */
static void put_time(const json_t *event)
{
	const json_t *v = json_object_get(event, "time");
	time_t t = json_is_number(v) ? (time_t)json_number_value(v) : time(NULL);
	const char *text = json_string_value(v), *clock;
	char buf[16];
	struct tm tm;

	clock = text ? strchr(text, 'T') : NULL;
	if (clock)
		snprintf(buf, sizeof(buf), "%.8s", clock + 1);
	else
		strftime(buf, sizeof(buf), "%H:%M:%S", localtime_r(&t, &tm));
	render_word(stdout, buf, 9);
}

/* What became of a call, or of a packet. */
static void put_end(const json_t *event)
{
	char error[32];

	render_value(event, "errno", error, sizeof(error));
	if (json_object_get(event, "dropped"))
		printf(json_get_bool(event, "dropped") ? " dropped" : " passed");
	else if (strcmp(error, "-"))
		printf(" %s", error);
	else
		printf(json_get_bool(event, "held")	? " waits"
		       : json_get_bool(event, "queued") ? " queued"
							: " passed");
}

static void put_verdict(const json_t *event)
{
	char flow[RENDER_TEXT], gate[80], reason[48], comm[48], pid[16];
	const char *text = json_get_text(event, "verdict") ?: "?";

	render_flow(json_object_get(event, "flow"), flow, sizeof(flow));
	render_value(event, "gate", gate, sizeof(gate));
	render_value(event, "reason", reason, sizeof(reason));
	render_value(event, "comm", comm, sizeof(comm));
	render_value(event, "pid", pid, sizeof(pid));
	render_word(stdout, text, 0);
	putchar(' ');
	render_word(stdout, reason, 0);
	printf("  ");
	render_word(stdout, flow, 0);
	printf("  gate ");
	render_word(stdout, gate, 0);
	putchar(' ');
	render_word(stdout, comm, 0);
	printf("[%s]", pid);
	put_end(event);
}

/* Any other event: its own fields, in their order. */
static void put_fields(const json_t *event)
{
	const char *key;
	json_t *value;
	char text[RENDER_TEXT];
	bool first = true;

	json_object_foreach((json_t *)event, key, value) {
		if (!strcmp(key, "time") || !strcmp(key, "event") || json_is_null(value))
			continue;
		if (!strcmp(key, "flow"))
			render_flow(value, text, sizeof(text));
		else if (json_is_object(value) || json_is_array(value))
			continue;
		else
			render_value(event, key, text, sizeof(text));
		if (!first)
			putchar(' ');
		first = false;
		render_word(stdout, key, 0);
		putchar('=');
		render_word(stdout, text, 0);
	}
}

void render_event(const json_t *event)
{
	const char *name = json_get_text(event, "event") ?: "?";

	put_time(event);
	render_word(stdout, name, 12);
	if (!strcmp(name, "verdict") || !strcmp(name, "guard"))
		put_verdict(event);
	else
		put_fields(event);
	putchar('\n');
}
