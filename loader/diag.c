// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <linux/sock_diag.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "diag.h"
#include "netns.h"

#ifndef SOCK_DESTROY
#define SOCK_DESTROY 21
#endif

/* Those that may send; a connected UDP socket is "established". */
#define STATES                                                                                     \
	(1 << TCP_ESTABLISHED | 1 << TCP_SYN_SENT | 1 << TCP_SYN_RECV | 1 << TCP_FIN_WAIT1 |       \
	 1 << TCP_FIN_WAIT2 | 1 << TCP_CLOSE_WAIT | 1 << TCP_LAST_ACK | 1 << TCP_CLOSING)

struct request {
	struct nlmsghdr h;
	struct inet_diag_req_v2 r;
};

static int open_here(void *ctx)
{
	struct nl_sock **out = ctx, *sock = nl_socket_alloc();

	if (!sock)
		return -ENOMEM;
	errno = 0;
	if (nl_connect(sock, NETLINK_SOCK_DIAG) < 0) {
		int err = errno ? -errno : -EIO;

		nl_socket_free(sock);
		return err;
	}
	nl_socket_set_nonblocking(sock);
	*out = sock;
	return 0;
}

int diag_open(int netns_fd, struct nl_sock **out, struct error *e)
{
	struct error why = {};
	int err = netns_run(netns_fd, open_here, out, &why);

	if (err && why.code[0] && e)
		*e = why;
	else if (err)
		error_set(e, err, "diag", "sockets cannot be listed: %s", strerror(-err));
	return err;
}

static int send_request(struct nl_sock *sock, const struct request *req)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};

	return sendto(nl_socket_get_fd(sock), req, sizeof(*req), MSG_NOSIGNAL,
		      (struct sockaddr *)&kernel, sizeof(kernel)) < 0
		       ? -errno
		       : 0;
}

int diag_list(struct nl_sock *sock, __u8 family, __u8 proto)
{
	const struct request req = {
		.h = {.nlmsg_len = sizeof(req),
		      .nlmsg_type = SOCK_DIAG_BY_FAMILY,
		      .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.r = {.sdiag_family = family, .sdiag_protocol = proto, .idiag_states = STATES},
	};

	return send_request(sock, &req);
}

static bool is_mapped(const __be32 *a)
{
	return !a[0] && !a[1] && a[2] == htonl(0xffff);
}

static void addresses(const struct inet_diag_sockid *id, bool v4, int word, struct flow *f)
{
	if (v4) {
		f->family = AF_INET;
		f->saddr[0] = id->idiag_src[word];
		f->daddr[0] = id->idiag_dst[word];
		return;
	}
	f->family = AF_INET6;
	memcpy(f->saddr, id->idiag_src, sizeof(f->saddr));
	memcpy(f->daddr, id->idiag_dst, sizeof(f->daddr));
}

static void flow_of(struct diag_socket *s)
{
	const struct inet_diag_sockid *id = &s->id;
	bool mapped = s->family == AF_INET6 && is_mapped(id->idiag_dst);
	struct flow *f = &s->flow;

	addresses(id, mapped || s->family == AF_INET, mapped ? 3 : 0, f);
	f->has_saddr = KNOWN_BOUND;
	f->sport = id->idiag_sport;
	f->dport = id->idiag_dport;
	f->proto = s->proto;
	f->oif = id->idiag_if;
	f->has_oif = f->oif ? KNOWN_BOUND : KNOWN_NOT;
}

int diag_parse(const struct nlmsghdr *msg, __u8 proto, struct diag_socket *out)
{
	struct nlmsghdr *h = (struct nlmsghdr *)msg; /* libnl only reads it */
	struct diag_socket s = {.proto = proto};
	struct nlattr *cgroup, *mark;
	struct inet_diag_msg m;

	if (msg->nlmsg_type != SOCK_DIAG_BY_FAMILY || !nlmsg_valid_hdr(h, sizeof(m)))
		return -EBADMSG;
	memcpy(&m, nlmsg_data(h), sizeof(m));
	if (m.idiag_family != AF_INET && m.idiag_family != AF_INET6)
		return -EBADMSG;
	cgroup = nlmsg_find_attr(h, sizeof(m), INET_DIAG_CGROUP_ID);
	mark = nlmsg_find_attr(h, sizeof(m), INET_DIAG_MARK);
	if (!cgroup || nla_len(cgroup) < (int)sizeof(__u64) || !m.id.idiag_dport)
		return -ENODATA;
	s.id = m.id;
	s.family = m.idiag_family;
	memcpy(&s.cgroup_id, nla_data(cgroup), sizeof(s.cgroup_id));
	flow_of(&s);
	if (mark && nla_len(mark) >= (int)sizeof(s.flow.mark))
		memcpy(&s.flow.mark, nla_data(mark), sizeof(s.flow.mark));
	*out = s;
	return 0;
}

/* The kernel does it at once, and its answer is there when sendto() returns. */
int diag_close(struct nl_sock *sock, const struct diag_socket *s)
{
	const struct request req = {
		.h = {.nlmsg_len = sizeof(req),
		      .nlmsg_type = SOCK_DESTROY,
		      .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK},
		.r = {.sdiag_family = s->family,
		      .sdiag_protocol = s->proto,
		      .idiag_states = ~0U,
		      .id = s->id},
	};
	struct {
		struct nlmsghdr h;
		struct nlmsgerr e;
		char rest[sizeof(req) + 256];
	} answer;
	int err = send_request(sock, &req);

	if (err)
		return err;
	if (recv(nl_socket_get_fd(sock), &answer, sizeof(answer), 0) <
	    (ssize_t)(sizeof(answer.h) + sizeof(answer.e)))
		return -EIO;
	return answer.h.nlmsg_type == NLMSG_ERROR ? answer.e.error : -EIO;
}

int diag_can_close(struct nl_sock *sock)
{
	static const __u8 protos[] = {IPPROTO_TCP, IPPROTO_UDP};
	int err = 0;

	for (size_t i = 0; i < sizeof(protos) && !err; i++) {
		/* one that cannot be there: the any address and no port */
		err = diag_close(sock,
				 &(struct diag_socket){.family = AF_INET, .proto = protos[i]});
		if (err == -ENOENT || err == -ESTALE)
			err = 0;
	}
	return err;
}
