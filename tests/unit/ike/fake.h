/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A scripted IKE daemon, for what a real one cannot be made to do. It answers
 * in fake_step(), in the test's own thread, so nothing here waits for time.
 */
#ifndef TEST_IKE_FAKE_H
#define TEST_IKE_FAKE_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../../../ike-bridge/vici_msg.h"

enum fault {
	NO_FAULT,
	HALF,	     /* half of the answer's frame, then nothing */
	HALF_CLOSE,  /* half of it, then the end */
	HUGE_LENGTH, /* a gigabyte is announced */
	EMPTY,	     /* a packet of no bytes */
	GARBAGE,     /* packet type 9 */
	WRONG,	     /* a confirmation where a response is due */
	TWICE,	     /* the answer, and again */
	UNBALANCED,  /* a message whose section does not end */
	SILENT,	     /* nothing */
	UNKNOWN,     /* CMD_UNKNOWN or EVENT_UNKNOWN */
	GONE,	     /* the connection ends before the answer (after the first event) */
};

enum { FAKE_CONNS = 64, FAKE_BUF = 65536 };

struct fake {
	char path[108];
	int listener;
	struct fake_conn {
		int fd;
		size_t len;
		uint8_t buf[FAKE_BUF];
	} conns[FAKE_CONNS];
	const char *at; /* the command or event at which the fault happens */
	enum fault fault;
	unsigned int loaded;  /* connections */
	uint32_t reqid;	      /* list-policies tells it for conn0/child, 0: no */
	const char *initiate; /* errmsg, NULL: success */
	const char *log;      /* a control-log line before the answer */
	unsigned int initiates, tracked;
	unsigned int accepted;
};

static inline void fake_listen(struct fake *f)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};

	unlink(f->path);
	strcpy(sun.sun_path, f->path);
	f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (bind(f->listener, (struct sockaddr *)&sun, sizeof(sun)) || listen(f->listener, 64))
		abort();
}

static inline struct fake *fake_new(void)
{
	struct fake *f = calloc(1, sizeof(*f));

	snprintf(f->path, sizeof(f->path), "/tmp/fake-vici.%d", getpid());
	f->loaded = 2;
	for (int i = 0; i < FAKE_CONNS; i++)
		f->conns[i].fd = -1;
	fake_listen(f);
	return f;
}

/* As when the daemon dies: all connections end and the socket is gone. */
static inline void fake_die(struct fake *f)
{
	for (int i = 0; i < FAKE_CONNS; i++) {
		if (f->conns[i].fd >= 0)
			close(f->conns[i].fd);
		f->conns[i].fd = -1;
		f->conns[i].len = 0;
	}
	if (f->listener >= 0)
		close(f->listener);
	f->listener = -1;
	unlink(f->path);
}

static inline void fake_free(struct fake *f)
{
	fake_die(f);
	free(f);
}

static inline void fake_write(int fd, const void *data, size_t len)
{
	if (send(fd, data, len, MSG_NOSIGNAL) != (ssize_t)len && errno != EPIPE)
		abort();
}

static inline void fake_send(int fd, struct vici_buf *b)
{
	if (vici_frame_end(b))
		abort();
	fake_write(fd, b->data, b->len);
	vici_buf_free(b);
}

static inline void fake_conn_event(struct fake *f, int fd, unsigned int i)
{
	struct vici_buf b = {};
	char name[32];

	(void)f;
	snprintf(name, sizeof(name), "conn%u", i);
	vici_frame_begin(&b, VICI_EVENT, "list-conn");
	vici_put_section(&b, name);
	vici_put_list(&b, "local_addrs");
	vici_put_item(&b, "192.0.2.1");
	vici_put_list_end(&b);
	vici_put_list(&b, "remote_addrs");
	snprintf(name, sizeof(name), "192.0.2.%u", 10 + i);
	vici_put_item(&b, name);
	vici_put_list_end(&b);
	vici_put_section(&b, "children");
	vici_put_section(&b, "child");
	vici_put_value(&b, "mode", "TRANSPORT");
	vici_put_list(&b, "local-ts");
	vici_put_item(&b, "dynamic");
	vici_put_list_end(&b);
	vici_put_list(&b, "remote-ts");
	vici_put_item(&b, "dynamic[tcp/443]");
	vici_put_item(&b, "nonsense");
	vici_put_list_end(&b);
	vici_put_section_end(&b);
	vici_put_section_end(&b);
	vici_put_section_end(&b);
	fake_send(fd, &b);
}

static inline void fake_updown(int fd, const char *conn, const char *child, bool up,
			       const char *reqid)
{
	struct vici_buf b = {};

	vici_frame_begin(&b, VICI_EVENT, "child-updown");
	if (up)
		vici_put_value(&b, "up", "yes");
	vici_put_section(&b, conn);
	vici_put_section(&b, "child-sas");
	vici_put_section(&b, "child-1");
	vici_put_value(&b, "name", child);
	vici_put_value(&b, "reqid", reqid);
	vici_put_section_end(&b);
	vici_put_section_end(&b);
	vici_put_section_end(&b);
	fake_send(fd, &b);
}

