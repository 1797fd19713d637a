// SPDX-License-Identifier: GPL-2.0-only
/* What is sent by raw and packet sockets, a tun device and AF_XDP: it takes a capability. */
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/if_xdp.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "way.h"

struct packet4 {
	struct iphdr ip;
	struct udphdr udp;
	unsigned char body[LENGTH];
};

static uint16_t sum_of(const void *at, size_t n)
{
	const uint16_t *word = at;
	uint32_t sum = 0;

	for (size_t i = 0; i < n / 2; i++)
		sum += word[i];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static struct packet4 packet(const char *from)
{
	struct packet4 p = {
		.ip = {.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP},
		.udp = {.uh_sport = htons(4000), .uh_dport = htons(PORT), .uh_ulen = htons(208)},
	};

	p.ip.tot_len = htons(sizeof(p));
	p.ip.saddr = inet_addr(from);
	p.ip.daddr = inet_addr(PEER4);
	p.ip.check = sum_of(&p.ip, sizeof(p.ip));
	return p;
}

/* The program writes the header; arg: version and fragment, as they are there. */
WAY(go_header)
{
	struct packet4 p = packet(OWN4);
	union name to = peer_name(w);
	int fd = way_socket(w);

	if (w->arg & 0xf0000)
		p.ip.version = w->arg >> 16 & 15;
	p.ip.frag_off = htons(w->arg & 0xffff);
	stage();
	TRY(sendto(fd, &p, sizeof(p), 0, &to.sa, name_len(&to)));
	return 0;
}

WAY(go_header6)
{
	struct {
		struct ip6_hdr ip;
		struct udphdr udp;
		unsigned char body[LENGTH];
	} p = {.udp = {.uh_sport = htons(4000), .uh_dport = htons(PORT), .uh_ulen = htons(208)}};
	union name to = peer_name(w);
	int fd = way_socket(w);

	p.ip.ip6_flow = htonl(6U << 28);
	p.ip.ip6_plen = htons(sizeof(p) - sizeof(p.ip));
	p.ip.ip6_nxt = IPPROTO_UDP;
	p.ip.ip6_hlim = 64;
	inet_pton(AF_INET6, OWN6, &p.ip.ip6_src);
	inet_pton(AF_INET6, PEER6, &p.ip.ip6_dst);
	stage();
	TRY(sendto(fd, &p, sizeof(p), 0, &to.sa, name_len(&to)));
	return 0;
}

/* A neighbour solicitation with data behind it. */
WAY(go_solicit)
{
	unsigned char p[LENGTH] = {ND_NEIGHBOR_SOLICIT};
	union name to = peer_name(w);
	int fd = way_socket(w);

	stage();
	TRY(sendto(fd, p, sizeof(p), 0, &to.sa, name_len(&to)));
	return 0;
}

/* UDP without its socket. */
WAY(go_udp_raw)
{
	struct udphdr h[4] = {
		{.uh_sport = htons(4000), .uh_dport = htons(PORT), .uh_ulen = htons(32)}};
	union name to = peer_name(w);
	int fd = way_socket(w);

	stage();
	TRY(sendto(fd, h, sizeof(h), 0, &to.sa, name_len(&to)));
	return 0;
}

/* Straight onto the device. */
WAY(go_packet)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET,
				 .sll_protocol = htons(ETH_P_IP),
				 .sll_ifindex = (int)if_nametoindex("wire"),
				 .sll_halen = ETH_ALEN,
				 .sll_addr = {255, 255, 255, 255, 255, 255}};
	struct packet4 p = packet(OWN4);
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)w;
	if (fd < 0)
		not_here(errno);
	stage();
	TRY(sendto(fd, &p, sizeof(p), 0, (struct sockaddr *)&to, sizeof(to)));
	return 0;
}

/* A device of the program's own: the host forwards what comes out of it. */
WAY(go_tun)
{
	struct ifreq r = {.ifr_flags = IFF_TUN | IFF_NO_PI};
	struct packet4 p = packet("198.18.9.9");
	int tun = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)w;
	if (tun < 0 || ioctl(tun, TUNSETIFF, &r))
		not_here(errno);
	r.ifr_flags = IFF_UP | IFF_RUNNING;
	TRY(ioctl(fd, SIOCSIFFLAGS, &r));
	stage();
	TRY(write(tun, &p, sizeof(p)));
	return 0;
}

/* AF_XDP, copied: one frame in the transmit ring. */
struct rings {
	struct xdp_mmap_offsets at;
	unsigned char *frames, *tx;
};

static int set_rings(int fd, struct rings *r)
{
	struct xdp_umem_reg umem = {.len = 16384, .chunk_size = 4096};
	socklen_t len = sizeof(r->at);
	int entries = 2;

	r->frames = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	umem.addr = (uintptr_t)r->frames;
	TRY(setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &umem, sizeof(umem)));
	TRY(setsockopt(fd, SOL_XDP, XDP_UMEM_FILL_RING, &entries, sizeof(entries)));
	TRY(setsockopt(fd, SOL_XDP, XDP_UMEM_COMPLETION_RING, &entries, sizeof(entries)));
	TRY(setsockopt(fd, SOL_XDP, XDP_TX_RING, &entries, sizeof(entries)));
	TRY(getsockopt(fd, SOL_XDP, XDP_MMAP_OFFSETS, &r->at, &len));
	r->tx = mmap(NULL, r->at.tx.desc + 2 * sizeof(struct xdp_desc), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_POPULATE, fd, XDP_PGOFF_TX_RING);
	return r->tx == MAP_FAILED ? -errno : 0;
}

WAY(go_xdp)
{
	struct sockaddr_xdp at = {.sxdp_family = AF_XDP, .sxdp_flags = XDP_COPY};
	struct packet4 p = packet(OWN4);
	int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0), err;
	struct rings r;

	(void)w;
	if (fd < 0)
		not_here(errno);
	err = set_rings(fd, &r);
	if (err)
		not_here(-err);
	at.sxdp_ifindex = if_nametoindex("wire");
	TRY(bind(fd, (struct sockaddr *)&at, sizeof(at)));
	memset(r.frames, 255, ETH_ALEN);
	r.frames[ETH_ALEN] = 2; /* a source that bridges take */
	r.frames[12] = 8;	/* ETH_P_IP */
	memcpy(r.frames + ETH_HLEN, &p, sizeof(p));
	*(struct xdp_desc *)(r.tx + r.at.tx.desc) = (struct xdp_desc){.len = ETH_HLEN + sizeof(p)};
	stage();
	__atomic_store_n((uint32_t *)(r.tx + r.at.tx.producer), 1, __ATOMIC_RELEASE);
	TRY(sendto(fd, NULL, 0, MSG_DONTWAIT, NULL, 0));
	return 0;
}
