// SPDX-License-Identifier: GPL-2.0-only
#include <linux/xfrm.h>
#include <netinet/in.h>

#include "draw.h"

static const uint8_t protos[] = {IPPROTO_TCP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDP, IPPROTO_GRE};
static const uint16_t dports[] = {80, 443, 53, 5000};
static const uint16_t sports[] = {500, 1000, 1001, 2000, 40961}; /* the last is given */
static const uint16_t masks[] = {0xffff, 0xffff, 0xffff, 0xfff0, 0xff00};
static const uint32_t prios[] = {100, 100, 200, 200, 300, 1000};
static const int dst_lens4[] = {0, 8, 24, 25, 26, 28, 31, 32, 32, 32};
static const int dst_lens6[] = {0, 32, 48, 64, 127, 128, 128, 128};

static void draw_mark(struct rng *r, uint32_t *mark, uint32_t *mask)
{
	static const uint32_t pairs[][2] = {{1, 1},   {0x10, 0xf0}, {0x10, 0xff}, {0, 0x0f},
					    {5, ~0U}, {0x20, 0xf0}, {0, 0xff}};
	unsigned int i = rng_below(r, sizeof(pairs) / sizeof(pairs[0]));

	*mark = pairs[i][0];
	*mask = pairs[i][1];
	if (rng_percent(r, 3))
		*mark |= ~*mask & 0x100; /* matches nothing */
}

static void draw_ports(struct sel *s, struct rng *r)
{
	if (s->proto == IPPROTO_ICMP || s->proto == IPPROTO_ICMPV6) {
		if (rng_percent(r, 50)) {
			s->sport = rng_percent(r, 70) ? (s->proto == IPPROTO_ICMP ? 8 : 128) : 3;
			s->sport_mask = 0xffff;
		}
		return;
	}
	if (rng_percent(r, 60)) {
		s->dport_mask = RNG_PICK(r, masks);
		s->dport = RNG_PICK(r, dports);
		if (rng_percent(r, 80))
			s->dport &= s->dport_mask;
	}
	if (rng_percent(r, 20)) {
		s->sport_mask = RNG_PICK(r, masks);
		s->sport = RNG_PICK(r, sports);
	}
}

static void draw_sel(struct sel *s, struct rng *r, int family)
{
	int any;

	*s = (struct sel){.family = family};
	s->dst_len = (uint8_t)(family == AF_INET ? RNG_PICK(r, dst_lens4) : RNG_PICK(r, dst_lens6));
	s->dst = draw_remote(r, family);
	if (rng_percent(r, 80))
		s->dst = addr_masked(s->dst, s->dst_len);
	if (rng_percent(r, 40)) {
		s->src = draw_local(r, family, &any);
		s->src_len = (uint8_t)(addr_bits(family) - (rng_percent(r, 30) ? 1 : 0));
	}
	if (rng_percent(r, 45)) {
		s->proto = RNG_PICK(r, protos);
		if (rng_percent(r, 15))
			s->proto = family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	}
	if (rng_percent(r, s->proto ? 60 : 10))
		draw_ports(s, r);
	if (rng_percent(r, 12))
		s->dev = rng_percent(r, 50) ? DEV_LAN0 : DEV_LAN1;
}

/* In a world with xfrm interfaces tunnels end on the link: never in a network behind one. */
static struct addr draw_far_end(struct rng *r, int family, bool on_link)
{
	unsigned int n;

	return on_link ? world_remote(family, rng_below(r, 3), &n) : draw_remote(r, family);
}

