// SPDX-License-Identifier: GPL-2.0-only
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <utlist.h>

#include "cgroup.h"
#include "cleanup.h"
#include "log.h"
#include "rooms.h"

enum {
	TIDY_THREADS = 256, /* moved in one go */
	SWEEP_ROUNDS = 100, /* a thread that is being moved may be forked from */
};

struct rooms {
	struct room *list;
	unsigned int next_number;
};

static int write_text(int fd, const char *text)
{
	return pwrite(fd, text, strlen(text), 0) < 0 ? -errno : 0;
}

static int write_file(int dir, const char *name, const char *text)
{
	_cleanup_close_ int fd = openat(dir, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? -errno : write_text(fd, text);
}

static int write_tid(int fd, pid_t tid)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", tid);
	return write_text(fd, text);
}

/* The cgroup whose room `path` is, in place; false: it is none, and stays as it is. */
static bool strip_room(char *path)
{
	char *last = strrchr(path, '/');

	if (!last || strncmp(last + 1, ROOM_PREFIX, strlen(ROOM_PREFIX)))
		return false;
	if (last == path)
		last++;
	*last = '\0';
	return true;
}

static void room_free(struct rooms *r, struct room *room)
{
	LL_DELETE(r->list, room);
	cleanup_close(&room->dir);
	cleanup_close(&room->freeze);
	cleanup_close(&room->threads);
	free(room);
}

static int room_fill(struct room *room, int parent, const char *name)
{
	int err;

	room->dir = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (room->dir < 0)
		return -errno;
	err = write_file(room->dir, "cgroup.type", "threaded");
	if (err)
		return err;
	room->freeze = openat(room->dir, "cgroup.freeze", O_WRONLY | O_CLOEXEC);
	room->threads = openat(room->dir, "cgroup.threads", O_RDWR | O_CLOEXEC);
	if (room->freeze < 0 || room->threads < 0)
		return -errno;
	return write_text(room->freeze, "1");
}

static int room_make(struct rooms *r, const char *cgroup, uint64_t waits_for, struct room **out,
		     struct error *e)
{
	_cleanup_close_ int parent = cgroup_open(cgroup, e);
	struct room *room;
	char name[32];
	int err;

	if (parent < 0)
		return parent;
	room = calloc(1, sizeof(*room));
	if (!room)
		return error_set(e, -ENOMEM, "memory", "no memory");
	room->dir = room->freeze = room->threads = -1;
	strcpy(room->cgroup, cgroup);
	room->waits_for = waits_for;
	LL_PREPEND(r->list, room);
	do {
		room->number = r->next_number++;
		snprintf(name, sizeof(name), ROOM_PREFIX "%u", room->number);
		err = mkdirat(parent, name, 0755) ? -errno : 0;
	} while (err == -EEXIST);
	if (!err)
		err = room_fill(room, parent, name);
	if (!err) {
		*out = room;
		return 0;
	}
	unlinkat(parent, name, AT_REMOVEDIR);
	room_free(r, room);
	if (err == -EAGAIN) /* cgroup_check_hierarchy_limits() */
		return error_set(e, err, "cgroup-limit",
				 "%s: no waiting room: cgroup.max.descendants or cgroup.max.depth "
				 "there, or above, allows no more child cgroups",
				 cgroup);
	return error_set(e, err, "no-room", "%s: no waiting room: %s", cgroup,
			 err == -EOPNOTSUPP ? "its child cgroups have processes (cgroup v2 takes "
					      "threads beside them not)"
					    : strerror(-err));
}

static struct room *room_find(struct rooms *r, const char *cgroup, uint64_t waits_for)
{
	struct room *room;

	LL_FOREACH(r->list, room)
		if (!room->thawed && room->waits_for == waits_for && !strcmp(room->cgroup, cgroup))
			return room;
	return NULL;
}

int rooms_park(struct rooms *r, pid_t tid, uint64_t waits_for, struct room **out, struct error *e)
{
	char path[PATH_MAX];
	struct room *room;
	bool inside;
	int err;

	err = cgroup_of_pid(tid, path, e);
	if (err)
		return err;
	inside = strip_room(path);
	room = room_find(r, path, waits_for);
	err = room ? write_tid(room->threads, tid) : -ENODEV;
	if (!err && inside) /* awake in there: somebody else may have thawed it */
		err = write_text(room->freeze, "1");
	if (err == -ENODEV) { /* there is none, or somebody has removed it */
		if (room)
			room->thawed = true;
		err = room_make(r, path, waits_for, &room, e);
		if (err)
			return err;
		err = write_tid(room->threads, tid);
	}
	if (err)
		return error_set(e, err, "no-room", "thread %d cannot be put to sleep: %s", tid,
				 strerror(-err));
	room->count++;
	*out = room;
	return 0;
}

