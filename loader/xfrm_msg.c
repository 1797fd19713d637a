// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <string.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include "xfrm_msg.h"

#define ATTRS_MAX 64

/* The attributes of one message, by type; each points into the message. */
struct attrs {
	const struct nlattr *at[ATTRS_MAX];
};

/* The fixed part of one message type. */
struct body {
	const char *data;
	struct attrs attrs;
};

static int body_read(const struct nlmsghdr *hdr, const char *msg, size_t size, struct body *b)
{
	const struct nlattr *a;
	int rem;

	if (hdr->nlmsg_len < NLMSG_HDRLEN + size)
		return -EBADMSG;
	*b = (struct body){.data = msg + NLMSG_HDRLEN};
	rem = (int)(hdr->nlmsg_len - NLMSG_HDRLEN) - (int)NLMSG_ALIGN(size);
	a = (const struct nlattr *)(b->data + NLMSG_ALIGN(size));
	for (; rem > 0 && nla_ok(a, rem); a = nla_next(a, &rem)) {
		if (nla_type(a) < ATTRS_MAX)
			b->attrs.at[nla_type(a)] = a;
	}
	return rem > 0 ? -EBADMSG : 0;
}

/* Copies an attribute of at least `size` bytes. Returns 1, 0 when absent, -EBADMSG when short. */
static int attr_get(const struct attrs *attrs, int type, void *to, size_t size)
{
	const struct nlattr *a = attrs->at[type];

	if (!a)
		return 0;
	if ((size_t)nla_len(a) < size)
		return -EBADMSG;
	memcpy(to, nla_data(a), size);
	return 1;
}

static void addr_set(__be32 to[4], const xfrm_address_t *from, __u8 family)
{
	memset(to, 0, 16);
	memcpy(to, from, family == AF_INET ? 4 : 16);
}

static bool family_known(__u16 family)
{
	return family == AF_INET || family == AF_INET6;
}

static void selector_set(struct selector_info *to, const struct xfrm_selector *from, __u8 family)
{
	addr_set(to->saddr, &from->saddr, family);
	addr_set(to->daddr, &from->daddr, family);
	to->sport = from->sport;
	to->dport = from->dport;
	to->sport_mask = from->sport_mask;
	to->dport_mask = from->dport_mask;
	to->ifindex = (__u32)from->ifindex;
	to->family = family;
	to->proto = from->proto;
	to->src_len = from->prefixlen_s;
	to->dst_len = from->prefixlen_d;
}

static int templates_set(struct policy_info *p, const struct nlattr *a)
{
	struct xfrm_user_tmpl t;
	int n = a ? nla_len(a) / (int)sizeof(t) : 0;

	if (a && nla_len(a) % (int)sizeof(t))
		return -EBADMSG;
	if (n > POLICY_TMPLS_MAX)
		return -EBADMSG;
	for (int i = 0; i < n; i++) {
		struct spd_tmpl *to = &p->tmpl[i];

		memcpy(&t, (const char *)nla_data(a) + (size_t)i * sizeof(t), sizeof(t));
		if (t.family && !family_known(t.family))
			return -EBADMSG; /* validate_tmpl refuses it */
		/* validate_tmpl: a family that is not said is the selector's. */
		to->family = t.family ? (__u8)t.family : p->sel.family;
		addr_set(to->saddr, &t.saddr, to->family);
		addr_set(to->daddr, &t.id.daddr, to->family);
		to->spi = t.id.spi;
		to->reqid = t.reqid;
		to->proto = t.id.proto;
		to->mode = t.mode;
		to->optional = t.optional != 0;
	}
	p->tmpl_count = (__u8)n;
	return 0;
}

/* Fields that SAs and policies have in the same attributes. */
static int mark_and_if_id(const struct attrs *attrs, __u32 *mark, __u32 *mask, __u32 *if_id)
{
	struct xfrm_mark m = {0};

	if (attr_get(attrs, XFRMA_MARK, &m, sizeof(m)) < 0 ||
	    attr_get(attrs, XFRMA_IF_ID, if_id, sizeof(*if_id)) < 0)
		return -EBADMSG;
	*mark = m.v;
	*mask = m.m;
	return 0;
}

