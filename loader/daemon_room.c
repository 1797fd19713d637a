// SPDX-License-Identifier: GPL-2.0-only
/*
 * No event tells a space that another one has given room in the maps back, so each that is full is
 * tried once a second: one write that fails, when nothing has changed.
 */
#include <string.h>
#include <utlist.h>

#include "daemon_internal.h"
#include "space_full.h"

enum { ENTRIES_MAX = 4096 }; /* of a kind and space, in one turn of the loop */

static size_t routes_of_others(const struct daemon *d, const struct space *s)
{
	const struct space *other;
	size_t n = 0;

	LL_FOREACH(d->spaces, other)
		if (other != s)
			n += space_full_used(other, FULL_ROUTES);
	return n;
}

void daemon_room_note(struct daemon *d, struct space *s)
{
	space_full_routes_note(s, routes_of_others(d, s));
}

void daemon_room_second(struct daemon *d)
{
	struct space *s;
	size_t n;

	LL_FOREACH(d->spaces, s) {
		if (!space_full(s))
			continue;
		n = space_full_retry(s, routes_of_others(d, s), ENTRIES_MAX);
		if (n >= ENTRIES_MAX)
			sd_event_source_set_enabled(d->room, SD_EVENT_ONESHOT);
		if (n || space_full(s) != s->full_told)
			d->space_ops->settled(d, s);
	}
}

static int on_room(sd_event_source *source, void *ctx)
{
	(void)source;
	daemon_room_second(ctx);
	return 0;
}

int daemon_room_new(struct daemon *d, struct error *e)
{
	int err = sd_event_add_defer(d->event, &d->room, on_room, d);

	if (err >= 0)
		err = sd_event_source_set_enabled(d->room, SD_EVENT_OFF);
	return err < 0 ? error_set(e, err, "loop", "the event loop: %s", strerror(-err)) : 0;
}

void daemon_room_free(struct daemon *d)
{
	d->room = sd_event_source_disable_unref(d->room);
}
