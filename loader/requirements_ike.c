// SPDX-License-Identifier: GPL-2.0-only
/* Requirements out of the traffic selectors of loaded children. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "log.h"
#include "requirements.h"

struct side {
	struct prefix prefix[TS_PREFIX_MAX];
	size_t prefixes;
	struct ts_port port[TS_PORT_MAX];
	size_t ports;
	__u8 proto;
};

static void prefix_of(const struct ts_prefix *in, struct prefix *out)
{
	memset(out, 0, sizeof(*out));
	out->family = in->family;
	out->len = in->len;
	memcpy(out->addr, in->addr, in->family == AF_INET ? 4 : 16);
}

/* A selector's addresses, as many as there is room for. */
static size_t prefixes_of(const struct ts *ts, struct prefix *out, size_t max)
{
	struct ts_prefix prefixes[TS_PREFIX_MAX];
	int n = ts_prefixes(ts, prefixes, max < TS_PREFIX_MAX ? max : TS_PREFIX_MAX);

	for (int i = 0; i < n; i++)
		prefix_of(&prefixes[i], &out[i]);
	return n > 0 ? n : 0;
}

/*
 * The connection's own addresses, in place of "dynamic": addresses, prefixes and ranges. *all: none
 * of them is a name, or any.
 */
static size_t endpoint_prefixes(const char *const *addrs, size_t count, struct prefix *out,
				size_t max, bool *all)
{
	size_t n = 0, got;
	struct ts ts;

	*all = count > 0;
	for (size_t i = 0; i < count; i++) {
		got = 0;
		if (!ts_parse(addrs[i], strlen(addrs[i]), NULL, &ts) && !ts.dynamic &&
		    ts_common_bits(&ts))
			got = prefixes_of(&ts, out + n, max - n);
		n += got;
		*all &= got > 0;
	}
	return n;
}

/* What strongSwan makes of ICMP's type and code: source and destination port of xfrm. */
static bool is_icmp(__u8 proto)
{
	return proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6;
}

/*
 * The masks of a range of types, or of codes: never fewer than the selector has. `any`: of codes,
 * where all of them are meant.
 */
static size_t masks_of(__u16 from, __u16 to, bool any, struct ts_port *out)
{
	struct ts ts = {.port_from = from, .port_to = to};
	int n = any ? 0 : ts_ports(&ts, out, TS_PORT_MAX);

	if (n <= 0) {
		out[0] = (struct ts_port){};
		n = 1;
	}
	return n;
}

/*
 * 0, -ENOENT: nothing is known of this side's addresses. *all: these are all that the side can
 * have.
 */
static int read_side(const struct ts *ts, const char *const *addrs, size_t addr_count,
		     struct side *side, bool *all)
{
	memset(side, 0, sizeof(*side));
	side->proto = ts->proto;
	*all = true;
	if (ts->dynamic)
		side->prefixes =
			endpoint_prefixes(addrs, addr_count, side->prefix, TS_PREFIX_MAX, all);
	else
		side->prefixes = prefixes_of(ts, side->prefix, TS_PREFIX_MAX);
	side->ports = masks_of(ts->port_from, ts->port_to, ts_any_port(ts), side->port);
	return side->prefixes ? 0 : -ENOENT;
}

/*
 * An ICMP selector's port is type << 8 | code, on whichever side it stands, and xfrm compares the
 * type with the source port and the code with the destination port. Code 0 stands for any, as in
 * the policy that strongSwan makes (kernel_netlink_ipsec.c, ts2sel); and of several types all
 * codes.
 */
static void set_icmp(const struct ts *ts, struct side *local, struct side *remote)
{
	__u8 type_from = ts->port_from >> 8, type_to = ts->port_to >> 8;
	bool any_code = type_from != type_to || !(ts->port_from & 0xff);

	local->ports = masks_of(type_from, type_to, ts_any_port(ts), local->port);
	remote->ports = masks_of(ts->port_from & 0xff, ts->port_to & 0xff,
				 ts_any_port(ts) || any_code, remote->port);
}

