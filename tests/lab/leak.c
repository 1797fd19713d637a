// SPDX-License-Identifier: GPL-2.0-only
/*
 * leak: one packet in one of the ways that pass no connect or sendmsg hook, or that hide where the
 * packet goes; prints ok, or the errno's name of the call that failed. See usage().
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <netinet/icmp6.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef IPPROTO_L2TP
#define IPPROTO_L2TP 115
#endif
#define IPPROTO_FREE 253 /* RFC 3692: for experiments */

enum { PORT = 80, LENGTH = 200 };

union address {
	struct sockaddr sa;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static union address to, via;
static const unsigned char body[LENGTH] = "leak";

static void usage(void)
{
	fputs("leak WAY ADDR [VIA]\n"
	      "WAY: ping, raw (protocol 253), esp, ah (forged, of a raw socket), udp-raw,\n"
	      "     sctp (one-to-many), l2tp, udplite (connected),\n"
	      "     hdrincl (UDP), fragment (hdrincl, not the first), version (hdrincl, that of IPv6),\n"
	      "     lsrr (UDP by way of VIA, IPv4), rthdr, segments (the same with an IPv6 routing\n"
	      "     header of type 2 or 4),\n"
	      "     options (UDP behind a destination options header, IPv6),\n"
	      "     nd (a neighbour solicitation of a raw socket), big (60000 bytes of UDP)\n",
	      stderr);
	exit(2);
}

static bool parse_address(union address *a, const char *text)
{
	memset(a, 0, sizeof(*a));
	a->sa.sa_family = strchr(text, ':') ? AF_INET6 : AF_INET;
	return inet_pton(a->sa.sa_family, text,
			 a->sa.sa_family == AF_INET ? (void *)&a->v4.sin_addr
						    : (void *)&a->v6.sin6_addr) == 1;
}

static bool is_v4(void)
{
	return to.sa.sa_family == AF_INET;
}

static socklen_t to_len(void)
{
	return is_v4() ? sizeof(to.v4) : sizeof(to.v6);
}

static void set_port(void)
{
	if (is_v4())
		to.v4.sin_port = htons(PORT);
	else
		to.v6.sin6_port = htons(PORT);
}

static int send_on(int fd, const void *data, size_t len)
{
	int err = fd < 0 || sendto(fd, data, len, 0, &to.sa, to_len()) < 0 ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return err;
}

static int raw(int proto)
{
	return socket(to.sa.sa_family, SOCK_RAW | SOCK_CLOEXEC, proto);
}

static int ping(void)
{
	struct icmphdr echo4 = {.type = ICMP_ECHO};
	struct icmp6_hdr echo6 = {.icmp6_type = ICMP6_ECHO_REQUEST};
	int fd = socket(to.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC,
			is_v4() ? IPPROTO_ICMP : IPPROTO_ICMPV6);

	return is_v4() ? send_on(fd, &echo4, sizeof(echo4)) : send_on(fd, &echo6, sizeof(echo6));
}

/* A neighbour solicitation with data behind it. */
static int solicit(void)
{
	unsigned char packet[LENGTH] = {ND_NEIGHBOR_SOLICIT};

	return send_on(raw(IPPROTO_ICMPV6), packet, sizeof(packet));
}

static int udp_raw(void)
{
	struct udphdr h[4] = {
		{.uh_sport = htons(4000), .uh_dport = htons(PORT), .uh_ulen = htons(32)}};

	return send_on(raw(IPPROTO_UDP), h, sizeof(h));
}

static int connected(int proto)
{
	int fd = socket(to.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, proto), err = 0;

	set_port();
	if (fd < 0 || connect(fd, &to.sa, to_len()) || send(fd, body, LENGTH, 0) < 0)
		err = -errno;
	if (fd >= 0)
		close(fd);
	return err;
}

static int sctp(void)
{
	set_port();
	return send_on(socket(to.sa.sa_family, SOCK_SEQPACKET | SOCK_CLOEXEC, IPPROTO_SCTP), body,
		       LENGTH);
}

static int l2tp(void)
{
	return send_on(socket(to.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_L2TP), body,
		       LENGTH);
}

/* The kernel fills in source, identification and checksum. */
static int header_included(unsigned int version, unsigned int fragment)
{
	struct {
		struct iphdr ip;
		struct udphdr udp;
		unsigned char body[LENGTH];
	} packet = {
		.ip = {.ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP},
		.udp = {.uh_sport = htons(4000),
			.uh_dport = htons(PORT),
			.uh_ulen = htons(8 + LENGTH)},
	};

	packet.ip.version = version & 15;
	packet.ip.frag_off = htons((uint16_t)fragment);
	packet.ip.daddr = to.v4.sin_addr.s_addr;
	return send_on(raw(IPPROTO_RAW), &packet, sizeof(packet));
}

/* UDP, with an option on the socket. */
static int with_option(int level, int name, const void *value, size_t len)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(64)];
	} control = {.head = {.cmsg_level = level, .cmsg_type = name, .cmsg_len = CMSG_LEN(len)}};
	struct iovec text = {.iov_base = (void *)body, .iov_len = LENGTH};
	struct msghdr message = {.msg_name = &to,
				 .msg_iov = &text,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = CMSG_SPACE(len)};
	int fd = socket(to.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0), err = 0;

	set_port();
	message.msg_namelen = to_len();
	memcpy(CMSG_DATA(&control.head), value, len);
	if (fd < 0 || sendmsg(fd, &message, 0) < 0)
		err = -errno;
	close(fd);
	return err;
}

