// SPDX-License-Identifier: GPL-2.0-only
/* needs: loader/cgroup.c loader/netns.c loader/error.c loader/log.c */
/* cgroups and network namespaces as this machine has them; the mount table also from text. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup.h"
#include "netns.h"

static char root[PATH_MAX], name[64], full[PATH_MAX + 64];

static int setup(void **state)
{
	(void)state;
	snprintf(name, sizeof(name), "/rt-test-%d", getpid());
	if (cgroup_mount(root, NULL))
		return 0;
	snprintf(full, sizeof(full), "%s%s", root, name);
	mkdir(full, 0755);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (full[0])
		rmdir(full);
	return 0;
}

static void need_cgroup(void)
{
	if (!full[0] || access(full, F_OK))
		skip();
}

static void the_mount_is_found_in_the_table(void **state)
{
	char hybrid[] = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
			"35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
			"41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
	char part[] = "1 2 0:3 /a/b /mnt/part rw - cgroup2 none rw\n"
		      "4 5 0:3 / /mnt/with\\040space rw shared:9 master:1 - cgroup2 none rw\n";
	char v1[] = "35 31 0:32 / /sys/fs/cgroup rw - cgroup cgroup rw,cgroup2\n";
	char broken[] = "1 2 - cgroup2 none rw\n\n - cgroup2 \n";
	char mount[PATH_MAX] = "untouched";

	(void)state;
	assert_int_equal(cgroup_mount_find(v1, mount), -ENOENT);
	assert_int_equal(cgroup_mount_find(broken, mount), -ENOENT);
	assert_string_equal(mount, "untouched");
	assert_int_equal(cgroup_mount_find(hybrid, mount), 0);
	assert_string_equal(mount, "/sys/fs/cgroup/unified");
	assert_int_equal(cgroup_mount_find(part, mount), 0);
	assert_string_equal(mount, "/mnt/with space");
}

static void a_cgroup_opens_by_either_path(void **state)
{
	struct error e = {0};
	uint64_t a, b;
	struct stat st;
	int fd;

	(void)state;
	need_cgroup();
	fd = cgroup_open(name, &e);
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(cgroup_id(fd, &a, &e), 0);
	fstat(fd, &st);
	assert_int_equal(a, st.st_ino);
	close(fd);
	fd = cgroup_open(full, &e);
	assert_true(fd >= 0);
	assert_int_equal(cgroup_id(fd, &b, &e), 0);
	close(fd);
	assert_int_equal(a, b);
	fd = cgroup_open("/", &e);
	assert_true(fd >= 0);
	close(fd);
}

static void what_is_no_cgroup_is_refused_in_words(void **state)
{
	char text[PATH_MAX + 80];
	struct error e = {0};
	int fd;

	(void)state;
	need_cgroup();
	assert_int_equal(cgroup_open("/rt-not-there", &e), -ENOENT);
	assert_string_equal(e.code, "no-such-cgroup");
	assert_int_equal(cgroup_open("relative", &e), -EINVAL);
	assert_int_equal(cgroup_open("", &e), -EINVAL);
	snprintf(text, sizeof(text), "%s/../..%s", name, name);
	assert_int_equal(cgroup_open(text, &e), -EINVAL);
	snprintf(text, sizeof(text), "%s/..", full);
	assert_int_equal(cgroup_open(text, &e), -EINVAL);
	assert_int_equal(cgroup_open("/./x", &e), -EINVAL);
	snprintf(text, sizeof(text), "%s/cgroup.procs", full);
	assert_int_equal(cgroup_open(text, &e), -ENOTDIR);
	assert_int_equal(cgroup_open("/tmp", &e), -EINVAL);
	assert_non_null(strstr(e.message, "not in cgroup v2"));
	/* "..." is a name like any other */
	assert_int_equal(cgroup_open("/...", &e), -ENOENT);
	fd = open("/sys/fs/cgroup/memory/tasks", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	close(fd);
	assert_int_equal(cgroup_open("/sys/fs/cgroup/memory", &e), -EINVAL);
	assert_non_null(strstr(e.message, "cgroup v1"));
}

