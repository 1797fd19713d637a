// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "cleanup.h"
#include "route_cells.h"

/* The bits behind the first len. */
static unsigned __int128 tail(uint8_t len)
{
	return len >= 128 ? 0 : ~(unsigned __int128)0 >> len;
}

static unsigned __int128 last(const struct cell_prefix *p)
{
	return p->addr | tail(p->len);
}

bool cell_contains(const struct cell_prefix *prefix, unsigned __int128 addr)
{
	return (addr & ~tail(prefix->len)) == prefix->addr;
}

int cell_set_add(struct cell_set *set, unsigned __int128 addr, uint8_t len)
{
	if (set->n == set->size) {
		size_t size = set->size ? set->size * 2 : 64;
		struct cell_prefix *v = reallocarray(set->v, size, sizeof(*v));

		if (!v)
			return -ENOMEM;
		set->v = v;
		set->size = size;
	}
	set->v[set->n++] = (struct cell_prefix){.addr = addr & ~tail(len), .len = len};
	return 0;
}

void cell_set_clear(struct cell_set *set)
{
	free(set->v);
	*set = (struct cell_set){0};
}

static int compare(const void *a, const void *b)
{
	const struct cell_prefix *x = a, *y = b;

	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	return (int)x->len - (int)y->len;
}

static void sort_unique(struct cell_set *set)
{
	size_t n = 0;

	qsort(set->v, set->n, sizeof(*set->v), compare);
	for (size_t i = 0; i < set->n; i++)
		if (!n || compare(&set->v[n - 1], &set->v[i]))
			set->v[n++] = set->v[i];
	set->n = n;
}

/*
 * While its children come by in order, a cell's probe is the first address that none of them has
 * taken: a child that begins there moves it behind the child, a child that begins later settles it.
 */
static void take(struct cell *parent, const struct cell_prefix *child)
{
	if (parent->covered || child->addr > parent->probe)
		return;
	if (last(child) == last(&parent->prefix))
		parent->covered = true;
	else
		parent->probe = last(child) + 1;
}

int cells_build(struct cell_set *set, size_t max, struct cell **cells, size_t *n)
{
	_cleanup_free_ struct cell *v = NULL;
	uint32_t up = 0;

	if (cell_set_add(set, 0, 0))
		return -ENOMEM;
	sort_unique(set);
	if (set->n > max || set->n > UINT32_MAX)
		return -E2BIG;
	/* one at least, added above: NOLINTNEXTLINE(clang-analyzer-optin.portability.UnixAPI) */
	v = calloc(set->n, sizeof(*v));
	if (!v)
		return -ENOMEM;
	for (uint32_t i = 0; i < set->n; i++) {
		v[i].prefix = set->v[i];
		v[i].probe = set->v[i].addr;
		while (!cell_contains(&v[up].prefix, v[i].prefix.addr))
			up = v[up].parent;
		v[i].parent = up;
		if (i)
			take(&v[up], &v[i].prefix);
		up = i;
	}
	*n = set->n;
	*cells = TAKE_PTR(v);
	return 0;
}

static uint8_t common(unsigned __int128 a, unsigned __int128 b)
{
	uint64_t high = (uint64_t)((a ^ b) >> 64), low = (uint64_t)(a ^ b);

	if (high)
		return (uint8_t)__builtin_clzll(high);
	return low ? (uint8_t)(64 + __builtin_clzll(low)) : 128;
}

/* Where neighbours in their order part, all others do: these are all the forks of their tree. */
static int add_forks(struct cell_set *set, const struct cell_prefix *sources, size_t n)
{
	int r = 0;

	for (size_t i = 1; i < n && !r; i++) {
		uint8_t len = common(sources[i - 1].addr, sources[i].addr);

		if (len == 128)
			continue;
		r = cell_set_add(set, sources[i - 1].addr, (uint8_t)(len + 1));
		if (!r)
			r = cell_set_add(set, sources[i].addr, (uint8_t)(len + 1));
	}
	return r;
}

/* Behind the shorter of its own length and any other's. `with`: how many have each length. */
static int add_lengths(struct cell_set *set, const struct cell_prefix *source,
		       const size_t with[129])
{
	size_t longer = 0;
	int r = 0;

	for (uint8_t len = 0; len < source->len && !r; len++)
		if (with[len])
			r = cell_set_add(set, source->addr, (uint8_t)(len + 1));
	for (unsigned int len = source->len; len <= 128; len++)
		longer += with[len];
	if (!r && longer > 1 && source->len < 128)
		r = cell_set_add(set, source->addr, (uint8_t)(source->len + 1));
	return r;
}

int cell_set_add_sources(struct cell_set *set, struct cell_prefix *sources, size_t n, size_t max)
{
	const size_t before = set->n;
	size_t with[129] = {0};
	int r;

	if (n < 2)
		return 0;
	if (n > max)
		return -E2BIG;
	qsort(sources, n, sizeof(*sources), compare);
	for (size_t i = 0; i < n; i++)
		with[sources[i].len]++;
	r = add_forks(set, sources, n);
	for (size_t i = 0; i < n && !r; i++) {
		r = add_lengths(set, &sources[i], with);
		if (!r && set->n - before > max)
			r = -E2BIG;
	}
	return r;
}

void cell_set_outermost(struct cell_set *set)
{
	size_t n = 0;

	if (!set->n)
		return;
	qsort(set->v, set->n, sizeof(*set->v), compare);
	for (size_t i = 0; i < set->n; i++)
		if (!n || !cell_contains(&set->v[n - 1], set->v[i].addr))
			set->v[n++] = set->v[i];
	set->n = n;
}

bool cell_set_covers(const struct cell_set *set, const struct cell_prefix *prefix)
{
	size_t low = 0, high = set->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (set->v[middle].addr <= prefix->addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low && set->v[low - 1].len <= prefix->len &&
	       cell_contains(&set->v[low - 1], prefix->addr);
}

unsigned __int128 cell_addr(uint8_t family, const __be32 addr[4])
{
	unsigned __int128 v = 0;

	for (int i = 0; i < (family == AF_INET ? 1 : 4); i++)
		v |= (unsigned __int128)ntohl(addr[i]) << (96 - 32 * i);
	return v;
}

void cell_addr_to(uint8_t family, unsigned __int128 cell, __be32 addr[4])
{
	for (int i = 0; i < 4; i++)
		addr[i] = i && family == AF_INET ? 0 : htonl((uint32_t)(cell >> (96 - 32 * i)));
}
