/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Making a call wait. The program refuses it with a code that makes the kernel restart the call on
 * its way out, which it does if there is work pending for the thread at that moment: the kick. The
 * daemon, told by an event, puts the thread to sleep; until then the call turns round. When it
 * wakes, the call restarts and is decided anew.
 *
 * Whatever is not known to work so is not held, but rejected.
 */
#ifndef SAGATE_HOLD_BPF_H
#define SAGATE_HOLD_BPF_H

/* include/linux/errno.h: restarted unless a handler of a signal says otherwise; always. */
#define ERESTARTSYS    512
#define ERESTARTNOINTR 513

/* include/linux/sched.h */
#define PF_IO_WORKER 0x10
#define PF_KTHREAD   0x200000

#define S_IFMT	     0170000
#define S_IFSOCK     0140000
#define O_NONBLOCK   04000
#define MSG_DONTWAIT 0x40

#define SIGCONT	   18
#define SIGSTOP	   19
#define SA_RESTART 0x10000000

#define JOBCTL_TRAP_FREEZE (1UL << 23) /* include/linux/sched/jobctl.h */

/* include/uapi/linux/net.h: SYS_CONNECT… */
enum {
	SOCKETCALL_CONNECT = 3,
	SOCKETCALL_SEND = 9,
	SOCKETCALL_SENDTO = 11,
	SOCKETCALL_SETSOCKOPT = 14,
	SOCKETCALL_SENDMSG = 16,
};
#define MMSG_LEN_AT 56 /* struct mmsghdr.msg_len, of a 64-bit program */

/* How this kernel makes a call restart. Set before the programs are loaded. */
const volatile __u8 hold_kick_way;
const volatile __u64 hold_tick_ns; /* a jiffy */
/* KICK_SIGNALS: those programs are attached. */
volatile __u8 hold_kick_ready;
/* When the daemon last put a thread to sleep, or began. */
volatile __u64 hold_parked;

typedef int (*kick_done)(struct bpf_map *map, void *key, void *value);

/*
 * Kernels before 7.0 have it under another name, and later ones that name with another type, which
 * libbpf refuses: the object is built once for each.
 */
#ifdef TASK_WORK_IMPL
extern int bpf_task_work_schedule_signal_impl(struct task_struct *task, struct bpf_task_work *work,
					      void *map, kick_done done, void *aux) __ksym __weak;
#define schedule_signal(task, work, map, done)                                                     \
	bpf_task_work_schedule_signal_impl(task, work, map, done, NULL)
#else
extern int bpf_task_work_schedule_signal(struct task_struct *task, struct bpf_task_work *work,
					 void *map, kick_done done) __ksym __weak;
#define schedule_signal bpf_task_work_schedule_signal
#endif

/* That it was there is all that it was for. */
static int kick_nothing(struct bpf_map *map, void *key, void *value)
{
	(void)map;
	(void)key;
	(void)value;
	return 0;
}

/*
 * How often the work is looked for, some 10 ns each. It is there at once, or, on virtual CPUs, up
 * to 0.1 ms later.
 */
#define KICK_LOOKS (1 << 18)

static __always_inline __u64 works_of(const struct task_struct *task)
{
	void *works = NULL;

	bpf_core_read(&works, sizeof(works), &task->task_works);
	return (__u64)works;
}

/* 1: the thread's list of work is not as it was. */
static int kick_look(__u32 i, __u64 *before)
{
	(void)i;
	return works_of(bpf_get_current_task_btf()) != *before;
}

/*
 * The work is added by an interrupt that this CPU sends to itself (bpf_task_work_irq()), together
 * with the flag that makes the call restart. A call that is on its way out before that would show
 * the code to its program.
 */
static __always_inline bool kick_is_in(struct task_struct *task, __u64 before)
{
	bpf_loop(KICK_LOOKS, kick_look, &before, 0);
	return works_of(task) != before;
}

