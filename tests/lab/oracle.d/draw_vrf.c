// SPDX-License-Identifier: GPL-2.0-only
#include <linux/rtnetlink.h>

#include "draw.h"
#include "vrf.h"

#define UNREACHABLE_METRIC 4278198272U /* as the kernel's documentation has it */

static struct route *next_route(struct world *w)
{
	return w->routes < ROUTES_MAX ? &w->route[w->routes++] : NULL;
}

static void add_route(struct world *w, const struct route *r)
{
	struct route *t = next_route(w);

	if (t)
		*t = *r;
}

static int some_port(const struct vrf *v, struct rng *r)
{
	if (v->ports[DEV_LAN0] && v->ports[DEV_LAN1])
		return rng_percent(r, 50) ? DEV_LAN0 : DEV_LAN1;
	return v->ports[DEV_LAN0] ? DEV_LAN0 : DEV_LAN1;
}

static void draw_family_routes(struct world *w, struct rng *r, int family)
{
	struct route t = {.family = family, .type = RTN_UNICAST, .table = VRF_TABLE};

	if (rng_percent(r, 70)) {
		t.dev = some_port(&w->vrf, r);
		t.gw = draw_gateway(family, t.dev);
		add_route(w, &t);
	}
	if (rng_percent(r, 50))
		add_route(w, &(struct route){.family = family,
					     .type = RTN_UNREACHABLE,
					     .table = VRF_TABLE,
					     .metric = UNREACHABLE_METRIC});
}

/* Routes in the VRF's table, some of which lead out of it; and from main into it. */
static void draw_vrf_routes(struct world *w, struct rng *r)
{
	int n = (int)rng_below(r, 4);

	draw_family_routes(w, r, AF_INET);
	draw_family_routes(w, r, AF_INET6);
	for (int i = 0; i < n; i++) {
		int family = draw_family(r), bits = addr_bits(family);
		struct route t;

		draw_route(&t, r, family, rng_percent(r, 50) ? bits : family == AF_INET ? 25 : 48);
		t.table = VRF_TABLE;
		if (t.dev && !t.dev2 && rng_percent(r, 80)) {
			t.dev = some_port(&w->vrf, r);
			if (!addr_zero(&t.gw))
				t.gw = draw_gateway(family, t.dev);
		}
		add_route(w, &t);
	}
	if (rng_percent(r, 20)) {
		int family = draw_family(r), len = family == AF_INET ? 25 : 48;

		w->vrf.leaking++;
		add_route(w, &(struct route){.family = family,
					     .type = RTN_UNICAST,
					     .table = RT_TABLE_MAIN,
					     .dst = addr_masked(draw_remote(r, family), len),
					     .len = len,
					     .dev = DEV_VRF0});
	}
}

static void add_rule(struct world *w, const struct rule *u)
{
	if (w->rules < RULES_MAX)
		w->rule[w->rules++] = *u;
}

/* Rules that lead into the VRF, before and behind the others. */
static void draw_vrf_rules(struct world *w, struct rng *r)
{
	for (int family = AF_INET; family; family = family == AF_INET ? AF_INET6 : 0) {
		if (rng_percent(r, 25))
			add_rule(w, &(struct rule){.family = family,
						   .l3mdev = true,
						   .table = VRF_TABLE,
						   .prio = 200 + rng_below(r, 200)});
		if (rng_percent(r, 30)) {
			int len = family == AF_INET ? 25 : 48;

			add_rule(w, &(struct rule){.family = family,
						   .table = VRF_TABLE,
						   .dst = addr_masked(draw_remote(r, family), len),
						   .dst_len = len,
						   .prio = 290 + rng_below(r, 20)});
		}
		if (rng_percent(r, 15))
			add_rule(w, &(struct rule){.family = family,
						   .table = VRF_TABLE,
						   .mark = 0x10,
						   .mask = 0xf0,
						   .prio = 290 + rng_below(r, 20)});
		if (rng_percent(r, 8))
			add_rule(w, &(struct rule){.family = family,
						   .table = rng_percent(r, 50) ? 100 : VRF_TABLE,
						   .oif = DEV_VRF0,
						   .prio = 290 + rng_below(r, 20)});
	}
}

void vrf_draw(struct world *w, uint64_t seed)
{
	struct rng r = rng_of(seed, 'v', w->number);
	unsigned int kind;

	if (!rng_percent(&r, 30))
		return;
	kind = rng_below(&r, 10);
	w->vrf.here = true;
	w->vrf.ports[DEV_LAN1] = kind < 7;
	w->vrf.ports[DEV_LAN0] = kind > 5;
	w->vrf.queue = rng_percent(&r, 15);
	w->vrf.no_rule = rng_percent(&r, 10);
	draw_vrf_routes(w, &r);
	draw_vrf_rules(w, &r);
	/* policies and SAs on the VRF's device, as on the others */
	for (int i = 0; i < w->policies; i++)
		if (w->policy[i].sel.dev && rng_percent(&r, 40))
			w->policy[i].sel.dev = DEV_VRF0;
	for (int i = 0; i < w->sas; i++)
		if (w->sa[i].sel.dev && rng_percent(&r, 40))
			w->sa[i].sel.dev = DEV_VRF0;
}

/* An address that lives in the VRF; dev gets its device. */
static struct addr local_of(const struct world *w, struct rng *r, int family, int *dev)
{
	unsigned int n;

	world_local(family, 0, &n, dev);
	for (int try = 0; try < 8; try++) {
		struct addr a = world_local(family, rng_below(r, n), &n, dev);

		if (vrf_has(&w->vrf, *dev))
			return a;
	}
	*dev = DEV_VRF0;
	return world_vrf_address(family);
}

void vrf_draw_flow(struct call *c, const struct world *w, uint64_t seed, uint64_t number)
{
	struct rng r = rng_of(seed, 'V', number);
	unsigned int bound;
	int dev;

	if (!w->vrf.here)
		return;
	bound = rng_below(&r, 100);
	if (bound < 35)
		c->dev = DEV_VRF0;
	else if (bound < 55)
		c->dev = some_port(&w->vrf, &r);
	if (rng_percent(&r, 10))
		c->dst = local_of(w, &r, c->family, &dev);
	if (addr_zero(&c->src))
		return;
	if (!vrf_has(&w->vrf, c->dev)) { /* what does not live there */
		if (vrf_own(&w->vrf, c->family, &c->src))
			c->src = (struct addr){{0}};
		return;
	}
	c->src = local_of(w, &r, c->family, &dev);
	if (c->family == AF_INET6 && c->dev != DEV_VRF0 && c->dev != dev)
		c->dev = DEV_VRF0;
}
