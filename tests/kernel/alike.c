// SPDX-License-Identifier: GPL-2.0-only
/*
 * alike: what a program sees of how it was started and of the signals it is sent, and what its
 * parent sees of it. Two ways to start it are the same when they print the same.
 *
 *   alike state NAME PREFIX   descriptors, dispositions, mask, limits and so on; before, all
 *                             signals are ignored (NAME ignored), blocked (blocked), or neither
 *   alike ends PREFIX         each signal in its default action: what waitpid() says
 *   alike takes PREFIX        each signal blocked: what sigtimedwait() says, how often; sent with
 *                             a value to the process, then to the process group
 *
 * PREFIX is a command that is given one more to start, or nothing.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SIGNALS = 64, TO_CHILD = 10, TO_PARENT = 11, ARGS_MAX = 64 };

/* libc has its own plans for signals 32 and 33. */
struct kernel_action {
	void *handler;
	unsigned long flags;
	void *restorer;
	unsigned long mask;
};

static unsigned long mask_set(int how, unsigned long set)
{
	unsigned long old = 0;

	syscall(SYS_rt_sigprocmask, how, &set, &old, 8);
	return old;
}

static unsigned long handler_of(int sig)
{
	struct kernel_action a = {0};

	syscall(SYS_rt_sigaction, sig, NULL, &a, 8);
	return (unsigned long)a.handler;
}

static void handler_set(int sig, void *handler)
{
	struct kernel_action a = {.handler = handler};

	syscall(SYS_rt_sigaction, sig, &a, NULL, 8);
}

static void die(const char *what)
{
	perror(what);
	exit(99);
}

static void say(char byte)
{
	if (write(TO_PARENT, &byte, 1) != 1)
		die("say");
}

static void hear(int fd)
{
	char byte;

	while (read(fd, &byte, 1) != 1)
		if (errno != EINTR)
			die("hear");
}

/* ---- the program that is started, by PREFIX… alike told-… ---- */

static void tell_file(const char *path, const char *first, const char *second)
{
	char line[512];
	FILE *f = fopen(path, "r");

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, first, strlen(first)) || !strncmp(line, second, strlen(second)))
			fputs(line, stdout);
	if (f)
		fclose(f);
}

static void tell_descriptors(void)
{
	char path[64], to[512];
	struct stat st;
	ssize_t n;

	for (int fd = 0; fd < 256; fd++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = readlink(path, to, sizeof(to) - 1);
		if (n < 0 || fstat(fd, &st) < 0)
			continue;
		to[n] = '\0';
		printf("fd %d %s flags %x %x\n", fd, S_ISFIFO(st.st_mode) ? "pipe" : to,
		       fcntl(fd, F_GETFL), fcntl(fd, F_GETFD));
	}
}

static int told_state(char **argv)
{
	struct rlimit l;
	char cwd[4096];
	int tty = open("/dev/tty", O_RDWR), death = 0;

	printf("mask %lx\n", mask_set(SIG_BLOCK, 0));
	for (int sig = 1; sig <= SIGNALS; sig++)
		printf("handler %d %lx\n", sig, handler_of(sig));
	for (int i = 0; i < RLIM_NLIMITS; i++)
		if (!getrlimit(i, &l))
			printf("limit %d %lx %lx\n", i, l.rlim_cur, l.rlim_max);
	tell_descriptors();
	for (char **e = environ; *e; e++)
		if (strncmp(*e, "ALIKE_PARENT=", 13))
			printf("environment %s\n", *e);
	printf("arguments");
	for (; *argv; argv++)
		printf(" %s", *argv);
	prctl(PR_GET_PDEATHSIG, &death);
	printf("\ncwd %s umask %o nice %d death %d dumpable %d slack %d\n",
	       getcwd(cwd, sizeof(cwd)), umask(0), getpriority(PRIO_PROCESS, 0), death,
	       prctl(PR_GET_DUMPABLE), prctl(PR_GET_TIMERSLACK));
	printf("own group %d same session %d terminal %d children %d parent is %s\n",
	       getpgrp() == getpid(), getsid(0) == getsid(getppid()), tty >= 0,
	       waitpid(-1, NULL, WNOHANG | __WALL) >= 0 || errno != ECHILD,
	       getenv("ALIKE_PARENT") && atoi(getenv("ALIKE_PARENT")) == getppid() ? "direct"
										   : "other");
	tell_file("/proc/self/status", "Cap", "Seccomp");
	tell_file("/proc/self/status", "Name", "NoNew");
	tell_file("/proc/self/status", "SigPnd", "ShdPnd");
	return 0;
}

/* Ends with 42 when it is told to, if it still can. */
static int told_ends(void)
{
	say('u');
	hear(TO_CHILD);
	return 42;
}

static int tell_taken(long timeout_ms)
{
	struct timespec t = {.tv_sec = timeout_ms / 1000, .tv_nsec = timeout_ms % 1000 * 1000000};
	unsigned long all = ~0UL;
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	if (syscall(SYS_rt_sigtimedwait, &all, &info, &t, 8) < 0)
		return 0;
	printf("taken %d code %d value %d from the parent %d\n", info.si_signo, info.si_code,
	       info.si_value.sival_int, info.si_pid == getppid());
	return 1;
}

static int told_takes(void)
{
	mask_set(SIG_BLOCK, ~0UL);
	say('u');
	for (int sig = 1; sig <= SIGNALS; sig++) {
		if (sig == SIGKILL || sig == SIGSTOP)
			continue;
		for (int n = 0; n < 2; n++) {
			if (!tell_taken(5000))
				printf("%d does not come\n", sig);
			say('t');
		}
	}
	while (tell_taken(300))
		printf("once more\n");
	return 0;
}

