// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "local_ports.h"
#include "netns.h"

static int open_here(void *ctx)
{
	int fd = open("/proc/sys/net/ipv4/ip_local_port_range", O_RDONLY | O_CLOEXEC);

	(void)ctx;
	return fd < 0 ? -errno : fd;
}

int local_ports_open(int netns_fd)
{
	return netns_run(netns_fd, open_here, NULL, NULL);
}

int local_ports_read(int fd, struct spd *spd)
{
	unsigned int first = 0, last = 0xffff;
	char text[32];
	ssize_t n = fd < 0 ? -1 : pread(fd, text, sizeof(text) - 1, 0);

	text[n < 0 ? 0 : n] = '\0';
	if (sscanf(text, "%u %u", &first, &last) != 2 || last > 0xffff || first > last) {
		first = 0;
		last = 0xffff;
	}
	return spd_set_ports(spd, (__u16)first, (__u16)last);
}
