// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <string.h>
#include <sys/socket.h>

#include "routes_ask.h"

struct reply {
	int error; /* negative errno, 0: a route */
	uint32_t table, metric, oif;
	uint8_t type, len, tos;
	bool has_source;
	unsigned __int128 dst, source;
};

static uint32_t vrf_of(const struct route_ask *a, uint32_t ifindex)
{
	const struct route_link *vrf = routes_view_vrf(a->view, ifindex);

	return vrf ? vrf->ifindex : 0;
}

static bool bound_to_vrf(const struct route_ask *a)
{
	return a->oif && vrf_of(a, a->oif) == a->oif;
}

static void done(struct route_ask *a)
{
	if (bound_to_vrf(a))
		a->found.vrf_flags |= VRF_BOUND;
	*a->answer = a->found;
	a->step = STEP_DONE;
}

/* The addresses that a socket here can be bound to. */
static const struct cell_set *sources(const struct route_ask *a)
{
	return a->family == AF_INET6 ? &a->view->sources : &a->view->locals;
}

static void finish(struct route_ask *a)
{
	const struct cell_set *all = sources(a);
	bool compared = a->view->from[a->family == AF_INET6];

	if (compared && all->n > ROUTES_ASK_SOURCES) {
		a->found.by_source = BY_SOURCE_DEVICE | BY_SOURCE_XFRMI;
		compared = false;
	}
	if (compared && a->source < all->n)
		a->step = STEP_FROM;
	else
		done(a);
}

static void finish_unknown(struct route_ask *a)
{
	a->found = (struct route_value){
		.unknown = 1,
		.by_source = a->view->xfrmi ? BY_SOURCE_XFRMI : 0,
	};
	done(a);
}

/* The address to ask about. :: stands for ::1 in connect(), but not in RTM_GETROUTE. */
static unsigned __int128 probe(const struct route_ask *a)
{
	return a->family == AF_INET6 && !a->cell->probe ? 1 : a->cell->probe;
}

void route_ask_start(struct route_ask *ask)
{
	bool six = ask->family == AF_INET6;

	ask->step = STEP_PLAIN;
	ask->found = (struct route_value){0};
	ask->hop = ask->hop_end = 0;
	ask->seen = false;
	ask->source = 0;
	ask->ruled = routes_view_ruled(ask->view, six, ask->oif || ask->mark, &ask->cell->prefix);
	if (ask->cell->covered || routes_view_unknowable(ask->view, six, &ask->cell->prefix))
		finish_unknown(ask);
}

static void put_attr(struct nlmsghdr *h, uint16_t type, const void *data, size_t len)
{
	struct nlattr *attr = (struct nlattr *)((char *)h + NLMSG_ALIGN(h->nlmsg_len));

	attr->nla_type = type;
	attr->nla_len = (uint16_t)(NLA_HDRLEN + len);
	memcpy((char *)attr + NLA_HDRLEN, data, len);
	h->nlmsg_len = (uint32_t)(NLMSG_ALIGN(h->nlmsg_len) + NLA_ALIGN(attr->nla_len));
}

size_t route_ask_write(const struct route_ask *ask, uint32_t seq, void *buf)
{
	size_t size = ask->family == AF_INET ? 4 : 16;
	struct nlmsghdr *h = buf;
	struct rtmsg *r = NLMSG_DATA(h);
	__be32 addr[4];

	memset(buf, 0, ROUTES_ASK_SIZE);
	h->nlmsg_len = NLMSG_LENGTH(sizeof(*r));
	h->nlmsg_type = RTM_GETROUTE;
	h->nlmsg_flags = NLM_F_REQUEST;
	h->nlmsg_seq = seq;
	r->rtm_family = ask->family;
	r->rtm_dst_len = (uint8_t)(size * 8);
	/* IPv6 always tells the table */
	r->rtm_flags = ask->family == AF_INET ? RTM_F_LOOKUP_TABLE : 0;
	if (ask->step == STEP_MATCH)
		r->rtm_flags |= RTM_F_FIB_MATCH;
	cell_addr_to(ask->family, probe(ask), addr);
	put_attr(h, RTA_DST, addr, size);
	if (ask->step == STEP_DEVICE || ask->oif)
		put_attr(h, RTA_OIF, ask->step == STEP_DEVICE ? &ask->device : &ask->oif,
			 sizeof(ask->oif));
	if (ask->mark)
		put_attr(h, RTA_MARK, &ask->mark, sizeof(ask->mark));
	if (ask->step == STEP_FROM)
		cell_addr_to(ask->family, sources(ask)->v[ask->source].addr, addr);
	if (ask->step == STEP_SOURCE || ask->step == STEP_FROM) {
		r->rtm_src_len = (uint8_t)(size * 8);
		put_attr(h, RTA_SRC, ask->step == STEP_FROM ? addr : ask->found.saddr, size);
	}
	return h->nlmsg_len;
}

