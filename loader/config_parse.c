// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "abi.h"
#include "cleanup.h"
#include "config_parse.h"
#include "control.h"

#define SECOND 1000000000ULL

int parser_error(struct config_parser *p, int err, unsigned int line, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	if (p->err)
		return p->err;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	p->err = err;
	p->err_line = line;
	return error_set(p->e, err, CONFIG_CODE, "%s:%u: %s", p->file, line, text);
}

/*
 * inih's reader. inih cuts names of sections at 49 bytes and lines at 199, calls no handler for a
 * section without keys, and takes an indented line for more of the value above: here lines are
 * measured, sections taken out, and indents removed.
 */
static char *next_line(char *buf, int size, void *stream)
{
	struct config_parser *p = stream;
	const char *line = p->text, *newline;
	size_t len;

	(void)size;
	if (p->text == p->end || p->err)
		return NULL;
	newline = memchr(line, '\n', p->end - line);
	p->text = newline ? newline + 1 : p->end;
	p->line++;
	if (p->line == 1 && p->text - line >= 3 && !memcmp(line, "\xef\xbb\xbf", 3))
		line += 3;
	line += strspn(line, " \t");
	len = (newline ? newline : p->end) - line;
	if (len > CONFIG_LINE_MAX) {
		parser_error(p, -EINVAL, p->line, "the line is longer than %d bytes",
			     CONFIG_LINE_MAX);
		return NULL;
	}
	memcpy(buf, line, len);
	buf[len] = '\0';
	if (buf[0] == '[') {
		if (parser_section(p, buf) < 0)
			return NULL;
		buf[0] = '\0';
	}
	return buf;
}

static int on_key(void *user, const char *section, const char *key, const char *value)
{
	struct config_parser *p = user;

	(void)section;
	return parser_key(p, key, value) == 0;
}

static int parse_text(struct config_parser *p)
{
	int bad;

	/* inih works on C strings; next_line() relies on the NUL at the end. */
	bad = ini_parse_stream(next_line, p, on_key, p);
	if (bad < 0)
		return error_set(p->e, -ENOMEM, "no-memory", "%s: no memory to read it", p->file);
	if (bad > 0 && (!p->err || (unsigned int)bad < p->err_line)) {
		p->err = 0;
		parser_error(p, -EINVAL, bad, "expected KEY=VALUE, [SECTION] or a comment");
	}
	return p->err ? p->err : parser_finish(p);
}

static int set_defaults(struct config *c)
{
	c->control = strdup(CONTROL_PATH);
	c->pin = strdup(CONFIG_PIN);
	c->log_level = LOG_INFO;
	c->policies_max = POLICIES_MAX;
	c->sas_max = SAS_MAX;
	c->routes_max = ROUTES_MAX;
	c->trigger = TRIGGER_VICI;
	c->ike_timeout = 30 * SECOND;
	c->backoff_min = SECOND;
	c->backoff_max = 60 * SECOND;
	c->require_children = true;
	config_settings_init(&c->defaults);
	c->spaces = calloc(1, sizeof(*c->spaces));
	if (!c->control || !c->pin || !c->spaces)
		return -ENOMEM;
	c->space_count = 1;
	c->spaces[0].name = strdup(CONFIG_HOST);
	return c->spaces[0].name ? 0 : -ENOMEM;
}

static unsigned int count_lines(const char *text, const char *end)
{
	unsigned int n = 1;

	for (; text < end; text++)
		n += *text == '\n';
	return n;
}

int config_parse(const char *file, const char *text, size_t len, struct config *out,
		 struct error *e)
{
	_cleanup_(config_free) struct config c = {};
	struct config_parser p = {.file = file, .c = &c, .section = SECTION_COUNT, .e = e};
	_cleanup_free_ char *copy = NULL;
	const char *nul = memchr(text, '\0', len);
	int r;

	if (nul)
		return parser_error(&p, -EINVAL, count_lines(text, nul), "a NUL byte");
	copy = strndup(text, len);
	if (!copy || set_defaults(&c) < 0)
		return error_set(e, -ENOMEM, "no-memory", "%s: no memory to read it", file);
	p.text = copy;
	p.end = copy + len;
	r = parse_text(&p);
	free(p.ike_vici);
	if (r < 0)
		return r;
	*out = c;
	c = (struct config){};
	return 0;
}
