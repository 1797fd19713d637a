// SPDX-License-Identifier: GPL-2.0-only
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* struct ucred */
#endif

#include "vici_conn.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
	FRAMES_PER_TURN = 64,	  /* then the caller's loop serves others */
	FRAME_TIMEOUT_MS = 10000, /* from its first byte to its last */
	KEEP_BUFFER = 64 * 1024,  /* larger ones are given back */
};

struct vici_op {
	struct vici_op *next;
	struct vici_buf frame;
	unsigned int timeout_ms;
	vici_done_fn *done;
	uint64_t arg;
};

int64_t vici_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000) + ts.tv_nsec / 1000000;
}

const char *vici_uri_path(const char *uri)
{
	static const char scheme[] = "unix://";

	if (!strncmp(uri, scheme, sizeof(scheme) - 1))
		uri += sizeof(scheme) - 1;
	return uri[0] == '/' ? uri : NULL;
}

static void free_op(struct vici_op *op)
{
	vici_buf_free(&op->frame);
	free(op);
}

static struct vici_op *pop_op(struct vici_conn *c)
{
	struct vici_op *op = c->head;

	c->head = op->next;
	if (!c->head)
		c->tail = &c->head;
	c->queued--;
	c->sent = 0;
	c->deadline = INT64_MAX;
	return op;
}

static void wait_for(struct vici_conn *c, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = c};

	if (c->events == events)
		return;
	c->events = events;
	epoll_ctl(c->epfd, EPOLL_CTL_MOD, c->fd, &ev);
}

void vici_conn_init(struct vici_conn *c, int epfd, const struct vici_conn_ops *ops, void *ctx)
{
	*c = (struct vici_conn){.ops = ops, .ctx = ctx, .epfd = epfd, .fd = -1};
	c->tail = &c->head;
	c->deadline = c->frame_deadline = INT64_MAX;
}

/* Ends the socket and then the queue: done functions may already open it anew. */
static void end(struct vici_conn *c, int err)
{
	struct vici_op *op = c->head, *next;
	bool begun = c->sent > 0;

	close(c->fd);
	c->fd = -1;
	c->epoch++;
	c->head = NULL;
	c->tail = &c->head;
	c->queued = c->sent = c->hdr_len = 0;
	c->deadline = c->frame_deadline = INT64_MAX;
	free(c->in);
	c->in = NULL;
	c->in_size = c->in_len = c->in_want = 0;
	for (; op; op = next) {
		next = op->next;
		op->done(c->ctx, op->arg, begun ? err : -ECANCELED, NULL);
		begun = false;
		free_op(op);
	}
}

void vici_conn_close(struct vici_conn *c)
{
	if (c->fd >= 0)
		end(c, -ECANCELED);
	c->why[0] = '\0';
}

