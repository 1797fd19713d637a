// SPDX-License-Identifier: GPL-2.0-only
/* The daemon's side of the control commands. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "boot_time.h"
#include "cgroup.h"
#include "daemon_internal.h"
#include "flow_json.h"
#include "json_util.h"
#include "space_full.h"

/* A daemon that is not ready for so long has a problem, which status tells. */
#define STARTING_NS 10000000000ULL

static json_t *settings_json(const struct gate_settings *s)
{
	const char *waiting = errno_name(s->errno_waiting), *failed = errno_name(s->errno_failed),
		   *denied = errno_name(s->errno_denied);

	return json_pack("{s:s s:s s:s s:s? s:s? s:s? s:s s:f s:s s:f s:I s:I s:s s:s}", "mode",
			 mode_name(s->mode), "no-policy", s->allow_no_policy ? "allow" : "deny",
			 "stale", s->stale_open ? "open" : "closed", "errno-waiting", waiting,
			 "errno-failed", failed, "errno-denied", denied, "spd",
			 s->spd_netns ? "host" : "own", "hold-timeout", s->hold_timeout / 1e3,
			 "hold-nonblocking", nonblocking_name(s->hold_nonblocking),
			 "hold-nonblocking-timeout", s->hold_nonblocking_timeout / 1e3, "hold-max",
			 (json_int_t)s->hold_max, "negotiations-max",
			 (json_int_t)s->negotiations_max, "guard", s->guard_off ? "off" : "on",
			 "on-loss", s->close_on_loss ? "close" : "keep");
}

static json_t *counters_json(const struct daemon *d, const struct gate *gate)
{
	json_t *verdicts = json_object(), *reasons = json_object(), *unheld = json_object();
	struct gate_counters c = {};

	if (gate->cgroup_id)
		bpf_counters_get(d->bpf, gate->cgroup_id, &c);
	for (int i = 0; i < VERDICT_COUNT; i++)
		json_object_set_new(verdicts, verdict_name(i), json_integer(c.verdict[i]));
	for (int i = 0; i < REASON_COUNT; i++)
		if (c.reason[i])
			json_object_set_new(reasons, reason_name(i), json_integer(c.reason[i]));
	for (int i = UNHELD_NOT + 1; i < UNHELD_COUNT; i++)
		if (c.unheld[i])
			json_object_set_new(unheld, unheld_name(i), json_integer(c.unheld[i]));
	return json_pack("{s:I s:I s:I s:I s:I s:o s:I s:I s:I s:I s:I s:o s:o}", "refused",
			 (json_int_t)c.refused, "audited", (json_int_t)c.audited, "events",
			 (json_int_t)c.events, "lost", (json_int_t)(c.lost + gate->lost), "held",
			 (json_int_t)c.held, "unheld", unheld, "guard_dropped",
			 (json_int_t)c.guard_dropped, "guard_audited", (json_int_t)c.guard_audited,
			 "closed", (json_int_t)gate->closed, "meddled", (json_int_t)gate->meddled,
			 "not_negotiated", (json_int_t)gate->not_negotiated, "verdicts", verdicts,
			 "reasons", reasons);
}

json_t *gate_to_json(const struct daemon *d, const struct gate *gate)
{
	json_t *o = json_pack(
		"{s:s s:I s:s s:s s:s? s:o s:o}", "name", gate->name, "cgroup_id",
		(json_int_t)gate->cgroup_id, "state", gate_state_name(gate_state(gate)), "source",
		gate_source_name(gate->source), "problem", gate->problem[0] ? gate->problem : NULL,
		"settings", settings_json(&gate->settings), "counters", counters_json(d, gate));

	if (o) {
		json_object_set_new(o, "cgroup", json_text(gate->cgroup));
		json_object_set_new(o, "enforced",
				    gate->probed ? json_boolean(!gate->undone[0]) : json_null());
		json_object_set_new(o, "container",
				    gate->container[0] ? json_string(gate->container)
						       : json_null());
	}
	return o;
}

