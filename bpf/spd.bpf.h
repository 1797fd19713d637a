/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The policy that the kernel would choose, by tuple space search: one hash lookup for each selector
 * shape in use, best priority first, until no shape can be better than what was found.
 */
#ifndef SAGATE_SPD_BPF_H
#define SAGATE_SPD_BPF_H

/* What spd_lookup found. */
enum spd_found {
	SPD_NONE,
	SPD_FOUND,
	SPD_UNSURE, /* a shape that compares what is not known of the flow could be chosen */
	SPD_TIE,    /* several could be, and they differ */
	SPD_SPORT,  /* one that compares a source port could be, and there is none yet */
	SPD_FOUND_MASK = 7,
	SPD_BY_SPORT = 8, /* beside any of them: a source port was compared on the way */
};

/* What a flow looks like through one selector shape. */
static __always_inline void spd_key_set(struct spd_key *key, const struct flow *f,
					const struct spd_mask *m)
{
	mask_addr(key->saddr, f->saddr, m->src_len);
	mask_addr(key->daddr, f->daddr, m->dst_len);
	key->src_len = m->src_len;
	key->dst_len = m->dst_len;
	key->sport = f->sport & m->sport;
	key->dport = f->dport & m->dport;
	key->sport_mask = m->sport;
	key->dport_mask = m->dport;
	key->proto = m->proto ? f->proto : 0;
	key->ifindex = m->dev & MASK_DEV ? f->oif : 0;
	key->mark = f->mark & m->mark;
	key->mark_mask = m->mark;
}

/* What a policy does, … */
enum spd_kind {
	KIND_NONE,
	KIND_PLAIN, /* lets through without a template */
	KIND_TMPLS,
	KIND_TIE, /* … or one of several does, which is not known */
	KIND_BLOCK,
};

#define SAW_SPORT  1 /* a source port was compared */
#define SAW_UNSURE 2 /* so would be what is not known of the flow */

/*
 * A search under way. Of those with the best priority: the oldest of each of the kernel's two
 * lists, and one of those whose place, or which of which and the oldest is older, is not known
 * (enum spd_place). Its size counts: spd_lookup() is in the deepest chain of calls.
 */
struct spd_walk {
	const struct flow *flow;
	const struct spd_masks *masks;
	union { /* one place for both, in turn: a program's stack is 512 bytes, with all it calls */
		struct spd_masks_key masks;
		struct spd_key spd;
	} key;
	__u32 best; /* priority */
	__u32 exact_index, inexact_index;
	__u32 exact_order, inexact_order;
	__u8 saw;					   /* SAW_ bits */
	__u8 exact, inexact, unknown;			   /* enum spd_kind */
	__u8 exact_chosen, inexact_chosen, unknown_chosen; /* which shape */
	__u8 no_sport;					   /* awaits_sport(): all ones */
};

static __always_inline bool spd_found_any(const struct spd_walk *w)
{
	return w->exact | w->inexact | w->unknown;
}

/* One whose place is not known beside others: if any blocks, that one. */
static __always_inline void spd_take_unknown(struct spd_walk *w, __u8 kind, __u32 i)
{
	if (!w->unknown || kind == KIND_BLOCK) {
		w->unknown = kind;
		w->unknown_chosen = i;
	} else if (w->unknown != KIND_BLOCK && (kind != KIND_PLAIN || w->unknown != KIND_PLAIN)) {
		w->unknown = KIND_TIE + loop_zero;
	}
}

/* What is to be done with one more of a list: */
enum spd_turn {
	TURN_FIRST,   /* it is the oldest */
	TURN_LATER,   /* another is older: it does not count */
	TURN_UNKNOWN, /* which one is older is not known */
};

static __always_inline enum spd_turn spd_turn(__u8 first, __u32 index, __u32 order,
					      const struct spd_value *v)
{
	if (!first)
		return TURN_FIRST;
	if (v->index < index)
		return v->order <= order ? TURN_FIRST : TURN_UNKNOWN;
	return v->order >= order ? TURN_LATER : TURN_UNKNOWN;
}

