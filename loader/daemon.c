// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <systemd/sd-daemon.h>
#include <utlist.h>

#include "boot_time.h"
#include "cgroup_dynmods.h"
#include "cleanup.h"
#include "confine.h"
#include "daemon.h"
#include "daemon_internal.h"
#include "log.h"
#include "netns.h"
#include "rooms.h"
#include "space_full.h"

enum { HEARTBEAT_USEC = 1000000, DAEMON_NICE = -15 };

void daemon_publish(struct daemon *d, json_t *event)
{
	struct timeval now;

	if (d->control && control_watchers(d->control)) {
		gettimeofday(&now, NULL);
		json_object_set_new(event, "time", json_real(now.tv_sec + now.tv_usec / 1e6));
		control_publish(d->control, event);
	}
	json_decref(event);
}

bool daemon_watched(const void *ctx)
{
	const struct daemon *d = ctx;

	return d->control && control_watchers(d->control);
}

static void on_negotiation_failed(void *ctx, const struct neg_key *key)
{
	struct daemon *d = ctx;

	holds_failed(d->holds, key);
}

static void on_negotiation(void *ctx, json_t *event)
{
	daemon_publish(ctx, json_incref(event));
}

/* What happened in the SAD or SPD, for watchers. */
static const char *change_name(const struct xfrm_change *change)
{
	switch (change->kind) {
	case CHANGE_SA_PUT:
		return "new";
	case CHANGE_SA_UPDATE:
		return "updated";
	case CHANGE_SA_DEL:
		return "deleted";
	case CHANGE_SA_SOFT_EXPIRED:
		return "soft-expired";
	case CHANGE_SA_EXPIRED:
		return "expired";
	case CHANGE_SA_FLUSH:
		return "flushed";
	default:
		return NULL;
	}
}

static void on_changed(void *ctx, struct space *s, enum mirror_what what,
		       const struct xfrm_change *change)
{
	struct daemon *d = ctx;
	char text[UNITS_TEXT], spi[16];
	json_t *o;

	if (what == MIRROR_DEFAULT)
		daemon_keep_default(d, s);
	if (what != MIRROR_SA || !change || !change_name(change) || !daemon_watched(d))
		return;
	o = json_pack("{s:s s:s s:s}", "event", "sa", "change", change_name(change), "space",
		      s->name);
	if (o && change->kind != CHANGE_SA_FLUSH) {
		snprintf(spi, sizeof(spi), "0x%08x", be32toh(change->sa.spi));
		json_object_set_new(o, "spi", json_string(spi));
		json_object_set_new(o, "dst",
				    json_string(addr_format(change->sa.family, change->sa.daddr,
							    text, sizeof(text))));
		json_object_set_new(o, "reqid", json_integer(change->sa.reqid));
	}
	daemon_publish(d, o);
}

static void on_synced(void *ctx, struct space *s, bool synced)
{
	if (synced)
		log_info("space %s: in step with the kernel again", s->name);
	else
		log_warning("space %s: something was missed: its flows wait for a new snapshot",
			    s->name);
	daemon_publish(ctx, json_pack("{s:s s:s s:b}", "event", "sync", "space", s->name, "synced",
				      synced));
	if (synced)
		daemon_losses_look(ctx, s);
}

/* Something no longer fits into the maps, or does so again. */
static void note_full(struct daemon *d, struct space *s)
{
	__u8 full = space_full(s), changed = full ^ s->full_told;
	char text[SPACE_FULL_TEXT];

	s->full_told = full;
	daemon_room_note(d, s);
	for (const struct space_full *f = space_fulls; f->bit; f++) {
		if (!(changed & f->bit))
			continue;
		if (full & f->bit)
			log_error("space %s: %s", s->name,
				  space_full_text(s, d->spaces, f, text, sizeof(text)));
		else
			log_notice("space %s: all of its %s fit into the map again", s->name,
				   f->what);
	}
	if (changed)
		daemon_publish(d, json_pack("{s:s s:s s:b}", "event", "sync", "space", s->name,
					    "full", full != 0));
}

static void on_settled(void *ctx, struct space *s)
{
	struct daemon *d = ctx;

	holds_settled(d->holds, s->slot); /* first: somebody waits */
	note_full(d, s);
	negotiations_settled(d->negotiations, s);
	daemon_waits_settled(d, s);
	daemon_losses_look(d, s);
}