/* Settings out of a request: the defaults, and what was given. */
static int settings_of(struct daemon *d, const json_t *args, struct gate_settings *out,
		       struct error *e)
{
	struct gate_config config = d->config->defaults;
	const json_t *settings = json_object_get(args, "settings");
	const char *key;
	json_t *value;
	int err;

	json_object_foreach((json_t *)settings, key, value) {
		if (!json_is_string(value))
			return error_set(e, -EINVAL, "bad-request",
					 "settings: %s: text is expected", key);
		err = config_settings_set(&config, key, json_string_value(value), e);
		if (err)
			return err;
	}
	gate_settings_make(d, &config, out);
	return 0;
}

static int do_attach(struct daemon *d, const json_t *args, json_t **result, struct error *e)
{
	const char *name = json_get_text(args, "name"), *cgroup = json_get_text(args, "cgroup"),
		   *container = json_get_text(args, "container");
	struct gate_settings settings;
	int err;

	if (!name || !config_name_ok(name) || !cgroup)
		return error_set(e, -EINVAL, "bad-request", "attach: name and cgroup are expected");
	err = settings_of(d, args, &settings, e);
	if (!err && cgroup_is_root(cgroup) && !json_get_bool(args, "root"))
		err = error_set(e, -EINVAL, "root-cgroup",
				"%s: is the root of all cgroups: a gate there is for every program "
				"of this host; say --root if that is meant",
				cgroup);
	if (!err)
		settings.own_space = daemon_container_space(d, name);
	if (!err && container)
		err = daemon_attach_container(d, name, cgroup, container, &settings, e);
	else if (!err)
		err = gates_attach(d->gates, name, cgroup,
				   json_get_bool(args, "transient") ? GATE_RUN : GATE_COMMAND,
				   &settings, e);
	daemon_gates_changed(d);
	if (!err)
		*result = gate_to_json(d, gates_find(d->gates, name));
	return err;
}

static int do_detach(struct daemon *d, const json_t *args, json_t **result, struct error *e)
{
	const char *name = json_get_text(args, "name"),
		   *container = json_get_text(args, "container");
	struct gate *gate;
	int err;

	if (container && container[0]) {
		*result = daemon_detach_container(d, container);
		return 0;
	}
	if (!name)
		return error_set(e, -EINVAL, "bad-request", "detach: a name is expected");
	gate = gates_find(d->gates, name);
	if (gate && gate->source == GATE_CONFIG)
		return error_set(e, -EBUSY, "gate-configured",
				 "gate %s is in the configuration: remove it there and reload",
				 name);
	err = gates_detach(d->gates, name, e);
	daemon_gates_changed(d);
	if (!err)
		*result = json_pack("{s:s}", "name", name);
	return err;
}

static json_t *gates_json(struct daemon *d)
{
	json_t *list = json_array();
	struct gate *gate;

	LL_FOREACH(gates_first(d->gates), gate)
		json_array_append_new(list, gate_to_json(d, gate));
	return list;
}

static __attribute__((format(printf, 2, 3))) void problem(json_t *list, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_array_append_new(list, json_text(text));
}

/* Selectors that were not understood are not required; the first child that has some, and how many.
 */
static void selectors_problem(json_t *list, const struct space *s)
{
	const struct ike_child *children, *first = NULL;
	size_t n = 0, count = 0;

	children = s->ike ? ike_bridge_children(s->ike, &n, NULL) : NULL;
	for (size_t i = 0; i < n; i++) {
		if (!children[i].left_out)
			continue;
		if (!first)
			first = &children[i];
		count++;
	}
	if (first)
		problem(list,
			"space %s: %zu traffic selectors of child %s/%s (and of %zu others) are not "
			"understood or too many: what they cover is not required before its policy "
			"is there",
			s->name, first->left_out, first->conn, first->name, count - 1);
}

