// SPDX-License-Identifier: GPL-2.0-only
#include <linux/rtnetlink.h>
#include <netinet/in.h>

#include "draw.h"
#include "say.h"
#include "vrf.h"
#include "world.h"

static const char *const remote4[] = {
	"192.0.2.10",	 "192.0.2.11",	   "192.0.2.140",    "192.0.2.141", "198.51.100.10",
	"198.51.100.70", "198.51.100.130", "198.51.100.200", "203.0.113.5", "203.0.113.77",
};
static const char *const remote6[] = {
	"2001:db8::10",	    "2001:db8::11",  "2001:db8:1::10",	    "2001:db8:a::10",
	"2001:db8:a:1::10", "2001:db8:b::9", "2001:db8:b:8000::10", "2001:db8:b:8000::11",
};

static const struct {
	const char *text;
	int dev;
} local4[] = {{"192.0.2.1", DEV_LAN0},
	      {"192.0.2.2", DEV_LAN0},
	      {"192.0.2.129", DEV_LAN1},
	      {"198.51.100.1", DEV_LO}},
  local6[] = {{"2001:db8::1", DEV_LAN0},
	      {"2001:db8::2", DEV_LAN0},
	      {"2001:db8:1::1", DEV_LAN1},
	      {"2001:db8:f::1", DEV_LO}};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct addr world_remote(int family, unsigned int i, unsigned int *n)
{
	*n = family == AF_INET ? COUNT(remote4) : COUNT(remote6);
	return addr_of(family, family == AF_INET ? remote4[i % *n] : remote6[i % *n]);
}

struct addr world_local(int family, unsigned int i, unsigned int *n, int *dev)
{
	*n = COUNT(local4);
	*dev = family == AF_INET ? local4[i % *n].dev : local6[i % *n].dev;
	return addr_of(family, family == AF_INET ? local4[i % *n].text : local6[i % *n].text);
}

struct addr world_vrf_address(int family)
{
	return addr_of(family, family == AF_INET ? "198.51.100.2" : "2001:db8:f::2");
}

bool world_own(const struct addr *a)
{
	struct addr vrf4 = world_vrf_address(AF_INET), vrf6 = world_vrf_address(AF_INET6);

	if (addr_is(a, &vrf4) || addr_is(a, &vrf6))
		return true;
	for (unsigned int i = 0; i < COUNT(local4); i++) {
		struct addr x = addr_of(AF_INET, local4[i].text),
			    y = addr_of(AF_INET6, local6[i].text);

		if (addr_is(a, &x) || addr_is(a, &y))
			return true;
	}
	return false;
}

void requires_draw(struct require out[REQUIRES], uint64_t seed)
{
	struct rng r = rng_of(seed, 'r', 0);

	for (int i = 0; i < REQUIRES; i++) {
		struct require *q = &out[i];

		*q = (struct require){.family = i % 2 ? AF_INET6 : AF_INET};
		q->len = addr_bits(q->family) - (int)rng_below(&r, 8);
		q->to = addr_masked(draw_remote(&r, q->family), q->len);
		if (rng_percent(&r, 50))
			q->proto = rng_percent(&r, 50) ? IPPROTO_TCP : IPPROTO_UDP;
		if (q->proto && rng_percent(&r, 50))
			q->port = 443;
	}
}

void world_draw(struct world *w, uint64_t seed, uint64_t number)
{
	struct rng r = rng_of(seed, 'w', number);

	*w = (struct world){.number = number};
	requires_draw(w->require, seed);
	w->default_block = rng_percent(&r, 15);
	w->lives = rng_percent(&r, 15);
	w->xfrmi = rng_percent(&r, 25) && host_has_xfrmi();
	draw_routes(w, &r);
	draw_policies(w, &r);
	draw_order(w, seed);
	draw_sas(w, &r);
	vrf_draw(w, seed);
}

/* Keeps those of a list that the kernel takes. */
#define INSTALL(list, count, call)                                                                 \
	do {                                                                                       \
		int kept = 0;                                                                      \
		for (int i = 0; i < (count); i++) {                                                \
			if (call)                                                                  \
				w->refused++;                                                      \
			else                                                                       \
				(list)[kept++] = (list)[i];                                        \
		}                                                                                  \
		(count) = kept;                                                                    \
	} while (0)