/* hold(): the call goes on, and the kernel keeps its SYN. */
#define HOLD_QUEUED 1
/* hold(): a handler of a signal ended it. */
#define EINTR 4

/* What is known of a call. */
struct hold_call {
	const struct flow *flow;
	__u64 now;
	__u64 timeout; /* ns */
	__u32 tid;
	__u8 hook;
	__u8 nonblocking;
	__u8 pad[2];
};

/* Whether waiting can make a difference. */
static __always_inline bool may_be_waited_for(const struct decision *d)
{
	switch (d->reason) {
	case REASON_STALE:
	case REASON_CHANGING:
	case REASON_NO_SA:
	case REASON_SA_SOURCE:
	case REASON_SA_SPI:
	case REASON_SA_MARK:
	case REASON_SA_SELECTOR:
	case REASON_SA_EXPIRED:
	case REASON_REQUIRED_NO_POLICY:
	case REASON_REQUIRED_CLEAR:
	case REASON_TRAP_BLOCK:
	case REASON_INTERFACE_NO_POLICY:
		return d->verdict == VERDICT_WAIT;
	}
	return false;
}

/*
 * sendmmsg(): the kernel returns how many datagrams were sent, and an error only if it is none
 * (__sys_sendmmsg()): of a later one the call would not be made again, and its thread be looked for
 * elsewhere. msg_len of the first is written when that is sent.
 */
static __always_inline bool nothing_is_sent(const struct pt_regs *regs)
{
	__u32 len = 1;

	return !bpf_probe_read_user(&len, sizeof(len), (void *)(regs->si + MMSG_LEN_AT)) && !len;
}

/* socketcall(2): which call it is, and its arguments in memory. */
static __always_inline long socketcall_socket(const struct pt_regs *regs, __u32 *flags)
{
	__u32 args[4];

	if (bpf_probe_read_user(args, sizeof(args), (void *)(regs->cx & 0xffffffff)))
		return -1;
	switch ((__u32)regs->bx) {
	case SOCKETCALL_CONNECT:
	case SOCKETCALL_SETSOCKOPT:
		return args[0];
	case SOCKETCALL_SEND:
	case SOCKETCALL_SENDTO:
		*flags = args[3];
		return args[0];
	case SOCKETCALL_SENDMSG:
		*flags = args[2];
		return args[0];
	}
	return -1;
}

#define FLAGS_IN_none(regs) 0
#define FLAGS_IN_r10(regs)  ((regs)->r10)
#define FLAGS_IN_dx(regs)   ((regs)->dx)
#define FLAGS_IN_si(regs)   ((regs)->si)

/*
 * The descriptor of a connect() or send made by a thread itself, and its MSG_ flags; -1: another
 * call, which may not be restarted.
 */
static __always_inline long call_socket(const struct pt_regs *regs, __u32 *flags)
{
	switch (regs->orig_ax) {
#define X(number, fd, msg_flags)                                                                   \
	case number:                                                                               \
		*flags = FLAGS_IN_##msg_flags(regs);                                               \
		return (__u32)regs->fd;
		SAGATE_HELD_CALLS(X)
#undef X
	case HELD_SENDMMSG:
		*flags = regs->r10;
		return nothing_is_sent(regs) ? (__u32)regs->di : -1;
	case HELD_SOCKETCALL:
		return socketcall_socket(regs, flags);
	}
	return -1;
}

/*
 * A write() connects nothing itself: io_uring does, whose work of that thread is done on its way
 * out (io_connect(), which would make EINTR of the code).
 */
static __always_inline bool is_write(const struct pt_regs *regs)
{
	return regs->orig_ax == 1 || regs->orig_ax == 20 || regs->orig_ax == 4 ||
	       regs->orig_ax == 146;
}

static __always_inline bool is_connect(__u8 hook)
{
	return hook == HOOK_CONNECT4 || hook == HOOK_CONNECT6 || hook == HOOK_LSM_CONNECT;
}

