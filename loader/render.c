// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "json_util.h"
#include "render.h"

#define RED    "\033[31m"
#define GREEN  "\033[32m"
#define YELLOW "\033[33m"
#define PLAIN  "\033[0m"

static const struct {
	const char *word, *colour;
} words[] = {
	{"attached", GREEN}, {"ok", GREEN},	 {"protected", GREEN}, {"established", GREEN},
	{"healthy", GREEN},  {"deny", RED},	 {"fail", RED},	       {"failed", RED},
	{"absent", RED},     {"unhealthy", RED}, {"wait", YELLOW},     {"warn", YELLOW},
	{"started", YELLOW}, {"stale", RED},	 {"lost", RED},
};

static const char *colour_of(FILE *f, const char *text)
{
	if (!isatty(fileno(f)) || getenv("NO_COLOR"))
		return NULL;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strcmp(words[i].word, text))
			return words[i].colour;
	return NULL;
}

/* Columns a text takes: continuation bytes of UTF-8 take none. */
static int width_of(const char *text)
{
	int n = 0;

	for (; *text; text++)
		n += (*text & 0xc0) != 0x80;
	return n;
}

/* C1 controls (U+0080 … U+009f) are 0xc2 0x80 … 0x9f in UTF-8: some terminals obey them. */
static void put_safe(FILE *f, const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0) {
			fputc('?', f);
			p++;
		} else {
			fputc(*p < 0x20 || *p == 0x7f ? '?' : *p, f);
		}
	}
}

void render_word(FILE *f, const char *text, int width)
{
	const char *colour = colour_of(f, text);

	if (colour)
		fputs(colour, f);
	put_safe(f, text);
	if (colour)
		fputs(PLAIN, f);
	for (int n = width_of(text); n < width; n++)
		fputc(' ', f);
}

const json_t *render_find(const json_t *o, const char *path)
{
	char key[64];
	size_t n;

	while (o && *path) {
		n = strcspn(path, ".");
		snprintf(key, sizeof(key), "%.*s", (int)n, path);
		o = json_object_get(o, key);
		path += n + (path[n] == '.');
	}
	return o;
}

void render_value(const json_t *o, const char *path, char *buf, size_t size)
{
	const json_t *v = render_find(o, path);

	switch (v ? json_typeof(v) : JSON_NULL) {
	case JSON_STRING:
		snprintf(buf, size, "%s", json_string_length(v) ? json_string_value(v) : "-");
		break;
	case JSON_INTEGER:
		snprintf(buf, size, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
		break;
	case JSON_REAL:
		snprintf(buf, size, "%.1f", json_real_value(v));
		break;
	case JSON_TRUE:
	case JSON_FALSE:
		snprintf(buf, size, "%s", json_is_true(v) ? "yes" : "no");
		break;
	default:
		snprintf(buf, size, "-");
	}
}

static void cell(const struct render_column *c, const json_t *row, char buf[RENDER_TEXT])
{
	buf[0] = '\0';
	if (c->text)
		c->text(row, c->key, buf, RENDER_TEXT);
	else
		render_value(row, c->key, buf, RENDER_TEXT);
}

/* How wide each column is, 0: it is left out. */
static void measure(const struct render_column *columns, const json_t *rows,
		    int width[RENDER_COLUMNS_MAX])
{
	char buf[RENDER_TEXT];
	const json_t *row;
	bool used;
	size_t r;

	for (size_t i = 0; columns[i].head; i++) {
		width[i] = width_of(columns[i].head);
		used = !columns[i].usual;
		json_array_foreach(rows, r, row) {
			cell(&columns[i], row, buf);
			used = used || (strcmp(buf, columns[i].usual) && strcmp(buf, "-"));
			if (width_of(buf) > width[i])
				width[i] = width_of(buf);
		}
		if (!used)
			width[i] = 0;
	}
}

/* Nothing is padded behind the last column: no line ends with blanks. */
static void put_row(FILE *f, const struct render_column *columns, const int *width,
		    const json_t *row)
{
	char buf[RENDER_TEXT];

	for (size_t i = 0; columns[i].head; i++) {
		if (!width[i])
			continue;
		if (row)
			cell(&columns[i], row, buf);
		render_word(f, row ? buf : columns[i].head, columns[i + 1].head ? width[i] + 2 : 0);
	}
	fputc('\n', f);
}

void render_table(FILE *f, const struct render_column *columns, const json_t *rows)
{
	int width[RENDER_COLUMNS_MAX];
	const json_t *row;
	size_t r;

	measure(columns, rows, width);
	put_row(f, columns, width, NULL);
	json_array_foreach(rows, r, row)
		put_row(f, columns, width, row);
}

/* ADDRESS, or ADDRESS:PORT, of one end; "" when the address is not known. */
static void end_of(const json_t *flow, const char *addr, const char *port, char *buf, size_t size)
{
	const char *text = json_get_text(flow, addr);
	json_int_t number = json_get_int(flow, port, 0);

	buf[0] = '\0';
	if (text && number)
		snprintf(buf, size, strchr(text, ':') ? "[%s]:%d" : "%s:%d", text, (int)number);
	else if (text)
		snprintf(buf, size, "%s", text);
}

void render_flow(const json_t *flow, char *buf, size_t size)
{
	char proto[32], src[80], dst[80];

	render_value(flow, "proto", proto, sizeof(proto));
	end_of(flow, "src", "sport", src, sizeof(src));
	end_of(flow, "dst", "dport", dst, sizeof(dst));
	snprintf(buf, size, "%s %s%s→ %s", proto, src, src[0] ? " " : "", dst[0] ? dst : "?");
}
