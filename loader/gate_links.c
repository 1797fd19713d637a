// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "cgroup.h"
#include "cleanup.h"
#include "gate_links.h"

static const char *const hook_names[HOOK_COUNT] = {
#define X(id, name) [HOOK_##id] = name,
	SAGATE_HOOKS(X)
#undef X
};

static const enum bpf_attach_type hook_types[HOOK_COUNT] = {
	[HOOK_CONNECT4] = BPF_CGROUP_INET4_CONNECT, [HOOK_CONNECT6] = BPF_CGROUP_INET6_CONNECT,
	[HOOK_SENDMSG4] = BPF_CGROUP_UDP4_SENDMSG,  [HOOK_SENDMSG6] = BPF_CGROUP_UDP6_SENDMSG,
	[HOOK_LSM_CONNECT] = BPF_LSM_CGROUP,	    [HOOK_LSM_SENDMSG] = BPF_LSM_CGROUP,
	[HOOK_EGRESS] = BPF_CGROUP_INET_EGRESS,	    [HOOK_SETSOCKOPT] = BPF_CGROUP_SETSOCKOPT,
};

enum { PIN_PATH_MAX = 400 };

/* A kernel may lack the programs of some. */
static bool has_program(const struct bpf *b, int hook)
{
	return bpf_program_fd(b, hook) >= 0;
}

/* A BPF file system takes no dots in names (bpf_lookup()); a gate's name has no colon. */
static void folder_path(struct bpf *b, const struct gate *gate, char path[PIN_PATH_MAX])
{
	int n = snprintf(path, PIN_PATH_MAX, "%s/gate/", bpf_pin_path(b));

	snprintf(path + n, PIN_PATH_MAX - n, "%s", gate->name);
	for (char *c = path + n; (c = strchr(c, '.'));)
		*c = ':';
}

static void link_path(struct bpf *b, const struct gate *gate, int hook, char path[PIN_PATH_MAX])
{
	size_t n;

	folder_path(b, gate, path);
	n = strlen(path);
	snprintf(path + n, PIN_PATH_MAX - n, "/%s", hook_names[hook]);
}

/* Whether the gate is to have this link. */
static bool wants(const struct gate *gate, int hook)
{
	return hook != HOOK_EGRESS || !gate->settings.guard_off;
}

static int make_one(struct bpf *b, struct gate *gate, int cgroup_fd, int hook, struct error *e)
{
	_cleanup_close_ int fd = -1;
	char path[PIN_PATH_MAX];
	int err;

	fd = bpf_link_create(bpf_program_fd(b, hook), cgroup_fd, hook_types[hook], NULL);
	if (fd < 0)
		return error_set(e, fd, "attach", "gate %s: %s cannot be attached to %s: %s%s",
				 gate->name, hook_names[hook], gate->cgroup, strerror(-fd),
				 hook == HOOK_EGRESS ? " (the guard; guard=off does without)" : "");
	err = bpf_settings_put(b, gate->cgroup_id, &gate->settings);
	if (err)
		return error_set(e, err, "attach", "gate %s: its settings cannot be written: %s",
				 gate->name, strerror(-err));
	link_path(b, gate, hook, path);
	if (bpf_obj_pin(fd, path))
		return error_set(e, -errno, "pin", "gate %s: %s: %s", gate->name, path,
				 strerror(errno));
	gate->link[hook] = TAKE_FD(fd);
	return 0;
}

static void unset_settings(struct bpf *b, __u64 cgroup_id)
{
	static const struct gate_settings unset;

	/* the storage lives as long as the cgroup: the next gate on it starts from nothing */
	if (cgroup_id)
		bpf_settings_put(b, cgroup_id, &unset);
}

static void remove_one(struct bpf *b, struct gate *gate, int hook)
{
	char path[PIN_PATH_MAX];

	link_path(b, gate, hook, path);
	unlink(path);
	if (gate->link[hook] >= 0)
		close(gate->link[hook]);
	gate->link[hook] = -1;
}

