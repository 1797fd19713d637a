// SPDX-License-Identifier: GPL-2.0-only
/*
 * Listing: list-conns, then list-policies for traps and (since strongSwan
 * 6.0.2) their reqids, then list-sas for reqids. Each streams one event an
 * object before its answer, all on one connection.
 */
#include "ike_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const stream_events[] = {"list-conn", "list-policy", "list-sa"};

static void on_registered(void *ctx, uint64_t arg, int err, const struct vici_packet *pkt)
{
	(void)ctx, (void)arg, (void)err, (void)pkt;
}

int ike_listing_setup(struct ike_bridge *b)
{
	int err = 0;

	for (size_t i = 0; i < sizeof(stream_events) / sizeof(stream_events[0]) && !err; i++)
		err = vici_conn_send_name(&b->cmd, VICI_EVENT_REGISTER, stream_events[i],
					  IKE_ANSWER_MS, on_registered, 0);
	return err;
}

void ike_listing_reset(struct ike_bridge *b)
{
	ike_build_free(&b->build);
	free(b->traps);
	b->traps = NULL;
	b->step = IKE_IDLE;
	b->current = b->changed = b->list_again = false;
	b->rounds = 0;
	b->list_at = INT64_MAX;
}

static void add_conn(struct ike_bridge *b, const struct vici_packet *pkt)
{
	char why[VICI_WHY_MAX];
	int err = ike_build_add(&b->build, &b->list, pkt->msg, pkt->msg_len, &b->names.names);

	if (!err)
		return;
	if (err == -E2BIG)
		snprintf(why, sizeof(why), "list-conns: more than %d children or %d MiB",
			 IKE_CHILDREN_MAX, IKE_MEMORY_MAX >> 20);
	else
		snprintf(why, sizeof(why), "list-conns: %s", strerror(-err));
	ike_link_fail(b, why);
}

/* CONN/CHILD { child, ike, reqid (since 6.0.2), mode, … } */
static void add_policy(struct ike_bridge *b, const struct vici_packet *pkt)
{
	struct vici_str conn = {}, name = {}, reqid = {};
	struct vici_element e;
	struct vici_reader r;
	int64_t at;

	vici_reader_init(&r, pkt->msg, pkt->msg_len);
	while (vici_next(&r, &e) == 1) {
		if (e.type != VICI_KEY_VALUE || e.depth != 1)
			continue;
		if (vici_str_is(e.name, "ike"))
			conn = e.value;
		else if (vici_str_is(e.name, "child"))
			name = e.value;
		else if (vici_str_is(e.name, "reqid"))
			reqid = e.value;
	}
	at = ike_list_lookup(&b->list, conn, name);
	if (at < 0)
		return;
	b->traps[at].installed = true;
	b->traps[at].reqid = ike_parse_u32(reqid);
}

/* All of list-policies is in: what differs from what was known? */
static void take_policies(struct ike_bridge *b)
{
	for (size_t i = 0; i < b->list.n; i++) {
		struct ike_child *child = &b->list.children[i];
		const struct ike_trap *trap = &b->traps[i];

		if (child->installed != trap->installed) {
			child->installed = trap->installed;
			b->changed = true;
			if (!trap->installed) {
				ike_list_unlearn(&b->list, i, child->reqid);
				b->with_sas = true;
			}
		}
		if (trap->reqid && trap->reqid != child->reqid) {
			ike_list_learn(&b->list, i, trap->reqid);
			child->reqid = trap->reqid;
			b->changed = true;
		}
	}
}

static void add_sa(struct ike_bridge *b, struct vici_str conn, struct vici_str child,
		   uint32_t reqid, bool up)
{
	int64_t at = ike_list_lookup(&b->list, conn, child);

	(void)up;
	if (at >= 0 && ike_list_learn(&b->list, at, reqid))
		b->changed = true;
}

