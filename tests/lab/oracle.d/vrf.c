// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

#include "draw.h"
#include "nl.h"
#include "say.h"
#include "vrf.h"

#define RULE_PRIO 1000 /* of the l3mdev rule that comes with the first VRF device (vrf.c) */

static const struct vrf *up; /* what is there, or NULL */
static int tap = -1;
static unsigned long delivered;

static void must(int err, const char *what)
{
	if (err)
		die("%s: %s", what, strerror(-err));
}

bool vrf_has(const struct vrf *v, int dev)
{
	return v->here && (dev == DEV_VRF0 || (dev <= DEV_LAN1 && v->ports[dev]));
}

bool vrf_own(const struct vrf *v, int family, const struct addr *a)
{
	struct addr device = world_vrf_address(family);
	unsigned int n, i = 0;
	int dev;

	if (!v->here)
		return false;
	do {
		struct addr local = world_local(family, i, &n, &dev);

		if (addr_is(a, &local) && vrf_has(v, dev))
			return true;
	} while (++i < n);
	return addr_is(a, &device);
}

static void add_device(void)
{
	struct ifinfomsg info = {0};
	struct nlattr *link, *data;
	struct nl_msg m;

	nl_start(&m, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof(info));
	nl_put_text(&m, IFLA_IFNAME, host_dev(DEV_VRF0));
	link = nl_nest(&m, IFLA_LINKINFO);
	nl_put_text(&m, IFLA_INFO_KIND, "vrf");
	data = nl_nest(&m, IFLA_INFO_DATA);
	nl_put_u32(&m, IFLA_VRF_TABLE, VRF_TABLE);
	nl_nest_end(&m, data);
	nl_nest_end(&m, link);
	must(nl_ask(host_route_fd(), &m), "vrf0");
	host_set_up(DEV_VRF0);
	host_refresh(DEV_VRF0);
}

static void add_port(int dev)
{
	struct ifinfomsg info = {.ifi_index = host_ifindex(dev)};
	struct nl_msg m;

	nl_start(&m, RTM_SETLINK, 0, &info, sizeof(info));
	nl_put_u32(&m, IFLA_MASTER, (uint32_t)host_ifindex(DEV_VRF0));
	must(nl_ask(host_route_fd(), &m), "a port of vrf0");
	host_refresh(dev);
	host_restore(dev);
}

static void add_queue(void)
{
	struct tcmsg info = {.tcm_ifindex = host_ifindex(DEV_VRF0), .tcm_parent = TC_H_ROOT};
	struct tc_fifo_qopt limit = {.limit = 1000};
	struct nl_msg m;

	nl_start(&m, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof(info));
	nl_put_text(&m, TCA_KIND, "pfifo");
	nl_put(&m, TCA_OPTIONS, &limit, sizeof(limit));
	must(nl_ask(host_route_fd(), &m), "a queue of vrf0");
}

/* The kernel adds the rules with the first VRF device, and leaves them behind. */
static void drop_rules(void)
{
	for (int family = AF_INET; family; family = family == AF_INET ? AF_INET6 : 0) {
		struct fib_rule_hdr info = {.family = (uint8_t)family, .action = FR_ACT_TO_TBL};
		struct nl_msg m;

		nl_start(&m, RTM_DELRULE, 0, &info, sizeof(info));
		nl_put(&m, FRA_L3MDEV, &(uint8_t){1}, 1);
		nl_put_u32(&m, FRA_PRIORITY, RULE_PRIO);
		nl_ask(host_route_fd(), &m);
	}
}

static void keep_rules(void)
{
	for (int family = AF_INET; family; family = family == AF_INET ? AF_INET6 : 0) {
		struct fib_rule_hdr info = {.family = (uint8_t)family, .action = FR_ACT_TO_TBL};
		struct nl_msg m;
		int err;

		nl_start(&m, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof(info));
		nl_put(&m, FRA_L3MDEV, &(uint8_t){1}, 1);
		nl_put_u32(&m, FRA_PRIORITY, RULE_PRIO);
		err = nl_ask(host_route_fd(), &m);
		if (err != -EEXIST)
			must(err, "the l3mdev rule");
	}
}

static void open_tap(void)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET,
				 .sll_protocol = htons(ETH_P_ALL),
				 .sll_ifindex = host_ifindex(DEV_VRF0)};

	tap = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (tap < 0 || bind(tap, (struct sockaddr *)&at, sizeof(at)))
		die("a packet socket on vrf0: %s", strerror(errno));
}

void vrf_up(const struct vrf *v)
{
	if (!v->here)
		return;
	add_device();
	for (int dev = DEV_LAN0; dev <= DEV_LAN1; dev++)
		if (v->ports[dev])
			add_port(dev);
	for (int family = AF_INET; family; family = family == AF_INET ? AF_INET6 : 0) {
		struct addr a = world_vrf_address(family);

		must(host_address(DEV_VRF0, family, &a, addr_bits(family)), "vrf0's address");
	}
	if (v->queue)
		add_queue();
	if (v->no_rule)
		drop_rules();
	else
		keep_rules();
	open_tap();
	up = v;
}

