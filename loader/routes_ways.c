// SPDX-License-Identifier: GPL-2.0-only
#include <sys/socket.h>

#include "routes_ways.h"

static void table_init(struct routes_table *t, const struct routes_ways *ways,
		       const struct routes_way *way, uint8_t family)
{
	*t = (struct routes_table){.sink = ways->sink,
				   .space = ways->space,
				   .oif = way->oif,
				   .marks = way->marks,
				   .family = family};
}

struct routes_way *routes_ways_get(struct routes_ways *ways, uint32_t oif, uint16_t marks)
{
	struct routes_way *way;

	for (size_t i = 0; i < ways->n; i++)
		if (ways->v[i].oif == oif && ways->v[i].marks == marks)
			return &ways->v[i];
	if (ways->n == ROUTES_WAYS_MAX)
		return NULL;
	way = &ways->v[ways->n++];
	*way = (struct routes_way){.oif = oif, .marks = marks};
	table_init(&way->tables[0], ways, way, AF_INET);
	table_init(&way->tables[1], ways, way, AF_INET6);
	return way;
}

void routes_ways_init(struct routes_ways *ways, uint32_t space, const struct map_sink *sink)
{
	ways->sink = sink;
	ways->space = space;
	ways->n = 0;
	routes_ways_get(ways, 0, 0);
}

/* As decide() reads it: which of the view's marks fit otherwise than mark 0 does (route.bpf.h). */
static uint16_t marks_that_fit(const struct routes_view *view, uint32_t mark)
{
	uint16_t bits = 0;

	for (uint8_t i = 0; i < view->fwmarks && i < FWMARKS_MAX; i++) {
		const struct fwmark *m = &view->fwmark[i];
		bool fits = !((mark ^ m->mark) & m->mask), zero_fits = !(m->mark & m->mask);

		bits |= (uint16_t)((fits != zero_fits) << i);
	}
	return bits;
}

struct kinds {
	const struct routes_view *view;
	size_t n;
	uint32_t marks[ROUTES_MARKS_MAX]; /* one of each kind, the first is 0 */
};

static void add_kind(struct kinds *k, uint32_t mark)
{
	for (size_t i = 0; i < k->n; i++)
		if (marks_that_fit(k->view, k->marks[i]) == marks_that_fit(k->view, mark))
			return;
	if (k->n < ROUTES_MARKS_MAX)
		k->marks[k->n++] = mark;
}

/* With the bits as each rule wants them, and with one or all of them otherwise. */
static void find_kinds(struct kinds *k)
{
	for (uint8_t i = 0; i < k->view->fwmarks && k->view->fwmarks <= FWMARKS_MAX; i++) {
		const struct fwmark *m = &k->view->fwmark[i];
		size_t before = k->n;

		for (size_t j = 0; j < before; j++) {
			uint32_t mark = (k->marks[j] & ~m->mask) | (m->mark & m->mask);

			add_kind(k, mark);
			for (int bit = 0; bit < 32; bit++)
				add_kind(k, mark ^ (m->mask & 1U << bit));
			add_kind(k, mark ^ m->mask);
		}
	}
}

static void want(struct routes_ways *ways, const struct routes_view *view, uint32_t oif,
		 uint32_t mark, size_t *left)
{
	struct routes_way *way;

	if (!*left)
		return;
	way = routes_ways_get(ways, oif, marks_that_fit(view, mark));
	if (!way)
		return;
	way->mark = mark;
	way->wanted = true;
	--*left;
}

static void want_all(struct routes_ways *ways, const struct routes_view *view, size_t left)
{
	struct kinds k = {.view = view, .n = 1};
	const struct route_link *link;

	find_kinds(&k);
	for (size_t i = 0; i < k.n; i++)
		want(ways, view, 0, k.marks[i], &left);
	for (size_t i = 0; i < k.n; i++)
		for (link = view->links; link; link = link->hh.next)
			if (link->up && !link->loopback)
				want(ways, view, link->ifindex, k.marks[i], &left);
}

/* Two rounds: those that are not wanted any more make room for those that are. */
void routes_ways_choose(struct routes_ways *ways, const struct routes_view *view, size_t max)
{
	for (int round = 0; round < 2; round++) {
		size_t n = 0;

		for (size_t i = 0; i < ways->n; i++)
			ways->v[i].wanted = false;
		want_all(ways, view, max);
		for (size_t i = 0; i < ways->n; i++) {
			struct routes_way *way = &ways->v[i];

			if (way->wanted || !i) {
				ways->v[n++] = *way;
				continue;
			}
			routes_table_remove(&way->tables[0]);
			routes_table_remove(&way->tables[1]);
		}
		ways->n = n;
	}
}

void routes_ways_clear(struct routes_ways *ways)
{
	for (size_t i = 0; i < ways->n; i++) {
		routes_table_clear(&ways->v[i].tables[0]);
		routes_table_clear(&ways->v[i].tables[1]);
	}
	ways->n = 0;
}
