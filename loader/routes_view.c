// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <net/if.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_addrlabel.h>
#include <linux/ip.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <string.h>
#include <sys/socket.h>

#include "routes_view.h"

#define SOURCE_EDGES_MAX 131072 /* with doubles; so many cells are too many anyway */

#define TOP16(n) ((unsigned __int128)(n) << 112)

/* Prefixes that the kernel's own code compares a destination with. */
static const struct cell_prefix built_in4[] = {
	{0, 8},				   /* ip_route_output_key_hash_rcu(): ipv4_is_zeronet() */
	{0, 32},			   /* … and 0.0.0.0, which stands for loopback */
	{TOP16(0xe000), 4},		   /* multicast */
	{~(unsigned __int128)0 << 96, 32}, /* limited broadcast */
};
static const struct cell_prefix built_in6[] = {
	{0, 96}, /* scopes and types, ipv6_addr_type() */
	{0, 128},
	{1, 128},
	{(unsigned __int128)0xffff << 32, 96},
	{TOP16(0x2000), 3},
	{TOP16(0xe000), 3},
	{TOP16(0xfc00), 7},
	{TOP16(0xfe80), 10},
	{TOP16(0xfec0), 10},
	{TOP16(0xff00), 8},
};

/* Where a socket's own settings choose the source or the device (see routes.h). */
static const struct cell_prefix unknowable4[] = {{TOP16(0xe000), 4}};
static const struct cell_prefix unknowable6[] = {
	{(unsigned __int128)0xffff << 32, 96}, {TOP16(0xfe80), 10}, {TOP16(0xff00), 8}};

static bool attr_u32(struct nlattr *attr, uint32_t *out)
{
	if (!attr || nla_len(attr) < 4)
		return false;
	memcpy(out, nla_data(attr), 4);
	return true;
}

static bool attr_addr(struct nlattr *attr, uint8_t family, unsigned __int128 *out)
{
	int size = family == AF_INET ? 4 : 16;
	__be32 addr[4] = {0};

	if (!attr || nla_len(attr) < size)
		return false;
	memcpy(addr, nla_data(attr), (size_t)size);
	*out = cell_addr(family, addr);
	return true;
}

static struct route_link *get_link(struct routes_view *view, uint32_t ifindex)
{
	struct route_link *link;

	HASH_FIND(hh, view->links, &ifindex, sizeof(ifindex), link);
	if (link)
		return link;
	link = calloc(1, sizeof(*link));
	if (!link)
		return NULL;
	link->ifindex = ifindex;
	HASH_ADD(hh, view->links, ifindex, sizeof(ifindex), link);
	return link;
}

/* IFLA_AF_SPEC / AF_INET / IFLA_INET_CONF: the device's IPv4 settings, an array from 1. */
static bool read_noxfrm(struct nlattr *af_spec)
{
	struct nlattr *inet, *conf;
	uint32_t value;

	inet = af_spec ? nla_find(nla_data(af_spec), nla_len(af_spec), AF_INET) : NULL;
	conf = inet ? nla_find(nla_data(inet), nla_len(inet), IFLA_INET_CONF) : NULL;
	if (!conf || nla_len(conf) < (int)(IPV4_DEVCONF_NOXFRM * sizeof(value)))
		return false;
	memcpy(&value, (char *)nla_data(conf) + (IPV4_DEVCONF_NOXFRM - 1) * sizeof(value),
	       sizeof(value));
	return value;
}

/* IFLA_LINKINFO of an xfrm interface. */
static void read_xfrmi(struct nlattr *info, struct route_link *link)
{
	struct nlattr *kind = info ? nla_find(nla_data(info), nla_len(info), IFLA_INFO_KIND) : NULL;
	struct nlattr *data = info ? nla_find(nla_data(info), nla_len(info), IFLA_INFO_DATA) : NULL;

	link->xfrmi = kind && !nla_strcmp(kind, "xfrm");
	if (!link->xfrmi || !data)
		return;
	attr_u32(nla_find(nla_data(data), nla_len(data), IFLA_XFRM_IF_ID), &link->if_id);
	attr_u32(nla_find(nla_data(data), nla_len(data), IFLA_XFRM_LINK), &link->link);
}

/*
 * A VRF device looks up again what its queue has held; without one it passes packets by
 * (qdisc_tx_is_default()).
 */
