// SPDX-License-Identifier: GPL-2.0-only
#include "vici_msg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void vici_buf_free(struct vici_buf *b)
{
	free(b->data);
	*b = (struct vici_buf){};
}

static void put(struct vici_buf *b, const void *data, size_t len)
{
	const size_t max = VICI_HDR_LEN + VICI_PACKET_MAX;
	size_t size;
	uint8_t *p;

	if (b->err || !len)
		return;
	if (len > max - b->len) {
		b->err = -EMSGSIZE;
		return;
	}
	if (len > b->size - b->len) {
		size = b->size ? b->size : 128;
		while (size - b->len < len)
			size *= 2;
		p = realloc(b->data, size);
		if (!p) {
			b->err = -ENOMEM;
			return;
		}
		b->data = p;
		b->size = size;
	}
	memcpy(b->data + b->len, data, len);
	b->len += len;
}

static void put_u8(struct vici_buf *b, uint8_t v)
{
	put(b, &v, sizeof(v));
}

static void put_name(struct vici_buf *b, const char *name)
{
	size_t len = strlen(name);

	if (len > UINT8_MAX) {
		b->err = b->err ? b->err : -EMSGSIZE;
		return;
	}
	put_u8(b, len);
	put(b, name, len);
}

static void put_text(struct vici_buf *b, const char *value)
{
	size_t len = strlen(value);

	if (len > UINT16_MAX) {
		b->err = b->err ? b->err : -EMSGSIZE;
		return;
	}
	put_u8(b, len >> 8);
	put_u8(b, len & 0xff);
	put(b, value, len);
}

static bool type_has_name(enum vici_packet_type type)
{
	return type == VICI_CMD_REQUEST || type == VICI_EVENT_REGISTER ||
	       type == VICI_EVENT_UNREGISTER || type == VICI_EVENT;
}

void vici_frame_begin(struct vici_buf *b, enum vici_packet_type type, const char *name)
{
	static const uint8_t hdr[VICI_HDR_LEN];

	b->len = 0;
	b->err = type_has_name(type) == !!name ? 0 : -EINVAL;
	put(b, hdr, sizeof(hdr));
	put_u8(b, type);
	if (name)
		put_name(b, name);
}

void vici_put_section(struct vici_buf *b, const char *name)
{
	put_u8(b, VICI_SECTION_START);
	put_name(b, name);
}

void vici_put_section_end(struct vici_buf *b)
{
	put_u8(b, VICI_SECTION_END);
}

void vici_put_value(struct vici_buf *b, const char *name, const char *value)
{
	put_u8(b, VICI_KEY_VALUE);
	put_name(b, name);
	put_text(b, value);
}

void vici_put_list(struct vici_buf *b, const char *name)
{
	put_u8(b, VICI_LIST_START);
	put_name(b, name);
}

void vici_put_item(struct vici_buf *b, const char *value)
{
	put_u8(b, VICI_LIST_ITEM);
	put_text(b, value);
}

void vici_put_list_end(struct vici_buf *b)
{
	put_u8(b, VICI_LIST_END);
}

int vici_frame_end(struct vici_buf *b)
{
	size_t len;

	if (b->err)
		return b->err;
	len = b->len - VICI_HDR_LEN;
	b->data[0] = len >> 24;
	b->data[1] = len >> 16;
	b->data[2] = len >> 8;
	b->data[3] = len;
	return 0;
}

bool vici_str_is(struct vici_str s, const char *text)
{
	return s.p && strlen(text) == s.len && !memcmp(s.p, text, s.len);
}

/* Takes len bytes that must be text: -EBADMSG if they are not all there or hold a NUL. */
static int take_text(const uint8_t **p, const uint8_t *end, size_t len, struct vici_str *out)
{
	if ((size_t)(end - *p) < len || memchr(*p, 0, len))
		return -EBADMSG;
	*out = (struct vici_str){(const char *)*p, len};
	*p += len;
	return 0;
}

