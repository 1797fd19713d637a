// SPDX-License-Identifier: GPL-2.0-only
/* Options that lead packets elsewhere or past the policies; sockets from elsewhere; devices. */
#include <netinet/ip6.h>
#include <netinet/ip.h>

#include "way.h"
#include <linux/xfrm.h>

#ifndef IP_XFRM_POLICY
#define IP_XFRM_POLICY 17
#endif
#ifndef IPV6_XFRM_POLICY
#define IPV6_XFRM_POLICY 35
#endif
#ifndef IPOPT_LSRR
#define IPOPT_LSRR 131
#endif
#define MARK 0x99 /* host.c: with it a policy lets pass */

/* By way of who needs no protection. Returns the length. */
static size_t source_route(enum to to, unsigned char out[64])
{
	struct {
		struct ip6_rthdr head;
		uint32_t reserved;
		struct in6_addr hop;
	} h = {.head = {.ip6r_len = 2, .ip6r_type = 2, .ip6r_segleft = 1}};

	memset(out, 0, 64);
	if (to == TO4) {
		memcpy(out, (unsigned char[]){1, IPOPT_LSRR, 7, 4}, 4);
		inet_pton(AF_INET, VIA4, out + 4);
		return 8;
	}
	inet_pton(AF_INET6, VIA6, &h.hop);
	memcpy(out, &h, sizeof(h));
	return sizeof(h);
}

/* Set on the socket; then it sends, or connects (SOCK_STREAM). */
WAY(go_route_option)
{
	unsigned char route[64];
	size_t size = source_route(w->to, route);
	int fd = way_socket(w);

	TRY(setsockopt(fd, w->to == TO4 ? IPPROTO_IP : IPPROTO_IPV6, w->arg, route,
		       (socklen_t)size));
	stage();
	return w->type == SOCK_STREAM ? way_connect(w, fd) : way_sendto(w, fd);
}

WAY(go_route_message)
{
	unsigned char route[64];
	size_t size = source_route(w->to, route);
	int fd = way_socket(w);

	stage();
	return way_sendmsg(w, fd, false, w->to == TO4 ? IPPROTO_IP : IPPROTO_IPV6, w->arg, route,
			   size);
}

/* A destination options header, with nothing in it. */
WAY(go_padding)
{
	static const unsigned char padding[8] = {0, 0, 1, 4};
	int fd = way_socket(w);

	stage();
	return way_sendmsg(w, fd, false, IPPROTO_IPV6, IPV6_DSTOPTS, padding, sizeof(padding));
}

/* Segment routing, in a header of its own. */
WAY(go_segments)
{
	struct {
		struct ip6_hdr ip;
		struct ip6_rthdr head;
		uint8_t last, flags;
		uint16_t tag;
		struct in6_addr hop[2]; /* the last one first */
		uint16_t udp[4];
	} p = {.head = {.ip6r_nxt = IPPROTO_UDP, .ip6r_len = 4, .ip6r_type = 4, .ip6r_segleft = 1},
	       .last = 1,
	       .udp = {htons(4000), htons(PORT), htons(8)}};
	union name via = name_of(TO6, VIA6, 0);
	int fd = way_socket(w);

	p.ip.ip6_flow = htonl(6U << 28);
	p.ip.ip6_plen = htons(sizeof(p) - sizeof(p.ip));
	p.ip.ip6_nxt = IPPROTO_ROUTING;
	p.ip.ip6_hlim = 64;
	inet_pton(AF_INET6, OWN6, &p.ip.ip6_src);
	p.ip.ip6_dst = p.hop[1] = via.v6.sin6_addr;
	inet_pton(AF_INET6, PEER6, &p.hop[0]);
	stage();
	TRY(sendto(fd, &p, sizeof(p), 0, &via.sa, sizeof(via.v6)));
	return 0;
}

static int connect_or_send(const struct way *w, int fd)
{
	return w->type == SOCK_STREAM ? way_connect(w, fd) : way_sendto(w, fd);
}

WAY(go_device)
{
	int fd = way_socket(w);

	TRY(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "wire", 4));
	stage();
	return connect_or_send(w, fd);
}

WAY(go_mark)
{
	int fd = way_socket(w);

	want(fd, SOL_SOCKET, SO_MARK, w->arg);
	stage();
	return connect_or_send(w, fd);
}

