/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A thread in a waiting room is frozen, and does not see its signals. This program sees them come,
 * for processes that have such threads, and tells the daemon, which looks whom it has to let out.
 */
#ifndef SAGATE_SIGNALS_BPF_H
#define SAGATE_SIGNALS_BPF_H

/* trace_signal_generate(sig, info, task, group, result) of __send_signal_locked(). */
SEC("?tp_btf/signal_generate")
int see_signal(__u64 *ctx)
{
	const struct task_struct *task = (const void *)ctx[2];
	__u32 pid = task->tgid;
	struct hold_pid *p = bpf_map_lookup_elem(&hold_pids, &pid);
	struct hold_signal *e;

	/* once, however many come until it looks */
	if (!p || __sync_lock_test_and_set(&p->told, 1))
		return 0;
	e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e) {
		p->told = 0;
		return 0;
	}
	__builtin_memset(e, 0, sizeof(*e));
	e->pid = pid;
	bpf_ringbuf_submit(e, 0);
	return 0;
}

#endif
