/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Values of the configuration that units.h does not know. Each takes the text as written and
 * fills *out (text: malloc'd, replacing what was there); 0, -EINVAL with *e saying what is
 * expected, or -ENOMEM. Pure.
 */
#ifndef SAGATE_CONFIG_VALUE_H
#define SAGATE_CONFIG_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "config.h"
#include "error.h"

/* "the value is X, expected Y": the error all of them give. */
int value_expected(struct error *e, const char *value, const char *expected);

/* One of two words: *out is whether it was `yes`. */
int value_choice(const char *value, const char *yes, const char *no, bool *out, struct error *e);
/* An absolute path without ".." parts; a '/' at the end is cut off. */
int value_path(const char *value, char **out, struct error *e);
/* An absolute path that fits into a socket address. */
int value_socket(const char *value, char **out, struct error *e);
/* unix:///path → the path. */
int value_vici(const char *value, char **out, struct error *e);
int value_log_level(const char *value, int *out, struct error *e);
/* yes (which is out), no, or a list of out, in, fwd: BLOCK_ bits. */
int value_default_block(const char *value, uint8_t *out, struct error *e);
int value_trigger(const char *value, enum ike_trigger *out, struct error *e);
/* A number from 1 to max (below 10^9), digits only. */
int value_number(const char *value, uint32_t max, uint32_t *out, struct error *e);
/* A duration within [min, max], nanoseconds. */
int value_duration(const char *value, uint64_t min, uint64_t max, uint64_t *out, struct error *e);
int value_backoff(const char *value, uint64_t *low, uint64_t *high, struct error *e);
/* conn/child */
int value_child(const char *value, char **conn, char **child, struct error *e);
/* "10.1.0.0/16, 10.2.0.9": at most CONFIG_LIST_MAX, all of one family. */
int value_prefixes(const char *value, struct prefix *out, size_t *count, struct error *e);
/* "80, 1024-2047" */
int value_ports(const char *value, struct config_ports *out, size_t *count, struct error *e);
/* The name of a space. */
int value_name(const char *value, char **out, struct error *e);
/* NAME, /path or process id of a network namespace. */
int value_netns(const char *value, char **out, struct error *e);

#endif
