/* SPDX-License-Identifier: GPL-2.0-only */
/* What a thread in a waiting room is about, from /proc. */
#ifndef SAGATE_HOLD_THREAD_H
#define SAGATE_HOLD_THREAD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum hold_thread_state {
	HOLD_THREAD_SLEEPS,
	HOLD_THREAD_RUNS,      /* it is not asleep yet */
	HOLD_THREAD_SIGNALLED, /* a signal that its program handles is pending */
	HOLD_THREAD_ELSEWHERE, /* it is in no call that can be held */
	HOLD_THREAD_GONE,      /* or another thread has its id */
};

/* A thread, and the call that it is thought to be in. */
struct hold_thread {
	pid_t pid, tid;
	uint64_t started; /* ns of CLOCK_BOOTTIME */
	uint64_t ip, sp;  /* where it made the call: a handler of a signal runs elsewhere */
	bool signals;	  /* KICK_SIGNALS: a SIGCONT of its own is the kick's */
};

/* *handled: if it is HOLD_THREAD_SIGNALLED, as hold_status_handled() says. */
enum hold_thread_state hold_thread_look(const struct hold_thread *t, int *handled);

/* Its state, as proc_pid_stat(5) has it: 'T' and 't' are stopped, 0: it has ended. */
char hold_thread_letter(pid_t tid);

/* The parts, on the text of /proc/PID/task/TID/{status,syscall,stat}; pure. */
int hold_status_signalled(const char *status, bool signals);
/* The pending signal whose handler is the first to run, SIGCONT apart; 0: none has any. */
int hold_status_handled(const char *status);
int hold_syscall_held(const char *syscall, uint64_t ip, uint64_t sp);
int hold_stat_started(const char *stat, uint64_t *ticks);
char hold_stat_letter(const char *stat); /* 0: there is none */

#endif
