// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "cleanup.h"
#include "cmd_run_child.h"

static const int passed_on[] = {SIGHUP,	 SIGINT,  SIGQUIT, SIGTERM, SIGUSR1,
				SIGUSR2, SIGALRM, SIGTSTP, SIGCONT, SIGWINCH};

static void watched_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGCHLD);
	for (size_t i = 0; i < sizeof(passed_on) / sizeof(passed_on[0]); i++)
		sigaddset(set, passed_on[i]);
}

/* With SIGCHLD ignored, as it may be inherited, there would be no status to wait for. */
static int block_signals(struct run_child *c)
{
	struct sigaction dfl = {.sa_handler = SIG_DFL};
	sigset_t set;

	watched_signals(&set);
	if (sigprocmask(SIG_BLOCK, &set, &c->mask) < 0 || sigaction(SIGCHLD, &dfl, &c->sigchld) < 0)
		return -errno;
	return 0;
}

static ssize_t retry_read(int fd, void *buf, size_t size)
{
	ssize_t n;

	do {
		n = read(fd, buf, size);
	} while (n < 0 && errno == EINTR);
	return n;
}

static void tell(int fd, int err)
{
	if (send(fd, &err, sizeof(err), MSG_NOSIGNAL) < 0)
		_exit(1);
}

/* What the child said: a negative errno, 0, or 1 when it said nothing (its program runs). */
static int listen_to(int fd)
{
	int err = 0;

	return retry_read(fd, &err, sizeof(err)) == sizeof(err) ? err : 1;
}

static __attribute__((noreturn)) void child_main(struct run_child *c, int fd, int procs,
						 pid_t parent, char *const argv[])
{
	char go;

	/* A kill -9 of ours is one of the program, as if it had been started directly. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	if (write(procs, "0", 1) < 0) {
		tell(fd, -errno);
		_exit(1);
	}
	tell(fd, 0);
	if (retry_read(fd, &go, 1) != 1)
		_exit(1);
	sigaction(SIGCHLD, &c->sigchld, NULL);
	sigprocmask(SIG_SETMASK, &c->mask, NULL);
	execvp(argv[0], argv);
	tell(fd, -errno);
	_exit(1);
}

static void reap(struct run_child *c)
{
	cleanup_close(&c->fd);
	c->fd = -1;
	while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static int child_failed(struct run_child *c, int r, struct error *e)
{
	reap(c);
	return error_set(e, r, "cgroup", "the command cannot enter its cgroup: %s",
			 r < 0 ? strerror(-r) : "it was killed");
}

int run_child_fork(struct run_child *c, int procs, char *const argv[], struct error *e)
{
	pid_t parent = getpid();
	int pair[2] = {-1, -1}, r;

	r = block_signals(c);
	if (r == 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		r = -errno;
	if (r < 0)
		return error_set(e, r, "run", "the command cannot be prepared: %s", strerror(-r));
	c->pid = fork();
	if (c->pid == 0) {
		close(pair[0]);
		child_main(c, pair[1], procs, parent, argv);
	}
	r = -errno;
	close(pair[1]);
	c->fd = pair[0];
	if (c->pid < 0) {
		cleanup_close(&c->fd);
		return error_set(e, r, "run", "no process for the command: %s", strerror(-r));
	}
	r = listen_to(c->fd);
	return r ? child_failed(c, r, e) : 0;
}

void run_child_cancel(struct run_child *c)
{
	reap(c);
}

int run_child_go(struct run_child *c, struct error *e)
{
	int r;

	if (send(c->fd, "g", 1, MSG_NOSIGNAL) < 0)
		return child_failed(c, -errno, e);
	r = listen_to(c->fd);
	if (r < 0) {
		reap(c);
		return error_set(e, r, "run", "%s", strerror(-r));
	}
	cleanup_close(&c->fd);
	c->fd = -1;
	return 0;
}

/*
 * The terminal (SI_KERNEL) sends to the whole process group: the child has its own copy. What a
 * process sent may have been for us alone.
 */
static void pass_on(const struct run_child *c, const siginfo_t *info)
{
	if (info->si_code == SI_KERNEL && info->si_signo != SIGCONT)
		return;
	kill(c->pid, info->si_signo);
}

/* A stop of job control: whoever started us must see a stopped job. */
static void stop_too(const struct run_child *c, int sig)
{
	if (sig != SIGTSTP && sig != SIGTTIN && sig != SIGTTOU)
		return;
	kill(getpid(), SIGSTOP);
	kill(c->pid, SIGCONT);
}

/* 1 when it has ended, its status in *status. */
static int check_child(const struct run_child *c, int *status)
{
	while (waitpid(c->pid, status, WNOHANG | WUNTRACED) == c->pid) {
		if (!WIFSTOPPED(*status))
			return 1;
		stop_too(c, WSTOPSIG(*status));
	}
	return 0;
}

int run_child_wait(struct run_child *c)
{
	siginfo_t info;
	sigset_t set;
	int status;

	watched_signals(&set);
	while (!check_child(c, &status)) {
		if (sigwaitinfo(&set, &info) < 0)
			continue;
		if (info.si_signo != SIGCHLD)
			pass_on(c, &info);
	}
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