static void draw_tmpl(struct tmpl *t, struct rng *r, int family, bool on_link)
{
	int any, kind = (int)rng_below(r, 100);

	*t = (struct tmpl){.family = family, .proto = IPPROTO_ESP};
	if (rng_percent(r, 15))
		t->proto = IPPROTO_AH;
	else if (rng_percent(r, 10))
		t->proto = IPPROTO_COMP;
	t->reqid = rng_below(r, 4);
	t->optional = rng_percent(r, 15);
	t->mode = kind < 50 ? XFRM_MODE_TRANSPORT : kind < 90 ? XFRM_MODE_TUNNEL : XFRM_MODE_BEET;
	if (t->mode == XFRM_MODE_TRANSPORT)
		return;
	if (rng_percent(r, 25))
		t->family = family == AF_INET ? AF_INET6 : AF_INET;
	t->dst = draw_far_end(r, t->family, on_link);
	if (!rng_percent(r, 20))
		t->src = draw_local(r, t->family, &any);
}

static void draw_policy(struct world *w, struct rng *r, bool subs)
{
	struct policy *p = &w->policy[w->policies++];
	int family = draw_family(r), kind = (int)rng_below(r, 100);

	*p = (struct policy){.sub = subs && rng_percent(r, 40)};
	draw_sel(&p->sel, r, family);
	p->prio = RNG_PICK(r, prios);
	if (w->xfrmi && rng_percent(r, 50)) {
		p->if_id = rng_percent(r, 60) ? XFRM0_IF_ID : XFRM1_IF_ID;
		if (rng_percent(r, 60)) {
			p->sel.dst = family == AF_INET ? addr_of(AF_INET, "203.0.113.0")
						       : addr_of(AF_INET6, "2001:db8:b::");
			p->sel.dst_len = family == AF_INET ? 24 : 48;
		}
	}
	if (rng_percent(r, 25))
		draw_mark(r, &p->mark, &p->mask);
	if (kind < 15) {
		p->block = true;
		return;
	}
	if (kind < 30)
		return;
	p->tmpls = rng_percent(r, 80) ? 1 : rng_percent(r, 85) ? 2 : 3;
	for (int i = 0; i < p->tmpls; i++) {
		int inner = i ? p->tmpl[i - 1].family : family;

		draw_tmpl(&p->tmpl[i], r, inner, w->xfrmi);
	}
}

void draw_policies(struct world *w, struct rng *r)
{
	bool subs = rng_percent(r, 25);
	int n = 2 + (int)rng_below(r, 12);

	for (int i = 0; i < n; i++)
		draw_policy(w, r, subs);
}

/*
 * What the kernel's order of policies with one priority hangs on: when each was added or last
 * updated, and its index, from kernel to kernel in another way.
 */
void draw_order(struct world *w, uint64_t seed)
{
	struct rng r = rng_of(seed, 'o', w->number);

	if (rng_percent(&r, 60))
		return;
	for (int i = 0; i < w->policies; i++) {
		struct policy *p = &w->policy[i];

		if (rng_percent(&r, 25)) /* its last three bits are the direction */
			p->index = rng_below(&r, 1000) << 3 | XFRM_POLICY_OUT;
		if (!rng_percent(&r, 35))
			continue;
		p->updated = true;
		p->prio_added = p->prio;
		if (rng_percent(&r, 60))
			p->prio = w->policy[rng_below(&r, (unsigned int)w->policies)].prio;
	}
}

/* Changes one thing of an SA, so that it just does not fit, or does all the same. */
static void spoil(struct sa *sa, struct rng *r)
{
	int any;

	switch (rng_below(r, 11)) {
	case 0:
		sa->reqid++;
		break;
	case 1:
		sa->mode = sa->mode == XFRM_MODE_TUNNEL ? XFRM_MODE_TRANSPORT : XFRM_MODE_TUNNEL;
		break;
	case 2:
		sa->proto = sa->proto == IPPROTO_ESP ? IPPROTO_AH : IPPROTO_ESP;
		break;
	case 3:
		draw_mark(r, &sa->mark, &sa->mask);
		break;
	case 4:
		sa->src = draw_local(r, sa->family, &any);
		break;
	case 5:
		sa->dst = draw_remote(r, sa->family);
		break;
	case 6:
		sa->if_id = sa->if_id == XFRM0_IF_ID ? XFRM1_IF_ID : XFRM0_IF_ID;
		break;
	case 7:
		sa->larval = true;
		break;
	case 8:
		sa->dir = SA_DIR_IN;
		break;
	case 9:
		sa->pcpu = rng_below(r, 2); /* all here runs on CPU 0 */
		break;
	default:
		sa->src = (struct addr){{0}};
	}
}