static void read_vrf(struct nlattr **tb, struct route_link *link)
{
	struct nlattr *info = tb[IFLA_LINKINFO];
	struct nlattr *kind = info ? nla_find(nla_data(info), nla_len(info), IFLA_INFO_KIND) : NULL;
	uint32_t queues = 1;

	attr_u32(tb[IFLA_MASTER], &link->master);
	link->vrf = kind && !nla_strcmp(kind, "vrf");
	attr_u32(tb[IFLA_NUM_TX_QUEUES], &queues);
	link->queue = link->vrf &&
		      (queues > 1 || !tb[IFLA_QDISC] || nla_strcmp(tb[IFLA_QDISC], "noqueue"));
}

static int add_link(struct routes_view *view, const struct nlmsghdr *msg)
{
	const struct ifinfomsg *info = nlmsg_data(msg);
	struct nlattr *tb[IFLA_MAX + 1];
	struct route_link *link;

	if (nlmsg_parse((struct nlmsghdr *)msg, sizeof(*info), tb, IFLA_MAX, NULL) < 0)
		return -EBADMSG;
	link = get_link(view, (uint32_t)info->ifi_index);
	if (!link)
		return -ENOMEM;
	link->loopback = info->ifi_flags & IFF_LOOPBACK;
	link->up = info->ifi_flags & IFF_UP;
	read_xfrmi(tb[IFLA_LINKINFO], link);
	view->xfrmi |= link->xfrmi;
	read_vrf(tb, link);
	view->vrfs |= (uint8_t)((link->vrf ? VRF_AGAIN : 0) | (link->queue ? VRF_QUEUE : 0));
	link->noxfrm = read_noxfrm(tb[IFLA_AF_SPEC]);
	return 0;
}

static int add_addr(struct routes_view *view, const struct nlmsghdr *msg)
{
	const struct ifaddrmsg *info = nlmsg_data(msg);
	struct nlattr *tb[IFA_MAX + 1];
	struct route_link *link;
	unsigned __int128 addr;

	if (nlmsg_parse((struct nlmsghdr *)msg, sizeof(*info), tb, IFA_MAX, NULL) < 0)
		return -EBADMSG;
	if (info->ifa_family == AF_INET) {
		link = get_link(view, info->ifa_index);
		if (!link)
			return -ENOMEM;
		link->primaries += !(info->ifa_flags & IFA_F_SECONDARY);
		if (!attr_addr(tb[IFA_LOCAL], AF_INET, &addr))
			return 0;
		return cell_set_add(&view->locals, addr, 32);
	}
	if (info->ifa_family != AF_INET6 || info->ifa_prefixlen > 128 ||
	    !attr_addr(tb[IFA_LOCAL] ? tb[IFA_LOCAL] : tb[IFA_ADDRESS], AF_INET6, &addr))
		return 0;
	if (cell_set_add(&view->sources, addr, 128))
		return -ENOMEM;
	view->sources.v[view->sources.n - 1].len = info->ifa_prefixlen;
	return 0;
}

static int add_label(struct routes_view *view, const struct nlmsghdr *msg)
{
	const struct ifaddrlblmsg *info = nlmsg_data(msg);
	struct nlattr *tb[IFAL_MAX + 1];
	unsigned __int128 addr;

	if (nlmsg_parse((struct nlmsghdr *)msg, sizeof(*info), tb, IFAL_MAX, NULL) < 0)
		return -EBADMSG;
	if (info->ifal_family != AF_INET6 || info->ifal_prefixlen > 128 ||
	    !attr_addr(tb[IFAL_ADDRESS], AF_INET6, &addr))
		return 0;
	return cell_set_add(&view->set[1], addr, info->ifal_prefixlen);
}

static int add_hop(struct routes_view *view, bool six, struct route_hop *hop)
{
	if (view->hop_count[six] == view->hop_size[six]) {
		size_t size = view->hop_size[six] ? view->hop_size[six] * 2 : 64;
		struct route_hop *v = reallocarray(view->hops[six], size, sizeof(*v));

		if (!v)
			return -ENOMEM;
		view->hops[six] = v;
		view->hop_size[six] = size;
	}
	view->hops[six][view->hop_count[six]++] = *hop;
	return 0;
}

static int add_gateway(struct routes_view *view, bool six, struct nlattr *attr)
{
	unsigned __int128 addr;

	if (!six || !attr_addr(attr, AF_INET6, &addr))
		return 0;
	return cell_set_add(&view->gateways, addr, 128);
}