static int policy_type(const struct attrs *attrs, __u8 *type)
{
	/* A kernel without CONFIG_XFRM_SUB_POLICY sends none (copy_to_user_policy_type). */
	*type = XFRM_POLICY_TYPE_MAIN;
	return attr_get(attrs, XFRMA_POLICY_TYPE, type, 1) < 0 ? -EBADMSG : 0;
}

static int policy_set(const struct xfrm_userpolicy_info *from, const struct attrs *attrs,
		      enum change_kind kind, struct xfrm_change *c)
{
	struct policy_info *p = &c->policy;
	int max = from->sel.family == AF_INET ? 32 : 128;

	if (!family_known(from->sel.family))
		return 0; /* xfrm_policy_match: matches no flow */
	/* verify_newpolicy_info refuses longer prefixes. */
	if (from->sel.prefixlen_s > max || from->sel.prefixlen_d > max)
		return -EBADMSG;
	selector_set(&p->sel, &from->sel, (__u8)from->sel.family);
	p->index = from->index;
	p->priority = from->priority;
	p->action = from->action;
	p->flags = from->flags;
	p->share = from->share;
	p->sec_ctx = attrs->at[XFRMA_SEC_CTX] != NULL;
	if (mark_and_if_id(attrs, &p->mark, &p->mark_mask, &p->if_id) ||
	    policy_type(attrs, &p->type) || templates_set(p, attrs->at[XFRMA_TMPL]))
		return -EBADMSG;
	/* The low bits of an index are its direction; 3 and up belong to sockets. */
	if (from->dir == XFRM_POLICY_OUT && (p->index & 7) == XFRM_POLICY_OUT)
		c->kind = kind;
	return 0;
}

static int policy_put(const struct nlmsghdr *hdr, const char *msg, struct xfrm_change *c)
{
	struct xfrm_userpolicy_info info;
	struct body b;

	if (body_read(hdr, msg, sizeof(info), &b))
		return -EBADMSG;
	memcpy(&info, b.data, sizeof(info));
	return policy_set(&info, &b.attrs, CHANGE_POLICY_PUT, c);
}

static int policy_del(const struct nlmsghdr *hdr, const char *msg, struct xfrm_change *c)
{
	struct xfrm_userpolicy_info info;
	struct body b;

	if (body_read(hdr, msg, sizeof(struct xfrm_userpolicy_id), &b) ||
	    attr_get(&b.attrs, XFRMA_POLICY, &info, sizeof(info)) != 1)
		return -EBADMSG;
	return policy_set(&info, &b.attrs, CHANGE_POLICY_DEL, c);
}

static int policy_expire(const struct nlmsghdr *hdr, const char *msg, struct xfrm_change *c)
{
	struct xfrm_user_polexpire ue;
	struct body b;

	if (body_read(hdr, msg, sizeof(ue), &b))
		return -EBADMSG;
	memcpy(&ue, b.data, sizeof(ue));
	return policy_set(&ue.pol, &b.attrs, ue.hard ? CHANGE_POLICY_EXPIRED : CHANGE_NONE, c);
}

static int policy_flush(const struct nlmsghdr *hdr, const char *msg, struct xfrm_change *c)
{
	struct body b;
	__u8 type;

	if (body_read(hdr, msg, 0, &b) || policy_type(&b.attrs, &type))
		return -EBADMSG;
	c->type = type;
	c->kind = CHANGE_POLICY_FLUSH;
	return 0;
}

static __u32 seconds(__u64 s)
{
	return s > 0xffffffff ? 0xffffffff : (__u32)s;
}

static void life_set(struct sa_life *to, const struct xfrm_usersa_info *from)
{
	to->soft_add = seconds(from->lft.soft_add_expires_seconds);
	to->hard_add = seconds(from->lft.hard_add_expires_seconds);
	to->soft_use = seconds(from->lft.soft_use_expires_seconds);
	to->hard_use = seconds(from->lft.hard_use_expires_seconds);
	to->soft_bytes = from->lft.soft_byte_limit;
	to->hard_bytes = from->lft.hard_byte_limit;
	to->soft_packets = from->lft.soft_packet_limit;
	to->hard_packets = from->lft.hard_packet_limit;
	to->bytes = from->curlft.bytes;
	to->packets = from->curlft.packets;
	to->add_time = from->curlft.add_time;
	to->use_time = from->curlft.use_time;
}

