// SPDX-License-Identifier: GPL-2.0-only
/*
 * Starting IKE. An initiate that is waited for has a connection to itself, and
 * one of the daemon's threads: charon has 16 and needs some to negotiate with,
 * so only half of the idle ones are used. What comes on top is started with
 * timeout -1 on a shared connection, or on the one for listings: charon's
 * backlog is 3, so a burst of new connections is refused with EAGAIN.
 */
#include "ike_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void tell(struct ike_bridge *b, uint64_t id, int err, const char *errmsg)
{
	if (b->ops.outcome)
		b->ops.outcome(b->ctx, id, err, errmsg);
}

/* success and errmsg of an initiate's answer. */
static int read_answer(const struct vici_packet *pkt, const struct ike_reason *reason, char *text,
		       size_t size)
{
	struct vici_str success, errmsg = {};

	if (vici_root_value(pkt->msg, pkt->msg_len, "success", &success) &&
	    vici_str_is(success, "yes"))
		return 0;
	vici_root_value(pkt->msg, pkt->msg_len, "errmsg", &errmsg);
	return ike_reason_tell(reason, errmsg, text, size);
}

/* How it ended, in err and words: text is empty if it was a success. */
static int outcome_of(int err, const struct vici_packet *pkt, const struct ike_reason *reason,
		      const char *why, char *text, size_t size)
{
	text[0] = '\0';
	if (!err)
		return read_answer(pkt, reason, text, size);
	if (err == -EOPNOTSUPP)
		snprintf(text, size, "the daemon has no initiate command");
	else
		snprintf(text, size, "lost the daemon: %s", why[0] ? why : "link closed");
	return err;
}

static void on_ended(void *ctx, uint64_t id, int err, const struct vici_packet *pkt)
{
	struct ike_slot *s = ctx;
	struct ike_bridge *b = s->bridge;
	char text[2 * IKE_TEXT_MAX];
	bool cancelled = s->cancelled;

	err = outcome_of(err, pkt, &s->reason, s->conn.why[0] ? s->conn.why : b->why, text,
			 sizeof(text));
	s->id = 0;
	s->cancelled = false;
	if (!cancelled)
		tell(b, id, err, text[0] ? text : NULL);
}

static void on_log(void *ctx, const struct vici_packet *pkt)
{
	struct ike_slot *s = ctx;
	struct vici_str msg;

	if (s->id && vici_str_is(pkt->name, "control-log") &&
	    vici_root_value(pkt->msg, pkt->msg_len, "msg", &msg))
		ike_reason_note(&s->reason, msg);
}

static void on_slot_closed(void *ctx, const char *why)
{
	(void)ctx, (void)why; /* its initiate has told already */
}

static const struct vici_conn_ops slot_ops = {.event = on_log, .closed = on_slot_closed};

static void on_log_registered(void *ctx, uint64_t arg, int err, const struct vici_packet *pkt)
{
	(void)ctx, (void)arg, (void)err, (void)pkt;
}

static void on_started(void *ctx, uint64_t id, int err, const struct vici_packet *pkt)
{
	static const struct ike_reason none;
	struct ike_bridge *b = ctx;
	char text[2 * IKE_TEXT_MAX];

	err = outcome_of(err, pkt, &none, b->shared.why[0] ? b->shared.why : b->why, text,
			 sizeof(text));
	if (b->forget == id)
		b->forget = 0;
	else if (b->forget_cmd == id)
		b->forget_cmd = 0;
	else
		tell(b, id, err ? err : -EINPROGRESS, text[0] ? text : NULL);
}

static const struct vici_conn_ops shared_ops = {.closed = on_slot_closed};

void ike_initiate_init(struct ike_bridge *b)
{
	for (size_t i = 0; i < IKE_TRACKED_MAX; i++) {
		b->slots[i].bridge = b;
		vici_conn_init(&b->slots[i].conn, b->epfd, &slot_ops, &b->slots[i]);
	}
	vici_conn_init(&b->shared, b->epfd, &shared_ops, b);
	b->last_id = IKE_ID_FIRST - 1;
}

void ike_initiate_reset(struct ike_bridge *b)
{
	for (size_t i = 0; i < IKE_TRACKED_MAX; i++)
		vici_conn_close(&b->slots[i].conn);
	vici_conn_close(&b->shared);
}

