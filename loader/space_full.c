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

const char *space_full_text(const struct space *s, const struct space_full *f, char *buf,
			    size_t size)
{
	snprintf(buf, size, "not all of its %s fit into the map (%s=%u): %s", f->what, f->key,
		 size_of(s, f->bit), what_follows(s, f->bit));
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