static void full_problem(json_t *list, const struct space *s, const struct space *all)
{
	const __u8 full = space_full(s);
	char text[SPACE_FULL_TEXT];

	for (const struct space_full *f = space_fulls; f->bit; f++)
		if (full & f->bit)
			problem(list, "space %s: %s", s->name,
				space_full_text(s, all, f, text, sizeof(text)));
}

/* What an operator has to know, each with the object and what follows. */
static json_t *problems_json(struct daemon *d)
{
	json_t *list = json_array();
	struct gate *gate;
	struct space *s;

	for (size_t i = 0; i < d->config->space_count; i++)
		if (d->space_errors[i].message[0])
			problem(list, "space %s: %s: its flows are refused",
				d->config->spaces[i].name, d->space_errors[i].message);
	LL_FOREACH(d->spaces, s) {
		if (!space_synced(s))
			problem(list, "space %s is not in step with the kernel: its flows wait",
				s->name);
		if (s->ike && !ike_bridge_up(s->ike) && d->config->trigger == TRIGGER_VICI)
			problem(list, "space %s: no IKE daemon at %s: %s: no SA can be negotiated",
				s->name, s->vici, s->ike_problem);
		if (d->config->require_children)
			selectors_problem(list, s);
		full_problem(list, s, d->spaces);
	}
	LL_FOREACH(gates_first(d->gates), gate) {
		if (gate_state(gate) == GATE_FAILED)
			problem(list, "gate %s is not attached: %s", gate->name, gate->problem);
		if (gate->undone[0])
			problem(list, "gate %s: %s", gate->name, gate->undone);
	}
	return list;
}

static json_int_t lost_events(struct daemon *d)
{
	struct gate_counters c;
	struct gate *gate;
	json_int_t lost = 0;

	LL_FOREACH(gates_first(d->gates), gate)
		if (gate->cgroup_id && !bpf_counters_get(d->bpf, gate->cgroup_id, &c))
			lost += c.lost + gate->lost;
	return lost;
}

static json_t *holds_status(const struct daemon *d)
{
	const struct hold_stats *stats = holds_stats(d->holds);
	json_t *o = json_pack("{s:I s:I s:I}", "waiting", (json_int_t)stats->waiting, "parked",
			      (json_int_t)stats->parked, "no_room", (json_int_t)stats->refused);

	for (int i = 0; o && i < HOLD_END_COUNT; i++)
		json_object_set_new(o, hold_end_name(i), json_integer((json_int_t)stats->ended[i]));
	return o;
}

static const char *config_path(const struct daemon *d)
{
	return d->config_path ? d->config_path : CONFIG_PATH;
}

static int do_reload(struct daemon *d, json_t **result, struct error *e)
{
	int err = daemon_reload(d, e);

	if (!err)
		*result = json_pack("{s:o s:o}", "config", json_text(config_path(d)), "problems",
				    problems_json(d));
	return err;
}

static int do_status(struct daemon *d, json_t **result)
{
	const struct negotiation_stats *n = negotiations_stats(d->negotiations);
	json_t *problems = problems_json(d);

	*result =
		json_pack("{s:s s:i s:i s:f s:s s:s? s:b s:b s:o s:o s:o s:{s:I s:I s:I s:I} s:I}",
			  "version", SAGATE_VERSION, "abi", SAGATE_ABI, "pid", (int)getpid(),
			  "uptime_s", (boot_ns() - d->started) / 1e9, "pin", bpf_pin_path(d->bpf),
			  "config", config_path(d), "ready", d->ready, "healthy",
			  d->ready && !json_array_size(problems), "problems", problems, "spaces",
			  daemon_spaces_json(d), "gates", gates_json(d), "negotiations", "started",
			  (json_int_t)n->started, "established", (json_int_t)n->established,
			  "failed", (json_int_t)n->failed, "active", (json_int_t)n->active,
			  "lost_events", lost_events(d));
	json_object_set_new(*result, "holds", holds_status(d));
	json_object_set_new(*result, "lsm_missing",
			    bpf_lsm_missing(d->bpf)[0] ? json_text(bpf_lsm_missing(d->bpf))
						       : json_null());
	json_object_set_new(*result, "sa_times", negotiations_times(d->negotiations));
	json_object_set_new(*result, "waits", json_integer((json_int_t)d->wait_count));
	return 0;
}