/* ---- who starts it ---- */

static char self[4096];

static void both_ends(int at, int *ours, int parent_writes)
{
	int pair[2];

	if (pipe2(pair, O_CLOEXEC) < 0)
		die("pipe");
	*ours = fcntl(pair[parent_writes], F_DUPFD_CLOEXEC, 20);
	if (dup2(pair[!parent_writes], at) < 0)
		die("dup2");
	close(pair[0]);
	close(pair[1]);
}

struct started {
	pid_t pid;
	int to, from;
};

static struct started start(char **prefix, const char *what, void (*before)(void))
{
	char *argv[ARGS_MAX] = {0};
	struct started s;
	int n = 0;

	for (; prefix[n] && n < ARGS_MAX - 3; n++)
		argv[n] = prefix[n];
	argv[n] = self;
	argv[n + 1] = (char *)what;
	both_ends(TO_CHILD, &s.to, 1);
	both_ends(TO_PARENT, &s.from, 0);
	fflush(stdout);
	s.pid = fork();
	if (s.pid == 0) {
		setpgid(0, 0);
		if (before)
			before();
		execvp(argv[0], argv);
		die(argv[0]);
	}
	setpgid(s.pid, s.pid);
	close(TO_CHILD);
	close(TO_PARENT);
	return s;
}

static void print_status(int sig, int status)
{
	if (WIFEXITED(status))
		printf("%d exit %d\n", sig, WEXITSTATUS(status));
	else if (WIFSIGNALED(status))
		printf("%d killed by %d core %d\n", sig, WTERMSIG(status), WCOREDUMP(status) != 0);
	else if (WIFSTOPPED(status))
		printf("%d stopped by %d\n", sig, WSTOPSIG(status));
	else
		printf("%d status %x\n", sig, status);
}

static void end(struct started *s)
{
	close(s->to);
	close(s->from);
	/* whatever was left of it */
	kill(-s->pid, SIGKILL);
}

/* Ours is ignored: it may be gone when it is told to go on. */
static void default_pipe(void)
{
	handler_set(SIGPIPE, SIG_DFL);
}

static void end_by(char **prefix, int sig)
{
	struct started s = start(prefix, "told-ends", default_pipe);
	int status;

	hear(s.from);
	kill(s.pid, sig);
	if (write(s.to, "g", 1) < 0 && errno != EPIPE)
		die("write");
	for (;;) {
		if (waitpid(s.pid, &status, WUNTRACED) < 0)
			die("waitpid");
		print_status(sig, status);
		if (!WIFSTOPPED(status))
			break;
		kill(s.pid, SIGCONT);
	}
	/* nothing of it goes on */
	printf("%d left %d\n", sig, kill(-s.pid, 0) == 0);
	end(&s);
}

static int ends(char **prefix)
{
	struct rlimit l = {RLIM_INFINITY, RLIM_INFINITY};

	setrlimit(RLIMIT_CORE, &l);
	handler_set(SIGPIPE, SIG_IGN);
	for (int sig = 1; sig <= SIGNALS; sig++)
		end_by(prefix, sig);
	return 0;
}

static void queue(pid_t pid, int sig)
{
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	info.si_signo = sig;
	info.si_code = SI_QUEUE;
	info.si_pid = getpid();
	info.si_value.sival_int = 1000 + sig;
	if (syscall(SYS_rt_sigqueueinfo, pid, sig, &info) < 0)
		die("sigqueue");
}

static int takes(char **prefix)
{
	struct started s = start(prefix, "told-takes", NULL);
	int status;

	hear(s.from);
	for (int sig = 1; sig <= SIGNALS; sig++) {
		if (sig == SIGKILL || sig == SIGSTOP)
			continue;
		queue(s.pid, sig);
		hear(s.from);
		kill(-s.pid, sig);
		hear(s.from);
	}
	if (waitpid(s.pid, &status, 0) < 0)
		die("waitpid");
	print_status(0, status);
	end(&s);
	return 0;
}

static void ignore_all(void)
{
	for (int sig = 1; sig <= SIGNALS; sig++)
		handler_set(sig, SIG_IGN);
}

static void block_all(void)
{
	mask_set(SIG_BLOCK, ~0UL);
	/* one that waits already */
	raise(SIGUSR1);
}

static int state(char **prefix, const char *name)
{
	struct rlimit l = {77, 99};
	char parent[16];
	struct started s;
	int status;

	snprintf(parent, sizeof(parent), "%d", getpid());
	setenv("ALIKE_PARENT", parent, 1);
	setrlimit(RLIMIT_NOFILE, &l);
	umask(0051);
	setpriority(PRIO_PROCESS, 0, 3);
	prctl(PR_SET_TIMERSLACK, 12345);
	s = start(prefix, "told-state",
		  !strcmp(name, "ignored")   ? ignore_all
		  : !strcmp(name, "blocked") ? block_all
					     : NULL);
	if (waitpid(s.pid, &status, 0) < 0)
		die("waitpid");
	print_status(0, status);
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n < 0)
		die("/proc/self/exe");
	if (!strcmp(what, "told-state"))
		return told_state(argv);
	if (!strcmp(what, "told-ends"))
		return told_ends();
	if (!strcmp(what, "told-takes"))
		return told_takes();
	if (!strcmp(what, "ends"))
		return ends(argv + 2);
	if (!strcmp(what, "takes"))
		return takes(argv + 2);
	if (!strcmp(what, "state") && argc > 2)
		return state(argv + 3, argv[2]);
	fprintf(stderr, "alike: state NAME | ends | takes [PREFIX…]\n");
	return 2;
}
