/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of the configuration parser share. Used by config_*.c only. */
#ifndef SAGATE_CONFIG_PARSE_H
#define SAGATE_CONFIG_PARSE_H

#include "config.h"

/* X(NAME, "kind", has a name). */
#define CONFIG_SECTIONS(X)                                                                         \
	X(DAEMON, "daemon", false)                                                                 \
	X(IKE, "ike", false)                                                                       \
	X(DEFAULTS, "defaults", false)                                                             \
	X(GATE, "gate", true)                                                                      \
	X(REQUIRE, "require", true)                                                                \
	X(SPACE, "space", true)

#define CONFIG_ENUM_SECTION(n, kind, named) SECTION_##n,
enum config_section { CONFIG_SECTIONS(CONFIG_ENUM_SECTION) SECTION_COUNT };

struct config_parser {
	const char *file;
	const char *text, *end; /* what is not read yet */
	unsigned int line;
	struct config *c;
	char *ike_vici;			    /* [ike] vici=, for the space "host" */
	enum config_section section;	    /* SECTION_COUNT: none yet */
	unsigned int opened[SECTION_COUNT]; /* line of the section, 0: not there */
	bool host;			    /* the space that is open is "host" */
	uint32_t keys;			    /* that this section has already, 1 << place in table */
	int err;			    /* the first error, negative; *e holds it */
	unsigned int err_line;
	struct error *e;
};

/* Records `file:line: text` as the error (if it is the first) and returns it. */
int parser_error(struct config_parser *p, int err, unsigned int line, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Takes a section line, "[kind]" or "[kind \"name\"]" with an optional comment behind. */
int parser_section(struct config_parser *p, const char *text);

/* Takes one key of the section that is open. */
int parser_key(struct config_parser *p, const char *key, const char *value);

/* What only the whole file can tell; merges [defaults] into the gates. */
int parser_finish(struct config_parser *p);

#endif