static int add_multipath(struct routes_view *view, bool six, struct route_hop *hop,
			 struct nlattr *attr)
{
	const char *p = nla_data(attr);
	int left = nla_len(attr);
	int r = 0;

	while (!r && left >= (int)sizeof(struct rtnexthop)) {
		const struct rtnexthop *nh = (const void *)p;
		int len = nh->rtnh_len;

		if (len < (int)sizeof(*nh) || len > left)
			return -EBADMSG;
		hop->oif = (uint32_t)nh->rtnh_ifindex;
		r = add_hop(view, six, hop);
		if (!r)
			r = add_gateway(view, six,
					nla_find((struct nlattr *)(p + sizeof(*nh)),
						 len - (int)sizeof(*nh), RTA_GATEWAY));
		len = (int)RTNH_ALIGN(len);
		p += len;
		left -= len;
	}
	return r;
}

static int add_route(struct routes_view *view, const struct nlmsghdr *msg)
{
	const struct rtmsg *info = nlmsg_data(msg);
	struct route_hop hop = {0};
	struct nlattr *tb[RTA_MAX + 1];
	bool six = info->rtm_family == AF_INET6;
	int r;

	if (nlmsg_parse((struct nlmsghdr *)msg, sizeof(*info), tb, RTA_MAX, NULL) < 0)
		return -EBADMSG;
	if ((!six && info->rtm_family != AF_INET) || info->rtm_flags & RTM_F_CLONED ||
	    info->rtm_dst_len > (six ? 128 : 32))
		return 0;
	attr_addr(tb[RTA_DST], info->rtm_family, &hop.key.addr);
	hop.key.len = info->rtm_dst_len;
	hop.key.tos = info->rtm_tos;
	hop.key.table = info->rtm_table;
	attr_u32(tb[RTA_TABLE], &hop.key.table);
	attr_u32(tb[RTA_PRIORITY], &hop.key.metric);
	hop.has_prefsrc = tb[RTA_PREFSRC];
	view->named |= six && hop.has_prefsrc;
	view->from[six] |= info->rtm_src_len > 0;
	r = cell_set_add(&view->set[six], hop.key.addr, hop.key.len);
	if (!r && hop.key.tos)
		r = cell_set_add(&view->uncertain[six], hop.key.addr, hop.key.len);
	if (!r)
		r = add_gateway(view, six, tb[RTA_GATEWAY]);
	if (!r && tb[RTA_MULTIPATH])
		return add_multipath(view, six, &hop, tb[RTA_MULTIPATH]);
	if (!r && !attr_u32(tb[RTA_OIF], &hop.oif) && tb[RTA_NH_ID])
		r = add_hop(view, six, &hop); /* twice: a next hop object may be a group */
	return r ? r : add_hop(view, six, &hop);
}

/* Can the rule match a flow, and does that hang on more than what is asked about? */
enum certainty { CERTAIN, UNCERTAIN_BOUND, UNCERTAIN };

static enum certainty rule_certainty(const struct fib_rule_hdr *info, struct nlattr **tb,
				     bool newer)
{
	uint32_t mark = 0, mask = ~0U;

	if (!info->tos && !tb[FRA_UID_RANGE] && !tb[FRA_IP_PROTO] && !tb[FRA_SPORT_RANGE] &&
	    !tb[FRA_DPORT_RANGE] && !newer)
		return CERTAIN;
	if (info->flags & FIB_RULE_INVERT)
		return UNCERTAIN;
	if (tb[FRA_IIFNAME] && nla_strcmp(tb[FRA_IIFNAME], "lo"))
		return CERTAIN;
	attr_u32(tb[FRA_FWMARK], &mark);
	attr_u32(tb[FRA_FWMASK], &mask);
	return mark & mask || tb[FRA_OIFNAME] ? UNCERTAIN_BOUND : UNCERTAIN;
}

static void add_fwmark(struct routes_view *view, struct nlattr **tb)
{
	struct fwmark m = {0};

	/* mark 0 is not told, only its mask is (fib_nl_fill_rule()) */
	attr_u32(tb[FRA_FWMARK], &m.mark);
	if (!attr_u32(tb[FRA_FWMASK], &m.mask) || !m.mask)
		return;
	for (uint8_t i = 0; i < view->fwmarks && i < FWMARKS_MAX; i++)
		if (view->fwmark[i].mark == m.mark && view->fwmark[i].mask == m.mask)
			return;
	if (view->fwmarks >= FWMARKS_MAX)
		view->fwmarks = FWMARKS_UNKNOWN;
	else
		view->fwmark[view->fwmarks++] = m;
}