WAY(go_mark_message)
{
	uint32_t mark = MARK;
	int fd = way_socket(w);

	stage();
	return way_sendmsg(w, fd, false, SOL_SOCKET, SO_MARK, &mark, sizeof(mark));
}

WAY(go_mark_later)
{
	int fd = way_socket(w), err = way_connect(w, fd);

	if (!err)
		want(fd, SOL_SOCKET, SO_MARK, MARK);
	stage();
	return err ? err : way_send(w, fd);
}

/* The socket's own policy, as IKE daemons set it: in clear. TCP is connected first. */
WAY(go_policy_option)
{
	struct xfrm_userpolicy_info own = {.dir = XFRM_POLICY_OUT, .action = XFRM_POLICY_ALLOW};
	int fd = way_socket(w), err = w->arg ? way_connect(w, fd) : 0;

	own.sel.family = (uint16_t)family_of(w);
	TRY(setsockopt(fd, IPPROTO_IP, IP_XFRM_POLICY, &own, sizeof(own)));
	stage();
	if (err)
		return err;
	return w->arg ? way_send(w, fd) : way_sendto(w, fd);
}

/* A source that no policy has: the host's own, or (arg IP_FREEBIND, IP_TRANSPARENT) nobody's. */
WAY(go_source)
{
	union name own = name_of(w->to, w->arg ? "192.0.2.77" : "198.18.1.1", 0);
	int fd = way_socket(w);

	if (w->arg)
		want(fd, IPPROTO_IP, w->arg, 1);
	TRY(bind(fd, &own.sa, name_len(&own)));
	stage();
	return connect_or_send(w, fd);
}

/* Groups that are required (tests/lab/matrix). */
WAY(go_join)
{
	struct ip_mreq four = {.imr_interface.s_addr = inet_addr(OWN4)};
	struct ipv6_mreq six = {.ipv6mr_interface = 0};
	int fd = way_socket(w);

	four.imr_multiaddr.s_addr = inet_addr("239.1.2.3");
	inet_pton(AF_INET6, "ff05::1:2", &six.ipv6mr_multiaddr);
	stage();
	if (w->to == TO4)
		TRY(setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &four, sizeof(four)));
	else
		TRY(setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &six, sizeof(six)));
	pause_ms(400); /* a group's first MLD report may be put off */
	return 0;
}

/* To an address behind a tunnel to the peer: arg is its number (tests/lab/matrix). */
WAY(go_tunnel)
{
	char host[INET_ADDRSTRLEN] = "198.18.0.2";
	union name to;
	int fd = way_socket(w);

	host[7] = (char)('0' + w->arg);
	to = name_of(TO4, host, PORT);
	stage();
	TRY(sendto(fd, body, LENGTH, 0, &to.sa, sizeof(to.v4)));
	return 0;
}

/* Through a Unix socket, as one process hands it to another. */
static int hand_over(int fd)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {.head = {.cmsg_level = SOL_SOCKET,
			      .cmsg_type = SCM_RIGHTS,
			      .cmsg_len = CMSG_LEN(sizeof(int))}};
	struct iovec text = {body, 1};
	struct msghdr m = {.msg_iov = &text,
			   .msg_iovlen = 1,
			   .msg_control = &control,
			   .msg_controllen = sizeof(control)};
	int pair[2], got;

	memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) || sendmsg(pair[0], &m, 0) < 0 ||
	    recvmsg(pair[1], &m, 0) < 0)
		not_here(errno);
	memcpy(&got, CMSG_DATA(&control.head), sizeof(got));
	close(fd);
	return got;
}

/* Made outside of the gate; arg: connected there, too. */
WAY(go_handed_in)
{
	int fd = way_socket(w), err = w->arg ? way_connect(w, fd) : 0;

	enter_gate();
	fd = hand_over(fd);
	stage();
	if (err)
		return err;
	return w->arg ? way_send(w, fd) : connect_or_send(w, fd);
}

/* Made in the gate, used outside of it. */
WAY(go_handed_out)
{
	int fd = way_socket(w), err = w->arg ? way_connect(w, fd) : 0;

	leave_gate();
	fd = hand_over(fd);
	stage();
	if (err)
		return err;
	return w->arg ? way_send(w, fd) : connect_or_send(w, fd);
}
