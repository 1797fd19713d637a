// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "json_util.h"
#include "render.h"

/* X(path in the status, "name", "type", "help"). Of the daemon. */
#define DAEMON_METRICS(X)                                                                          \
	X("uptime_s", "sagate_uptime_seconds", "gauge", "Time since the daemon started.")          \
	X("healthy", "sagate_healthy", "gauge", "Whether the daemon has no problem to report.")    \
	X("negotiations.started", "sagate_negotiations_started_total", "counter",                  \
	  "Negotiations started.")                                                                 \
	X("negotiations.established", "sagate_negotiations_established_total", "counter",          \
	  "Negotiations that gave an SA.")                                                         \
	X("negotiations.failed", "sagate_negotiations_failed_total", "counter",                    \
	  "Negotiations that failed.")                                                             \
	X("negotiations.active", "sagate_negotiations_active", "gauge", "Negotiations under way.") \
	X("holds.waiting", "sagate_holds_waiting", "gauge", "Calls that wait (mode hold).")        \
	X("holds.parked", "sagate_holds_total", "counter",                                         \
	  "How often a thread was put to sleep for its call to wait.")                             \
	X("holds.passes", "sagate_holds_released_total", "counter",                                \
	  "Calls that went on because they may pass, or are denied.")                              \
	X("holds.timeout", "sagate_holds_timeout_total", "counter",                                \
	  "Calls that waited as long as they may.")                                                \
	X("holds.failed", "sagate_holds_failed_total", "counter",                                  \
	  "Calls whose negotiation failed.")                                                       \
	X("waits", "sagate_waits", "gauge", "Requests of `sagate wait` that wait.")                \
	X("lost_events", "sagate_events_lost_total", "counter",                                    \
	  "Events that came faster than they were served.")

/* Of each gate, label gate. */
#define GATE_METRICS(X)                                                                            \
	X("counters.refused", "sagate_gate_refused_total", "counter", "Calls that got an errno.")  \
	X("counters.audited", "sagate_gate_audited_total", "counter",                              \
	  "Calls that passed only because of mode audit.")                                         \
	X("counters.guard_dropped", "sagate_gate_guard_dropped_total", "counter",                  \
	  "Packets that the guard dropped.")                                                       \
	X("counters.guard_audited", "sagate_gate_guard_audited_total", "counter",                  \
	  "Packets that it let pass only because of mode audit.")                                  \
	X("counters.closed", "sagate_gate_closed_total", "counter",                                \
	  "Sockets that were closed because what protected them went (on-loss=close).")            \
	X("enforced", "sagate_gate_enforced", "gauge",                                             \
	  "Whether what the gate refuses is refused, tried with a call of its own.")               \
	X("counters.meddled", "sagate_gate_meddled_total", "counter",                              \
	  "How often others detached, replaced or undid the gate's programs.")                     \
	X("counters.events", "sagate_gate_events_total", "counter",                                \
	  "Events put into the ring buffer.")                                                      \
	X("counters.lost", "sagate_gate_events_lost_total", "counter",                             \
	  "Events that came faster than the gate was served.")                                     \
	X("counters.not_negotiated", "sagate_gate_not_negotiated_total", "counter",                \
	  "Events that started no negotiation because of negotiations-max.")

/* Of each space, label space. */
#define SPACE_METRICS(X)                                                                           \
	X("synced", "sagate_space_synced", "gauge", "Whether the mirror is to be trusted.")        \
	X("policies", "sagate_space_policies", "gauge", "Policies mirrored.")                      \
	X("sas", "sagate_space_sas", "gauge", "SAs mirrored.")                                     \
	X("masks", "sagate_space_masks", "gauge", "Selector shapes in use.")                       \
	X("requirements", "sagate_space_requirements", "gauge", "Requirements in force.")          \
	X("default_restored", "sagate_space_default_restored_total", "counter",                    \
	  "How often somebody else let the kernel's default policy pass (default-block).")         \
	X("resyncs", "sagate_space_resyncs_total", "counter", "Snapshots taken.")                  \
	X("overruns", "sagate_space_overruns_total", "counter", "Netlink overruns.")               \
	X("not_stored", "sagate_space_not_stored", "gauge",                                        \
	  "Entries that do not fit into the maps: the space's flows are refused.")                 \
	X("last_sync_s", "sagate_space_last_sync_seconds", "gauge",                                \
	  "Time since the last snapshot of the kernel; none before the first.")                    \
	X("ike.up", "sagate_ike_up", "gauge", "Whether the IKE daemon answers.")                   \
	X("ike.children", "sagate_ike_children", "gauge", "Children of loaded connections.")

struct metric {
	const char *path, *name, *type, *help;
};

#define METRIC(p, n, t, h) {p, n, t, h},

static const struct metric daemon_metrics[] = {DAEMON_METRICS(METRIC)};
static const struct metric gate_metrics[] = {GATE_METRICS(METRIC)};
static const struct metric space_metrics[] = {SPACE_METRICS(METRIC)};

static void put_label(const char *name, const char *value)
{
	printf("%s=\"", name);
	for (; *value; value++) {
		if (*value == '\n')
			fputs("\\n", stdout);
		else if (*value == '"' || *value == '\\')
			printf("\\%c", *value);
		else
			putchar(*value);
	}
	putchar('"');
}