static void an_id_leads_back_to_the_path(void **state)
{
	char path[PATH_MAX] = "untouched";
	struct error e = {0};
	uint64_t id;
	int fd;

	(void)state;
	need_cgroup();
	fd = cgroup_open(name, &e);
	assert_int_equal(cgroup_id(fd, &id, &e), 0);
	assert_int_equal(cgroup_path(id, path, &e), 0);
	assert_string_equal(path, name);
	assert_int_equal(rmdir(full), 0);
	strcpy(path, "untouched");
	assert_int_equal(cgroup_path(id, path, &e), -ENOENT);
	/* another one at the same place is not it */
	assert_int_equal(mkdir(full, 0755), 0);
	assert_int_equal(cgroup_path(id, path, &e), -ENOENT);
	assert_string_equal(path, "untouched");
	assert_int_equal(cgroup_path(~0ULL, path, &e), -ENOENT);
	close(fd);
	fd = cgroup_open("/", &e);
	assert_int_equal(cgroup_id(fd, &id, &e), 0);
	close(fd);
	assert_int_equal(cgroup_path(id, path, &e), 0);
	assert_string_equal(path, "/");
}

static void a_process_has_a_cgroup(void **state)
{
	char path[PATH_MAX], procs[PATH_MAX + 96];
	struct error e = {0};
	int go[2], status;
	pid_t pid;
	FILE *f;

	(void)state;
	need_cgroup();
	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	pid = fork();
	if (!pid) {
		char byte;

		close(go[1]);
		_exit(read(go[0], &byte, 1) != 0);
	}
	close(go[0]);
	snprintf(procs, sizeof(procs), "%s/cgroup.procs", full);
	f = fopen(procs, "we");
	fprintf(f, "%d", pid);
	fclose(f);
	assert_int_equal(cgroup_of_pid(pid, path, &e), 0);
	assert_string_equal(path, name);
	close(go[1]);
	waitpid(pid, &status, 0);
	assert_int_equal(cgroup_of_pid(pid, path, &e), -ESRCH);
	assert_int_equal(cgroup_of_pid(0, path, &e), 0);
	assert_int_equal(path[0], '/');
}

static int cookie_here(void *ctx)
{
	return netns_cookie(-1, ctx, NULL) ? -1 : 42;
}

static void a_namespace_is_entered_and_left(void **state)
{
	uint64_t own, other, inside = 0, after;
	struct error e = {0};
	int own_fd, fd;

	(void)state;
	assert_int_equal(netns_cookie(-1, &own, &e), 0);
	own_fd = netns_open("/proc/self/ns/net", &e);
	assert_true(own_fd >= 0);
	if (unshare(CLONE_NEWNET)) {
		close(own_fd);
		skip();
	}
	fd = netns_open("/proc/self/ns/net", &e);
	assert_true(fd >= 0);
	assert_int_equal(setns(own_fd, CLONE_NEWNET), 0);
	assert_int_equal(netns_cookie(fd, &other, &e), 0);
	assert_true(own && other && own != other);
	assert_int_equal(netns_run(fd, cookie_here, &inside, &e), 42);
	assert_int_equal(inside, other);
	assert_int_equal(netns_cookie(-1, &after, &e), 0);
	assert_int_equal(after, own);
	close(fd);
	close(own_fd);
}

static void what_is_no_namespace_is_refused(void **state)
{
	struct error e = {0};
	char pid[32];
	int fd, pipes[2];

	(void)state;
	assert_int_equal(netns_open("rt-not-there", &e), -ENOENT);
	assert_string_equal(e.code, "no-such-netns");
	assert_int_equal(netns_open("999999999", &e), -ESRCH);
	assert_int_equal(netns_open("", &e), -EINVAL);
	assert_int_equal(netns_open("..", &e), -EINVAL);
	assert_int_equal(netns_open("/proc/self/ns/uts", &e), -EINVAL);
	assert_int_equal(netns_open("/dev/null", &e), -EINVAL);
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	snprintf(pid, sizeof(pid), "/proc/self/fd/%d", pipes[0]);
	assert_int_equal(netns_open(pid, &e), -EINVAL);
	assert_int_equal(netns_run(pipes[0], cookie_here, NULL, &e), -EINVAL);
	close(pipes[0]);
	close(pipes[1]);
	snprintf(pid, sizeof(pid), "%d", getpid());
	fd = netns_open(pid, &e);
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_mount_is_found_in_the_table),
		cmocka_unit_test(a_cgroup_opens_by_either_path),
		cmocka_unit_test(what_is_no_cgroup_is_refused_in_words),
		cmocka_unit_test(an_id_leads_back_to_the_path),
		cmocka_unit_test(a_process_has_a_cgroup),
		cmocka_unit_test(a_namespace_is_entered_and_left),
		cmocka_unit_test(what_is_no_namespace_is_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
