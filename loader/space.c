// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "acquire.h"
#include "boot_time.h"
#include "cgroup.h"
#include "cleanup.h"
#include "local_ports.h"
#include "log.h"
#include "netns.h"
#include "space.h"
#include "space_default.h"
#include "space_full.h"
#include "space_queue.h"

/* Everything that decide() needs is gathered: into the maps with it. */
static void try_commit(struct space *s)
{
	int err;

	if (s->committed || !s->mirror || !mirror_synced(s->mirror) || !s->routes ||
	    !routes_ready(s->routes) || (s->ike && !s->ike_heard && s->ike_wait))
		return;
	err = bpf_space_commit(s->bpf, s->slot, s->netns);
	if (err && err != -E2BIG) /* of that the daemon tells which map it is */
		log_error("space %s: it cannot be put into the maps: %s: its flows are refused",
			  s->name, strerror(-err));
	s->committed = true;
	log_info("space %s: mirrored", s->name);
	s->ops->committed(s->ctx, s);
}

static void on_synced(void *ctx, bool synced)
{
	struct space *s = ctx;

	try_commit(s);
	if (s->committed)
		s->ops->synced(s->ctx, s, synced);
}

static void on_changed(void *ctx, enum mirror_what what, const struct xfrm_change *change)
{
	struct space *s = ctx;

	if (s->committed)
		s->ops->changed(s->ctx, s, what, change);
}

static void on_settled(void *ctx)
{
	struct space *s = ctx;

	if (s->committed)
		s->ops->settled(s->ctx, s);
}

static const struct mirror_ops mirror_ops = {
	.synced = on_synced,
	.changed = on_changed,
	.settled = on_settled,
};

static void on_routes(void *ctx)
{
	struct space *s = ctx;

	try_commit(s);
	if (s->committed)
		s->ops->settled(s->ctx, s);
}

/* The IKE daemon's own calls must pass a gate that holds it: its process, in its cgroup. */
static void exempt_ike(struct space *s, pid_t pid)
{
	_cleanup_close_ int fd = -1;
	char path[PATH_MAX];
	uint64_t id;

	if (s->ike_pid)
		bpf_ike_daemon_del(s->bpf, s->ike_pid);
	s->ike_pid = 0;
	if (!pid || cgroup_of_pid(pid, path, NULL))
		return;
	fd = cgroup_open(path, NULL);
	if (fd < 0 || cgroup_id(fd, &id, NULL) || bpf_ike_daemon_put(s->bpf, pid, id))
		return;
	s->ike_pid = pid;
	log_debug("space %s: the IKE daemon is process %d in %s", s->name, pid, path);
}

/* The reason without the socket's path in front, which is named beside it already. */
static const char *bare_reason(const struct space *s, const char *why)
{
	const char *path = strncmp(s->vici, "unix://", 7) ? s->vici : s->vici + 7;
	size_t len = strlen(path);

	if (!why)
		return "closed";
	return strncmp(why, path, len) || strncmp(why + len, ": ", 2) ? why : why + len + 2;
}

static void on_link(void *ctx, bool up, const char *why)
{
	struct space *s = ctx;

	why = bare_reason(s, why);

	if (up) {
		log_info("space %s: connected to the IKE daemon at %s", s->name, s->vici);
		s->ike_problem[0] = '\0';
		s->ike_up_since = boot_ns();
	} else {
		log_warning("space %s: no IKE daemon at %s: %s; what is required stays so", s->name,
			    s->vici, why ? why : "closed");
		snprintf(s->ike_problem, sizeof(s->ike_problem), "%s", why);
		s->ike_lost = true;
	}
	exempt_ike(s, up ? ike_bridge_peer_pid(s->ike) : 0);
}

static void on_children(void *ctx)
{
	const struct ike_child *children;
	struct space *s = ctx;
	bool current;
	size_t n;

	children = ike_bridge_children(s->ike, &n, &current);
	if (!current)
		return;
	/* a daemon that was just restarted has nothing loaded yet: what was required stays */
	if (n)
		s->ike_lost = false;
	if (!s->ike_lost || !s->require_children)
		requirements_from_ike(s->requirements, children, s->require_children ? n : 0,
				      boot_ns() - s->ike_up_since < REQUIREMENT_LINGER_NS);
	s->ike_heard = true;
	exempt_ike(s, ike_bridge_peer_pid(s->ike));
	try_commit(s);
	if (s->committed)
		s->ops->settled(s->ctx, s);
}