/* Requirements of one space, or of all one after the other. */
static json_t *show_requirements(struct daemon *d, const char *name)
{
	json_t *list = json_array(), *part, *entry;
	struct space *s;
	size_t i;

	LL_FOREACH(d->spaces, s) {
		if (name && strcmp(s->name, name))
			continue;
		part = requirements_to_json(s->requirements, s->name);
		json_array_foreach(part, i, entry)
			json_object_set_new(entry, "space", json_string(s->name));
		json_array_extend(list, part);
		json_decref(part);
	}
	return list;
}

/* Lists that --space narrows. */
static int show_of_space(struct daemon *d, const char *what, const char *name, json_t **result,
			 struct error *e)
{
	if (name && !daemon_space(d, name))
		return error_set(e, -ENOENT, "no-such-space",
				 "space %s: there is none (sagate show spaces)", name);
	if (strcmp(what, "requirements"))
		return daemon_show_entries(d, !strcmp(what, "sad"), name, e);
	*result = show_requirements(d, name);
	return 0;
}

static int do_show(struct daemon *d, const json_t *args, json_t **result, struct error *e)
{
	const char *what = json_get_text(args, "what");

	if (!what)
		what = "";
	if (!strcmp(what, "gates"))
		*result = gates_json(d);
	else if (!strcmp(what, "spaces"))
		*result = daemon_spaces_json(d);
	else if (!strcmp(what, "negotiations"))
		*result = negotiations_to_json(d->negotiations);
	else if (!strcmp(what, "holds"))
		*result = holds_to_json(d->holds);
	else if (!strcmp(what, "spd") || !strcmp(what, "sad") || !strcmp(what, "requirements"))
		return show_of_space(d, what, json_get_text(args, "space"), result, e);
	else
		return error_set(e, -EINVAL, "bad-request", "show %s: there is no such thing",
				 what);
	return 0;
}

/*
 * Who asks for the state gets it when there is one; after a while also when it is bad. Gates can be
 * attached at once: they refuse until then.
 */
static bool is_starting(const struct daemon *d, const char *command)
{
	if (!d->ring)
		return true;
	return !d->ready && boot_ns() - d->started < STARTING_NS && strcmp(command, "attach") &&
	       strcmp(command, "detach") && strcmp(command, "reload") && strcmp(command, "doctor");
}

static int handle(void *ctx, const char *command, const json_t *args, json_t **result,
		  struct error *e)
{
	struct daemon *d = ctx;

	if (is_starting(d, command))
		return error_set(
			e, -EAGAIN, "starting",
			"the daemon is starting: its first snapshot is not in yet, try again");
	if (!strcmp(command, "status"))
		return do_status(d, result);
	if (!strcmp(command, "attach"))
		return do_attach(d, args, result, e);
	if (!strcmp(command, "detach"))
		return do_detach(d, args, result, e);
	if (!strcmp(command, "reload"))
		return do_reload(d, result, e);
	if (!strcmp(command, "show"))
		return do_show(d, args, result, e);
	if (!strcmp(command, "explain"))
		return daemon_explain(d, args, result, e);
	if (!strcmp(command, "wait"))
		return daemon_wait(d, args, result, e);
	if (!strcmp(command, "doctor")) {
		daemon_doctor(d);
		return 0;
	}
	return error_set(e, -EINVAL, "bad-request", "%.64s: there is no such command", command);
}

static void left(void *ctx, uint64_t request)
{
	daemon_wait_left(ctx, request);
}

const struct control_ops daemon_control_ops = {.handle = handle, .left = left};
