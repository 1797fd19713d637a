// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/netlink.h>
#include <linux/xfrm.h>

#include "world.h"
#include "xfrm_nl.h"

#define SOURCE htonl(0xc0000201) /* 192.0.2.1 */

static char buffer[64 * 1024] __attribute__((aligned(8)));

int xfrm_open(void)
{
	struct sockaddr_nl any = {.nl_family = AF_NETLINK};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_XFRM);
	int size = 32 << 20;

	if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof(any)))
		die("XFRM netlink: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	return fd;
}

static void send_request(int fd, const void *request, size_t len)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};

	if (sendto(fd, request, len, 0, (struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		die("XFRM netlink: %s", strerror(errno));
}

static struct nlattr *attr(void *at, unsigned short type, size_t len)
{
	struct nlattr *a = at;

	a->nla_type = type;
	a->nla_len = (unsigned short)(NLA_HDRLEN + len);
	return a;
}

static void lifetimes(struct xfrm_lifetime_cfg *l)
{
	l->soft_byte_limit = l->hard_byte_limit = XFRM_INF;
	l->soft_packet_limit = l->hard_packet_limit = XFRM_INF;
}

static __be32 dest(unsigned int i)
{
	return htonl(0x80000000U + i);
}

void xfrm_policy(int fd, bool add, unsigned int i)
{
	struct {
		struct nlmsghdr h;
		struct xfrm_userpolicy_info p;
		struct nlattr a;
		struct xfrm_user_tmpl t;
	} put = {.h = {sizeof(put), XFRM_MSG_NEWPOLICY, NLM_F_REQUEST, 0, 0}};
	struct {
		struct nlmsghdr h;
		struct xfrm_userpolicy_id id;
	} del = {.h = {sizeof(del), XFRM_MSG_DELPOLICY, NLM_F_REQUEST, 0, 0}};

	put.p.sel.family = AF_INET;
	put.p.sel.saddr.a4 = SOURCE;
	put.p.sel.daddr.a4 = dest(i);
	put.p.sel.prefixlen_s = put.p.sel.prefixlen_d = 32;
	put.p.dir = XFRM_POLICY_OUT;
	put.p.priority = 1000;
	lifetimes(&put.p.lft);
	attr(&put.a, XFRMA_TMPL, sizeof(put.t));
	put.t.family = AF_INET;
	put.t.id.proto = IPPROTO_ESP;
	put.t.reqid = i + 1;
	put.t.mode = XFRM_MODE_TRANSPORT;
	put.t.aalgos = put.t.ealgos = put.t.calgos = ~0U;
	del.id.sel = put.p.sel;
	del.id.dir = XFRM_POLICY_OUT;
	if (add)
		send_request(fd, &put, sizeof(put));
	else
		send_request(fd, &del, sizeof(del));
}

void xfrm_sa(int fd, bool add, unsigned int i)
{
	struct {
		struct nlmsghdr h;
		struct xfrm_usersa_info s;
		struct nlattr a;
		struct xfrm_algo_aead aead;
		char key[20];
	} put = {.h = {sizeof(put), XFRM_MSG_NEWSA, NLM_F_REQUEST | NLM_F_ACK, 0, 0}};
	struct {
		struct nlmsghdr h;
		struct xfrm_usersa_id id;
	} del = {.h = {sizeof(del), XFRM_MSG_DELSA, NLM_F_REQUEST, 0, 0}};

	put.h.nlmsg_flags = NLM_F_REQUEST;
	put.s.family = AF_INET;
	put.s.saddr.a4 = SOURCE;
	put.s.id.daddr.a4 = dest(i);
	put.s.id.spi = htonl(i + 256);
	put.s.id.proto = IPPROTO_ESP;
	put.s.reqid = i + 1;
	put.s.mode = XFRM_MODE_TRANSPORT;
	lifetimes(&put.s.lft);
	attr(&put.a, XFRMA_ALG_AEAD, sizeof(put.aead) + sizeof(put.key));
	strcpy(put.aead.alg_name, "rfc4106(gcm(aes))");
	put.aead.alg_key_len = 160;
	put.aead.alg_icv_len = 128;
	del.id.daddr = put.s.id.daddr;
	del.id.spi = put.s.id.spi;
	del.id.family = AF_INET;
	del.id.proto = IPPROTO_ESP;
	if (add)
		send_request(fd, &put, sizeof(put));
	else
		send_request(fd, &del, sizeof(del));
}

static void count(void *ctx, const void *msg)
{
	const struct nlmsghdr *h = msg;

	*(size_t *)ctx += h->nlmsg_type == XFRM_MSG_NEWSA;
}

bool xfrm_has_esp(void)
{
	int fd = xfrm_open();
	size_t found = 0;

	xfrm_sa(fd, true, 0);
	close(fd); /* an error may be in it */
	fd = xfrm_open();
	xfrm_dump(fd, count, &found);
	xfrm_sa(fd, false, 0);
	close(fd);
	return found > 0;
}

static size_t dump(int fd, unsigned short type, void (*each)(void *, const void *), void *ctx)
{
	struct nlmsghdr ask = {NLMSG_LENGTH(0), type, NLM_F_REQUEST | NLM_F_DUMP, 1, 0};
	size_t n = 0;

	send_request(fd, &ask, sizeof(ask));
	for (;;) {
		ssize_t len = recv(fd, buffer, sizeof(buffer), 0);
		const struct nlmsghdr *h = (const struct nlmsghdr *)buffer;

		if (len < 0)
			die("dump: %s", strerror(errno));
		for (; NLMSG_OK(h, (size_t)len); h = NLMSG_NEXT(h, len)) {
			if (h->nlmsg_seq != 1)
				continue;
			if (h->nlmsg_type == NLMSG_DONE)
				return n;
			if (h->nlmsg_type == NLMSG_ERROR)
				die("the kernel refuses the dump");
			n++;
			if (each)
				each(ctx, h);
		}
	}
}

size_t xfrm_dump(int fd, void (*each)(void *ctx, const void *msg), void *ctx)
{
	return dump(fd, XFRM_MSG_GETSA, each, ctx) + dump(fd, XFRM_MSG_GETPOLICY, each, ctx);
}
