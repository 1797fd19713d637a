// SPDX-License-Identifier: GPL-2.0-only
/*
 * on-loss=close: a socket is asked when it connects, and never again. When what protected it has
 * gone and the kernel would send its packets in clear, it is closed. A space whose policies, SAs or
 * requirements have changed has its connected sockets listed, decide() is asked about each that was
 * made in such a gate, and those that may not leave are closed when the list is at its end: a list
 * that is read while sockets go leaves some out. So it is looked again until nothing is found.
 *
 * Sockets that the kernel itself keeps from sending (a policy without an SA, one that blocks) are
 * left alone: their SA may come. So is what cannot be told.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "boot_time.h"
#include "cgroup.h"
#include "daemon_internal.h"
#include "diag.h"
#include "flow_json.h"
#include "log.h"
#include "mirror_nl.h"

enum {
	FOUND_MAX = 4096, /* to be closed; further ones are found by the next look */
	CLOSE_BATCH = 64, /* in one turn of the loop */
	PAUSE_NS = 20000000,
	PAUSE_SHARE = 4, /* a look took so much: not again before four times that */
};

static const struct {
	__u8 family, proto;
} tables[] = {
	{AF_INET, IPPROTO_TCP},
	{AF_INET6, IPPROTO_TCP},
	{AF_INET, IPPROTO_UDP},
	{AF_INET6, IPPROTO_UDP},
};

#define TABLES (sizeof(tables) / sizeof(tables[0]))

struct found {
	struct diag_socket socket;
	__u64 gate; /* cgroup id */
	__u8 reason;
};

/* A cgroup that sockets were made in, as long as a look lasts. */
struct maker {
	UT_hash_handle hh;
	__u64 id;
	bool left_alone; /* an IKE daemon's, or it is gone and its gates are not known */
	char path[];
};

struct losses {
	struct daemon *d;
	struct space *space; /* whose sockets are listed or closed, NULL: none's */
	struct nl_sock *list, *closer;
	sd_event_source *io, *timer;
	size_t table;
	struct found found[FOUND_MAX];
	size_t count, at;
	struct maker *makers;
	size_t closed;
	uint64_t began, not_before;
	int problem; /* -errno of a kernel that does not close */
};

/* The kernel sends such a flow in clear: nothing but the guard keeps it. */
static bool leaves_in_clear(__u8 reason)
{
	return reason == REASON_REQUIRED_NO_POLICY || reason == REASON_REQUIRED_CLEAR ||
	       reason == REASON_NO_POLICY_DENY;
}

static bool closes(const struct gate *gate)
{
	return gate->cgroup_id && gate->settings.close_on_loss && gate->settings.mode != MODE_AUDIT;
}

/* Whether it closes what `which` (NULL: any) decides of the sockets in `s`. */
static bool concerns(const struct gate *gate, const struct space *s, const struct space *which)
{
	const __u64 spd = gate->settings.spd_netns;

	return !which || (spd ? spd == which->netns : s == which);
}

static void next_soon(struct losses *l)
{
	uint64_t now = boot_ns(), at = l->not_before > now ? l->not_before : now;

	sd_event_source_set_time(l->timer, at / 1000);
	sd_event_source_set_enabled(l->timer, SD_EVENT_ONESHOT);
}

void daemon_losses_look(struct daemon *d, struct space *which)
{
	struct losses *l = d->losses;
	const struct gate *gate;
	bool any = false;
	struct space *s;

	LL_FOREACH(gates_first(d->gates), gate) {
		if (!closes(gate))
			continue;
		LL_FOREACH(d->spaces, s)
			s->look_for_losses |= concerns(gate, s, which);
		any = true;
	}
	if (any && !l->space)
		next_soon(l);
}

/* Its path ends with the cgroup's, or goes on below it. */
static bool is_below(const char *path, const char *cgroup)
{
	size_t n = strlen(cgroup);

	if (!strcmp(cgroup, "/"))
		return true;
	return !strncmp(path, cgroup, n) && (!path[n] || path[n] == '/');
}

/* What an IKE daemon sends is never kept, and its process made its sockets where it is. */
static bool is_ike_daemons(struct daemon *d, const char *path)
{
	char its[PATH_MAX];
	const struct space *s;

	LL_FOREACH(d->spaces, s)
		if (s->ike_pid && !cgroup_of_pid(s->ike_pid, its, NULL) && !strcmp(its, path))
			return true;
	return false;
}

