// SPDX-License-Identifier: GPL-2.0-only
/* The kernel's entries with the names of `ip xfrm`, as `sagate show` is to have them. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "storm.h"

#define ATTR_SA_DIR  33
#define ATTR_SA_PCPU 35

static json_t *address(const xfrm_address_t *a, int family, int len)
{
	char text[INET6_ADDRSTRLEN];

	inet_ntop(family, a, text, sizeof(text));
	return len < 0 ? json_string(text) : json_sprintf("%s/%d", text, len);
}

static json_t *proto(unsigned int p)
{
	switch (p) {
	case IPPROTO_ESP:
		return json_string("esp");
	case IPPROTO_AH:
		return json_string("ah");
	case IPPROTO_COMP:
		return json_string("comp");
	case IPPROTO_TCP:
		return json_string("tcp");
	case IPPROTO_UDP:
		return json_string("udp");
	default:
		return json_integer(p);
	}
}

static json_t *mode(unsigned int m)
{
	return m == XFRM_MODE_TUNNEL	  ? json_string("tunnel")
	       : m == XFRM_MODE_TRANSPORT ? json_string("transport")
	       : m == XFRM_MODE_BEET	  ? json_string("beet")
					  : json_integer(m);
}

static void port(json_t *o, const char *key, const char *mask_key, __be16 value, __be16 mask)
{
	if (!mask)
		return;
	json_object_set_new(o, key, json_integer(ntohs(value)));
	if (mask != 0xffff)
		json_object_set_new(o, mask_key, json_sprintf("0x%04x", ntohs(mask)));
}

static void selector(json_t *o, const struct xfrm_selector *s, int family)
{
	json_object_set_new(o, "src", address(&s->saddr, family, s->prefixlen_s));
	json_object_set_new(o, "dst", address(&s->daddr, family, s->prefixlen_d));
	if (s->proto)
		json_object_set_new(o, "proto", proto(s->proto));
	port(o, "sport", "sport-mask", s->sport, s->sport_mask);
	port(o, "dport", "dport-mask", s->dport, s->dport_mask);
}

static void mark_and_if_id(json_t *o, const struct xfrm_mark *m, uint32_t if_id)
{
	json_t *mark;

	if (m->v || m->m) {
		mark = json_object();
		json_object_set_new(mark, "value", json_sprintf("0x%x", m->v));
		json_object_set_new(mark, "mask", json_sprintf("0x%x", m->m));
		json_object_set_new(o, "mark", mark);
	}
	if (if_id)
		json_object_set_new(o, "if_id", json_sprintf("0x%x", if_id));
}

static char *text_of(json_t *o)
{
	char *text = json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS);

	json_decref(o);
	return text;
}

static json_t *limit(__u64 value)
{
	return value == (__u64)~0ULL ? json_null() : json_integer((json_int_t)value);
}

static void lifetime(json_t *o, const struct xfrm_usersa_info *info)
{
	const struct xfrm_lifetime_cfg *l = &info->lft;

	json_object_set_new(
		o, "lifetime",
		json_pack("{s:{s:{s:o s:o} s:{s:o s:o} s:{s:I s:I} s:{s:I s:I}} s:{s:I}}", "limit",
			  "bytes", "soft", limit(l->soft_byte_limit), "hard",
			  limit(l->hard_byte_limit), "packets", "soft", limit(l->soft_packet_limit),
			  "hard", limit(l->hard_packet_limit), "add", "soft",
			  (json_int_t)l->soft_add_expires_seconds, "hard",
			  (json_int_t)l->hard_add_expires_seconds, "use", "soft",
			  (json_int_t)l->soft_use_expires_seconds, "hard",
			  (json_int_t)l->hard_use_expires_seconds, "current", "add",
			  (json_int_t)info->curlft.add_time));
}

char *kernel_sa_json(const struct kernel_sa *sa, const struct nlmsghdr *msg)
{
	static const char *const flags[] = {"noecn", "decap-dscp", "nopmtudisc", "wildrecv",
					    "icmp",  "af-unspec",  "align4",	 "esn"};
	const struct xfrm_usersa_info *info = &sa->info;
	const uint8_t *dir = storm_attr(msg, sizeof(*info), ATTR_SA_DIR, NULL);
	json_t *o = json_object(), *list = json_array(), *sel;
	const void *pcpu = storm_attr(msg, sizeof(*info), ATTR_SA_PCPU, NULL);
	int sel_family = info->sel.family;
	uint32_t cpu;

	if (!sel_family && !(info->flags & XFRM_STATE_AF_UNSPEC))
		sel_family = info->family;
	json_object_set_new(o, "src", address(&info->saddr, info->family, -1));
	json_object_set_new(o, "dst", address(&info->id.daddr, info->family, -1));
	json_object_set_new(o, "proto", proto(info->id.proto));
	json_object_set_new(o, "spi", json_sprintf("0x%08x", ntohl(info->id.spi)));
	json_object_set_new(o, "reqid", json_integer(info->reqid));
	json_object_set_new(o, "mode", mode(info->mode));
	json_object_set_new(o, "replay-window", json_integer(info->replay_window));
	for (int i = 0; i < 8; i++)
		if (info->flags & 1 << i)
			json_array_append_new(list, json_string(flags[i]));
	json_object_set_new(o, "flag", list);
	mark_and_if_id(o, &sa->mark, sa->if_id);
	if (dir && *dir)
		json_object_set_new(o, "dir", json_string(*dir == 1 ? "in" : "out"));
	if (pcpu) {
		memcpy(&cpu, pcpu, sizeof(cpu));
		if (cpu != ~0U)
			json_object_set_new(o, "pcpu-num", json_integer(cpu));
	}
	if (sel_family) {
		sel = json_object();
		selector(sel, &info->sel, sel_family);
		json_object_set_new(o, "sel", sel);
	}
	lifetime(o, info);
	return text_of(o);
}

static json_t *tmpl(const struct xfrm_user_tmpl *t)
{
	json_t *o = json_object();

	json_object_set_new(o, "src", address(&t->saddr, t->family, -1));
	json_object_set_new(o, "dst", address(&t->id.daddr, t->family, -1));
	json_object_set_new(o, "proto", proto(t->id.proto));
	if (t->id.spi)
		json_object_set_new(o, "spi", json_sprintf("0x%08x", ntohl(t->id.spi)));
	json_object_set_new(o, "reqid", json_integer(t->reqid));
	json_object_set_new(o, "mode", mode(t->mode));
	json_object_set_new(o, "level", json_string(t->optional ? "use" : "required"));
	return o;
}

char *kernel_policy_json(const struct kernel_policy *p)
{
	json_t *o = json_object(), *flags = json_array(), *tmpls = json_array();

	selector(o, &p->info.sel, p->info.sel.family);
	json_object_set_new(o, "dir", json_string("out"));
	json_object_set_new(o, "action",
			    json_string(p->info.action == XFRM_POLICY_ALLOW ? "allow" : "block"));
	json_object_set_new(o, "index", json_integer(p->info.index));
	json_object_set_new(o, "priority", json_integer(p->info.priority));
	json_object_set_new(o, "ptype",
			    json_string(p->type == XFRM_POLICY_TYPE_SUB ? "sub" : "main"));
	mark_and_if_id(o, &p->mark, p->if_id);
	if (p->info.flags & XFRM_POLICY_LOCALOK)
		json_array_append_new(flags, json_string("localok"));
	if (p->info.flags & XFRM_POLICY_ICMP)
		json_array_append_new(flags, json_string("icmp"));
	json_object_set_new(o, "flag", flags);
	for (size_t i = 0; i < p->tmpls; i++)
		json_array_append_new(tmpls, tmpl(&p->tmpl[i]));
	json_object_set_new(o, "tmpl", tmpls);
	return text_of(o);
}