static unsigned __int128 get_addr(struct nlattr *attr, uint8_t family)
{
	size_t size = family == AF_INET ? 4 : 16;
	__be32 addr[4] = {0};

	if (attr && nla_len(attr) >= (int)size)
		memcpy(addr, nla_data(attr), size);
	return cell_addr(family, addr);
}

static uint32_t get_u32(struct nlattr *attr)
{
	uint32_t v = 0;

	if (attr && nla_len(attr) >= 4)
		memcpy(&v, nla_data(attr), 4);
	return v;
}

static void read_reply(const struct nlmsghdr *msg, uint8_t family, struct reply *out)
{
	const struct rtmsg *info = NLMSG_DATA(msg);
	struct nlattr *tb[RTA_MAX + 1];

	*out = (struct reply){.error = -EPROTO};
	if (msg->nlmsg_type == NLMSG_ERROR) {
		if (msg->nlmsg_len >= NLMSG_LENGTH(sizeof(int)))
			memcpy(&out->error, NLMSG_DATA(msg), sizeof(int));
		return;
	}
	if (msg->nlmsg_type != RTM_NEWROUTE || msg->nlmsg_len < NLMSG_LENGTH(sizeof(*info)) ||
	    nlmsg_parse((struct nlmsghdr *)msg, sizeof(*info), tb, RTA_MAX, NULL) < 0)
		return;
	out->error = 0;
	out->table = tb[RTA_TABLE] ? get_u32(tb[RTA_TABLE]) : info->rtm_table;
	out->metric = get_u32(tb[RTA_PRIORITY]);
	out->oif = get_u32(tb[RTA_OIF]);
	out->type = info->rtm_type;
	out->len = info->rtm_dst_len;
	out->tos = info->rtm_tos;
	out->dst = get_addr(tb[RTA_DST], family);
	out->source = get_addr(tb[RTA_PREFSRC], family);
	out->has_source = tb[RTA_PREFSRC] && out->source;
}

/* The errors with which routing refuses; anything else is trouble of another kind. */
static bool refuses(int error)
{
	return error == -ENETUNREACH || error == -EHOSTUNREACH || error == -EACCES ||
	       error == -EINVAL;
}

/*
 * Which VRF device looks again, if any; and where a tunnel's source is routed: IPv4 has the routed
 * device in the flow by then, IPv6 what the socket is bound to, but for a VRF device.
 */
static void set_vrf(struct route_ask *a, uint32_t oif)
{
	const struct route_link *vrf = routes_view_vrf(a->view, oif);

	if (a->found.xfrmi && a->found.link && vrf_of(a, a->found.link))
		a->found.vrf_flags |= VRF_LINK;
	if (vrf && vrf->ifindex == oif)
		a->found.vrf_flags |= VRF_AGAIN;
	if (vrf && vrf->queue)
		a->found.vrf_flags |= VRF_QUEUE;
	if (vrf && !a->found.xfrmi)
		a->found.link = vrf->ifindex;
	if (a->family == AF_INET)
		a->found.vrf = vrf ? vrf->ifindex : 0;
	else if (!bound_to_vrf(a))
		a->found.vrf = vrf_of(a, a->oif);
}

static void set_device(struct route_ask *a, uint32_t oif)
{
	const struct route_link *link = routes_view_link(a->view, oif);

	a->found.oif = oif;
	a->found.loopback = link && link->loopback;
	a->found.noxfrm = a->family == AF_INET && link && (link->noxfrm || a->all_noxfrm);
	a->found.xfrmi = link && link->xfrmi;
	a->found.if_id = a->found.xfrmi ? link->if_id : 0;
	a->found.link = a->found.xfrmi ? link->link : 0;
	set_vrf(a, oif);
}

/* Another device is possible as well: it is not known which. */
static void unset_device(struct route_ask *a)
{
	a->found.oif = 0;
	a->found.loopback = a->found.noxfrm = a->found.xfrmi = 0;
	a->found.if_id = 0;
}

