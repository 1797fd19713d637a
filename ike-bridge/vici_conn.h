/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One VICI connection: a non-blocking Unix stream on somebody else's epoll.
 *
 * Commands and (un)registrations queue here and go out one at a time; each ends
 * in exactly one call of its done function, with its answer, or with an error
 * when the connection closes. Whatever the peer does wrong (a length that is too
 * large, an unknown packet, an answer nobody asked for, silence) closes the
 * connection with one line that says why.
 *
 * A connection may be closed and opened again, from its callbacks too; it must
 * not be freed inside them.
 */
#ifndef IKE_VICI_CONN_H
#define IKE_VICI_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "vici_msg.h"

struct vici_conn;
struct vici_op;

/*
 * err 0: pkt is CMD_RESPONSE or EVENT_CONFIRM. -EOPNOTSUPP: the daemon knows no
 * such command or event. Anything else: never answered (-ECANCELED if it was
 * not even sent), pkt is NULL. pkt lives until the function returns.
 */
typedef void vici_done_fn(void *ctx, uint64_t arg, int err, const struct vici_packet *pkt);

struct vici_conn_ops {
	void (*event)(void *ctx, const struct vici_packet *pkt); /* may be NULL */
	/* After the queue has been ended; why is one line. Not after vici_conn_close(). */
	void (*closed)(void *ctx, const char *why);
};

enum { VICI_QUEUE_MAX = 4096, VICI_WHY_MAX = 160 };

struct vici_conn {
	const struct vici_conn_ops *ops;
	void *ctx;
	int epfd;
	int fd; /* -1: closed */
	bool connecting;
	unsigned int epoch;	      /* one more each time it closes */
	uint32_t events;	      /* what epoll waits for */
	struct vici_op *head, **tail; /* the first one is on its way */
	size_t queued;
	size_t sent;		/* bytes of the first one */
	int64_t deadline;	/* of its answer, or of the connect; INT64_MAX: none */
	int64_t frame_deadline; /* of the rest of a frame that has begun */
	uint8_t hdr[VICI_HDR_LEN];
	size_t hdr_len;
	uint8_t *in; /* the packet being read, in_len of in_want bytes */
	size_t in_len, in_want, in_size;
	char why[VICI_WHY_MAX];
};

/* Nothing is connected yet; epfd gets the connection with &c as its data. */
void vici_conn_init(struct vici_conn *c, int epfd, const struct vici_conn_ops *ops, void *ctx);

/*
 * Connects to path. 0 (operations may be queued at once), -EAGAIN (the daemon's
 * backlog is full: later) or -errno.
 */
int vici_conn_open(struct vici_conn *c, const char *path, unsigned int timeout_ms);

/* Closes; what is queued ends with -ECANCELED. */
void vici_conn_close(struct vici_conn *c);

/*
 * Queue one operation. frame must be a whole frame (vici_frame_end() done); it
 * is taken over, and empty afterwards, if 0 is returned. timeout_ms counts from
 * when it is its turn. 0, -ENOTCONN, -ENOBUFS, -ENOMEM or the frame's error.
 */
int vici_conn_send(struct vici_conn *c, struct vici_buf *frame, unsigned int timeout_ms,
		   vici_done_fn *done, uint64_t arg);

/* The same for a command without arguments, or EVENT_(UN)REGISTER. */
int vici_conn_send_name(struct vici_conn *c, enum vici_packet_type type, const char *name,
			unsigned int timeout_ms, vici_done_fn *done, uint64_t arg);

/* Takes a queued operation with that arg back: true if it had not begun. No done call. */
bool vici_conn_retract(struct vici_conn *c, uint64_t arg);

/* The arg of the operation under way, 0 if there is none. */
uint64_t vici_conn_first(const struct vici_conn *c);

/* A streaming command makes progress: its time starts anew. */
void vici_conn_touch(struct vici_conn *c);

/* Reads and writes what there is, a bounded amount of it. Call when epoll says so. */
void vici_conn_ready(struct vici_conn *c);

/* Closes if a deadline has passed. */
void vici_conn_check(struct vici_conn *c, int64_t now);

/* The next deadline in ms of CLOCK_MONOTONIC, INT64_MAX if none. */
int64_t vici_conn_deadline(const struct vici_conn *c);

/* The daemon's process id as seen from here, 0 if closed or unknown. */
pid_t vici_conn_peer(const struct vici_conn *c);

/* CLOCK_MONOTONIC in ms. */
int64_t vici_now(void);

/* Path of unix:///path or /path; NULL for anything else. Points into uri. */
const char *vici_uri_path(const char *uri);

#endif
