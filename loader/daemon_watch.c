// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whether gates are what they should be: looked at twice a second, and what others have done to
 * them told. Part of doctor: programs of others, and processes that hooks do not see.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <utlist.h>

#include "daemon_internal.h"
#include "gate_links.h"
#include "gate_watch.h"

enum { WATCH_USEC = 500000 };

static void on_finding(void *ctx, const struct gate *gate, enum gate_finding f, enum hook hook)
{
	daemon_publish(ctx, json_pack("{s:s s:s s:s s:s? s:s?}", "event", "gate", "gate",
				      gate->name, "change", gate_finding_name(f), "hook",
				      hook < HOOK_COUNT ? gate_hook_name(hook) : NULL, "text",
				      f == GATE_UNDONE ? gate->undone : NULL));
}

static int on_watch(sd_event_source *source, uint64_t usec, void *ctx)
{
	const struct gate_watcher watcher = {on_finding, ctx};
	struct daemon *d = ctx;

	(void)usec;
	gates_watch(d->gates, &watcher);
	sd_event_source_set_time_relative(source, WATCH_USEC);
	return 0;
}

int daemon_watch_new(struct daemon *d, struct error *e)
{
	sd_event_source *tick = NULL;
	int err = sd_event_add_time_relative(d->event, &tick, CLOCK_BOOTTIME, WATCH_USEC,
					     WATCH_USEC / 10, on_watch, d);

	if (err >= 0)
		err = sd_event_source_set_enabled(tick, SD_EVENT_ON);
	if (err >= 0)
		err = sd_event_source_set_floating(tick, 1);
	sd_event_source_unref(tick);
	return err < 0 ? error_set(e, err, "loop", "the event loop: %s", strerror(-err)) : 0;
}

/* Programs that could undo a refusal, whether they do or not. */
static void check_later(json_t *list, struct daemon *d, const struct gate *gate)
{
	char later[256];

	for (int hook = 0; hook < HOOK_COUNT; hook++)
		if (hook != HOOK_EGRESS && gate->link[hook] >= 0 &&
		    gate_later(d->bpf, gate, hook, later, sizeof(later)) > 0)
			daemon_check_add(
				list, "programs", "warn",
				"detach it, or attach it before sagate; guard=on stands "
				"behind",
				"gate %s: %s: programs that run after its own, and can undo "
				"a refusal: %s",
				gate->name, gate_hook_name(hook), later);
}

void daemon_watch_checks(json_t *list, struct daemon *d, const struct gate *gate)
{
	if (gate->undone[0])
		daemon_check_add(list, "enforced", "fail",
				 "detach these programs (bpftool cgroup show … effective)",
				 "gate %s: %s", gate->name, gate->undone);
	else if (gate->probed)
		daemon_check_add(list, "enforced", "ok", NULL,
				 "gate %s: what it refuses is refused (tried twice a second)",
				 gate->name);
	else
		daemon_check_add(list, "enforced", "warn", NULL,
				 "gate %s: nobody tries whether what it refuses is refused: %s",
				 gate->name,
				 gate->probe.err ? strerror(-gate->probe.err) : "not yet");
	if (gate->meddled)
		daemon_check_add(list, "enforced", "warn", "see the daemon's log",
				 "gate %s: its programs were detached, replaced or undone %llu "
				 "times",
				 gate->name, (unsigned long long)gate->meddled);
	check_later(list, d, gate);
}
