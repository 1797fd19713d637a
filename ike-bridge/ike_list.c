// SPDX-License-Identifier: GPL-2.0-only
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* tdestroy, twalk_r */
#endif

#include "ike_list.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

enum { WINDOW = 8, REQIDS_MAX = 4 * IKE_CHILDREN_MAX };

static void free_conns(struct ike_conn **conns, size_t n)
{
	for (size_t i = 0; i < n; i++)
		ike_conn_unref(conns[i]);
	free(conns);
}

void ike_list_free(struct ike_list *l)
{
	free_conns(l->conns, l->nconns);
	free(l->children);
	free(l->slots);
	tdestroy(l->reqids, free);
	*l = (struct ike_list){};
}

void ike_build_free(struct ike_build *b)
{
	free_conns(b->conns, b->nconns);
	*b = (struct ike_build){};
}

static int grow(struct ike_build *b)
{
	size_t size = b->conns_size ? b->conns_size * 2 : 64;
	struct ike_conn **conns;

	if (b->nconns < b->conns_size)
		return 0;
	conns = reallocarray(b->conns, size, sizeof(*conns));
	if (!conns)
		return -ENOMEM;
	b->conns = conns;
	b->conns_size = size;
	return 0;
}

/* The old list's connection made of the same message, if it is about where it was. */
static struct ike_conn *find_old(struct ike_build *b, const struct ike_list *old, uint64_t hash)
{
	for (size_t i = 0; i < WINDOW && b->cursor + i < old->nconns; i++) {
		if (old->conns[b->cursor + i]->hash == hash) {
			b->cursor += i + 1;
			return ike_conn_ref(old->conns[b->cursor - 1]);
		}
	}
	return NULL;
}

int ike_build_add(struct ike_build *b, const struct ike_list *old, const void *msg, size_t len,
		  const struct ts_names *names)
{
	struct ike_conn *conn;
	int err = grow(b);

	if (err)
		return err;
	conn = find_old(b, old, ike_conn_hash(msg, len));
	if (!conn) {
		err = ike_conn_parse(msg, len, names, &conn);
		if (err)
			return err;
	}
	b->nchildren += conn->n;
	b->memory += conn->mem.total + sizeof(*conn) + sizeof(conn);
	if (b->nchildren > IKE_CHILDREN_MAX || b->memory > IKE_MEMORY_MAX ||
	    b->nconns == IKE_CHILDREN_MAX) {
		ike_conn_unref(conn);
		return -E2BIG;
	}
	if (b->same == b->nconns && b->nconns < old->nconns && old->conns[b->nconns] == conn)
		b->same++;
	b->conns[b->nconns++] = conn;
	return 0;
}

static uint32_t hash_of(struct vici_str conn, struct vici_str name)
{
	uint64_t h = ike_conn_hash(conn.p, conn.len) * 31 + ike_conn_hash(name.p, name.len);

	return h ^ h >> 32;
}

static struct vici_str str(const char *s)
{
	return (struct vici_str){s, strlen(s)};
}

static void fill_slots(struct ike_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		struct ike_child *c = &l->children[i];
		uint32_t at = hash_of(str(c->conn), str(c->name));

		while (l->slots[at & (l->nslots - 1)])
			at++;
		l->slots[at & (l->nslots - 1)] = i + 1;
	}
}

int64_t ike_list_lookup(const struct ike_list *l, struct vici_str conn, struct vici_str name)
{
	uint32_t at = hash_of(conn, name), slot;

	if (!l->nslots)
		return -1;
	for (; (slot = l->slots[at & (l->nslots - 1)]); at++) {
		const struct ike_child *c = &l->children[slot - 1];

		if (vici_str_is(conn, c->conn) && vici_str_is(name, c->name))
			return slot - 1;
	}
	return -1;
}

/* The arrays of a list out of a build; the build keeps its own. */
static int lay_out(struct ike_list *l, const struct ike_build *b)
{
	l->nslots = 16;
	while (l->nslots < b->nchildren * 2)
		l->nslots *= 2;
	l->children = calloc(b->nchildren + 1, sizeof(*l->children));
	l->slots = calloc(l->nslots, sizeof(*l->slots));
	if (!l->children || !l->slots)
		return -ENOMEM;
	for (size_t i = 0; i < b->nconns; i++) {
		memcpy(l->children + l->n, b->conns[i]->children,
		       b->conns[i]->n * sizeof(*l->children));
		l->n += b->conns[i]->n;
	}
	fill_slots(l);
	return 0;
}

