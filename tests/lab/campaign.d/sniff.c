// SPDX-License-Identifier: GPL-2.0-only
/*
 * sniff FILE DEVICE FROM TO: what host FROM sends to host TO, counted by kind in FILE, which others
 * map (struct counts; campaign.d/lab.py reads it), until it is killed. A packet in clear is a line
 * on standard output.
 *
 * TTL 77 is a packet of traffic's own sockets: "plain". The others in clear, "own", are the
 * kernel's (resets and ACKs for connections that nobody has, ICMP) or of programs outside of a
 * gate.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define OWN_TTL	    77
#define MARKER_PORT 9
#define BUFFER	    (32 << 20)

struct counts {
	uint64_t esp, ike, plain, own; /* from the one to the other */
	uint64_t marker;	       /* the number of the last marker that came by */
	uint64_t dropped;	       /* not seen: the socket was full */
};

static in_addr_t from, to;
static struct counts *counts;

static void tell(const char *what, const struct iphdr *ip, size_t len)
{
	const unsigned char *l4 = (const unsigned char *)ip + ip->ihl * 4;
	size_t left = len > (size_t)ip->ihl * 4 ? len - ip->ihl * 4 : 0;
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	printf("%lld.%03ld %s proto %u ttl %u len %zu", (long long)ts.tv_sec, ts.tv_nsec / 1000000,
	       what, ip->protocol, ip->ttl, len);
	if (left >= 4 && (ip->protocol == IPPROTO_TCP || ip->protocol == IPPROTO_UDP))
		printf(" ports %u %u", l4[0] << 8 | l4[1], l4[2] << 8 | l4[3]);
	if (left >= 14 && ip->protocol == IPPROTO_TCP)
		printf(" flags 0x%02x", l4[13]);
	putchar('\n');
}

static bool is_ike(const struct iphdr *ip, size_t len)
{
	const struct udphdr *udp = (const void *)((const char *)ip + ip->ihl * 4);

	return ip->protocol == IPPROTO_UDP && len >= ip->ihl * 4 + sizeof(*udp) &&
	       (udp->dest == htons(500) || udp->dest == htons(4500));
}

/* "marker N" in a datagram to the discard port, from anybody. */
static void look_for_marker(const struct iphdr *ip, size_t len)
{
	const struct udphdr *udp = (const void *)((const char *)ip + ip->ihl * 4);
	const size_t head = ip->ihl * 4 + sizeof(*udp);
	char text[32] = "";
	unsigned long long n;

	if (ip->protocol != IPPROTO_UDP || len <= head || udp->dest != htons(MARKER_PORT))
		return;
	memcpy(text, udp + 1, len - head < sizeof(text) ? len - head : sizeof(text) - 1);
	if (sscanf(text, "marker %llu", &n) == 1)
		counts->marker = n;
}

static void look(const struct iphdr *ip, size_t len)
{
	if (len < sizeof(*ip) || ip->version != 4 || ip->ihl < 5 || len < (size_t)ip->ihl * 4)
		return;
	if (ip->saddr != from || ip->daddr != to) {
		look_for_marker(ip, len);
	} else if (ip->protocol == IPPROTO_ESP) {
		counts->esp++;
	} else if (is_ike(ip, len)) {
		counts->ike++;
	} else {
		tell(ip->ttl == OWN_TTL ? "plain" : "own", ip, len);
		*(ip->ttl == OWN_TTL ? &counts->plain : &counts->own) += 1;
	}
}

static int open_device(const char *name)
{
	struct sockaddr_ll device = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(name),
	};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), size = BUFFER;

	if (fd < 0 || !device.sll_ifindex ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) ||
	    bind(fd, (struct sockaddr *)&device, sizeof(device))) {
		perror(name);
		exit(1);
	}
	return fd;
}

static void count_dropped(int fd)
{
	struct tpacket_stats stats;
	socklen_t size = sizeof(stats);

	if (!getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size))
		counts->dropped += stats.tp_drops;
}

int main(int argc, char **argv)
{
	static unsigned char frame[2048] __attribute__((aligned(8)));
	const size_t shift = 2; /* so that what is in the frame is aligned */
	ssize_t n;
	int fd;

	if (argc != 5 || inet_pton(AF_INET, argv[3], &from) != 1 ||
	    inet_pton(AF_INET, argv[4], &to) != 1) {
		fputs("usage: sniff FILE DEVICE FROM TO\n", stderr);
		return 2;
	}
	fd = open(argv[1], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, sizeof(*counts))) {
		perror(argv[1]);
		return 1;
	}
	counts = mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (counts == MAP_FAILED) {
		perror("sniff");
		return 1;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	fd = open_device(argv[2]);
	while ((n = recv(fd, frame + shift, sizeof(frame) - shift, 0)) > 0) {
		struct ether_header *head = (void *)(frame + shift);

		if ((size_t)n > sizeof(*head) && head->ether_type == htons(ETHERTYPE_IP))
			look((void *)(frame + shift + sizeof(*head)), (size_t)n - sizeof(*head));
		count_dropped(fd);
	}
	perror("sniff");
	return 1;
}
