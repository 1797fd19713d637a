// SPDX-License-Identifier: GPL-2.0-only
#include <stdint.h>
#include <string.h>

#include "json_util.h"

const char *json_get_text(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

/* A double beyond the range has no integer: to convert it is undefined. */
static json_int_t whole(double v)
{
	const double end = 0x1p63;

	return v >= end ? INT64_MAX : v < -end ? INT64_MIN : (json_int_t)v;
}

json_int_t json_get_int(const json_t *o, const char *key, json_int_t fallback)
{
	const json_t *v = json_object_get(o, key);

	if (json_is_integer(v))
		return json_integer_value(v);
	return json_is_real(v) ? whole(json_real_value(v)) : fallback;
}

bool json_get_bool(const json_t *o, const char *key)
{
	return json_is_true(json_object_get(o, key)) || json_get_int(o, key, 0);
}

const json_t *json_get_array(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	return json_is_array(v) ? v : NULL;
}

json_t *json_error_object(const struct error *e)
{
	return json_pack("{s:{s:o,s:o}}", "error", "code", json_text(e->code), "message",
			 json_text(e->message));
}

char *json_line(const json_t *j, size_t *len)
{
	char *text = json_dumps(j, JSON_COMPACT | JSON_ENCODE_ANY);
	size_t n;
	char *line;

	if (!text)
		return NULL;
	n = strlen(text);
	line = realloc(text, n + 2);
	if (!line) {
		free(text);
		return NULL;
	}
	line[n] = '\n';
	line[n + 1] = '\0';
	if (len)
		*len = n + 1;
	return line;
}

json_t *json_text(const char *s)
{
	json_t *j = json_string(s);
	_cleanup_free_ char *copy = NULL;

	if (j || !s)
		return j;
	copy = strdup(s);
	if (!copy)
		return NULL;
	for (char *p = copy; *p; p++)
		if (*p & 0x80)
			*p = '?';
	return json_string(copy);
}
