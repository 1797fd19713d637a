// SPDX-License-Identifier: GPL-2.0-only
/*
 * doctor, the daemon's part: each space's mirror is compared with a fresh dump of the kernel, entry
 * by entry, and then the maps with the mirror, in the loop and without going stale. What differs is
 * named, and put right. Requests that come meanwhile wait for a comparison of their own.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "daemon_internal.h"
#include "maps_compare.h"
#include "xfrm_fields.h"

#define NAMED_MAX  10	       /* differences named of a space; the others are counted */
#define LIMIT_USEC 15000000ULL /* for all spaces: the client waits twice as long */
#define REPAIRED   "it was put right; changes that the kernel tells nobody, or a fault of sagate's"

struct doctor {
	struct doctor *next;
	struct daemon *d;
	uint64_t request;
	struct space *space; /* that is compared, NULL: not begun */
	json_t *checks;	     /* what the comparisons came to */
	json_t *named;	     /* of this space */
	size_t differences;  /* of this space, named or not */
	struct maps_compare *maps;
	struct map_source source;
	sd_event_source *limit;
};

static void start(struct doctor *doc);

static void doctor_free(struct doctor *doc)
{
	if (doc->space)
		mirror_compare_stop(doc->space->mirror);
	maps_compare_free(doc->maps);
	sd_event_source_disable_unref(doc->limit);
	json_decref(doc->checks);
	json_decref(doc->named);
	free(doc);
}

static void finish(struct doctor *doc)
{
	struct daemon *d = doc->d;
	json_t *result = daemon_checks(d);

	json_array_extend(result, doc->checks);
	control_answer(d->control, doc->request, result, NULL);
	json_decref(result);
	LL_DELETE(d->doctors, doc);
	doctor_free(doc);
	if (d->doctors)
		start(d->doctors);
}

static __attribute__((format(printf, 2, 3))) void note(struct doctor *doc, const char *fmt, ...)
{
	char text[640];
	va_list ap;
	int n;

	if (doc->differences++ >= NAMED_MAX)
		return;
	n = snprintf(text, sizeof(text), "space %s: ", doc->space->name);
	va_start(ap, fmt);
	vsnprintf(text + n, sizeof(text) - (size_t)n, fmt, ap);
	va_end(ap);
	daemon_check_add(doc->named, "mirror", "fail", REPAIRED, "%s", text);
}

static void on_mirror_differs(void *ctx, const struct mirror_difference *d)
{
	if (d->fields)
		note(ctx, "%s: the mirror had another: %s", d->name, d->fields);
	else
		note(ctx, "%s: %s", d->name,
		     d->in_kernel ? "in the kernel, the mirror lacked it"
				  : "in the mirror, the kernel does not have it");
}

static void on_maps_differ(void *ctx, enum map_id map, const void *key, enum maps_difference how)
{
	static const char *const told[] = {"the map lacked it", "the map had other values",
					   "the map had it, the mirror does not"};
	struct doctor *doc = ctx;
	char name[192];

	if (map == MAP_SAD) {
		note(doc, "%s: %s", sad_key_name(key, name, sizeof(name)), told[how]);
	} else if (map == MAP_SPD) {
		note(doc, "%s: %s", spd_key_name(key, name, sizeof(name)), told[how]);
	} else {
		const struct spd_masks_key *k = key;

		note(doc, "list of masks, class %u family %u: %s", k->class, k->family, told[how]);
	}
}

static void conclude(struct doctor *doc, int err)
{
	struct space *s = doc->space;
	struct spd_counts spd;
	struct sad_counts sad;

	spd_count(mirror_spd(s->mirror), &spd);
	sad_count(mirror_sad(s->mirror), &sad);
	json_array_extend(doc->checks, doc->named);
	if (err)
		daemon_check_add(doc->checks, "mirror", "fail", "see the daemon's log",
				 "space %s: the maps cannot be read: %s", s->name, strerror(-err));
	else if (doc->differences > NAMED_MAX)
		daemon_check_add(doc->checks, "mirror", "fail", REPAIRED,
				 "space %s: %zu more differences", s->name,
				 doc->differences - NAMED_MAX);
	else if (!doc->differences)
		daemon_check_add(doc->checks, "mirror", "ok", NULL,
				 "space %s: %zu policies and %zu SAs equal the kernel's", s->name,
				 spd.policies - requirements_count(s->requirements), sad.sas);
}

static void compare_next(struct doctor *doc, struct space *s);

static void on_maps_done(void *ctx, int err)
{
	struct doctor *doc = ctx;
	struct space *next = doc->space->next;

	maps_compare_free(doc->maps);
	doc->maps = NULL;
	conclude(doc, err);
	compare_next(doc, next);
}

static const struct maps_compare_ops maps_ops = {
	.differs = on_maps_differ,
	.done = on_maps_done,
};

static void on_mirror_done(void *ctx)
{
	struct doctor *doc = ctx;
	struct space *s = doc->space;
	struct maps_compare_of of = {
		.space = s->slot,
		.spd = mirror_spd(s->mirror),
		.sad = mirror_sad(s->mirror),
		.sink = &s->sink,
		.source = &doc->source,
	};
	int err = maps_compare_new(doc->d->event, &of, &maps_ops, doc, &doc->maps);

	if (err)
		on_maps_done(doc, err);
}

static const struct mirror_compare_ops mirror_ops = {
	.differs = on_mirror_differs,
	.done = on_mirror_done,
};

/* From `s` on: what is not in the maps yet is nothing to compare. */
static void compare_next(struct doctor *doc, struct space *s)
{
	while (s && !s->committed)
		s = s->next;
	doc->space = s;
	if (!s) {
		finish(doc);
		return;
	}
	json_array_clear(doc->named);
	doc->differences = 0;
	mirror_compare(s->mirror, &mirror_ops, doc);
}

static int on_limit(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct doctor *doc = ctx;

	(void)source;
	(void)usec;
	daemon_check_add(doc->checks, "mirror", "warn", "try again when less changes",
			 "space %s: the comparison with the kernel did not end within %llu s",
			 doc->space->name, LIMIT_USEC / 1000000);
	finish(doc);
	return 0;
}

static void start(struct doctor *doc)
{
	if (sd_event_add_time_relative(doc->d->event, &doc->limit, CLOCK_MONOTONIC, LIMIT_USEC, 0,
				       on_limit, doc) < 0)
		finish(doc);
	else
		compare_next(doc, doc->d->spaces);
}

void daemon_doctor(struct daemon *d)
{
	struct doctor *doc = calloc(1, sizeof(*doc));
	uint64_t request = control_defer(d->control);
	struct error e;

	if (!doc) {
		error_set(&e, -ENOMEM, "memory", "no memory");
		control_answer(d->control, request, NULL, &e);
		return;
	}
	doc->d = d;
	doc->request = request;
	doc->checks = json_array();
	doc->named = json_array();
	bpf_source(d->bpf, &doc->source);
	LL_APPEND(d->doctors, doc);
	if (d->doctors == doc)
		start(doc);
}

void daemon_doctor_forget(struct daemon *d, const struct space *s)
{
	struct doctor *doc = d->doctors;

	if (!doc || doc->space != s)
		return;
	mirror_compare_stop(doc->space->mirror);
	maps_compare_free(doc->maps);
	doc->maps = NULL;
	compare_next(doc, s->next);
}

void daemon_doctor_stop(struct daemon *d)
{
	struct doctor *doc, *next;

	LL_FOREACH_SAFE(d->doctors, doc, next)
	doctor_free(doc);
	d->doctors = NULL;
}
