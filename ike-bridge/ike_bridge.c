// SPDX-License-Identifier: GPL-2.0-only
#include "ike_bridge.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "ike_find.h"
#include "ike_internal.h"

enum { EVENTS_PER_TURN = 32, TRACKED_DEFAULT = 4 };

static int64_t min64(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Sets the timer to the next thing that is due. */
void ike_bridge_arm(struct ike_bridge *b)
{
	int64_t at = min64(b->retry_at, b->list_at);
	struct itimerspec its = {};

	at = min64(at, vici_conn_deadline(&b->events));
	at = min64(at, vici_conn_deadline(&b->cmd));
	at = min64(at, vici_conn_deadline(&b->shared));
	for (size_t i = 0; i < IKE_TRACKED_MAX; i++)
		at = min64(at, vici_conn_deadline(&b->slots[i].conn));
	if (at == b->armed)
		return;
	b->armed = at;
	if (at != INT64_MAX) {
		its.it_value.tv_sec = at / 1000;
		its.it_value.tv_nsec = at % 1000 * 1000000;
		if (at <= 0)
			its.it_value.tv_nsec = 1; /* zero would disarm it */
	}
	timerfd_settime(b->timerfd, TFD_TIMER_ABSTIME, &its, NULL);
}

void ike_link_fail(struct ike_bridge *b, const char *why)
{
	char text[VICI_WHY_MAX];
	bool news = b->up || !b->told_down || strcmp(b->why, why);

	snprintf(text, sizeof(text), "%s", why);
	memcpy(b->why, text, sizeof(text));
	b->up = false;
	b->told_down = true;
	b->setup = 0;
	vici_conn_close(&b->events);
	vici_conn_close(&b->cmd);
	ike_listing_reset(b);
	ike_initiate_reset(b);
	b->retry_at = vici_now() + b->backoff;
	b->backoff = min64(b->backoff * 2, IKE_RETRY_MAX_MS);
	if (news && b->ops.link)
		b->ops.link(b->ctx, false, text);
}

static void on_closed(void *ctx, const char *why)
{
	ike_link_fail(ctx, why);
}

static void on_event(void *ctx, const struct vici_packet *pkt)
{
	ike_event(ctx, pkt);
}

static void on_cmd_event(void *ctx, const struct vici_packet *pkt)
{
	ike_listing_event(ctx, pkt);
}

static const struct vici_conn_ops events_ops = {.event = on_event, .closed = on_closed};
static const struct vici_conn_ops cmd_ops = {.event = on_cmd_event, .closed = on_closed};

static void setup_done(struct ike_bridge *b)
{
	if (!b->setup || --b->setup)
		return;
	b->up = true;
	b->told_down = false;
	b->why[0] = '\0';
	ike_initiate_prepare(b);
	ike_listing_start(b);
	if (b->up && b->ops.link)
		b->ops.link(b->ctx, true, NULL);
}

static void on_version(void *ctx, uint64_t arg, int err, const struct vici_packet *pkt)
{
	struct ike_bridge *b = ctx;
	struct vici_str daemon = {"?", 1}, version = {"?", 1};
	char name[64], number[64];

	(void)arg;
	if (err && err != -EOPNOTSUPP)
		return;
	if (!err) {
		vici_root_value(pkt->msg, pkt->msg_len, "daemon", &daemon);
		vici_root_value(pkt->msg, pkt->msg_len, "version", &version);
	}
	ike_text_copy(name, sizeof(name), daemon);
	ike_text_copy(number, sizeof(number), version);
	snprintf(b->version, sizeof(b->version), "%s %s", name, number);
	setup_done(b);
}

/* Half of the daemon's idle threads may be held by initiates that are waited for. */
static void on_stats(void *ctx, uint64_t arg, int err, const struct vici_packet *pkt)
{
	struct ike_bridge *b = ctx;
	struct vici_element e;
	struct vici_reader r;
	bool workers = false;
	uint32_t idle;

	(void)arg;
	if (err && err != -EOPNOTSUPP)
		return;
	b->tracked_max = TRACKED_DEFAULT;
	vici_reader_init(&r, pkt->msg, pkt->msg_len);
	while (!err && vici_next(&r, &e) == 1) {
		if (e.type == VICI_SECTION_START && !e.depth)
			workers = vici_str_is(e.name, "workers");
		if (e.type != VICI_KEY_VALUE || e.depth != 1 || !workers ||
		    !vici_str_is(e.name, "idle"))
			continue;
		idle = ike_parse_u32(e.value) / 2;
		b->tracked_max = idle < 1 ? 1 : idle < IKE_TRACKED_MAX ? idle : IKE_TRACKED_MAX;
	}
	setup_done(b);
}

/* -EOPNOTSUPP is fine: 5.9 has no alert. */
static void on_registered(void *ctx, uint64_t arg, int err, const struct vici_packet *pkt)
{
	(void)arg, (void)pkt;
	if (!err || err == -EOPNOTSUPP)
		setup_done(ctx);
}

static int setup(struct ike_bridge *b)
{
	static const char *const events[] = {"child-updown", "alert"};
	int err = vici_conn_send_name(&b->events, VICI_CMD_REQUEST, "version", IKE_ANSWER_MS,
				      on_version, 0);

	b->setup = 2;
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]) && !err; i++) {
		err = vici_conn_send_name(&b->events, VICI_EVENT_REGISTER, events[i], IKE_ANSWER_MS,
					  on_registered, 0);
		b->setup++;
	}
	if (!err)
		err = vici_conn_send_name(&b->cmd, VICI_CMD_REQUEST, "stats", IKE_ANSWER_MS,
					  on_stats, 0);
	return err ? err : ike_listing_setup(b);
}