/* ALLOCSPI leaves an SA with an SPI and no algorithm; dumps do not carry km.state. */
static bool sa_has_key(const struct attrs *attrs)
{
	return attrs->at[XFRMA_ALG_AEAD] || attrs->at[XFRMA_ALG_AUTH] ||
	       attrs->at[XFRMA_ALG_AUTH_TRUNC] || attrs->at[XFRMA_ALG_CRYPT] ||
	       attrs->at[XFRMA_ALG_COMP];
}

static int sa_sequence(const struct attrs *attrs, struct sa_info *sa)
{
	struct xfrm_replay_state old;
	struct xfrm_replay_state_esn esn;
	int n = attr_get(attrs, XFRMA_REPLAY_ESN_VAL, &esn, sizeof(esn));

	if (n < 0)
		return n;
	if (n) {
		sa->exhausted = esn.oseq == 0xffffffff &&
				(!(sa->flags & XFRM_STATE_ESN) || esn.oseq_hi == 0xffffffff);
	} else {
		n = attr_get(attrs, XFRMA_REPLAY_VAL, &old, sizeof(old));
		if (n < 0)
			return n;
		sa->exhausted = n && old.oseq == 0xffffffff;
	}
	if (sa->xflags & XFRM_SA_XFLAG_OSEQ_MAY_WRAP)
		sa->exhausted = 0;
	return 0;
}

static int sa_set(const struct xfrm_usersa_info *from, const struct attrs *attrs,
		  enum change_kind kind, struct xfrm_change *c)
{
	struct sa_info *sa = &c->sa;
	__u16 sel_family = from->sel.family;
	__u32 xflags = 0;

	/* verify_newsa_info refuses them: what compares no flow would be for all */
	if (!family_known(from->family) || (sel_family && !family_known(sel_family)))
		return 0;
	/* copy_from_user_state: a selector without a family gets the SA's, unless AF_UNSPEC. */
	if (!sel_family && !(from->flags & XFRM_STATE_AF_UNSPEC))
		sel_family = from->family;
	selector_set(&sa->sel, &from->sel, (__u8)sel_family);
	addr_set(sa->saddr, &from->saddr, (__u8)from->family);
	addr_set(sa->daddr, &from->id.daddr, (__u8)from->family);
	sa->spi = from->id.spi;
	sa->reqid = from->reqid;
	sa->family = (__u8)from->family;
	sa->proto = from->id.proto;
	sa->mode = from->mode;
	sa->flags = from->flags;
	sa->replay_window = from->replay_window;
	sa->pcpu = SAGATE_PCPU_ANY;
	life_set(&sa->life, from);
	if (mark_and_if_id(attrs, &sa->mark, &sa->mark_mask, &sa->if_id) ||
	    attr_get(attrs, XFRMA_SA_EXTRA_FLAGS, &xflags, sizeof(xflags)) < 0 ||
	    attr_get(attrs, SAGATE_XFRMA_SA_DIR, &sa->dir, 1) < 0 ||
	    attr_get(attrs, SAGATE_XFRMA_SA_PCPU, &sa->pcpu, sizeof(sa->pcpu)) < 0)
		return -EBADMSG;
	sa->xflags = (__u8)xflags;
	if (sa_sequence(attrs, sa))
		return -EBADMSG;
	c->kind = kind;
	return 0;
}

static int sa_put(const struct nlmsghdr *hdr, const char *msg, struct xfrm_change *c)
{
	struct xfrm_usersa_info info;
	enum change_kind kind;
	struct body b;

	if (body_read(hdr, msg, sizeof(info), &b))
		return -EBADMSG;
	memcpy(&info, b.data, sizeof(info));
	kind = hdr->nlmsg_type == XFRM_MSG_UPDSA ? CHANGE_SA_UPDATE : CHANGE_SA_PUT;
	if (!info.id.spi || !sa_has_key(&b.attrs))
		kind = CHANGE_NONE;
	return sa_set(&info, &b.attrs, kind, c);
}

