/* SPDX-License-Identifier: GPL-2.0-only */
/* What a gate does with a decision: count it, tell the daemon, pass or refuse the call. */
#ifndef SAGATE_GATE_BPF_H
#define SAGATE_GATE_BPF_H

#define EAGAIN	     11
#define EACCES	     13
#define EHOSTUNREACH 113

/*
 * No errno beyond these reaches a program: the kernel would take it for one of its own codes
 * (ERESTARTSYS is 512), see errno.h for the highest one programs know.
 */
#define ERRNO_MAX 133

/*
 * bpf_set_retval() with a 64-bit argument: newer verifiers want to see that it is a negative errno,
 * and lose its sign when it is passed in half a register.
 */
static long (*const set_retval)(__s64 error) = (void *)187;

/*
 * An event of the gate, to be completed and submitted; NULL: none is to be sent, since one about
 * this was a moment ago, or it is lost: then the next call tries again.
 */
static __always_inline struct event *event_open(const struct flow *f, const struct decision *d,
						struct gate_settings *g, struct gate_counters *c,
						__u32 pid)
{
	struct alert_key key = {
		.neg = d->neg, .pid = pid, .reason = d->reason, .verdict = d->verdict};
	__u64 now = bpf_ktime_get_boot_ns(), *last;
	struct event *e;

	if (!key.neg.index) /* nobody's negotiation: once for each destination */
		__builtin_memcpy(key.neg.peer, f->daddr, sizeof(key.neg.peer));
	last = bpf_map_lookup_elem(&alerts, &key);
	if (last && now - *last < ALERT_EVERY_NS)
		return NULL;
	e = event_reserve(g, c);
	if (!e)
		return NULL;
	bpf_map_update_elem(&alerts, &key, &now, BPF_ANY);
	__builtin_memset(e, 0, sizeof(*e));
	e->time = now;
	e->gate = g->cgroup_id;
	e->flow = *f;
	e->decision = *d;
	e->mode = g->mode;
	return e;
}

/* `what` is the hook, from bit 8 on the positive errno, from bit 24 on enum unheld. */
__noinline int send_event(const struct flow *f, const struct decision *d, struct gate_settings *g,
			  struct gate_counters *c, __u32 what)
{
	__u64 ids = bpf_get_current_pid_tgid();
	struct event *e;

	if (!f || !d || !g || !c)
		return 0;
	e = event_open(f, d, g, c, ids >> 32);
	if (!e)
		return 0;
	e->cgroup_id = bpf_get_current_cgroup_id();
	e->pid = ids >> 32;
	e->tid = ids;
	e->error = -(__s32)(what >> 8 & 0xffff);
	e->unheld = what >> 24;
	e->hook = what;
	bpf_get_current_comm(e->comm, sizeof(e->comm));
	bpf_ringbuf_submit(e, 0);
	return 0;
}

/* The IKE daemon itself, found behind the VICI socket, must be able to negotiate. */
static __always_inline bool is_ike_daemon(void)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	__u64 *cgroup = bpf_map_lookup_elem(&ike_daemons, &pid);

	return cgroup && *cgroup == bpf_get_current_cgroup_id();
}

/*
 * Has the socket a policy of its own that lets it send in clear, as those that IKE is spoken on?
 * The LSM programs do not look (ctx NULL): IKE is on none of theirs. Asked before decide(), and not
 * inlined: a program's stack is 512 bytes, with all it calls, and full.
 */
static __noinline bool socket_bypasses(const struct bpf_sock_addr *ctx, __u8 family)
{
	const struct sock *sk = NULL;

	if (!ctx)
		return false;
	read_kernel(sk, ((const struct bpf_sock_addr_kern *)ctx)->sk);
	return has_bypass(sk, family);
}

static __always_inline bool is_ike(const struct call *c)
{
	return is_ike_daemon() || (c->bypasses && !c->forwarded);
}

static __always_inline int gate_errno(const struct gate_settings *g, const struct decision *d)
{
	int error = g->errno_waiting, fallback = EAGAIN;

	if (d->verdict == VERDICT_DENY) {
		error = g->errno_denied;
		fallback = EACCES;
	} else if (d->failed) {
		error = g->errno_failed;
		fallback = EHOSTUNREACH;
	}
	return error > 0 && error <= ERRNO_MAX ? error : fallback;
}

/* Gates have LSM programs, which judge what is sent. Set before the programs are loaded. */
const volatile __u8 lsm_sees_sends;