static int take_name(const uint8_t **p, const uint8_t *end, struct vici_str *out)
{
	size_t len;

	if (*p == end)
		return -EBADMSG;
	len = *(*p)++;
	return take_text(p, end, len, out);
}

static int take_value(const uint8_t **p, const uint8_t *end, struct vici_str *out)
{
	size_t len;

	if (end - *p < 2)
		return -EBADMSG;
	len = (size_t)(*p)[0] << 8 | (*p)[1];
	*p += 2;
	return take_text(p, end, len, out);
}

int vici_packet_parse(const void *data, size_t len, struct vici_packet *out)
{
	const uint8_t *p = data, *end;
	struct vici_packet pkt = {};

	if (!len || len > VICI_PACKET_MAX)
		return -EBADMSG;
	end = p + len;
	if (*p > VICI_EVENT)
		return -EBADMSG;
	pkt.type = *p++;
	if (type_has_name(pkt.type) && take_name(&p, end, &pkt.name) < 0)
		return -EBADMSG;
	pkt.msg = p;
	pkt.msg_len = end - p;
	*out = pkt;
	return 0;
}

void vici_reader_init(struct vici_reader *r, const void *msg, size_t len)
{
	*r = (struct vici_reader){.p = msg};
	r->end = len ? r->p + len : r->p;
}

static int read_element(struct vici_reader *r, struct vici_element *e)
{
	uint8_t type = *r->p++;

	/* in a list there is nothing but its items and its end */
	if (r->in_list != (type == VICI_LIST_ITEM || type == VICI_LIST_END))
		return -EBADMSG;
	e->type = type;
	e->depth = r->depth;
	switch (type) {
	case VICI_SECTION_START:
		if (r->depth == VICI_DEPTH_MAX)
			return -EBADMSG;
		r->depth++;
		return take_name(&r->p, r->end, &e->name);
	case VICI_SECTION_END:
		if (!r->depth)
			return -EBADMSG;
		e->depth = --r->depth;
		return 0;
	case VICI_KEY_VALUE:
		if (take_name(&r->p, r->end, &e->name) < 0)
			return -EBADMSG;
		return take_value(&r->p, r->end, &e->value);
	case VICI_LIST_START:
		r->in_list = true;
		return take_name(&r->p, r->end, &e->name);
	case VICI_LIST_ITEM:
		return take_value(&r->p, r->end, &e->value);
	case VICI_LIST_END:
		r->in_list = false;
		return 0;
	default:
		return -EBADMSG;
	}
}

int vici_next(struct vici_reader *r, struct vici_element *e)
{
	struct vici_element el = {};

	if (r->bad)
		return -EBADMSG;
	if (r->p == r->end) {
		if (!r->depth && !r->in_list)
			return 0;
		r->bad = true;
		return -EBADMSG;
	}
	if (read_element(r, &el) < 0) {
		r->bad = true;
		return -EBADMSG;
	}
	*e = el;
	return 1;
}

int vici_check(const void *msg, size_t len)
{
	struct vici_element e;
	struct vici_reader r;
	int ret;

	vici_reader_init(&r, msg, len);
	do
		ret = vici_next(&r, &e);
	while (ret == 1);
	return ret;
}

int vici_skip(struct vici_reader *r)
{
	struct vici_element e;
	unsigned int depth = r->depth;
	bool list = r->in_list;
	int ret;

	while ((ret = vici_next(r, &e)) == 1) {
		if (list ? !r->in_list : r->depth < depth)
			return 0;
	}
	return ret < 0 ? ret : -EBADMSG;
}

bool vici_root_value(const void *msg, size_t len, const char *key, struct vici_str *out)
{
	struct vici_element e;
	struct vici_reader r;

	vici_reader_init(&r, msg, len);
	while (vici_next(&r, &e) == 1) {
		if (e.type == VICI_KEY_VALUE && !e.depth && vici_str_is(e.name, key)) {
			*out = e.value;
			return true;
		}
	}
	return false;
}
