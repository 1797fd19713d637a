// SPDX-License-Identifier: GPL-2.0-only
#include <linux/rtnetlink.h>
#include <netinet/in.h>

#include "draw.h"

int draw_family(struct rng *r)
{
	return rng_percent(r, 55) ? AF_INET : AF_INET6;
}

struct addr draw_local(struct rng *r, int family, int *dev)
{
	unsigned int n;

	world_local(family, 0, &n, dev);
	return world_local(family, rng_below(r, n), &n, dev);
}

struct addr draw_remote(struct rng *r, int family)
{
	unsigned int n;

	world_remote(family, 0, &n);
	return world_remote(family, rng_below(r, n), &n);
}

struct addr draw_gateway(int family, int dev)
{
	if (family == AF_INET)
		return addr_of(family, dev == DEV_LAN0 ? "192.0.2.10" : "192.0.2.140");
	return addr_of(family, dev == DEV_LAN0 ? "2001:db8::10" : "2001:db8:1::10");
}

static const int lengths4[] = {0, 8, 24, 25, 26, 28, 31, 32, 32};
static const int lengths6[] = {0, 32, 48, 49, 64, 127, 128, 128};
static const uint32_t tables[] = {RT_TABLE_MAIN, RT_TABLE_MAIN, RT_TABLE_MAIN, 220, 100, 101, 102};

void draw_route(struct route *t, struct rng *r, int family, int len)
{
	int dev = rng_percent(r, 50) ? DEV_LAN0 : DEV_LAN1, any;

	*t = (struct route){.family = family, .len = len, .type = RTN_UNICAST};
	t->dst = addr_masked(draw_remote(r, family), len);
	t->table = RNG_PICK(r, tables);
	t->metric = rng_percent(r, 30) ? 10 * (1 + rng_below(r, 3)) : 0;
	if (len && rng_percent(r, 8)) {
		t->type = rng_percent(r, 50) ? RTN_UNREACHABLE : RTN_PROHIBIT;
		return;
	}
	t->dev = dev;
	if (rng_percent(r, 70))
		t->gw = draw_gateway(family, dev);
	if (rng_percent(r, 40))
		t->prefsrc = draw_local(r, family, &any);
	if (!addr_zero(&t->gw) && rng_percent(r, 12)) {
		t->dev2 = rng_percent(r, 70) ? DEV_LAN0 + DEV_LAN1 - dev : dev;
		t->gw2 = draw_gateway(family, t->dev2);
		if (t->dev2 == dev)
			t->gw2.b[addr_size(family) - 1]++;
	}
}

/* Compares what a socket's address does not tell. */
static void draw_rule_more(struct rule *u, struct rng *r)
{
	/* without it nothing is known of a whole family, not even of daemon_settle()'s marker */
	if (u->family == AF_INET || rng_percent(r, 60)) {
		u->dst_len = u->family == AF_INET ? 25 : 48;
		u->dst = addr_masked(draw_remote(r, u->family), u->dst_len);
	}
	switch (rng_below(r, 5)) {
	case 0:
		u->uid = true;
		u->root = rng_percent(r, 50);
		break;
	case 1:
		u->tos = 0x10;
		break;
	case 2:
		u->proto = rng_percent(r, 50) ? IPPROTO_TCP : IPPROTO_UDP;
		break;
	case 3:
		u->proto = IPPROTO_TCP;
		u->dport = rng_percent(r, 50) ? 80 : 443;
		break;
	default:
		u->proto = IPPROTO_UDP;
		u->sport = 2000;
	}
}

static void draw_rule(struct rule *u, struct rng *r, uint32_t prio)
{
	int any;

	*u = (struct rule){.family = draw_family(r), .prio = prio};
	u->table = 100 + rng_below(r, 3);
	if (rng_percent(r, 25)) {
		draw_rule_more(u, r);
		return;
	}
	switch (rng_below(r, 5)) {
	case 0:
		u->dst_len = u->family == AF_INET ? 25 : 48;
		u->dst = addr_masked(draw_remote(r, u->family), u->dst_len);
		break;
	case 1:
		u->src_len = addr_bits(u->family);
		u->src = draw_local(r, u->family, &any);
		break;
	case 2:
	case 3:
		u->mask = rng_percent(r, 50) ? 0xff : 0xf0;
		u->mark = rng_percent(r, 50) ? 0x10 : rng_below(r, 3) * 0x10;
		break;
	default:
		u->oif = rng_percent(r, 50) ? DEV_LAN0 : DEV_LAN1;
	}
}

/* Into xfrm interfaces: only networks that no tunnel of this world ends in, see draw_tmpl(). */
static void draw_interface_routes(struct world *w, struct rng *r)
{
	for (int i = 0; i < 3; i++) {
		struct route *t = &w->route[w->routes++];
		int any;

		*t = (struct route){.family = draw_family(r), .type = RTN_UNICAST};
		t->len = t->family == AF_INET ? 26 + 6 * (int)rng_below(r, 2) : 64;
		t->dst = t->family == AF_INET ? addr_of(AF_INET, "203.0.113.77")
					      : addr_of(AF_INET6, "2001:db8:b:8000::");
		if (rng_percent(r, 40))
			t->dst = t->family == AF_INET ? addr_of(AF_INET, "203.0.113.5")
						      : addr_of(AF_INET6, "2001:db8:b::");
		t->dst = addr_masked(t->dst, t->len);
		t->dev = rng_percent(r, 60) ? DEV_XFRM0 : DEV_XFRM1;
		t->table = RT_TABLE_MAIN;
		t->prefsrc = draw_local(r, t->family, &any);
	}
}

void draw_routes(struct world *w, struct rng *r)
{
	int n = (int)rng_below(r, 6);

	for (int family = AF_INET; family; family = family == AF_INET ? AF_INET6 : 0) {
		struct route *t = &w->route[w->routes];

		if (rng_percent(r, 10))
			continue;
		draw_route(t, r, family, 0);
		t->table = RT_TABLE_MAIN;
		t->metric = 0;
		t->gw = draw_gateway(family, t->dev);
		w->routes++;
	}
	for (int i = 0; i < n; i++) {
		int family = draw_family(r);
		int len = family == AF_INET ? RNG_PICK(r, lengths4) : RNG_PICK(r, lengths6);

		draw_route(&w->route[w->routes++], r, family, len);
	}
	if (w->xfrmi)
		draw_interface_routes(w, r);
	if (rng_percent(r, 30)) { /* as strongSwan has it */
		for (int family = AF_INET; family; family = family == AF_INET ? AF_INET6 : 0)
			w->rule[w->rules++] =
				(struct rule){.family = family, .table = 220, .prio = 220};
	}
	if (rng_percent(r, 35)) {
		n = 1 + (int)rng_below(r, 3);
		for (int i = 0; i < n; i++)
			draw_rule(&w->rule[w->rules++], r, 300 + (uint32_t)i);
	}
}
