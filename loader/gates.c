// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utlist.h>

#include "cgroup.h"
#include "cleanup.h"
#include "gate_links.h"
#include "gate_watch.h"
#include "log.h"

struct gates {
	struct bpf *bpf;
	struct gate *list;
};

int gates_new(struct bpf *b, struct gates **out)
{
	struct gates *g = calloc(1, sizeof(*g));

	if (!g)
		return -ENOMEM;
	g->bpf = b;
	*out = g;
	return 0;
}

static struct gate *gate_new(const char *name)
{
	struct gate *gate = calloc(1, sizeof(*gate));

	if (!gate)
		return NULL;
	snprintf(gate->name, sizeof(gate->name), "%s", name);
	for (int hook = 0; hook < HOOK_COUNT; hook++)
		gate->link[hook] = -1;
	gate_probe_init(&gate->probe);
	return gate;
}

static void gate_free(struct gate *gate)
{
	gate_probe_end(&gate->probe);
	gate_links_close(gate);
	free(gate);
}

void gates_free(struct gates *g)
{
	struct gate *gate, *next;

	if (!g)
		return;
	LL_FOREACH_SAFE(g->list, gate, next)
	gate_free(gate);
	free(g);
}

struct gate *gates_first(struct gates *g)
{
	return g->list;
}

struct gate *gates_find(struct gates *g, const char *name)
{
	struct gate *gate;

	LL_FOREACH(g->list, gate)
		if (!strcmp(gate->name, name))
			return gate;
	return NULL;
}

struct gate *gates_of_cgroup(struct gates *g, __u64 cgroup_id)
{
	struct gate *gate;

	LL_FOREACH(g->list, gate)
		if (cgroup_id && gate->cgroup_id == cgroup_id)
			return gate;
	return NULL;
}

const char *gate_source_name(enum gate_source source)
{
	static const char *const names[] = {
#define X(id, name) [GATE_##id] = name,
		GATE_SOURCES(X)
#undef X
	};

	return names[source];
}

enum gate_state gate_state(const struct gate *gate)
{
	if (gate->cgroup_id)
		return GATE_ATTACHED;
	return gate->absent ? GATE_ABSENT : GATE_FAILED;
}

const char *gate_state_name(enum gate_state state)
{
	static const char *const names[] = {
#define X(id, name) [GATE_##id] = name,
		GATE_STATES(X)
#undef X
	};

	return names[state];
}

static void log_gate(const struct gate *gate, const char *what)
{
	log_info("gate %s %s (%s)", gate->name, what, gate->cgroup);
	if (!strcmp(gate->cgroup, "/"))
		log_warning("gate %s is on the root of all cgroups: every program of this host is "
			    "asked, but the IKE daemon",
			    gate->name);
}

static enum gate_source adopted_source(const struct gate *gate)
{
	static const char run[] = "/" CGROUP_RUN_PREFIX;
	const char *last = strrchr(gate->cgroup, '/');

	return last && !strncmp(last, run, sizeof(run) - 1) ? GATE_RUN : GATE_COMMAND;
}

/* -ENOENT: it is gone. Any other error: its links go on deciding, and it is tried again. */
static int adopt(struct gates *g, struct gate *gate, struct error *e)
{
	int err = gate_links_adopt(g->bpf, gate, e);

	gate->unadopted = err && err != -ENOENT;
	snprintf(gate->problem, sizeof(gate->problem), "%s%.400s",
		 err ? "pinned and deciding, but not taken over: " : "", err ? e->message : "");
	if (err)
		gate->cgroup_id = gate->settings.cgroup_id = 0;
	else
		log_gate(gate, "adopted");
	gate->source = err ? GATE_COMMAND : adopted_source(gate);
	return err;
}

static int adopt_one(struct gates *g, const char *name)
{
	struct gate *gate = gate_new(name);
	struct error e = {};
	int err;

	if (!gate)
		return -ENOMEM;
	err = adopt(g, gate, &e);
	if (err)
		log_warning("gate %s is not adopted: %s", name, e.message);
	if (err == -ENOENT) {
		gate_free(gate);
		return err;
	}
	LL_APPEND(g->list, gate);
	return err;
}

int gates_adopt(struct gates *g, struct error *e)
{
	struct dirent *entry;
	char path[300];
	int count = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/gate", bpf_pin_path(g->bpf));
	dir = opendir(path);
	if (!dir)
		return error_set(e, -errno, "pin", "%s: %s", path, strerror(errno));
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || strlen(entry->d_name) > GATE_NAME_MAX)
			continue;
		for (char *c = entry->d_name; (c = strchr(c, ':'));)
			*c = '.'; /* see folder_path() */
		if (!adopt_one(g, entry->d_name))
			count++;
	}
	closedir(dir);
	return count;
}