/* Rules are tried by priority, the lowest first. */
static void add_order(struct routes_view *view, bool six, const struct fib_rule_hdr *info,
		      struct nlattr **tb, enum certainty certainty)
{
	struct table_rule *t = view->table_rule[six], *end = t + view->table_rules[six];
	uint32_t table = info->table, priority = 0;

	attr_u32(tb[FRA_PRIORITY], &priority);
	attr_u32(tb[FRA_TABLE], &table);
	if (certainty != CERTAIN &&
	    (priority < view->first_ruled[six] || !(view->ruled[six].n + view->ruled_bound[six].n)))
		view->first_ruled[six] = priority;
	while (t < end && t->table != table)
		t++;
	if (t == end && view->table_rules[six] == TABLE_RULES_MAX)
		return;
	if (t == end)
		view->table_rules[six]++;
	if (t == end || priority > t->priority)
		*t = (struct table_rule){table, priority};
}

static int add_rule(struct routes_view *view, const struct nlmsghdr *msg)
{
	const struct fib_rule_hdr *info = nlmsg_data(msg);
	bool six = info->family == AF_INET6, newer = false;
	struct nlattr *tb[FRA_MAX + 1], *attr;
	unsigned __int128 to = 0;
	enum certainty certainty;
	uint8_t len = 0;
	int left, r;

	if (nlmsg_parse((struct nlmsghdr *)msg, sizeof(*info), tb, FRA_MAX, NULL) < 0)
		return -EBADMSG;
	if ((!six && info->family != AF_INET) || info->dst_len > (six ? 128 : 32))
		return 0;
	nlmsg_for_each_attr(attr, (struct nlmsghdr *)msg, sizeof(*info), left) newer |=
		nla_type(attr) > FRA_DPORT_RANGE;
	if (attr_addr(tb[FRA_DST], info->family, &to))
		len = info->dst_len;
	r = cell_set_add(&view->set[six], to, len);
	certainty = rule_certainty(info, tb, newer);
	add_order(view, six, info, tb, certainty);
	if (!r && certainty != CERTAIN)
		r = cell_set_add(certainty == UNCERTAIN ? &view->ruled[six]
							: &view->ruled_bound[six],
				 to, info->flags & FIB_RULE_INVERT ? 0 : len);
	add_fwmark(view, tb);
	view->from[six] |= info->src_len > 0;
	view->oif_rules |= tb[FRA_OIFNAME] != NULL;
	return r;
}

static const struct {
	uint16_t type;
	size_t header;
	int (*add)(struct routes_view *view, const struct nlmsghdr *msg);
} readers[] = {
	{RTM_NEWLINK, sizeof(struct ifinfomsg), add_link},
	{RTM_NEWADDR, sizeof(struct ifaddrmsg), add_addr},
	{RTM_NEWADDRLABEL, sizeof(struct ifaddrlblmsg), add_label},
	{RTM_NEWROUTE, sizeof(struct rtmsg), add_route},
	{RTM_NEWRULE, sizeof(struct fib_rule_hdr), add_rule},
};

int routes_view_add(struct routes_view *view, const struct nlmsghdr *msg)
{
	for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]); i++) {
		if (readers[i].type != msg->nlmsg_type)
			continue;
		if (msg->nlmsg_len < NLMSG_LENGTH(readers[i].header))
			return -EBADMSG;
		return readers[i].add(view, msg);
	}
	return 0;
}

static int compare_hops(const void *a, const void *b)
{
	const struct route_hop *x = a, *y = b;

	if (x->key.addr != y->key.addr)
		return x->key.addr < y->key.addr ? -1 : 1;
	if (x->key.len != y->key.len)
		return x->key.len < y->key.len ? -1 : 1;
	if (x->key.table != y->key.table)
		return x->key.table < y->key.table ? -1 : 1;
	if (x->key.metric != y->key.metric)
		return x->key.metric < y->key.metric ? -1 : 1;
	return (int)x->key.tos - (int)y->key.tos;
}

static int add_built_in(struct cell_set *set, const struct cell_prefix *v, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && !r; i++)
		r = cell_set_add(set, v[i].addr, v[i].len);
	return r;
}

