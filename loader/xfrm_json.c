// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "units.h"
#include "xfrm_json.h"

struct name {
	unsigned int value;
	const char *name;
};

#define PROTO_ROW(name, number) {number, name},
static const struct name protos[] = {
	UNITS_PROTOS(PROTO_ROW){IPPROTO_COMP, "comp"},
	{IPPROTO_ROUTING, "route2"},
	{IPPROTO_DSTOPTS, "hao"},
	{0, NULL},
};

static const struct name modes[] = {
	{XFRM_MODE_TRANSPORT, "transport"},
	{XFRM_MODE_TUNNEL, "tunnel"},
	{XFRM_MODE_ROUTEOPTIMIZATION, "ro"},
	{XFRM_MODE_IN_TRIGGER, "in_trigger"},
	{XFRM_MODE_BEET, "beet"},
	{SAGATE_XFRM_MODE_IPTFS, "iptfs"},
	{0, NULL},
};

static const struct name policy_flags[] = {
	{XFRM_POLICY_LOCALOK, "localok"},
	{XFRM_POLICY_ICMP, "icmp"},
	{0, NULL},
};

static const struct name sa_flags[] = {
	{XFRM_STATE_NOECN, "noecn"},
	{XFRM_STATE_DECAP_DSCP, "decap-dscp"},
	{XFRM_STATE_NOPMTUDISC, "nopmtudisc"},
	{XFRM_STATE_WILDRECV, "wildrecv"},
	{XFRM_STATE_ICMP, "icmp"},
	{XFRM_STATE_AF_UNSPEC, "af-unspec"},
	{XFRM_STATE_ALIGN4, "align4"},
	{XFRM_STATE_ESN, "esn"},
	{0, NULL},
};

static json_t *named(const struct name *n, unsigned int value)
{
	for (; n->name; n++) {
		if (n->value == value)
			return json_string(n->name);
	}
	return json_integer(value);
}

static const char *text_of(const struct name *n, unsigned int value, char *buf, size_t size)
{
	for (; n->name; n++) {
		if (n->value == value)
			return n->name;
	}
	snprintf(buf, size, "%u", value);
	return buf;
}

const char *xfrm_proto_text(__u8 proto, char *buf, size_t size)
{
	return text_of(protos, proto, buf, size);
}

const char *xfrm_mode_text(__u8 mode, char *buf, size_t size)
{
	return text_of(modes, mode, buf, size);
}

static json_t *flags_json(const struct name *n, unsigned int flags)
{
	json_t *list = json_array();

	for (; n->name; n++) {
		if (flags & n->value)
			json_array_append_new(list, json_string(n->name));
	}
	return list;
}

json_t *address_to_json(const __be32 addr[4], __u8 family)
{
	char text[INET6_ADDRSTRLEN];

	if (!inet_ntop(family == AF_INET ? AF_INET : AF_INET6, addr, text, sizeof(text)))
		return NULL;
	return json_string(text);
}

static json_t *prefix_json(const __be32 addr[4], __u8 family, unsigned int len)
{
	char text[INET6_ADDRSTRLEN];

	if (!inet_ntop(family == AF_INET ? AF_INET : AF_INET6, addr, text, sizeof(text)))
		return NULL;
	return json_sprintf("%s/%u", text, len);
}

static json_t *hex(unsigned int value)
{
	return json_sprintf("0x%08x", value);
}

static void set_mark(json_t *o, __u32 mark, __u32 mask)
{
	json_t *m;

	if (!mark && !mask)
		return;
	m = json_object();
	json_object_set_new(m, "value", json_sprintf("0x%x", mark));
	json_object_set_new(m, "mask", json_sprintf("0x%x", mask));
	json_object_set_new(o, "mark", m);
}

static void set_port(json_t *o, const char *key, const char *mask_key, __be16 port, __be16 mask)
{
	if (!mask)
		return;
	json_object_set_new(o, key, json_integer(ntohs(port)));
	if (mask != 0xffff)
		json_object_set_new(o, mask_key, json_sprintf("0x%04x", ntohs(mask)));
}

/* Selectors are shown as they are kept: `ip xfrm` does the same. */
static void set_selector(json_t *o, const struct selector_info *sel)
{
	char dev[IF_NAMESIZE];

	json_object_set_new(o, "src", prefix_json(sel->saddr, sel->family, sel->src_len));
	json_object_set_new(o, "dst", prefix_json(sel->daddr, sel->family, sel->dst_len));
	if (sel->proto)
		json_object_set_new(o, "proto", named(protos, sel->proto));
	set_port(o, "sport", "sport-mask", sel->sport, sel->sport_mask);
	set_port(o, "dport", "dport-mask", sel->dport, sel->dport_mask);
	if (!sel->ifindex)
		return;
	/* The name it has here; in another namespace only the number is known. */
	json_object_set_new(o, "dev",
			    if_indextoname(sel->ifindex, dev) ? json_string(dev)
							      : json_sprintf("if%u", sel->ifindex));
}

static json_t *template_json(const struct spd_tmpl *t)
{
	json_t *o = json_object();

	json_object_set_new(o, "src", address_to_json(t->saddr, t->family));
	json_object_set_new(o, "dst", address_to_json(t->daddr, t->family));
	json_object_set_new(o, "proto", named(protos, t->proto));
	if (t->spi)
		json_object_set_new(o, "spi", hex(ntohl(t->spi)));
	json_object_set_new(o, "reqid", json_integer(t->reqid));
	json_object_set_new(o, "mode", named(modes, t->mode));
	json_object_set_new(o, "level", json_string(t->optional ? "use" : "required"));
	return o;
}

static const char *action_name(const struct policy_info *p)
{
	return p->action == XFRM_POLICY_ALLOW ? "allow" : "block";
}

