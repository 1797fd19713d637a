// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "host.h"
#include "nl.h"
#include "say.h"

#define UNDO_MAX 256

static const char *const names[DEV_COUNT] = {"", "lan0", "lan1", "lo", "xfrm0", "xfrm1", "vrf0"};
static int ifindex[DEV_COUNT];
static int ns_peer, route_fd, xfrm_fd;
static struct nl_msg undo[UNDO_MAX];
static unsigned int undo_count;

static int netns_here(void)
{
	int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		die("/proc/thread-self/ns/net: %s", strerror(errno));
	return fd;
}

static void sysctl_set(const char *name, const char *value)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		die("%s: %s", path, strerror(errno));
	close(fd);
}

static void must(int err, const char *what)
{
	if (err)
		die("%s: %s", what, strerror(-err));
}

static void add_veth(const char *name, const char *peer)
{
	struct ifinfomsg info = {0};
	struct nlattr *link, *data, *end;
	struct nl_msg m;

	nl_start(&m, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof(info));
	nl_put_text(&m, IFLA_IFNAME, name);
	link = nl_nest(&m, IFLA_LINKINFO);
	nl_put_text(&m, IFLA_INFO_KIND, "veth");
	data = nl_nest(&m, IFLA_INFO_DATA);
	end = nl_nest(&m, VETH_INFO_PEER);
	m.h.nlmsg_len += sizeof(info); /* room was zeroed */
	nl_put_text(&m, IFLA_IFNAME, peer);
	nl_put_u32(&m, IFLA_NET_NS_FD, (uint32_t)ns_peer);
	nl_nest_end(&m, end);
	nl_nest_end(&m, data);
	nl_nest_end(&m, link);
	must(nl_ask(route_fd, &m), "veth");
}

/* False where the kernel has no such devices. */
static bool add_xfrmi(int dev, uint32_t if_id, int link_dev)
{
	struct ifinfomsg info = {0};
	struct nlattr *link, *data;
	struct nl_msg m;
	int err;

	nl_start(&m, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof(info));
	nl_put_text(&m, IFLA_IFNAME, names[dev]);
	link = nl_nest(&m, IFLA_LINKINFO);
	nl_put_text(&m, IFLA_INFO_KIND, "xfrm");
	data = nl_nest(&m, IFLA_INFO_DATA);
	nl_put_u32(&m, IFLA_XFRM_IF_ID, if_id);
	if (link_dev)
		nl_put_u32(&m, IFLA_XFRM_LINK, (uint32_t)ifindex[link_dev]);
	nl_nest_end(&m, data);
	nl_nest_end(&m, link);
	err = nl_ask(route_fd, &m);
	if (err && err != -EOPNOTSUPP)
		must(err, names[dev]);
	return !err;
}

static void set_up(int fd, const char *name, unsigned int flags)
{
	struct ifinfomsg info = {.ifi_index = (int)if_nametoindex(name)};
	struct nl_msg m;

	info.ifi_flags = IFF_UP | flags;
	info.ifi_change = IFF_UP | IFF_NOARP;
	nl_start(&m, RTM_NEWLINK, 0, &info, sizeof(info));
	must(nl_ask(fd, &m), name);
}

static const struct {
	int dev;
	const char *text;
	int len;
} fixed[] = {
	{DEV_LAN0, "192.0.2.1", 25},	{DEV_LAN0, "192.0.2.2", 25},
	{DEV_LAN1, "192.0.2.129", 25},	{DEV_LO, "198.51.100.1", 32},
	{DEV_LO, "192.0.2.253", 32},	{DEV_LAN0, "2001:db8::1", 64},
	{DEV_LAN0, "2001:db8::2", 64},	{DEV_LAN1, "2001:db8:1::1", 64},
	{DEV_LO, "2001:db8:f::1", 128},
};

void host_restore(int dev)
{
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
		int family = strchr(fixed[i].text, ':') ? AF_INET6 : AF_INET, err;
		struct addr a = addr_of(family, fixed[i].text);

		if (fixed[i].dev != dev)
			continue;
		err = host_address(dev, family, &a, fixed[i].len);
		if (err != -EEXIST)
			must(err, fixed[i].text);
	}
	undo_count = 0;
}

static void set_sysctls(void)
{
	sysctl_set("ipv4/ping_group_range", "0 2147483647");
	/* of the ports that a policy here names, outside of all but one */
	sysctl_set("ipv4/ip_local_port_range", "40000 41999");
	sysctl_set("ipv6/conf/all/accept_ra", "0");
	sysctl_set("ipv6/conf/all/router_solicitations", "0");
	sysctl_set("ipv6/conf/default/router_solicitations", "0");
	sysctl_set("ipv6/conf/default/accept_dad", "0");
	sysctl_set("ipv6/conf/default/addr_gen_mode", "1"); /* no link-local address */
}