void vrf_down(void)
{
	struct ifinfomsg info = {.ifi_index = host_ifindex(DEV_VRF0)};
	struct nl_msg m;

	if (!up)
		return;
	close(tap);
	nl_start(&m, RTM_DELLINK, 0, &info, sizeof(info));
	must(nl_ask(host_route_fd(), &m), "vrf0");
	host_refresh(DEV_VRF0);
	for (int dev = DEV_LAN0; dev <= DEV_LAN1; dev++) {
		host_refresh(dev);
		host_restore(dev);
	}
	drop_rules();
	up = NULL;
}

void vrf_print(FILE *out, const struct vrf *v)
{
	if (!v->here)
		return;
	fprintf(out, "vrf0 table %u:%s%s%s%s\n", VRF_TABLE, v->ports[DEV_LAN0] ? " lan0" : "",
		v->ports[DEV_LAN1] ? " lan1" : "", v->queue ? ", with a queue" : "",
		v->no_rule ? ", without the l3mdev rule" : "");
}

/* A counter of /proc/net/snmp: the named column of the second line that begins with Ip:. */
static unsigned long ip_counter(const char *name)
{
	FILE *f = fopen("/proc/thread-self/net/snmp", "re");
	char names[1024], values[1024], *n, *v, *at, *at2;
	unsigned long found = 0;

	if (!f || !fgets(names, sizeof(names), f) || !fgets(values, sizeof(values), f))
		die("/proc/thread-self/net/snmp: %s", strerror(errno));
	fclose(f);
	n = strtok_r(names, " \n", &at);
	v = strtok_r(values, " \n", &at2);
	for (; n && v; n = strtok_r(NULL, " \n", &at), v = strtok_r(NULL, " \n", &at2))
		if (!strcmp(n, name))
			found = strtoul(v, NULL, 10);
	return found;
}

static unsigned long ip6_counter(const char *name)
{
	FILE *f = fopen("/proc/thread-self/net/snmp6", "re");
	unsigned long found = 0, value;
	char key[64];

	if (!f)
		die("/proc/thread-self/net/snmp6: %s", strerror(errno));
	while (fscanf(f, "%63s %lu", key, &value) == 2)
		if (!strcmp(key, name))
			found = value;
	fclose(f);
	return found;
}

/* Packets that arrived here, whatever became of them. */
static unsigned long arrived(void)
{
	return ip_counter("InDelivers") + ip_counter("InUnknownProtos") +
	       ip6_counter("Ip6InDelivers") + ip6_counter("Ip6InUnknownProtos");
}

static bool covered(const struct seen *s)
{
	return s->proto == IPPROTO_ESP || s->proto == IPPROTO_AH || s->proto == IPPROTO_COMP ||
	       s->proto == IPPROTO_IPIP || s->proto == IPPROTO_IPV6;
}

/*
 * The device shows a packet before it is sent on it and when it is (vrf_finish_direct()), and again
 * what xfrm made of it; behind these come answers, which go elsewhere.
 */
static const struct seen *last_form(const struct seen *seen, int count)
{
	for (int i = 1; i < count; i++)
		if (covered(&seen[i]) && addr_is(&seen[i].dst, &seen[0].dst))
			return &seen[i];
	return &seen[0];
}

int vrf_take_own(const struct vrf *v, struct seen *out)
{
	unsigned long before = delivered;
	struct seen seen[3];
	int count = 0;

	if (!v->here)
		return 0;
	for (;;) {
		uint8_t buf[2048];
		struct sockaddr_ll from = {0};
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(tap, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len);

		if (n < 0)
			break;
		if (from.sll_pkttype != PACKET_OUTGOING || count == 3)
			continue;
		seen[count] = (struct seen){.dev = DEV_VRF0};
		count += wire_read(buf, (size_t)n, &seen[count]);
	}
	delivered = arrived();
	if (delivered == before || !count)
		return 0;
	*out = *last_form(seen, count);
	return 1;
}

bool vrf_looks_again(const struct world *w, const struct call *c)
{
	return w->vrf.here &&
	       (w->vrf.queue || w->vrf.leaking || vrf_own(&w->vrf, c->family, &c->dst));
}

bool vrf_leaks(const struct world *w, const struct call *c)
{
	bool fenced = false;

	if (c->family != AF_INET6 || !vrf_has(&w->vrf, c->dev))
		return false;
	if (world_own(&c->dst) && !vrf_own(&w->vrf, c->family, &c->dst))
		return true;
	for (int i = 0; i < w->rules; i++)
		if (w->rule[i].family == AF_INET6 && !w->rule[i].l3mdev)
			return true;
	for (int i = 0; i < w->routes; i++) {
		const struct route *r = &w->route[i];

		if (r->family != AF_INET6 || r->table != VRF_TABLE)
			continue;
		if (r->dev && !vrf_has(&w->vrf, r->dev))
			return true;
		fenced |= !r->len;
	}
	return !fenced || w->vrf.no_rule;
}