static void on_outcome(void *ctx, uint64_t id, int err, const char *why)
{
	struct space *s = ctx;

	s->ops->outcome(s->ctx, s, id, err, why);
}

static void on_alert(void *ctx, const char *conn, const char *type, const char *text)
{
	struct space *s = ctx;

	s->ops->alert(s->ctx, s, conn, type, text);
}

static const struct ike_ops ike_ops = {
	.link = on_link,
	.children = on_children,
	.outcome = on_outcome,
	.alert = on_alert,
};

static int on_ike_io(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct space *s = ctx;
	int err = ike_bridge_dispatch(s->ike);

	(void)source;
	(void)fd;
	(void)revents;
	if (err)
		log_error("space %s: VICI: %s", s->name, strerror(-err));
	return 0;
}

static int on_ike_wait(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct space *s = ctx;

	(void)source;
	(void)usec;
	s->ike_wait = sd_event_source_disable_unref(s->ike_wait);
	if (!s->ike_heard)
		log_warning("space %s: the IKE daemon at %s was not heard; going on without it",
			    s->name, s->vici);
	try_commit(s);
	return 0;
}

static void close_ike(struct space *s)
{
	exempt_ike(s, 0);
	s->ike_io = sd_event_source_disable_unref(s->ike_io);
	s->ike_wait = sd_event_source_disable_unref(s->ike_wait);
	ike_bridge_free(s->ike);
	s->ike = NULL;
}

static int open_ike(struct space *s, const char *vici, struct error *e)
{
	int err;

	snprintf(s->vici, sizeof(s->vici), "%s", vici ? vici : "");
	if (!vici) {
		requirements_gone(s->requirements); /* nobody is left to ask about them */
		return 0;
	}
	err = ike_bridge_new(vici, &ike_ops, s, &s->ike);
	if (err)
		return error_set(e, err, "vici", "space %s: vici=%s: %s", s->name, vici,
				 err == -EINVAL ? "unix:///PATH is expected" : strerror(-err));
	err = sd_event_add_io(s->event, &s->ike_io, ike_bridge_fd(s->ike), EPOLLIN, on_ike_io, s);
	if (err >= 0 && !s->committed)
		err = sd_event_add_time_relative(s->event, &s->ike_wait, CLOCK_BOOTTIME,
						 SPACE_IKE_WAIT_NS / 1000, 1000, on_ike_wait, s);
	if (err < 0)
		return error_set(e, err, "vici", "space %s: %s", s->name, strerror(-err));
	return 0;
}

static int open_netns(struct space *s, const char *what, struct error *e)
{
	if (what) {
		snprintf(s->netns_text, sizeof(s->netns_text), "%s", what);
		s->netns_fd = netns_open(what, e);
		if (s->netns_fd < 0)
			return s->netns_fd;
	}
	return netns_cookie(s->netns_fd, &s->netns, e);
}

#define STRING_(x) #x
#define STRING(x)  STRING_(x)

static int start(struct space *s, const struct space_config *config, struct error *e)
{
	int err;

	err = open_netns(s, config->netns, e);
	if (err)
		return err;
	space_default_want(s, config->default_block); /* before anything else is known */
	err = bpf_space_open(s->bpf, s->netns, &s->slot);
	if (err)
		return error_set(e, err, "space", "space %s: %s", s->name,
				 err == -ENOSPC
					 ? "all " STRING(SPACES_MAX) " places for spaces are taken"
				 : err == -EBUSY ? "another space has this network namespace"
						 : strerror(-err));
	err = mirror_new(s->event, s->netns_fd, s->slot, &s->sink, &mirror_ops, s, NULL, &s->mirror,
			 e);
	if (err)
		return err;
	s->ports_fd = local_ports_open(s->netns_fd);
	err = local_ports_read(s->ports_fd, mirror_spd(s->mirror));
	if (!err)
		err = requirements_new(mirror_spd(s->mirror), &s->requirements);
	if (!err)
		err = requirements_adopt(s->requirements, s->bpf, s->slot);
	if (err)
		return error_set(e, err, "space", "space %s: %s", s->name, strerror(-err));
	/* an IKE daemon with nothing loaded yet takes nothing of this away: see on_children() */
	s->ike_lost = config->vici && requirements_count(s->requirements);
	err = routes_new(s->event, s->netns_fd, s->slot, &s->sink, on_routes, s, &s->routes, e);
	return err ? err : open_ike(s, config->vici, e);
}