/* Takes back what a failed gate_links_make() made. Links that stood before go on deciding. */
static void unmake(struct bpf *b, struct gate *gate, const bool made[HOOK_COUNT])
{
	char path[PIN_PATH_MAX];
	bool others = false;

	for (int hook = 0; hook < HOOK_COUNT; hook++) {
		others |= gate->link[hook] >= 0 && !made[hook];
		if (made[hook])
			remove_one(b, gate, hook);
	}
	folder_path(b, gate, path);
	if (!rmdir(path) && !others) /* empty, so nobody's links are left */
		unset_settings(b, gate->cgroup_id);
}

int gate_links_make(struct bpf *b, struct gate *gate, int cgroup_fd, struct error *e)
{
	bool made[HOOK_COUNT] = {};
	char path[PIN_PATH_MAX];
	int err = 0;

	folder_path(b, gate, path);
	if (mkdir(path, 0700) && errno != EEXIST)
		return error_set(e, -errno, "pin", "gate %s: %s: %s", gate->name, path,
				 strerror(errno));
	for (int hook = 0; hook < HOOK_COUNT && !err; hook++)
		if (gate->link[hook] < 0 && has_program(b, hook) && wants(gate, hook)) {
			err = make_one(b, gate, cgroup_fd, hook, e);
			made[hook] = !err;
		}
	if (err)
		unmake(b, gate, made);
	for (int hook = 0; hook < HOOK_COUNT && !err; hook++)
		if (!wants(gate, hook))
			remove_one(b, gate, hook);
	return err;
}

/* The id of the cgroup behind a link; 0 when it is gone. */
static __u64 link_cgroup(int fd)
{
	struct bpf_link_info info = {};
	__u32 size = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &size))
		return 0;
	return info.type == BPF_LINK_TYPE_CGROUP ? info.cgroup.cgroup_id : 0;
}

static int adopt_one(struct bpf *b, struct gate *gate, int hook, struct error *e)
{
	char path[PIN_PATH_MAX];
	__u64 id;
	int err;

	link_path(b, gate, hook, path);
	gate->link[hook] = bpf_obj_get(path);
	if (gate->link[hook] < 0 && errno == ENOENT)
		return 0; /* made anew below */
	if (gate->link[hook] < 0)
		return error_set(e, -errno, "pin", "gate %s: %s: %s", gate->name, path,
				 strerror(errno));
	id = link_cgroup(gate->link[hook]);
	if (!id) { /* its cgroup is gone, or somebody has detached it: the others tell */
		remove_one(b, gate, hook);
		return 0;
	}
	if (gate->cgroup_id && gate->cgroup_id != id)
		return error_set(e, -EINVAL, "pin",
				 "gate %s: its links are of two cgroups: "
				 "remove %s",
				 gate->name, path);
	gate->cgroup_id = id;
	if (!has_program(b, hook))
		return 0; /* the one it has goes on */
	err = bpf_link_update(gate->link[hook], bpf_program_fd(b, hook), NULL);
	if (err)
		return error_set(e, err, "attach", "gate %s: %s cannot be replaced: %s", gate->name,
				 path, strerror(-err));
	return 0;
}

int gate_links_adopt(struct bpf *b, struct gate *gate, struct error *e)
{
	_cleanup_close_ int cgroup_fd = -1;
	int err = 0;

	for (int hook = 0; hook < HOOK_COUNT && !err; hook++)
		err = adopt_one(b, gate, hook, e);
	if (!err && !gate->cgroup_id)
		err = error_set(e, -ENOENT, "no-such-cgroup",
				"gate %s: none of its links is attached: its cgroup is gone",
				gate->name);
	if (err == -ENOENT) { /* the kernel has detached them: nothing opens */
		gate_links_remove(b, gate);
		return err;
	}
	if (!err)
		err = cgroup_path(gate->cgroup_id, gate->cgroup, e);
	if (!err) {
		err = bpf_settings_get(b, gate->cgroup_id, &gate->settings);
		if (err)
			error_set(e, err, "pin", "gate %s: its settings cannot be read: %s",
				  gate->name, strerror(-err));
	}
	if (!err) {
		cgroup_fd = cgroup_open(gate->cgroup, e);
		err = cgroup_fd < 0 ? cgroup_fd : gate_links_make(b, gate, cgroup_fd, e);
	}
	if (err)
		gate_links_close(gate);
	/* a path that is not found is no proof: the kernel's own word comes with the next try */
	return err == -ENOENT ? -ESTALE : err;
}