/* Is the call not to block, and how long may it? False: its socket is not found. */
static __always_inline bool call_blocking(struct task_struct *task, __u32 fd, __u32 flags,
					  struct hold_call *call)
{
	struct fdtable *fdt = task->files->fdt;
	struct file *file = NULL;
	struct socket *socket = NULL;
	struct sock *sk = NULL;
	unsigned int f_flags = 0;
	unsigned short mode = 0;
	long jiffies = 0;

	if (fd >= fdt->max_fds || bpf_probe_read_kernel(&file, sizeof(file), &fdt->fd[fd]) || !file)
		return false;
	if (bpf_core_read(&f_flags, sizeof(f_flags), &file->f_flags) ||
	    BPF_CORE_READ_INTO(&mode, file, f_inode, i_mode) || (mode & S_IFMT) != S_IFSOCK ||
	    bpf_core_read(&socket, sizeof(socket), &file->private_data) ||
	    bpf_core_read(&sk, sizeof(sk), &socket->sk) ||
	    bpf_core_read(&jiffies, sizeof(jiffies), &sk->sk_sndtimeo))
		return false;
	call->nonblocking = (f_flags & O_NONBLOCK) || (flags & MSG_DONTWAIT);
	if (!call->nonblocking && jiffies > 0 &&
	    (__u64)jiffies < call->timeout / (hold_tick_ns ? hold_tick_ns : 1))
		call->timeout = jiffies * hold_tick_ns;
	return true;
}

/* How often in a turn a sleep is looked for, some 10 ns each, and what takes as long as a turn. */
#define FREEZE_LOOKS	  (1 << 16)
#define FREEZE_LOOKS_TURN (1 << 10)

/* 1: the thread is to sleep, which comes before its signals (get_signal()). */
static int freeze_look(__u32 i, void *unused)
{
	(void)i;
	(void)unused;
	return (bpf_get_current_task_btf()->jobctl & JOBCTL_TRAP_FREEZE) != 0;
}

/*
 * The kick by signals comes later, from kick.bpf.h or lsm.bpf.h. A handler of SIGCONT then runs
 * when the call goes on, and must not end it: for the handlers of other signals see
 * hold_is_interrupted(). It would run with each turn, too: so there are few, and long ones.
 */
static __always_inline int hold_signal_off(struct task_struct *task, struct hold *h)
{
	void *handler = task->sighand->action[SIGCONT - 1].sa.sa_handler;

	h->kick = 1;
	h->restarts = handler && handler != (void *)1;
	if (!h->restarts)
		return ERESTARTSYS;
	h->tries += (__u32)bpf_loop(FREEZE_LOOKS, freeze_look, NULL, 0) / FREEZE_LOOKS_TURN;
	return ERESTARTNOINTR;
}

/* Does a call go on behind the handler of that signal? */
static __always_inline bool handler_restarts(struct task_struct *task, __u8 signal)
{
	const struct sighand_struct *hand = NULL;
	unsigned long flags = 0;
	const void *at;

	bpf_core_read(&hand, sizeof(hand), &task->sighand);
	at = __builtin_preserve_access_index(&hand->action[0].sa.sa_flags);
	at += (__u64)(signal - 1) * bpf_core_type_size(struct k_sigaction);
	bpf_probe_read_kernel(&flags, sizeof(flags), at);
	return flags & SA_RESTART;
}

/* The call came back: is the handler of a signal, one without SA_RESTART, to end it? */
static __always_inline bool hold_is_interrupted(struct task_struct *task, struct hold *h)
{
	__u8 signal = h->signal;

	h->signal = h->stopped = 0;
	h->released = 0;
	return h->restarts && signal && !handler_restarts(task, signal);
}

