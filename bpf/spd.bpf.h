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
	key->ifindex = m->dev ? f->oif : 0;
	key->mark = f->mark & m->mark;
	key->mark_mask = m->mark;
}

/* A search under way. */
struct spd_walk {
	const struct flow *flow;
	const struct spd_masks *masks;
	struct spd_key *key;
	__u64 best; /* rank of what was found */
	__u32 chosen;
	__u8 found;
	__u8 unsure;
	__u16 sport; /* bits of it that were compared */
	__u32 count;
};

/*
 * Lower is chosen first. On a tie the protecting answer is taken: the kernel's own order is not to
 * be seen (DESIGN.md).
 */
static __always_inline __u64 spd_rank(const struct spd_value *v)
{
	return (__u64)v->priority << 2 | (v->block ? 0 : v->tmpl_count ? 1 : 2);
}

/*
 * One shape; returns 1 when no further one can be better. A device is compared with the one that is
 * in the flow: IPv4 routing puts the routed one there (ip_route_output_key_hash_rcu()), IPv6
 * routing leaves it at what the socket is bound to.
 */
static int spd_step(__u32 i, struct spd_walk *w)
{
	const struct spd_mask *m;
	const struct spd_value *v;

	if (i >= SPD_MASKS_MAX || i >= w->count)
		return 1;
	m = &w->masks->mask[i];
	if (w->found && m->best > w->best >> 2)
		return 1;
	if (m->dev && w->flow->family == AF_INET6 && w->flow->has_oif != KNOWN_BOUND)
		return 0;
	if ((m->src_len && !w->flow->has_saddr) || (m->dev && !w->flow->has_oif)) {
		w->unsure = 1;
		return 0;
	}
	w->sport |= m->sport;
	spd_key_set(w->key, w->flow, m);
	v = bpf_map_lookup_elem(&spd, w->key);
	if (v && (!w->found || spd_rank(v) < w->best)) {
		w->best = spd_rank(v);
		w->chosen = i;
		w->found = 1;
	}
	return 0;
}

/*
 * xfrm_policy_match: family, if_id, mark, type, then the selector (xfrm_selector_match). SPD_FOUND
 * leaves the chosen policy in *out; out->by_sport is set in any case. A global function: see
 * route_lookup().
 */
__noinline int spd_lookup(const struct flow *f, const struct space_state *st, __u32 space,
			  __u8 class, struct spd_value *out)
{
	struct spd_masks_key masks_key = {};
	const struct spd_value *found;
	struct spd_key key = {};
	struct spd_walk w = {};

	if (!f || !st || !out || class >= CLASS_COUNT)
		return SPD_UNSURE;
	out->by_sport = 0;
	if (!st->masks[class][f->family == AF_INET6])
		return SPD_NONE;
	key.space = masks_key.space = space;
	key.if_id = class == CLASS_REQUIRE ? 0 : f->if_id; /* requirements have none */
	key.class = masks_key.class = class;
	key.family = masks_key.family = f->family;
	w.masks = bpf_map_lookup_elem(&spd_masks, &masks_key);
	if (!w.masks)
		return SPD_UNSURE;
	w.count = w.masks->count;
	w.flow = f;
	w.key = &key;
	/* each read by itself: equal registers would be known to be equal */
	w.best = loop_zero;
	w.chosen = loop_zero;
	w.found = loop_zero;
	w.unsure = loop_zero;
	w.sport = loop_zero;
	bpf_loop(SPD_MASKS_MAX, spd_step, &w, 0);
	out->by_sport = w.sport != 0;
	if (w.unsure)
		return SPD_UNSURE;
	if (!w.found)
		return SPD_NONE;
	spd_key_set(&key, f, &w.masks->mask[w.chosen & (SPD_MASKS_MAX - 1)]);
	found = bpf_map_lookup_elem(&spd, &key);
	if (!found)
		return SPD_UNSURE; /* it went meanwhile: the epoch has moved */
	*out = *found;
	out->by_sport = w.sport != 0;
	return SPD_FOUND;
}

#endif
