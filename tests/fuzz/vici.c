// SPDX-License-Identifier: GPL-2.0-only
/*
 * VICI frames: the whole bridge, with the input in the place of the IKE daemon. The input is a row
 * of acts: u8 what (enum act, and the connection in the two low bits, in the order in which they
 * were made), u16 length, so many bytes, which are sent as one frame.
 */
/* covers: ike-bridge/vici_conn.c ike-bridge/vici_msg.c ike-bridge/ike_bridge.c */
/* covers: ike-bridge/ike_listing.c ike-bridge/ike_initiate.c ike-bridge/ike_event.c */
/* needs: ike-bridge/ike_arena.c ike-bridge/ike_bridge.c */
/* needs: ike-bridge/ike_conn.c ike-bridge/ike_event.c ike-bridge/ike_find.c */
/* needs: ike-bridge/ike_initiate.c ike-bridge/ike_list.c ike-bridge/ike_listing.c */
/* needs: ike-bridge/ike_reason.c ike-bridge/ike_sa.c ike-bridge/ts.c ike-bridge/ts_names.c */
/* needs: ike-bridge/ts_parse.c ike-bridge/vici_conn.c ike-bridge/vici_msg.c */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ike_bridge.h"
#include "told.h"

enum act {
	WHICH = 3,
	NAKED = 4,    /* without the length in front: the bytes have one, or lie */
	HALVES = 8,   /* the bridge reads in between */
	CLOSE = 16,   /* afterwards */
	START = 32,   /* an initiate before */
	REFRESH = 64, /* a listing before */
	CANCEL = 128, /* of the last initiate, before */
};

enum { CONNS_MAX = 4, DRAIN_MAX = 4096 };

static struct sockaddr_un address = {.sun_family = AF_UNIX};
static char folder[] = "/tmp/sagate-fuzz-XXXXXX";
static int listener;
static int conns[CONNS_MAX];
static size_t conn_count;
static uint64_t id;

static void remove_folder(void)
{
	unlink(address.sun_path);
	rmdir(folder);
}

static void listen_once(void)
{
	if (listener)
		return;
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	check(mkdtemp(folder));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/vici", folder);
	check(!bind(listener, (struct sockaddr *)&address, sizeof(address)) &&
	      !listen(listener, 64));
	atexit(remove_folder);
}

static void on_link(void *ctx, bool up, const char *why)
{
	(void)ctx;
	check(up == !why);
	check_text(why);
}

static void on_children(void *ctx)
{
	(void)ctx;
}

static void on_outcome(void *ctx, uint64_t number, int err, const char *errmsg)
{
	(void)ctx;
	check(number && number <= id && (err <= 0));
	check(!errmsg == (!err || err == -EINPROGRESS));
	check_text(errmsg);
}

static void drain(int fd)
{
	char waste[DRAIN_MAX];

	while (recv(fd, waste, sizeof(waste), MSG_DONTWAIT) > 0)
		;
}

/* The bridge's turn, and then the daemon takes what it made and sent. */
static void turn(struct ike_bridge *b)
{
	int fd;

	check(!ike_bridge_dispatch(b));
	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		if (conn_count < CONNS_MAX)
			conns[conn_count++] = fd;
		else
			close(fd);
	}
	for (size_t i = 0; i < conn_count; i++)
		if (conns[i] >= 0)
			drain(conns[i]);
}

static void say(int fd, const uint8_t *data, size_t len)
{
	if (len && send(fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return; /* closed: it is the bridge's right */
}

static void speak(struct ike_bridge *b, int fd, uint8_t what, const uint8_t *data, size_t len)
{
	uint8_t header[4] = {0, 0, (uint8_t)(len >> 8), (uint8_t)len};
	size_t half = what & HALVES ? len / 2 : 0;

	if (!(what & NAKED))
		say(fd, header, sizeof(header));
	say(fd, data, half);
	if (half)
		turn(b);
	say(fd, data + half, len - half);
	turn(b);
}

static void act(struct ike_bridge *b, uint8_t what, const uint8_t *data, size_t len)
{
	size_t i = what & WHICH;

	if (what & CANCEL && id)
		ike_bridge_cancel(b, id);
	if (what & START)
		ike_bridge_initiate(b, "ok", "net", 0, &id);
	if (what & REFRESH)
		ike_bridge_refresh(b);
	if (i >= conn_count || conns[i] < 0)
		return;
	speak(b, conns[i], what, data, len);
	if (!(what & CLOSE))
		return;
	close(conns[i]);
	conns[i] = -1;
	turn(b);
}

static void look(const struct ike_bridge *b)
{
	struct ike_flow flow = {.family = AF_INET, .proto = IPPROTO_TCP, .dport = 80};
	const struct ike_child *c;
	bool current;
	size_t n;

	c = ike_bridge_children(b, &n, &current);
	for (size_t i = 0; i < n; i++)
		check(c[i].name[0] && c[i].conn[0]);
	ike_bridge_find(b, &flow);
	check_text(ike_bridge_version(b));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct ike_ops ops = {on_link, on_children, on_outcome, on_alert, on_updown};
	struct ike_bridge *b;

	listen_once();
	conn_count = 0;
	id = 0;
	check(!ike_bridge_new(address.sun_path, &ops, NULL, &b));
	turn(b);
	while (size >= 3) {
		size_t len = (size_t)data[1] << 8 | data[2];
		uint8_t what = data[0];

		data += 3;
		size -= 3;
		len = len < size ? len : size;
		act(b, what, data, len);
		data += len;
		size -= len;
	}
	look(b);
	ike_bridge_free(b);
	for (size_t i = 0; i < conn_count; i++)
		if (conns[i] >= 0)
			close(conns[i]);
	return 0;
}