void gate_links_close(struct gate *gate)
{
	for (int hook = 0; hook < HOOK_COUNT; hook++) {
		if (gate->link[hook] >= 0)
			close(gate->link[hook]);
		gate->link[hook] = -1;
	}
}

/* The cgroup that the pinned links of a gate are on, one that is not adopted too; 0: gone. */
static __u64 pinned_cgroup(struct bpf *b, const struct gate *gate)
{
	char path[PIN_PATH_MAX];
	__u64 id = 0;

	for (int hook = 0; hook < HOOK_COUNT && !id; hook++) {
		_cleanup_close_ int fd = -1;

		link_path(b, gate, hook, path);
		fd = bpf_obj_get(path);
		id = fd < 0 ? 0 : link_cgroup(fd);
	}
	return id;
}

void gate_links_remove(struct bpf *b, struct gate *gate)
{
	__u64 id = gate->cgroup_id ? gate->cgroup_id : pinned_cgroup(b, gate);
	char path[PIN_PATH_MAX];

	for (int hook = 0; hook < HOOK_COUNT; hook++)
		remove_one(b, gate, hook);
	folder_path(b, gate, path);
	rmdir(path);
	unset_settings(b, id);
}

bool gate_links_alive(const struct gate *gate)
{
	for (int hook = 0; hook < HOOK_COUNT; hook++)
		if (gate->link[hook] >= 0 && link_cgroup(gate->link[hook]) == gate->cgroup_id)
			return true;
	return false;
}

enum gate_link_state gate_link_look(struct bpf *b, const struct gate *gate, enum hook hook)
{
	struct bpf_link_info link = {};
	__u32 size = sizeof(link), ours;

	if (!has_program(b, hook) || !wants(gate, hook))
		return GATE_LINK_OURS;
	if (gate->link[hook] < 0)
		return GATE_LINK_MISSING;
	if (bpf_obj_get_info_by_fd(gate->link[hook], &link, &size))
		return GATE_LINK_OURS; /* nobody has closed it: it cannot be told */
	if (link.cgroup.cgroup_id != gate->cgroup_id)
		return GATE_LINK_DETACHED;
	ours = bpf_program_id(b, hook);
	return !ours || link.prog_id == ours ? GATE_LINK_OURS : GATE_LINK_OTHER;
}

void gate_link_forget(struct bpf *b, struct gate *gate, enum hook hook)
{
	remove_one(b, gate, hook);
}

int gate_link_behind(struct bpf *b, struct gate *gate, int cgroup_fd, enum hook hook,
		     struct error *e)
{
	_cleanup_close_ int before = gate->link[hook];
	char path[PIN_PATH_MAX], aside[PIN_PATH_MAX + 8];
	int err;

	if (before < 0)
		return 0;
	link_path(b, gate, hook, path);
	snprintf(aside, sizeof(aside), "%s-old", path);
	if (rename(path, aside))
		err = error_set(e, -errno, "pin", "gate %s: %s: %s", gate->name, path,
				strerror(errno));
	else
		err = make_one(b, gate, cgroup_fd, hook, e);
	if (!err) {
		unlink(aside);
		return 0;
	}
	rename(aside, path);
	gate->link[hook] = TAKE_FD(before);
	return err;
}

enum bpf_attach_type gate_hook_type(enum hook hook)
{
	return hook_types[hook];
}

const char *gate_hook_name(enum hook hook)
{
	return hook_names[hook];
}
