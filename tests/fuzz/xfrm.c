// SPDX-License-Identifier: GPL-2.0-only
/*
 * XFRM netlink: the whole mirror, with a kernel made of the input in the place of its sockets
 * (nl.h). A datagram whose first nlmsg_pid is one of enum trouble is that instead.
 */
/* covers: loader/mirror_walk.c loader/xfrm_msg.c loader/mirror_dump.c loader/mirror_events.c */
/* covers: loader/mirror_apply.c loader/mirror_snapshot.c loader/mirror_found.c */
/* covers: loader/spd.c loader/sad.c loader/xfrm_json.c loader/xfrm_fields.c */
/* needs: loader/mirror.c loader/mirror_apply.c loader/mirror_events.c loader/mirror_dump.c */
/* needs: loader/mirror_snapshot.c loader/mirror_found.c loader/mirror_walk.c */
/* needs: loader/mirror_store.c loader/xfrm_msg.c loader/xfrm_fields.c */
/* needs: loader/spd.c loader/spd_group.c loader/spd_image.c loader/spd_masks.c */
/* needs: loader/sad.c loader/sad_group.c loader/sad_life.c loader/sad_slots.c */
/* needs: loader/xfrm_json.c loader/xfrm_rows.c loader/error.c */
#include <errno.h>
#include <linux/xfrm.h>

#include "check.h"
#include "mirror.h"
#include "mirror_walk.h"
#include "nl_mutate.h"
#include "sink.h"
#include "xfrm_rows.h"

enum trouble { OVERRUN = 2, TRUNCATED = 4, FOREIGN = 6, BROKEN = 8 };

enum { TURNS_MAX = 400, QUIET_TURNS = 3, DATAGRAM_MAX = 65536 };

static struct nl_input input;
static struct nl_bell event_bell, dump_bell;
static struct nl_sock *events; /* the mirror's event socket; the other one is a dump's */
static uint32_t asked;	       /* the number of the last question */
static bool answered;	       /* its end was told */
static bool busy;	       /* something was read or asked in this turn */

int mirror_nl_open(int netns_fd, int rcvbuf, struct nl_sock **sock, struct error *error)
{
	(void)netns_fd, (void)error;
	*sock = nl_open(rcvbuf ? &event_bell : &dump_bell);
	if (rcvbuf)
		events = *sock;
	return 0;
}

int mirror_nl_ask(struct nl_sock *sock, uint16_t type, uint16_t flags, uint32_t seq)
{
	(void)sock, (void)type, (void)flags;
	asked = seq;
	answered = false;
	busy = true;
	return 0;
}

static uint32_t seq(void)
{
	return asked;
}

/* The same bytes where nothing lies behind them. */
static enum mirror_nl_read walk(const char *buf, size_t len,
				bool (*handle)(void *ctx, const struct nlmsghdr *msg), void *ctx)
{
	char *exact = malloc(len ? len : 1);
	enum mirror_nl_read r;

	memcpy(exact, buf, len);
	r = mirror_walk(exact, len, handle, ctx);
	free(exact);
	return r;
}

static enum mirror_nl_read trouble(uint32_t what, int *err)
{
	*err = -EIO;
	return what == OVERRUN	   ? READ_OVERRUN
	       : what == TRUNCATED ? READ_TRUNCATED
	       : what == FOREIGN   ? READ_FOREIGN
				   : READ_ERROR;
}

/* Its turn? An event is for the one socket, an answer for the other. */
static bool has_more(bool for_events)
{
	return input.left && nl_is_event(&input) == for_events;
}

enum mirror_nl_read mirror_nl_read(struct nl_sock *sock,
				   bool (*handle)(void *ctx, const struct nlmsghdr *msg), void *ctx,
				   int *err)
{
	static char buf[DATAGRAM_MAX];
	struct nlmsghdr first;
	size_t len;

	if (has_more(sock == events)) {
		busy = true;
		nl_length(&input, &first);
		len = nl_take(&input, buf, sizeof(buf), seq);
		if (first.nlmsg_pid >= OVERRUN && first.nlmsg_pid <= BROKEN &&
		    !(first.nlmsg_pid & 1))
			return trouble(first.nlmsg_pid, err);
		return walk(buf, len, handle, ctx);
	}
	if (sock == events || input.left || answered)
		return READ_NOTHING;
	busy = answered = true;
	return walk(buf, nl_end(buf, NLMSG_DONE, asked, 0), handle, ctx);
}

enum mirror_nl_read mirror_nl_drop(struct nl_sock *sock, int *err)
{
	static char buf[DATAGRAM_MAX];

	(void)err;
	if (!has_more(sock == events))
		return READ_NOTHING;
	busy = true;
	nl_take(&input, buf, sizeof(buf), seq);
	return READ_MESSAGES;
}

static size_t nl_body(uint16_t type)
{
	static const size_t bodies[] = {
		[XFRM_MSG_NEWSA] = sizeof(struct xfrm_usersa_info),
		[XFRM_MSG_UPDSA] = sizeof(struct xfrm_usersa_info),
		[XFRM_MSG_DELSA] = sizeof(struct xfrm_usersa_id),
		[XFRM_MSG_EXPIRE] = sizeof(struct xfrm_user_expire),
		[XFRM_MSG_NEWPOLICY] = sizeof(struct xfrm_userpolicy_info),
		[XFRM_MSG_UPDPOLICY] = sizeof(struct xfrm_userpolicy_info),
		[XFRM_MSG_DELPOLICY] = sizeof(struct xfrm_userpolicy_id),
		[XFRM_MSG_POLEXPIRE] = sizeof(struct xfrm_user_polexpire),
	};

	return type < sizeof(bodies) / sizeof(bodies[0]) ? bodies[type] : 0;
}

static void differs(void *ctx, const struct mirror_difference *d)
{
	(void)ctx;
	if (!d->name || !(d->in_kernel || d->in_mirror))
		abort();
}

static void done(void *ctx)
{
	(void)ctx;
}

static void run(sd_event *loop)
{
	for (int turns = 0, quiet = 0; turns < TURNS_MAX && quiet < QUIET_TURNS; turns++) {
		busy = false;
		nl_ring(&event_bell, has_more(true));
		nl_ring(&dump_bell, has_more(false) || (!input.left && !answered));
		sd_event_run(loop, 0);
		quiet = busy ? 0 : quiet + 1;
	}
}

/* What is shown of it. */
static void show(struct mirror *m)
{
	struct xfrm_rows rows;
	json_t *one;

	if (!xfrm_rows_of_spd(mirror_spd(m), &rows)) {
		while (xfrm_rows_next_policy(&rows, mirror_spd(m), &one) == 1)
			json_decref(one);
		xfrm_rows_free(&rows);
	}
	if (!xfrm_rows_of_sad(mirror_sad(m), &rows)) {
		while (xfrm_rows_next_sa(&rows, mirror_sad(m), &one) == 1)
			json_decref(one);
		xfrm_rows_free(&rows);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct mirror_compare_ops compare = {.differs = differs, .done = done};
	static const struct mirror_ops ops;
	static sd_event *loop;
	struct mirror *m;

	if (!loop && sd_event_new(&loop) < 0)
		abort();
	input = (struct nl_input){data, size};
	answered = true;
	sink_reset(size % 256);
	if (mirror_new(loop, -1, 0, &sink, &ops, NULL, NULL, &m, NULL))
		abort();
	run(loop);
	if (mirror_synced(m) && !mirror_compare(m, &compare, NULL)) {
		run(loop);
		mirror_compare_stop(m);
	}
	show(m);
	mirror_free(m);
	return 0;
}
