// SPDX-License-Identifier: GPL-2.0-only
#include "ike_conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vici_msg.h"

enum { STRING_MAX = 4096 };

/* What is being read; the arrays are copied into the connection's memory when full. */
struct parse {
	struct vici_reader r;
	struct ike_conn *conn;
	const struct ts_names *names;
	const char *name;
	const char **local_addrs, **remote_addrs;
	size_t nlocal_addrs, nremote_addrs;
	struct ike_child *children; /* grows */
	size_t n, size;
	struct ts ts[IKE_TS_MAX];
};

uint64_t ike_conn_hash(const void *msg, size_t len)
{
	const uint8_t *p = msg;
	uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

	while (len--)
		h = (h ^ *p++) * UINT64_C(0x100000001b3);
	return h;
}

struct ike_conn *ike_conn_ref(struct ike_conn *c)
{
	c->refs++;
	return c;
}

void ike_conn_unref(struct ike_conn *c)
{
	if (!c || --c->refs)
		return;
	ike_arena_free(&c->mem);
	free(c);
}

const char *ike_mode_name(enum ike_mode mode)
{
	switch (mode) {
#define X(id, text)                                                                                \
	case IKE_##id:                                                                             \
		return text;
		IKE_MODES(X)
#undef X
	}
	return "UNKNOWN";
}

static enum ike_mode mode_of(struct vici_str s)
{
#define X(id, text)                                                                                \
	if (vici_str_is(s, text))                                                                  \
		return IKE_##id;
	IKE_MODES(X)
#undef X
	return IKE_UNKNOWN;
}

static bool is_plain(struct vici_str s)
{
	for (size_t i = 0; i < s.len; i++) {
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
			return false;
	}
	return s.len && s.len <= STRING_MAX;
}

static const char *keep(struct parse *p, struct vici_str s)
{
	char *out = ike_arena_alloc(&p->conn->mem, s.len + 1);

	if (out)
		memcpy(out, s.p, s.len);
	return out;
}

static void *keep_array(struct parse *p, const void *data, size_t n, size_t size)
{
	void *out = ike_arena_alloc(&p->conn->mem, n * size);

	if (out && n)
		memcpy(out, data, n * size);
	return out;
}

/* The items of the list whose START was just read: as texts. */
static int parse_addrs(struct parse *p, const char ***out, size_t *n)
{
	const char *addrs[IKE_ADDRS_MAX];
	struct vici_element e;
	size_t count = 0;
	int ret;

	while ((ret = vici_next(&p->r, &e)) == 1 && e.type == VICI_LIST_ITEM) {
		if (count == IKE_ADDRS_MAX || !is_plain(e.value))
			continue;
		addrs[count] = keep(p, e.value);
		if (!addrs[count++])
			return -ENOMEM;
	}
	if (ret != 1)
		return -EBADMSG;
	*out = keep_array(p, addrs, count, sizeof(addrs[0]));
	if (!*out)
		return -ENOMEM;
	*n = count;
	return 0;
}

/* The same for traffic selectors. */
static int parse_selectors(struct parse *p, struct ike_child *child, const struct ts **out,
			   size_t *n)
{
	struct vici_element e;
	size_t count = 0;
	int ret;

	while ((ret = vici_next(&p->r, &e)) == 1 && e.type == VICI_LIST_ITEM) {
		if (count < IKE_TS_MAX &&
		    !ts_parse(e.value.p, e.value.len, p->names, &p->ts[count]))
			count++;
		else
			child->left_out++;
	}
	if (ret != 1)
		return -EBADMSG;
	*out = keep_array(p, p->ts, count, sizeof(p->ts[0]));
	if (!*out)
		return -ENOMEM;
	*n = count;
	return 0;
}

static int parse_child_element(struct parse *p, struct ike_child *child,
			       const struct vici_element *e)
{
	switch (e->type) {
	case VICI_KEY_VALUE:
		if (vici_str_is(e->name, "mode"))
			child->mode = mode_of(e->value);
		return 0;
	case VICI_LIST_START:
		if (vici_str_is(e->name, "local-ts"))
			return parse_selectors(p, child, &child->local, &child->nlocal);
		if (vici_str_is(e->name, "remote-ts"))
			return parse_selectors(p, child, &child->remote, &child->nremote);
		return vici_skip(&p->r);
	case VICI_SECTION_START:
		return vici_skip(&p->r);
	default:
		return -EBADMSG;
	}
}

