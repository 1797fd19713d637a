/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Output for people: aligned tables and one-line forms of what the daemon answers. Colour only on
 * a terminal (and without NO_COLOR). Every text of the daemon is printed with control characters
 * replaced: names of cgroups and programs are anybody's.
 */
#ifndef SAGATE_RENDER_H
#define SAGATE_RENDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <jansson.h>

/* A cell out of an object: by the path of a key ("counters.refused"), or by a function. */
struct render_column {
	const char *head;
	const char *key;
	/* Writes into `buf`; NULL: the value of `key` as text, "-" when there is none. */
	void (*text)(const json_t *row, const char *key, char *buf, size_t size);
	const char
		*usual; /* no column where no cell says more than this or "-"; NULL: always one */
};

enum { RENDER_COLUMNS_MAX = 32 };

#define RENDER_TEXT 512

/* Prints the rows (an array of objects) under heads; columns end with head NULL, the last has no
 * `usual`. */
void render_table(FILE *f, const struct render_column *columns, const json_t *rows);

/* The value at a path of keys, NULL when there is none. */
const json_t *render_find(const json_t *o, const char *path);
/* A scalar as a person reads it: yes and no, "-" for none, one digit behind the point. */
void render_value(const json_t *o, const char *path, char *buf, size_t size);

/* Prints a text, made safe, in the colour of what it says ("deny" red …), padded to `width`. */
void render_word(FILE *f, const char *text, int width);

/* "tcp 10.1.0.1:1 → 10.2.0.1:443"; unknown parts are left out. */
void render_flow(const json_t *flow, char *buf, size_t size);

/* One file each. All print to stdout. */
void render_status(const json_t *status);
/* Those of an answer, a line each. */
void render_problems(const json_t *status);
void render_metrics(const json_t *status);
/* `all`: the SAs and policies that were not taken too, which else only wait and deny show. */
void render_explain(const json_t *answer, bool all);
void render_event(const json_t *event);
void render_checks(const json_t *checks);
/* What `show WHAT` lists (`list` NULL: prints nothing); false when there is no such list. */
bool render_list(const char *what, const json_t *list);
const char *render_lists(void); /* "gates|spaces|…" */

#endif