/* One that matches, found through shape `i`. */
static __always_inline void spd_take(struct spd_walk *w, const struct spd_value *v, __u32 i)
{
	__u8 kind = v->block ? KIND_BLOCK : v->tmpl_count ? KIND_TMPLS : KIND_PLAIN;
	enum spd_turn turn = TURN_UNKNOWN;

	kind += loop_zero;

	if (spd_found_any(w) && v->priority > w->best)
		return;
	if (!spd_found_any(w) || v->priority < w->best) {
		w->best = v->priority;
		w->exact = KIND_NONE + loop_zero;
		w->inexact = KIND_NONE + loop_zero;
		w->unknown = KIND_NONE + loop_zero;
	}
	if (v->place == PLACE_EXACT) {
		turn = spd_turn(w->exact, w->exact_index, w->exact_order, v);
		if (turn == TURN_FIRST) {
			w->exact = kind;
			w->exact_index = v->index;
			w->exact_order = v->order;
			w->exact_chosen = i;
		}
	} else if (v->place == PLACE_INEXACT) {
		turn = spd_turn(w->inexact, w->inexact_index, w->inexact_order, v);
		if (turn == TURN_FIRST) {
			w->inexact = kind;
			w->inexact_index = v->index;
			w->inexact_order = v->order;
			w->inexact_chosen = i;
		}
	} else if (v->place == PLACE_TIED && !v->block) {
		kind = KIND_TIE + loop_zero;
	}
	if (turn == TURN_UNKNOWN)
		spd_take_unknown(w, kind, i);
}

/* The shape of the one that counts: any of those left may be the kernel's. SPD_MASKS_MAX: a tie. */
static __always_inline __u32 spd_chosen(const struct spd_walk *w)
{
	if (w->exact == KIND_BLOCK)
		return w->exact_chosen;
	if (w->inexact == KIND_BLOCK)
		return w->inexact_chosen;
	if (w->unknown == KIND_BLOCK)
		return w->unknown_chosen;
	if (w->unknown == KIND_TIE ||
	    (w->exact && w->inexact && w->exact + w->inexact > 2 * KIND_PLAIN) ||
	    (w->exact && w->unknown && w->exact + w->unknown > 2 * KIND_PLAIN) ||
	    (w->inexact && w->unknown && w->inexact + w->unknown > 2 * KIND_PLAIN))
		return SPD_MASKS_MAX;
	return w->exact ? w->exact_chosen : w->inexact ? w->inexact_chosen : w->unknown_chosen;
}

/* To a multicast group. */
static __always_inline bool to_group(const struct flow *f)
{
	return f->family == AF_INET ? is_group4(f->daddr[0]) : is_group6(f->daddr);
}

/* Is the device of the flow in what the kernel compares? See spd_step(). */
static __always_inline bool keeps_device(const struct flow *f)
{
	return f->family == AF_INET || f->has_oif == KNOWN_BOUND || f->has_oif == KNOWN_INTERFACE ||
	       f->has_oif == KNOWN_UNSURE;
}

static __always_inline bool knows_device(const struct flow *f)
{
	return f->has_oif && f->has_oif != KNOWN_UNSURE;
}

/*
 * One shape; returns 1 when no further one can be better. A device is compared with the one that is
 * in the flow: IPv4 routing puts the routed one there (ip_route_output_flow()), IPv6 routing leaves
 * it at what the socket is bound to, but takes a VRF device out (l3mdev_update_flow()).
 */
static int spd_step(__u32 i, struct spd_walk *w)
{
	const struct spd_mask *m;
	const struct spd_value *v;

	if (i >= SPD_MASKS_MAX || i >= w->masks->count)
		return 1;
	m = &w->masks->mask[i];
	if (spd_found_any(w) && m->best > w->best)
		return 1;
	if (m->dev & (to_group(w->flow) ? MASK_HOST : MASK_GROUP))
		return 0;
	if (m->dev & MASK_DEV && !keeps_device(w->flow))
		return 0;
	if ((m->src_len && !w->flow->has_saddr) || (m->dev & MASK_DEV && !knows_device(w->flow))) {
		w->saw |= SAW_UNSURE + loop_zero;
		return 0;
	}
	w->saw |= (m->sport ? SAW_SPORT : 0) + loop_zero;
	spd_key_set(&w->key.spd, w->flow, m);
	/* the port that the socket will have is not 0: no entry has this */
	w->key.spd.pad[0] = (m->sport | m->sport >> 8) & w->no_sport;
	v = bpf_map_lookup_elem(&spd, &w->key.spd);
	if (v)
		spd_take(w, v, i);
	return 0;
}

