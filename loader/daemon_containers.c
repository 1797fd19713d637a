// SPDX-License-Identifier: GPL-2.0-only
/*
 * Gates of containers whose own policies decide (spd=own): the network namespace of their processes
 * is a space for as long as such a gate is there. Which one it is, the processes in the gate's
 * cgroup tell: so it is found again by a daemon that adopts the gate.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "cgroup.h"
#include "cleanup.h"
#include "daemon_internal.h"
#include "log.h"
#include "netns.h"

struct container {
	struct container *next;
	char gate[GATE_NAME_MAX + 1];
	__u64 cgroup_id;
	int netns_fd;
	uint64_t netns; /* cookie */
};

static int find_netns(const struct gate *gate, struct container *c, struct error *e)
{
	_cleanup_close_ int cgroup = cgroup_open(gate->cgroup, e);
	char pid[16];
	int first;

	if (cgroup < 0)
		return cgroup;
	first = cgroup_first_pid(cgroup);
	if (first <= 0)
		return error_set(e, -ESRCH, "no-such-process",
				 "gate %s: no process in its cgroup that tells its network "
				 "namespace",
				 gate->name);
	snprintf(pid, sizeof(pid), "%d", first);
	c->netns_fd = netns_open(pid, e);
	return c->netns_fd < 0 ? c->netns_fd : netns_cookie(c->netns_fd, &c->netns, e);
}

static void container_free(struct container *c)
{
	cleanup_close(&c->netns_fd);
	free(c);
}

static struct container *find(struct daemon *d, __u64 cgroup_id)
{
	struct container *c;

	LL_SEARCH_SCALAR(d->containers, c, cgroup_id, cgroup_id);
	return c;
}

/* Its space: one that is there already, or one of its own. */
static int open_space(struct daemon *d, struct container *c, struct error *e)
{
	char path[64];

	if (daemon_space_of(d, c->netns))
		return 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", c->netns_fd);
	return daemon_open_container(d, c->gate, path, e);
}

static int add(struct daemon *d, const struct gate *gate, struct error *e)
{
	struct container *c = find(d, gate->cgroup_id);
	int err;

	if (c)
		return open_space(d, c, e);
	c = calloc(1, sizeof(*c));
	if (!c)
		return error_set(e, -ENOMEM, "no-memory", "no memory");
	c->netns_fd = -1;
	c->cgroup_id = gate->cgroup_id;
	snprintf(c->gate, sizeof(c->gate), "%s", gate->name);
	err = find_netns(gate, c, e);
	if (!err)
		err = open_space(d, c, e);
	if (err)
		container_free(c);
	else
		LL_PREPEND(d->containers, c);
	return err;
}

/*
 * The kernel's own sockets in a namespace that was made in the cgroup keep the gate's links alive
 * when the cgroup is gone, and we keep the namespace: one of the two has to end first.
 */
static bool has_ended(const struct gate *gate)
{
	char path[PATH_MAX];

	return cgroup_path(gate->cgroup_id, path, NULL) == -ENOENT;
}

static bool wants_space(const struct gate *gate)
{
	return gate && gate->cgroup_id && gate->settings.own_space && !has_ended(gate);
}

/* The space of a namespace that no gate wants any more. */
static void forget(struct daemon *d, struct container *c)
{
	struct container *other;
	struct space *s = daemon_space_of(d, c->netns);

	LL_DELETE(d->containers, c);
	LL_SEARCH_SCALAR(d->containers, other, netns, c->netns);
	if (s && s->container && !other)
		daemon_close_container(d, s);
	container_free(c);
}

static void forget_unwanted(struct daemon *d)
{
	struct container *c, *next;

	LL_FOREACH_SAFE(d->containers, c, next)
	if (!wants_space(gates_of_cgroup(d->gates, c->cgroup_id)))
		forget(d, c);
}

void daemon_containers_check(struct daemon *d)
{
	struct gate *gate;
	struct error e;

	forget_unwanted(d);
	LL_FOREACH(gates_first(d->gates), gate)
		if (wants_space(gate) && add(d, gate, &e))
			log_debug("gate %s: its flows are refused (no-space): %s", gate->name,
				  e.message);
}

static bool may_have(const struct gate *gate, const char *id)
{
	return !strcmp(gate->container, id) ||
	       (gate->source == GATE_COMMAND && !gate->unadopted && has_ended(gate));
}

int daemon_attach_container(struct daemon *d, const char *name, const char *cgroup, const char *id,
			    struct gate_settings *settings, struct error *e)
{
	struct gate *gate = gates_find(d->gates, name);
	int err;

	if (!id[0] || strlen(id) > GATE_CONTAINER_MAX)
		return error_set(e, -EINVAL, "bad-request",
				 "attach: a container's id has 1 to %d bytes", GATE_CONTAINER_MAX);
	if (gate && !may_have(gate, id))
		return error_set(e, -EEXIST, "gate-exists",
				 "gate %s is there already, for %.200s: give this one another name "
				 "(annotation org.sagate.gate)",
				 name, gate->cgroup);
	settings->own_space = 1; /* with spd=host for its routes */
	err = gates_attach(d->gates, name, cgroup, GATE_COMMAND, settings, e);
	if (err)
		return err;
	gate = gates_find(d->gates, name);
	snprintf(gate->container, sizeof(gate->container), "%s", id);
	err = add(d, gate, e);
	if (err)
		gates_detach(d->gates, name, NULL);
	return err;
}

bool daemon_container_space(struct daemon *d, const char *name)
{
	return wants_space(gates_find(d->gates, name));
}

json_t *daemon_detach_container(struct daemon *d, const char *id)
{
	struct gate *gate, *next;
	json_t *names = json_array();

	LL_FOREACH_SAFE(gates_first(d->gates), gate, next)
	if (!strcmp(gate->container, id)) {
		json_array_append_new(names, json_string(gate->name));
		gates_detach(d->gates, gate->name, NULL);
	}
	daemon_gates_changed(d);
	forget_unwanted(d);
	return names;
}

void daemon_containers_stop(struct daemon *d)
{
	struct container *c, *next;

	LL_FOREACH_SAFE(d->containers, c, next)
	container_free(c);
}