static void try_connect(struct ike_bridge *b)
{
	char why[VICI_WHY_MAX];
	int err = vici_conn_open(&b->events, b->path, IKE_ANSWER_MS);

	if (!err)
		err = vici_conn_open(&b->cmd, b->path, IKE_ANSWER_MS);
	if (!err)
		err = setup(b);
	b->retry_at = INT64_MAX;
	if (!err)
		return;
	snprintf(why, sizeof(why), "%s: %s", b->path, strerror(-err));
	ike_link_fail(b, why);
}

int ike_bridge_new(const char *uri, const struct ike_ops *ops, void *ctx, struct ike_bridge **out)
{
	const char *path = vici_uri_path(uri);
	struct epoll_event ev = {.events = EPOLLIN};
	struct ike_bridge *b;
	int err;

	if (!path)
		return -EINVAL;
	b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->ops = *ops;
	b->ctx = ctx;
	b->path = strdup(path);
	b->epfd = epoll_create1(EPOLL_CLOEXEC);
	b->timerfd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	vici_conn_init(&b->events, b->epfd, &events_ops, b);
	vici_conn_init(&b->cmd, b->epfd, &cmd_ops, b);
	ike_initiate_init(b);
	ts_names_system_init(&b->names);
	b->armed = b->list_at = INT64_MAX;
	b->backoff = IKE_RETRY_MIN_MS;
	if (!b->path || b->epfd < 0 || b->timerfd < 0 ||
	    epoll_ctl(b->epfd, EPOLL_CTL_ADD, b->timerfd, &ev) < 0) {
		err = b->path ? -errno : -ENOMEM;
		ike_bridge_free(b);
		return err;
	}
	ike_bridge_arm(b); /* retry_at is 0: at once */
	*out = b;
	return 0;
}

void ike_bridge_free(struct ike_bridge *b)
{
	if (!b)
		return;
	b->ops = (struct ike_ops){};
	b->up = false;
	vici_conn_close(&b->events);
	vici_conn_close(&b->cmd);
	ike_initiate_reset(b);
	ike_listing_reset(b);
	ike_list_free(&b->list);
	if (b->timerfd >= 0)
		close(b->timerfd);
	if (b->epfd >= 0)
		close(b->epfd);
	free(b->path);
	free(b);
}

int ike_bridge_fd(const struct ike_bridge *b)
{
	return b->epfd;
}

static void check_all(struct ike_bridge *b, int64_t now)
{
	vici_conn_check(&b->events, now);
	vici_conn_check(&b->cmd, now);
	vici_conn_check(&b->shared, now);
	for (size_t i = 0; i < IKE_TRACKED_MAX; i++)
		vici_conn_check(&b->slots[i].conn, now);
	if (b->retry_at <= now)
		try_connect(b);
	if (b->list_at <= now && b->up)
		ike_listing_start(b);
}

int ike_bridge_dispatch(struct ike_bridge *b)
{
	struct epoll_event evs[EVENTS_PER_TURN];
	uint64_t ticks;
	int n = epoll_wait(b->epfd, evs, EVENTS_PER_TURN, 0);

	if (n < 0 && errno != EINTR)
		return -errno;
	for (int i = 0; i < n; i++) {
		/* a descriptor closed meanwhile is noticed there: it just has nothing to say */
		if (evs[i].data.ptr)
			vici_conn_ready(evs[i].data.ptr);
		else if (read(b->timerfd, &ticks, sizeof(ticks)) > 0)
			b->armed = INT64_MIN;
	}
	check_all(b, vici_now());
	ike_bridge_arm(b);
	return 0;
}

bool ike_bridge_up(const struct ike_bridge *b)
{
	return b->up;
}

pid_t ike_bridge_peer_pid(const struct ike_bridge *b)
{
	return b->up ? vici_conn_peer(&b->events) : 0;
}

const char *ike_bridge_version(const struct ike_bridge *b)
{
	return b->version[0] ? b->version : NULL;
}

const struct ike_child *ike_bridge_children(const struct ike_bridge *b, size_t *n, bool *current)
{
	*n = b->list.n;
	if (current)
		*current = b->current;
	return b->list.children;
}

void ike_bridge_refresh(struct ike_bridge *b)
{
	if (!b->up)
		return;
	b->with_sas = true;
	if (b->step == IKE_IDLE)
		b->list_at = vici_now(); /* in the next dispatch, as all callbacks */
	else
		b->list_again = true;
	ike_bridge_arm(b);
}

const struct ike_child *ike_bridge_find(const struct ike_bridge *b, const struct ike_flow *flow)
{
	return ike_find(&b->list, flow);
}
