// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>
#include <linux/netlink.h>
#include <linux/xfrm.h>

#include "mirror_internal.h"

/* Datagrams in one dispatch; a part of a dump is up to a hundred messages. */
#define PARTS_MAX 4

void mirror_dump_close(struct mirror *m)
{
	m->dump_io = sd_event_source_disable_unref(m->dump_io);
	nl_socket_free(m->dump);
	m->dump = NULL;
}

static void dump_apply(struct mirror *m, const struct nlmsghdr *msg)
{
	enum mirror_what what = MIRROR_SA;
	struct xfrm_change c, before;
	int r = 0;

	if (xfrm_msg_parse(msg, msg->nlmsg_len, &c)) {
		m->stats.unparsable++;
		mirror_snapshot_retry(m, -EBADMSG);
		return;
	}
	mirror_found_before(m, &c, &before);
	if (c.kind == CHANGE_SA_PUT) {
		r = sad_put_dumped(m->sad, &c.sa);
	} else if (c.kind == CHANGE_POLICY_PUT) {
		enum spd_class class = spd_class_of(c.policy.type);

		what = MIRROR_POLICY;
		r = class == CLASS_COUNT ? 0 : spd_put_dumped(m->spd, class, &c.policy);
	} else if (c.kind == CHANGE_DEFAULT) {
		if (!m->default_told && mirror_default_set(m, &c))
			mirror_found_dumped(m, &c, &before);
		mirror_snapshot_next(m);
		return;
	}
	if (r < 0) {
		mirror_snapshot_retry(m, r);
	} else if (r) {
		mirror_found_dumped(m, &c, &before);
		mirror_tell(m, what, &c);
	}
}

/* NLMSG_DONE and NLMSG_ERROR both begin with an error number. */
static void dump_end(struct mirror *m, const struct nlmsghdr *msg)
{
	int err = 0;

	if (msg->nlmsg_len >= NLMSG_LENGTH(sizeof(err)))
		memcpy(&err, NLMSG_DATA(msg), sizeof(err));
	/* Before Linux 5.14 there is no default policy: everything that has no policy may go. */
	if (m->phase == PHASE_DEFAULT && (err == -EINVAL || err == -EOPNOTSUPP)) {
		struct xfrm_change accept = {.kind = CHANGE_DEFAULT};

		mirror_default_set(m, &accept);
		err = 0;
	}
	if (!err && m->interrupted) {
		m->stats.interrupted++;
		err = -EINTR;
	}
	if (err)
		mirror_snapshot_retry(m, err);
	else
		mirror_snapshot_next(m);
}

static bool dump_handle(void *ctx, const struct nlmsghdr *msg)
{
	struct mirror *m = ctx;
	const uint32_t seq = m->seq;

	if (msg->nlmsg_seq != seq)
		return true;
	if (msg->nlmsg_flags & NLM_F_DUMP_INTR)
		m->interrupted = true;
	if (msg->nlmsg_type == NLMSG_DONE || msg->nlmsg_type == NLMSG_ERROR)
		dump_end(m, msg);
	else
		dump_apply(m, msg);
	return m->dump && m->seq == seq && m->phase != PHASE_DRAIN;
}

static void dump_read(struct mirror *m)
{
	int err = -EBADMSG;

	for (int i = 0; i < PARTS_MAX && m->dump && m->phase != PHASE_DRAIN; i++) {
		switch (mirror_nl_read(m->dump, dump_handle, m, &err)) {
		case READ_NOTHING:
			return;
		case READ_MESSAGES:
		case READ_STOPPED:
			break;
		case READ_FOREIGN:
			m->stats.foreign++;
			break;
		case READ_TRUNCATED:
			m->stats.truncated++;
			mirror_snapshot_retry(m, -EMSGSIZE);
			return;
		case READ_OVERRUN:
			mirror_snapshot_retry(m, -ENOBUFS);
			return;
		case READ_GARBLED:
			m->stats.unparsable++;
			mirror_snapshot_retry(m, -EBADMSG);
			return;
		case READ_ERROR:
			mirror_snapshot_retry(m, err);
			return;
		}
	}
}

static int dump_dispatch(sd_event_source *s, int fd, uint32_t revents, void *ctx)
{
	struct mirror *m = ctx;
	bool empty = false;

	(void)s;
	(void)fd;
	(void)revents;
	dump_read(m);
	if (m->phase == PHASE_DRAIN)
		empty = mirror_events_read(m);
	mirror_snapshot_settle(m, empty);
	return 0;
}

/* A socket of its own for each request: no answer to an earlier one can be in it. */
void mirror_dump_ask(struct mirror *m, enum mirror_phase phase)
{
	static const struct {
		uint16_t type, flags;
	} asks[] = {
		[PHASE_SA] = {XFRM_MSG_GETSA, NLM_F_DUMP},
		[PHASE_POLICY] = {XFRM_MSG_GETPOLICY, NLM_F_DUMP},
		[PHASE_DEFAULT] = {XFRM_MSG_GETDEFAULT, 0},
	};
	int r;

	mirror_dump_close(m);
	m->phase = phase;
	m->interrupted = false;
	m->default_told = false;
	r = mirror_nl_open(m->netns_fd, 0, &m->dump, NULL);
	if (!r)
		r = sd_event_add_io(m->loop, &m->dump_io, nl_socket_get_fd(m->dump), EPOLLIN,
				    dump_dispatch, m);
	if (r >= 0)
		r = mirror_nl_ask(m->dump, asks[phase].type, asks[phase].flags, ++m->seq);
	if (r < 0)
		mirror_snapshot_retry(m, r);
}