/* An earlier daemon's exemptions, of IKE daemons that are no more. */
static void forget_ike_daemons(struct daemon *d)
{
	__u32 pids[SPACES_MAX];
	size_t count = 0;
	struct space *s;

	LL_FOREACH(d->spaces, s)
		if (s->ike_pid && count < SPACES_MAX)
			pids[count++] = s->ike_pid;
	bpf_ike_daemons_keep(d->bpf, pids, count);
}

/* Ready when each space's first snapshot is in the maps. */
static void on_committed(void *ctx, struct space *s)
{
	struct daemon *d = ctx;

	daemon_publish(d,
		       json_pack("{s:s s:s s:b}", "event", "sync", "space", s->name, "synced", 1));
	note_full(d, s);
	daemon_queues(d);
	holds_decide_anew(d->holds); /* its negotiations can start now */
	daemon_losses_look(d, s);
	if (d->ready)
		return;
	LL_FOREACH(d->spaces, s)
		if (!s->committed)
			return;
	d->ready = true;
	forget_ike_daemons(d);
	if (bpf_space_prune(d->bpf))
		log_info("spaces of an earlier configuration are forgotten");
	sd_notify(0, "READY=1");
	log_notice("ready: control socket %s", d->config->control);
}

static void on_outcome(void *ctx, struct space *s, uint64_t id, int err, const char *why)
{
	struct daemon *d = ctx;

	negotiations_outcome(d->negotiations, s, id, err, why);
}

static void on_alert(void *ctx, struct space *s, const char *conn, const char *type,
		     const char *text)
{
	struct daemon *d = ctx;

	negotiations_alert(d->negotiations, s, conn, type, text);
}

static const struct space_ops space_ops = {
	.committed = on_committed,
	.synced = on_synced,
	.changed = on_changed,
	.settled = on_settled,
	.outcome = on_outcome,
	.alert = on_alert,
};

void gate_settings_make(const struct daemon *d, const struct gate_config *in,
			struct gate_settings *out)
{
	memset(out, 0, sizeof(*out));
	out->mode = in->mode;
	out->allow_no_policy = in->allow_no_policy;
	out->stale_open = in->stale_open;
	out->errno_waiting = in->errno_waiting;
	out->errno_failed = in->errno_failed;
	out->errno_denied = in->errno_denied;
	out->hold_timeout = in->hold_timeout / 1000000;
	out->hold_nonblocking = in->hold_nonblocking;
	out->hold_nonblocking_timeout = in->hold_nonblocking_timeout / 1000000;
	out->hold_max = in->hold_max;
	out->negotiations_max = in->negotiations_max;
	out->guard_off = in->guard_off;
	out->close_on_loss = in->close_on_loss;
	if (in->spd_host)
		out->spd_netns = d->spaces->netns;
}

/* Also of a gate whose cgroup is still to come. */
static void update_kick(struct daemon *d)
{
	struct error e = {};
	struct gate *gate;
	bool hold = false;

	LL_FOREACH(gates_first(d->gates), gate)
		hold |= gate->settings.mode == MODE_HOLD;
	if (bpf_kick_wanted(d->bpf, hold, &e))
		log_error("no call is held, all are rejected: %s", e.message);
	if (!bpf_signals_watch(d->bpf, hold) && hold)
		log_notice("signals are not seen as they come: calls that are held are looked at "
			   "in turn");
	if (hold && !d->dynmods_tried) {
		d->dynmods_tried = true;
		if (cgroup_dynmods_on())
			return;
		if (cgroup_dynmods_set(&e))
			log_warning("%s: calls that are held use the CPU for some milliseconds "
				    "until they sleep",
				    e.message);
		else
			log_notice("the cgroup file system has the option favordynmods now: "
				   "threads are put to sleep without delay");
	}
}

void daemon_gates_changed(struct daemon *d)
{
	update_kick(d);
	daemon_queues(d);
	holds_decide_anew(d->holds);
	daemon_losses_look(d, NULL);
}