void host_up(void)
{
	cpu_set_t one;
	int ns_a, fd;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	if (sched_setaffinity(0, sizeof(one), &one) || unshare(CLONE_NEWNET))
		die("a network namespace: %s", strerror(errno));
	ns_peer = netns_here();
	sysctl_set("ipv6/conf/default/disable_ipv6", "1");
	if (unshare(CLONE_NEWNET))
		die("a network namespace: %s", strerror(errno));
	ns_a = netns_here();
	route_fd = nl_open(NETLINK_ROUTE);
	xfrm_fd = nl_open(NETLINK_XFRM);
	set_sysctls();
	set_up(route_fd, "lo", 0);
	add_veth("lan0", "p0");
	add_veth("lan1", "p1");
	for (int dev = DEV_LAN0; dev <= DEV_LO; dev++) {
		if (dev != DEV_LO)
			set_up(route_fd, names[dev], IFF_NOARP);
		ifindex[dev] = (int)if_nametoindex(names[dev]);
	}
	if (add_xfrmi(DEV_XFRM0, XFRM0_IF_ID, DEV_LAN0) && add_xfrmi(DEV_XFRM1, XFRM1_IF_ID, 0)) {
		for (int dev = DEV_XFRM0; dev <= DEV_XFRM1; dev++) {
			set_up(route_fd, names[dev], IFF_NOARP);
			ifindex[dev] = (int)if_nametoindex(names[dev]);
		}
	}
	if (setns(ns_peer, CLONE_NEWNET))
		die("setns: %s", strerror(errno));
	fd = nl_open(NETLINK_ROUTE);
	set_up(fd, "p0", IFF_NOARP);
	set_up(fd, "p1", IFF_NOARP);
	close(fd);
	if (setns(ns_a, CLONE_NEWNET))
		die("setns: %s", strerror(errno));
	close(ns_a);
	for (int dev = DEV_LAN0; dev <= DEV_LO; dev++)
		host_restore(dev);
}

int host_netns_peer(void)
{
	return ns_peer;
}

int host_xfrm_fd(void)
{
	return xfrm_fd;
}

bool host_has_xfrmi(void)
{
	return ifindex[DEV_XFRM1];
}

int host_route_fd(void)
{
	return route_fd;
}

/* A veth that was taken down and up again is not ready at once. */
static bool runs(int dev)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq req = {0};
	bool yes;

	strcpy(req.ifr_name, names[dev]);
	yes = !ioctl(fd, SIOCGIFFLAGS, &req) && req.ifr_flags & IFF_RUNNING;
	close(fd);
	return yes;
}

void host_refresh(int dev)
{
	struct timespec pause = {.tv_nsec = 1000000};

	ifindex[dev] = (int)if_nametoindex(names[dev]);
	for (int i = 0; ifindex[dev] && !runs(dev); i++) {
		if (i == 10000)
			die("%s does not run", names[dev]);
		nanosleep(&pause, NULL);
	}
}

void host_set_up(int dev)
{
	set_up(route_fd, names[dev], IFF_NOARP);
}

int host_ifindex(int dev)
{
	return ifindex[dev];
}

const char *host_dev(int dev)
{
	return names[dev];
}

/* Sends a request, and remembers it with the type that takes it back. */
static int apply(struct nl_msg *m, uint16_t back)
{
	int err = nl_ask(route_fd, m);

	if (err)
		return err;
	if (undo_count == UNDO_MAX)
		die("more than %d routes, rules and addresses", UNDO_MAX);
	undo[undo_count] = *m;
	undo[undo_count].h.nlmsg_type = back;
	undo[undo_count++].h.nlmsg_flags = NLM_F_REQUEST;
	return 0;
}

void host_undo(void)
{
	while (undo_count)
		nl_ask(route_fd, &undo[--undo_count]); /* a route may have gone with its address */
}

unsigned long host_unreachables(void)
{
	FILE *f = fopen("/proc/thread-self/net/snmp6", "re");
	unsigned long n = 0;
	char line[128];

	if (!f)
		die("/proc/thread-self/net/snmp6: %s", strerror(errno));
	while (fgets(line, sizeof(line), f)) /* no line: none yet; another: Icmp6OutType128 */
		sscanf(line, "Icmp6OutType1%*[ \t]%lu", &n);
	fclose(f);
	return n;
}