/*
 * Does a second look, with the source, say more? Rules may compare it; limited broadcast goes to
 * the device that has it; and it is refused when it is no address of ours, which happens when a
 * route of another table outlives it (ip_route_output_key_hash_rcu(), fib_sync_down_addr()).
 */
static bool second_look(const struct route_ask *a)
{
	bool broadcast = a->cell->prefix.len == 32 && !~(uint32_t)(a->cell->probe >> 96);

	return a->family == AF_INET &&
	       (a->view->from[0] || broadcast ||
		!routes_view_local(a->view, cell_addr(AF_INET, a->found.saddr)));
}

static void source_known(struct route_ask *a)
{
	if (second_look(a))
		a->step = STEP_SOURCE;
	else
		finish(a);
}

/*
 * Does routing leave the VRF of the socket's device? Then IPv6 takes a source of the VRF's, or as
 * older kernels do of the route's device, and RTM_GETROUTE has always this
 * (ip6_route_get_saddr()).
 */
static bool leaves_vrf(const struct route_ask *a, uint32_t oif)
{
	uint32_t vrf = a->oif ? vrf_of(a, a->oif) : 0;

	return a->family == AF_INET6 && vrf && vrf_of(a, oif) != vrf;
}

/* Several next hops, or one that names its source: which route is it? */
static void route_known(struct route_ask *a, const struct reply *r)
{
	bool six = a->family == AF_INET6;

	a->table = r->table;
	a->metric = r->metric;
	if ((a->view->shared[six] || (six && a->view->named)) && r->type == RTN_UNICAST)
		a->step = STEP_MATCH;
	else
		source_known(a);
}

static void take_plain(struct route_ask *a, const struct reply *r)
{
	bool six = a->family == AF_INET6;
	unsigned int bits = six ? 128 : 32;

	if (!r->error && leaves_vrf(a, r->oif)) {
		set_device(a, r->oif);
		a->found.vrf_flags |= VRF_LEFT;
		route_known(a, r);
		return;
	}
	if (refuses(r->error) || (six && !r->error && !r->has_source)) {
		/* IPv6 then tries again with any source, which may be what a rule waits for. */
		if (six && a->view->from[1]) {
			finish_unknown(a);
			return;
		}
		a->found.none = 1;
		finish(a);
		return;
	}
	if (r->error) {
		finish_unknown(a);
		return;
	}
	set_device(a, r->oif);
	if (r->type == RTN_LOCAL && a->found.vrf_flags & VRF_AGAIN)
		a->found.vrf_flags |= VRF_OWN;
	if (!six && r->type == RTN_LOCAL && r->source == a->cell->probe &&
	    a->cell->prefix.len < bits) {
		/* A local prefix: every destination is its own source (ip_route_output_key). */
		a->found.unknown = !a->found.noxfrm;
		finish(a);
		return;
	}
	if (!r->has_source) {
		finish_unknown(a);
		return;
	}
	cell_addr_to(a->family, r->source, a->found.saddr);
	route_known(a, r);
}

/* Goes to the next device that has not been asked about; false: there is none. */
static bool next_device(struct route_ask *a)
{
	const struct route_hop *hops = a->view->hops[a->family == AF_INET6];
	uint32_t before = a->device;

	while (a->hop < a->hop_end && a->seen && hops[a->hop].oif == before)
		a->hop++;
	if (a->hop >= a->hop_end)
		return false;
	a->device = hops[a->hop++].oif;
	return true;
}

/* Several IPv4 hops on one device differ in their source if it has several addresses. */
static bool hops_differ(const struct route_ask *a)
{
	const struct route_hop *hops = a->view->hops[a->family == AF_INET6];

	for (size_t i = a->hop; i < a->hop_end; i++) {
		const struct route_link *link = routes_view_link(a->view, hops[i].oif);

		if (!hops[i].oif)
			return true;
		if (a->family == AF_INET6 || hops[i].has_prefsrc || (link && link->primaries == 1))
			continue;
		for (size_t j = i + 1; j < a->hop_end; j++)
			if (hops[j].oif == hops[i].oif)
				return true;
	}
	return false;
}