static void attach_gates(struct daemon *d)
{
	gates_reload_begin(d->gates);
	for (size_t i = 0; i < d->config->gate_count; i++) {
		const struct config_gate *in = &d->config->gates[i];
		struct gate_settings settings;
		struct error e = {};

		gate_settings_make(d, &in->settings, &settings);
		if (gates_attach(d->gates, in->name, in->cgroup, GATE_CONFIG, &settings, &e))
			log_error("gate \"%s\" of the configuration: %s", in->name, e.message);
	}
	gates_reload_end(d->gates);
	daemon_gates_changed(d);
}

static struct negotiation_options negotiation_options_of(const struct config *config)
{
	return (struct negotiation_options){
		.timeout_ns = config->ike_timeout,
		.backoff_min_ns = config->backoff_min,
		.backoff_max_ns = config->backoff_max,
		.acquire = config->trigger == TRIGGER_ACQUIRE,
	};
}

static int reload(struct daemon *d, struct error *e)
{
	struct negotiation_options options;
	struct config config = {};
	int err;

	err = config_load(d->config_path, &config, e);
	if (err) {
		log_error("the configuration is not reloaded, the old one stays in force: %s",
			  e->message);
		return err;
	}
	if (strcmp(config.control, d->config->control) || strcmp(config.pin, d->config->pin) ||
	    strcmp(config.group ?: "", d->config->group ?: ""))
		log_warning("control=, group= and pin= change only with a restart");
	if (config.policies_max != d->config->policies_max ||
	    config.sas_max != d->config->sas_max || config.routes_max != d->config->routes_max)
		log_warning("policies-max=, sas-max= and routes-max= change only with a restart");
	config_free(&d->reloaded);
	d->reloaded = config;
	d->config = &d->reloaded;
	log_set_level(config.log_level);
	options = negotiation_options_of(d->config);
	negotiations_set_options(d->negotiations, &options);
	daemon_reload_spaces(d);
	daemon_queues_anew(d);
	attach_gates(d);
	log_notice("configuration reloaded");
	return 0;
}

int daemon_reload(struct daemon *d, struct error *e)
{
	int err;

	sd_notify(0, "RELOADING=1");
	err = reload(d, e);
	sd_notify(0, "READY=1");
	return err;
}

static int on_hangup(sd_event_source *source, const struct signalfd_siginfo *info, void *ctx)
{
	struct error e = {};

	(void)source;
	(void)info;
	daemon_reload(ctx, &e);
	return 0;
}

static int on_second(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct daemon *d = ctx;

	(void)usec;
	bpf_heartbeat(d->bpf);
	update_kick(d);
	daemon_queues(d);
	gates_check(d->gates);
	daemon_check_spaces(d);
	daemon_events_tell(d);
	daemon_containers_check(d);
	daemon_room_second(d);
	daemon_waits_second(d);
	keeper_beat(&d->keeper);
	/* from now on: a daemon that was stopped does not make up for the beats it missed */
	sd_event_source_set_time_relative(source, HEARTBEAT_USEC);
	return 0;
}

static int add_sources(struct daemon *d, struct error *e)
{
	sd_event_source *tick = NULL;
	sigset_t set;
	int err;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	err = sd_event_add_signal(d->event, NULL, SIGTERM, NULL, NULL);
	if (err >= 0)
		err = sd_event_add_signal(d->event, NULL, SIGINT, NULL, NULL);
	if (err >= 0)
		err = sd_event_add_signal(d->event, NULL, SIGHUP, on_hangup, d);
	if (err >= 0)
		err = sd_event_add_time_relative(d->event, &tick, CLOCK_BOOTTIME, HEARTBEAT_USEC,
						 HEARTBEAT_USEC / 10, on_second, d);
	if (err >= 0)
		err = sd_event_source_set_enabled(tick, SD_EVENT_ON);
	/* before the events of a storm: late, and all that is protected would wait */
	if (err >= 0)
		err = sd_event_source_set_priority(tick, SD_EVENT_PRIORITY_NORMAL - 20);
	if (err >= 0)
		err = sd_event_source_set_floating(tick, 1);
	sd_event_source_unref(tick);
	return err < 0 ? error_set(e, err, "loop", "the event loop: %s", strerror(-err)) : 0;
}