void ike_listing_event(struct ike_bridge *b, const struct vici_packet *pkt)
{
	if (vici_now() - b->list_began < IKE_LISTING_MS)
		vici_conn_touch(&b->cmd);
	if (b->step == IKE_CONNS && vici_str_is(pkt->name, "list-conn"))
		add_conn(b, pkt);
	else if (b->step == IKE_POLICIES && vici_str_is(pkt->name, "list-policy"))
		add_policy(b, pkt);
	else if (b->step == IKE_SAS && vici_str_is(pkt->name, "list-sa"))
		ike_sa_each(b, pkt, true, add_sa);
}

static void on_listed(void *ctx, uint64_t step, int err, const struct vici_packet *pkt);

/* The command of a step; keys that are only flags have the value yes. */
static void send_step(struct ike_bridge *b, enum ike_step step)
{
	struct vici_buf frame = {};

	b->step = step;
	if (step == IKE_CONNS) {
		vici_frame_begin(&frame, VICI_CMD_REQUEST, "list-conns");
	} else if (step == IKE_POLICIES) {
		vici_frame_begin(&frame, VICI_CMD_REQUEST, "list-policies");
		vici_put_value(&frame, "trap", "yes");
		vici_put_value(&frame, "pass", "yes");
		vici_put_value(&frame, "drop", "yes");
	} else {
		vici_frame_begin(&frame, VICI_CMD_REQUEST, "list-sas");
		/* an IKE_SA that is busy with its peer would hold up the answer */
		vici_put_value(&frame, "noblock", "yes");
	}
	vici_frame_end(&frame);
	if (vici_conn_send(&b->cmd, &frame, IKE_ANSWER_MS, on_listed, step) < 0)
		ike_link_fail(b, "no memory to list connections");
	vici_buf_free(&frame);
}

void ike_listing_start(struct ike_bridge *b)
{
	if (b->step != IKE_IDLE) {
		b->list_again = true;
		return;
	}
	b->list_at = INT64_MAX;
	b->list_began = vici_now();
	if (b->rounds++ % IKE_SAS_EVERY == 0)
		b->with_sas = true;
	send_step(b, IKE_CONNS);
}

static void finish(struct ike_bridge *b)
{
	int64_t now = vici_now(), took = now - b->list_began;
	bool first = !b->current, changed = b->changed || first;

	b->step = IKE_IDLE;
	b->current = true;
	b->changed = false;
	b->backoff = IKE_RETRY_MIN_MS;
	b->list_at =
		now + (took * IKE_POLL_FACTOR > IKE_POLL_MS ? took * IKE_POLL_FACTOR : IKE_POLL_MS);
	if (b->list_again)
		b->list_at = now;
	b->list_again = false;
	if (changed && b->ops.children)
		b->ops.children(b->ctx);
}

/* Puts the new list in place; the policies are then compared with what was known. */
static bool take_conns(struct ike_bridge *b)
{
	int ret = ike_list_take(&b->list, &b->build);

	if (ret < 0) {
		ike_link_fail(b, "no memory for the list of connections");
		return false;
	}
	if (!b->current)
		ike_list_forget(&b->list);
	if (ret) {
		b->changed = true;
		b->with_sas = true;
	}
	free(b->traps);
	b->traps = calloc(b->list.n + 1, sizeof(*b->traps));
	if (!b->traps) {
		ike_link_fail(b, "no memory for the list of policies");
		return false;
	}
	return true;
}

static void on_listed(void *ctx, uint64_t step, int err, const struct vici_packet *pkt)
{
	struct ike_bridge *b = ctx;

	(void)pkt;
	if (err && err != -EOPNOTSUPP)
		return; /* the connection is gone, and told so */
	if (step == IKE_CONNS) {
		if (err)
			ike_link_fail(b, "the daemon has no list-conns");
		else if (take_conns(b))
			send_step(b, IKE_POLICIES);
	} else if (step == IKE_POLICIES && !err) {
		take_policies(b);
	}
	if (step == IKE_POLICIES && b->with_sas) {
		b->with_sas = false;
		send_step(b, IKE_SAS);
	} else if (step != IKE_CONNS) {
		finish(b);
	}
}
