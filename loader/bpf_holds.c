// SPDX-License-Identifier: GPL-2.0-only
/* The maps of calls that wait, and of the processes they are of. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "bpf_internal.h"
#include "cleanup.h"

/* See bpf_kicks_tidy(). */
#define KICKS_AT_ONCE 1024

int bpf_hold_get(const struct bpf *b, __u32 tid, struct hold *out)
{
	return bpf_map_lookup_elem(b->holds, &tid, out) ? -errno : 0;
}

int bpf_hold_put(struct bpf *b, __u32 tid, const struct hold *in)
{
	return bpf_map_update_elem(b->holds, &tid, in, BPF_EXIST) ? -errno : 0;
}

void bpf_hold_del(struct bpf *b, __u32 tid)
{
	bpf_map_delete_elem(b->holds, &tid);
}

void bpf_hold_parked(struct bpf *b, __u64 now)
{
	*b->hold_parked = now;
}

static bool thread_is_there(__u32 tid)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%u", tid);
	return !access(path, F_OK);
}

bool bpf_kicks_tidy(struct bpf *b)
{
	const __u32 *at = b->kicks_tidied ? &b->kicks_tidied : NULL;
	__u32 tid, next;
	int more = !bpf_map_get_next_key(b->hold_kicks, at, &next);
	bool any = more;

	for (int i = 0; more && i < KICKS_AT_ONCE; i++) {
		tid = next;
		more = !bpf_map_get_next_key(b->hold_kicks, &tid, &next);
		if (!thread_is_there(tid))
			bpf_map_delete_elem(b->hold_kicks, &tid);
		else
			b->kicks_tidied = tid;
	}
	if (!more)
		b->kicks_tidied = 0;
	return any || b->kicks_tidied;
}

void bpf_hold_each(const struct bpf *b, void (*each)(void *ctx, __u32 tid, const struct hold *),
		   void *ctx)
{
	__u32 tid, next;
	struct hold h;
	int more = !bpf_map_get_next_key(b->holds, NULL, &next);

	while (more) {
		tid = next;
		more = !bpf_map_get_next_key(b->holds, &tid, &next);
		if (!bpf_map_lookup_elem(b->holds, &tid, &h))
			each(ctx, tid, &h);
	}
}

/* While some gate holds: it runs at every signal of the host. */
bool bpf_signals_watch(struct bpf *b, bool wanted)
{
	__u32 pid;

	if (!wanted) {
		cleanup_close(&b->signals_link);
		b->signals_link = -1;
	}
	if (!wanted || b->signals_link >= 0 || b->signals_program < 0)
		return b->signals_link >= 0;
	while (!bpf_map_get_next_key(b->hold_pids, NULL, &pid)) /* an earlier daemon's */
		bpf_map_delete_elem(b->hold_pids, &pid);
	b->signals_link = bpf_raw_tracepoint_open(NULL, b->signals_program);
	return b->signals_link >= 0;
}

bool bpf_signals_watched(const struct bpf *b)
{
	return b->signals_link >= 0;
}

void bpf_hold_pid_count(struct bpf *b, __u32 pid, int change)
{
	struct hold_pid p = {};

	/* those counted before the program was last attached are not there */
	if (bpf_map_lookup_elem(b->hold_pids, &pid, &p) && change < 0)
		return;
	p.threads += (__u32)change;
	if (p.threads)
		bpf_map_update_elem(b->hold_pids, &pid, &p, BPF_ANY);
	else
		bpf_map_delete_elem(b->hold_pids, &pid);
}

void bpf_hold_pid_looked(struct bpf *b, __u32 pid)
{
	struct hold_pid p;

	if (bpf_map_lookup_elem(b->hold_pids, &pid, &p))
		return;
	p.told = 0;
	bpf_map_update_elem(b->hold_pids, &pid, &p, BPF_EXIST);
}
