// SPDX-License-Identifier: GPL-2.0-only
/* Changes of SAs. What should stand is kept track of only so that most requests change something.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "storm.h"

#define SAS	   600
#define INF	   ((__u64)~0ULL)
#define LARVAL_SPI 0xf0000000U

uint64_t storm_seed;

/* splitmix64 */
uint32_t storm_random(void)
{
	uint64_t z = storm_seed += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return (uint32_t)(z ^ z >> 31);
}

uint32_t storm_below(uint32_t n)
{
	return storm_random() % n;
}

bool storm_chance(unsigned int of_thousand)
{
	return storm_below(1000) < of_thousand;
}

/* The i-th SA: its identity never changes, all else may each time it is made. */
struct sa_id {
	__u16 family;
	__u8 proto;
	xfrm_address_t daddr;
	__be32 spi;
	struct xfrm_mark mark;
};

static bool stands[SAS];

static void sa_id(uint32_t i, struct sa_id *id)
{
	memset(id, 0, sizeof(*id));
	id->family = i % 5 == 4 ? AF_INET6 : AF_INET;
	id->proto = i % 7 == 6 ? IPPROTO_AH : IPPROTO_ESP;
	if (id->family == AF_INET) {
		id->daddr.a4 = htonl(0xc0000280 + i % 13); /* 192.0.2.128 … */
	} else {
		id->daddr.a6[0] = htonl(0x20010db8);
		id->daddr.a6[3] = htonl(0x100 + i % 13);
	}
	id->spi = htonl(0x1000 + i / 2);
	/* Pairs with the same address and SPI that only the mark tells apart. */
	if (i % 2)
		id->mark = (struct xfrm_mark){.v = i % 16, .m = 0xff};
}

static void lifetimes(struct xfrm_usersa_info *info, bool brief)
{
	info->lft.soft_byte_limit = info->lft.hard_byte_limit = INF;
	info->lft.soft_packet_limit = info->lft.hard_packet_limit = INF;
	if (brief) {
		info->lft.hard_add_expires_seconds = 1 + storm_below(2);
	} else if (storm_chance(400)) {
		info->lft.hard_add_expires_seconds = 3600 + storm_below(3600);
		info->lft.soft_add_expires_seconds = 1800 + storm_below(1800);
		info->lft.hard_byte_limit = 1000000 + storm_below(1000000);
		info->lft.hard_packet_limit = storm_chance(500) ? INF : 5000000;
	}
}

static void attr_alg(struct batch *b, __u16 type, const char *name, __u32 bits)
{
	struct xfrm_algo *a = batch_attr(b, type, NULL, sizeof(*a) + bits / 8);

	strncpy(a->alg_name, name, sizeof(a->alg_name) - 1);
	a->alg_key_len = bits;
	for (__u32 i = 0; i < bits / 8; i++)
		a->alg_key[i] = (char)storm_random();
}

/* The cheapest algorithms there are: what is tried is the SAD, not its ciphers. */
static void algorithms(struct batch *b, __u8 proto)
{
	if (proto == IPPROTO_AH)
		attr_alg(b, XFRMA_ALG_AUTH, "hmac(sha1)", 160);
	else
		attr_alg(b, XFRMA_ALG_CRYPT, "ecb(cipher_null)", 0);
}

static void sa_make(struct batch *b, uint32_t i, __u16 type, bool brief)
{
	struct xfrm_usersa_info *info = batch_add(b, type, 0, sizeof(*info));
	struct sa_id id;
	__u32 if_id;

	sa_id(i, &id);
	info->family = id.family;
	info->id.proto = id.proto;
	info->id.daddr = id.daddr;
	info->id.spi = id.spi;
	if (id.family == AF_INET) {
		info->saddr.a4 = htonl(storm_chance(50) ? 0 : 0xc0000201);
	} else {
		info->saddr.a6[0] = htonl(0x20010db8);
		info->saddr.a6[3] = htonl(1);
	}
	info->reqid = 1 + storm_below(12);
	info->mode = storm_chance(500) ? XFRM_MODE_TUNNEL : XFRM_MODE_TRANSPORT;
	info->replay_window = storm_chance(500) ? 32 : 0;
	if (storm_chance(60))
		info->flags |= XFRM_STATE_WILDRECV;
	if (storm_chance(200)) {
		info->sel.family = id.family;
		info->sel.proto = storm_chance(500) ? IPPROTO_UDP : IPPROTO_TCP;
		info->sel.dport = htons((uint16_t)(1 + storm_below(1000)));
		info->sel.dport_mask = 0xffff;
	}
	lifetimes(info, brief);
	algorithms(b, id.proto);
	if (id.mark.m)
		batch_attr(b, XFRMA_MARK, &id.mark, sizeof(id.mark));
	if (storm_chance(100)) {
		if_id = 1 + storm_below(3);
		batch_attr(b, XFRMA_IF_ID, &if_id, sizeof(if_id));
	}
}