void room_thaw(struct room *room)
{
	int err = write_text(room->freeze, "0");

	if (err && err != -ENODEV) /* the cgroup is gone, and the room with it */
		log_error("%s/" ROOM_PREFIX "%u: cannot be thawed: %s", room->cgroup, room->number,
			  strerror(-err));
	room->thawed = true;
}

static int move_out(int dir, pid_t tid)
{
	_cleanup_close_ int fd =
		openat(dir, "../cgroup.threads", O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? -errno : write_tid(fd, tid);
}

int room_let_out(struct room *room, pid_t tid)
{
	return move_out(room->dir, tid);
}

void room_left(struct room *room)
{
	room->count--;
}

/* Moves up to `max` threads to the parent. Returns how many were there. */
static int empty_room(int dir, int max)
{
	_cleanup_close_ int fd = openat(dir, "cgroup.threads", O_RDONLY | O_CLOEXEC);
	char text[8192], *line, *rest = text;
	ssize_t len;
	int n = 0;

	if (fd < 0)
		return 0;
	len = pread(fd, text, sizeof(text) - 1, 0);
	if (len <= 0)
		return 0;
	text[len] = '\0';
	while (n < max && (line = strsep(&rest, "\n")) && *line) {
		n++;
		move_out(dir, atoi(line));
	}
	return n;
}

static bool room_remove(struct rooms *r, struct room *room)
{
	_cleanup_close_ int parent = openat(room->dir, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char name[32];

	snprintf(name, sizeof(name), ROOM_PREFIX "%u", room->number);
	/* the cgroup itself may be gone, and the room with it */
	if (parent >= 0 && unlinkat(parent, name, AT_REMOVEDIR) && errno != ENOENT)
		return false;
	room_free(r, room);
	return true;
}

bool rooms_tidy(struct rooms *r)
{
	struct room *room, *next;
	int left = TIDY_THREADS;
	bool more = false;

	LL_FOREACH_SAFE(r->list, room, next)
	{
		if (room->count)
			continue;
		if (!room->thawed)
			room_thaw(room);
		left -= empty_room(room->dir, left);
		if (left <= 0)
			return true;
		more |= !room_remove(r, room);
	}
	return more;
}

size_t rooms_count(const struct rooms *r)
{
	const struct room *room;
	size_t n = 0;

	LL_COUNT(r->list, room, n);
	return n;
}

int rooms_new(struct rooms **out, struct error *e)
{
	struct rooms *r = calloc(1, sizeof(*r));

	if (!r)
		return error_set(e, -ENOMEM, "memory", "no memory");
	*out = r;
	return 0;
}

void rooms_free(struct rooms *r)
{
	struct room *room, *next;

	if (!r)
		return;
	LL_FOREACH(r->list, room)
		room_thaw(room);
	LL_FOREACH_SAFE(r->list, room, next)
	{
		empty_room(room->dir, INT_MAX);
		if (!room_remove(r, room))
			room_free(r, room); /* rooms_sweep() of the next one */
	}
	free(r);
}

static size_t swept;

static int sweep_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	_cleanup_close_ int dir = -1;

	(void)st;
	if (kind != FTW_D || strncmp(path + where->base, ROOM_PREFIX, strlen(ROOM_PREFIX)))
		return FTW_CONTINUE;
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (dir < 0)
		return FTW_CONTINUE;
	swept++;
	write_file(dir, "cgroup.freeze", "0");
	for (int i = 0; i < SWEEP_ROUNDS && empty_room(dir, INT_MAX); i++)
		;
	rmdir(path);
	return FTW_SKIP_SUBTREE;
}

size_t rooms_sweep(void)
{
	char mount[PATH_MAX];

	swept = 0;
	if (!cgroup_mount(mount, NULL))
		nftw(mount, sweep_one, 32, FTW_PHYS | FTW_MOUNT | FTW_ACTIONRETVAL);
	return swept;
}