__attribute__((format(printf, 2, 3))) static void fail(struct vici_conn *c, const char *fmt, ...)
{
	char why[VICI_WHY_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	memcpy(c->why, why, sizeof(why));
	end(c, -ECONNRESET);
	c->ops->closed(c->ctx, why);
}

int vici_conn_open(struct vici_conn *c, const char *path, unsigned int timeout_ms)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
	size_t len = strlen(path);
	int fd, err;

	if (c->fd >= 0)
		return -EALREADY;
	if (len >= sizeof(sun.sun_path))
		return -ENAMETOOLONG;
	memcpy(sun.sun_path, path, len + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	err = connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0 ? -errno : 0;
	if ((err && err != -EINPROGRESS) || epoll_ctl(c->epfd, EPOLL_CTL_ADD, fd, &ev) < 0) {
		err = err && err != -EINPROGRESS ? err : -errno;
		close(fd);
		return err;
	}
	c->fd = fd;
	c->events = ev.events;
	c->connecting = err == -EINPROGRESS;
	c->deadline = c->connecting ? vici_now() + timeout_ms : INT64_MAX;
	c->why[0] = '\0';
	return 0;
}

/* Its turn: the clock of the first operation starts, and writing. */
static void begin(struct vici_conn *c)
{
	if (!c->head || c->connecting)
		return;
	c->sent = 0;
	c->deadline = c->head->timeout_ms ? vici_now() + c->head->timeout_ms : INT64_MAX;
	wait_for(c, EPOLLIN | EPOLLOUT);
}

int vici_conn_send(struct vici_conn *c, struct vici_buf *frame, unsigned int timeout_ms,
		   vici_done_fn *done, uint64_t arg)
{
	struct vici_op *op;

	if (frame->err)
		return frame->err;
	if (c->fd < 0)
		return -ENOTCONN;
	if (c->queued == VICI_QUEUE_MAX)
		return -ENOBUFS;
	op = malloc(sizeof(*op));
	if (!op)
		return -ENOMEM;
	*op = (struct vici_op){
		.frame = *frame,
		.timeout_ms = timeout_ms,
		.done = done,
		.arg = arg,
	};
	*frame = (struct vici_buf){};
	*c->tail = op;
	c->tail = &op->next;
	if (!c->queued++)
		begin(c);
	return 0;
}

int vici_conn_send_name(struct vici_conn *c, enum vici_packet_type type, const char *name,
			unsigned int timeout_ms, vici_done_fn *done, uint64_t arg)
{
	struct vici_buf frame = {};
	int err;

	vici_frame_begin(&frame, type, name);
	err = vici_frame_end(&frame);
	if (!err)
		err = vici_conn_send(c, &frame, timeout_ms, done, arg);
	vici_buf_free(&frame);
	return err;
}

bool vici_conn_retract(struct vici_conn *c, uint64_t arg)
{
	struct vici_op **pp, *op;

	if (!c->head || !c->head->next)
		return false;
	for (pp = &c->head->next; *pp; pp = &(*pp)->next) {
		op = *pp;
		if (op->arg != arg)
			continue;
		*pp = op->next;
		if (!*pp)
			c->tail = pp;
		c->queued--;
		free_op(op);
		return true;
	}
	return false;
}

uint64_t vici_conn_first(const struct vici_conn *c)
{
	return c->head ? c->head->arg : 0;
}

void vici_conn_touch(struct vici_conn *c)
{
	if (c->head && c->deadline != INT64_MAX)
		c->deadline = vici_now() + c->head->timeout_ms;
}

static bool finish_connect(struct vici_conn *c)
{
	socklen_t len = sizeof(int);
	int err = 0;

	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		err = errno;
	if (err) {
		fail(c, "connect: %s", strerror(err));
		return false;
	}
	c->connecting = false;
	c->deadline = INT64_MAX;
	begin(c);
	return true;
}

static bool write_some(struct vici_conn *c)
{
	struct vici_op *op = c->head;
	ssize_t n;

	while (op && c->sent < op->frame.len) {
		n = send(c->fd, op->frame.data + c->sent, op->frame.len - c->sent, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			wait_for(c, EPOLLIN | EPOLLOUT);
			return true;
		}
		if (n < 0) {
			fail(c, "write: %s", strerror(errno));
			return false;
		}
		c->sent += n;
	}
	wait_for(c, EPOLLIN);
	return true;
}

/* Whether a packet of this type is the answer to what the first operation asked. */
static bool answers(const struct vici_op *op, enum vici_packet_type type)
{
	if (op->frame.data[VICI_HDR_LEN] == VICI_CMD_REQUEST)
		return type == VICI_CMD_RESPONSE || type == VICI_CMD_UNKNOWN;
	return type == VICI_EVENT_CONFIRM || type == VICI_EVENT_UNKNOWN;
}

/* One packet: false if it has closed the connection. */
static bool take_packet(struct vici_conn *c, const struct vici_packet *pkt)
{
	struct vici_op *op = c->head;
	bool unknown = pkt->type == VICI_CMD_UNKNOWN || pkt->type == VICI_EVENT_UNKNOWN;

	if (vici_check(pkt->msg, pkt->msg_len) < 0) {
		fail(c, "malformed message from the daemon (packet type %d)", pkt->type);
		return false;
	}
	if (pkt->type == VICI_EVENT) {
		if (c->ops->event)
			c->ops->event(c->ctx, pkt);
		return true;
	}
	if (!op || c->sent < op->frame.len || !answers(op, pkt->type)) {
		fail(c, "packet type %d from the daemon where none was due", pkt->type);
		return false;
	}
	pop_op(c);
	begin(c);
	op->done(c->ctx, op->arg, unknown ? -EOPNOTSUPP : 0, pkt);
	free_op(op);
	return true;
}

/* Makes room for a packet whose length is known, and known to be allowed. */
static int make_room(struct vici_conn *c, size_t len)
{
	uint8_t *p;

	if (len > c->in_size || (c->in_size > KEEP_BUFFER && len <= KEEP_BUFFER)) {
		free(c->in);
		c->in_size = 0;
		p = malloc(len);
		c->in = p;
		if (!p)
			return -ENOMEM;
		c->in_size = len;
	}
	c->in_want = len;
	c->in_len = 0;
	return 0;
}

static bool take_header(struct vici_conn *c)
{
	uint32_t len = (uint32_t)c->hdr[0] << 24 | c->hdr[1] << 16 | c->hdr[2] << 8 | c->hdr[3];

	if (!len || len > VICI_PACKET_MAX) {
		fail(c, "packet of %u bytes announced by the daemon (limit %d)", len,
		     VICI_PACKET_MAX);
		return false;
	}
	if (make_room(c, len) < 0) {
		fail(c, "no memory for a packet of %u bytes", len);
		return false;
	}
	return true;
}

/* A whole packet is in: give it out. The buffer is lent, for the callbacks may close. */
static bool take_frame(struct vici_conn *c)
{
	uint8_t *buf = c->in;
	size_t size = c->in_size, len = c->in_want;
	struct vici_packet pkt;
	unsigned int epoch = c->epoch;
	bool ok;

	c->in = NULL;
	c->in_size = c->in_len = c->in_want = c->hdr_len = 0;
	c->frame_deadline = INT64_MAX;
	if (vici_packet_parse(buf, len, &pkt) < 0) {
		fail(c, "unknown packet from the daemon (type %d)", buf[0]);
		ok = false;
	} else {
		ok = take_packet(c, &pkt);
	}
	if (c->epoch == epoch && !c->in) {
		c->in = buf;
		c->in_size = size;
	} else {
		free(buf);
	}
	return ok;
}

/* 1: something was read, 0: nothing there, -1: closed. */
static int read_some(struct vici_conn *c, uint8_t *to, size_t want, size_t *have)
{
	ssize_t n;

	do
		n = recv(c->fd, to + *have, want - *have, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return 0;
	if (n < 0) {
		fail(c, "read: %s", strerror(errno));
		return -1;
	}
	if (!n) {
		fail(c,
		     c->hdr_len ? "closed by the daemon inside a packet" : "closed by the daemon");
		return -1;
	}
	*have += n;
	return 1;
}

/* As read_some(), for one step of a frame. */
static int read_step(struct vici_conn *c, unsigned int *frames)
{
	int ret;

	if (c->hdr_len < VICI_HDR_LEN) {
		ret = read_some(c, c->hdr, VICI_HDR_LEN, &c->hdr_len);
		if (ret == 1 && c->frame_deadline == INT64_MAX)
			c->frame_deadline = vici_now() + FRAME_TIMEOUT_MS;
		if (ret == 1 && c->hdr_len == VICI_HDR_LEN && !take_header(c))
			return -1;
		return ret;
	}
	ret = read_some(c, c->in, c->in_want, &c->in_len);
	if (ret == 1 && c->in_len == c->in_want) {
		++*frames;
		if (!take_frame(c))
			return -1;
	}
	return ret;
}

void vici_conn_ready(struct vici_conn *c)
{
	unsigned int frames = 0, epoch = c->epoch;

	if (c->fd < 0)
		return;
	if (c->connecting && !finish_connect(c))
		return;
	if (!write_some(c))
		return;
	while (frames < FRAMES_PER_TURN && c->epoch == epoch && read_step(c, &frames) == 1)
		;
	/* an answer made room for the next operation: spare it a turn of the loop */
	if (frames && c->epoch == epoch && c->head && !c->sent)
		write_some(c);
}

void vici_conn_check(struct vici_conn *c, int64_t now)
{
	if (c->fd < 0)
		return;
	if (c->frame_deadline <= now)
		fail(c, "the daemon stalled inside a packet");
	else if (c->deadline <= now && c->connecting)
		fail(c, "connect: %s", strerror(ETIMEDOUT));
	else if (c->deadline <= now)
		fail(c, "no answer from the daemon to %.*s", c->head->frame.data[VICI_HDR_LEN + 1],
		     (const char *)c->head->frame.data + VICI_HDR_LEN + 2);
}

int64_t vici_conn_deadline(const struct vici_conn *c)
{
	if (c->fd < 0)
		return INT64_MAX;
	return c->deadline < c->frame_deadline ? c->deadline : c->frame_deadline;
}

pid_t vici_conn_peer(const struct vici_conn *c)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (c->fd < 0 || getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return 0;
	return cred.pid;
}
