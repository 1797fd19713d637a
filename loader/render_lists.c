// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "json_util.h"
#include "render.h"
#include "units.h"

static bool is_full(const json_t *row)
{
	const char *key;
	json_t *full;

	json_object_foreach(json_object_get(row, "full"), key, full)
		if (json_is_true(full))
			return true;
	return false;
}

static void sync_text(const json_t *row, const char *key, char *buf, size_t size)
{
	const char *why = json_get_text(row, "stale_reason");

	if (json_get_bool(row, key))
		snprintf(buf, size, "yes%s", is_full(row) ? " (full)" : "");
	else
		snprintf(buf, size, why ? "no (%s)" : "no", why);
}

static void gate_text(const json_t *row, const char *key, char *buf, size_t size)
{
	render_value(row, key, buf, size);
	if (!strcmp(buf, "absent"))
		snprintf(buf, size, "waits for its cgroup");
}

static void ike_text(const json_t *row, const char *key, char *buf, size_t size)
{
	const json_t *ike = json_object_get(row, key);
	const char *error = json_get_text(ike, "error"), *version = json_get_text(ike, "version");

	if (!ike)
		snprintf(buf, size, "-");
	else if (json_get_bool(ike, "up"))
		snprintf(buf, size, "%s", version ? version : "up");
	else
		snprintf(buf, size, error ? "down (%s)" : "down", error);
}

static void seconds_text(const json_t *row, const char *key, char *buf, size_t size)
{
	render_value(row, key, buf, size);
	if (strcmp(buf, "-"))
		snprintf(buf + strlen(buf), size - strlen(buf), "s");
}

/* A port, or those that its mask makes of it; "*" for any. */
static void port_text(const json_t *row, const char *key, char *buf, size_t size)
{
	const json_t *port = json_object_get(row, key);
	char mask_key[32];
	const char *mask;

	snprintf(mask_key, sizeof(mask_key), "%s-mask", key);
	mask = json_get_text(row, mask_key);
	if (!json_is_integer(port))
		snprintf(buf, size, "*");
	else
		ports_format(htons((uint16_t)json_integer_value(port)),
			     htons(mask ? (uint16_t)strtoul(mask, NULL, 16) : 0xffff), buf, size);
}

/* VALUE/MASK, as `ip xfrm` takes it. */
static void mark_text(const json_t *row, const char *key, char *buf, size_t size)
{
	const json_t *mark = json_object_get(row, key);
	const char *value = json_get_text(mark, "value"), *mask = json_get_text(mark, "mask");

	if (value && mask)
		snprintf(buf, size, "%s/%s", value, mask);
	else
		snprintf(buf, size, "-");
}

static void any_text(const json_t *row, const char *key, char *buf, size_t size)
{
	render_value(row, key, buf, size);
	if (!strcmp(buf, "-"))
		snprintf(buf, size, "*");
}

static size_t put_template(const json_t *t, char *buf, size_t size)
{
	char proto[32], mode[32], reqid[32], src[80], dst[80];
	const char *spi = json_get_text(t, "spi"), *level = json_get_text(t, "level");
	int n;

	render_value(t, "proto", proto, sizeof(proto));
	render_value(t, "mode", mode, sizeof(mode));
	render_value(t, "reqid", reqid, sizeof(reqid));
	render_value(t, "src", src, sizeof(src));
	render_value(t, "dst", dst, sizeof(dst));
	n = snprintf(buf, size, "%s/%s reqid %s %s → %s%s%s%s", proto, mode, reqid, src, dst,
		     spi ? " spi " : "", spi ? spi : "",
		     level && !strcmp(level, "use") ? " optional" : "");
	return (size_t)n < size ? (size_t)n : size - 1;
}

static void templates_text(const json_t *row, const char *key, char *buf, size_t size)
{
	const json_t *list = json_get_array(row, key), *t;
	size_t i, n = 0;

	snprintf(buf, size, "-");
	json_array_foreach(list, i, t) {
		if (i && n + 3 < size)
			n += snprintf(buf + n, size - n, ", ");
		n += put_template(t, buf + n, size - n);
	}
}

static const struct render_column gates[] = {
	{"GATE", "name", NULL, NULL},
	{"STATE", "state", gate_text, NULL},
	{"MODE", "settings.mode", NULL, NULL},
	{"SOURCE", "source", NULL, NULL},
	{"REFUSED", "counters.refused", NULL, NULL},
	{"AUDITED", "counters.audited", NULL, NULL},
	{"DROPPED", "counters.guard_dropped", NULL, NULL},
	{"CLOSED", "counters.closed", NULL, NULL},
	{"PROTECTED", "counters.verdicts.protected", NULL, NULL},
	{"CLEAR", "counters.verdicts.clear", NULL, NULL},
	{"WAIT", "counters.verdicts.wait", NULL, NULL},
	{"DENY", "counters.verdicts.deny", NULL, NULL},
	{"LOST", "counters.lost", NULL, NULL},
	{"CGROUP", "cgroup", NULL, NULL},
	{},
};