void world_install(struct world *w)
{
	xfrm_flush();
	host_undo();
	vrf_down();
	vrf_up(&w->vrf);
	if (xfrm_default(w->default_block))
		die("the kernel takes no default policy");
	INSTALL(w->route, w->routes, host_route(&w->route[i]));
	INSTALL(w->rule, w->rules, host_rule(&w->rule[i]));
	INSTALL(w->policy, w->policies, xfrm_policy_add(&w->policy[i], false));
	for (int i = 0; i < w->policies; i++)
		if (w->policy[i].updated && xfrm_policy_add(&w->policy[i], true))
			die("the kernel updates no policy");
	INSTALL(w->sa, w->sas, xfrm_sa_add(&w->sa[i]));
	for (int i = 0; i < w->sas; i++)
		if (w->sa[i].hard)
			xfrm_wait_expired(&w->sa[i]);
}

const struct sa *world_sa(const struct world *w, uint32_t spi)
{
	for (int i = 0; i < w->sas; i++)
		if (w->sa[i].spi == spi && !w->sa[i].larval)
			return &w->sa[i];
	return NULL;
}

static const char *type_name(uint8_t type)
{
	return type == RTN_UNREACHABLE ? "unreachable " : type == RTN_PROHIBIT ? "prohibit " : "";
}

static void print_route(FILE *out, const struct route *r)
{
	char a[ADDR_TEXT];

	fprintf(out, "route %s%s/%d", type_name(r->type), addr_text(r->family, &r->dst, a), r->len);
	if (!addr_zero(&r->gw))
		fprintf(out, " via %s", addr_text(r->family, &r->gw, a));
	if (r->dev)
		fprintf(out, " dev %s", host_dev(r->dev));
	if (r->dev2)
		fprintf(out, " and via %s dev %s", addr_text(r->family, &r->gw2, a),
			host_dev(r->dev2));
	if (!addr_zero(&r->prefsrc))
		fprintf(out, " src %s", addr_text(r->family, &r->prefsrc, a));
	fprintf(out, " table %u metric %u\n", r->table, r->metric);
}

static void print_rule(FILE *out, const struct rule *r)
{
	char a[ADDR_TEXT];

	fprintf(out, "rule %s prio %u", r->family == AF_INET ? "inet" : "inet6", r->prio);
	if (r->src_len)
		fprintf(out, " from %s/%d", addr_text(r->family, &r->src, a), r->src_len);
	if (r->dst_len)
		fprintf(out, " to %s/%d", addr_text(r->family, &r->dst, a), r->dst_len);
	if (r->mask)
		fprintf(out, " fwmark %#x/%#x", r->mark, r->mask);
	if (r->oif)
		fprintf(out, " oif %s", host_dev(r->oif));
	if (r->uid)
		fprintf(out, " uidrange %s", r->root ? "0-0" : "1000-2000");
	if (r->tos)
		fprintf(out, " tos %#x", r->tos);
	if (r->proto)
		fprintf(out, " ipproto %u", r->proto);
	if (r->sport)
		fprintf(out, " sport %u", r->sport);
	if (r->dport)
		fprintf(out, " dport %u", r->dport);
	if (r->l3mdev)
		fprintf(out, " l3mdev\n");
	else
		fprintf(out, " lookup %u\n", r->table);
}

void world_print(FILE *out, const struct world *w)
{
	char a[ADDR_TEXT];

	fprintf(out, "world %llu, default %s\n", (unsigned long long)w->number,
		w->default_block ? "block" : "allow");
	for (int i = 0; i < REQUIRES; i++)
		fprintf(out, "require to %s/%d proto %u port %u\n",
			addr_text(w->require[i].family, &w->require[i].to, a), w->require[i].len,
			w->require[i].proto, w->require[i].port);
	vrf_print(out, &w->vrf);
	for (int i = 0; i < w->rules; i++)
		print_rule(out, &w->rule[i]);
	for (int i = 0; i < w->routes; i++)
		print_route(out, &w->route[i]);
	for (int i = 0; i < w->policies; i++)
		xfrm_policy_print(out, &w->policy[i]);
	for (int i = 0; i < w->sas; i++)
		xfrm_sa_print(out, &w->sa[i]);
}
