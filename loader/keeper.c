// SPDX-License-Identifier: GPL-2.0-only
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "keeper.h"
#include "log.h"
#include "rooms.h"

/* Nothing of the daemon's stays open in it: neither its sockets nor its lock. */
static __attribute__((noreturn)) void keep(int alive)
{
	sigset_t none;
	char byte;

	dup2(alive, 0);
	close_range(3, ~0U, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* a terminal's Ctrl-C is meant for the daemon */
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	setsid();
	prctl(PR_SET_NAME, "sagate-keeper");
	while (read(0, &byte, 1) < 0 && errno == EINTR)
		;
	rooms_sweep();
	_exit(0);
}

int keeper_start(struct keeper *k)
{
	int fds[2];

	*k = (struct keeper){.alive = -1};
	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	k->pid = fork();
	if (k->pid < 0) {
		int err = -errno;

		close(fds[0]);
		close(fds[1]);
		k->pid = 0;
		return err;
	}
	if (!k->pid) {
		close(fds[1]);
		keep(fds[0]);
	}
	close(fds[0]);
	k->alive = fds[1];
	return 0;
}

void keeper_check(struct keeper *k)
{
	int err;

	if (k->pid && !waitpid(k->pid, NULL, WNOHANG))
		return;
	log_warning("the keeper of the waiting rooms has died: another one is started");
	cleanup_close(&k->alive);
	err = keeper_start(k);
	if (err)
		log_error("no keeper: %s: if this daemon is killed, calls that wait then stay "
			  "frozen until the next one starts",
			  strerror(-err));
}

void keeper_stop(struct keeper *k)
{
	cleanup_close(&k->alive);
	k->alive = -1;
	if (k->pid)
		waitpid(k->pid, NULL, 0);
	k->pid = 0;
}
