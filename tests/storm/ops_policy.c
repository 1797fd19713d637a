// SPDX-License-Identifier: GPL-2.0-only
/* Changes of policies, and MIGRATE. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "storm.h"

#define POLICIES      500
#define MIGRANTS      8
#define MIGRANT_REQID 5000
#define INF	      ((__u64)~0ULL)

/* The i-th policy: what identifies it never changes. */
struct policy_id {
	struct xfrm_selector sel;
	__u8 dir, type;
	struct xfrm_mark mark;
	__u32 if_id;
};

static bool stands[POLICIES];

static void addresses(uint32_t i, struct xfrm_selector *sel)
{
	static const __u8 lens[] = {32, 24, 30, 16, 0, 31};

	sel->family = i % 6 == 5 ? AF_INET6 : AF_INET;
	if (sel->family == AF_INET) {
		sel->daddr.a4 = htonl(0xc6336400 + i); /* 198.51.100.0 …; host bits stay */
		sel->saddr.a4 = htonl(0xc0000201);
		sel->prefixlen_d = lens[i % 6];
		sel->prefixlen_s = i % 3 ? 32 : 24;
		return;
	}
	sel->daddr.a6[0] = sel->saddr.a6[0] = htonl(0x20010db8);
	sel->daddr.a6[3] = htonl(i);
	sel->saddr.a6[3] = htonl(1);
	sel->prefixlen_d = i % 4 ? 128 : 112;
	sel->prefixlen_s = 128;
}

static void policy_id(uint32_t i, struct policy_id *id)
{
	memset(id, 0, sizeof(*id));
	addresses(i, &id->sel);
	if (i % 4 == 1) {
		id->sel.proto = IPPROTO_TCP;
		id->sel.dport = htons((uint16_t)(i % 50 + 1));
		id->sel.dport_mask = i % 8 == 1 ? 0xffff : htons(0xff00);
	}
	/* Every policy has an identity of its own, the short prefixes too. */
	id->sel.sport = htons((uint16_t)(i / 6 + 1));
	id->sel.sport_mask = i % 9 ? 0 : 0xffff;
	id->dir = i % 11 == 10 ? XFRM_POLICY_IN : i % 23 == 22 ? XFRM_POLICY_FWD : XFRM_POLICY_OUT;
	id->type = i % 7 == 3 ? XFRM_POLICY_TYPE_SUB : XFRM_POLICY_TYPE_MAIN;
	if (i % 10 == 7)
		id->mark = (struct xfrm_mark){.v = i & 0xff, .m = 0xff};
	if (i % 17 == 5)
		id->if_id = 1 + i % 3;
}

static void template_add(struct batch *b, const struct policy_id *id, size_t n)
{
	struct xfrm_user_tmpl t[3];

	memset(t, 0, sizeof(t));
	for (size_t i = 0; i < n; i++) {
		/* xfrm_tmpl: in a chain only the last may be in another mode than transport */
		t[i].family = id->sel.family;
		t[i].mode = n == 1 && storm_chance(500) ? XFRM_MODE_TUNNEL : XFRM_MODE_TRANSPORT;
		t[i].id.proto = i % 2 ? IPPROTO_AH : IPPROTO_ESP;
		t[i].reqid = 1 + storm_below(12);
		t[i].id.spi = storm_chance(300) ? htonl(0x1000 + storm_below(300)) : 0;
		t[i].aalgos = t[i].ealgos = t[i].calgos = ~0U;
		t[i].optional = t[i].mode == XFRM_MODE_TRANSPORT && storm_chance(200);
		if (t[i].mode == XFRM_MODE_TUNNEL && id->sel.family == AF_INET) {
			t[i].id.daddr.a4 = htonl(0xc0000280 + storm_below(13));
			t[i].saddr.a4 = htonl(0xc0000201);
		}
	}
	batch_attr(b, XFRMA_TMPL, t, n * sizeof(t[0]));
}

static void identity_add(struct batch *b, const struct policy_id *id)
{
	struct xfrm_userpolicy_type type = {.type = id->type};

	batch_attr(b, XFRMA_POLICY_TYPE, &type, sizeof(type));
	if (id->mark.m)
		batch_attr(b, XFRMA_MARK, &id->mark, sizeof(id->mark));
	if (id->if_id)
		batch_attr(b, XFRMA_IF_ID, &id->if_id, sizeof(id->if_id));
}

static void policy_make(struct batch *b, const struct policy_id *id, __u16 type)
{
	struct xfrm_userpolicy_info *info = batch_add(b, type, 0, sizeof(*info));

	info->sel = id->sel;
	info->dir = id->dir;
	info->priority = 1 + storm_below(6);
	info->action = storm_chance(200) ? XFRM_POLICY_BLOCK : XFRM_POLICY_ALLOW;
	info->flags = storm_chance(100) ? XFRM_POLICY_ICMP : 0;
	info->lft.soft_byte_limit = info->lft.hard_byte_limit = INF;
	info->lft.soft_packet_limit = info->lft.hard_packet_limit = INF;
	if (storm_chance(20))
		info->lft.hard_add_expires_seconds = 3600;
	identity_add(b, id);
	if (info->action == XFRM_POLICY_ALLOW && storm_chance(800))
		template_add(b, id, 1 + storm_chance(200) + storm_chance(50));
}

