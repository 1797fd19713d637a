/* SPDX-License-Identifier: GPL-2.0-only */
/* Random addresses, routes and rules, near enough to each other to meet. The same each time. */
#ifndef TEST_ROUTES_RANDOM_H
#define TEST_ROUTES_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern uint64_t random_seed;

/* 0 … n - 1 */
unsigned int rnd(unsigned int n);

/* A destination near the prefixes that the others use. */
void random_addr(bool six, char *text, size_t size);

/* Commands for ip(), between ip_begin() and ip_end(). */
void random_route(bool six);
void random_rule(bool six);
void random_change(void); /* one of these, or an address, a device, a whole table */

#endif
