/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VICI wire format: what is on the socket, as bytes. No I/O, no logging, no
 * allocation while reading.
 *
 * A frame is a u32 length (network order, itself not counted) and a packet; a
 * packet is a u8 type, for some types a u8-counted name, and a message; a
 * message is a sequence of elements.
 */
#ifndef IKE_VICI_MSG_H
#define IKE_VICI_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	VICI_HDR_LEN = 4,	      /* the length in front of a packet */
	VICI_PACKET_MAX = 512 * 1024, /* what a daemon may send */
	VICI_DEPTH_MAX = 16,	      /* sections inside one another */
};

enum vici_packet_type {
	VICI_CMD_REQUEST = 0,
	VICI_CMD_RESPONSE = 1,
	VICI_CMD_UNKNOWN = 2,
	VICI_EVENT_REGISTER = 3,
	VICI_EVENT_UNREGISTER = 4,
	VICI_EVENT_CONFIRM = 5,
	VICI_EVENT_UNKNOWN = 6,
	VICI_EVENT = 7,
};

enum vici_element_type {
	VICI_SECTION_START = 1,
	VICI_SECTION_END = 2,
	VICI_KEY_VALUE = 3,
	VICI_LIST_START = 4,
	VICI_LIST_ITEM = 5,
	VICI_LIST_END = 6,
};

/*
 * Encoder. Errors stick: after the first one nothing is written any more and
 * vici_frame_end() returns it. Zero-initialised is empty.
 */
struct vici_buf {
	uint8_t *data;
	size_t len;
	size_t size;
	int err;
};

void vici_buf_free(struct vici_buf *b);

/* Starts a frame; name is NULL for the types that have none. */
void vici_frame_begin(struct vici_buf *b, enum vici_packet_type type, const char *name);

void vici_put_section(struct vici_buf *b, const char *name);
void vici_put_section_end(struct vici_buf *b);
void vici_put_value(struct vici_buf *b, const char *name, const char *value);
void vici_put_list(struct vici_buf *b, const char *name);
void vici_put_item(struct vici_buf *b, const char *value);
void vici_put_list_end(struct vici_buf *b);

/*
 * Fills in the length. 0, -EMSGSIZE (frame, name or value too long), -EINVAL
 * (a type and its name do not fit together) or -ENOMEM.
 */
int vici_frame_end(struct vici_buf *b);

/* A string of the peer: counted, without a NUL, valid as long as the frame. */
struct vici_str {
	const char *p;
	size_t len;
};

bool vici_str_is(struct vici_str s, const char *text);

struct vici_packet {
	enum vici_packet_type type;
	struct vici_str name; /* .p is NULL for types without one */
	const uint8_t *msg;
	size_t msg_len;
};

/*
 * Splits the packet in data (after the length). 0 or -EBADMSG; the message in
 * it is not looked at.
 */
int vici_packet_parse(const void *data, size_t len, struct vici_packet *out);

/* Pull parser over a message. */
struct vici_reader {
	const uint8_t *p;
	const uint8_t *end;
	unsigned int depth; /* open sections */
	bool in_list;
	bool bad;
};

struct vici_element {
	enum vici_element_type type;
	unsigned int depth;    /* of what it is in; a SECTION_END has its START's */
	struct vici_str name;  /* SECTION_START, KEY_VALUE, LIST_START */
	struct vici_str value; /* KEY_VALUE, LIST_ITEM */
};

void vici_reader_init(struct vici_reader *r, const void *msg, size_t len);

/*
 * 1 and one element, 0 at the balanced end, -EBADMSG for anything malformed
 * (and from then on for ever). *e is untouched unless 1 is returned.
 */
int vici_next(struct vici_reader *r, struct vici_element *e);

/* Reads all of a message: 0 or -EBADMSG. */
int vici_check(const void *msg, size_t len);

/* Skips the rest of the section or list whose START was just read: 0 or -EBADMSG. */
int vici_skip(struct vici_reader *r);

/* The value of a key of the root section: true if it is there. */
bool vici_root_value(const void *msg, size_t len, const char *key, struct vici_str *out);

#endif
