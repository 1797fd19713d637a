// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "json_util.h"
#include "render.h"

static void sync_text(const json_t *row, const char *key, char *buf, size_t size)
{
	const char *why = json_get_text(row, "stale_reason");

	if (json_get_bool(row, key))
		snprintf(buf, size, json_get_int(row, "not_stored", 0) ? "yes (full)" : "yes");
	else
		snprintf(buf, size, why ? "no (%s)" : "no", why);
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

/* A port as number, with its mask when it has one; "*" for any. */
static void port_text(const json_t *row, const char *key, char *buf, size_t size)
{
	char mask_key[32];
	const char *mask;

	render_value(row, key, buf, size);
	if (!strcmp(buf, "-"))
		snprintf(buf, size, "*");
	snprintf(mask_key, sizeof(mask_key), "%s-mask", key);
	mask = json_get_text(row, mask_key);
	if (mask)
		snprintf(buf + strlen(buf), size - strlen(buf), "/%s", mask);
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
	{"GATE", "name", NULL},
	{"STATE", "state", NULL},
	{"MODE", "settings.mode", NULL},
	{"SOURCE", "source", NULL},
	{"REFUSED", "counters.refused", NULL},
	{"AUDITED", "counters.audited", NULL},
	{"PROTECTED", "counters.verdicts.protected", NULL},
	{"CLEAR", "counters.verdicts.clear", NULL},
	{"WAIT", "counters.verdicts.wait", NULL},
	{"DENY", "counters.verdicts.deny", NULL},
	{"LOST", "counters.lost", NULL},
	{"CGROUP", "cgroup", NULL},
	{},
};

static const struct render_column spaces[] = {
	{"SPACE", "name", NULL},
	{"STATE", "state", NULL},
	{"SYNCED", "synced", sync_text},
	{"POLICIES", "policies", NULL},
	{"SAS", "sas", NULL},
	{"MASKS", "masks", NULL},
	{"REQUIREMENTS", "requirements", NULL},
	{"DEFAULT", "default", NULL},
	{"RESYNCS", "resyncs", NULL},
	{"OVERRUNS", "overruns", NULL},
	{"LAST-SYNC", "last_sync_s", seconds_text},
	{"IKE", "ike", ike_text},
	{},
};

static const struct render_column spd[] = {
	{"SPACE", "space", NULL},
	{"SRC", "src", NULL},
	{"DST", "dst", NULL},
	{"PROTO", "proto", any_text},
	{"SPORT", "sport", port_text},
	{"DPORT", "dport", port_text},
	{"DIR", "dir", NULL},
	{"PRIORITY", "priority", NULL},
	{"INDEX", "index", NULL},
	{"ACTION", "action", NULL},
	{"TEMPLATES", "tmpl", templates_text},
	{},
};

static const struct render_column sad[] = {
	{"SPACE", "space", NULL},
	{"SRC", "src", NULL},
	{"DST", "dst", NULL},
	{"PROTO", "proto", NULL},
	{"SPI", "spi", NULL},
	{"REQID", "reqid", NULL},
	{"MODE", "mode", NULL},
	{"DIR", "dir", NULL},
	{"EXPIRES-IN", "expires_in", seconds_text},
	{},
};

static const struct render_column requirements[] = {
	{"REQUIREMENT", "name", NULL}, {"SOURCE", "source", NULL}, {"SPACE", "space", NULL},
	{"TO", "to", any_text},	       {"FROM", "from", any_text}, {"PROTO", "proto", any_text},
	{"PORT", "port", any_text},    {"CHILD", "child", NULL},   {},
};

static const struct render_column negotiations[] = {
	{"SPACE", "space", NULL},
	{"FOR", "for", NULL},
	{"NAME", "name", NULL},
	{"INDEX", "index", NULL},
	{"PEER", "peer", NULL},
	{"CHILD", "child", NULL},
	{"STATE", "state", NULL},
	{"ATTEMPTS", "attempts", NULL},
	{"SINCE", "since_s", seconds_text},
	{"NEXT-TRY", "next_try_s", seconds_text},
	{"LAST-ERROR", "last_error", NULL},
	{},
};

static const struct render_column holds[] = {
	{"PROGRAM", "comm", NULL},
	{"PID", "pid", NULL},
	{"TID", "tid", NULL},
	{"GATE", "gate", NULL},
	{"SPACE", "space", NULL},
	{"PROTO", "flow.proto", NULL},
	{"DST", "flow.dst", NULL},
	{"DPORT", "flow.dport", NULL},
	{"SINCE", "since_s", seconds_text},
	{"LEFT", "left_s", seconds_text},
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
