// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <uthash.h>

#include "boot_time.h"
#include "json_util.h"
#include "log.h"
#include "requirements.h"

/*
 * In the index of what the configuration asks for: the next daemon reads the configuration itself
 * and adopts only the rest.
 */
#define INDEX_CONFIG 0x80000000U

struct entry {
	UT_hash_handle hh;
	struct requirement r; /* key: index */
};

struct requirements {
	struct spd *spd;
	struct entry *entries;
	__u32 last_index;
};

const char *requirement_source_name(enum requirement_source source)
{
	static const char *const names[] = {
#define X(id, name) [REQUIREMENT_##id] = name,
		REQUIREMENT_SOURCES(X)
#undef X
	};

	return names[source];
}

int requirements_new(struct spd *spd, struct requirements **out)
{
	struct requirements *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->spd = spd;
	*out = r;
	return 0;
}

void requirements_free(struct requirements *r)
{
	struct entry *e, *next;

	if (!r)
		return;
	HASH_ITER(hh, r->entries, e, next) {
		HASH_DEL(r->entries, e);
		free(e);
	}
	free(r);
}

/*
 * More specific first: the destination's length counts most, then the source's, then protocol and
 * ports.
 */
static __u32 rank(const struct requirement *r)
{
	__u32 upper = !!r->proto + __builtin_popcount(r->dport_mask) +
		      __builtin_popcount(r->sport_mask); /* at most 33 */

	return (1U << 21) - ((r->to.len * 129U + r->from.len) * 64 + upper);
}

static void make_policy(const struct requirement *r, struct policy_info *p)
{
	memset(p, 0, sizeof(*p));
	memcpy(p->sel.saddr, r->from.addr, sizeof(p->sel.saddr));
	memcpy(p->sel.daddr, r->to.addr, sizeof(p->sel.daddr));
	p->sel.src_len = r->from.family ? r->from.len : 0;
	p->sel.dst_len = r->to.family ? r->to.len : 0;
	p->sel.sport = r->sport;
	p->sel.sport_mask = r->sport_mask;
	p->sel.dport = r->dport;
	p->sel.dport_mask = r->dport_mask;
	p->sel.family = r->family;
	p->sel.proto = r->proto;
	p->index = r->index;
	p->unplaced = 1; /* on a tie the one that asks for protection counts */
	p->priority = rank(r);
	p->action = r->exempt ? XFRM_POLICY_ALLOW : XFRM_POLICY_BLOCK;
}

static bool same(const struct requirement *a, const struct requirement *b)
{
	return a->source == b->source && a->exempt == b->exempt && a->family == b->family &&
	       a->proto == b->proto && a->sport == b->sport && a->sport_mask == b->sport_mask &&
	       a->dport == b->dport && a->dport_mask == b->dport_mask &&
	       prefix_equal(&a->from, &b->from) && prefix_equal(&a->to, &b->to) &&
	       !strcmp(a->name, b->name) && !strcmp(a->child, b->child);
}

void requirements_begin(struct requirements *r, enum requirement_source source)
{
	struct entry *e, *next;

	HASH_ITER(hh, r->entries, e, next)
		if (e->r.source == source)
			e->r.seen = false;
}

static int add(struct requirements *r, const struct requirement *one, __u32 index)
{
	struct entry *e = calloc(1, sizeof(*e));
	struct policy_info p;
	int err;

	if (!e)
		return -ENOMEM;
	e->r = *one;
	e->r.gone = 0;
	e->r.index = index;
	e->r.seen = true;
	make_policy(&e->r, &p);
	err = spd_put(r->spd, CLASS_REQUIRE, &p);
	if (err < 0) {
		free(e);
		return err;
	}
	HASH_ADD(hh, r->entries, r.index, sizeof(e->r.index), e);
	return 0;
}

int requirements_set(struct requirements *r, const struct requirement *one)
{
	struct entry *e, *next;
	__u32 origin;

	if (one->family != AF_INET && one->family != AF_INET6)
		return -EINVAL;
	HASH_ITER(hh, r->entries, e, next)
		if (!e->r.seen && same(&e->r, one)) {
			e->r.seen = true;
			e->r.gone = 0;
			return 0;
		}
	origin = one->source == REQUIREMENT_CONFIG ? INDEX_CONFIG : 0;
	do
		r->last_index = (r->last_index + 1) & ~INDEX_CONFIG;
	while (!r->last_index || requirements_find(r, r->last_index | origin));
	return add(r, one, r->last_index | origin);
}

