// SPDX-License-Identifier: GPL-2.0-only
/*
 * killat PID N SIGNAL [CALL]: sends it the signal at its N-th step into or out of a system call (of
 * that number, if given) from now on; before the call is made, if N is odd. Prints the call's
 * number, or "ended" if it did before.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>

/* What the tracer is told when it stops in a system call (PTRACE_O_TRACESYSGOOD). */
#define IN_CALL (SIGTRAP | 0x80)

static long long call_of(pid_t pid)
{
	struct user_regs_struct regs = {};

	ptrace(PTRACE_GETREGS, pid, NULL, &regs);
	return (long long)regs.orig_rax;
}

static void strike(pid_t pid, int sig)
{
	printf("%lld\n", call_of(pid));
	kill(pid, sig);
	ptrace(PTRACE_DETACH, pid, NULL, NULL);
}

int main(int argc, char **argv)
{
	pid_t pid = argc == 4 || argc == 5 ? atoi(argv[1]) : 0;
	int call = argc == 5 ? atoi(argv[4]) : -1;
	int n = pid ? atoi(argv[2]) : 0, status, deliver;

	if (!pid || ptrace(PTRACE_SEIZE, pid, NULL, PTRACE_O_TRACESYSGOOD) ||
	    ptrace(PTRACE_INTERRUPT, pid, NULL, NULL)) {
		perror("killat");
		return 2;
	}
	puts("traced");
	fflush(stdout);
	while (waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status)) {
		if (WSTOPSIG(status) == IN_CALL && (call < 0 || call == call_of(pid)) && --n <= 0) {
			strike(pid, atoi(argv[3]));
			return 0;
		}
		/* a stop that the kernel made for us, or a signal on its way */
		deliver = WSTOPSIG(status) == IN_CALL || status >> 16 ? 0 : WSTOPSIG(status);
		ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(long)deliver);
	}
	puts("ended");
	return 0;
}