/*
 * A UDP connect() sends nothing, and getaddrinfo() connects so to each answer, to learn its source
 * address (RFC 6724): to port 0, or to one that matters. It passes where the first send will be
 * judged, by the LSM programs, and what they do not see by the guard: a splice() before Linux 6.5,
 * a send from outside of the gate, a connect() in the moment before the send. The guard is not
 * behind a socket made elsewhere. REASON_COUNT: it is judged.
 */
static __always_inline __u8 udp_connect(const struct flow *f, const struct gate_settings *g,
					__u8 hook)
{
	const bool here = hook == HOOK_CONNECT4 || hook == HOOK_CONNECT6;

	if (f->proto != IPPROTO_UDP || !(here || hook == HOOK_LSM_CONNECT))
		return REASON_COUNT;
	if (!f->dport)
		return REASON_UDP_PORT_0;
	if (here && lsm_sees_sends && g->cgroup_id && !g->guard_off)
		return REASON_UDP_CONNECT;
	return REASON_COUNT;
}

/* What recent_find() does not know. Of *c only the flow is set. ctx: see socket_bypasses(). */
static __always_inline void gate_decide(struct call *c, const struct gate_settings *g,
					const struct bpf_sock_addr *ctx, __u8 hook)
{
	__u8 reason;

	__builtin_memset((void *)c + sizeof(c->flow), 0, sizeof(*c) - sizeof(c->flow));
	c->bypasses = socket_bypasses(ctx, c->flow.family);
	if (!c->flow.family) {
		answer(&c->decision, REASON_FLOW_UNKNOWN);
		return;
	}
	if (hook == HOOK_SETSOCKOPT && c->flow.proto == IPPROTO_ROUTING)
		reason = REASON_SOURCE_ROUTE;
	else
		reason = udp_connect(&c->flow, g, hook);
	if (reason != REASON_COUNT) {
		answer(&c->decision, reason);
		return;
	}
	decide(c, g);
	note_failed(&c->decision);
	flow_rebind(c);
	if (verdict_passes(c->decision.verdict))
		recent_keep(c, g);
}

/* See PROBE_PORT. Not inlined: the programs' own stack is full. */
static __noinline int is_probe(const struct flow *f)
{
	if (f->dport != bpf_htons(PROBE_PORT) || f->proto != IPPROTO_UDP)
		return false;
	if (f->family == AF_INET)
		return f->daddr[0] == bpf_htonl(PROBE_IPV4);
	return f->daddr[0] == bpf_htonl(PROBE_IPV6_0) && f->daddr[1] == bpf_htonl(PROBE_IPV6_1) &&
	       !(f->daddr[2] | f->daddr[3]);
}

static __always_inline int refuse_probe(void)
{
	set_retval(-PROBE_ERRNO);
	return 0;
}

/* Returns what the hook does: 1 pass, 0 refuse (the errno is set). ctx: see socket_bypasses(). */
static __always_inline int gate(struct call *c, const struct bpf_sock_addr *ctx, __u8 hook)
{
	struct gate_settings *g = bpf_get_local_storage(&gate_settings, 0);
	struct gate_counters *count = bpf_get_local_storage(&gate_counters, 0);
	struct decision *d = &c->decision;
	int error = 0, known;

	known = recent_find(&c->flow, g, 0);
	if (known >= 0 && known < REASON_COUNT)
		answer(d, known);
	else if (is_probe(&c->flow))
		return refuse_probe();
	else
		gate_decide(c, g, ctx, hook);
	if (!verdict_passes(d->verdict) && is_ike(c))
		answer(d, REASON_IKE_DAEMON);
	count->verdict[d->verdict & (VERDICTS_MAX - 1)]++;
	count->reason[d->reason & (REASONS_MAX - 1)]++;
	if (verdict_passes(d->verdict))
		return 1;
	if (g->mode == MODE_HOLD && g->cgroup_id && d->verdict == VERDICT_WAIT)
		error = hold(c, g, count, hook);
	if (error == HOLD_QUEUED) {
		send_event(&c->flow, d, g, count, UNHELD_QUEUE << 24 | hook);
		return 1;
	}
	if (error) {
		count->held++;
		set_retval(-(__s64)(error & 0x3ff));
		return 0;
	}
	if (g->mode == MODE_AUDIT && g->cgroup_id) {
		count->audited++;
	} else {
		error = gate_errno(g, d);
		count->refused++;
		set_retval(-(__s64)(error & 0xff));
	}
	send_event(&c->flow, d, g, count, error << 8 | hook);
	return !error;
}

#endif