/* A guard that is wanted now is attached, one that is not any more is detached. */
static int change_links(struct gates *g, struct gate *gate, struct error *e)
{
	_cleanup_close_ int fd = cgroup_open(gate->cgroup, e);

	return fd < 0 ? fd : gate_links_make(g->bpf, gate, fd, e);
}

static int change(struct gates *g, struct gate *gate, const struct gate_settings *settings,
		  struct error *e)
{
	struct gate_settings with_id = *settings, before = gate->settings;
	bool guard = before.guard_off != settings->guard_off;
	int err;

	with_id.cgroup_id = gate->cgroup_id;
	if (!gate->cgroup_id || !memcmp(&with_id, &before, sizeof(with_id))) {
		gate->settings = with_id;
		return 0;
	}
	err = bpf_settings_put(g->bpf, gate->cgroup_id, &with_id);
	if (err)
		return error_set(e, err, "attach", "gate %s: its settings cannot be written: %s",
				 gate->name, strerror(-err));
	gate->settings = with_id;
	err = guard ? change_links(g, gate, e) : 0;
	if (err) {
		gate->settings = before;
		bpf_settings_put(g->bpf, gate->cgroup_id, &before);
		return err;
	}
	log_info("gate %s: settings changed", gate->name);
	return 0;
}

/* Opens gate->cgroup and attaches. The gate is as before on failure. */
static int attach_cgroup(struct gates *g, struct gate *gate, struct error *e)
{
	_cleanup_close_ int fd = cgroup_open(gate->cgroup, e);
	struct gate *other;
	uint64_t id;
	int err;

	if (fd < 0)
		return fd;
	err = cgroup_id(fd, &id, e);
	if (err)
		return err;
	other = gates_of_cgroup(g, id);
	if (other)
		return error_set(e, -EEXIST, "gate-exists", "%s: has a gate already: %s",
				 gate->cgroup, other->name);
	gate->cgroup_id = gate->settings.cgroup_id = id;
	err = gate_links_make(g->bpf, gate, fd, e);
	if (!err) {
		err = cgroup_path(id, gate->cgroup, e);
		if (err)
			gate_links_remove(g->bpf, gate);
	}
	if (err) {
		gate->cgroup_id = gate->settings.cgroup_id = 0;
		return err;
	}
	gate->problem[0] = '\0';
	gate->absent = false;
	log_gate(gate, "attached");
	return 0;
}

/* It is not attached, now or still: said once, and again when the reason is another. */
static void note_unattached(struct gate *gate, const struct error *e)
{
	const bool said = !strcmp(gate->problem, e->message);

	gate->absent = !strcmp(e->code, "no-such-cgroup");
	snprintf(gate->problem, sizeof(gate->problem), "%s", e->message);
	if (said)
		return;
	if (gate->absent)
		log_notice("gate %s waits for its cgroup: %s", gate->name, e->message);
	else
		log_error("gate %s is not attached, tried again every second: %s", gate->name,
			  e->message);
}

/* Is it the cgroup that the gate has? A path can be written in two ways. */
static bool same_cgroup(const struct gate *gate, const char *cgroup)
{
	_cleanup_close_ int fd = cgroup_open(cgroup, NULL);
	uint64_t id;

	if (fd < 0 || cgroup_id(fd, &id, NULL))
		return !strcmp(gate->cgroup, cgroup);
	return gate->cgroup_id == id;
}

static int attach_new(struct gates *g, const char *name, const char *cgroup,
		      enum gate_source source, const struct gate_settings *settings,
		      struct error *e)
{
	struct gate *gate = gate_new(name);
	int err;

	if (!gate)
		return error_set(e, -ENOMEM, "memory", "no memory");
	gate->source = source;
	gate->settings = *settings;
	gate->seen = true;
	snprintf(gate->cgroup, sizeof(gate->cgroup), "%s", cgroup);
	err = attach_cgroup(g, gate, e);
	if (err && source != GATE_CONFIG) {
		gate_free(gate);
		return err;
	}
	if (err)
		note_unattached(gate, e);
	LL_APPEND(g->list, gate);
	return 0;
}

static void drop(struct gates *g, struct gate *gate)
{
	gate_links_remove(g->bpf, gate);
	LL_DELETE(g->list, gate);
	gate_free(gate);
}

