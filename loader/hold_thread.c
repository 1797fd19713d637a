// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "held_calls.h"
#include "hold_thread.h"

static int read_text(const struct hold_thread *t, const char *name, char *text, size_t size)
{
	_cleanup_close_ int fd = -1;
	char path[64];
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/%s", t->pid, t->tid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	len = read(fd, text, size - 1);
	if (len < 0)
		return -errno;
	text[len] = '\0';
	return 0;
}

static uint64_t mask_of(const char *status, const char *name)
{
	const char *at = strstr(status, name);

	return at ? strtoull(at + strlen(name), NULL, 16) : 0;
}

#define SIGNAL_BIT(n) (1ULL << ((n)-1))

/*
 * proc_pid_status(5): it waits to be handled, by a handler or by a stop, and is not blocked. All
 * other default actions happen also in a frozen thread, or are none. The kick's SIGCONT waits until
 * the call goes on: if that were let out, it would be kicked again.
 */
int hold_status_signalled(const char *status, bool signals)
{
	const uint64_t stops = SIGNAL_BIT(SIGSTOP) | SIGNAL_BIT(SIGTSTP) | SIGNAL_BIT(SIGTTIN) |
			       SIGNAL_BIT(SIGTTOU);
	uint64_t kick = signals ? SIGNAL_BIT(SIGCONT) : 0;
	uint64_t pending = (mask_of(status, "\nSigPnd:") & ~kick) | mask_of(status, "\nShdPnd:");
	uint64_t acts = mask_of(status, "\nSigCgt:") | (stops & ~mask_of(status, "\nSigIgn:"));

	return (pending & acts & ~mask_of(status, "\nSigBlk:")) != 0;
}

/* Of the thread's own and of the process's, in the order of dequeue_signal(). */
int hold_status_handled(const char *status)
{
	uint64_t ends =
		mask_of(status, "\nSigCgt:") & ~mask_of(status, "\nSigBlk:") & ~SIGNAL_BIT(SIGCONT);
	uint64_t own = mask_of(status, "\nSigPnd:") & ends;

	return ffsll((long long)(own ? own : mask_of(status, "\nShdPnd:") & ends));
}

/*
 * proc_pid_syscall(5): its number first; -1: in no call; "running"; last the stack pointer and the
 * program counter. A thread that was frozen on its way into a handler is elsewhere, though the
 * number is still there. So is one whose call is about to be made
 * again (2 bytes before, in none or in that): a signal would not end it, but come before it.
 */
int hold_syscall_held(const char *syscall, uint64_t ip, uint64_t sp)
{
	static const long held[] = {
#define X(number, fd, flags) number,
		SAGATE_HELD_CALLS(X)
#undef X
			HELD_SENDMMSG,
		HELD_SOCKETCALL,
	};
	unsigned long long at_sp, at_ip;
	long nr;

	if (!strncmp(syscall, "running", 7))
		return -EAGAIN;
	if (sscanf(syscall, "%ld %*x %*x %*x %*x %*x %*x %llx %llx", &nr, &at_sp, &at_ip) != 3)
		return 0;
	for (size_t i = 0; i < sizeof(held) / sizeof(held[0]); i++)
		if (nr == held[i])
			return at_sp == sp && at_ip == ip;
	return 0;
}

/* proc_pid_stat(5): field 22; the second, in brackets, may have any character in it. */
int hold_stat_started(const char *stat, uint64_t *ticks)
{
	const char *at = strrchr(stat, ')');

	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	if (!at)
		return -EINVAL;
	*ticks = strtoull(at + 1, NULL, 10);
	return 0;
}

/* proc_pid_stat(5): field 3. */
char hold_stat_letter(const char *stat)
{
	const char *state = strrchr(stat, ')');

	return state && state[1] ? state[2] : '\0';
}

char hold_thread_letter(pid_t tid)
{
	const struct hold_thread t = {.pid = tid, .tid = tid};
	char text[4096], letter;

	if (read_text(&t, "stat", text, sizeof(text)))
		return '\0';
	letter = hold_stat_letter(text);
	return letter == 'Z' || letter == 'X' ? '\0' : letter;
}

enum hold_thread_state hold_thread_look(const struct hold_thread *t, int *handled)
{
	const uint64_t tick = 1000000000ULL / (uint64_t)sysconf(_SC_CLK_TCK);
	char text[4096];
	uint64_t ticks;
	int held;

	if (read_text(t, "stat", text, sizeof(text)) || hold_stat_started(text, &ticks) ||
	    ticks != t->started / tick)
		return HOLD_THREAD_GONE;
	if (read_text(t, "syscall", text, sizeof(text)))
		return HOLD_THREAD_GONE;
	held = hold_syscall_held(text, t->ip, t->sp);
	if (held <= 0)
		return held ? HOLD_THREAD_RUNS : HOLD_THREAD_ELSEWHERE;
	if (read_text(t, "status", text, sizeof(text)))
		return HOLD_THREAD_GONE;
	if (!hold_status_signalled(text, t->signals))
		return HOLD_THREAD_SLEEPS;
	*handled = hold_status_handled(text);
	return HOLD_THREAD_SIGNALLED;
}
