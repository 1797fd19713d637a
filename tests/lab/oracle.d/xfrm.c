// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <linux/xfrm.h>
#include <netinet/in.h>
#include <time.h>

#include "host.h"
#include "nl.h"
#include "say.h"
#include "xfrm.h"

#define ATTR_SA_DIR  33
#define ATTR_SA_PCPU 35

static void addr_set(xfrm_address_t *to, const struct addr *from)
{
	memcpy(to, from, sizeof(*to));
}

static void sel_set(struct xfrm_selector *to, const struct sel *from)
{
	addr_set(&to->saddr, &from->src);
	addr_set(&to->daddr, &from->dst);
	to->family = (uint16_t)from->family;
	to->prefixlen_s = from->src_len;
	to->prefixlen_d = from->dst_len;
	to->proto = from->proto;
	to->sport = htons(from->sport);
	to->sport_mask = htons(from->sport_mask);
	to->dport = htons(from->dport);
	to->dport_mask = htons(from->dport_mask);
	to->ifindex = host_ifindex(from->dev);
}

static void no_limits(struct xfrm_lifetime_cfg *l)
{
	l->soft_byte_limit = l->hard_byte_limit = XFRM_INF;
	l->soft_packet_limit = l->hard_packet_limit = XFRM_INF;
}

static void put_mark(struct nl_msg *m, uint32_t mark, uint32_t mask, uint32_t if_id)
{
	struct xfrm_mark k = {.v = mark, .m = mask};

	if (mark | mask)
		nl_put(m, XFRMA_MARK, &k, sizeof(k));
	if (if_id)
		nl_put_u32(m, XFRMA_IF_ID, if_id);
}

static void tmpl_set(struct xfrm_user_tmpl *to, const struct tmpl *from)
{
	to->family = (uint16_t)from->family;
	addr_set(&to->saddr, &from->src);
	addr_set(&to->id.daddr, &from->dst);
	to->id.proto = from->proto;
	to->id.spi = htonl(from->spi);
	to->reqid = from->reqid;
	to->mode = from->mode;
	to->optional = from->optional;
	to->aalgos = to->ealgos = to->calgos = ~0U;
}

int xfrm_policy_add(const struct policy *p, bool update)
{
	struct xfrm_user_tmpl tmpls[TMPLS] = {0};
	struct xfrm_userpolicy_info info = {
		.priority = p->updated && !update ? p->prio_added : p->prio,
		.index = p->index,
		.dir = XFRM_POLICY_OUT,
		.action = p->block ? XFRM_POLICY_BLOCK : XFRM_POLICY_ALLOW};
	struct xfrm_userpolicy_type type = {.type = p->sub ? XFRM_POLICY_TYPE_SUB
							   : XFRM_POLICY_TYPE_MAIN};
	struct nl_msg m;

	sel_set(&info.sel, &p->sel);
	no_limits(&info.lft);
	nl_start(&m, update ? XFRM_MSG_UPDPOLICY : XFRM_MSG_NEWPOLICY, NLM_F_CREATE, &info,
		 sizeof(info));
	nl_put(&m, XFRMA_POLICY_TYPE, &type, sizeof(type));
	for (int i = 0; i < p->tmpls; i++)
		tmpl_set(&tmpls[i], &p->tmpl[i]);
	if (p->tmpls)
		nl_put(&m, XFRMA_TMPL, tmpls, (size_t)p->tmpls * sizeof(tmpls[0]));
	put_mark(&m, p->mark, p->mask, p->if_id);
	return nl_ask(host_xfrm_fd(), &m);
}

static void put_keys(struct nl_msg *m, const struct sa *sa)
{
	struct {
		struct xfrm_algo a;
		char key[32];
	} algo = {0};
	struct {
		struct xfrm_algo_aead a;
		char key[20];
	} aead = {0};

	if (sa->proto == IPPROTO_ESP) {
		strcpy(aead.a.alg_name, "rfc4106(gcm(aes))");
		aead.a.alg_key_len = 160;
		aead.a.alg_icv_len = 128;
		memcpy(aead.a.alg_key, &sa->spi, sizeof(sa->spi));
		nl_put(m, XFRMA_ALG_AEAD, &aead, sizeof(aead.a) + 20);
	} else if (sa->proto == IPPROTO_AH) {
		strcpy(algo.a.alg_name, "hmac(sha1)");
		algo.a.alg_key_len = 160;
		memcpy(algo.a.alg_key, &sa->spi, sizeof(sa->spi));
		nl_put(m, XFRMA_ALG_AUTH, &algo, sizeof(algo.a) + 20);
	} else {
		strcpy(algo.a.alg_name, "deflate");
		nl_put(m, XFRMA_ALG_COMP, &algo, sizeof(algo.a));
	}
}