/* The events that stream before an answer. False: the connection is to end. */
static inline bool fake_stream(struct fake *f, int fd, const char *name, bool gone)
{
	struct vici_buf b = {};
	char reqid[16];

	if (!strcmp(name, "list-conns")) {
		for (unsigned int i = 0; i < f->loaded; i++) {
			fake_conn_event(f, fd, i);
			if (gone)
				return false;
		}
	} else if (!strcmp(name, "list-policies") && f->reqid) {
		snprintf(reqid, sizeof(reqid), "%u", f->reqid);
		vici_frame_begin(&b, VICI_EVENT, "list-policy");
		vici_put_section(&b, "conn0/child");
		vici_put_value(&b, "child", "child");
		vici_put_value(&b, "ike", "conn0");
		vici_put_value(&b, "reqid", reqid);
		vici_put_section_end(&b);
		fake_send(fd, &b);
	} else if (!strcmp(name, "initiate") && f->log) {
		vici_frame_begin(&b, VICI_EVENT, "control-log");
		vici_put_value(&b, "msg", f->log);
		fake_send(fd, &b);
	}
	return !gone;
}

static inline void fake_answer(struct fake *f, struct vici_buf *b, const char *name,
			       enum vici_packet_type type)
{
	if (type != VICI_CMD_REQUEST) {
		vici_frame_begin(b, VICI_EVENT_CONFIRM, NULL);
		return;
	}
	vici_frame_begin(b, VICI_CMD_RESPONSE, NULL);
	if (!strcmp(name, "version")) {
		vici_put_value(b, "daemon", "fake\033[31m");
		vici_put_value(b, "version", "9.9");
	} else if (!strcmp(name, "stats")) {
		vici_put_section(b, "workers");
		vici_put_value(b, "idle", "6");
		vici_put_section_end(b);
	} else if (!strcmp(name, "initiate")) {
		vici_put_value(b, "success", f->initiate ? "no" : "yes");
		if (f->initiate)
			vici_put_value(b, "errmsg", f->initiate);
	}
}

/* Sends the answer as the fault wants it; false: the connection is to end. */
static inline bool fake_reply(struct fake *f, int fd, const char *name, enum vici_packet_type type)
{
	enum fault fault = f->at && !strcmp(f->at, name) ? f->fault : NO_FAULT;
	static const uint8_t huge[] = {0x40, 0, 0, 0, 1}, empty[] = {0, 0, 0, 0},
			     garbage[] = {0, 0, 0, 1, 9};
	struct vici_buf b = {};

	if (fault == SILENT)
		return true;
	if (!fake_stream(f, fd, name, fault == GONE))
		return false;
	fake_answer(f, &b, name, type);
	if (fault == WRONG)
		vici_frame_begin(&b, type ? VICI_CMD_RESPONSE : VICI_EVENT_CONFIRM, NULL);
	if (fault == UNKNOWN)
		vici_frame_begin(&b, type ? VICI_EVENT_UNKNOWN : VICI_CMD_UNKNOWN, NULL);
	if (fault == UNBALANCED)
		vici_put_section(&b, "open");
	vici_frame_end(&b);
	if (fault == HUGE_LENGTH)
		fake_write(fd, huge, sizeof(huge));
	else if (fault == EMPTY)
		fake_write(fd, empty, sizeof(empty));
	else if (fault == GARBAGE)
		fake_write(fd, garbage, sizeof(garbage));
	else
		fake_write(fd, b.data, fault == HALF || fault == HALF_CLOSE ? b.len / 2 : b.len);
	if (fault == TWICE)
		fake_write(fd, b.data, b.len);
	vici_buf_free(&b);
	return fault != HALF_CLOSE;
}

static inline bool fake_packet(struct fake *f, int fd, const uint8_t *data, size_t len)
{
	struct vici_packet pkt;
	struct vici_str timeout;
	char name[256] = "";

	if (vici_packet_parse(data, len, &pkt) || vici_check(pkt.msg, pkt.msg_len))
		abort();
	memcpy(name, pkt.name.p, pkt.name.len);
	if (!strcmp(name, "initiate") &&
	    vici_root_value(pkt.msg, pkt.msg_len, "timeout", &timeout)) {
		f->initiates++;
		f->tracked += !vici_str_is(timeout, "-1");
	}
	return fake_reply(f, fd, name, pkt.type);
}

static inline void fake_serve(struct fake *f, struct fake_conn *c)
{
	ssize_t n = recv(c->fd, c->buf + c->len, FAKE_BUF - c->len, MSG_DONTWAIT);
	bool alive = n != 0;

	if (n > 0)
		c->len += n;
	while (alive && c->len >= 4) {
		size_t len = c->buf[2] << 8 | c->buf[3];

		if (c->len < 4 + len)
			break;
		alive = fake_packet(f, c->fd, c->buf + 4, len);
		c->len -= 4 + len;
		memmove(c->buf, c->buf + 4 + len, c->len);
	}
	if (!alive) {
		close(c->fd);
		c->fd = -1;
		c->len = 0;
	}
}

static inline void fake_step(struct fake *f)
{
	for (int i = 0; i < FAKE_CONNS; i++) {
		if (f->conns[i].fd < 0 && f->listener >= 0) {
			f->conns[i].fd = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC);
			f->accepted += f->conns[i].fd >= 0;
		}
		if (f->conns[i].fd >= 0)
			fake_serve(f, &f->conns[i]);
	}
}

#endif
