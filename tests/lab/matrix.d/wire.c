// SPDX-License-Identifier: GPL-2.0-only
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>

#include "way.h"

#define ETH_MARKER 0x88b5      /* IEEE 802: local experiments */
#define SPI_FIRST  0x5a6a0000U /* the SAs' (host.c); another one was forged */

static int peer_fd, own_fd, own_index;

void wire_open(int netns_a, int netns_b)
{
	int size = 8 << 20;

	host_enter(netns_b);
	peer_fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(ETH_P_ALL));
	host_enter(netns_a);
	own_fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	own_index = (int)if_nametoindex("wire");
	if (peer_fd < 0 || own_fd < 0 || !own_index)
		die("a packet socket: %s", strerror(errno));
	setsockopt(peer_fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
}

static uint32_t send_marker(void)
{
	static uint32_t last;
	struct sockaddr_ll to = {.sll_family = AF_PACKET,
				 .sll_protocol = htons(ETH_MARKER),
				 .sll_ifindex = own_index,
				 .sll_halen = ETH_ALEN,
				 .sll_addr = {255, 255, 255, 255, 255, 255}};
	uint32_t text[16] = {++last};

	if (sendto(own_fd, text, sizeof(text), 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		die("the marker: %s", strerror(errno));
	return last;
}

static bool is_extension(int proto)
{
	return proto == 0 || proto == 43 || proto == 44 || proto == 60;
}

/* The protocol behind IPv6's extension headers; *at is moved behind them. */
static int walk6(const uint8_t *p, size_t n, size_t *at)
{
	int proto = p[6];

	*at = 40;
	while (is_extension(proto) && *at + 8 <= n) {
		bool fragment = proto == 44;

		proto = p[*at];
		*at += fragment ? 8 : ((size_t)p[*at + 1] + 1) * 8;
	}
	return proto;
}

/* An SPI of the host's SAs, in whatever fragment: only the first has one. */
static bool is_ours(const uint8_t *p, size_t n, size_t at)
{
	uint32_t spi;

	if (at + 4 > n)
		return false;
	memcpy(&spi, p + at, sizeof(spi));
	return (ntohl(spi) & 0xffff0000U) == SPI_FIRST;
}

static bool is_later_fragment(const uint8_t *p, size_t n)
{
	if (p[0] >> 4 == 4)
		return (p[6] & 0x1f) || p[7];
	return p[6] == 44 && n >= 48 && (p[42] || p[43] & 0xf8);
}

/* Neighbour discovery of the kernel's own is short; IGMP and MLD are the kernel's reports. */
static bool is_noise(const uint8_t *p, size_t n, int proto, size_t at, struct seen *out)
{
	if (proto == IPPROTO_IGMP || (proto == IPPROTO_ICMPV6 && at < n &&
				      (p[at] == 143 || (p[at] >= 130 && p[at] <= 132)))) {
		out->reports++;
		return true;
	}
	return proto == IPPROTO_ICMPV6 && at < n && p[at] >= 133 && p[at] <= 137 && n <= at + 40;
}

static void describe(const uint8_t *p, size_t n, int proto, size_t at, char out[160])
{
	bool v4 = p[0] >> 4 == 4;
	char from[INET6_ADDRSTRLEN], to[INET6_ADDRSTRLEN];

	inet_ntop(v4 ? AF_INET : AF_INET6, p + (v4 ? 12 : 8), from, sizeof(from));
	inet_ntop(v4 ? AF_INET : AF_INET6, p + (v4 ? 16 : 24), to, sizeof(to));
	snprintf(out, 160, "%s > %s proto %d port %d len %zu", from, to, proto,
		 at + 4 <= n ? p[at + 2] << 8 | p[at + 3] : 0, n);
}

/* To who needs no protection, and there it stays: no source route leads on. */
static bool is_elsewhere(const uint8_t *p)
{
	struct in6_addr via6;
	struct in_addr via4;

	inet_pton(AF_INET, VIA4, &via4);
	inet_pton(AF_INET6, VIA6, &via6);
	if (p[0] >> 4 == 4)
		return !memcmp(p + 16, &via4, 4) && (p[0] & 15) == 5;
	return !memcmp(p + 24, &via6, 16) && p[6] != IPPROTO_ROUTING;
}

static void look(const uint8_t *p, size_t n, struct seen *out)
{
	size_t at;
	int proto;

	if (n >= 20 && p[0] >> 4 == 4) {
		proto = p[9];
		at = (size_t)(p[0] & 15) * 4;
	} else if (n >= 40 && p[0] >> 4 == 6) {
		proto = walk6(p, n, &at);
	} else {
		return;
	}
	if (is_elsewhere(p) || is_noise(p, n, proto, at, out))
		return;
	if (proto == IPPROTO_ESP && (is_ours(p, n, at) || is_later_fragment(p, n))) {
		out->esp++;
		return;
	}
	if (out->plain < 3)
		describe(p, n, proto, at, out->what[out->plain]);
	out->plain++;
}

/* True: it is that marker. */
static bool take_one(uint32_t marker, struct seen *out)
{
	struct pollfd wait = {.fd = peer_fd, .events = POLLIN};
	struct sockaddr_ll from = {0};
	socklen_t len = sizeof(from);
	uint8_t buf[2048];
	uint32_t got;
	ssize_t n;

	if (poll(&wait, 1, 20000) != 1)
		die("the marker %u did not arrive: the sniffer sees nothing", marker);
	n = recvfrom(peer_fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len);
	if (n < 0)
		die("a packet socket: %s", strerror(errno));
	if (from.sll_pkttype == PACKET_OUTGOING || from.sll_pkttype == PACKET_LOOPBACK)
		return false;
	if (from.sll_protocol == htons(ETH_MARKER)) {
		memcpy(&got, buf, sizeof(got));
		return got == marker;
	}
	look(buf, (size_t)n, out);
	return false;
}

/* Twice: what the first found under way in a thread of the kernel is there with the second. */
void wire_take(struct seen *out)
{
	struct tpacket_stats stats;
	socklen_t len = sizeof(stats);

	memset(out, 0, sizeof(*out));
	for (int round = 0; round < 2; round++) {
		uint32_t marker = send_marker();

		while (!take_one(marker, out))
			;
	}
	if (getsockopt(peer_fd, SOL_PACKET, PACKET_STATISTICS, &stats, &len) || stats.tp_drops)
		die("the sniffer missed %u packets", stats.tp_drops);
}
