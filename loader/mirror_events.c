// SPDX-License-Identifier: GPL-2.0-only
#include "mirror_internal.h"

/* Datagrams in one dispatch; an event is one message. */
#define EVENTS_MAX 64
#define DROP_MAX   4096 /* of those that are only thrown away */

static bool event_handle(void *ctx, const struct nlmsghdr *msg)
{
	struct xfrm_change c;
	struct mirror *m = ctx;

	m->stats.events++;
	if (xfrm_msg_parse(msg, msg->nlmsg_len, &c)) {
		m->stats.unparsable++;
		mirror_lost(m);
	} else {
		mirror_apply(m, &c);
	}
	return true;
}

static enum mirror_nl_read read_one(struct mirror *m, int *err)
{
	enum mirror_nl_read r;

	if (!m->dropping)
		return mirror_nl_read(m->events, event_handle, m, err);
	r = mirror_nl_drop(m->events, err);
	m->stats.dropped += r == READ_MESSAGES;
	return r;
}

bool mirror_events_read(struct mirror *m)
{
	int err = 0;

	for (int i = 0; i < (m->dropping ? DROP_MAX : EVENTS_MAX); i++) {
		switch (read_one(m, &err)) {
		case READ_NOTHING:
			m->dropping = false;
			return true;
		case READ_FOREIGN:
			m->stats.foreign++;
			break;
		case READ_OVERRUN:
			m->stats.overruns++;
			m->dropping = true;
			mirror_lost(m);
			break;
		case READ_TRUNCATED:
			m->stats.truncated++;
			mirror_lost(m);
			break;
		case READ_GARBLED:
			m->stats.unparsable++;
			mirror_lost(m);
			break;
		case READ_ERROR:
			m->stats.last_error = err;
			mirror_lost(m);
			return false;
		case READ_MESSAGES:
		case READ_STOPPED:
			break;
		}
	}
	return false;
}
