// SPDX-License-Identifier: GPL-2.0-only
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "spd.h"

#define COMPARE_MAX 10000000 /* pairs: a person does not wait for more */

/* What tells two apart that tie, side by side. */
struct one {
	__u32 priority, index, order;
	__u8 class, place; /* enum spd_class, spd_place */
	const struct policy_info *p;
};

struct search {
	struct one *v;
	size_t n, size, ties, compared;
	__u32 pair[2];
};

static int compare(const void *a, const void *b)
{
	const struct one *x = a, *y = b;

	if (x->class != y->class)
		return x->class - y->class;
	if (x->priority != y->priority)
		return x->priority < y->priority ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

static int collect(void *ctx, enum spd_class class, const struct policy_info *p)
{
	struct search *s = ctx;

	if (class == CLASS_REQUIRE)
		return 0;
	if (s->n == s->size) {
		size_t size = s->size ? s->size * 2 : 64;
		struct one *v = reallocarray(s->v, size, sizeof(*v));

		if (!v)
			return -1;
		s->v = v;
		s->size = size;
	}
	s->v[s->n++] = (struct one){
		.priority = p->priority,
		.index = p->index,
		.order = p->order,
		.class = (__u8) class,
		.place = spd_place_of(p),
		.p = p,
	};
	return 0;
}

/* Have the two addresses the bits in common that both prefixes look at? */
static bool under_one(const __be32 *a, int a_len, const __be32 *b, int b_len)
{
	int len = a_len < b_len ? a_len : b_len;

	for (int i = 0; len > 0; i++, len -= 32)
		if ((ntohl(a[i]) ^ ntohl(b[i])) >> (len < 32 ? 32 - len : 0))
			return false;
	return true;
}

/* Is there a flow for both? */
static bool meet(const struct policy_info *a, const struct policy_info *b)
{
	const struct selector_info *x = &a->sel, *y = &b->sel;

	return x->family == y->family && a->if_id == b->if_id &&
	       under_one(x->saddr, x->src_len, y->saddr, y->src_len) &&
	       under_one(x->daddr, x->dst_len, y->daddr, y->dst_len) &&
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

/* Of two, `a` with the lower index: spd_order_known(). */
static bool known(const struct one *a, const struct one *b)
{
	return a->place == b->place && a->place != PLACE_UNKNOWN && a->order < b->order;
}

static void look_at(struct search *s, const struct one *a, const struct one *b)
{
	if (known(a, b) || !differ(a->p, b->p) || !meet(a->p, b->p))
		return;
	if (!s->ties++) {
		s->pair[0] = a->index;
		s->pair[1] = b->index;
	}
}

/* All from `v` on, of one class and priority. Most often the order of all of them is known. */
static size_t look(struct search *s, const struct one *v, size_t left)
{
	bool all_known = true;
	size_t n = 1;

	for (; n < left && v[n].class == v->class && v[n].priority == v->priority; n++)
		all_known = all_known && known(&v[n - 1], &v[n]);
	for (size_t i = 0; !all_known && i < n; i++)
		for (size_t k = i + 1; k < n && s->compared++ < COMPARE_MAX; k++)
			look_at(s, &v[i], &v[k]);
	return n;
}

size_t spd_ties(const struct spd *spd, __u32 pair[2])
{
	struct search s = {0};

	if (!spd_each(spd, collect, &s) && s.n) {
		qsort(s.v, s.n, sizeof(*s.v), compare);
		for (size_t i = 0; i < s.n;)
			i += look(&s, &s.v[i], s.n - i);
	}
	free(s.v);
	memcpy(pair, s.pair, sizeof(s.pair));
	return s.ties;
}
