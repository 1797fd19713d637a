// SPDX-License-Identifier: GPL-2.0-only
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi.h"
#include "cleanup.h"
#include "confine.h"
#include "keeper.h"
#include "log.h"
#include "rooms.h"

/* The daemon's heartbeats are late from then on, and this time for one on its way. */
enum { SILENCE_MS = HEARTBEAT_LATE_NS / 1000000 + 1000 };

/* Until the daemon is gone. One that is silent, stopped or hung, has its rooms thawed meanwhile. */
static void watch(void)
{
	struct pollfd beats = {.fd = 0, .events = POLLIN};
	bool silent = false;
	char bytes[64];
	ssize_t len;

	for (;;) {
		int ready = poll(&beats, 1, silent ? -1 : SILENCE_MS);

		if (!ready) {
			silent = true;
			rooms_sweep();
		}
		if (ready <= 0)
			continue;
		len = read(0, bytes, sizeof(bytes));
		if (!len || (len < 0 && errno != EINTR))
			return;
		silent = false;
	}
}

/* Nothing of the daemon's stays open in it: neither its sockets nor its lock. */
static __attribute__((noreturn)) void keep(int alive)
{
	struct error e;
	sigset_t none;

	dup2(alive, 0);
	close_range(3, ~0U, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* a terminal's Ctrl-C, or a service's stop, is meant for the daemon */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	setsid();
	prctl(PR_SET_NAME, "sagate-keeper");
	if (confine(CONFINED_KEEPER, &e))
		log_error("the keeper keeps more rights than it needs: %s", e.message);
	watch();
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
	fcntl(k->alive, F_SETFL, O_NONBLOCK);
	return 0;
}

void keeper_beat(struct keeper *k)
{
	ssize_t sent = write(k->alive, "", 1);
	int err;

	(void)sent; /* no room: it does not run, and is told as much when it does */
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
