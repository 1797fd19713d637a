// SPDX-License-Identifier: GPL-2.0-only
/* needs: loader/route_cells.c */
/*
 * Cells against a model: a small address space (the top byte), random prefix sets, every address
 * looked at. And the order of IPv6 sources, which must be the same all over a cell.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "route_cells.h"

#define TOP(n) ((unsigned __int128)(n) << 120)

static uint64_t seed = 20240607;

static unsigned int rnd(unsigned int n)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned int)(seed >> 33) % n;
}

/* Index of the longest prefix of the cells that contains the address. */
static size_t longest(const struct cell *cells, size_t n, unsigned __int128 addr)
{
	size_t best = 0;

	for (size_t i = 0; i < n; i++)
		if (cell_contains(&cells[i].prefix, addr) &&
		    cells[i].prefix.len >= cells[best].prefix.len)
			best = i;
	return best;
}

static void check(const struct cell *cells, size_t n)
{
	size_t count[300] = {0};

	assert_true(n < 300);
	for (unsigned int a = 0; a < 256; a++)
		count[longest(cells, n, TOP(a))]++;
	for (size_t i = 0; i < n; i++) {
		const struct cell *c = &cells[i];

		assert_int_equal(c->covered, !count[i]);
		if (!c->covered)
			assert_int_equal(longest(cells, n, c->probe), i);
		if (!i)
			continue;
		assert_true(c->parent < i);
		assert_true(cell_contains(&cells[c->parent].prefix, c->prefix.addr));
		for (size_t j = 0; j < n; j++)
			if (j != i && cells[j].prefix.len < c->prefix.len &&
			    cell_contains(&cells[j].prefix, c->prefix.addr))
				assert_true(cells[j].prefix.len <= cells[c->parent].prefix.len);
	}
}

static void every_cell_has_an_address_of_its_own(void **state)
{
	(void)state;
	for (int round = 0; round < 3000; round++) {
		struct cell_set set = {0};
		struct cell *cells;
		size_t n;

		for (unsigned int i = rnd(40); i; i--)
			assert_int_equal(
				cell_set_add(&set, TOP(rnd(256)), (uint8_t)(rnd(8) + rnd(2))), 0);
		assert_int_equal(cells_build(&set, 300, &cells, &n), 0);
		check(cells, n);
		free(cells);
		cell_set_clear(&set);
	}
}

static void more_cells_than_allowed_are_refused(void **state)
{
	struct cell_set set = {0};
	struct cell *cells = NULL;
	size_t n = 7;

	(void)state;
	for (unsigned int i = 0; i < 8; i++)
		cell_set_add(&set, TOP(i * 8), 8);
	assert_int_equal(cells_build(&set, 8, &cells, &n), -E2BIG);
	assert_null(cells);
	assert_int_equal(n, 7);
	assert_int_equal(cells_build(&set, 9, &cells, &n), 0);
	assert_int_equal(n, 9);
	free(cells);
	cell_set_clear(&set);
}

static int match(unsigned __int128 a, const struct cell_prefix *source)
{
	int n = 0;

	while (n < 128 && !((a ^ source->addr) >> (127 - n)))
		n++;
	return n < source->len ? n : source->len;
}

static int sign(int n)
{
	return (n > 0) - (n < 0);
}

static void sources_keep_their_order_inside_a_cell(void **state)
{
	(void)state;
	for (int round = 0; round < 2000; round++) {
		struct cell_prefix source[4];
		struct cell_set set = {0};
		struct cell *cells;
		size_t n;

		for (int i = 0; i < 4; i++)
			source[i] = (struct cell_prefix){TOP(rnd(256)), (uint8_t)(1 + rnd(8))};
		source[3].len = 128;
		assert_int_equal(cell_set_add_sources(&set, source, 4, 300), 0);
		assert_int_equal(cells_build(&set, 300, &cells, &n), 0);
		for (unsigned int a = 0; a < 256; a++) {
			const struct cell *c = &cells[longest(cells, n, TOP(a) + 1)];

			for (int i = 0; i < 4; i++)
				for (int j = 0; j < i; j++)
					assert_int_equal(sign(match(TOP(a) + 1, &source[i]) -
							      match(TOP(a) + 1, &source[j])),
							 sign(match(c->probe, &source[i]) -
							      match(c->probe, &source[j])));
		}
		free(cells);
		cell_set_clear(&set);
	}
}

/*
 * Whoever may add addresses to a namespace chooses how many, and all gates wait for the daemon: a
 * step for each two of these would not end in this test's time.
 */
static void many_sources_are_taken_and_too_many_are_refused(void **state)
{
	enum { MANY = 400000 };
	struct cell_prefix *source = calloc(MANY, sizeof(*source));
	struct cell_set set = {0};

	(void)state;
	for (int i = 0; i < MANY; i++) {
		source[i].addr = TOP(0x20) | ((unsigned __int128)rnd(1U << 31) << 64);
		source[i].len = 64;
	}
	assert_int_equal(cell_set_add_sources(&set, source, MANY, 4 * MANY), 0);
	assert_in_range(set.n, MANY, 3 * MANY);
	cell_set_clear(&set);
	for (int i = 0; i < MANY; i++)
		source[i].len = (uint8_t)(i % 128);
	assert_int_equal(cell_set_add_sources(&set, source, MANY, 4 * MANY), -E2BIG);
	assert_in_range(set.n, 0, 5 * MANY);
	cell_set_clear(&set);
	assert_int_equal(cell_set_add_sources(&set, source, MANY, MANY - 1), -E2BIG);
	cell_set_clear(&set);
	free(source);
}

/* As a look at each of them says. */
static void a_prefix_is_covered_by_the_outermost(void **state)
{
	(void)state;
	for (int round = 0; round < 2000; round++) {
		struct cell_prefix all[12], p;
		struct cell_set set = {0};
		size_t n = rnd(13);

		for (size_t i = 0; i < n; i++) {
			assert_int_equal(cell_set_add(&set, TOP(rnd(256)), (uint8_t)rnd(9)), 0);
			all[i] = set.v[i];
		}
		cell_set_outermost(&set);
		for (int i = 0; i < 50; i++) {
			bool covered = false;

			p = (struct cell_prefix){TOP(rnd(256)), (uint8_t)rnd(9)};
			p.addr &= ~(~(unsigned __int128)0 >> p.len);
			for (size_t j = 0; j < n; j++)
				covered |= all[j].len <= p.len && cell_contains(&all[j], p.addr);
			assert_int_equal(cell_set_covers(&set, &p), covered);
		}
		cell_set_clear(&set);
	}
}

static void addresses_come_back_as_they_were(void **state)
{
	__be32 in[4] = {1, 2, 3, 0x04030201}, out[4];

	(void)state;
	cell_addr_to(AF_INET6, cell_addr(AF_INET6, in), out);
	assert_memory_equal(in, out, sizeof(in));
	cell_addr_to(AF_INET, cell_addr(AF_INET, in), out);
	assert_int_equal(out[0], in[0]);
	assert_int_equal(out[1] | out[2] | out[3], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_cell_has_an_address_of_its_own),
		cmocka_unit_test(more_cells_than_allowed_are_refused),
		cmocka_unit_test(sources_keep_their_order_inside_a_cell),
		cmocka_unit_test(many_sources_are_taken_and_too_many_are_refused),
		cmocka_unit_test(a_prefix_is_covered_by_the_outermost),
		cmocka_unit_test(addresses_come_back_as_they_were),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
