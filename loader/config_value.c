// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "config_value.h"
#include "log.h"

#define SECOND 1000000000ULL

int value_expected(struct error *e, const char *value, const char *expected)
{
	return error_set(e, -EINVAL, CONFIG_SETTINGS_CODE, "\"%s\": expected %s", value, expected);
}

static int put_text(char **out, const char *text, size_t len)
{
	char *copy = strndup(text, len);

	if (!copy)
		return -ENOMEM;
	free(*out);
	*out = copy;
	return 0;
}

int value_choice(const char *value, const char *yes, const char *no, bool *out, struct error *e)
{
	char expected[64];

	if (strcmp(value, yes) && strcmp(value, no)) {
		snprintf(expected, sizeof(expected), "%s or %s", yes, no);
		return value_expected(e, value, expected);
	}
	*out = !strcmp(value, yes);
	return 0;
}

static bool has_dots(const char *path)
{
	for (const char *p = path; (p = strstr(p, "/..")); p += 3)
		if (!p[3] || p[3] == '/')
			return true;
	return false;
}

int value_path(const char *value, char **out, struct error *e)
{
	size_t len = strlen(value);

	if (value[0] != '/' || has_dots(value))
		return value_expected(e, value, "an absolute path without \"..\"");
	while (len > 1 && value[len - 1] == '/')
		len--;
	return put_text(out, value, len);
}

int value_socket(const char *value, char **out, struct error *e)
{
	struct sockaddr_un sa;
	size_t len = strlen(value);

	if (value[0] != '/' || value[len - 1] == '/' || len >= sizeof(sa.sun_path))
		return value_expected(e, value,
				      "the absolute path of a socket, of at most 107 bytes");
	return put_text(out, value, len);
}

int value_vici(const char *value, char **out, struct error *e)
{
	static const char scheme[] = "unix://";
	const size_t n = sizeof(scheme) - 1;

	if (strncmp(value, scheme, n) || value_socket(value + n, out, NULL) < 0)
		return value_expected(e, value, "unix:///PATH, with a path of at most 107 bytes");
	return 0;
}

int value_log_level(const char *value, int *out, struct error *e)
{
	int level = log_level_parse(value);

	if (level < 0)
		return value_expected(e, value, "error, warning, notice, info or debug");
	*out = level;
	return 0;
}

int value_trigger(const char *value, enum ike_trigger *out, struct error *e)
{
	bool vici = false;
	int r = value_choice(value, "vici", "acquire", &vici, e);

	if (r == 0)
		*out = vici ? TRIGGER_VICI : TRIGGER_ACQUIRE;
	return r;
}

int value_default_block(const char *value, uint8_t *out, struct error *e)
{
	static const struct {
		const char *name;
		uint8_t bits;
	} words[] = {{"out", BLOCK_OUT}, {"in", BLOCK_IN}, {"fwd", BLOCK_FWD}};
	uint8_t bits = 0;

	if (!strcmp(value, "yes") || !strcmp(value, "no")) {
		*out = !strcmp(value, "yes") ? BLOCK_OUT : 0;
		return 0;
	}
	for (const char *at = value; at; at = strchr(at, ',')) {
		uint8_t before = bits;
		size_t n;

		at += at != value;
		at += strspn(at, " ");
		n = strcspn(at, ", ");
		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
			if (strlen(words[i].name) == n && !strncmp(at, words[i].name, n))
				bits |= words[i].bits;
		if (bits == before)
			return value_expected(e, value, "yes, no, or a list of out, in and fwd");
	}
	*out = bits;
	return 0;
}

int value_number(const char *value, uint32_t max, uint32_t *out, struct error *e)
{
	char expected[64];
	unsigned long n = strtoul(value, NULL, 10);

	if (strspn(value, "0123456789") != strlen(value) || strlen(value) > 9 || !n || n > max) {
		snprintf(expected, sizeof(expected), "a number from 1 to %u", max);
		return value_expected(e, value, expected);
	}
	*out = (uint32_t)n;
	return 0;
}

int value_duration(const char *value, uint64_t min, uint64_t max, uint64_t *out, struct error *e)
{
	char low[UNITS_TEXT], high[UNITS_TEXT], expected[200];
	uint64_t ns;

	if (duration_parse(value, &ns, NULL) < 0 || ns < min || ns > max) {
		duration_format(min, low, sizeof(low));
		duration_format(max, high, sizeof(high));
		snprintf(expected, sizeof(expected), "a duration from %s to %s (30s, 500ms, 2m)",
			 low, high);
		return value_expected(e, value, expected);
	}
	*out = ns;
	return 0;
}

