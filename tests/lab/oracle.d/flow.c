// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <unistd.h>

#include "draw.h"
#include "flow.h"
#include "say.h"
#include "vrf.h"

static const char *const way_names[WAY_COUNT] = {"udp-send", "udp-connect", "tcp", "ping", "raw"};

/* An address inside the prefix that flows go to, or of the pool. */
static struct addr inside(struct rng *r, int family, const struct addr *prefix, int len)
{
	unsigned int n;

	world_remote(family, 0, &n);
	for (int try = 0; try < 20; try++) {
		struct addr a = draw_remote(r, family), b = addr_masked(a, len),
			    p = addr_masked(*prefix, len);

		if (addr_is(&b, &p))
			return a;
	}
	return draw_remote(r, family);
}

static void set_way(struct call *c, struct rng *r, uint8_t proto)
{
	static const enum way ways[] = {WAY_UDP_SEND, WAY_UDP_SEND, WAY_UDP_CONNECT, WAY_TCP,
					WAY_TCP,      WAY_PING,	    WAY_RAW};

	c->way = RNG_PICK(r, ways);
	if (proto == IPPROTO_TCP)
		c->way = WAY_TCP;
	if (proto == IPPROTO_UDP)
		c->way = rng_percent(r, 70) ? WAY_UDP_SEND : WAY_UDP_CONNECT;
	if (proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6)
		c->way = WAY_PING;
	if (proto == IPPROTO_GRE)
		c->way = WAY_RAW;
	switch (c->way) {
	case WAY_TCP:
		c->proto = IPPROTO_TCP;
		break;
	case WAY_PING:
		c->proto = c->family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6;
		break;
	case WAY_RAW:
		c->proto = proto && proto == IPPROTO_GRE ? proto : 253; /* RFC 3692 */
		break;
	default:
		c->proto = IPPROTO_UDP;
	}
}

static void set_ports(struct call *c, struct rng *r, const struct sel *s)
{
	static const uint16_t ports[] = {80, 443, 53, 5000, 81};

	if (c->way == WAY_PING || c->way == WAY_RAW)
		return;
	c->dport = RNG_PICK(r, ports);
	if (s && s->dport_mask && rng_percent(r, 85))
		c->dport = (s->dport & s->dport_mask) |
			   ((uint16_t)rng_below(r, 65536) & (uint16_t)~s->dport_mask);
	if (!c->dport)
		c->dport = 80;
	if (s && s->sport_mask && rng_percent(r, 85))
		c->sport = (s->sport & s->sport_mask) |
			   ((uint16_t)rng_below(r, 65536) & (uint16_t)~s->sport_mask);
	else if (rng_percent(r, 8))
		c->sport = 2000;
}

void flow_draw(struct call *c, const struct world *w, uint64_t seed, uint64_t number)
{
	static const uint32_t marks[] = {0, 0, 0, 0, 1, 0x10, 0x11, 0x20, 5};
	struct rng r = rng_of(seed, 'f', number);
	const struct policy *p = NULL;
	const struct sel *s = NULL;

	*c = (struct call){.family = draw_family(&r)};
	if (w->policies && rng_percent(&r, 80)) {
		p = &w->policy[rng_below(&r, (unsigned int)w->policies)];
		s = &p->sel;
		c->family = s->family;
	}
	c->dst = s ? inside(&r, c->family, &s->dst, s->dst_len) : draw_remote(&r, c->family);
	if (rng_percent(&r, 4)) {
		int own;

		c->dst = draw_local(&r, c->family, &own);
	}
	set_way(c, &r, s ? s->proto : 0);
	set_ports(c, &r, s);
	c->mark = RNG_PICK(&r, marks);
	if (p && p->mask && rng_percent(&r, 70))
		c->mark = p->mark & p->mask;
	if (rng_percent(&r, 12))
		c->dev = rng_percent(&r, 50) ? DEV_LAN0 : DEV_LAN1;
	if (rng_percent(&r, 45)) {
		int dev;

		c->src = draw_local(&r, c->family, &dev);
		if (s && s->src_len && rng_percent(&r, 70))
			c->src = addr_masked(s->src, addr_bits(c->family));
		if (c->family == AF_INET6 && c->dev && dev != c->dev)
			c->dev = DEV_NONE;
	}
	c->mapped = c->family == AF_INET && (c->way <= WAY_TCP) && rng_percent(&r, 20);
	vrf_draw_flow(c, w, seed, number);
}