static const struct maker *maker_of(struct losses *l, __u64 id)
{
	char path[PATH_MAX] = "";
	struct maker *m;
	int err;

	HASH_FIND(hh, l->makers, &id, sizeof(id), m);
	if (m)
		return m;
	err = cgroup_path(id, path, NULL);
	m = calloc(1, sizeof(*m) + strlen(path) + 1);
	if (!m)
		return NULL;
	m->id = id;
	strcpy(m->path, path);
	m->left_alone = err || is_ike_daemons(l->d, path);
	HASH_ADD(hh, l->makers, id, sizeof(m->id), m);
	return m;
}

static void forget_makers(struct losses *l)
{
	struct maker *m, *next;

	HASH_ITER(hh, l->makers, m, next) {
		HASH_DEL(l->makers, m);
		free(m);
	}
}

/* Does this gate close it? What its mirror does not know for sure it does not. */
static bool is_lost(struct losses *l, const struct gate *gate, const struct flow *flow,
		    __u8 *reason)
{
	struct ask a = {.flow = *flow, .gate = gate->settings};
	const struct space *s = gate->settings.spd_netns
					? daemon_space_of(l->d, gate->settings.spd_netns)
					: l->space;

	if (!s || !space_synced(s) || bpf_ask(l->d->bpf, &a))
		return false;
	*reason = a.decision.reason;
	return leaves_in_clear(a.decision.reason);
}

/* False: there is no room for more. */
static bool judge(struct losses *l, struct diag_socket *socket)
{
	const struct maker *m = maker_of(l, socket->cgroup_id);
	const struct gate *gate;
	__u8 reason;

	if (!m || m->left_alone)
		return true;
	socket->flow.netns = l->space->netns;
	LL_FOREACH(gates_first(l->d->gates), gate) {
		if (!closes(gate) || !is_below(m->path, gate->cgroup) ||
		    !is_lost(l, gate, &socket->flow, &reason))
			continue;
		l->found[l->count++] = (struct found){*socket, gate->cgroup_id, reason};
		break;
	}
	return l->count < FOUND_MAX;
}

static void hang_up(struct losses *l)
{
	l->io = sd_event_source_disable_unref(l->io);
	nl_socket_free(l->list);
	l->list = NULL;
}

static void tell_closed(struct daemon *d)
{
	struct gate *gate;

	LL_FOREACH(gates_first(d->gates), gate) {
		if (gate->closed == gate->closed_told)
			continue;
		log_notice("gate %s: %llu sockets closed: what they send must be protected, and "
			   "would leave in clear (on-loss=close)",
			   gate->name, (unsigned long long)(gate->closed - gate->closed_told));
		gate->closed_told = gate->closed;
	}
}

/* The space's sockets have been looked at, or cannot be; on to the next space. */
static void end(struct losses *l)
{
	uint64_t now = boot_ns();

	hang_up(l);
	nl_socket_free(l->closer);
	l->closer = NULL;
	forget_makers(l);
	if (l->closed)
		l->space->look_for_losses = true; /* until nothing is found any more */
	l->space = NULL;
	l->not_before = now + PAUSE_NS + PAUSE_SHARE * (now - l->began);
	tell_closed(l->d);
	next_soon(l);
}

static void list_table(struct losses *l)
{
	int err;

	if (l->table == TABLES) {
		hang_up(l);
		l->not_before = 0;
		next_soon(l);
		return;
	}
	err = diag_list(l->list, tables[l->table].family, tables[l->table].proto);
	if (err) {
		log_warning("space %s: its sockets cannot be listed: %s", l->space->name,
			    strerror(-err));
		end(l);
	}
}

static void close_one(struct losses *l, const struct found *f)
{
	struct gate *gate = gates_of_cgroup(l->d->gates, f->gate);
	int err = gate ? diag_close(l->closer, &f->socket) : -ENOENT;
	json_t *event;

	if (err == -EOPNOTSUPP)
		l->problem = err;
	if (err && err != -ENOENT && err != -ESTALE)
		log_warning("gate %s: a socket cannot be closed (on-loss=close): %s", gate->name,
			    strerror(-err));
	if (err)
		return;
	l->closed++;
	gate->closed++;
	event = json_pack("{s:s s:s s:I s:s s:o}", "event", "loss", "gate", gate->name, "cgroup_id",
			  (json_int_t)f->socket.cgroup_id, "reason", reason_name(f->reason), "flow",
			  flow_to_json(&f->socket.flow));
	daemon_publish(l->d, event);
}

