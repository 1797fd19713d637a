// SPDX-License-Identifier: GPL-2.0-only
#include <netinet/in.h>
#include <string.h>

#include "spd.h"

enum spd_class spd_class_of(__u8 type)
{
	switch (type) {
	case XFRM_POLICY_TYPE_MAIN:
		return CLASS_MAIN;
	case XFRM_POLICY_TYPE_SUB:
		return CLASS_SUB;
	default:
		return CLASS_COUNT;
	}
}

static void addr_mask(__be32 to[4], const __be32 from[4], unsigned int len)
{
	for (int i = 0; i < 4; i++, len -= len < 32 ? len : 32)
		to[i] = len >= 32 ? from[i] : len ? from[i] & htonl(~0U << (32 - len)) : 0;
}

void spd_make_key(__u32 space, enum spd_class class, const struct policy_info *p,
		  struct spd_key *key)
{
	const struct selector_info *sel = &p->sel;

	memset(key, 0, sizeof(*key));
	key->space = space;
	key->if_id = p->if_id;
	/* As it is: a value with bits outside its mask matches no flow (xfrm_policy_match). */
	key->mark = p->mark;
	key->mark_mask = p->mark_mask;
	addr_mask(key->saddr, sel->saddr, sel->src_len);
	addr_mask(key->daddr, sel->daddr, sel->dst_len);
	key->sport = sel->sport & sel->sport_mask;
	key->dport = sel->dport & sel->dport_mask;
	key->sport_mask = sel->sport_mask;
	key->dport_mask = sel->dport_mask;
	key->ifindex = sel->ifindex;
	key->class = (__u8) class;
	key->family = sel->family;
	key->proto = sel->proto;
	key->src_len = sel->src_len;
	key->dst_len = sel->dst_len;
}

/* xfrm_tmpl_resolve_one: only these modes take the template's addresses. */
static bool tunnels(__u8 mode)
{
	return mode == XFRM_MODE_TUNNEL || mode == XFRM_MODE_BEET || mode == SAGATE_XFRM_MODE_IPTFS;
}

__u8 spd_place_of(const struct policy_info *p)
{
	const int whole = p->sel.family == AF_INET ? 32 : 128;

	if (p->unplaced)
		return PLACE_UNKNOWN;
	return p->sel.src_len == whole && p->sel.dst_len == whole ? PLACE_EXACT : PLACE_INEXACT;
}

bool spd_order_known(const struct policy_info *a, const struct policy_info *b)
{
	return spd_place_of(a) != PLACE_UNKNOWN && spd_place_of(a) == spd_place_of(b) &&
	       (a->index < b->index) == (a->order < b->order);
}

void spd_make_value(const struct policy_info *p, struct spd_value *value)
{
	memset(value, 0, sizeof(*value));
	value->index = p->index;
	value->priority = p->priority;
	value->order = p->unplaced ? 0 : p->order;
	value->block = p->action != XFRM_POLICY_ALLOW;
	value->trap_block = value->block && p->was_trap;
	value->tmpl_count = p->tmpl_count;
	value->place = spd_place_of(p);
	for (int i = 0; i < p->tmpl_count && i < TMPLS_MAX; i++) {
		value->tmpl[i] = p->tmpl[i];
		if (tunnels(p->tmpl[i].mode))
			continue;
		memset(value->tmpl[i].saddr, 0, sizeof(value->tmpl[i].saddr));
		memset(value->tmpl[i].daddr, 0, sizeof(value->tmpl[i].daddr));
	}
}

bool spd_image_requires(const struct spd_value *value)
{
	for (int i = 0; !value->block && i < value->tmpl_count && i < TMPLS_MAX; i++)
		if (!value->tmpl[i].optional)
			return true;
	return false;
}