/* An SA for a template of a policy; of transport mode, for one destination. */
static void draw_sa(struct world *w, struct rng *r, const struct policy *p, struct tmpl *t,
		    const struct addr *dst)
{
	struct sa *sa = &w->sa[w->sas];
	int any;

	*sa = (struct sa){.family = t->family,
			  .proto = t->proto,
			  .mode = t->mode,
			  .reqid = t->reqid,
			  .if_id = p->if_id,
			  .pcpu = PCPU_ANY,
			  .twin = -1};
	sa->spi = (sa->proto == IPPROTO_COMP ? 0x1000 : 0xc0001000) + (uint32_t)w->sas;
	sa->dst = t->mode == XFRM_MODE_TRANSPORT ? *dst : t->dst;
	sa->src = t->mode == XFRM_MODE_TRANSPORT ? draw_local(r, sa->family, &any) : t->src;
	if (addr_zero(&sa->src) && rng_percent(r, 80))
		sa->src = draw_local(r, sa->family, &any);
	if (p->mask && rng_percent(r, 60)) {
		sa->mark = p->mark & p->mask;
		sa->mask = p->mask;
	}
	if (rng_percent(r, 25)) {
		sa->has_sel = true;
		draw_sel(&sa->sel, r, p->sel.family);
		if (rng_percent(r, 60))
			sa->sel = p->sel;
	}
	if (!sa->has_sel && (p->sel.family != t->family || rng_percent(r, 20)))
		sa->unspec = true;
	if (rng_percent(r, 30))
		spoil(sa, r);
	if (!sa->dir && rng_percent(r, 5))
		sa->dir = SA_DIR_OUT;
	if (sa->larval) {
		sa->has_sel = false;
	} else if (w->lives && rng_percent(r, 40)) {
		sa->soft = rng_percent(r, 50);
		sa->hard = !sa->soft;
	}
	w->sas++;
}

static void draw_twin(struct world *w, int of)
{
	struct sa *sa = &w->sa[w->sas];

	*sa = w->sa[of];
	sa->spi = (sa->proto == IPPROTO_COMP ? 0x1000 : 0xc0001000) + (uint32_t)w->sas;
	sa->twin = of;
	w->sas++;
}

static void draw_sas_of(struct world *w, struct rng *r, const struct policy *p, struct tmpl *t)
{
	unsigned int n;

	if (t->mode != XFRM_MODE_TRANSPORT) {
		if (rng_percent(r, 85) && w->sas < SAS_MAX - 2)
			draw_sa(w, r, p, t, NULL);
		return;
	}
	world_remote(t->family, 0, &n);
	for (unsigned int i = 0; i < n; i++) {
		struct addr dst = world_remote(t->family, i, &n);

		/* behind a tunnel's template it is the tunnel's far end that counts */
		if (t != p->tmpl && !addr_zero(&t[-1].dst) && rng_percent(r, 60))
			dst = t[-1].dst;
		if (rng_percent(r, 60) && w->sas < SAS_MAX - 2)
			draw_sa(w, r, p, t, &dst);
	}
}

void draw_sas(struct world *w, struct rng *r)
{
	for (int i = 0; i < w->policies; i++) {
		struct policy *p = &w->policy[i];

		for (int j = 0; j < p->tmpls; j++) {
			int first = w->sas;

			if (rng_percent(r, 90))
				draw_sas_of(w, r, p, &p->tmpl[j]);
			if (w->sas == first)
				continue;
			if (rng_percent(r, 20))
				p->tmpl[j].spi = w->sa[first].spi;
			if (rng_percent(r, 10) && !w->sa[first].larval)
				draw_twin(w, first);
		}
	}
}
