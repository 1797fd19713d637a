// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>

#include "space_full.h"

const struct space_full space_fulls[] = {
#define X(id, member, key, what, follows, or_else) {FULL_##id, key, what, or_else},
	SPACE_FULL(X)
#undef X
		{},
};

static __u32 size_of(const struct space *s, __u8 bit)
{
	const struct bpf_sizes sizes = bpf_sizes(s->bpf);

	switch (bit) {
#define X(id, member, key, what, follows, or_else)                                                 \
	case FULL_##id:                                                                            \
		return sizes.member;
		SPACE_FULL(X)
#undef X
	}
	return 0;
}

static const char *what_follows(const struct space *s, __u8 bit)
{
	/* the first image was not whole: nothing of it is trusted */
	if (s->sink.state(s->sink.ctx, s->slot)->full & FULL_COMMIT)
		bit = FULL_SPD;
	switch (bit) {
#define X(id, member, key, what, follows, or_else)                                                 \
	case FULL_##id:                                                                            \
		return follows;
		SPACE_FULL(X)
#undef X
	}
	return "";
}

__u8 space_full(const struct space *s)
{
	const __u32 unfit = bpf_space_unfit(s->bpf, s->slot);
	struct routes_stats routes = {};
	struct spd_counts spd;
	struct sad_counts sad;
	__u8 full = 0;

	spd_count(mirror_spd(s->mirror), &spd);
	sad_count(mirror_sad(s->mirror), &sad);
	if (s->routes)
		routes_stats(s->routes, &routes);
	if (spd.missing || unfit & (1U << MAP_SPD | 1U << MAP_SPD_MASKS))
		full |= FULL_SPD;
	if (sad.missing || unfit & 1U << MAP_SAD)
		full |= FULL_SAD;
	if (routes.full[0] || routes.full[1] || unfit & (1U << MAP_ROUTES | 1U << MAP_ROUTE_PLENS))
		full |= FULL_ROUTES;
	return full;
}

size_t space_full_used(const struct space *s, __u8 bit)
{
	struct routes_stats routes = {};
	struct spd_counts spd;
	struct sad_counts sad;

	switch (bit) {
	case FULL_SPD:
		spd_count(mirror_spd(s->mirror), &spd);
		return spd.stored - bpf_space_late(s->bpf, s->slot, MAP_SPD);
	case FULL_SAD:
		sad_count(mirror_sad(s->mirror), &sad);
		return sad.stored - bpf_space_late(s->bpf, s->slot, MAP_SAD);
	default:
		if (s->routes)
			routes_stats(s->routes, &routes);
		return routes.entries[0] + routes.entries[1] -
		       bpf_space_late(s->bpf, s->slot, MAP_ROUTES);
	}
}

void space_full_routes_note(struct space *s, size_t others)
{
	if (!(space_full(s) & FULL_ROUTES))
		s->routes_others = 0;
	else if (s->routes_others < others)
		s->routes_others = others;
}

size_t space_full_retry(struct space *s, size_t others, size_t max)
{
	size_t n;

	if (!s->committed)
		return 0;
	n = bpf_space_retry(s->bpf, s->slot, max);
	n += spd_retry(mirror_spd(s->mirror), max);
	n += sad_retry(mirror_sad(s->mirror), max);
	if (others < s->routes_others) {
		s->routes_others = others;
		routes_refresh(s->routes);
	}
	return n;
}

/* The space that has most of it but for `s` and `but`; NULL: none has any. */
static const struct space *most_of(const struct space *all, const struct space *s,
				   const struct space *but, __u8 bit)
{
	const struct space *most = NULL;

	for (; all; all = all->next)
		if (all != s && all != but && space_full_used(all, bit) &&
		    (!most || space_full_used(all, bit) > space_full_used(most, bit)))
			most = all;
	return most;
}

/* Empty when no other space has any: it is this one's own then. */
static void text_shares(const struct space *s, const struct space *all, __u8 bit, char *buf,
			size_t size)
{
	const struct space *first = most_of(all, s, NULL, bit), *second;
	size_t n, others = 0, used = 0;

	buf[0] = '\0';
	if (!first)
		return;
	second = most_of(all, s, first, bit);
	n = (size_t)snprintf(buf, size, ", of which space %s has %zu", first->name,
			     space_full_used(first, bit));
	if (second)
		n += (size_t)snprintf(buf + n, size - n, ", space %s %zu", second->name,
				      space_full_used(second, bit));
	for (; all; all = all->next)
		if (all != s && all != first && all != second && space_full_used(all, bit)) {
			others++;
			used += space_full_used(all, bit);
		}
	if (others)
		n += (size_t)snprintf(buf + n, size - n, ", %zu others %zu", others, used);
	snprintf(buf + n, size - n, ", this one %zu", space_full_used(s, bit));
}

const char *space_full_text(const struct space *s, const struct space *all,
			    const struct space_full *f, char *buf, size_t size)
{
	char shares[320]; /* two names, and numbers */

	text_shares(s, all, f->bit, shares, sizeof(shares));
	snprintf(buf, size, "not all of its %s fit into the map (%s=%u%s): %s", f->what, f->key,
		 size_of(s, f->bit), shares, what_follows(s, f->bit));
	return buf;
}

json_t *space_full_json(const struct space *s)
{
	const __u8 full = space_full(s);
	json_t *o = json_object();

	for (const struct space_full *f = space_fulls; f->bit; f++)
		json_object_set_new(o, f->key, json_boolean(full & f->bit));
	return o;
}