static int start(struct daemon *d, struct error *e)
{
	struct negotiation_options options = negotiation_options_of(d->config);
	struct bpf_sizes sizes = {.policies = d->config->policies_max,
				  .sas = d->config->sas_max,
				  .routes = d->config->routes_max};
	int err;

	err = sd_event_new(&d->event);
	if (err < 0)
		return error_set(e, err, "loop", "the event loop: %s", strerror(-err));
	err = add_sources(d, e);
	/* first, so that a second daemon leaves everything as it is */
	if (!err)
		err = control_new(d->event, d->config->control, &daemon_control_ops, d, &d->control,
				  e);
	if (!err && d->config->group)
		err = control_share(d->control, d->config->group, e);
	if (!err)
		err = bpf_open(d->config->pin, &sizes, &d->bpf, e);
	if (!err)
		err = gates_new(d->bpf, &d->gates);
	if (!err)
		err = negotiations_new(d->event, d->bpf, &options, on_negotiation, d,
				       &d->negotiations);
	if (!err)
		err = holds_new(d->event, d->bpf,
				&(struct hold_watchers){daemon_watched, on_negotiation, d},
				&d->holds, e);
	if (!err)
		negotiations_on_failed(d->negotiations, on_negotiation_failed);
	if (!err)
		err = daemon_losses_new(d, e);
	if (!err)
		err = daemon_watch_new(d, e);
	if (!err)
		err = daemon_room_new(d, e);
	if (err)
		return err;
	err = daemon_open_spaces(d, &space_ops, e);
	if (err)
		return err;
	err = gates_adopt(d->gates, e);
	if (err < 0)
		return err;
	attach_gates(d);
	bpf_settled(d->bpf);
	daemon_containers_check(d); /* before spaces that nobody has are pruned from the maps */
	return daemon_events_open(d, e);
}

static void stop(struct daemon *d)
{
	struct space *s, *next;

	control_free(d->control);
	daemon_queues_stop(d);
	daemon_doctor_stop(d);
	daemon_losses_free(d);
	daemon_room_free(d);
	negotiations_free(d->negotiations);
	holds_free(d->holds);
	keeper_stop(&d->keeper);
	LL_FOREACH_SAFE(d->spaces, s, next)
	space_free(s);
	daemon_containers_stop(d);
	daemon_events_close(d);
	gates_free(d->gates);
	bpf_close(d->bpf);
	sd_event_unref(d->event);
	config_free(&d->reloaded);
}

/* Four descriptors a gate: the soft limit of 1024, meant for select(), is soon used up. */
static void raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		log_warning("the limit of descriptors cannot be raised: %s", strerror(errno));
}

/* Who waits turns round on a CPU until he sleeps, and it is we who put him to sleep. */
static void raise_priority(void)
{
	if (getpriority(PRIO_PROCESS, 0) > DAEMON_NICE && setpriority(PRIO_PROCESS, 0, DAEMON_NICE))
		log_debug("no nice %d: %s", DAEMON_NICE, strerror(errno));
}

/*
 * What a daemon that was killed, and its keeper with it, left frozen: when we can hold their calls
 * anew, or will not come up.
 */
static void wake_left(void)
{
	size_t left = rooms_sweep();

	if (left)
		log_notice("%zu waiting rooms of an earlier daemon: their threads go on", left);
}

int daemon_run(const struct config *config, const char *path, struct error *e)
{
	struct daemon d = {.config = config, .config_path = path, .started = boot_ns()};
	struct error why;
	int err;

	confine_begin();
	raise_descriptors();
	raise_priority();
	err = keeper_start(&d.keeper);
	if (err)
		log_error("no keeper of waiting rooms: %s", strerror(-err));
	err = start(&d, e);
	wake_left();
	/* nothing from outside was looked at yet; without, it still gates */
	if (!err && confine(CONFINED_DAEMON, &why))
		log_error("the daemon keeps more rights than it needs: %s", why.message);
	if (!err) {
		err = sd_event_loop(d.event);
		if (err < 0)
			error_set(e, err, "loop", "the event loop ended: %s", strerror(-err));
		else
			log_notice("stopped: the gates stay and their flows are stale in %.0f s",
				   HEARTBEAT_LATE_NS / 1e9);
	}
	if (err && !d.ready)
		bpf_discard(d.bpf);
	stop(&d);
	return err;
}