static int lsrr(void)
{
	unsigned char option[8] = {IPOPT_NOP, IPOPT_LSRR, 7, 4};

	memcpy(option + 4, &via.v4.sin_addr, 4);
	return with_option(IPPROTO_IP, IP_RETOPTS, option, sizeof(option));
}

static int rthdr(void)
{
	struct {
		struct ip6_rthdr head;
		uint32_t reserved;
		struct in6_addr hop;
	} h = {.head = {.ip6r_len = 2, .ip6r_type = 2, .ip6r_segleft = 1}};

	h.hop = via.v6.sin6_addr;
	return with_option(IPPROTO_IPV6, IPV6_RTHDR, &h, sizeof(h));
}

/* The source that the kernel would take: connect() to port 0 only asks for it. */
static struct in6_addr source6(const union address *there)
{
	struct sockaddr_in6 own = {.sin6_family = AF_INET6};
	socklen_t len = sizeof(own);
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (connect(fd, &there->sa, sizeof(there->v6)) || getsockname(fd, (void *)&own, &len))
		perror("source");
	close(fd);
	return own.sin6_addr;
}

/* A header of its own: as an option of the socket a gate refuses it, as a message the kernel. */
static int segments(void)
{
	struct {
		struct ip6_hdr ip;
		struct ip6_rthdr head;
		uint8_t last, flags;
		uint16_t tag;
		struct in6_addr hop[2]; /* the last one first */
		struct udphdr udp;
	} p = {.head = {.ip6r_nxt = IPPROTO_UDP, .ip6r_len = 4, .ip6r_type = 4, .ip6r_segleft = 1},
	       .last = 1};
	int fd = raw(IPPROTO_RAW);

	p.ip.ip6_flow = htonl(6U << 28);
	p.ip.ip6_plen = htons(sizeof(p) - sizeof(p.ip));
	p.ip.ip6_nxt = IPPROTO_ROUTING;
	p.ip.ip6_hlim = 64;
	p.ip.ip6_src = source6(&via);
	p.ip.ip6_dst = p.hop[1] = via.v6.sin6_addr;
	p.hop[0] = to.v6.sin6_addr;
	p.udp.len = htons(sizeof(p.udp));
	to.v6.sin6_addr = via.v6.sin6_addr; /* it goes there first */
	return send_on(fd, &p, sizeof(p));
}

static int options(void)
{
	static const unsigned char padding[8] = {0, 0, 1, 4};

	return with_option(IPPROTO_IPV6, IPV6_DSTOPTS, padding, sizeof(padding));
}

static int big(void)
{
	static const unsigned char much[60000];

	set_port();
	return send_on(socket(to.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0), much, sizeof(much));
}

static int go(const char *way)
{
	const struct {
		const char *name;
		int (*go)(void);
	} ways[] = {
		{"ping", ping},	 {"udp-raw", udp_raw}, {"sctp", sctp},	       {"l2tp", l2tp},
		{"lsrr", lsrr},	 {"rthdr", rthdr},     {"segments", segments}, {"options", options},
		{"nd", solicit}, {"big", big},
	};

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (!strcmp(way, ways[i].name))
			return ways[i].go();
	if (!strcmp(way, "raw"))
		return send_on(raw(IPPROTO_FREE), body, LENGTH);
	if (!strcmp(way, "esp"))
		return send_on(raw(IPPROTO_ESP), body, LENGTH);
	if (!strcmp(way, "ah"))
		return send_on(raw(IPPROTO_AH), body, LENGTH);
	if (!strcmp(way, "udplite"))
		return connected(IPPROTO_UDPLITE);
	if (!strcmp(way, "hdrincl"))
		return header_included(4, 0);
	if (!strcmp(way, "fragment"))
		return header_included(4, 25);
	if (!strcmp(way, "version"))
		return header_included(6, 0);
	usage();
	return 0;
}

int main(int argc, char **argv)
{
	const char *name;
	int err;

	if (argc < 3 || !parse_address(&to, argv[2]) || (argc > 3 && !parse_address(&via, argv[3])))
		usage();
	err = go(argv[1]);
	name = err ? strerrorname_np(-err) : "ok";
	puts(name ? name : "unknown");
	return 0;
}