static void close_some(struct losses *l)
{
	for (int i = 0; i < CLOSE_BATCH && l->at < l->count && !l->problem; i++)
		close_one(l, &l->found[l->at++]);
	if (l->at < l->count && !l->problem)
		next_soon(l);
	else
		end(l);
}

/* One message of the list. False: nothing more is read. */
static bool on_message(void *ctx, const struct nlmsghdr *msg)
{
	struct diag_socket socket;
	struct losses *l = ctx;

	if (msg->nlmsg_type == NLMSG_DONE || msg->nlmsg_type == NLMSG_ERROR) {
		l->table++; /* an error: the kernel has no such sockets */
		list_table(l);
		return false;
	}
	if (diag_parse(msg, tables[l->table].proto, &socket) || judge(l, &socket))
		return true;
	l->table = TABLES;
	list_table(l);
	return false;
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct losses *l = ctx;
	int err = 0;

	(void)source;
	(void)fd;
	(void)revents;
	switch (mirror_nl_read(l->list, on_message, l, &err)) {
	case READ_MESSAGES:
	case READ_NOTHING:
	case READ_FOREIGN:
	case READ_STOPPED:
		break;
	default:
		log_warning("space %s: its sockets cannot be listed: %s", l->space->name,
			    strerror(err ? -err : EBADMSG));
		end(l);
	}
	return 0;
}

static int start(struct losses *l, struct space *s, struct error *e)
{
	int err = diag_open(s->netns_fd, &l->list, e);

	if (!err)
		err = diag_open(s->netns_fd, &l->closer, e);
	if (!err)
		err = sd_event_add_io(l->d->event, &l->io, nl_socket_get_fd(l->list), EPOLLIN,
				      on_io, l);
	if (err >= 0)
		err = sd_event_source_set_priority(l->io, SD_EVENT_PRIORITY_IDLE);
	return err < 0 ? err : 0;
}

static void begin(struct losses *l, struct space *s)
{
	struct error e = {};

	s->look_for_losses = false;
	l->space = s;
	l->began = boot_ns();
	l->count = l->at = l->closed = l->table = 0;
	if (!start(l, s, &e)) {
		list_table(l);
		return;
	}
	log_warning("space %s: no socket is closed (on-loss=close): %s", s->name, e.message);
	end(l);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct losses *l = ctx;
	struct space *s;

	(void)source;
	(void)usec;
	if (l->space) {
		if (!l->list)
			close_some(l);
		return 0;
	}
	LL_FOREACH(l->d->spaces, s) {
		if (!s->look_for_losses || !space_synced(s))
			continue; /* it is looked at when it is in step again */
		begin(l, s);
		break;
	}
	return 0;
}

int daemon_losses_new(struct daemon *d, struct error *e)
{
	struct losses *l = calloc(1, sizeof(*l));
	int err;

	if (!l)
		return error_set(e, -ENOMEM, "memory", "no memory");
	l->d = d;
	d->losses = l;
	err = sd_event_add_time(d->event, &l->timer, CLOCK_BOOTTIME, UINT64_MAX, 1000, on_timer, l);
	if (err >= 0)
		err = sd_event_source_set_enabled(l->timer, SD_EVENT_OFF);
	return err < 0 ? error_set(e, err, "loop", "losses: %s", strerror(-err)) : 0;
}

void daemon_losses_forget(struct daemon *d, const struct space *s)
{
	if (d->losses->space == s)
		end(d->losses);
}

void daemon_losses_free(struct daemon *d)
{
	struct losses *l = d->losses;

	if (!l)
		return;
	hang_up(l);
	nl_socket_free(l->closer);
	forget_makers(l);
	sd_event_source_disable_unref(l->timer);
	free(l);
	d->losses = NULL;
}

const char *daemon_losses_problem(struct daemon *d)
{
	struct nl_sock *sock = NULL;
	const struct gate *gate;
	struct error e;
	int err = 0;

	LL_FOREACH(gates_first(d->gates), gate)
		if (closes(gate))
			break;
	if (!gate)
		return NULL;
	err = diag_open(-1, &sock, &e);
	if (!err)
		err = diag_can_close(sock);
	nl_socket_free(sock);
	return err ? strerror(-err) : NULL;
}