static int set_one(struct requirements *r, struct requirement *one, const struct prefix *from,
		   const struct prefix *to, const struct ts_port *sport,
		   const struct ts_port *dport)
{
	if (from->family && from->family != to->family)
		return 0;
	one->family = to->family;
	one->to = *to;
	one->from = *from;
	one->sport = htons(sport->port);
	one->sport_mask = htons(sport->mask);
	one->dport = htons(dport->port);
	one->dport_mask = htons(dport->mask);
	return requirements_set(r, one);
}

static int set_product(struct requirements *r, struct requirement *one, const struct side *local,
		       const struct side *remote)
{
	int err = 0;

	for (size_t l = 0; l < local->prefixes; l++)
		for (size_t m = 0; m < remote->prefixes; m++)
			for (size_t s = 0; s < local->ports; s++)
				for (size_t d = 0; d < remote->ports && !err; d++)
					err = set_one(r, one, &local->prefix[l], &remote->prefix[m],
						      &local->port[s], &remote->port[d]);
	return err;
}

/* Wider than the selectors, so that nothing of them is left out. */
static void widen_addresses(struct side *side)
{
	memset(&side->prefix[0], 0, sizeof(side->prefix[0]));
	side->prefixes = 1;
}

static void widen_ports(struct side *side)
{
	side->port[0] = (struct ts_port){};
	side->ports = 1;
}

static int from_pair(struct requirements *r, const struct ike_child *c, const struct ts *local_ts,
		     const struct ts *remote_ts, struct requirement *one)
{
	struct side local, remote;
	bool all;

	if (read_side(remote_ts, c->remote_addrs, c->nremote_addrs, &remote, &all))
		return 0; /* a peer that is not known before it comes: nothing to require */
	if (local_ts->proto && remote_ts->proto && local_ts->proto != remote_ts->proto)
		return 0;
	if (read_side(local_ts, c->local_addrs, c->nlocal_addrs, &local, &all) ||
	    ((!all || c->left_out) && !one->exempt))
		widen_addresses(&local);
	one->proto = remote.proto ? remote.proto : local.proto;
	if (is_icmp(one->proto))
		set_icmp(ts_any_port(remote_ts) ? local_ts : remote_ts, &local, &remote);
	if (local.prefixes * remote.prefixes * local.ports * remote.ports >
		    REQUIREMENT_SELECTORS_MAX &&
	    !one->exempt) {
		widen_addresses(&local);
		widen_ports(&local);
		widen_ports(&remote);
	}
	return set_product(r, one, &local, &remote);
}

static int from_child(struct requirements *r, const struct ike_child *c)
{
	struct requirement one = {.source = REQUIREMENT_IKE};
	int err = 0;

	if (c->mode == IKE_DROP || c->mode == IKE_UNKNOWN)
		return 0;
	one.exempt = c->mode == IKE_PASS;
	snprintf(one.name, sizeof(one.name), "%.64s/%.64s", c->conn, c->name);
	if (!one.exempt)
		snprintf(one.child, sizeof(one.child), "%s", one.name);
	for (size_t l = 0; l < c->nlocal && !err; l++)
		for (size_t m = 0; m < c->nremote && !err; m++)
			err = from_pair(r, c, &c->local[l], &c->remote[m], &one);
	return err;
}

int requirements_from_ike(struct requirements *r, const struct ike_child *children, size_t count,
			  bool linger)
{
	int err = 0;

	requirements_begin(r, REQUIREMENT_IKE);
	for (size_t i = 0; i < count && !err; i++)
		err = from_child(r, &children[i]);
	if (err) {
		/* none is removed: what is there stays required */
		log_error("requirements of loaded connections: %s", strerror(-err));
		return err;
	}
	if (linger) {
		requirements_gone(r);
	} else {
		requirements_end(r, REQUIREMENT_IKE);
		requirements_begin(r, REQUIREMENT_ADOPTED);
		requirements_end(r, REQUIREMENT_ADOPTED);
	}
	return requirements_count(r);
}
