// SPDX-License-Identifier: GPL-2.0-only
/* The mirror's tables, as the control socket shows them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "storm.h"

#define STARTING_S 120

/* The whole answer, or NULL: nobody listens. */
static json_t *ask_once(const char *control, const char *line)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	json_t *answer = NULL;
	FILE *f = fdopen(fd, "r");

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", control);
	if (!connect(fd, (struct sockaddr *)&sa, sizeof(sa)) && dprintf(fd, "%s\n", line) > 0)
		answer = json_loadf(f, JSON_DISABLE_EOF_CHECK, NULL);
	fclose(f);
	return answer;
}

/* A daemon that starts answers so until it is ready. */
static json_t *ask(const char *control, const char *line)
{
	const struct timespec t = {.tv_nsec = 20000000};
	double end = storm_now() + STARTING_S;

	for (;;) {
		json_t *answer = ask_once(control, line);
		json_t *result = json_incref(json_object_get(answer, "result"));
		const char *code = json_string_value(
			json_object_get(json_object_get(answer, "error"), "code"));

		if (!result && ((code && strcmp(code, "starting")) || storm_now() > end))
			storm_die("%s: %s: %s", control, line, code ? code : "no answer");
		json_decref(answer);
		if (result)
			return result;
		nanosleep(&t, NULL);
	}
}

/* What says how long and how much, not what, goes. */
static char *normal(json_t *entry)
{
	json_t *current = json_object_get(json_object_get(entry, "lifetime"), "current");

	json_object_del(entry, "space");
	json_object_del(entry, "expires_in");
	json_object_del(current, "bytes");
	json_object_del(current, "packets");
	json_object_del(current, "use");
	return json_dumps(entry, JSON_COMPACT | JSON_SORT_KEYS);
}

void shown_read(const char *control, const char *what, const char *space, struct strings *s)
{
	char line[256];
	json_t *list, *entry;
	size_t i;

	snprintf(line, sizeof(line),
		 "{\"command\":\"show\",\"args\":{\"what\":\"%s\",\"space\":\"%s\"}}", what, space);
	list = ask(control, line);
	json_array_foreach(list, i, entry)
		strings_add(s, normal(entry));
	json_decref(list);
	strings_sort(s);
}

json_int_t shown_number(const char *control, const char *space, const char *key)
{
	json_t *status = ask(control, "{\"command\":\"status\"}"), *s;
	json_int_t n = -1;
	size_t i;

	json_array_foreach(json_object_get(status, "spaces"), i, s)
		if (!strcmp(json_string_value(json_object_get(s, "name")), space))
			n = json_integer_value(json_object_get(s, key));
	json_decref(status);
	return n;
}
