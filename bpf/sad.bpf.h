/* SPDX-License-Identifier: GPL-2.0-only */
/* Is there an SA that the kernel would use for a template? (xfrm_state_find, xfrm_state_look_at) */
#ifndef SAGATE_SAD_BPF_H
#define SAGATE_SAD_BPF_H

static __always_inline bool addr_equal(const __be32 *a, const __be32 *b)
{
	return !((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]));
}

static __always_inline bool addr_in(const __be32 *a, const __be32 *prefix, __u8 len)
{
	__be32 differ = 0;

	for (int i = 0; i < 4; i++)
		differ |= (a[i] ^ prefix[i]) & prefix_mask[len][i];
	return !differ;
}

/* The device in the flow: see spd_step(). */
static __always_inline bool on_device(const struct flow *f, __u32 ifindex)
{
	return ifindex == f->oif && keeps_device(f);
}

/* __xfrm4_selector_match, __xfrm6_selector_match. */
static __always_inline bool sad_selects(const struct sad_value *sa, const struct flow *f,
					bool no_sport)
{
	return sa->sel_family == f->family && addr_in(f->daddr, sa->sel_daddr, sa->sel_dst_len) &&
	       addr_in(f->saddr, sa->sel_saddr, sa->sel_src_len) &&
	       !((f->dport ^ sa->sel_dport) & sa->sel_dport_mask) &&
	       (no_sport || !((f->sport ^ sa->sel_sport) & sa->sel_sport_mask)) &&
	       (!sa->sel_proto || sa->sel_proto == f->proto) &&
	       (!sa->sel_ifindex || on_device(f, sa->sel_ifindex));
}

/* What is asked for, and what was found so far. */
struct sad_walk {
	const struct spd_tmpl *tmpl; /* its addresses are resolved */
	const struct flow *flow;
	struct sad_key *key;
	__u64 now;
	__u32 mark; /* the policy's */
	__u32 slots;
	__u32 best;	/* the reason of the SA that came furthest */
	__be32 spi;	/* of the one that fits */
	__u64 deadline; /* and its own, 0: none */
	__u16 sport;	/* bits of the source port that were compared */
	__u8 no_sport;	/* awaits_sport() */
	__u8 no_any;	/* an SA without a source does not count for sure */
};

/* The first condition that this SA fails, or REASON_SA. */
static __always_inline __u8 sad_check(const struct sad_value *sa, const struct sad_walk *w)
{
	if (!addr_equal(sa->saddr, w->tmpl->saddr) && !addr_any(sa->saddr) &&
	    !addr_any(w->tmpl->saddr))
		return REASON_SA_SOURCE;
	if (w->tmpl->spi && w->tmpl->spi != sa->spi)
		return REASON_SA_SPI;
	if ((w->mark & sa->mark_mask) != sa->mark)
		return REASON_SA_MARK;
	if (sa->sel_family && !sad_selects(sa, w->flow, w->no_sport))
		return REASON_SA_SELECTOR;
	if (sa->deadline && w->now >= sa->deadline)
		return REASON_SA_EXPIRED;
	if (sa->sel_family && sa->sel_sport_mask && w->no_sport)
		return REASON_SPORT_UNKNOWN;
	/*
	 * xfrm_state_find() takes it, and xfrm_tmpl_resolve_one() then refuses: where the template
	 * must have one that is no worse than none.
	 */
	if (sa->dir_in)
		return w->tmpl->optional ? REASON_SA_DIRECTION : REASON_NO_SA;
	/*
	 * xfrm_state_find() looks for an SA without a source only when none with that source is
	 * being made, of which no message tells. Where the template must have one, the packet is
	 * dropped meanwhile; an optional one would let it out in clear.
	 */
	if (w->no_any && addr_any(sa->saddr))
		return REASON_SA_ANY_SOURCE;
	return REASON_SA;
}

/* One SA; returns 1 when it fits or there is none left. */
static int sad_step(__u32 i, struct sad_walk *w)
{
	const struct sad_value *sa;
	__u8 reason;

	if (i >= w->slots)
		return 1;
	w->key->slot = i;
	sa = bpf_map_lookup_elem(&sad, w->key);
	if (!sa)
		return 1;
	if (!i)
		w->slots = sa->slots;
	reason = sad_check(sa, w) + loop_zero;
	w->sport |= sa->sel_sport_mask;
	if (reason == REASON_SA) {
		w->spi = sa->spi;
		w->deadline = sa->deadline;
	}
	if (reason == REASON_SA || reason > w->best)
		w->best = reason;
	return reason == REASON_SA;
}

/*
 * REASON_SA and w->spi, or the reason of the SA that came furthest: the reasons of sad_check are
 * numbered in the order of its conditions, and those that are not known come behind REASON_SA. The
 * caller sets tmpl, flow, now and mark.
 */
static __always_inline __u8 sad_lookup(struct sad_walk *w, __u32 space)
{
	struct sad_key key = {};

	key.space = space;
	key.if_id = w->flow->has_oif == KNOWN_INTERFACE ? w->flow->if_id : 0;
	key.reqid = w->tmpl->reqid;
	__builtin_memcpy(key.daddr, w->tmpl->daddr, sizeof(key.daddr));
	key.family = w->tmpl->family;
	key.proto = w->tmpl->proto;
	key.mode = w->tmpl->mode;
	w->key = &key;
	w->slots = 1 + loop_zero;
	w->best = REASON_NO_SA + loop_zero;
	w->spi = loop_zero;
	w->sport = loop_zero;
	w->no_sport = awaits_sport(w->flow);
	w->no_any = w->tmpl->optional && !addr_any(w->tmpl->saddr);
	bpf_loop(SAD_SLOTS_MAX, sad_step, w, 0);
	return w->best;
}

#endif