/*
 * xfrm_policy_match: family, if_id, mark, type, then the selector (xfrm_selector_match). SPD_FOUND
 * leaves the chosen policy in *out. A global function: see route_lookup().
 */
__noinline int spd_lookup(const struct flow *f, const struct space_state *st, __u32 space,
			  __u8 class, struct spd_value *out)
{
	const struct spd_value *found;
	struct spd_walk w = {};
	__u32 chosen;
	int by_sport;

	if (!f || !st || !out || class >= CLASS_COUNT)
		return SPD_UNSURE;
	if (!st->masks[class][f->family == AF_INET6])
		return SPD_NONE;
	w.key.masks.space = space;
	w.key.masks.class = class;
	w.key.masks.family = f->family;
	w.masks = bpf_map_lookup_elem(&spd_masks, &w.key.masks);
	if (!w.masks)
		return SPD_UNSURE;
	__builtin_memset(&w.key, 0, sizeof(w.key));
	w.key.spd.space = space;
	w.key.spd.if_id = f->has_oif == KNOWN_INTERFACE ? f->if_id : 0;
	w.key.spd.class = class;
	w.key.spd.family = f->family;
	w.no_sport = awaits_sport(f) ? 0xff : 0;
	w.flow = f;
	/* each read by itself: equal registers would be known to be equal */
	w.best = loop_zero;
	w.exact_index = loop_zero;
	w.inexact_index = loop_zero;
	w.exact_order = loop_zero;
	w.inexact_order = loop_zero;
	w.saw = loop_zero;
	w.exact = loop_zero;
	w.inexact = loop_zero;
	w.unknown = loop_zero;
	w.exact_chosen = loop_zero;
	w.inexact_chosen = loop_zero;
	w.unknown_chosen = loop_zero;
	bpf_loop(SPD_MASKS_MAX, spd_step, &w, 0);
	by_sport = w.saw & SAW_SPORT ? SPD_BY_SPORT : 0;
	if (w.saw & SAW_UNSURE)
		return SPD_UNSURE | by_sport;
	if (!spd_found_any(&w))
		return SPD_NONE | by_sport;
	chosen = spd_chosen(&w);
	if (chosen >= SPD_MASKS_MAX)
		return SPD_TIE | by_sport;
	barrier_var(chosen); /* the bound must be seen by the verifier, not only by the compiler */
	chosen &= SPD_MASKS_MAX - 1;
	spd_key_set(&w.key.spd, f, &w.masks->mask[chosen]);
	w.key.spd.pad[0] = 0;
	found = bpf_map_lookup_elem(&spd, &w.key.spd);
	if (!found)
		return SPD_UNSURE; /* it went meanwhile: the epoch has moved */
	*out = *found;
	out->mark = w.key.spd.mark; /* in the map: order */
	return SPD_FOUND | by_sport;
}

struct shape_walk {
	const struct spd_masks *masks;
	__u32 count;
	__u8 protocols; /* whether those that compare one count */
	__u8 found;
};

/* One shape of selectors; returns 1 when it is one of those that are looked for. */
static int shape_step(__u32 i, struct shape_walk *w)
{
	const struct spd_mask *m;

	if (i >= SPD_MASKS_MAX || i >= w->count)
		return 1;
	m = &w->masks->mask[i];
	w->found = m->sport || m->dport || (w->protocols && m->proto);
	return w->found;
}

/*
 * Does any policy or requirement of the space compare ports, or, with `protocols`, a protocol?
 * Asked where a packet does not show them. A global function: see route_lookup().
 */
__noinline int shapes_compare(__u32 space, __u8 family, __u8 protocols)
{
	struct spd_masks_key key = {.space = space, .family = family};
	struct shape_walk w = {.protocols = protocols};

	w.found = loop_zero;
	for (int class = CLASS_SUB; class <= CLASS_REQUIRE && !w.found; class ++) {
		key.class = class;
		w.masks = bpf_map_lookup_elem(&spd_masks, &key);
		if (!w.masks)
			continue;
		w.count = w.masks->count;
		bpf_loop(SPD_MASKS_MAX, shape_step, &w, 0);
	}
	return w.found;
}

#endif
