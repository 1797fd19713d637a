// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>

#include "explain_selector.h"
#include "units.h"

const char *selector_part_name(enum selector_part part)
{
	static const char *const names[] = {
#define X(id, name) [SELECTOR_##id] = name,
		SELECTOR_PARTS(X)
#undef X
	};

	return part < SELECTOR_FITS ? names[part] : NULL;
}

/* Lengths that no address has match nothing. */
static bool within(__u8 family, const __be32 prefix[4], __u8 len, const __be32 addr[4])
{
	struct prefix p = {.family = family, .len = len};

	if (len > (family == AF_INET ? 32 : 128))
		return false;
	for (int i = 0; i < 4; i++)
		p.addr[i] = prefix[i];
	addr_mask(family, len, p.addr);
	return prefix_contains(&p, family, addr);
}

static void prefix_text(const char *what, __u8 family, const __be32 prefix[4], __u8 len,
			const __be32 *addr, char *text, size_t size)
{
	char a[UNITS_TEXT], b[UNITS_TEXT];

	addr_format(family, prefix, a, sizeof(a));
	if (addr)
		snprintf(text, size, "%s %s/%u without %s", what, a, len,
			 addr_format(family, addr, b, sizeof(b)));
	else
		snprintf(text, size, "%s %s/%u, and the flow's is not known", what, a, len);
}

static void port_text(const char *what, __be16 port, __be16 mask, __be16 of_flow, char *text,
		      size_t size)
{
	char is[16] = "none", ports[UNITS_TEXT];

	if (of_flow)
		snprintf(is, sizeof(is), "%u", ntohs(of_flow));
	snprintf(text, size, "%s %s %s %s", what, ports_format(port, mask, ports, sizeof(ports)),
		 mask == 0xffff ? "≠" : "without", is);
}

struct flow flow_in_lookup(const struct flow *flow, __u32 if_id)
{
	struct flow f = *flow;

	if (if_id) {
		f.oif = f.link;
		f.has_oif = KNOWN_INTERFACE;
	}
	return f;
}

/* IPv6 routing leaves the device at what the socket is bound to: see spd_step() in bpf/. */
static bool keeps_device(const struct flow *f)
{
	return f->family == AF_INET || f->has_oif == KNOWN_BOUND || f->has_oif == KNOWN_INTERFACE ||
	       f->has_oif == KNOWN_UNSURE;
}

static void dev_text(const struct selector_info *sel, const struct flow *f, char *text, size_t size)
{
	if (f->oif && !keeps_device(f))
		snprintf(text, size,
			 "dev: index %u, and an IPv6 flow has only the one it is bound to",
			 sel->ifindex);
	else if (f->oif)
		snprintf(text, size, "dev: index %u ≠ %u", sel->ifindex, f->oif);
	else
		snprintf(text, size, "dev: index %u, and the flow's is not known", sel->ifindex);
}

static enum selector_part outside(const struct selector_info *sel, const struct flow *f)
{
	if (sel->family != f->family)
		return SELECTOR_FAMILY;
	if (!within(sel->family, sel->daddr, sel->dst_len, f->daddr))
		return SELECTOR_DST;
	if (sel->src_len &&
	    (!f->has_saddr || !within(sel->family, sel->saddr, sel->src_len, f->saddr)))
		return SELECTOR_SRC;
	if ((f->dport ^ sel->dport) & sel->dport_mask)
		return SELECTOR_DPORT;
	if ((f->sport ^ sel->sport) & sel->sport_mask)
		return SELECTOR_SPORT;
	if (sel->proto && sel->proto != f->proto)
		return SELECTOR_PROTO;
	if (sel->ifindex && (!keeps_device(f) || sel->ifindex != f->oif))
		return SELECTOR_DEV;
	return SELECTOR_FITS;
}

enum selector_part selector_outside(const struct selector_info *sel, const struct flow *f,
				    char *text, size_t size)
{
	enum selector_part part = outside(sel, f);
	char a[UNITS_TEXT], b[UNITS_TEXT];

	switch (part) {
	case SELECTOR_FAMILY:
		snprintf(text, size, "family IPv%d ≠ IPv%d", sel->family == AF_INET ? 4 : 6,
			 f->family == AF_INET ? 4 : 6);
		break;
	case SELECTOR_DST:
		prefix_text("dst", sel->family, sel->daddr, sel->dst_len, f->daddr, text, size);
		break;
	case SELECTOR_SRC:
		prefix_text("src", sel->family, sel->saddr, sel->src_len,
			    f->has_saddr ? f->saddr : NULL, text, size);
		break;
	case SELECTOR_DPORT:
		port_text("dport", sel->dport, sel->dport_mask, f->dport, text, size);
		break;
	case SELECTOR_SPORT:
		port_text("sport", sel->sport, sel->sport_mask, f->sport, text, size);
		break;
	case SELECTOR_PROTO:
		snprintf(text, size, "proto %s ≠ %s", proto_format(sel->proto, a, sizeof(a)),
			 proto_format(f->proto, b, sizeof(b)));
		break;
	case SELECTOR_DEV:
		dev_text(sel, f, text, size);
		break;
	case SELECTOR_FITS:
		break;
	}
	return part;
}