static __always_inline int hold_kick_off(struct task_struct *task, __u32 tid, struct hold *h)
{
	struct hold_kick zero = {}, *k;
	__u64 before = works_of(task);

	if (hold_kick_way == KICK_SIGNALS)
		return hold_signal_off(task, h);
	k = bpf_map_lookup_elem(&hold_kicks, &tid);
	if (!k) {
		bpf_map_update_elem(&hold_kicks, &tid, &zero, BPF_NOEXIST);
		k = bpf_map_lookup_elem(&hold_kicks, &tid);
	}
	if (!k)
		return 0;
	if (hold_kick_way == KICK_TASK_WORK &&
	    !schedule_signal(task, &k->work, &hold_kicks, kick_nothing) && kick_is_in(task, before))
		return ERESTARTSYS;
	return 0;
}

/* However long it was stopped, or its handler ran: the call is made again, and not a new one. */
static __always_inline bool hold_comes_back(struct task_struct *task, const struct hold *h)
{
	return h->stopped || (h->signal && (h->restarts || handler_restarts(task, h->signal)));
}

static __always_inline bool hold_is(const struct hold *h, const struct hold_call *call,
				    struct task_struct *task)
{
	const struct flow *f = call->flow;

	if (h->released && call->now - h->released > HOLD_AGAIN_NS && !hold_comes_back(task, h))
		return false;
	return h->hook == call->hook && h->nonblocking == call->nonblocking &&
	       h->netns == f->netns && h->proto == f->proto && h->family == f->family &&
	       h->dport == f->dport && h->daddr[0] == f->daddr[0] && h->daddr[1] == f->daddr[1] &&
	       h->daddr[2] == f->daddr[2] && h->daddr[3] == f->daddr[3];
}

/* The call that waits already, or a new one. NULL: there is no room. */
static __always_inline struct hold *hold_of(const struct hold_call *call, struct task_struct *task)
{
	struct hold *h = bpf_map_lookup_elem(&holds, &call->tid);
	struct hold new;

	if (h && hold_is(h, call, task))
		return h;
	__builtin_memset(&new, 0, sizeof(new));
	new.since = call->now;
	new.until = call->now + call->timeout;
	new.netns = call->flow->netns;
	__builtin_memcpy(new.daddr, call->flow->daddr, sizeof(new.daddr));
	new.dport = call->flow->dport;
	new.family = call->flow->family;
	new.proto = call->flow->proto;
	new.hook = call->hook;
	new.nonblocking = call->nonblocking;
	bpf_map_update_elem(&holds, &call->tid, &new, BPF_ANY);
	return bpf_map_lookup_elem(&holds, &call->tid);
}

/* Tells the daemon whom to put to sleep. */
static __always_inline void hold_event(const struct hold_call *call, struct hold *h,
				       const struct decision *d, struct gate_settings *g,
				       struct gate_counters *count, struct task_struct *task)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(task);
	struct event *e = event_reserve(g, count);

	if (!e)
		return; /* the next turn tries again */
	__builtin_memset(e, 0, sizeof(*e));
	e->ip = regs->ip;
	e->sp = regs->sp;
	e->time = call->now;
	e->gate = g->cgroup_id;
	e->cgroup_id = bpf_get_current_cgroup_id();
	e->flow = *call->flow;
	e->decision = *d;
	e->pid = bpf_get_current_pid_tgid() >> 32;
	e->tid = call->tid;
	e->hook = call->hook;
	e->mode = g->mode;
	e->held = 1;
	e->started = task->start_boottime;
	e->since = h->since;
	e->until = h->until;
	bpf_get_current_comm(e->comm, sizeof(e->comm));
	h->asked = call->now; /* first: the daemon compares it */
	bpf_ringbuf_submit(e, 0);
}