static int compare_addrs(const void *a, const void *b)
{
	const struct cell_prefix *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

/* So many that their order cannot be told: no source is known. */
static int add_sources(struct routes_view *view)
{
	int r = cell_set_add_sources(&view->set[1], view->sources.v, view->sources.n,
				     SOURCE_EDGES_MAX);

	return r == -E2BIG ? cell_set_add(&view->uncertain[1], 0, 0) : r;
}

int routes_view_finish(struct routes_view *view)
{
	int r = add_built_in(&view->set[0], built_in4, sizeof(built_in4) / sizeof(*built_in4));

	if (!r)
		r = add_built_in(&view->set[1], built_in6, sizeof(built_in6) / sizeof(*built_in6));
	if (!r)
		r = add_sources(view);
	if (view->locals.n)
		qsort(view->locals.v, view->locals.n, sizeof(*view->locals.v), compare_addrs);
	for (int six = 0; six < 2; six++) {
		cell_set_outermost(&view->uncertain[six]);
		cell_set_outermost(&view->ruled[six]);
		cell_set_outermost(&view->ruled_bound[six]);
		if (view->hop_count[six])
			qsort(view->hops[six], view->hop_count[six], sizeof(struct route_hop),
			      compare_hops);
		for (size_t i = 1; i < view->hop_count[six]; i++)
			view->shared[six] |=
				!compare_hops(&view->hops[six][i - 1], &view->hops[six][i]);
	}
	return r;
}

size_t routes_view_hops(const struct routes_view *view, bool six, const struct route_hop *like,
			size_t *first)
{
	size_t low = 0, high = view->hop_count[six], n = 0;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_hops(&view->hops[six][middle], like) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	while (low + n < view->hop_count[six] && !compare_hops(&view->hops[six][low + n], like))
		n++;
	*first = low;
	return n;
}

const struct route_link *routes_view_link(const struct routes_view *view, uint32_t ifindex)
{
	struct route_link *link;

	HASH_FIND(hh, view->links, &ifindex, sizeof(ifindex), link);
	return link;
}

const struct route_link *routes_view_vrf(const struct routes_view *view, uint32_t ifindex)
{
	const struct route_link *link = routes_view_link(view, ifindex);

	if (link && !link->vrf)
		link = link->master ? routes_view_link(view, link->master) : NULL;
	return link && link->vrf ? link : NULL;
}

bool routes_view_local(const struct routes_view *view, unsigned __int128 addr)
{
	struct cell_prefix key = {.addr = addr};

	return view->locals.n &&
	       bsearch(&key, view->locals.v, view->locals.n, sizeof(key), compare_addrs);
}

bool routes_view_unknowable(const struct routes_view *view, bool six,
			    const struct cell_prefix *prefix)
{
	const struct cell_prefix *fixed = six ? unknowable6 : unknowable4;
	size_t n = six ? sizeof(unknowable6) / sizeof(*unknowable6) : 1;

	for (size_t i = 0; i < n; i++)
		if (prefix->len >= fixed[i].len && cell_contains(&fixed[i], prefix->addr))
			return true;
	return cell_set_covers(&view->uncertain[six], prefix);
}

bool routes_view_ruled(const struct routes_view *view, bool six, bool bound,
		       const struct cell_prefix *prefix)
{
	return cell_set_covers(&view->ruled[six], prefix) ||
	       (bound && cell_set_covers(&view->ruled_bound[six], prefix));
}

bool routes_view_before_ruled(const struct routes_view *view, bool six, uint32_t table)
{
	const struct table_rule *t = view->table_rule[six];

	for (uint8_t i = 0; i < view->table_rules[six]; i++)
		if (t[i].table == table)
			return t[i].priority < view->first_ruled[six];
	return false;
}

void routes_view_clear(struct routes_view *view)
{
	struct route_link *link, *next;

	HASH_ITER(hh, view->links, link, next) {
		HASH_DEL(view->links, link);
		free(link);
	}
	for (int six = 0; six < 2; six++) {
		cell_set_clear(&view->set[six]);
		cell_set_clear(&view->uncertain[six]);
		cell_set_clear(&view->ruled[six]);
		cell_set_clear(&view->ruled_bound[six]);
		free(view->hops[six]);
	}
	cell_set_clear(&view->sources);
	cell_set_clear(&view->gateways);
	cell_set_clear(&view->locals);
	*view = (struct routes_view){0};
}