void requirements_end(struct requirements *r, enum requirement_source source)
{
	struct entry *e, *next;

	HASH_ITER(hh, r->entries, e, next) {
		if (e->r.source != source || e->r.seen)
			continue;
		spd_del(r->spd, CLASS_REQUIRE, e->r.index);
		HASH_DEL(r->entries, e);
		free(e);
	}
}

void requirements_gone(struct requirements *r)
{
	struct entry *e, *next;

	HASH_ITER(hh, r->entries, e, next)
		if (!e->r.gone && (e->r.source == REQUIREMENT_ADOPTED ||
				   (e->r.source == REQUIREMENT_IKE && !e->r.seen)))
			e->r.gone = boot_ns();
}

void requirements_expire(struct requirements *r)
{
	struct entry *e, *next;
	uint64_t now = boot_ns();

	HASH_ITER(hh, r->entries, e, next) {
		if (!e->r.gone || now - e->r.gone < REQUIREMENT_LINGER_NS)
			continue;
		log_info("requirement %s is no longer in force: the IKE daemon does not have it",
			 e->r.name);
		spd_del(r->spd, CLASS_REQUIRE, e->r.index);
		/* it is in there: NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
		HASH_DEL(r->entries, e);
		free(e);
	}
}

static int adopt_one(struct requirements *r, const struct spd_key *key,
		     const struct spd_value *value)
{
	struct requirement one = {.source = REQUIREMENT_ADOPTED};

	if (value->index & INDEX_CONFIG)
		return 0;
	if (value->index > r->last_index)
		r->last_index = value->index;
	one.exempt = !value->block;
	one.family = key->family;
	one.proto = key->proto;
	one.sport = key->sport;
	one.sport_mask = key->sport_mask;
	one.dport = key->dport;
	one.dport_mask = key->dport_mask;
	one.from.family = one.to.family = key->family;
	one.from.len = key->src_len;
	one.to.len = key->dst_len;
	memcpy(one.from.addr, key->saddr, sizeof(one.from.addr));
	memcpy(one.to.addr, key->daddr, sizeof(one.to.addr));
	snprintf(one.name, sizeof(one.name), "adopted-%u", value->index);
	return requirements_find(r, value->index) ? 0 : add(r, &one, value->index);
}

struct adoption {
	struct requirements *r;
	__u32 space;
	int err;
};

static int adopt_each(void *ctx, const struct spd_key *key, const struct spd_value *value)
{
	struct adoption *a = ctx;

	if (key->space == a->space && key->class == CLASS_REQUIRE)
		a->err = adopt_one(a->r, key, value);
	return a->err;
}

int requirements_adopt(struct requirements *r, const struct bpf *b, __u32 space)
{
	struct adoption a = {.r = r, .space = space};
	int err = bpf_spd_each(b, adopt_each, &a);

	return err ? err : a.err;
}

const struct requirement *requirements_find(const struct requirements *r, __u32 index)
{
	struct entry *e;

	HASH_FIND(hh, r->entries, &index, sizeof(index), e);
	return e ? &e->r : NULL;
}

size_t requirements_count(const struct requirements *r)
{
	return HASH_COUNT(r->entries);
}

static json_t *prefix_json(const struct prefix *p)
{
	char text[UNITS_TEXT];

	return p->family ? json_string(prefix_format(p, text, sizeof(text))) : json_null();
}

static json_t *port_json(__be16 port, __be16 mask)
{
	char text[UNITS_TEXT];

	if (!mask)
		return json_null();
	if (mask == 0xffff)
		return json_integer(ntohs(port));
	return json_string(ports_format(port, mask, text, sizeof(text)));
}

static json_t *one_json(const struct requirement *r, const char *space)
{
	char proto[UNITS_TEXT];
	json_t *o =
		json_pack("{s:s s:s s:s s:b}", "name", r->name, "source",
			  requirement_source_name(r->source), "space", space, "exempt", r->exempt);

	if (!o)
		return NULL;
	json_object_set_new(o, "to", prefix_json(&r->to));
	json_object_set_new(o, "from", prefix_json(&r->from));
	json_object_set_new(o, "proto",
			    r->proto ? json_string(proto_format(r->proto, proto, sizeof(proto)))
				     : json_null());
	json_object_set_new(o, "port", port_json(r->dport, r->dport_mask));
	json_object_set_new(o, "sport", port_json(r->sport, r->sport_mask));
	json_object_set_new(o, "child", r->child[0] ? json_string(r->child) : json_null());
	return o;
}

json_t *requirements_to_json(const struct requirements *r, const char *space)
{
	json_t *list = json_array();
	struct entry *e, *next;

	HASH_ITER(hh, r->entries, e, next)
		json_array_append_new(list, one_json(&e->r, space));
	return list;
}
