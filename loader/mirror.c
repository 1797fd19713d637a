// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "mirror_internal.h"

#define RCVBUF	       (8 * 1024 * 1024)
#define RECONCILE_USEC (60 * 1000000ULL)

static int events_dispatch(sd_event_source *s, int fd, uint32_t revents, void *ctx)
{
	struct mirror *m = ctx;

	(void)s;
	(void)fd;
	(void)revents;
	mirror_snapshot_settle(m, mirror_events_read(m));
	return 0;
}

static int mirror_open(struct mirror *m, int netns_fd, struct error *error)
{
	int r;

	m->spd = spd_new(m->space, m->sink);
	m->sad = sad_new(m->space, m->sink);
	if (!m->spd || !m->sad)
		return error_set(error, -ENOMEM, "no-memory", "no memory for a mirror");
	if (netns_fd >= 0) {
		m->netns_fd = fcntl(netns_fd, F_DUPFD_CLOEXEC, 3);
		if (m->netns_fd < 0)
			return error_set(error, -errno, "netns", "cannot keep the namespace: %s",
					 strerror(errno));
	}
	r = mirror_nl_open(m->netns_fd, m->options.rcvbuf, &m->events, error);
	if (r)
		return r;
	r = sd_event_add_io(m->loop, &m->events_io, nl_socket_get_fd(m->events), EPOLLIN,
			    events_dispatch, m);
	if (r >= 0) /* before the dumps: a queue that runs over costs more */
		r = sd_event_source_set_priority(m->events_io, SD_EVENT_PRIORITY_NORMAL - 10);
	if (r >= 0)
		r = mirror_snapshot_at(m, 0);
	if (r < 0)
		return error_set(error, r, "event-loop", "cannot watch the namespace: %s",
				 strerror(-r));
	/* The timer begins the first snapshot. */
	m->phase = PHASE_WAIT;
	return 0;
}

int mirror_new(sd_event *event, int netns_fd, uint32_t space, const struct map_sink *sink,
	       const struct mirror_ops *ops, void *ctx, const struct mirror_options *options,
	       struct mirror **mirror, struct error *error)
{
	struct mirror *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return error_set(error, -ENOMEM, "no-memory", "no memory for a mirror");
	m->loop = sd_event_ref(event);
	m->netns_fd = -1;
	m->space = space;
	m->sink = sink;
	m->ops = ops;
	m->ctx = ctx;
	if (options)
		m->options = *options;
	if (!m->options.rcvbuf)
		m->options.rcvbuf = RCVBUF;
	if (!m->options.reconcile_usec)
		m->options.reconcile_usec = RECONCILE_USEC;
	if (mirror_state(m)->synced == SYNCED)
		mirror_state(m)->synced = SYNCED_ONCE;
	r = mirror_open(m, netns_fd, error);
	if (r < 0) {
		mirror_free(m);
		return r;
	}
	*mirror = m;
	return 0;
}

void mirror_free(struct mirror *m)
{
	if (!m)
		return;
	mirror_found_begin(m);
	mirror_dump_close(m);
	sd_event_source_disable_unref(m->events_io);
	sd_event_source_disable_unref(m->timer);
	nl_socket_free(m->events);
	cleanup_close(&m->netns_fd);
	spd_free(m->spd);
	sad_free(m->sad);
	sd_event_unref(m->loop);
	free(m);
}

void mirror_reconcile(struct mirror *m)
{
	if (m->phase == PHASE_IDLE)
		mirror_snapshot_at(m, 0);
	else
		m->look_soon = true;
}

struct spd *mirror_spd(struct mirror *m)
{
	return m->spd;
}

struct sad *mirror_sad(struct mirror *m)
{
	return m->sad;
}

bool mirror_synced(const struct mirror *m)
{
	return m->synced;
}

bool mirror_default_block(const struct mirror *m)
{
	return mirror_state(m)->default_block;
}

const struct mirror_stats *mirror_stats(const struct mirror *m)
{
	return &m->stats;
}
