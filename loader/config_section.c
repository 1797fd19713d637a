// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_parse.h"

#define SECTION_KIND(n, kind, named) [SECTION_##n] = {kind, named},
#define SECTION_TEXT(n, kind, named) " [" kind "]"

static const struct {
	const char *kind;
	bool named;
} sections[] = {CONFIG_SECTIONS(SECTION_KIND)};

/* Splits "[kind "name"]"; *name is "" when there is none. Works on a copy, cut up. */
static int split_header(char *text, char **kind, char **name)
{
	char *p = text + 1, *end;

	p += strspn(p, " \t");
	*kind = p;
	p += strcspn(p, " \t\"]");
	end = p;
	p += strspn(p, " \t");
	*name = NULL;
	if (*p == '"') {
		*name = ++p;
		p += strcspn(p, "\"");
		if (!*p)
			return -EINVAL;
		*p++ = '\0';
		p += strspn(p, " \t");
	}
	if (*p != ']')
		return -EINVAL;
	*end = '\0';
	p++;
	p += strspn(p, " \t\r");
	return *p && *p != ';' && *p != '#' ? -EINVAL : 0;
}

static int add_gate(struct config_parser *p, const char *name)
{
	struct config *c = p->c;
	struct config_gate *g;

	for (size_t i = 0; i < c->gate_count; i++)
		if (!strcmp(c->gates[i].name, name))
			return parser_error(p, -EINVAL, p->line,
					    "[gate \"%s\"] was there already, at line %u", name,
					    c->gates[i].line);
	g = reallocarray(c->gates, c->gate_count + 1, sizeof(*g));
	if (!g)
		return -ENOMEM;
	c->gates = g;
	g += c->gate_count;
	*g = (struct config_gate){.name = strdup(name), .line = p->line};
	config_settings_init(&g->settings);
	c->gate_count++;
	return g->name ? 0 : -ENOMEM;
}

static int add_require(struct config_parser *p, const char *name)
{
	struct config *c = p->c;
	struct config_require *q;

	for (size_t i = 0; i < c->require_count; i++)
		if (!strcmp(c->requires[i].name, name))
			return parser_error(p, -EINVAL, p->line,
					    "[require \"%s\"] was there already, at line %u", name,
					    c->requires[i].line);
	q = reallocarray(c->requires, c->require_count + 1, sizeof(*q));
	if (!q)
		return -ENOMEM;
	c->requires = q;
	q += c->require_count;
	*q = (struct config_require){.name = strdup(name), .line = p->line};
	c->require_count++;
	return q->name ? 0 : -ENOMEM;
}

/* The space in question becomes the last of the list, "host" excepted, which stays the first. */
static int add_space(struct config_parser *p, const char *name)
{
	struct config *c = p->c;
	struct config_space *s;

	for (size_t i = 0; i < c->space_count; i++) {
		if (strcmp(c->spaces[i].name, name))
			continue;
		if (c->spaces[i].line)
			return parser_error(p, -EINVAL, p->line,
					    "[space \"%s\"] was there already, at line %u", name,
					    c->spaces[i].line);
		c->spaces[i].line = p->line;
		p->host = true;
		return 0;
	}
	s = reallocarray(c->spaces, c->space_count + 1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	c->spaces = s;
	s += c->space_count;
	*s = (struct config_space){.name = strdup(name), .line = p->line};
	c->space_count++;
	p->host = false;
	return s->name ? 0 : -ENOMEM;
}

static int open_named(struct config_parser *p, enum config_section kind, const char *name)
{
	int r = 0;

	if (!config_name_ok(name))
		return parser_error(p, -EINVAL, p->line,
				    "[%s \"%s\"]: expected a name of 1 to %d of A-Z a-z 0-9 . _ -, "
				    "without a dot or '-' in front",
				    sections[kind].kind, name, CONFIG_NAME_MAX);
	if (kind == SECTION_GATE)
		r = add_gate(p, name);
	else if (kind == SECTION_REQUIRE)
		r = add_require(p, name);
	else
		r = add_space(p, name);
	return r == -ENOMEM ? parser_error(p, r, p->line, "no memory") : r;
}

static int open_section(struct config_parser *p, enum config_section kind, const char *name)
{
	p->section = kind;
	p->keys = 0;
	if (sections[kind].named && !name)
		return parser_error(p, -EINVAL, p->line, "[%s]: expected a name, [%s \"NAME\"]",
				    sections[kind].kind, sections[kind].kind);
	if (sections[kind].named)
		return open_named(p, kind, name);
	if (name)
		return parser_error(p, -EINVAL, p->line,
				    "[%s \"%s\"]: expected [%s], without a name",
				    sections[kind].kind, name, sections[kind].kind);
	if (p->opened[kind])
		return parser_error(p, -EINVAL, p->line, "[%s] was there already, at line %u",
				    sections[kind].kind, p->opened[kind]);
	p->opened[kind] = p->line;
	return 0;
}

int parser_section(struct config_parser *p, const char *text)
{
	char copy[CONFIG_LINE_MAX + 1], *kind, *name;

	snprintf(copy, sizeof(copy), "%s", text);
	if (split_header(copy, &kind, &name) < 0)
		return parser_error(p, -EINVAL, p->line,
				    "bad section line: expected [SECTION] or [SECTION \"NAME\"]");
	for (int i = 0; i < SECTION_COUNT; i++)
		if (!strcmp(sections[i].kind, kind))
			return open_section(p, i, name);
	return parser_error(p, -EINVAL, p->line, "[%s]: no such section, expected one of%s", kind,
			    CONFIG_SECTIONS(SECTION_TEXT));
}