/* Why the call cannot be made to wait, so far as that is seen before its turn. */
static __always_inline enum unheld hold_refused(const struct call *c, const struct gate_settings *g,
						struct task_struct *task, struct hold_call *call)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(task);
	__u32 flags = 0;
	long fd;

	if (!may_be_waited_for(&c->decision))
		return UNHELD_REASON;
	if (c->decision.failed)
		return UNHELD_FAILED;
	if (task->flags & (PF_KTHREAD | PF_IO_WORKER))
		return UNHELD_CALL;
	if (hold_kick_way == KICK_SIGNALS && task->tgid == 1) /* it is sent none */
		return UNHELD_KICK;
	fd = is_connect(call->hook) && is_write(regs) ? -1 : call_socket(regs, &flags);
	/* no program that may send signals sees what a setsockopt() returns */
	if (hold_kick_way == KICK_SIGNALS && call->hook == HOOK_SETSOCKOPT)
		return UNHELD_KICK;
	if (fd < 0 || !call_blocking(task, fd, flags, call))
		return UNHELD_CALL;
	/* of UDP each datagram would have to be kept, and the queue is short */
	if (call->nonblocking && g->hold_nonblocking == NONBLOCKING_QUEUE && c->queues &&
	    c->flow.proto == IPPROTO_TCP)
		return UNHELD_QUEUE;
	if (hold_kick_way == KICK_NONE ||
	    (hold_kick_way == KICK_SIGNALS && !*(volatile __u8 *)&hold_kick_ready))
		return UNHELD_KICK;
	if (!call->nonblocking)
		return UNHELD_NOT;
	if (g->hold_nonblocking != NONBLOCKING_HOLD)
		return UNHELD_NONBLOCK;
	call->timeout = g->hold_nonblocking_timeout * 1000000ULL;
	return UNHELD_NOT;
}

/*
 * Turning makes no sense any more: nobody puts it to sleep. What one gate learns of that the others
 * do not: it may be that it has too many calls.
 */
static __always_inline bool hold_is_let_down(const struct hold *h, struct gate_settings *g,
					     __u64 now)
{
	if (h->tries < HOLD_TRIES_MAX)
		return false;
	if (g->let_down <= hold_parked && now - h->turning < HOLD_PATIENCE_NS)
		return false;
	g->let_down = now;
	return true;
}

static __always_inline enum unheld hold_turn(struct hold_call *call, const struct decision *d,
					     struct gate_settings *g, struct gate_counters *count,
					     struct task_struct *task, int *code)
{
	struct hold *h = hold_of(call, task);

	if (!h)
		return UNHELD_TABLE;
	if (call->now >= h->until)
		return UNHELD_TIMEOUT;
	if (h->stop)
		return h->stop;
	if (hold_is_let_down(h, g, call->now))
		return UNHELD_SPIN;
	if (hold_is_interrupted(task, h)) {
		*code = EINTR;
		return UNHELD_NOT;
	}
	if (!h->tries)
		h->turning = call->now;
	if (!h->tries++ || call->now - h->asked > HOLD_ASK_EVERY_NS || !h->asked)
		hold_event(call, h, d, g, count, task);
	*code = hold_kick_off(task, call->tid, h);
	return *code ? UNHELD_NOT : UNHELD_KICK;
}

/*
 * The code with which the call must be refused for it to wait, the kick being given or sure to
 * come; EINTR; HOLD_QUEUED; or, when it cannot be made to, 0: it is to be rejected.
 */
static __noinline int hold(const struct call *c, struct gate_settings *g,
			   struct gate_counters *count, __u8 hook)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct hold_call call = {
		.flow = &c->flow,
		.now = bpf_ktime_get_boot_ns(),
		.timeout = g->hold_timeout * 1000000ULL,
		.tid = bpf_get_current_pid_tgid(),
		.hook = hook,
	};
	enum unheld why;
	int code = 0;

	why = hold_refused(c, g, task, &call);
	if (why == UNHELD_NOT)
		why = hold_turn(&call, &c->decision, g, count, task, &code);
	if (why != UNHELD_NOT) {
		count->unheld[why & (UNHELD_MAX - 1)]++;
		bpf_map_delete_elem(&holds, &call.tid);
		return why == UNHELD_QUEUE ? HOLD_QUEUED : 0;
	}
	if (code == EINTR)
		bpf_map_delete_elem(&holds, &call.tid);
	return code;
}

#endif
