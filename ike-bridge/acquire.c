// SPDX-License-Identifier: GPL-2.0-only
#include "acquire.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/xfrm.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A netlink message being written; len is 0 once it did not fit. */
struct message {
	struct nlmsghdr *nlh;
	size_t size;
};

static void *add(struct message *m, uint16_t type, const void *data, size_t len)
{
	size_t at = NLMSG_ALIGN(m->nlh->nlmsg_len);
	struct nlattr *nla = (struct nlattr *)((char *)m->nlh + at);

	if (!m->size || at + NLA_HDRLEN + NLA_ALIGN(len) > m->size) {
		m->size = 0;
		return NULL;
	}
	nla->nla_type = type;
	nla->nla_len = NLA_HDRLEN + len;
	memcpy((char *)nla + NLA_HDRLEN, data, len);
	m->nlh->nlmsg_len = at + NLA_HDRLEN + NLA_ALIGN(len);
	return nla;
}

static size_t addr_len(uint8_t family)
{
	return family == AF_INET ? 4 : 16;
}

static void set_addr(xfrm_address_t *to, uint8_t family, const uint8_t *addr)
{
	memcpy(to, addr, addr_len(family));
}

/* The flow itself: full hosts, and what is known above them. */
static void set_selector(struct xfrm_selector *sel, const struct acquire_params *p)
{
	set_addr(&sel->saddr, p->family, p->saddr);
	set_addr(&sel->daddr, p->family, p->daddr);
	sel->family = p->family;
	sel->prefixlen_s = sel->prefixlen_d = addr_len(p->family) * 8;
	sel->proto = p->proto;
	sel->sport = htons(p->sport);
	sel->sport_mask = p->sport ? UINT16_MAX : 0;
	sel->dport = htons(p->dport);
	sel->dport_mask = p->dport ? UINT16_MAX : 0;
}

static void set_policy(struct xfrm_userpolicy_info *pol, const struct acquire_params *p)
{
	set_selector(&pol->sel, p);
	pol->lft.soft_byte_limit = pol->lft.hard_byte_limit = XFRM_INF;
	pol->lft.soft_packet_limit = pol->lft.hard_packet_limit = XFRM_INF;
	pol->priority = p->priority;
	pol->index = p->index;
	pol->dir = XFRM_POLICY_OUT;
	pol->action = XFRM_POLICY_ALLOW;
	pol->share = XFRM_SHARE_ANY;
}

static void set_template(struct xfrm_user_tmpl *tmpl, const struct acquire_params *p)
{
	tmpl->family = p->tmpl_family ? p->tmpl_family : p->family;
	tmpl->id.proto = p->tmpl_proto ? p->tmpl_proto : IPPROTO_ESP;
	tmpl->reqid = p->reqid;
	tmpl->mode = p->tmpl_mode;
	tmpl->share = XFRM_SHARE_ANY;
	tmpl->aalgos = tmpl->ealgos = tmpl->calgos = UINT32_MAX;
	if (p->tmpl_mode == XFRM_MODE_TRANSPORT) {
		set_addr(&tmpl->id.daddr, p->family, p->daddr);
		set_addr(&tmpl->saddr, p->family, p->saddr);
	} else {
		set_addr(&tmpl->id.daddr, tmpl->family, p->tmpl_daddr);
		set_addr(&tmpl->saddr, tmpl->family, p->tmpl_saddr);
	}
}

static bool is_family(uint8_t family)
{
	return family == AF_INET || family == AF_INET6;
}

int acquire_build(void *buf, size_t size, const struct acquire_params *p)
{
	struct message m = {buf, size};
	const struct xfrm_mark mark = {p->mark, p->mark_mask};
	struct xfrm_user_tmpl tmpl = {};
	struct xfrm_user_acquire acq = {};

	if (!is_family(p->family) || (p->tmpl_family && !is_family(p->tmpl_family)))
		return -EINVAL;
	if (size < NLMSG_SPACE(sizeof(acq)))
		return -ENOSPC;
	memset(buf, 0, size);
	set_template(&tmpl, p);
	acq.id = tmpl.id;
	acq.saddr = tmpl.saddr;
	set_selector(&acq.sel, p);
	set_policy(&acq.policy, p);
	acq.aalgos = acq.ealgos = acq.calgos = UINT32_MAX;
	m.nlh->nlmsg_len = NLMSG_LENGTH(sizeof(acq));
	m.nlh->nlmsg_type = XFRM_MSG_ACQUIRE;
	m.nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	memcpy(NLMSG_DATA(m.nlh), &acq, sizeof(acq));
	add(&m, XFRMA_TMPL, &tmpl, sizeof(tmpl));
	if (p->mark_mask)
		add(&m, XFRMA_MARK, &mark, sizeof(mark));
	if (p->if_id)
		add(&m, XFRMA_IF_ID, &p->if_id, sizeof(p->if_id));
	return m.size ? (int)m.nlh->nlmsg_len : -ENOSPC;
}

int acquire_open(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_XFRM);
	const int on = 1;

	if (fd < 0)
		return -errno;
	/* the answer need not bring the whole request back */
	setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	return fd;
}

/* The kernel has handled the request inside send(): its answer waits. */
static int read_answer(int fd, uint32_t seq)
{
	union {
		struct nlmsghdr nlh;
		char buf[1024];
	} in;
	struct sockaddr_nl from = {};
	socklen_t from_len;
	ssize_t n;

	for (;;) {
		struct nlmsgerr err;

		from_len = sizeof(from);
		n = recvfrom(fd, &in, sizeof(in), MSG_DONTWAIT, (struct sockaddr *)&from,
			     &from_len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ENOPROTOOPT : -errno;
		if (from_len < sizeof(from) || from.nl_pid ||
		    (size_t)n < NLMSG_LENGTH(sizeof(err)) || in.nlh.nlmsg_type != NLMSG_ERROR ||
		    in.nlh.nlmsg_seq != seq)
			continue; /* left from before */
		memcpy(&err, NLMSG_DATA(&in.nlh), sizeof(err));
		return err.error;
	}
}

int acquire_send(int fd, const struct acquire_params *p)
{
	const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	static _Atomic uint32_t last_seq;
	union {
		struct nlmsghdr nlh;
		char buf[ACQUIRE_SIZE];
	} out;
	int len = acquire_build(&out, sizeof(out), p);

	if (len < 0)
		return len;
	out.nlh.nlmsg_seq = ++last_seq;
	if (sendto(fd, &out, len, MSG_NOSIGNAL | MSG_DONTWAIT, (const struct sockaddr *)&kernel,
		   sizeof(kernel)) < 0)
		return -errno;
	return read_answer(fd, out.nlh.nlmsg_seq);
}