static void info_set(struct xfrm_usersa_info *info, const struct sa *sa)
{
	addr_set(&info->saddr, &sa->src);
	addr_set(&info->id.daddr, &sa->dst);
	info->id.proto = sa->proto;
	info->id.spi = htonl(sa->spi);
	info->family = (uint16_t)sa->family;
	info->mode = sa->mode;
	info->reqid = sa->reqid;
	info->replay_window = 0;
	info->flags = (uint8_t)((sa->unspec ? XFRM_STATE_AF_UNSPEC : 0) |
				(sa->wildrecv ? XFRM_STATE_WILDRECV : 0));
	if (sa->has_sel)
		sel_set(&info->sel, &sa->sel);
	no_limits(&info->lft);
	info->lft.soft_add_expires_seconds = sa->soft;
	info->lft.hard_add_expires_seconds = sa->hard ? 1 : sa->soft ? 1000 : 0;
}

void xfrm_wait_expired(const struct sa *sa)
{
	struct timespec pause = {.tv_nsec = 20000000};
	struct xfrm_usersa_id id = {.family = (uint16_t)sa->family, .proto = sa->proto};
	struct nl_msg m;

	addr_set(&id.daddr, &sa->dst);
	id.spi = htonl(sa->spi);
	for (int i = 0; i < 500; i++) {
		nl_start(&m, XFRM_MSG_GETSA, 0, &id, sizeof(id));
		put_mark(&m, sa->mark, sa->mask, 0);
		if (nl_ask(host_xfrm_fd(), &m) == -ESRCH)
			return;
		nanosleep(&pause, NULL);
	}
	die("an SA with a lifetime of a second lives for ten");
}

int xfrm_sa_add(struct sa *sa)
{
	struct xfrm_userspi_info spi = {.min = 0x100, .max = 0xffff};
	struct xfrm_usersa_info info = {0};
	struct nl_msg m;

	info_set(&info, sa);
	if (sa->larval) {
		spi.info = info;
		spi.info.id.spi = 0;
		nl_start(&m, XFRM_MSG_ALLOCSPI, 0, &spi, sizeof(spi));
		put_mark(&m, sa->mark, sa->mask, sa->if_id);
		return nl_ask(host_xfrm_fd(), &m);
	}
	nl_start(&m, XFRM_MSG_NEWSA, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof(info));
	put_keys(&m, sa);
	put_mark(&m, sa->mark, sa->mask, sa->if_id);
	if (sa->dir)
		nl_put(&m, ATTR_SA_DIR, &sa->dir, 1);
	if (sa->pcpu != PCPU_ANY)
		nl_put_u32(&m, ATTR_SA_PCPU, sa->pcpu);
	return nl_ask(host_xfrm_fd(), &m);
}

int xfrm_default(bool block)
{
	struct xfrm_userpolicy_default d = {.in = XFRM_USERPOLICY_ACCEPT,
					    .fwd = XFRM_USERPOLICY_ACCEPT};
	struct nl_msg m;

	d.out = block ? XFRM_USERPOLICY_BLOCK : XFRM_USERPOLICY_ACCEPT;
	nl_start(&m, XFRM_MSG_SETDEFAULT, 0, &d, sizeof(d));
	return nl_ask(host_xfrm_fd(), &m);
}