static int add_child(struct parse *p, const struct ike_child *child)
{
	size_t size = p->size ? p->size * 2 : 8;
	struct ike_child *children;

	if (p->n == IKE_CHILDREN_MAX)
		return -EBADMSG;
	if (p->n == p->size) {
		children = reallocarray(p->children, size, sizeof(*children));
		if (!children)
			return -ENOMEM;
		p->children = children;
		p->size = size;
	}
	p->children[p->n++] = *child;
	return 0;
}

/* The section of one child, its START was just read. */
static int parse_child(struct parse *p, struct vici_str name)
{
	struct ike_child child = {};
	struct vici_element e;
	int ret;

	if (!is_plain(name))
		return vici_skip(&p->r);
	child.name = keep(p, name);
	if (!child.name)
		return -ENOMEM;
	while ((ret = vici_next(&p->r, &e)) == 1 && e.type != VICI_SECTION_END) {
		ret = parse_child_element(p, &child, &e);
		if (ret < 0)
			return ret;
	}
	return ret == 1 ? add_child(p, &child) : -EBADMSG;
}

static int parse_children(struct parse *p)
{
	struct vici_element e;
	int ret, err;

	while ((ret = vici_next(&p->r, &e)) == 1 && e.type != VICI_SECTION_END) {
		err = 0;
		if (e.type == VICI_SECTION_START)
			err = parse_child(p, e.name);
		else if (e.type == VICI_LIST_START)
			err = vici_skip(&p->r);
		if (err < 0)
			return err;
	}
	return ret == 1 ? 0 : -EBADMSG;
}

static int parse_conn_element(struct parse *p, const struct vici_element *e)
{
	switch (e->type) {
	case VICI_KEY_VALUE:
		return 0;
	case VICI_LIST_START:
		if (vici_str_is(e->name, "local_addrs"))
			return parse_addrs(p, &p->local_addrs, &p->nlocal_addrs);
		if (vici_str_is(e->name, "remote_addrs"))
			return parse_addrs(p, &p->remote_addrs, &p->nremote_addrs);
		return vici_skip(&p->r);
	case VICI_SECTION_START:
		if (vici_str_is(e->name, "children"))
			return parse_children(p);
		return vici_skip(&p->r);
	default:
		return -EBADMSG;
	}
}

static int parse_conn(struct parse *p)
{
	struct vici_element e;
	int ret;

	if (vici_next(&p->r, &e) != 1 || e.type != VICI_SECTION_START || !is_plain(e.name))
		return -EBADMSG;
	p->name = keep(p, e.name);
	if (!p->name)
		return -ENOMEM;
	while ((ret = vici_next(&p->r, &e)) == 1 && e.type != VICI_SECTION_END) {
		ret = parse_conn_element(p, &e);
		if (ret < 0)
			return ret;
	}
	if (ret != 1 || vici_next(&p->r, &e))
		return -EBADMSG;
	return 0;
}

static int finish(struct parse *p)
{
	struct ike_conn *conn = p->conn;

	for (size_t i = 0; i < p->n; i++) {
		struct ike_child *c = &p->children[i];

		c->conn = p->name;
		c->local_addrs = p->local_addrs;
		c->nlocal_addrs = p->nlocal_addrs;
		c->remote_addrs = p->remote_addrs;
		c->nremote_addrs = p->nremote_addrs;
	}
	conn->n = p->n;
	conn->children = keep_array(p, p->children, p->n, sizeof(*p->children));
	return conn->children ? 0 : -ENOMEM;
}

int ike_conn_parse(const void *msg, size_t len, const struct ts_names *names, struct ike_conn **out)
{
	struct ike_conn *conn = calloc(1, sizeof(*conn));
	struct parse *p = calloc(1, sizeof(*p));
	int err = -ENOMEM;

	if (conn && p) {
		conn->refs = 1;
		conn->hash = ike_conn_hash(msg, len);
		p->conn = conn;
		p->names = names;
		vici_reader_init(&p->r, msg, len);
		err = parse_conn(p);
		if (!err)
			err = finish(p);
	}
	if (p)
		free(p->children);
	free(p);
	if (err) {
		ike_conn_unref(conn);
		return err;
	}
	*out = conn;
	return 0;
}
