// SPDX-License-Identifier: GPL-2.0-only
/* Programs that turn a refusal into success: what somebody else may attach to a gate's cgroup. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#define UNDO(hook)                                                                                 \
	SEC("cgroup/" #hook)                                                                       \
	int undo_##hook(struct bpf_sock_addr *ctx)                                                 \
	{                                                                                          \
		bpf_set_retval(0);                                                                 \
		return 1;                                                                          \
	}

UNDO(connect4)
UNDO(connect6)
UNDO(sendmsg4)
UNDO(sendmsg6)

char LICENSE[] SEC("license") = "GPL";
