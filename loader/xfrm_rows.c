// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "xfrm_json.h"
#include "xfrm_rows.h"

struct policy_row {
	__u32 class; /* SUB before MAIN, as in their enum */
	__u32 priority;
	__u32 index;
};

struct sa_row {
	__be32 daddr[4];
	__be32 spi;
	__u32 mark, mark_mask;
	__u8 family, proto;
};

static int policy_row(void *ctx, enum spd_class class, const struct policy_info *p)
{
	struct xfrm_rows *rows = ctx;

	if (class != CLASS_REQUIRE)
		((struct policy_row *)rows->row)[rows->count++] = (struct policy_row){
			.class = class, .priority = p->priority, .index = p->index};
	return 0;
}

static int sa_row(void *ctx, const struct sa_info *sa)
{
	struct xfrm_rows *rows = ctx;
	struct sa_row *row = (struct sa_row *)rows->row + rows->count++;

	*row = (struct sa_row){.spi = sa->spi,
			       .mark = sa->mark,
			       .mark_mask = sa->mark_mask,
			       .family = sa->family,
			       .proto = sa->proto};
	memcpy(row->daddr, sa->daddr, sizeof(row->daddr));
	return 0;
}

/* SUB before MAIN, then by priority (xfrm_lookup_with_ifid). */
static int policy_order(const void *a, const void *b)
{
	const struct policy_row *p = a, *q = b;

	if (p->class != q->class)
		return p->class < q->class ? -1 : 1;
	if (p->priority != q->priority)
		return p->priority < q->priority ? -1 : 1;
	return p->index < q->index ? -1 : p->index > q->index;
}

static int sa_order(const void *a, const void *b)
{
	const struct sa_row *s = a, *t = b;
	int d = memcmp(s->daddr, t->daddr, sizeof(s->daddr));

	return d ? d : memcmp(&s->spi, &t->spi, sizeof(s->spi));
}

static int rows_new(struct xfrm_rows *rows, size_t count, size_t size)
{
	void *row = calloc(count ? count : 1, size);

	if (!row)
		return -ENOMEM;
	*rows = (struct xfrm_rows){.row = row};
	return 0;
}

int xfrm_rows_of_spd(const struct spd *spd, struct xfrm_rows *rows)
{
	struct spd_counts counts;
	int r;

	spd_count(spd, &counts);
	r = rows_new(rows, counts.policies, sizeof(struct policy_row));
	if (r)
		return r;
	spd_each(spd, policy_row, rows);
	qsort(rows->row, rows->count, sizeof(struct policy_row), policy_order);
	return 0;
}

int xfrm_rows_of_sad(const struct sad *sad, struct xfrm_rows *rows)
{
	struct sad_counts counts;
	int r;

	sad_count(sad, &counts);
	r = rows_new(rows, counts.sas, sizeof(struct sa_row));
	if (r)
		return r;
	sad_each(sad, sa_row, rows);
	qsort(rows->row, rows->count, sizeof(struct sa_row), sa_order);
	return 0;
}

void xfrm_rows_free(struct xfrm_rows *rows)
{
	free(rows->row);
	*rows = (struct xfrm_rows){0};
}

int xfrm_rows_next_policy(struct xfrm_rows *rows, const struct spd *spd, json_t **one)
{
	while (rows->next < rows->count) {
		const struct policy_row *row = (struct policy_row *)rows->row + rows->next++;
		const struct policy_info *p = spd_find(spd, (enum spd_class)row->class, row->index);

		if (!p)
			continue;
		*one = policy_to_json(p);
		return *one ? 1 : -ENOMEM;
	}
	return 0;
}

int xfrm_rows_next_sa(struct xfrm_rows *rows, const struct sad *sad, json_t **one)
{
	while (rows->next < rows->count) {
		const struct sa_row *row = (struct sa_row *)rows->row + rows->next++;
		struct sa_info id = {.spi = row->spi,
				     .mark = row->mark,
				     .mark_mask = row->mark_mask,
				     .family = row->family,
				     .proto = row->proto};
		const struct sa_info *sa;

		memcpy(id.daddr, row->daddr, sizeof(id.daddr));
		sa = sad_find(sad, &id);
		if (!sa)
			continue;
		*one = sa_to_json(sad, sa);
		return *one ? 1 : -ENOMEM;
	}
	return 0;
}
