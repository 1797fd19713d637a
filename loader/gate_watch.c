// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "boot_time.h"
#include "cgroup.h"
#include "cleanup.h"
#include "gate_links.h"
#include "gate_watch.h"
#include "log.h"

enum { PROGRAMS_MAX = 256 };

/* Whoever attaches himself behind us again and again shall not keep us busy. */
#define BEHIND_AGAIN_NS 10000000000ULL

const char *gate_finding_name(enum gate_finding f)
{
	static const char *const names[] = {
#define X(id, name) [GATE_##id] = name,
		GATE_FINDINGS(X)
#undef X
	};

	return names[f];
}

static int program_info(int fd, struct bpf_prog_info *info)
{
	__u32 size = sizeof(*info);

	memset(info, 0, sizeof(*info));
	return bpf_obj_get_info_by_fd(fd, info, &size) ? -errno : 0;
}

static int program_info_by_id(__u32 id, struct bpf_prog_info *info)
{
	_cleanup_close_ int fd = bpf_prog_get_fd_by_id(id);

	return fd < 0 ? -errno : program_info(fd, info);
}

static int name_later(const __u32 *ids, __u32 count, const struct bpf_prog_info *ours, char *text,
		      size_t size)
{
	struct bpf_prog_info info;
	bool behind = false;
	int later = 0;
	size_t n = 0;

	for (__u32 i = 0; i < count; i++) {
		if (ids[i] == ours->id)
			behind = true;
		if (ids[i] == ours->id || !behind)
			continue;
		if (program_info_by_id(ids[i], &info))
			info = (struct bpf_prog_info){.name = "?"};
		else if (info.attach_btf_id != ours->attach_btf_id)
			continue; /* of another LSM hook: they are in one list */
		if (n < size)
			n += (size_t)snprintf(text + n, size - n, "%s%s (id %u)", later ? ", " : "",
					      info.name, ids[i]);
		later++;
	}
	return later;
}

int gate_later(struct bpf *b, const struct gate *gate, enum hook hook, char *text, size_t size)
{
	_cleanup_close_ int cgroup = cgroup_open(gate->cgroup, NULL);
	__u32 ids[PROGRAMS_MAX], count = PROGRAMS_MAX;
	struct bpf_prog_info ours;
	int err;

	text[0] = '\0';
	if (cgroup < 0)
		return cgroup;
	if (bpf_prog_query(cgroup, gate_hook_type(hook), BPF_F_QUERY_EFFECTIVE, NULL, ids, &count))
		return -errno;
	err = program_info(bpf_program_fd(b, hook), &ours);
	return err ? err : name_later(ids, count, &ours, text, size);
}

static void tell(const struct gate_watcher *w, const struct gate *gate, enum gate_finding f,
		 enum hook hook)
{
	w->tell(w->ctx, gate, f, hook);
}

/* Links that somebody has detached, or put another program behind. */
static void watch_links(struct bpf *b, struct gate *gate, int cgroup_fd,
			const struct gate_watcher *w)
{
	bool missing = false;
	struct error e = {};

	for (int hook = 0; hook < HOOK_COUNT; hook++) {
		enum gate_link_state state = gate_link_look(b, gate, hook);
		int err = 0;

		missing |= state == GATE_LINK_DETACHED || state == GATE_LINK_MISSING;
		if (state == GATE_LINK_OURS || state == GATE_LINK_MISSING)
			continue;
		gate->meddled++;
		if (state == GATE_LINK_DETACHED)
			gate_link_forget(b, gate, hook);
		else
			err = bpf_link_update(gate->link[hook], bpf_program_fd(b, hook), NULL);
		log_error("gate %s: somebody has %s its program %s: %s", gate->name,
			  state == GATE_LINK_DETACHED ? "detached" : "replaced",
			  gate_hook_name(hook),
			  err ? "it cannot be put back" : "it is attached again");
		tell(w, gate, state == GATE_LINK_DETACHED ? GATE_DETACHED : GATE_REPLACED, hook);
	}
	if (missing && gate_links_make(b, gate, cgroup_fd, &e))
		log_error("gate %s: tried again in half a second: %s", gate->name, e.message);
}

/* The first hook whose refusal does not reach the caller; HOOK_COUNT: none. */
static enum hook undone_hook(const struct gate *gate, int *got)
{
	for (int hook = 0; hook < PROBE_HOOKS; hook++) {
		*got = gate_probe_ask(&gate->probe, hook);
		if (*got)
			return hook;
	}
	return HOOK_COUNT;
}

/* Programs of the same cgroup run in the order in which they were attached. */
static void attach_behind(struct bpf *b, struct gate *gate, int cgroup_fd, enum hook hook)
{
	const __u64 now = boot_ns();
	struct error e = {};

	if (gate->behind_at && now - gate->behind_at < BEHIND_AGAIN_NS)
		return;
	gate->behind_at = now;
	for (int i = hook; i < PROBE_HOOKS; i++)
		if (gate_link_behind(b, gate, cgroup_fd, i, &e))
			log_error("%s", e.message);
}

static void note_undone(struct bpf *b, struct gate *gate, enum hook hook, int got)
{
	char later[256];
	int n = gate_later(b, gate, hook, later, sizeof(later));

	snprintf(gate->undone, sizeof(gate->undone),
		 "what it refuses comes through (%s: %s); programs that run after its own: %s",
		 gate_hook_name(hook), got > 0 ? strerror(got) : "success", n > 0 ? later : "none");
}

/* A real call, of a socket in the cgroup. */
static void watch_refusals(struct bpf *b, struct gate *gate, int cgroup_fd,
			   const struct gate_watcher *w)
{
	const bool was = gate->undone[0];
	enum hook hook;
	int got;

	gate->probed = gate_probe_ready(&gate->probe, cgroup_fd);
	if (!gate->probed)
		return;
	hook = undone_hook(gate, &got);
	if (hook == HOOK_COUNT) {
		gate->undone[0] = '\0';
		if (!was)
			return;
		log_notice("gate %s: its refusals are in force again", gate->name);
		tell(w, gate, GATE_ENFORCED, HOOK_COUNT);
		return;
	}
	note_undone(b, gate, hook, got);
	if (!was) {
		gate->meddled++;
		log_error("gate %s: %s%s", gate->name, gate->undone,
			  gate->settings.guard_off ? "" : "; its guard drops what must not leave");
		tell(w, gate, GATE_UNDONE, hook);
	}
	attach_behind(b, gate, cgroup_fd, hook);
}

void gate_watch(struct bpf *b, struct gate *gate, const struct gate_watcher *w)
{
	_cleanup_close_ int cgroup_fd = cgroup_open(gate->cgroup, NULL);
	uint64_t id;

	if (cgroup_fd < 0 || cgroup_id(cgroup_fd, &id, NULL) || id != gate->cgroup_id) {
		gate_probe_end(&gate->probe); /* it is gone, perhaps: the links tell */
		return;
	}
	watch_links(b, gate, cgroup_fd, w);
	watch_refusals(b, gate, cgroup_fd, w);
}
