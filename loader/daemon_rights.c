// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rights by which a gate's process can pass it. CAP_NET_RAW: packet sockets, which no hook and no
 * guard sees. CAP_NET_ADMIN: marks, policies of its own sockets (IP_XFRM_POLICY), the host's
 * policies and routes. CAP_BPF, with it, and CAP_SYS_ADMIN: programs that undo ours; other
 * namespaces.
 */
#include <inttypes.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>

#include "cgroup.h"
#include "cleanup.h"
#include "daemon_internal.h"

enum {
	LOOKED_MAX = 1024, /* processes of a gate: the loop waits meanwhile */
	NAMED_MAX = 8,
};

static const struct {
	int cap;
	const char *name;
} rights[] = {
	{CAP_NET_RAW, "CAP_NET_RAW"},
	{CAP_NET_ADMIN, "CAP_NET_ADMIN"},
	{CAP_BPF, "CAP_BPF"},
	{CAP_SYS_ADMIN, "CAP_SYS_ADMIN"},
};

#define RIGHTS (sizeof(rights) / sizeof(rights[0]))

struct holders {
	char text[400]; /* of the first NAMED_MAX */
	size_t len, count, looked;
};

static bool read_status(pid_t pid, char name[16], uint64_t *caps)
{
	char path[32], line[128];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	strcpy(name, "?");
	while (!found && fgets(line, sizeof(line), f)) {
		sscanf(line, "Name:\t%15[^\n]", name);
		found = sscanf(line, "CapEff: %" SCNx64, caps) == 1;
	}
	fclose(f);
	return found;
}

static void name_one(struct holders *h, pid_t pid, const char *name, uint64_t caps)
{
	int n = snprintf(h->text + h->len, sizeof(h->text) - h->len, "%s%s[%d]", h->len ? ", " : "",
			 name, pid);

	h->len += n > 0 ? (size_t)n : 0;
	for (size_t i = 0; i < RIGHTS && h->len < sizeof(h->text); i++)
		if (caps & 1ULL << rights[i].cap)
			h->len += (size_t)snprintf(h->text + h->len, sizeof(h->text) - h->len,
						   " %s", rights[i].name);
	if (h->len > sizeof(h->text) - 1)
		h->len = sizeof(h->text) - 1;
}

static bool look_at(void *ctx, pid_t pid)
{
	struct holders *h = ctx;
	uint64_t caps = 0, all = 0;
	char name[16];

	for (size_t i = 0; i < RIGHTS; i++)
		all |= 1ULL << rights[i].cap;
	if (read_status(pid, name, &caps) && caps & all && h->count++ < NAMED_MAX)
		name_one(h, pid, name, caps & all);
	return ++h->looked < LOOKED_MAX;
}

void daemon_rights_checks(json_t *list, const struct gate *gate)
{
	_cleanup_close_ int cgroup = cgroup_open(gate->cgroup, NULL);
	struct holders h = {};
	char more[32] = "";

	if (cgroup < 0)
		return;
	cgroup_each_pid(cgroup, look_at, &h);
	if (!h.count)
		return;
	if (h.count > NAMED_MAX)
		snprintf(more, sizeof(more), " and %zu more", h.count - NAMED_MAX);
	daemon_check_add(list, "rights", "warn",
			 "take these rights from them (CapabilityBoundingSet=, User=)",
			 "gate %s: processes with rights by which they can pass it%s: %s%s",
			 gate->name, h.looked == LOOKED_MAX ? ", of the first 1024" : "", h.text,
			 more);
}