static int sa_del(const struct nlmsghdr *hdr, const char *msg, struct xfrm_change *c)
{
	struct xfrm_usersa_info info;
	struct body b;

	if (body_read(hdr, msg, sizeof(struct xfrm_usersa_id), &b) ||
	    attr_get(&b.attrs, XFRMA_SA, &info, sizeof(info)) != 1)
		return -EBADMSG;
	return sa_set(&info, &b.attrs, CHANGE_SA_DEL, c);
}

static int sa_expire(const struct nlmsghdr *hdr, const char *msg, struct xfrm_change *c)
{
	struct xfrm_user_expire ue;
	struct body b;

	if (body_read(hdr, msg, sizeof(ue), &b))
		return -EBADMSG;
	memcpy(&ue, b.data, sizeof(ue));
	return sa_set(&ue.state, &b.attrs, ue.hard ? CHANGE_SA_EXPIRED : CHANGE_SA_SOFT_EXPIRED, c);
}

static int sa_flush(const struct nlmsghdr *hdr, const char *msg, struct xfrm_change *c)
{
	struct body b;

	if (body_read(hdr, msg, sizeof(struct xfrm_usersa_flush), &b))
		return -EBADMSG;
	c->proto = (__u8)b.data[0];
	c->kind = CHANGE_SA_FLUSH;
	return 0;
}

static int default_policy(const struct nlmsghdr *hdr, const char *msg, struct xfrm_change *c)
{
	struct xfrm_userpolicy_default d;
	struct body b;

	if (body_read(hdr, msg, sizeof(d), &b))
		return -EBADMSG;
	memcpy(&d, b.data, sizeof(d));
	c->default_block = d.out == XFRM_USERPOLICY_BLOCK;
	c->kind = CHANGE_DEFAULT;
	return 0;
}

static int parse(const struct nlmsghdr *hdr, const char *msg, struct xfrm_change *c)
{
	switch (hdr->nlmsg_type) {
	case XFRM_MSG_NEWSA:
	case XFRM_MSG_UPDSA:
		return sa_put(hdr, msg, c);
	case XFRM_MSG_DELSA:
		return sa_del(hdr, msg, c);
	case XFRM_MSG_EXPIRE:
		return sa_expire(hdr, msg, c);
	case XFRM_MSG_FLUSHSA:
		return sa_flush(hdr, msg, c);
	case XFRM_MSG_NEWPOLICY:
	case XFRM_MSG_UPDPOLICY:
		return policy_put(hdr, msg, c);
	case XFRM_MSG_DELPOLICY:
		return policy_del(hdr, msg, c);
	case XFRM_MSG_POLEXPIRE:
		return policy_expire(hdr, msg, c);
	case XFRM_MSG_FLUSHPOLICY:
		return policy_flush(hdr, msg, c);
	case XFRM_MSG_GETDEFAULT:
		return default_policy(hdr, msg, c);
	case XFRM_MSG_MIGRATE:
		c->kind = CHANGE_MIGRATE;
		return 0;
	case XFRM_MSG_MAPPING: /* a report: the SA changes when the IKE daemon updates it */
	case XFRM_MSG_NEWAE:
	case XFRM_MSG_ACQUIRE:
	case XFRM_MSG_REPORT:
		return 0;
	default:
		c->kind = hdr->nlmsg_type < NLMSG_MIN_TYPE ? CHANGE_NONE : CHANGE_UNKNOWN;
		return 0;
	}
}

int xfrm_msg_parse(const void *msg, size_t len, struct xfrm_change *change)
{
	struct xfrm_change c;
	struct nlmsghdr hdr;
	int r;

	if (len < sizeof(hdr))
		return -EBADMSG;
	memcpy(&hdr, msg, sizeof(hdr));
	if (hdr.nlmsg_len < sizeof(hdr) || hdr.nlmsg_len > len || hdr.nlmsg_len > INT_MAX)
		return -EBADMSG;
	memset(&c, 0, sizeof(c));
	r = parse(&hdr, msg, &c);
	if (r)
		return r;
	*change = c;
	return 0;
}

bool xfrm_flush_takes(__u8 flush, __u8 proto)
{
	if (!flush || flush == proto)
		return true;
	return flush == SAGATE_PROTO_ANY &&
	       (proto == IPPROTO_ESP || proto == IPPROTO_AH || proto == IPPROTO_COMP);
}