static int encode(struct vici_buf *frame, const char *conn, const char *child, int64_t timeout_ms)
{
	char number[24];

	snprintf(number, sizeof(number), "%lld", (long long)timeout_ms);
	vici_frame_begin(frame, VICI_CMD_REQUEST, "initiate");
	vici_put_value(frame, "child", child);
	vici_put_value(frame, "ike", conn);
	vici_put_value(frame, "timeout", number);
	vici_put_value(frame, "init-limits", "no");
	vici_put_value(frame, "loglevel", "1");
	return vici_frame_end(frame);
}

static int open_slot(struct ike_bridge *b, struct ike_slot *s)
{
	int err;

	if (s->conn.fd >= 0)
		return 0;
	err = vici_conn_open(&s->conn, b->path, IKE_ANSWER_MS);
	if (!err)
		err = vici_conn_send_name(&s->conn, VICI_EVENT_REGISTER, "control-log",
					  IKE_ANSWER_MS, on_log_registered, 0);
	if (err)
		vici_conn_close(&s->conn);
	return err;
}

static int start_tracked(struct ike_bridge *b, struct ike_slot *s, const char *conn,
			 const char *child, unsigned int timeout_ms, uint64_t id)
{
	struct vici_buf frame = {};
	int err = open_slot(b, s);

	if (!err)
		err = encode(&frame, conn, child, timeout_ms);
	if (!err)
		err = vici_conn_send(&s->conn, &frame, timeout_ms + IKE_GRACE_MS, on_ended, id);
	vici_buf_free(&frame);
	if (err)
		return err;
	s->id = id;
	s->cancelled = false;
	s->reason = (struct ike_reason){};
	return 0;
}

static int start_untracked(struct ike_bridge *b, const char *conn, const char *child, uint64_t id)
{
	struct vici_buf frame = {};
	int err;

	if (b->shared.fd < 0)
		vici_conn_open(&b->shared, b->path, IKE_ANSWER_MS);
	err = encode(&frame, conn, child, -1);
	if (!err)
		err = vici_conn_send(b->shared.fd < 0 ? &b->cmd : &b->shared, &frame, IKE_ANSWER_MS,
				     on_started, id);
	vici_buf_free(&frame);
	return err;
}

/* The first ones are not to wait for a connection; it does not matter if it fails. */
void ike_initiate_prepare(struct ike_bridge *b)
{
	open_slot(b, &b->slots[0]);
	if (b->shared.fd < 0)
		vici_conn_open(&b->shared, b->path, IKE_ANSWER_MS);
}

static struct ike_slot *free_slot(struct ike_bridge *b)
{
	struct ike_slot *found = NULL;

	for (size_t i = 0; i < b->tracked_max; i++) {
		struct ike_slot *s = &b->slots[i];

		/* one that is connected already is quicker */
		if (!s->id && (!found || (found->conn.fd < 0 && s->conn.fd >= 0)))
			found = s;
	}
	return found;
}

int ike_bridge_initiate(struct ike_bridge *b, const char *conn, const char *child,
			unsigned int timeout_ms, uint64_t *id)
{
	struct ike_slot *s = free_slot(b);
	uint64_t new_id = b->last_id + 1;
	int err = -EAGAIN;

	if (!b->up)
		return -ENOTCONN;
	if (strlen(conn) > UINT8_MAX || strlen(child) > UINT8_MAX)
		return -EINVAL;
	if (timeout_ms > INT32_MAX - IKE_GRACE_MS)
		timeout_ms = INT32_MAX - IKE_GRACE_MS;
	if (s)
		err = start_tracked(b, s, conn, child, timeout_ms ? timeout_ms : IKE_INITIATE_MS,
				    new_id);
	if (err)
		err = start_untracked(b, conn, child, new_id);
	if (err)
		return err;
	b->last_id = new_id;
	*id = new_id;
	ike_bridge_arm(b);
	return 0;
}

void ike_bridge_cancel(struct ike_bridge *b, uint64_t id)
{
	for (size_t i = 0; i < IKE_TRACKED_MAX; i++) {
		if (b->slots[i].id == id) {
			b->slots[i].cancelled = true;
			return;
		}
	}
	if (vici_conn_retract(&b->shared, id) || vici_conn_retract(&b->cmd, id))
		return;
	/* one under way must be waited for, but need not be told */
	if (vici_conn_first(&b->shared) == id)
		b->forget = id;
	else if (vici_conn_first(&b->cmd) == id)
		b->forget_cmd = id;
}
