// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "host.h"
#include "say.h"
#include "wire.h"

#define ETH_MARKER 0x88b5 /* IEEE 802: local experiments */

static int peer_fd, own_fd, lo_fd;
static int ends[DEV_COUNT];
static uint32_t markers;

void wire_open(void)
{
	struct sockaddr_ll lo = {.sll_family = AF_PACKET,
				 .sll_protocol = htons(ETH_P_ALL),
				 .sll_ifindex = host_ifindex(DEV_LO)};
	int here = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), size = 4 << 20;

	if (here < 0 || setns(host_netns_peer(), CLONE_NEWNET))
		die("setns: %s", strerror(errno));
	peer_fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(ETH_P_ALL));
	ends[DEV_LAN0] = (int)if_nametoindex("p0");
	ends[DEV_LAN1] = (int)if_nametoindex("p1");
	if (setns(here, CLONE_NEWNET))
		die("setns: %s", strerror(errno));
	close(here);
	own_fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	lo_fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (peer_fd < 0 || own_fd < 0 || lo_fd < 0 ||
	    bind(lo_fd, (struct sockaddr *)&lo, sizeof(lo)))
		die("a packet socket: %s", strerror(errno));
	setsockopt(peer_fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
}

static uint32_t send_marker(void)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET,
				 .sll_protocol = htons(ETH_MARKER),
				 .sll_ifindex = host_ifindex(DEV_LAN0),
				 .sll_halen = ETH_ALEN,
				 .sll_addr = {2, 0, 0, 0, 0, 1}};
	uint32_t body[16] = {++markers};

	if (sendto(own_fd, body, sizeof(body), 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		die("the marker: %s", strerror(errno));
	return markers;
}

static int dev_of(int end)
{
	for (int dev = 0; dev < DEV_COUNT; dev++)
		if (ends[dev] == end && end)
			return dev;
	return DEV_NONE;
}

/* The SPI behind the outermost IP header. */
static uint32_t spi_of(int proto, const uint8_t *p, size_t n)
{
	size_t at = proto == IPPROTO_AH ? 4 : 0;
	uint32_t spi;

	if (n < at + 4 || (proto != IPPROTO_ESP && proto != IPPROTO_AH && proto != IPPROTO_COMP))
		return 0;
	if (proto == IPPROTO_COMP)
		return (uint32_t)(p[2] << 8 | p[3]);
	memcpy(&spi, p + at, 4);
	return ntohl(spi);
}

/*
 * What IPComp leaves as it is has in tunnel mode an IP header in front: is what is in it protected?
 * Then *out tells of that.
 */
static void look_inside(const uint8_t *p, size_t n, struct seen *out)
{
	size_t head = p[0] >> 4 == 4 ? (size_t)(p[0] & 15) * 4 : p[6] == IPPROTO_FRAGMENT ? 48 : 40;
	int proto = out->proto;

	while ((proto == IPPROTO_IPIP || proto == IPPROTO_IPV6) && n >= head + 40) {
		p += head;
		n -= head;
		head = p[0] >> 4 == 4 ? (size_t)(p[0] & 15) * 4 : 40;
		proto = p[0] >> 4 == 4 ? p[9] : p[6];
	}
	if (proto == out->proto || n < head || (proto != IPPROTO_ESP && proto != IPPROTO_AH))
		return;
	out->proto = proto;
	out->spi = spi_of(proto, p + head, n - head);
}

int wire_read(const uint8_t *p, size_t n, struct seen *out)
{
	if (n >= 20 && p[0] >> 4 == 4) {
		size_t head = (size_t)(p[0] & 15) * 4;

		out->family = AF_INET;
		out->proto = p[9];
		memcpy(out->src.b, p + 12, 4);
		memcpy(out->dst.b, p + 16, 4);
		out->spi = head <= n ? spi_of(out->proto, p + head, n - head) : 0;
		look_inside(p, n, out);
		return out->dst.b[0] < 224;
	}
	if (n >= 40 && p[0] >> 4 == 6) {
		out->family = AF_INET6;
		out->proto = p[6];
		memcpy(out->src.b, p + 8, 16);
		memcpy(out->dst.b, p + 24, 16);
		if (out->proto == IPPROTO_FRAGMENT && n >= 48) {
			out->proto = p[40];
			out->spi = spi_of(out->proto, p + 48, n - 48);
		} else {
			out->spi = spi_of(out->proto, p + 40, n - 40);
		}
		look_inside(p, n, out);
		return out->dst.b[0] != 0xff;
	}
	return 0;
}

int wire_take_own(struct seen *out)
{
	int count = 0;

	for (;;) {
		uint8_t buf[2048];
		struct sockaddr_ll from = {0};
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(lo_fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len);

		if (n < 0)
			return count;
		/* what comes behind the first are answers to it */
		if (from.sll_pkttype == PACKET_OUTGOING || count)
			continue;
		*out = (struct seen){.dev = DEV_LO};
		count = wire_read(buf, (size_t)n, out);
	}
}

int wire_take(struct seen *out, int max)
{
	uint32_t marker = send_marker();
	int count = 0;

	for (;;) {
		struct pollfd wait = {.fd = peer_fd, .events = POLLIN};
		uint8_t buf[2048];
		struct sockaddr_ll from = {0};
		socklen_t len = sizeof(from);
		ssize_t n;

		if (poll(&wait, 1, 10000) != 1)
			die("the marker %u did not arrive", marker);
		n = recvfrom(peer_fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len);
		if (n < 0)
			die("a packet socket: %s", strerror(errno));
		if (from.sll_pkttype == PACKET_OUTGOING)
			continue;
		if (from.sll_protocol == htons(ETH_MARKER)) {
			uint32_t got;

			memcpy(&got, buf, sizeof(got));
			if (got == marker)
				return count;
			continue;
		}
		if (count < max) {
			out[count] = (struct seen){.dev = dev_of(from.sll_ifindex)};
			count += wire_read(buf, (size_t)n, &out[count]);
		}
	}
}
