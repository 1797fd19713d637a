// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a comparison finds, and for whom. It is the same mark, dumps and sweep as every snapshot
 * (why that is right: mirror_snapshot.c), so what the dumps and the sweep change is what differed.
 * With one exception: a part of a dump may be newer than the event of what it lists, which is then
 * still in the queue. So nothing is a difference until the queue has been read empty.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "boot_time.h"
#include "mirror_internal.h"
#include "xfrm_fields.h"

/* One entry that a dump had otherwise. */
struct found {
	struct mhash_node by_id;
	enum change_kind kind; /* SA_PUT, POLICY_PUT or DEFAULT */
	bool in_mirror;
	/* Of an SA; several with marks may share it. */
	__be32 daddr[4], spi;
	__u8 family, proto;
	enum spd_class class; /* of a policy, with its index */
	__u32 index;
	char *name, *fields; /* NULL unless somebody wants to know */
};

int mirror_compare(struct mirror *m, const struct mirror_compare_ops *ops, void *ctx)
{
	if (m->compare)
		return -EBUSY;
	m->compare = ops;
	m->compare_ctx = ctx;
	/* One that runs may have read already what has changed before it was asked: it ends first.
	 */
	return m->phase == PHASE_IDLE ? mirror_snapshot_at(m, 0) : 0;
}

void mirror_compare_stop(struct mirror *m)
{
	m->compare = NULL;
	m->telling = false;
}

bool mirror_compare_end(struct mirror *m)
{
	const struct mirror_compare_ops *ops = m->compare;

	if (!ops)
		return false;
	if (!m->telling) /* a resync, or begun before it was asked */
		return true;
	mirror_compare_stop(m);
	ops->done(m->compare_ctx);
	return m->compare;
}

static void found_free(struct mirror *m, struct found *f)
{
	mhash_del(&m->found, &f->by_id);
	free(f->name);
	free(f->fields);
	free(f);
}

void mirror_found_begin(struct mirror *m)
{
	mhash_foreach(&m->found, i, n, tmp) found_free(m, mhash_entry(n, struct found, by_id));
	mhash_free(&m->found);
	m->telling = m->compare && m->comparing;
}

/* What an entry is told by, in a dump as in an event. */
static void identify(struct found *f, const struct xfrm_change *c)
{
	switch (c->kind) {
	case CHANGE_SA_PUT:
	case CHANGE_SA_UPDATE:
	case CHANGE_SA_DEL:
	case CHANGE_SA_EXPIRED:
		f->kind = CHANGE_SA_PUT;
		memcpy(f->daddr, c->sa.daddr, sizeof(f->daddr));
		f->spi = c->sa.spi;
		f->family = c->sa.family;
		f->proto = c->sa.proto;
		break;
	case CHANGE_POLICY_PUT:
	case CHANGE_POLICY_DEL:
	case CHANGE_POLICY_EXPIRED:
		f->kind = CHANGE_POLICY_PUT;
		f->class = spd_class_of(c->policy.type);
		f->index = c->policy.index;
		break;
	default:
		f->kind = CHANGE_DEFAULT;
		break;
	}
}

static bool same(const struct found *a, const struct found *b)
{
	return a->kind == b->kind && a->spi == b->spi && a->family == b->family &&
	       a->proto == b->proto && !memcmp(a->daddr, b->daddr, sizeof(a->daddr)) &&
	       a->class == b->class && a->index == b->index;
}

static __u32 hash(const struct found *f)
{
	return mhash_mix(f->spi ^ f->index, f->daddr, sizeof(f->daddr));
}

static void drop_flushed(struct mirror *m, const struct xfrm_change *c)
{
	mhash_foreach(&m->found, i, n, tmp)
	{
		struct found *f = mhash_entry(n, struct found, by_id);

		if (c->kind == CHANGE_SA_FLUSH
			    ? f->kind == CHANGE_SA_PUT && xfrm_flush_takes(c->proto, f->proto)
			    : f->kind == CHANGE_POLICY_PUT && f->class == spd_class_of(c->type))
			found_free(m, f);
	}
}

void mirror_found_touched(struct mirror *m, const struct xfrm_change *c)
{
	struct found id = {0};
	struct mhash_node *n, *next;

	if (!m->found.count || c->kind == CHANGE_NONE || c->kind == CHANGE_UNKNOWN ||
	    c->kind == CHANGE_SA_SOFT_EXPIRED || c->kind == CHANGE_MIGRATE)
		return;
	if (c->kind == CHANGE_SA_FLUSH || c->kind == CHANGE_POLICY_FLUSH) {
		drop_flushed(m, c);
		return;
	}
	identify(&id, c);
	for (n = mhash_first(&m->found, hash(&id)); n; n = next) {
		next = mhash_next(n);
		if (same(&id, mhash_entry(n, struct found, by_id)))
			found_free(m, mhash_entry(n, struct found, by_id));
	}
}