int space_new(sd_event *event, struct bpf *b, const struct space_config *config,
	      const struct space_ops *ops, void *ctx, struct space **out, struct error *e)
{
	struct space *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return error_set(e, -ENOMEM, "memory", "no memory");
	snprintf(s->name, sizeof(s->name), "%s", config->name);
	s->event = event;
	s->bpf = b;
	s->ops = ops;
	s->ctx = ctx;
	s->netns_fd = s->acquire_fd = s->ports_fd = s->larval_fd = -1;
	s->require_children = config->require_children;
	bpf_sink(b, &s->sink);
	err = start(s, config, e);
	if (err) {
		space_free(s);
		return err;
	}
	*out = s;
	return 0;
}

void space_free(struct space *s)
{
	if (!s)
		return;
	s->ike_pid = 0; /* it stays exempt */
	if (s->ike)
		close_ike(s);
	if (s->mirror)
		bpf_space_abandon(s->bpf, s->slot);
	routes_free(s->routes);
	requirements_free(s->requirements);
	mirror_free(s->mirror);
	cleanup_close(&s->netns_fd);
	cleanup_close(&s->acquire_fd);
	cleanup_close(&s->ports_fd);
	cleanup_close(&s->larval_fd);
	space_default_free(s);
	free(s);
}

int space_reconfigure(struct space *s, const struct space_config *config, struct error *e)
{
	const char *vici = config->vici ? config->vici : "";

	s->require_children = config->require_children;
	space_default_want(s, config->default_block);
	routes_refresh(s->routes);
	mirror_reconcile(s->mirror);
	if (!strcmp(s->vici, vici)) {
		if (s->ike) {
			ike_bridge_refresh(s->ike); /* VICI tells nobody that swanctl loaded one */
			on_children(s);
		}
		return 0;
	}
	if (s->ike)
		close_ike(s);
	s->ike_heard = false;
	s->ike_problem[0] = '\0';
	return open_ike(s, config->vici, e);
}

static int open_acquire(void *ctx)
{
	(void)ctx;
	return acquire_open();
}

int space_acquire(struct space *s, const struct flow *flow, const struct policy_info *policy,
		  struct error *e)
{
	const struct spd_tmpl *t = &policy->tmpl[0];
	struct acquire_params p = {
		.family = flow->family,
		.proto = flow->proto,
		.sport = ntohs(flow->sport),
		.dport = ntohs(flow->dport),
		.priority = policy->priority,
		.index = policy->index,
		.mark = policy->mark,
		.mark_mask = policy->mark_mask,
		.if_id = policy->if_id,
		.reqid = t->reqid,
		.tmpl_proto = t->proto,
		.tmpl_mode = t->mode,
		.tmpl_family = t->family,
	};
	int err;

	memcpy(p.saddr, flow->saddr, sizeof(p.saddr));
	memcpy(p.daddr, flow->daddr, sizeof(p.daddr));
	memcpy(p.tmpl_saddr, t->saddr, sizeof(p.tmpl_saddr));
	memcpy(p.tmpl_daddr, t->daddr, sizeof(p.tmpl_daddr));
	if (s->acquire_fd < 0)
		s->acquire_fd = netns_run(s->netns_fd, open_acquire, NULL, e);
	if (s->acquire_fd < 0)
		return error_set(e, s->acquire_fd, "acquire", "an ACQUIRE cannot be sent: %s",
				 strerror(-s->acquire_fd));
	err = acquire_send(s->acquire_fd, &p);
	if (err)
		return error_set(e, err, "acquire", "the kernel refuses the ACQUIRE: %s",
				 strerror(-err));
	return 0;
}

void space_second(struct space *s)
{
	/* sysctls like this one and disable_xfrm change without an event */
	local_ports_read(s->ports_fd, mirror_spd(s->mirror));
	if (++s->seconds % SPACE_REFRESH_S == 0)
		routes_refresh(s->routes);
	if (!s->ike_lost)
		requirements_expire(s->requirements);
}

bool space_here(const struct space *s)
{
	return s->netns_fd < 0 || s->container || netns_is(s->netns_text, s->netns_fd);
}

