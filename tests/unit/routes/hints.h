/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The source hints of the test's namespace in the maps of sink.h, and their comparison with the
 * kernel's answers: connect() sends nothing, getsockname() tells the source and IP_MTU the device.
 */
#ifndef TEST_ROUTES_HINTS_H
#define TEST_ROUTES_HINTS_H

#include <stdint.h>
#include <systemd/sd-event.h>

#include "routes.h"

extern sd_event *hints_loop;
extern struct routes *routes;

/* cmocka's: empty maps and a namespace of its own for each test. */
int hints_setup(void **state);
int hints_teardown(void **state);

#define TEST(name) cmocka_unit_test_setup_teardown(name, hints_setup, hints_teardown)

void hints_start(void);
void hints_stop(void);

/* Runs the loop until nothing has happened for 20 ms and the hints are ready. */
void hints_settle(void);

/* What the comparisons found. */
struct hints_seen {
	unsigned int same, none, unknown, no_device;
};

extern struct hints_seen hints_seen;

/* The test fails when the hint says other than connect(); unknown is never wrong. */
void hints_compare(uint8_t family, const __be32 addr[4]);
void hints_compare_text(const char *text);

/* Those with a meaning of their own, and `n` random ones. */
void hints_compare_many(unsigned int n);

/* The hint for an address as text. */
const struct route_value *hints_lookup(const char *text);

#endif