/* Whole policies are as long as their templates: never more is read. */
static void policy_copy(struct policy_info *to, const struct policy_info *from)
{
	memcpy(to, from, offsetof(struct policy_info, tmpl));
	memcpy(to->tmpl, from->tmpl, from->tmpl_count * sizeof(from->tmpl[0]));
}

void mirror_found_before(const struct mirror *m, const struct xfrm_change *c,
			 struct xfrm_change *before)
{
	const struct policy_info *policy = NULL;
	const struct sa_info *sa = NULL;

	before->kind = CHANGE_NONE;
	if (!m->comparing)
		return;
	if (c->kind == CHANGE_SA_PUT)
		sa = sad_find(m->sad, &c->sa);
	else if (c->kind == CHANGE_POLICY_PUT && spd_class_of(c->policy.type) != CLASS_COUNT)
		policy = spd_find(m->spd, spd_class_of(c->policy.type), c->policy.index);
	if (sa)
		before->sa = *sa;
	if (policy)
		policy_copy(&before->policy, policy);
	if (sa || policy)
		before->kind = c->kind;
}

/* How many fields differ of an entry that both have. */
static unsigned int differing(const struct xfrm_change *c, const struct xfrm_change *before,
			      char *fields, size_t size)
{
	if (c->kind == CHANGE_SA_PUT)
		return sa_fields_differing(&c->sa, &before->sa, fields, size);
	if (c->kind == CHANGE_POLICY_PUT)
		return policy_fields_differing(&c->policy, &before->policy, fields, size);
	snprintf(fields, size, "out");
	return 1;
}

/* Without memory it has no name. */
static void found_name(struct found *f, const struct xfrm_change *c, const char *fields)
{
	char name[192] = "default policy";

	if (c->kind == CHANGE_SA_PUT)
		sa_name(&c->sa, name, sizeof(name));
	else if (c->kind == CHANGE_POLICY_PUT)
		policy_name(&c->policy, name, sizeof(name));
	f->name = strdup(name);
	f->fields = f->in_mirror ? strdup(fields) : NULL;
}

void mirror_found_dumped(struct mirror *m, const struct xfrm_change *c,
			 const struct xfrm_change *before)
{
	bool in_mirror = before->kind == c->kind || c->kind == CHANGE_DEFAULT;
	char fields[256];
	struct found *f;

	if (!m->comparing || (in_mirror && !differing(c, before, fields, sizeof(fields))))
		return;
	f = calloc(1, sizeof(*f));
	if (!f || mhash_reserve(&m->found, 1)) {
		free(f);
		return;
	}
	identify(f, c);
	f->in_mirror = in_mirror;
	if (m->telling)
		found_name(f, c, fields);
	mhash_add(&m->found, &f->by_id, hash(f));
}

static void unlisted(struct mirror *m, const char *name)
{
	struct mirror_difference d = {.name = name, .in_mirror = true};

	m->stats.differences++;
	m->stats.differed_at = boot_ns();
	if (m->telling)
		m->compare->differs(m->compare_ctx, &d);
}

static void unlisted_sa(void *ctx, const struct sa_info *sa)
{
	char name[192];

	unlisted(ctx, sa_name(sa, name, sizeof(name)));
}

static void unlisted_policy(void *ctx, const struct policy_info *policy)
{
	char name[192];

	unlisted(ctx, policy_name(policy, name, sizeof(name)));
}

void mirror_found_end(struct mirror *m)
{
	if (!m->comparing)
		return;
	m->stats.differences += m->found.count;
	if (m->found.count)
		m->stats.differed_at = boot_ns();
	mhash_foreach(&m->found, i, n, tmp)
	{
		const struct found *f = mhash_entry(n, struct found, by_id);
		struct mirror_difference d = {.name = f->name ? f->name : "?",
					      .in_kernel = true,
					      .in_mirror = f->in_mirror,
					      .fields = f->fields};

		if (m->telling)
			m->compare->differs(m->compare_ctx, &d);
	}
	sad_each_unlisted(m->sad, unlisted_sa, m);
	spd_each_unlisted(m->spd, CLASS_MAIN, unlisted_policy, m);
	spd_each_unlisted(m->spd, CLASS_SUB, unlisted_policy, m);
}