bool space_error_absent(const struct error *e)
{
	return !strcmp(e->code, "no-such-netns");
}

bool space_synced(const struct space *s)
{
	return s->committed && mirror_synced(s->mirror);
}

static json_t *ike_json(const struct space *s)
{
	const char *version = s->ike ? ike_bridge_version(s->ike) : NULL;
	size_t children = 0;

	if (!s->ike)
		return json_null();
	ike_bridge_children(s->ike, &children, NULL);
	return json_pack("{s:s s:b s:s? s:s? s:I}", "vici", s->vici, "up", ike_bridge_up(s->ike),
			 "version", version, "error", s->ike_problem[0] ? s->ike_problem : NULL,
			 "children", (json_int_t)children);
}

static const char *stale_reason(const struct space *s)
{
	if (!s->committed)
		return "the first snapshot is not in yet";
	return mirror_synced(s->mirror) ? NULL
					: "something was missed, a new snapshot is under way";
}

static const char *state_name(enum space_state_name state)
{
	static const char *const names[] = {
#define X(id, name) [SPACE_##id] = name,
		SPACE_STATES(X)
#undef X
	};

	return names[state];
}

static enum space_state_name state_of(const struct space *s)
{
	if (!s->committed)
		return SPACE_STARTING;
	return mirror_synced(s->mirror) ? SPACE_MIRRORED : SPACE_RESYNC;
}

json_t *space_closed_json(const char *name, const char *netns, const char *vici,
			  const struct error *e)
{
	json_t *o = json_pack("{s:s s:n s:s? s:s s:b s:s s:I s:I s:I s:I s:n s:I s:I s:I s:n}",
			      "name", name, "netns", "netns_path", netns, "state",
			      state_name(space_error_absent(e) ? SPACE_ABSENT : SPACE_REFUSED),
			      "synced", 0, "stale_reason", e->message, "policies", (json_int_t)0,
			      "sas", (json_int_t)0, "masks", (json_int_t)0, "requirements",
			      (json_int_t)0, "default", "resyncs", (json_int_t)0, "overruns",
			      (json_int_t)0, "not_stored", (json_int_t)0, "last_sync_s");

	if (o)
		json_object_set_new(o, "ike",
				    vici ? json_pack("{s:s s:b s:n s:n s:i}", "vici", vici, "up", 0,
						     "version", "error", "children", 0)
					 : json_null());
	return o;
}

json_t *space_to_json(const struct space *s)
{
	const struct mirror_stats *stats = mirror_stats(s->mirror);
	struct spd_counts spd;
	struct sad_counts sad;
	char text[16];
	json_t *o;

	spd_count(mirror_spd(s->mirror), &spd);
	sad_count(mirror_sad(s->mirror), &sad);
	o = json_pack("{s:s s:I s:s? s:s s:b s:s? s:b s:I s:I s:I s:I s:s s:I s:I s:I s:o}", "name",
		      s->name, "netns", (json_int_t)s->netns, "netns_path",
		      s->netns_text[0] && !s->container ? s->netns_text : NULL, "state",
		      state_name(state_of(s)), "synced", space_synced(s), "stale_reason",
		      stale_reason(s), "routes_ready", s->routes && routes_ready(s->routes),
		      "policies", (json_int_t)(spd.policies - requirements_count(s->requirements)),
		      "sas", (json_int_t)sad.sas, "masks", (json_int_t)spd.masks, "requirements",
		      (json_int_t)requirements_count(s->requirements), "default",
		      mirror_default_block(s->mirror) ? "block" : "allow", "resyncs",
		      (json_int_t)stats->resyncs, "overruns", (json_int_t)stats->overruns,
		      "not_stored", (json_int_t)(spd.missing + sad.missing), "last_sync_s",
		      stats->synced_at ? json_real((boot_ns() - stats->synced_at) / 1e9)
				       : json_null());
	if (o) {
		json_object_set_new(o, "full", space_full_json(s));
		json_object_set_new(
			o, "default_block",
			s->default_block ? json_string(space_default_text(s->default_block, text))
					 : json_null());
		json_object_set_new(o, "default_restored",
				    json_integer((json_int_t)s->default_restored));
		json_object_set_new(o, "queue", json_string(space_queue_name(s->queue)));
		json_object_set_new(o, "ike", ike_json(s));
	}
	return o;
}
