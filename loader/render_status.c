// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "json_util.h"
#include "render.h"

static void put_uptime(const json_t *status)
{
	json_int_t s = json_get_int(status, "uptime_s", 0);

	if (s >= 86400)
		printf("%dd %dh", (int)(s / 86400), (int)(s % 86400 / 3600));
	else if (s >= 3600)
		printf("%dh %dm", (int)(s / 3600), (int)(s % 3600 / 60));
	else
		printf("%dm %ds", (int)(s / 60), (int)(s % 60));
}

void render_problems(const json_t *status)
{
	const json_t *problem;
	size_t i;

	json_array_foreach(json_get_array(status, "problems"), i, problem) {
		printf("  ");
		render_word(stdout, "fail", 0);
		printf("  ");
		render_word(stdout, json_string_value(problem) ?: "?", 0);
		putchar('\n');
	}
}

static void put_head(const json_t *status)
{
	printf("sagate %s: ", json_get_text(status, "version") ?: "?");
	render_word(stdout, json_get_bool(status, "healthy") ? "healthy" : "unhealthy", 0);
	printf(", pid %d, up ", (int)json_get_int(status, "pid", 0));
	put_uptime(status);
	putchar('\n');
	render_problems(status);
}

static void put_list(const char *what, const json_t *list)
{
	putchar('\n');
	if (json_array_size(list))
		render_list(what, list);
	else
		printf("no %s\n", what);
}

void render_status(const json_t *status)
{
	const json_t *n = json_object_get(status, "negotiations");
	const char *lsm = json_get_text(status, "lsm_missing");
	json_int_t lost = json_get_int(status, "lost_events", 0);

	put_head(status);
	put_list("spaces", json_get_array(status, "spaces"));
	put_list("gates", json_get_array(status, "gates"));
	printf("\nnegotiations: %d started, %d established, %d failed, %d active\n",
	       (int)json_get_int(n, "started", 0), (int)json_get_int(n, "established", 0),
	       (int)json_get_int(n, "failed", 0), (int)json_get_int(n, "active", 0));
	if (lsm) {
		printf("LSM programs: none: ");
		render_word(stdout, lsm, 0);
		putchar('\n');
	}
	if (lost)
		printf("events: %" JSON_INTEGER_FORMAT " lost\n", lost);
}
