// SPDX-License-Identifier: GPL-2.0-only
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cgroup.h"
#include "cgroup_dynmods.h"
#include "cleanup.h"

#define OPTION "favordynmods"

/* glibc 2.36 has them, with a <sys/mount.h> that does not go together with <linux/mount.h>. */
static int fs_pick(const char *path)
{
	return (int)syscall(SYS_fspick, AT_FDCWD, path, FSPICK_CLOEXEC);
}

static int fs_config(int fd, unsigned int command, const char *key)
{
	return (int)syscall(SYS_fsconfig, fd, command, key, NULL, 0) ? -errno : 0;
}

char *cgroup_dynmods_options(char *line)
{
	char *at = strstr(line, " - cgroup2 ");

	if (!at)
		return NULL;
	at = strchr(at + strlen(" - cgroup2 "), ' '); /* behind the source */
	if (!at)
		return NULL;
	at++;
	at[strcspn(at, "\n")] = '\0';
	return at;
}

/* The options of the first cgroup2 mount: all mounts of it share one superblock. */
static int read_options(char *options, size_t size)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char line[2 * PATH_MAX], *found = NULL;

	if (!f)
		return -errno;
	while (!found && fgets(line, sizeof(line), f))
		found = cgroup_dynmods_options(line);
	fclose(f);
	if (!found)
		return -ENOENT;
	snprintf(options, size, "%s", found);
	return 0;
}

static bool has_option(char *options)
{
	char *option;

	while ((option = strsep(&options, ",")))
		if (!strcmp(option, OPTION))
			return true;
	return false;
}

bool cgroup_dynmods_on(void)
{
	char options[512];

	return !read_options(options, sizeof(options)) && has_option(options);
}

/* A reconfiguration is of all options: those that are not named again would go. */
static int reconfigure(const char *mount, char *options)
{
	_cleanup_close_ int fd = fs_pick(mount);
	char *option;
	int err;

	if (fd < 0)
		return -errno;
	while ((option = strsep(&options, ",")))
		if (strcmp(option, "rw") && strcmp(option, "ro")) {
			err = fs_config(fd, FSCONFIG_SET_FLAG, option);
			if (err)
				return err;
		}
	err = fs_config(fd, FSCONFIG_SET_FLAG, OPTION);
	return err ? err : fs_config(fd, FSCONFIG_CMD_RECONFIGURE, NULL);
}

int cgroup_dynmods_set(struct error *e)
{
	char mount[PATH_MAX], options[512];
	int err = cgroup_mount(mount, e);

	if (err)
		return err;
	err = read_options(options, sizeof(options));
	if (!err)
		err = reconfigure(mount, options);
	if (!err && !cgroup_dynmods_on())
		err = -EPERM; /* not from within a cgroup namespace */
	return err ? error_set(e, err, "favordynmods",
			       "%s: the option " OPTION " cannot be set: %s", mount, strerror(-err))
		   : 0;
}