int value_backoff(const char *value, uint64_t *low, uint64_t *high, struct error *e)
{
	uint64_t l, h;

	if (duration_range_parse(value, &l, &h, NULL) < 0 || l < SECOND / 10 || h > 3600 * SECOND)
		return value_expected(e, value, "two durations from 100ms to 1h, as in 1s..60s");
	*low = l;
	*high = h;
	return 0;
}

int value_child(const char *value, char **conn, char **child, struct error *e)
{
	const char *slash = strchr(value, '/');
	int r;

	if (!slash || slash == value || !slash[1] || strchr(slash + 1, '/') ||
	    strpbrk(value, " \t\""))
		return value_expected(e, value,
				      "CONNECTION/CHILD, the names swanctl.conf gives them");
	r = put_text(conn, value, slash - value);
	return r < 0 ? r : put_text(child, slash + 1, strlen(slash + 1));
}

/*
 * Calls `one` for each part of "a, b, c" (blanks around commas are none of it) until it fails. The
 * value is read wrongly as a whole: outputs of parts before that one may be written.
 */
static int each_part(const char *value, int (*one)(void *ctx, const char *part), void *ctx)
{
	char part[UNITS_TEXT * 2];
	size_t len;

	for (;; value += len + 1) {
		const char *end;

		len = strcspn(value, ",");
		end = value + len;
		while (*value == ' ' || *value == '\t')
			value++, len--;
		while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
			end--;
		if (end - value >= (ptrdiff_t)sizeof(part))
			return -EINVAL;
		snprintf(part, sizeof(part), "%.*s", (int)(end - value), value);
		if (one(ctx, part))
			return -EINVAL;
		if (!value[len])
			return 0;
	}
}

struct prefixes {
	struct prefix list[CONFIG_LIST_MAX];
	size_t count;
};

static int one_prefix(void *ctx, const char *part)
{
	struct prefixes *p = ctx;

	if (p->count == CONFIG_LIST_MAX || prefix_parse(part, &p->list[p->count], NULL) < 0 ||
	    p->list[p->count].family != p->list[0].family)
		return -EINVAL;
	p->count++;
	return 0;
}

int value_prefixes(const char *value, struct prefix *out, size_t *count, struct error *e)
{
	struct prefixes p = {.count = 0};

	if (each_part(value, one_prefix, &p))
		return value_expected(e, value,
				      "an address or a prefix such as 10.2.0.0/16, without bits "
				      "behind its length, or up to 16 of one family with commas "
				      "between");
	memcpy(out, p.list, sizeof(p.list));
	*count = p.count;
	return 0;
}

struct ranges {
	struct config_ports list[CONFIG_LIST_MAX];
	size_t count;
};

static int one_range(void *ctx, const char *part)
{
	const char *dash = strchr(part, '-');
	struct ranges *r = ctx;
	char first[16];
	__be16 from, to;

	if (r->count == CONFIG_LIST_MAX || strlen(part) >= sizeof(first))
		return -EINVAL;
	snprintf(first, sizeof(first), "%.*s", dash ? (int)(dash - part) : (int)strlen(part), part);
	if (port_parse(first, &from, NULL) < 0 ||
	    port_parse(dash ? dash + 1 : first, &to, NULL) < 0 || ntohs(from) > ntohs(to))
		return -EINVAL;
	r->list[r->count++] = (struct config_ports){ntohs(from), ntohs(to)};
	return 0;
}

int value_ports(const char *value, struct config_ports *out, size_t *count, struct error *e)
{
	struct ranges r = {.count = 0};

	if (each_part(value, one_range, &r))
		return value_expected(e, value,
				      "a port from 1 to 65535, a range such as 1024-2047, or up to "
				      "16 of them with commas between");
	memcpy(out, r.list, sizeof(r.list));
	*count = r.count;
	return 0;
}

int value_name(const char *value, char **out, struct error *e)
{
	if (!config_name_ok(value))
		return value_expected(e, value, "the name of a space");
	return put_text(out, value, strlen(value));
}

int value_netns(const char *value, char **out, struct error *e)
{
	bool path = value[0] == '/';

	if ((!path && strpbrk(value, "/ \t")) || !strcmp(value, ".") || !strcmp(value, ".."))
		return value_expected(e, value,
				      "a name below /run/netns, an absolute path, or a process id");
	return put_text(out, value, strlen(value));
}
