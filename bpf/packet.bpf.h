/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From a packet to one flow: what its headers say, whatever its socket is. IPv6 extension headers
 * are walked, source routes (IPv4 options, IPv6 routing headers) are found, and a fragment that has
 * no ports says so.
 *
 * A packet is here as a whole: the kernel fragments and segments behind this hook. A fragment is
 * made by a raw socket.
 */
#ifndef SAGATE_PACKET_BPF_H
#define SAGATE_PACKET_BPF_H

#define ETH_P_IP   0x0800
#define ETH_P_IPV6 0x86dd

#define IPPROTO_HOPOPTS	 0
#define IPPROTO_ROUTING	 43
#define IPPROTO_FRAGMENT 44
#define IPPROTO_ESP	 50
#define IPPROTO_AH	 51
#define IPPROTO_DSTOPTS	 60

/* include/uapi/linux/ip.h: loose and strict source route */
#define IPOPT_END  0
#define IPOPT_NOP  1
#define IPOPT_LSRR 131
#define IPOPT_SSRR 137

#define IPV4_OPTIONS_MAX 40
#define IPV6_HEADERS_MAX 8
#define HOPS_MAX	 9

struct ipv4_header {
	__u8 version_ihl;
	__u8 tos;
	__be16 len, id, fragment;
	__u8 ttl;
	__u8 proto;
	__be16 check;
	__be32 saddr, daddr;
};

struct ipv6_header {
	__be32 version_class_label;
	__be16 len;
	__u8 proto;
	__u8 hops;
	__be32 saddr[4], daddr[4];
};

/* What is known of a packet beside its flow. */
struct packet {
	__u32 at;      /* where the header of the flow's protocol begins */
	__u32 hops_at; /* the other addresses of a source route … */
	__u8 hops;     /* … and how many, 0: there is none */
	__u8 no_ports; /* it has no header of its protocol: they are not known */
	__u8 read;     /* packet_read() told it */
	__u8 pad;
};

/* Type and code of ICMP are where others have their first port (xfrm_flowi_sport()). */
static __always_inline void packet_set_ports(struct flow *f, __be32 first, __u32 mark)
{
	const __u8 *byte = (const __u8 *)&first;
	const __be16 *port = (const __be16 *)&first;

	if (shows_ports(f->proto)) {
		flow_ports(f, port[0], port[1], mark);
	} else if (f->proto == IPPROTO_ICMP || f->proto == IPPROTO_ICMPV6) {
		flow_ports(f, bpf_htons(byte[0]), bpf_htons(byte[1]), mark);
	}
}

static __always_inline void packet_ports(struct __sk_buff *skb, struct flow *f, struct packet *p)
{
	__be32 first;

	if (!shows_ports(f->proto) && f->proto != IPPROTO_ICMP && f->proto != IPPROTO_ICMPV6)
		return;
	if (p->no_ports || bpf_skb_load_bytes(skb, p->at, &first, sizeof(first)))
		p->no_ports = 1;
	else
		packet_set_ports(f, first, f->mark);
}

/* Source routes among the options. False: they cannot be told. */
static __always_inline bool packet_options(struct __sk_buff *skb, struct packet *p)
{
	__u32 at = sizeof(struct ipv4_header);
	struct {
		__u8 type, len;
	} option;

	for (int i = 0; i < IPV4_OPTIONS_MAX; i++) {
		if (at >= p->at)
			return true;
		if (bpf_skb_load_bytes(skb, at, &option, sizeof(option)))
			return at + 1 == p->at; /* one byte, and nothing behind the header */
		if (option.type == IPOPT_END)
			return true;
		if (option.type == IPOPT_NOP) {
			at++;
			continue;
		}
		if (option.len < 2)
			return false;
		if (option.type == IPOPT_LSRR || option.type == IPOPT_SSRR) {
			if (p->hops || option.len < 7)
				return false;
			p->hops = (option.len - 3) / sizeof(__be32);
			p->hops_at = at + 3;
		}
		at += option.len;
	}
	return true;
}

/*
 * The rest of an IPv4 packet that has options, is a fragment or lies in pieces. 0: it cannot be
 * told. A global function: see route_lookup().
 */
__noinline int packet_rest4(struct __sk_buff *skb, struct flow *f, struct packet *p)
{
	if (!f || !p)
		return 0;
	if (p->at > sizeof(struct ipv4_header) && !packet_options(skb, p))
		return 0;
	packet_ports(skb, f, p);
	return p->hops <= HOPS_MAX;
}