/* To ask about one of its devices is to ask in that device's VRF: is it another one? */
static bool hops_in_vrf(const struct route_ask *a)
{
	uint32_t vrf = bound_to_vrf(a) ? a->oif : 0;

	for (size_t i = a->hop; i < a->hop_end; i++)
		if (vrf_of(a, a->view->hops[a->family == AF_INET6][i].oif) != vrf)
			return true;
	return false;
}

/* Does the route name its source, or may it? No hops: it is not known which route. */
static bool names_source(const struct route_ask *a)
{
	for (size_t i = a->hop; i < a->hop_end; i++)
		if (a->view->hops[1][i].has_prefsrc)
			return true;
	return a->hop == a->hop_end;
}

static void take_match(struct route_ask *a, const struct reply *r)
{
	bool six = a->family == AF_INET6;
	struct route_hop like = {.key = {.addr = r->dst,
					 .table = r->table,
					 .metric = r->metric,
					 .len = r->len,
					 .tos = r->tos}};
	size_t n;

	/* no route by the socket's device: IPv4 takes the address to be on its link */
	if (r->error == -EHOSTUNREACH && !six && a->oif) {
		source_known(a);
		return;
	}
	/* IPv6 looks up otherwise here (no reachability): another route means we do not know */
	if (r->error || (six && (r->table != a->table || r->metric != a->metric))) {
		if (a->view->shared[six]) {
			finish_unknown(a);
			return;
		}
		a->found.named = 1;
		source_known(a);
		return;
	}
	n = routes_view_hops(a->view, six, &like, &a->hop);
	/* without a rule IPv4 has both tables in one, and says main (fib_trie_unmerge()) */
	if (!n && !six && like.key.table == RT_TABLE_MAIN) {
		like.key.table = RT_TABLE_LOCAL;
		n = routes_view_hops(a->view, six, &like, &a->hop);
	}
	a->hop_end = a->hop + n;
	a->found.named = six && a->view->named && names_source(a);
	if (n == 1 || !a->view->shared[six]) {
		source_known(a);
	} else if (!n || a->view->oif_rules || hops_differ(a)) {
		finish_unknown(a);
	} else if (a->oif && !bound_to_vrf(a) && !(a->found.vrf_flags & VRF_LEFT)) {
		/* the socket's device chooses among them */
		source_known(a);
	} else if (hops_in_vrf(a)) {
		finish_unknown(a);
	} else {
		a->step = STEP_DEVICE;
		a->device = 0;
		next_device(a);
	}
}

static void take_device(struct route_ask *a, const struct reply *r)
{
	__be32 source[4];

	/* a dead next hop is not chosen */
	if (!r->error && r->has_source) {
		cell_addr_to(a->family, r->source, source);
		if (memcmp(source, a->found.saddr, sizeof(source))) {
			finish_unknown(a);
			return;
		}
		if (r->oif != a->found.oif)
			unset_device(a);
	}
	a->seen = true;
	if (!next_device(a))
		source_known(a);
}

static void take_source(struct route_ask *a, const struct reply *r)
{
	if (r->error) {
		finish_unknown(a);
		return;
	}
	if (vrf_of(a, r->oif) != vrf_of(a, a->found.oif)) {
		finish_unknown(a);
		return;
	}
	if (r->oif != a->found.oif)
		unset_device(a);
	finish(a);
}

/* Does a socket bound to this source leave by the same device? */
static void take_from(struct route_ask *a, const struct reply *r)
{
	const struct route_link *link = r->error ? NULL : routes_view_link(a->view, r->oif);

	if (r->error ? !a->found.none : a->found.none || r->oif != a->found.oif) {
		a->found.by_source |= BY_SOURCE_DEVICE;
		if (a->found.xfrmi || (link && link->xfrmi))
			a->found.by_source |= BY_SOURCE_XFRMI;
	}
	a->source++;
	finish(a);
}

void route_ask_reply(struct route_ask *ask, const struct nlmsghdr *msg)
{
	struct reply r;

	read_reply(msg, ask->family, &r);
	if (ask->ruled &&
	    (r.error || !routes_view_before_ruled(ask->view, ask->family == AF_INET6, r.table)))
		finish_unknown(ask);
	else if (ask->step == STEP_PLAIN)
		take_plain(ask, &r);
	else if (ask->step == STEP_MATCH)
		take_match(ask, &r);
	else if (ask->step == STEP_DEVICE)
		take_device(ask, &r);
	else if (ask->step == STEP_SOURCE)
		take_source(ask, &r);
	else if (ask->step == STEP_FROM)
		take_from(ask, &r);
}
