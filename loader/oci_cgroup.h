/* SPDX-License-Identifier: GPL-2.0-only */
/* The cgroup of a container that is being made, from its first process. */
#ifndef SAGATE_OCI_CGROUP_H
#define SAGATE_OCI_CGROUP_H

#include <limits.h>
#include <sys/types.h>

#include "error.h"

/*
 * The cgroup v2 (its path from the root of v2) that has `pid`, when it is the container's own: the
 * process has a mount namespace of its own, and no other process is in the cgroup. A gate on any
 * other would be one on the host's. -errno with *e.
 */
int oci_cgroup(pid_t pid, char path[PATH_MAX], struct error *e);

#endif
