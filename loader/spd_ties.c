// SPDX-License-Identifier: GPL-2.0-only
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "spd.h"

#define COMPARE_MAX 1000000 /* pairs: a person does not wait for more */

struct whole {
	enum spd_class class;
	const struct policy_info *p;
};

struct search {
	struct whole *v;
	size_t n, size, ties, compared;
};

static bool is_whole(const struct policy_info *p)
{
	const int bits = p->sel.family == AF_INET ? 32 : 128;

	return p->sel.src_len == bits && p->sel.dst_len == bits;
}

static int compare(const void *a, const void *b)
{
	const struct whole *x = a, *y = b;

	if (x->class != y->class)
		return (int)x->class - (int)y->class;
	return x->p->priority < y->p->priority ? -1 : x->p->priority > y->p->priority;
}

static int collect(void *ctx, enum spd_class class, const struct policy_info *p)
{
	struct search *s = ctx;

	if (class == CLASS_REQUIRE || !is_whole(p))
		return 0;
	if (s->n == s->size) {
		size_t size = s->size ? s->size * 2 : 64;
		struct whole *v = reallocarray(s->v, size, sizeof(*v));

		if (!v)
			return -1;
		s->v = v;
		s->size = size;
	}
	s->v[s->n++] = (struct whole){class, p};
	return 0;
}

static bool under(const __be32 *addr, const __be32 *prefix, int len)
{
	for (int i = 0; len > 0; i++, len -= 32)
		if ((ntohl(addr[i]) ^ ntohl(prefix[i])) >> (len < 32 ? 32 - len : 0))
			return false;
	return true;
}

/* Is there a flow for both? `a` has whole prefixes. */
static bool meet(const struct policy_info *a, const struct policy_info *b)
{
	const struct selector_info *x = &a->sel, *y = &b->sel;

	return x->family == y->family && a->if_id == b->if_id &&
	       under(x->saddr, y->saddr, y->src_len) && under(x->daddr, y->daddr, y->dst_len) &&
	       (!x->proto || !y->proto || x->proto == y->proto) &&
	       !((x->sport ^ y->sport) & x->sport_mask & y->sport_mask) &&
	       !((x->dport ^ y->dport) & x->dport_mask & y->dport_mask) &&
	       (!x->ifindex || !y->ifindex || x->ifindex == y->ifindex) &&
	       !((a->mark ^ b->mark) & a->mark_mask & b->mark_mask);
}

static bool differ(const struct policy_info *a, const struct policy_info *b)
{
	return a->action != b->action || a->tmpl_count != b->tmpl_count ||
	       memcmp(a->tmpl, b->tmpl, a->tmpl_count * sizeof(a->tmpl[0]));
}

static int look(void *ctx, enum spd_class class, const struct policy_info *p)
{
	struct search *s = ctx;
	struct whole key = {class, p};
	size_t low = 0, high = s->n;

	if (class == CLASS_REQUIRE || is_whole(p))
		return 0;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare(&s->v[middle], &key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < s->n && !compare(&s->v[low], &key); low++) {
		if (s->compared++ > COMPARE_MAX)
			return 1;
		s->ties += meet(s->v[low].p, p) && differ(s->v[low].p, p);
	}
	return 0;
}

size_t spd_ties_across(const struct spd *spd)
{
	struct search s = {0};

	if (!spd_each(spd, collect, &s) && s.n) {
		qsort(s.v, s.n, sizeof(*s.v), compare);
		spd_each(spd, look, &s);
	}
	free(s.v);
	return s.ties;
}
