// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "confine.h"
#include "confine_calls.h"

#define CAP(name) (1ULL << CAP_##name)

/* Each with its reason in sagate.service. */
static const uint64_t rights[] = {
	[CONFINED_DAEMON] = CAP(BPF) | CAP(PERFMON) | CAP(NET_ADMIN) | CAP(SYS_ADMIN) |
			    CAP(SYS_PTRACE) | CAP(DAC_OVERRIDE) | CAP(DAC_READ_SEARCH),
	/* to find and thaw cgroups of others */
	[CONFINED_KEEPER] = CAP(DAC_OVERRIDE),
};

void confine_begin(void)
{
	const struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

/* Only with CAP_SETPCAP; without it nothing that is exec'ed gets them either: no_new_privs. */
static void shrink_bounds(uint64_t keep)
{
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
		if (cap >= 64 || !(keep & 1ULL << cap))
			prctl(PR_CAPBSET_DROP, cap);
}

static int shrink_rights(uint64_t keep)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, data))
		return -errno;
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	shrink_bounds(keep);
	for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		data[i].permitted &= (uint32_t)(keep >> 32 * i);
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	return syscall(SYS_capset, &header, data) ? -errno : 0;
}

int confine(enum confined who, struct error *e)
{
	int err = shrink_rights(rights[who]), no_filter = confine_calls(who);

	if (no_filter)
		return error_set(e, no_filter, "confine", "no filter of system calls: %s",
				 strerror(-no_filter));
	return err ? error_set(e, err, "confine", "capabilities cannot be given up: %s",
			       strerror(-err))
		   : 0;
}
