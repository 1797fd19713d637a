// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the programs tell: refused calls, and signals. The ring buffer is emptied at once, which is
 * quick, so that there is room in it for every gate; what the events ask for may take long (a
 * thread that is put to sleep up to a millisecond), and is done gate by gate in turn.
 */
#include <errno.h>
#include <string.h>
#include <utlist.h>

#include <bpf/libbpf.h>

#include "boot_time.h"
#include "daemon_internal.h"
#include "flow_json.h"
#include "log.h"

/* In one turn of the loop: records read, and time for what they ask for. */
#define READ_MAX      4096
#define SERVE_NS      2000000ULL
#define TELL_EVERY_NS 60000000000ULL

static void start_negotiation(struct daemon *d, struct space *s, struct gate *gate,
			      const struct event *e)
{
	unsigned int most =
		gate ? gate->settings.negotiations_max : d->config->defaults.negotiations_max;

	if (negotiations_event(d->negotiations, s, e, most) && gate)
		gate->not_negotiated++;
}

void daemon_events_tell(struct daemon *d)
{
	uint64_t now = boot_ns();
	struct gate *gate;

	LL_FOREACH(gates_first(d->gates), gate) {
		if (gate->not_negotiated == gate->not_negotiated_told ||
		    (gate->told_at && now - gate->told_at < TELL_EVERY_NS))
			continue;
		log_warning("gate %s: %llu calls wait without a negotiation: it has %u under way, "
			    "or backed off, already (negotiations-max), or all gates together %u",
			    gate->name,
			    (unsigned long long)(gate->not_negotiated - gate->not_negotiated_told),
			    gate->settings.negotiations_max, NEGOTIATIONS_MAX);
		gate->not_negotiated_told = gate->not_negotiated;
		gate->told_at = now;
	}
}

/* A refused or audited call. */
static void serve(struct daemon *d, const struct event *event)
{
	struct gate *gate = gates_of_cgroup(d->gates, event->gate);
	struct space *s;

	if (daemon_watched(d))
		daemon_publish(d, event_to_json(event, gate ? gate->name : NULL));
	s = daemon_space_of(d, gate && gate->settings.spd_netns ? gate->settings.spd_netns
								: event->flow.netns);
	/*
	 * audit only looks: what it lets pass starts IKE as it would without us. Of a space that is
	 * not known yet nobody can say what it takes: who is refused asks again, who is held is
	 * woken then.
	 */
	if (s && s->committed && event->mode != MODE_AUDIT)
		start_negotiation(d, s, gate, event);
	if (s && gate && event->held)
		holds_event(d->holds, event, &gate->settings, gate->name, s->name);
}

/* The rest in the next turn of the loop. */
static void serve_some(struct daemon *d)
{
	uint64_t start = boot_ns();
	struct event event;
	bool more;

	while ((more = event_turns_take(&d->turns, &event))) {
		serve(d, &event);
		if (boot_ns() - start > SERVE_NS)
			break;
	}
	sd_event_source_set_enabled(d->serve, more ? SD_EVENT_ON : SD_EVENT_OFF);
}

static int on_serve(sd_event_source *source, void *ctx)
{
	(void)source;
	serve_some(ctx);
	return 0;
}

static int on_record(void *ctx, void *data, size_t size)
{
	const struct event *event = data;
	struct daemon *d = ctx;
	struct gate *gate;

	if (size == sizeof(struct hold_signal))
		holds_signal(d->holds, data);
	if (size >= sizeof(*event) && event_turns_put(&d->turns, event)) {
		gate = gates_of_cgroup(d->gates, event->gate);
		if (gate)
			gate->lost++;
	}
	return ++d->records < READ_MAX ? 0 : -EAGAIN;
}

static int on_ring_io(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct daemon *d = ctx;

	(void)source;
	(void)fd;
	(void)revents;
	d->records = 0;
	ring_buffer__consume(d->ring);
	serve_some(d);
	return 0;
}

int daemon_events_open(struct daemon *d, struct error *e)
{
	int err;

	d->ring = ring_buffer__new(bpf_events_fd(d->bpf), on_record, d, NULL);
	if (!d->ring)
		return error_set(e, -errno, "load", "events: the ring buffer cannot be opened: %s",
				 strerror(errno));
	err = sd_event_add_defer(d->event, &d->serve, on_serve, d);
	if (err >= 0)
		err = sd_event_source_set_enabled(d->serve, SD_EVENT_OFF);
	if (err >= 0)
		err = sd_event_add_io(d->event, NULL, ring_buffer__epoll_fd(d->ring), EPOLLIN,
				      on_ring_io, d);
	return err < 0 ? error_set(e, err, "load", "events: %s", strerror(-err)) : 0;
}

void daemon_events_close(struct daemon *d)
{
	ring_buffer__free(d->ring);
	sd_event_source_disable_unref(d->serve);
	event_turns_free(&d->turns);
}