int host_address(int dev, int family, const struct addr *a, int len)
{
	struct ifaddrmsg info = {.ifa_family = (uint8_t)family,
				 .ifa_prefixlen = (uint8_t)len,
				 .ifa_index = if_nametoindex(names[dev])};
	struct nl_msg m;

	nl_start(&m, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof(info));
	nl_put(&m, IFA_LOCAL, a, (size_t)addr_size(family));
	nl_put(&m, IFA_ADDRESS, a, (size_t)addr_size(family));
	if (family == AF_INET6)
		nl_put_u32(&m, IFA_FLAGS, IFA_F_NODAD);
	return apply(&m, RTM_DELADDR);
}

/* Each next hop: its header, which holds its length, and its gateway. */
static void put_hops(struct nl_msg *m, const struct route *r, size_t size)
{
	struct {
		struct rtnexthop nh;
		struct nlattr gw;
		uint8_t addr[16];
	} hops[2] = {0};
	uint8_t all[sizeof(hops)];
	size_t one = sizeof(hops[0]) - 16 + size;

	for (int i = 0; i < 2; i++) {
		hops[i].nh.rtnh_len = (uint16_t)one;
		hops[i].nh.rtnh_ifindex = ifindex[i ? r->dev2 : r->dev];
		hops[i].gw.nla_type = RTA_GATEWAY;
		hops[i].gw.nla_len = (uint16_t)(NLA_HDRLEN + size);
		memcpy(hops[i].addr, i ? &r->gw2 : &r->gw, size);
		memcpy(all + (size_t)i * one, &hops[i], one);
	}
	nl_put(m, RTA_MULTIPATH, all, 2 * one);
}

int host_route(const struct route *r)
{
	struct rtmsg info = {.rtm_family = (uint8_t)r->family,
			     .rtm_dst_len = (uint8_t)r->len,
			     .rtm_table = r->table < 256 ? (uint8_t)r->table : RT_TABLE_UNSPEC,
			     .rtm_protocol = RTPROT_STATIC,
			     .rtm_scope = addr_zero(&r->gw) && r->family == AF_INET && r->dev
						  ? RT_SCOPE_LINK
						  : RT_SCOPE_UNIVERSE,
			     .rtm_type = r->type};
	size_t size = (size_t)addr_size(r->family);
	struct nl_msg m;

	nl_start(&m, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof(info));
	nl_put(&m, RTA_DST, &r->dst, size);
	if (r->dev2)
		put_hops(&m, r, size);
	else if (r->dev)
		nl_put_u32(&m, RTA_OIF, (uint32_t)ifindex[r->dev]);
	if (!r->dev2 && !addr_zero(&r->gw))
		nl_put(&m, RTA_GATEWAY, &r->gw, size);
	if (!addr_zero(&r->prefsrc))
		nl_put(&m, RTA_PREFSRC, &r->prefsrc, size);
	nl_put_u32(&m, RTA_TABLE, r->table);
	if (r->metric)
		nl_put_u32(&m, RTA_PRIORITY, r->metric);
	return apply(&m, RTM_DELROUTE);
}

int host_rule(const struct rule *r)
{
	struct fib_rule_hdr info = {.family = (uint8_t)r->family,
				    .src_len = (uint8_t)r->src_len,
				    .dst_len = (uint8_t)r->dst_len,
				    .table = r->table < 256 ? (uint8_t)r->table : RT_TABLE_UNSPEC,
				    .tos = r->tos,
				    .action = FR_ACT_TO_TBL};
	struct fib_rule_port_range sports = {r->sport, r->sport}, dports = {r->dport, r->dport};
	struct fib_rule_uid_range uids = {r->root ? 0 : 1000, r->root ? 0 : 2000};
	size_t size = (size_t)addr_size(r->family);
	struct nl_msg m;

	nl_start(&m, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof(info));
	if (r->src_len)
		nl_put(&m, FRA_SRC, &r->src, size);
	if (r->dst_len)
		nl_put(&m, FRA_DST, &r->dst, size);
	if (r->mask) {
		nl_put_u32(&m, FRA_FWMARK, r->mark);
		nl_put_u32(&m, FRA_FWMASK, r->mask);
	}
	if (r->oif)
		nl_put_text(&m, FRA_OIFNAME, names[r->oif]);
	if (r->uid)
		nl_put(&m, FRA_UID_RANGE, &uids, sizeof(uids));
	if (r->proto)
		nl_put(&m, FRA_IP_PROTO, &r->proto, 1);
	if (r->sport)
		nl_put(&m, FRA_SPORT_RANGE, &sports, sizeof(sports));
	if (r->dport)
		nl_put(&m, FRA_DPORT_RANGE, &dports, sizeof(dports));
	if (r->l3mdev)
		nl_put(&m, FRA_L3MDEV, &(uint8_t){1}, 1);
	else
		nl_put_u32(&m, FRA_TABLE, r->table);
	nl_put_u32(&m, FRA_PRIORITY, r->prio);
	return apply(&m, RTM_DELRULE);
}