/* cgroup.events: "populated 0" when no process is left in it or below. */
static bool is_empty(const char *cgroup)
{
	_cleanup_close_ int dir = cgroup_open(cgroup, NULL), fd = -1;
	char text[256];
	ssize_t n;

	if (dir < 0)
		return false;
	fd = openat(dir, "cgroup.events", O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return false;
	text[n] = '\0';
	return strstr(text, "populated 0");
}

/* False: not yet, it has a child cgroup, such as a waiting room. */
static bool remove_cgroup(const char *cgroup)
{
	char mount[PATH_MAX], path[2 * PATH_MAX];

	if (cgroup_mount(mount, NULL))
		return true;
	snprintf(path, sizeof(path), "%s%s", mount, cgroup);
	if (!rmdir(path))
		return true;
	if (errno != EBUSY)
		log_warning("%s: cannot be removed: %s", path, strerror(errno));
	return errno != EBUSY;
}

/* A run whose command has ended, and all that it left: its cgroup is removed now. */
static bool run_ended(const struct gate *gate)
{
	return gate->source == GATE_RUN && is_empty(gate->cgroup) && remove_cgroup(gate->cgroup);
}

int gates_attach(struct gates *g, const char *name, const char *cgroup, enum gate_source source,
		 const struct gate_settings *settings, struct error *e)
{
	struct gate *gate = gates_find(g, name);
	int err;

	if (gate && gate->unadopted) {
		err = adopt(g, gate, e);
		if (err == -ENOENT)
			drop(g, gate);
		else if (err)
			return err;
		gate = err ? NULL : gate;
	}
	if (!gate)
		return attach_new(g, name, cgroup, source, settings, e);
	if (!same_cgroup(gate, cgroup)) {
		char path[PATH_MAX];

		/* a cgroup that is gone, perhaps made anew, and was not missed yet: see check_one()
		 */
		if (source != GATE_CONFIG && !run_ended(gate) &&
		    cgroup_path(gate->cgroup_id, path, NULL) != -ENOENT)
			return error_set(e, -EEXIST, "gate-exists",
					 "gate %s is attached to %s: detach it first or use --name",
					 name, gate->cgroup);
		/* the configuration moved it */
		gates_detach(g, name, NULL);
		return attach_new(g, name, cgroup, source, settings, e);
	}
	err = change(g, gate, settings, e);
	if (err)
		return err;
	gate->source = source;
	gate->seen = true;
	return 0;
}

int gates_detach(struct gates *g, const char *name, struct error *e)
{
	struct gate *gate = gates_find(g, name);

	if (!gate)
		return error_set(e, -ENOENT, "no-such-gate",
				 "gate %s: there is none (sagate show gates)", name);
	log_info("gate %s detached from %s", name, gate->cgroup);
	drop(g, gate);
	return 0;
}

void gates_reload_begin(struct gates *g)
{
	struct gate *gate;

	LL_FOREACH(g->list, gate)
		gate->seen = false;
}

void gates_reload_end(struct gates *g)
{
	struct gate *gate, *next;

	LL_FOREACH_SAFE(g->list, gate, next)
	{
		if (gate->source != GATE_CONFIG || gate->seen)
			continue;
		log_info("gate %s detached from %s: no longer in the configuration", gate->name,
			 gate->cgroup);
		drop(g, gate);
	}
}

/* Detached links alone are no proof: see gate_watch(). */
static bool is_gone(const struct gate *gate)
{
	char path[PATH_MAX];

	return !gate_links_alive(gate) && cgroup_path(gate->cgroup_id, path, NULL) == -ENOENT;
}

static void check_one(struct gates *g, struct gate *gate)
{
	struct error e = {};

	if (gate->unadopted) {
		if (adopt(g, gate, &e) == -ENOENT)
			drop(g, gate);
		return;
	}
	if (gate->cgroup_id && is_gone(gate)) {
		log_notice("gate %s: its cgroup %s is gone", gate->name, gate->cgroup);
		gate_links_remove(g->bpf, gate);
		gate_probe_end(&gate->probe);
		gate->undone[0] = '\0';
		gate->cgroup_id = gate->settings.cgroup_id = 0;
		if (gate->source != GATE_CONFIG) {
			drop(g, gate);
			return;
		}
	}
	if (!gate->cgroup_id) {
		if (attach_cgroup(g, gate, &e))
			note_unattached(gate, &e);
	} else if (run_ended(gate)) {
		log_info("gate %s ended: its cgroup is empty", gate->name);
		drop(g, gate);
	}
}

void gates_check(struct gates *g)
{
	struct gate *gate, *next;

	LL_FOREACH_SAFE(g->list, gate, next)
	check_one(g, gate);
}

void gates_watch(struct gates *g, const struct gate_watcher *w)
{
	struct gate *gate;

	LL_FOREACH(g->list, gate)
		if (gate->cgroup_id)
			gate_watch(g->bpf, gate, w);
}
