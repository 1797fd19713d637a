// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <glob.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "matrix.h"

#define WAYS_MAX 256

/* A way's process. It says where it is, and lives until the state is over. */
struct run {
	pid_t pid;
	int fd;
	struct outcome out;
};

static struct run runs[WAYS_MAX];

static void start(struct run *r, const struct way *w, bool staged)
{
	int pair[2];

	*r = (struct run){0};
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		die("socketpair: %s", strerror(errno));
	r->pid = fork();
	if (r->pid < 0)
		die("fork: %s", strerror(errno));
	if (!r->pid)
		child_run(w, pair[1], staged);
	close(pair[1]);
	r->fd = pair[0];
}

/* Its next report. */
static void hear(struct run *r, const struct way *w)
{
	struct pollfd wait = {.fd = r->fd, .events = POLLIN};

	if (poll(&wait, 1, 90000) != 1 ||
	    recv(r->fd, &r->out.report, sizeof(r->out.report), 0) != sizeof(r->out.report))
		die("%s: its process says nothing", w->name);
}

static void end(struct run *r)
{
	if (!r->pid)
		return;
	kill(r->pid, SIGKILL);
	waitpid(r->pid, NULL, 0);
	close(r->fd);
	r->pid = 0;
}

static bool chosen(const struct way *w, enum state s, const char *only)
{
	return judge_tries(w, s) && (!only || strstr(w->name, only));
}

/* As far as it goes before the state changes. */
static void prepare(enum state s, const char *only)
{
	for (size_t i = 0; i < ways_count; i++) {
		if (!chosen(&ways[i], s, only))
			continue;
		start(&runs[i], &ways[i], true);
		hear(&runs[i], &ways[i]);
		runs[i].out.early = runs[i].out.report.what != STAGED;
	}
}

/* The call itself, and what the sniffer sees of it. */
static bool act(struct run *r, const struct way *w, enum state s, bool staged)
{
	double began = now_s();
	struct seen before;

	wire_take(&before);
	if (!staged)
		start(r, w, false);
	else if (!r->out.early && send(r->fd, "g", 1, MSG_NOSIGNAL) < 0)
		die("%s: its process has ended", w->name);
	if (!r->out.early)
		hear(r, w);
	wire_take(&r->out.seen);
	r->out.took = now_s() - began;
	return judge(w, s, &r->out);
}

/* Timers: retransmissions, heartbeats, what was put off. */
static bool late_is_right(enum state s)
{
	struct seen late;

	wire_take(&late);
	pause_ms(1100);
	wire_take(&late);
	if (s == OFF || !late.plain)
		return true;
	printf("WRONG %u packets in clear, a second after the calls of state %s: %s\n", late.plain,
	       state_names[s], late.what[0]);
	return false;
}

unsigned int run_state(enum state s, const char *only)
{
	bool staged = s >= LOST;
	unsigned int wrong = 0;
	struct seen rest;

	host_before(s);
	peer_start();
	if (staged) {
		prepare(s, only);
		host_after(s);
	}
	for (size_t i = 0; i < ways_count; i++)
		if (chosen(&ways[i], s, only)) {
			wrong += !act(&runs[i], &ways[i], s, staged);
			if (!staged)
				end(&runs[i]);
		}
	if (s == LOST || s == KEPT || s == DEAD)
		wrong += !late_is_right(s);
	for (size_t i = 0; i < ways_count; i++)
		end(&runs[i]);
	peer_stop();
	wire_take(&rest);
	return wrong;
}

/* Threads asleep in the gate's waiting rooms. */
static unsigned int asleep(void)
{
	unsigned int n = 0;
	glob_t rooms;

	if (glob("/sys/fs/cgroup/gated/sagate-hold-*/cgroup.threads", 0, NULL, &rooms))
		return 0;
	for (size_t i = 0; i < rooms.gl_pathc; i++) {
		FILE *f = fopen(rooms.gl_pathv[i], "re");

		for (int c; f && (c = getc(f)) != EOF;)
			n += c == '\n';
		if (f)
			fclose(f);
	}
	globfree(&rooms);
	return n;
}

static bool nothing_arrived(const char *when)
{
	struct seen seen;

	wire_take(&seen);
	if (!seen.plain && !seen.esp)
		return true;
	printf("WRONG state hold, %s: %u packets in clear, %u of ESP: %s\n", when, seen.plain,
	       seen.esp, seen.what[0]);
	return false;
}

/* All wait at once; who is not held says so. Then the SA comes, and all that leaves is ESP. */
unsigned int run_hold(const char *only)
{
	unsigned int held = 0, wrong = 0;
	double until = now_s() + 60;
	struct seen seen;

	host_before(HOLD);
	peer_start();
	patient = true;
	wire_take(&seen);
	for (size_t i = 0; i < ways_count; i++)
		if (chosen(&ways[i], HOLD, only)) {
			start(&runs[i], &ways[i], false);
			if (ways[i].hold.what == ESP)
				held++;
			else
				hear(&runs[i], &ways[i]);
		}
	while (asleep() < held && now_s() < until)
		pause_ms(20);
	if (asleep() != held) {
		printf("WRONG state hold: %u threads wait, not %u\n", asleep(), held);
		wrong++;
	}
	wrong += !nothing_arrived("before the SA came");
	host_after(HOLD);
	for (size_t i = 0; i < ways_count; i++)
		if (runs[i].pid && ways[i].hold.what == ESP)
			hear(&runs[i], &ways[i]);
	wire_take(&seen);
	for (size_t i = 0; i < ways_count; i++) {
		if (!runs[i].pid)
			continue;
		if (ways[i].hold.what == ESP)
			runs[i].out.seen = seen;
		wrong += !judge(&ways[i], HOLD, &runs[i].out);
		end(&runs[i]);
	}
	if (seen.esp < held) {
		printf("WRONG state hold: %u packets of ESP for %u calls\n", seen.esp, held);
		wrong++;
	}
	patient = false;
	peer_stop();
	wire_take(&seen);
	return wrong;
}