struct carrying {
	struct ike_list *to;
	const struct ike_list *from;
};

static void carry_reqid(const void *node, VISIT visit, void *ctx)
{
	const struct ike_reqid *r = *(const struct ike_reqid *const *)node;
	const struct carrying *c = ctx;
	const struct ike_child *child = &c->from->children[r->child];
	int64_t at;

	if (visit != postorder && visit != leaf) /* in the order of the reqids */
		return;
	at = ike_list_lookup(c->to, str(child->conn), str(child->name));
	if (at >= 0)
		ike_list_learn(c->to, at, r->reqid);
}

/* What was known of reqids and traps, for the children that are still there. */
static void carry_over(struct ike_list *l, const struct ike_list *old)
{
	for (size_t i = 0; i < old->n; i++) {
		const struct ike_child *c = &old->children[i];
		int64_t at = ike_list_lookup(l, str(c->conn), str(c->name));

		if (at < 0)
			continue;
		l->children[at].installed = c->installed;
		l->children[at].reqid = c->reqid;
	}
	twalk_r(old->reqids, carry_reqid, &(struct carrying){.to = l, .from = old});
}

int ike_list_take(struct ike_list *l, struct ike_build *b)
{
	struct ike_list fresh = {};

	if (l->nslots && b->same == b->nconns && b->nconns == l->nconns) {
		ike_build_free(b);
		return 0;
	}
	if (lay_out(&fresh, b) < 0) {
		ike_list_free(&fresh);
		return -ENOMEM;
	}
	carry_over(&fresh, l);
	fresh.conns = b->conns;
	fresh.nconns = b->nconns;
	*b = (struct ike_build){};
	ike_list_free(l);
	*l = fresh;
	return 1;
}

static int compare(const void *a, const void *b)
{
	const struct ike_reqid *x = a, *y = b;

	return x->reqid < y->reqid ? -1 : x->reqid > y->reqid;
}

/* A tree, for the daemon chooses how many there are, and which. */
static struct ike_reqid *find(const struct ike_list *l, uint32_t reqid)
{
	struct ike_reqid key = {.reqid = reqid}, *const * node;

	node = tfind(&key, &l->reqids, compare);
	return node ? *node : NULL;
}

int64_t ike_list_by_reqid(const struct ike_list *l, uint32_t reqid)
{
	const struct ike_reqid *r = reqid ? find(l, reqid) : NULL;

	return r ? (int64_t)r->child : -1;
}

/* Without memory its selectors find it. */
static bool insert(struct ike_list *l, uint32_t reqid, size_t child)
{
	struct ike_reqid *r;

	if (l->nreqids == REQIDS_MAX)
		return false;
	r = malloc(sizeof(*r));
	if (!r)
		return false;
	*r = (struct ike_reqid){.reqid = reqid, .child = child};
	if (!tsearch(r, &l->reqids, compare)) {
		free(r);
		return false;
	}
	l->nreqids++;
	return true;
}

bool ike_list_learn(struct ike_list *l, size_t child, uint32_t reqid)
{
	struct ike_reqid *r = find(l, reqid);
	bool seen = false;

	if (!reqid)
		return false;
	if (!r) {
		if (!insert(l, reqid, child))
			return false;
	} else if (r->child != child) {
		struct ike_child *loser = &l->children[r->child];

		if (loser->reqid == reqid) {
			loser->reqid = 0;
			seen = true;
		}
		r->child = child;
	}
	if (l->children[child].reqid)
		return seen;
	l->children[child].reqid = reqid;
	return true;
}

bool ike_list_unlearn(struct ike_list *l, size_t child, uint32_t reqid)
{
	struct ike_reqid *r = find(l, reqid);

	if (!r || r->child != child || l->children[child].installed)
		return false;
	tdelete(r, &l->reqids, compare);
	free(r);
	l->nreqids--;
	if (l->children[child].reqid != reqid)
		return false;
	l->children[child].reqid = 0;
	return true;
}

void ike_list_forget(struct ike_list *l)
{
	tdestroy(l->reqids, free);
	l->reqids = NULL;
	l->nreqids = 0;
	for (size_t i = 0; i < l->n; i++) {
		l->children[i].reqid = 0;
		l->children[i].installed = false;
	}
}
