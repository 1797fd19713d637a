/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kick on kernels without task work for BPF programs: SIGSTOP and, at once, SIGCONT, which
 * takes it back (prepare_signal). Nobody stops, but the thread has to look for signals on its way
 * out, and there its call restarts. Only tracing and LSM programs may send signals: the ones here
 * see what the refused functions return, in the same call; lsm.bpf.h's do so themselves.
 */
#ifndef SAGATE_KICK_BPF_H
#define SAGATE_KICK_BPF_H

/* False: the call is refused so that it has to restart, and does not. */
static __always_inline bool kick_now(void)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct hold *h = bpf_map_lookup_elem(&holds, &tid);

	if (!h || !h->kick)
		return true;
	h->kick = 0;
	return !bpf_send_signal_thread(SIGSTOP) && !bpf_send_signal_thread(SIGCONT);
}

static __always_inline int kick(long returned)
{
	if (returned == -ERESTARTSYS || returned == -ERESTARTNOINTR)
		kick_now();
	return 0;
}

/* The arguments, then what was returned: TCP, with or without TCP_FASTOPEN. */
SEC("?fexit/__inet_stream_connect")
int kick_stream(__u64 *ctx)
{
	return kick((int)ctx[5]);
}

/* connect() of UDP */
SEC("?fexit/inet_dgram_connect")
int kick_dgram(__u64 *ctx)
{
	return kick((int)ctx[4]);
}

SEC("?fexit/udp_sendmsg")
int kick_udp(__u64 *ctx)
{
	return kick((int)ctx[3]);
}

SEC("?fexit/udpv6_sendmsg")
int kick_udpv6(__u64 *ctx)
{
	return kick((int)ctx[3]);
}

#endif
