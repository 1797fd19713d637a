/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * JSON as the control socket and the commands use it: one object a line, read tolerantly. Getters
 * return a fallback when the key is missing or of another type, and borrow from the object.
 */
#ifndef SAGATE_JSON_UTIL_H
#define SAGATE_JSON_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <jansson.h>

#include "cleanup.h"
#include "error.h"

static inline void cleanup_json(json_t **j)
{
	json_decref(*j);
}

#define _cleanup_json_ _cleanup_(cleanup_json)

/* Text of `key`, NULL when it is no text. */
const char *json_get_text(const json_t *o, const char *key);
/* Number of `key` (reals are cut off, beyond the range they are its end), `fallback` when it is no
 * number. */
json_int_t json_get_int(const json_t *o, const char *key, json_int_t fallback);
/* Truth of `key`: true, or a number that is not zero. */
bool json_get_bool(const json_t *o, const char *key);
/* The array of `key`, NULL when it is none (jansson's array functions take NULL). */
const json_t *json_get_array(const json_t *o, const char *key);

/* {"error":{"code","message"}}; a new reference, NULL without memory. */
json_t *json_error_object(const struct error *e);

/*
 * `j` on one line with its newline: malloc'd, its length in *len (which may be NULL). NULL without
 * memory, or when text in it is no UTF-8.
 */
char *json_line(const json_t *j, size_t *len);

/*
 * Text of unknown origin (a comm, a path) as a JSON string: bytes that are no UTF-8 become '?'. A
 * new reference.
 */
json_t *json_text(const char *s);

#endif