void ops_policy(struct batch *b)
{
	uint32_t i = storm_below(POLICIES);
	struct xfrm_userpolicy_id *del;
	struct policy_id id;

	policy_id(i, &id);
	if (!stands[i] || storm_chance(400)) {
		policy_make(b, &id, stands[i] ? XFRM_MSG_UPDPOLICY : XFRM_MSG_NEWPOLICY);
		stands[i] = true;
		return;
	}
	del = batch_add(b, XFRM_MSG_DELPOLICY, 0, sizeof(*del));
	del->sel = id.sel;
	del->dir = id.dir;
	identity_add(b, &id);
	stands[i] = false;
}

void ops_policy_flushed(uint8_t type)
{
	struct policy_id id;

	for (uint32_t i = 0; i < POLICIES; i++) {
		policy_id(i, &id);
		if (id.type == type)
			stands[i] = false;
	}
}

void ops_policy_flush(struct batch *b)
{
	struct xfrm_userpolicy_type type = {.type = storm_chance(500) ? XFRM_POLICY_TYPE_SUB
								      : XFRM_POLICY_TYPE_MAIN};

	batch_add(b, XFRM_MSG_FLUSHPOLICY, 0, 0);
	batch_attr(b, XFRMA_POLICY_TYPE, &type, sizeof(type));
	ops_policy_flushed(type.type);
}

/* A tunnel whose far end moves between two addresses: its policy, its SA, and the moves. */
static __be32 migrant_end(uint32_t i, bool moved)
{
	return htonl(0xcb007100 + i + (moved ? 100 : 0)); /* 203.0.113.0 … */
}

static void migrant_selector(uint32_t i, struct xfrm_selector *sel)
{
	memset(sel, 0, sizeof(*sel));
	sel->family = AF_INET;
	sel->daddr.a4 = htonl(0xcb0071c8 + i); /* 203.0.113.200 … */
	sel->saddr.a4 = htonl(0xc0000201);
	sel->prefixlen_d = sel->prefixlen_s = 32;
}

static void migrant_policy(struct batch *b, uint32_t i, __be32 end)
{
	struct xfrm_userpolicy_info *p = batch_add(b, XFRM_MSG_UPDPOLICY, 0, sizeof(*p));
	struct xfrm_user_tmpl t = {.family = AF_INET, .mode = XFRM_MODE_TUNNEL};

	migrant_selector(i, &p->sel);
	p->dir = XFRM_POLICY_OUT;
	p->priority = 0; /* MIGRATE changes the policy that a flow would get */
	p->lft.soft_byte_limit = p->lft.hard_byte_limit = INF;
	p->lft.soft_packet_limit = p->lft.hard_packet_limit = INF;
	t.id.proto = IPPROTO_ESP;
	t.id.daddr.a4 = end;
	t.saddr.a4 = htonl(0xc0000201);
	t.reqid = MIGRANT_REQID + i;
	t.aalgos = t.ealgos = t.calgos = ~0U;
	batch_attr(b, XFRMA_TMPL, &t, sizeof(t));
}

static void migrant_sa(struct batch *b, uint32_t i, __be32 end)
{
	struct xfrm_usersa_info *sa = batch_add(b, XFRM_MSG_NEWSA, 0, sizeof(*sa));
	struct xfrm_algo_aead *aead;

	sa->family = AF_INET;
	sa->id.proto = IPPROTO_ESP;
	sa->id.daddr.a4 = end;
	sa->id.spi = htonl(0x8000 + i);
	sa->saddr.a4 = htonl(0xc0000201);
	sa->reqid = MIGRANT_REQID + i;
	sa->mode = XFRM_MODE_TUNNEL;
	sa->lft.soft_byte_limit = sa->lft.hard_byte_limit = INF;
	sa->lft.soft_packet_limit = sa->lft.hard_packet_limit = INF;
	aead = batch_attr(b, XFRMA_ALG_AEAD, NULL, sizeof(*aead) + 20);
	strncpy(aead->alg_name, "rfc4106(gcm(aes))", sizeof(aead->alg_name) - 1);
	aead->alg_key_len = 160;
	aead->alg_icv_len = 128;
}

void ops_migrate(struct batch *b)
{
	static bool moved[MIGRANTS];
	uint32_t i = storm_below(MIGRANTS);
	struct xfrm_user_migrate m = {.proto = IPPROTO_ESP,
				      .mode = XFRM_MODE_TUNNEL,
				      .reqid = MIGRANT_REQID + i,
				      .old_family = AF_INET,
				      .new_family = AF_INET};
	struct xfrm_userpolicy_id *id;

	/* A flush, or another namespace, may have taken them: what stands already is an error. */
	migrant_policy(b, i, migrant_end(i, moved[i]));
	migrant_sa(b, i, migrant_end(i, moved[i]));
	id = batch_add(b, XFRM_MSG_MIGRATE, 0, sizeof(*id));
	migrant_selector(i, &id->sel);
	id->dir = XFRM_POLICY_OUT;
	m.old_saddr.a4 = m.new_saddr.a4 = htonl(0xc0000201);
	m.old_daddr.a4 = migrant_end(i, moved[i]);
	m.new_daddr.a4 = migrant_end(i, !moved[i]);
	moved[i] = !moved[i];
	batch_attr(b, XFRMA_MIGRATE, &m, sizeof(m));
}
