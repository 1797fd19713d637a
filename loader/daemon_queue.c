// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>
#include <utlist.h>

#include "daemon_internal.h"
#include "space_queue.h"

/* In which namespaces a gate's programs run is not known: in any, save a container's in its own. */
static bool needs(const struct gate *gate, const struct space *s)
{
	if (gate->settings.mode != MODE_HOLD ||
	    gate->settings.hold_nonblocking != NONBLOCKING_QUEUE || gate->settings.spd_netns)
		return false;
	return gate->settings.own_space ? !strcmp(gate->name, s->name) : !s->container;
}

static bool is_needed(struct daemon *d, const struct space *s)
{
	const struct gate *gate;

	LL_FOREACH(gates_first(d->gates), gate)
		if (needs(gate, s))
			return true;
	return false;
}

void daemon_queues(struct daemon *d)
{
	struct space *s;

	LL_FOREACH(d->spaces, s)
		space_queue(s, is_needed(d, s));
}

void daemon_queues_anew(struct daemon *d)
{
	struct space *s;

	LL_FOREACH(d->spaces, s)
		space_queue_anew(s);
}

void daemon_queues_stop(struct daemon *d)
{
	struct space *s;

	LL_FOREACH(d->spaces, s)
		space_queue(s, false);
}