static socklen_t name_of(struct sockaddr_storage *to, const struct call *c, const struct addr *a,
			 uint16_t port)
{
	struct sockaddr_in *in = (struct sockaddr_in *)to;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)to;

	memset(to, 0, sizeof(*to));
	if (c->family == AF_INET && !c->mapped) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		memcpy(&in->sin_addr, a->b, 4);
		return sizeof(*in);
	}
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	if (!c->mapped) {
		memcpy(&in6->sin6_addr, a->b, 16);
	} else if (!addr_zero(a)) {
		in6->sin6_addr.s6_addr[10] = in6->sin6_addr.s6_addr[11] = 0xff;
		memcpy(&in6->sin6_addr.s6_addr[12], a->b, 4);
	}
	return sizeof(*in6);
}

static int open_socket(const struct call *c)
{
	static const int types[WAY_COUNT] = {SOCK_DGRAM, SOCK_DGRAM, SOCK_STREAM, SOCK_DGRAM,
					     SOCK_RAW};
	struct sockaddr_storage name;
	socklen_t len;
	int one = 1;
	int fd = socket(c->mapped ? AF_INET6 : c->family,
			types[c->way] | SOCK_CLOEXEC | SOCK_NONBLOCK, c->proto);

	if (fd < 0)
		die("a socket: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (c->mark && setsockopt(fd, SOL_SOCKET, SO_MARK, &c->mark, sizeof(c->mark)))
		die("SO_MARK: %s", strerror(errno));
	if (c->dev && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, host_dev(c->dev),
				 (socklen_t)strlen(host_dev(c->dev))))
		die("SO_BINDTODEVICE: %s", strerror(errno));
	len = name_of(&name, c, &c->src, c->sport);
	if ((c->sport || !addr_zero(&c->src)) && bind(fd, (struct sockaddr *)&name, len)) {
		close(fd);
		return -1;
	}
	return fd;
}

int flow_send(const struct call *c)
{
	uint8_t body[24] = {0};
	struct sockaddr_storage to;
	socklen_t len = name_of(&to, c, &c->dst, c->dport);
	int fd = open_socket(c), err = 0;

	if (fd < 0)
		return -1;
	if (c->way == WAY_PING)
		body[0] = c->family == AF_INET ? ICMP_ECHO : ICMP6_ECHO_REQUEST;
	if (c->way == WAY_TCP || c->way == WAY_UDP_CONNECT)
		err = connect(fd, (struct sockaddr *)&to, len) ? errno : 0;
	if (c->way == WAY_UDP_CONNECT && !err)
		err = send(fd, body, sizeof(body), 0) < 0 ? errno : 0;
	if (c->way != WAY_TCP && c->way != WAY_UDP_CONNECT)
		err = sendto(fd, body, sizeof(body), 0, (struct sockaddr *)&to, len) < 0 ? errno
											 : 0;
	close(fd);
	return err == EINPROGRESS ? 0 : err;
}

void flow_print(FILE *out, const struct call *c)
{
	char a[ADDR_TEXT], b[ADDR_TEXT];

	fprintf(out, "%s%s proto %u to %s", way_names[c->way], c->mapped ? " (v4-mapped)" : "",
		c->proto, addr_text(c->family, &c->dst, a));
	if (c->dport)
		fprintf(out, " port %u", c->dport);
	if (!addr_zero(&c->src))
		fprintf(out, " from %s", addr_text(c->family, &c->src, b));
	if (c->sport)
		fprintf(out, " sport %u", c->sport);
	if (c->mark)
		fprintf(out, " mark %#x", c->mark);
	if (c->dev)
		fprintf(out, " on %s", host_dev(c->dev));
	fputc('\n', out);
}
