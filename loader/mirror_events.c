// SPDX-License-Identifier: GPL-2.0-only
#include "mirror_internal.h"

/* Datagrams in one dispatch; an event is one message. */
#define EVENTS_MAX 64

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

bool mirror_events_read(struct mirror *m)
{
	int err = 0;

	for (int i = 0; i < EVENTS_MAX; i++) {
		switch (mirror_nl_read(m->events, event_handle, m, &err)) {
		case READ_NOTHING:
			return true;
		case READ_FOREIGN:
			m->stats.foreign++;
			break;
		case READ_OVERRUN:
			m->stats.overruns++;
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
