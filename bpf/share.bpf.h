/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How much of the ring buffer a gate may take, so that its events alone never fill it:
 * EVENTS_SHARE, and as much again once all that stood there when its share began has been read. It
 * follows the daemon's pace, and needs no clock.
 */
#ifndef SAGATE_SHARE_BPF_H
#define SAGATE_SHARE_BPF_H

/* include/uapi/linux/bpf.h */
#define BPF_RB_CONS_POS 2
#define BPF_RB_PROD_POS 3

/* NULL: it is lost, and counted so. */
static __always_inline struct event *event_reserve(struct gate_settings *g,
						   struct gate_counters *count)
{
	__u64 read = bpf_ringbuf_query(&events, BPF_RB_CONS_POS);
	__u64 put = bpf_ringbuf_query(&events, BPF_RB_PROD_POS);
	struct event *e = NULL;

	if (read >= g->share_from || put < g->share_from) { /* or it is another ring buffer's */
		g->share_from = put;
		g->share_used = 0;
	}
	if (g->share_used < EVENTS_SHARE) {
		__sync_fetch_and_add(&g->share_used, 1);
		e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	}
	if (e)
		count->events++;
	else
		count->lost++;
	return e;
}

#endif