static const char *ptype_name(const struct policy_info *p)
{
	return p->type == XFRM_POLICY_TYPE_SUB ? "sub" : "main";
}

json_t *policy_to_json(const struct policy_info *p)
{
	json_t *o = json_object(), *tmpl = json_array();

	set_selector(o, &p->sel);
	json_object_set_new(o, "dir", json_string("out"));
	json_object_set_new(o, "action", json_string(action_name(p)));
	json_object_set_new(o, "index", json_integer(p->index));
	json_object_set_new(o, "priority", json_integer(p->priority));
	json_object_set_new(o, "ptype", json_string(ptype_name(p)));
	set_mark(o, p->mark, p->mark_mask);
	if (p->if_id)
		json_object_set_new(o, "if_id", json_sprintf("0x%x", p->if_id));
	json_object_set_new(o, "flag", flags_json(policy_flags, p->flags));
	if (p->sec_ctx)
		json_object_set_new(o, "security-context", json_true());
	for (int i = 0; i < p->tmpl_count; i++)
		json_array_append_new(tmpl, template_json(&p->tmpl[i]));
	json_object_set_new(o, "tmpl", tmpl);
	return o;
}

json_t *policy_explain_json(const struct policy_info *p)
{
	static const char *const always[] = {"src", "dst", "proto", "sport", "dport"};
	json_t *o = json_object(), *sel = json_object(), *tmpls = json_array();

	/* all five are always there: null is any */
	for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
		json_object_set_new(sel, always[i], json_null());
	set_selector(sel, &p->sel);
	json_object_set_new(o, "selector", sel);
	json_object_set_new(o, "priority", json_integer(p->priority));
	json_object_set_new(o, "action", json_string(action_name(p)));
	json_object_set_new(o, "index", json_integer(p->index));
	json_object_set_new(o, "ptype", json_string(ptype_name(p)));
	set_mark(o, p->mark, p->mark_mask);
	if (p->if_id)
		json_object_set_new(o, "if_id", json_sprintf("0x%x", p->if_id));
	for (int i = 0; i < p->tmpl_count; i++) {
		const struct spd_tmpl *t = &p->tmpl[i];
		json_t *one = json_object();

		json_object_set_new(one, "proto", named(protos, t->proto));
		json_object_set_new(one, "mode", named(modes, t->mode));
		json_object_set_new(one, "reqid", json_integer(t->reqid));
		json_object_set_new(one, "spi", hex(ntohl(t->spi)));
		json_array_append_new(tmpls, one);
	}
	json_object_set_new(o, "templates", tmpls);
	return o;
}

/* As `ip xfrm` shows a limit of bytes or packets: null where it says (INF). */
static json_t *limit(__u64 value)
{
	return value == XFRM_INF ? json_null() : json_integer((json_int_t)value);
}

static json_t *pair(json_t *soft, json_t *hard)
{
	json_t *o = json_object();

	json_object_set_new(o, "soft", soft);
	json_object_set_new(o, "hard", hard);
	return o;
}

static json_t *life_json(const struct sa_life *l)
{
	json_t *o = json_object(), *max = json_object(), *now = json_object();

	json_object_set_new(max, "bytes", pair(limit(l->soft_bytes), limit(l->hard_bytes)));
	json_object_set_new(max, "packets", pair(limit(l->soft_packets), limit(l->hard_packets)));
	json_object_set_new(max, "add", pair(json_integer(l->soft_add), json_integer(l->hard_add)));
	json_object_set_new(max, "use", pair(json_integer(l->soft_use), json_integer(l->hard_use)));
	json_object_set_new(now, "bytes", json_integer((json_int_t)l->bytes));
	json_object_set_new(now, "packets", json_integer((json_int_t)l->packets));
	json_object_set_new(now, "add", json_integer((json_int_t)l->add_time));
	json_object_set_new(now, "use", json_integer((json_int_t)l->use_time));
	json_object_set_new(o, "limit", max);
	json_object_set_new(o, "current", now);
	return o;
}

json_t *sa_brief_json(const struct sad *sad, const struct sa_info *sa)
{
	const __s64 left = sad_expires_in(sad, sa);
	json_t *o = json_object();

	json_object_set_new(o, "src", address_to_json(sa->saddr, sa->family));
	json_object_set_new(o, "dst", address_to_json(sa->daddr, sa->family));
	json_object_set_new(o, "proto", named(protos, sa->proto));
	json_object_set_new(o, "spi", hex(ntohl(sa->spi)));
	json_object_set_new(o, "reqid", json_integer(sa->reqid));
	json_object_set_new(o, "mode", named(modes, sa->mode));
	json_object_set_new(o, "expires_in", left < 0 ? json_null() : json_integer(left));
	return o;
}

json_t *sa_to_json(const struct sad *sad, const struct sa_info *sa)
{
	json_t *o = sa_brief_json(sad, sa), *sel;

	json_object_set_new(o, "replay-window", json_integer(sa->replay_window));
	json_object_set_new(o, "flag", flags_json(sa_flags, sa->flags));
	set_mark(o, sa->mark, sa->mark_mask);
	if (sa->if_id)
		json_object_set_new(o, "if_id", json_sprintf("0x%x", sa->if_id));
	if (sa->dir)
		json_object_set_new(o, "dir",
				    json_string(sa->dir == SAGATE_SA_DIR_IN ? "in" : "out"));
	if (sa->pcpu != SAGATE_PCPU_ANY)
		json_object_set_new(o, "pcpu-num", json_integer(sa->pcpu));
	if (sa->sel.family) {
		sel = json_object();
		set_selector(sel, &sa->sel);
		json_object_set_new(o, "sel", sel);
	}
	json_object_set_new(o, "lifetime", life_json(&sa->life));
	return o;
}