static void sa_delete(struct batch *b, uint32_t i)
{
	struct xfrm_usersa_id *del = batch_add(b, XFRM_MSG_DELSA, 0, sizeof(*del));
	struct sa_id id;

	sa_id(i, &id);
	del->family = id.family;
	del->proto = id.proto;
	del->daddr = id.daddr;
	del->spi = id.spi;
	if (id.mark.m)
		batch_attr(b, XFRMA_MARK, &id.mark, sizeof(id.mark));
	stands[i] = false;
}

/* A larval SA that nobody completes. */
static void sa_allocspi(struct batch *b)
{
	struct xfrm_userspi_info *ask = batch_add(b, XFRM_MSG_ALLOCSPI, 0, sizeof(*ask));

	ask->info.family = AF_INET;
	ask->info.id.proto = IPPROTO_ESP;
	ask->info.id.daddr.a4 = htonl(0xc0000280 + storm_below(13));
	ask->info.saddr.a4 = htonl(0xc0000201);
	ask->info.reqid = 1 + storm_below(12);
	ask->info.mode = XFRM_MODE_TRANSPORT;
	ask->min = LARVAL_SPI;
	ask->max = LARVAL_SPI + 0xffff;
	b->sent--; /* answered, and no change that counts */
}

static void sa_flush(struct batch *b, __u8 proto)
{
	struct xfrm_usersa_flush *f = batch_add(b, XFRM_MSG_FLUSHSA, 0, sizeof(*f));
	struct sa_id id;

	f->proto = proto;
	for (uint32_t i = 0; i < SAS; i++) {
		sa_id(i, &id);
		if (proto == STORM_PROTO_ANY || proto == id.proto)
			stands[i] = false;
	}
}

static void sa_change(struct batch *b, unsigned int kinds)
{
	uint32_t i = storm_below(SAS);

	if (storm_chance(10)) {
		sa_allocspi(b);
	} else if (!stands[i]) {
		sa_make(b, i, XFRM_MSG_NEWSA, kinds & KIND_SHORT && storm_chance(100));
		stands[i] = true;
	} else if (storm_chance(300)) {
		sa_make(b, i, XFRM_MSG_UPDSA, false);
	} else {
		sa_delete(b, i);
	}
}

static void set_default(struct batch *b)
{
	struct xfrm_userpolicy_default *d = batch_add(b, XFRM_MSG_SETDEFAULT, 0, sizeof(*d));

	d->in = d->fwd = XFRM_USERPOLICY_ACCEPT;
	d->out = storm_chance(500) ? XFRM_USERPOLICY_BLOCK : XFRM_USERPOLICY_ACCEPT;
}

static void flush(struct batch *b)
{
	static const __u8 protos[] = {IPPROTO_ESP, IPPROTO_AH, STORM_PROTO_ANY};

	if (storm_chance(500))
		ops_policy_flush(b);
	else
		sa_flush(b, protos[storm_below(3)]);
}

void ops_one(struct batch *b, unsigned int kinds)
{
	if (kinds & KIND_FLUSH && storm_chance(1))
		flush(b);
	else if (kinds & KIND_DEFAULT && storm_chance(5))
		set_default(b);
	else if (kinds & KIND_MIGRATE && storm_chance(20))
		ops_migrate(b);
	else if (!(kinds & KIND_SA) || (kinds & KIND_POLICY && storm_chance(500)))
		ops_policy(b);
	else
		sa_change(b, kinds);
}

void ops_clear(struct batch *b)
{
	struct xfrm_userpolicy_default *d;

	sa_flush(b, STORM_PROTO_ANY);
	for (uint8_t type = XFRM_POLICY_TYPE_MAIN; type <= XFRM_POLICY_TYPE_SUB; type++) {
		struct xfrm_userpolicy_type t = {.type = type};

		batch_add(b, XFRM_MSG_FLUSHPOLICY, 0, 0);
		batch_attr(b, XFRMA_POLICY_TYPE, &t, sizeof(t));
		ops_policy_flushed(type);
	}
	d = batch_add(b, XFRM_MSG_SETDEFAULT, 0, sizeof(*d));
	d->in = d->fwd = d->out = XFRM_USERPOLICY_ACCEPT;
	batch_send(b);
}