static void put_head(const struct metric *m)
{
	printf("# HELP %s %s\n# TYPE %s %s\n", m->name, m->help, m->name, m->type);
}

/* A truth as 0 or 1; anything that is no number is left out. */
static bool is_sample(const json_t *v)
{
	return json_is_number(v) || json_is_boolean(v);
}

static void put_sample(const json_t *v)
{
	if (json_is_real(v))
		printf(" %.9g\n", json_real_value(v));
	else if (json_is_integer(v))
		printf(" %" JSON_INTEGER_FORMAT "\n", json_integer_value(v));
	else
		printf(" %d\n", json_is_true(v));
}

static void put_daemon(const json_t *status)
{
	const json_t *v;

	for (size_t i = 0; i < sizeof(daemon_metrics) / sizeof(daemon_metrics[0]); i++) {
		v = render_find(status, daemon_metrics[i].path);
		if (!is_sample(v))
			continue;
		put_head(&daemon_metrics[i]);
		printf("%s", daemon_metrics[i].name);
		put_sample(v);
	}
}

/* One sample a row of `list`, labelled with its name. */
static void put_rows(const struct metric *m, const json_t *list, const char *label)
{
	const json_t *row, *v;
	size_t i;

	put_head(m);
	json_array_foreach(list, i, row) {
		v = render_find(row, m->path);
		if (!is_sample(v))
			continue;
		printf("%s{", m->name);
		put_label(label, json_get_text(row, "name") ?: "");
		putchar('}');
		put_sample(v);
	}
}

/* One sample a key of an object in each row: verdicts, reasons. */
static void put_keyed(const struct metric *m, const json_t *rows, const char *row_label,
		      const char *label)
{
	const json_t *row;
	const char *key;
	json_t *value;
	size_t i;

	put_head(m);
	json_array_foreach(rows, i, row) {
		json_object_foreach((json_t *)render_find(row, m->path), key, value) {
			if (!is_sample(value))
				continue;
			printf("%s{", m->name);
			put_label(row_label, json_get_text(row, "name") ?: "");
			putchar(',');
			put_label(label, key);
			putchar('}');
			put_sample(value);
		}
	}
}

static void put_attached(const json_t *gates)
{
	static const struct metric m = {"", "sagate_gate_attached", "gauge",
					"Whether the gate's cgroup is there and attached."};
	const json_t *gate;
	size_t i;

	put_head(&m);
	json_array_foreach(gates, i, gate) {
		printf("%s{", m.name);
		put_label("gate", json_get_text(gate, "name") ?: "");
		printf("} %d\n", !strcmp(json_get_text(gate, "state") ?: "", "attached"));
	}
}

static void put_info(const json_t *status)
{
	static const struct metric m = {"", "sagate_info", "gauge",
					"Version of the daemon and ABI of its pinned maps."};
	char abi[32];

	render_value(status, "abi", abi, sizeof(abi));
	put_head(&m);
	printf("%s{", m.name);
	put_label("version", json_get_text(status, "version") ?: "");
	putchar(',');
	put_label("abi", abi);
	printf("} 1\n");
}

static void put_peer(const char *what, const json_t *row)
{
	printf("sagate_sa_seconds_%s{", what);
	put_label("space", json_get_text(row, "space") ?: "");
	putchar(',');
	put_label("peer", json_get_text(row, "peer") ?: "");
}

static void put_times(const json_t *times)
{
	static const struct metric m = {"", "sagate_sa_seconds", "histogram",
					"Time from the start of a negotiation to its SA, by peer."};
	const json_t *row, *count;
	const char *le;
	json_t *value;
	size_t i;

	put_head(&m);
	json_array_foreach(times, i, row) {
		count = json_object_get(row, "count");
		json_object_foreach(json_object_get(row, "buckets"), le, value) {
			put_peer("bucket", row);
			putchar(',');
			put_label("le", le);
			putchar('}');
			put_sample(value);
		}
		put_peer("bucket", row);
		printf(",le=\"+Inf\"}");
		put_sample(count);
		put_peer("sum", row);
		putchar('}');
		put_sample(json_object_get(row, "sum_s"));
		put_peer("count", row);
		putchar('}');
		put_sample(count);
	}
}

void render_metrics(const json_t *status)
{
	static const struct metric verdicts = {"counters.verdicts", "sagate_verdicts_total",
					       "counter", "Decisions by verdict."};
	static const struct metric reasons = {"counters.reasons", "sagate_reasons_total", "counter",
					      "Decisions by reason."};
	static const struct metric full = {
		"full", "sagate_space_full", "gauge",
		"Whether the map of this option has no room for all of the space."};
	const json_t *gates = json_get_array(status, "gates");
	const json_t *spaces = json_get_array(status, "spaces");

	put_info(status);
	put_daemon(status);
	put_times(json_get_array(status, "sa_times"));
	put_attached(gates);
	for (size_t i = 0; i < sizeof(gate_metrics) / sizeof(gate_metrics[0]); i++)
		put_rows(&gate_metrics[i], gates, "gate");
	put_keyed(&verdicts, gates, "gate", "verdict");
	put_keyed(&reasons, gates, "gate", "reason");
	for (size_t i = 0; i < sizeof(space_metrics) / sizeof(space_metrics[0]); i++)
		put_rows(&space_metrics[i], spaces, "space");
	put_keyed(&full, spaces, "space", "option");
}