static __always_inline bool packet_read4(struct __sk_buff *skb, struct flow *f, struct packet *p)
{
	const struct ipv4_header *h = (void *)(long)skb->data;
	const void *end = (void *)(long)skb->data_end;
	const __be32 *first = (const void *)(h + 1);
	struct ipv4_header copy;

	if ((void *)(first + 1) > end) {
		if (bpf_skb_load_bytes(skb, 0, &copy, sizeof(copy)))
			return false;
		h = &copy;
		first = NULL;
	}
	if (h->version_ihl >> 4 != 4 || (h->version_ihl & 15) < 5)
		return false;
	f->family = AF_INET;
	put_word(f->saddr, h->saddr, 0);
	put_word(f->daddr, h->daddr, 0);
	f->proto = h->proto;
	p->at = (h->version_ihl & 15) * 4;
	p->no_ports = !!(h->fragment & bpf_htons(0x1fff));
	if (!first || p->no_ports || p->at != sizeof(*h))
		return packet_rest4(skb, f, p);
	packet_set_ports(f, *first, f->mark);
	return true;
}

/* A routing header: its addresses, and that of the packet, are all the hops it has left to go. */
static __always_inline bool packet_route(struct __sk_buff *skb, struct packet *p)
{
	struct {
		__u8 next, len, type, left, last;
		__u8 pad[3];
	} h;

	if (bpf_skb_load_bytes(skb, p->at, &h, sizeof(h)))
		return false;
	if (!h.left)
		return true;
	if (p->hops)
		return false;
	if (h.type == 0 || h.type == 2)
		p->hops = h.len / 2;
	else if (h.type == 4)
		p->hops = h.last < HOPS_MAX ? h.last + 1 : HOPS_MAX + 1;
	else
		return false;
	p->hops_at = p->at + sizeof(h);
	return p->hops && p->hops <= HOPS_MAX;
}

static __always_inline bool is_extension(__u8 proto)
{
	return proto == IPPROTO_HOPOPTS || proto == IPPROTO_DSTOPTS || proto == IPPROTO_ROUTING ||
	       proto == IPPROTO_FRAGMENT;
}

/*
 * Extension headers, up to the one whose protocol the flow has. 0: it cannot be told. A global
 * function: see route_lookup().
 */
__noinline int packet_extensions(struct __sk_buff *skb, struct flow *f, struct packet *p)
{
	struct {
		__u8 next, len;
		__be16 fragment; /* in a fragment header */
	} h;

	if (!f || !p)
		return 0;
	for (int i = 0; i < IPV6_HEADERS_MAX; i++) {
		if (!is_extension(f->proto)) {
			packet_ports(skb, f, p);
			return 1;
		}
		if (p->no_ports || bpf_skb_load_bytes(skb, p->at, &h, sizeof(h)))
			return 0;
		if (f->proto == IPPROTO_ROUTING && !packet_route(skb, p))
			return 0;
		if (f->proto == IPPROTO_FRAGMENT) {
			p->no_ports = !!(h.fragment & bpf_htons(0xfff8));
			p->at += 8;
		} else {
			p->at += (h.len + 1) * 8;
		}
		f->proto = h.next;
	}
	return 0;
}

static __always_inline bool packet_read6(struct __sk_buff *skb, struct flow *f, struct packet *p)
{
	const struct ipv6_header *h = (void *)(long)skb->data;
	const void *end = (void *)(long)skb->data_end;
	const __be32 *first = (const void *)(h + 1);
	struct ipv6_header copy;

	if ((void *)(first + 1) > end) {
		if (bpf_skb_load_bytes(skb, 0, &copy, sizeof(copy)))
			return false;
		h = &copy;
		first = NULL;
	}
	if ((h->version_class_label & bpf_htonl(0xf0000000)) != bpf_htonl(0x60000000))
		return false;
	f->family = AF_INET6;
	for (int i = 0; i < 4; i += 2) {
		put_word(&f->saddr[i], h->saddr[i], h->saddr[i + 1]);
		put_word(&f->daddr[i], h->daddr[i], h->daddr[i + 1]);
	}
	f->proto = h->proto;
	p->at = sizeof(*h);
	if (!first || is_extension(f->proto))
		return packet_extensions(skb, f, p);
	packet_set_ports(f, *first, f->mark);
	return true;
}

/*
 * Addresses, protocol and ports of the packet, into a flow that is zero. False: they cannot be
 * told. The device says what it is, not the packet: a raw socket writes its version.
 */
static __noinline bool packet_read(struct __sk_buff *skb, struct flow *f, struct packet *p)
{
	f->has_saddr = KNOWN_BOUND;
	f->mark = skb->mark;
	if (skb->protocol == bpf_htons(ETH_P_IP))
		return packet_read4(skb, f, p);
	return skb->protocol == bpf_htons(ETH_P_IPV6) && packet_read6(skb, f, p);
}

/* Address i of the source route takes the place of the flow's destination. */
static __noinline bool packet_hop(struct __sk_buff *skb, struct flow *f, const struct packet *p,
				  __u32 i)
{
	if (f->family == AF_INET6)
		return !bpf_skb_load_bytes(skb, p->hops_at + i * sizeof(f->daddr), f->daddr,
					   sizeof(f->daddr));
	return !bpf_skb_load_bytes(skb, p->hops_at + i * sizeof(f->daddr[0]), f->daddr,
				   sizeof(f->daddr[0]));
}

#endif