static const struct render_column spaces[] = {
	{"SPACE", "name", NULL, NULL},
	{"STATE", "state", NULL, NULL},
	{"SYNCED", "synced", sync_text, NULL},
	{"POLICIES", "policies", NULL, NULL},
	{"SAS", "sas", NULL, NULL},
	{"MASKS", "masks", NULL, NULL},
	{"REQUIREMENTS", "requirements", NULL, NULL},
	{"DEFAULT", "default", NULL, NULL},
	{"RESYNCS", "resyncs", NULL, NULL},
	{"OVERRUNS", "overruns", NULL, NULL},
	{"LAST-SYNC", "last_sync_s", seconds_text, NULL},
	{"QUEUE", "queue", NULL, "off"},
	{"IKE", "ike", ike_text, NULL},
	{},
};

static const struct render_column spd[] = {
	{"SPACE", "space", NULL, NULL},
	{"SRC", "src", NULL, NULL},
	{"DST", "dst", NULL, NULL},
	{"PROTO", "proto", any_text, NULL},
	{"SPORT", "sport", port_text, NULL},
	{"DPORT", "dport", port_text, NULL},
	{"DEV", "dev", NULL, "-"},
	{"MARK", "mark", mark_text, "-"},
	{"IF_ID", "if_id", NULL, "-"},
	{"DIR", "dir", NULL, NULL},
	{"PTYPE", "ptype", NULL, "main"},
	{"PRIORITY", "priority", NULL, NULL},
	{"INDEX", "index", NULL, NULL},
	{"ACTION", "action", NULL, NULL},
	{"TEMPLATES", "tmpl", templates_text, NULL},
	{},
};

static const struct render_column sad[] = {
	{"SPACE", "space", NULL, NULL},
	{"SRC", "src", NULL, NULL},
	{"DST", "dst", NULL, NULL},
	{"PROTO", "proto", NULL, NULL},
	{"SPI", "spi", NULL, NULL},
	{"REQID", "reqid", NULL, NULL},
	{"MODE", "mode", NULL, NULL},
	{"MARK", "mark", mark_text, "-"},
	{"IF_ID", "if_id", NULL, "-"},
	{"DIR", "dir", NULL, NULL},
	{"EXPIRES-IN", "expires_in", seconds_text, NULL},
	{},
};

static const struct render_column requirements[] = {
	{"REQUIREMENT", "name", NULL, NULL}, {"SOURCE", "source", NULL, NULL},
	{"SPACE", "space", NULL, NULL},	     {"TO", "to", any_text, NULL},
	{"FROM", "from", any_text, NULL},    {"PROTO", "proto", any_text, NULL},
	{"SPORT", "sport", any_text, NULL},  {"PORT", "port", any_text, NULL},
	{"CHILD", "child", NULL, NULL},	     {},
};

static const struct render_column negotiations[] = {
	{"SPACE", "space", NULL, NULL},
	{"FOR", "for", NULL, NULL},
	{"NAME", "name", NULL, NULL},
	{"INDEX", "index", NULL, NULL},
	{"PEER", "peer", NULL, NULL},
	{"CHILD", "child", NULL, NULL},
	{"STATE", "state", NULL, NULL},
	{"ATTEMPTS", "attempts", NULL, NULL},
	{"SINCE", "since_s", seconds_text, NULL},
	{"NEXT-TRY", "next_try_s", seconds_text, NULL},
	{"LAST-ERROR", "last_error", NULL, NULL},
	{},
};

static const struct render_column holds[] = {
	{"PROGRAM", "comm", NULL, NULL},
	{"PID", "pid", NULL, NULL},
	{"TID", "tid", NULL, NULL},
	{"GATE", "gate", NULL, NULL},
	{"SPACE", "space", NULL, NULL},
	{"PROTO", "flow.proto", NULL, NULL},
	{"DST", "flow.dst", NULL, NULL},
	{"DPORT", "flow.dport", NULL, NULL},
	{"SINCE", "since_s", seconds_text, NULL},
	{"LEFT", "left_s", seconds_text, NULL},
	{},
};

/* X(list) */
#define LISTS(X)      X(gates) X(spaces) X(spd) X(sad) X(requirements) X(negotiations) X(holds)
#define LIST_ENTRY(n) {#n, n},
#define LIST_NAME(n)  "|" #n

static const struct {
	const char *name;
	const struct render_column *columns;
} lists[] = {LISTS(LIST_ENTRY)};

const char *render_lists(void)
{
	return (LISTS(LIST_NAME)) + 1;
}

bool render_list(const char *what, const json_t *list)
{
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		if (strcmp(lists[i].name, what))
			continue;
		if (list)
			render_table(stdout, lists[i].columns, list);
		return true;
	}
	return false;
}
