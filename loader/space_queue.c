// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "netns.h"
#include "space_queue.h"

#define SYSCTL "net.core.xfrm_larval_drop"

static int open_here(void *ctx)
{
	int fd = open("/proc/sys/net/core/xfrm_larval_drop", O_RDWR | O_CLOEXEC);

	(void)ctx;
	return fd < 0 ? -errno : fd;
}

/* Its value, or -errno. The descriptor is that namespace's for good. */
static int larval_drop(struct space *s)
{
	char text[16] = "";

	if (s->larval_fd < 0)
		s->larval_fd = netns_run(s->netns_fd, open_here, NULL, NULL);
	if (s->larval_fd < 0)
		return s->larval_fd;
	if (pread(s->larval_fd, text, sizeof(text) - 1, 0) < 0)
		return -errno;
	return atoi(text) != 0;
}

static int set_larval_drop(const struct space *s, const char *value)
{
	return pwrite(s->larval_fd, value, strlen(value), 0) < 0 ? -errno : 0;
}

/* In the map first: who is killed in between has only one too many to take back. */
static int make_ours(struct space *s)
{
	int err;

	bpf_space_set_queue(s->bpf, s->slot, QUEUE_OURS);
	err = set_larval_drop(s, "0");
	if (err)
		bpf_space_set_queue(s->bpf, s->slot, 0);
	else
		log_notice("space %s: " SYSCTL " is 0 now, for hold-nonblocking=queue", s->name);
	return err;
}

static void take_back(struct space *s)
{
	const __u8 had = bpf_space_queue(s->bpf, s->slot);
	int err = 0;

	if (!had)
		return;
	bpf_space_set_queue(s->bpf, s->slot, had & QUEUE_OURS);
	if (had & QUEUE_OURS && !larval_drop(s))
		err = set_larval_drop(s, "1");
	if (err)
		log_warning("space %s: " SYSCTL " stays 0: %s", s->name, strerror(-err));
	else if (had & QUEUE_OURS)
		log_notice("space %s: " SYSCTL " is 1 again", s->name);
	bpf_space_set_queue(s->bpf, s->slot, 0);
}

static void failed(struct space *s, int err)
{
	if (s->queue != SPACE_QUEUE_FAILED)
		log_error("space %s: " SYSCTL " cannot be set to 0: %s: non-blocking connects are "
			  "rejected and not queued",
			  s->name, strerror(-err));
	s->queue = SPACE_QUEUE_FAILED;
}

static void undone(struct space *s)
{
	log_warning("space %s: somebody set " SYSCTL
		    " back: non-blocking connects are rejected and "
		    "not queued, until it is 0 again or sagate is reloaded",
		    s->name);
	s->queue = SPACE_QUEUE_UNDONE;
}

static void keep(struct space *s)
{
	int drop = larval_drop(s);

	if (drop)
		bpf_space_set_queue(s->bpf, s->slot, 0);
	if (drop > 0 && s->queue == SPACE_QUEUE_ON)
		undone(s);
	if (drop > 0 && s->queue == SPACE_QUEUE_UNDONE)
		return;
	if (drop > 0)
		drop = make_ours(s);
	if (drop) {
		failed(s, drop);
		return;
	}
	bpf_space_set_queue(s->bpf, s->slot, bpf_space_queue(s->bpf, s->slot) | QUEUE_KEEPS);
	s->queue = SPACE_QUEUE_ON;
}

void space_queue(struct space *s, bool wanted)
{
	if (!s->committed)
		return;
	if (wanted) {
		keep(s);
		return;
	}
	take_back(s);
	s->queue = SPACE_QUEUE_OFF;
}

void space_queue_anew(struct space *s)
{
	if (s->queue == SPACE_QUEUE_UNDONE)
		s->queue = SPACE_QUEUE_OFF;
}

const char *space_queue_name(enum space_queue queue)
{
	static const char *const names[] = {
#define X(id, name) [SPACE_QUEUE_##id] = name,
		SPACE_QUEUES(X)
#undef X
	};

	return names[queue];
}
