/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Cells: the parts of the address space in which routing gives every destination the same answer.
 *
 * Take the set of all prefixes that routing can compare a destination with, and 0/0. The longest of
 * them that contains an address says which others contain it, because prefixes are nested or
 * disjoint. So all addresses under one longest prefix, its cell, have the same answer, and asking
 * the kernel about one address of each cell is asking about all. Pure: no I/O, no logs.
 *
 * Addresses are 128-bit numbers in host order with the first bit on top: IPv4 in the top 32 bits.
 */
#ifndef SAGATE_ROUTE_CELLS_H
#define SAGATE_ROUTE_CELLS_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cell_prefix {
	unsigned __int128 addr; /* masked */
	uint8_t len;		/* 0 … 32 or 128 */
};

struct cell {
	struct cell_prefix prefix;
	unsigned __int128 probe; /* an address under this prefix and under no longer one */
	uint32_t parent;	 /* index of the next shorter prefix that contains this one */
	bool covered;		 /* longer prefixes cover it all: no probe, no answer needed */
};

/* A growing set of prefixes; all zero to begin with. */
struct cell_set {
	struct cell_prefix *v;
	size_t n, size;
};

/* Adds a prefix; bits behind len are cleared. Doubles are welcome. 0 or -ENOMEM. */
int cell_set_add(struct cell_set *set, unsigned __int128 addr, uint8_t len);
void cell_set_clear(struct cell_set *set);

/*
 * Sorts the set, drops doubles and makes the cells: *cells, *n of them, ordered so that a parent
 * stands before its children; the first is 0/0, its own parent. The caller frees *cells.
 * 0, -ENOMEM, or -E2BIG when there would be more than max; then the outputs are untouched.
 */
int cells_build(struct cell_set *set, size_t max, struct cell **cells, size_t *n);

/*
 * IPv6 chooses among several source addresses by the longest match with the destination
 * (RFC 6724 rule 8; ipv6_get_saddr_eval(): the common length, at most the address's own prefix
 * length). Adds the prefixes on whose edges the order of any two of the n addresses changes: behind
 * the bit in which they part, and behind the shorter one's prefix length. Sorts the sources.
 * Whoever may add addresses chooses n: it takes no more than n × 129 steps. 0, -ENOMEM, or -E2BIG
 * when it would add more than max; then some are added.
 */
int cell_set_add_sources(struct cell_set *set, struct cell_prefix *sources, size_t n, size_t max);

/* Sorts the set, and drops what another prefix of it contains. */
void cell_set_outermost(struct cell_set *set);
/* Does one of these contain the prefix? The set is as cell_set_outermost() left it. */
bool cell_set_covers(const struct cell_set *set, const struct cell_prefix *prefix);

bool cell_contains(const struct cell_prefix *prefix, unsigned __int128 addr);
/* Between abi.h's form and ours; family AF_INET or AF_INET6. */
unsigned __int128 cell_addr(uint8_t family, const __be32 addr[4]);
void cell_addr_to(uint8_t family, unsigned __int128 cell, __be32 addr[4]);

#endif
