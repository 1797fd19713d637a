/* SPDX-License-Identifier: GPL-2.0-only */
/* Which source ports a network namespace gives to sockets that were bound to none. */
#ifndef SAGATE_LOCAL_PORTS_H
#define SAGATE_LOCAL_PORTS_H

#include "spd.h"

/* A descriptor for local_ports_read() of that namespace (-1: our own), or -errno. */
int local_ports_open(int netns_fd);

/*
 * Tells the table of policies what the range is now (net.ipv4.ip_local_port_range, of both
 * families); where it cannot be read, any port. The kernel tells nobody when it changes: to be
 * called again and again. 0 or -ENOMEM.
 */
int local_ports_read(int fd, struct spd *spd);

#endif