void xfrm_flush(void)
{
	struct xfrm_usersa_flush all = {0};
	struct nl_msg m;

	for (uint8_t t = XFRM_POLICY_TYPE_MAIN; t <= XFRM_POLICY_TYPE_SUB; t++) {
		struct xfrm_userpolicy_type type = {.type = t};
		int err;

		nl_start(&m, XFRM_MSG_FLUSHPOLICY, 0, NULL, 0);
		nl_put(&m, XFRMA_POLICY_TYPE, &type, sizeof(type));
		err = nl_ask(host_xfrm_fd(), &m);
		if (err && err != -ESRCH)
			die("flushing policies: %s", strerror(-err));
	}
	nl_start(&m, XFRM_MSG_FLUSHSA, 0, &all, sizeof(all));
	nl_ask(host_xfrm_fd(), &m);
}

static const char *mode_name(uint8_t mode)
{
	return mode == XFRM_MODE_TRANSPORT ? "transport"
	       : mode == XFRM_MODE_TUNNEL  ? "tunnel"
	       : mode == XFRM_MODE_BEET	   ? "beet"
					   : "other";
}

static const char *proto_name(uint8_t proto)
{
	return proto == IPPROTO_ESP ? "esp" : proto == IPPROTO_AH ? "ah" : "comp";
}

static void sel_print(FILE *out, const struct sel *s)
{
	char a[ADDR_TEXT], b[ADDR_TEXT];

	fprintf(out, "src %s/%u dst %s/%u", addr_text(s->family, &s->src, a), s->src_len,
		addr_text(s->family, &s->dst, b), s->dst_len);
	if (s->proto)
		fprintf(out, " proto %u", s->proto);
	if (s->sport_mask)
		fprintf(out, " sport %u/%#x", s->sport, s->sport_mask);
	if (s->dport_mask)
		fprintf(out, " dport %u/%#x", s->dport, s->dport_mask);
	if (s->dev)
		fprintf(out, " dev %s", host_dev(s->dev));
}

static void mark_print(FILE *out, uint32_t mark, uint32_t mask, uint32_t if_id)
{
	if (mark | mask)
		fprintf(out, " mark %#x mask %#x", mark, mask);
	if (if_id)
		fprintf(out, " if_id %#x", if_id);
}

void xfrm_policy_print(FILE *out, const struct policy *p)
{
	char a[ADDR_TEXT], b[ADDR_TEXT];

	fputs("policy ", out);
	sel_print(out, &p->sel);
	fprintf(out, " dir out%s priority %u action %s", p->sub ? " ptype sub" : "", p->prio,
		p->block ? "block" : "allow");
	if (p->index)
		fprintf(out, " index %u", p->index);
	if (p->updated)
		fprintf(out, " (updated, had priority %u)", p->prio_added);
	mark_print(out, p->mark, p->mask, p->if_id);
	for (int i = 0; i < p->tmpls; i++) {
		const struct tmpl *t = &p->tmpl[i];

		fprintf(out, " tmpl src %s dst %s proto %s spi %#x reqid %u mode %s%s",
			addr_text(t->family, &t->src, a), addr_text(t->family, &t->dst, b),
			proto_name(t->proto), t->spi, t->reqid, mode_name(t->mode),
			t->optional ? " level use" : "");
	}
	fputc('\n', out);
}

void xfrm_sa_print(FILE *out, const struct sa *sa)
{
	char a[ADDR_TEXT], b[ADDR_TEXT];

	fprintf(out, "state src %s dst %s proto %s spi %#x reqid %u mode %s",
		addr_text(sa->family, &sa->src, a), addr_text(sa->family, &sa->dst, b),
		proto_name(sa->proto), sa->spi, sa->reqid, mode_name(sa->mode));
	mark_print(out, sa->mark, sa->mask, sa->if_id);
	if (sa->has_sel) {
		fputs(" sel ", out);
		sel_print(out, &sa->sel);
	}
	if (sa->dir)
		fprintf(out, " dir %s", sa->dir == 1 ? "in" : "out");
	if (sa->pcpu != PCPU_ANY)
		fprintf(out, " pcpu-num %u", sa->pcpu);
	fprintf(out, "%s%s", sa->soft ? " soft-expired" : "", sa->hard ? " hard-expired" : "");
	fprintf(out, "%s%s%s\n", sa->unspec ? " flag af-unspec" : "", sa->larval ? " larval" : "",
		sa->wildrecv ? " flag wildrecv" : "");
}
