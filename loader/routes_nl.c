// SPDX-License-Identifier: GPL-2.0-only
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_addrlabel.h>
#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <string.h>
#include <sys/socket.h>

#include "cleanup.h"
#include "netns.h"
#include "routes_nl.h"

/* Room for a burst of events, and for the answers to a batch, ~4.5 KiB each before trimming. */
#define RECEIVE_BUFFER (4 << 20)

/*
 * What source selection and routing depend on. NEIGH: IPv6 passes over a gateway that has failed.
 * TC: queues of VRF devices.
 */
static const int groups[] = {
	RTNLGRP_LINK,	      RTNLGRP_NEIGH,	    RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV4_ROUTE,
	RTNLGRP_IPV4_RULE,    RTNLGRP_IPV6_IFADDR,  RTNLGRP_IPV6_ROUTE,	 RTNLGRP_IPV6_RULE,
	RTNLGRP_IPV4_NETCONF, RTNLGRP_IPV6_NETCONF, RTNLGRP_NEXTHOP,	 RTNLGRP_TC,
};

static const struct {
	uint16_t type;
	uint8_t family;
	uint8_t header;
} dumps[ROUTES_DUMPS] = {
	{RTM_GETLINK, AF_UNSPEC, sizeof(struct ifinfomsg)},
	{RTM_GETADDR, AF_UNSPEC, sizeof(struct ifaddrmsg)},
	{RTM_GETADDRLABEL, AF_INET6, sizeof(struct ifaddrlblmsg)},
	{RTM_GETROUTE, AF_INET, sizeof(struct rtmsg)},
	{RTM_GETROUTE, AF_INET6, sizeof(struct rtmsg)},
	{RTM_GETRULE, AF_INET, sizeof(struct fib_rule_hdr)},
	{RTM_GETRULE, AF_INET6, sizeof(struct fib_rule_hdr)},
};

struct opening {
	struct nl_sock *events, *asker;
	int noxfrm_fd;
};

static int open_socket(struct nl_sock **out)
{
	struct nl_sock *sock = nl_socket_alloc();
	int size = RECEIVE_BUFFER, fd;

	if (!sock)
		return -ENOMEM;
	*out = sock;
	if (nl_connect(sock, NETLINK_ROUTE) < 0)
		return errno ? -errno : -EIO;
	fd = nl_socket_get_fd(sock);
	nl_socket_set_nonblocking(sock);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	return 0;
}

static int open_inside(void *ctx)
{
	struct opening *o = ctx;
	int one = 1, r;

	r = open_socket(&o->events);
	if (!r)
		r = open_socket(&o->asker);
	if (r)
		return r;
	/* kernels without a group leave it out: what it would tell does not happen there */
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		nl_socket_add_membership(o->events, groups[i]);
	/* not NETLINK_GET_STRICT_CHK: its EINVAL could not be told from a blackhole's */
	setsockopt(nl_socket_get_fd(o->asker), SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
	o->noxfrm_fd = open("/proc/sys/net/ipv4/conf/all/disable_xfrm", O_RDONLY | O_CLOEXEC);
	return 0;
}

int routes_nl_open(int netns_fd, struct nl_sock **events, struct nl_sock **asker, int *noxfrm_fd,
		   struct error *e)
{
	struct opening o = {.noxfrm_fd = -1};
	struct error inside = {0};
	int r = netns_run(netns_fd, open_inside, &o, &inside);

	if (r) {
		nl_socket_free(o.events);
		nl_socket_free(o.asker);
		if (inside.code[0] && e)
			*e = inside;
		else
			error_set(e, r, "routes", "cannot open an rtnetlink socket: %s",
				  strerror(-r));
		return r;
	}
	*events = o.events;
	*asker = o.asker;
	*noxfrm_fd = o.noxfrm_fd;
	return 0;
}

int routes_nl_send(struct nl_sock *sock, void *batch, size_t size)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};

	if (sendto(nl_socket_get_fd(sock), batch, size, MSG_NOSIGNAL, (struct sockaddr *)&kernel,
		   sizeof(kernel)) < 0)
		return -errno;
	return 0;
}

int routes_nl_dump(struct nl_sock *asker, unsigned int i, uint32_t seq)
{
	struct {
		struct nlmsghdr h;
		char header[16]; /* all zero but the family, in every one the first byte */
		struct rtattr attr;
		uint32_t value;
	} msg = {0};

	_Static_assert(sizeof(struct ifinfomsg) <= sizeof(msg.header), "room for the header");
	msg.h.nlmsg_len = NLMSG_LENGTH(dumps[i].header);
	msg.h.nlmsg_type = dumps[i].type;
	msg.h.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	msg.h.nlmsg_seq = seq;
	msg.header[0] = (char)dumps[i].family;
	if (dumps[i].type == RTM_GETLINK) {
		msg.attr.rta_type = IFLA_EXT_MASK;
		msg.attr.rta_len = RTA_LENGTH(sizeof(msg.value));
		msg.value = RTEXT_FILTER_SKIP_STATS;
		msg.h.nlmsg_len = sizeof(msg);
	}
	return routes_nl_send(asker, &msg, msg.h.nlmsg_len);
}

int routes_nl_receive(struct nl_sock *sock, void *buf, size_t size)
{
	struct sockaddr_nl from = {0};
	socklen_t len = sizeof(from);
	ssize_t n = recvfrom(nl_socket_get_fd(sock), buf, size, MSG_DONTWAIT | MSG_TRUNC,
			     (struct sockaddr *)&from, &len);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (from.nl_pid)
		return 0;
	return (size_t)n > size ? -EMSGSIZE : (int)n;
}
