// SPDX-License-Identifier: GPL-2.0-only
/*
 * The daemon's spaces: those of the configuration are opened when their network namespace is
 * there, and closed when it is not the same any more: looked at once a second. Until a space is
 * mirrored its flows are refused (no-space).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <utlist.h>

#include "cleanup.h"
#include "daemon_internal.h"
#include "log.h"
#include "netns.h"
#include "space_default.h"
#include "space_queue.h"

struct space *daemon_space(struct daemon *d, const char *name)
{
	struct space *s;

	LL_FOREACH(d->spaces, s)
		if (!strcmp(s->name, name))
			return s;
	return NULL;
}

struct space *daemon_space_of(struct daemon *d, uint64_t netns)
{
	struct space *s;

	LL_FOREACH(d->spaces, s)
		if (s->netns == netns)
			return s;
	return NULL;
}

static struct space_config space_config_of(const struct config *config,
					   const struct config_space *in)
{
	return (struct space_config){
		.name = in->name,
		.netns = in->netns,
		.vici = in->vici,
		.require_children = config->require_children,
		.default_block = in->default_block,
	};
}

/* One network namespace is one space, however its sections write it. */
static int check_free(struct daemon *d, const struct config_space *in, struct error *e)
{
	_cleanup_close_ int fd = netns_open(in->netns, e);
	const struct space *other;
	uint64_t cookie;
	int err = fd < 0 ? fd : netns_cookie(fd, &cookie, e);

	if (err)
		return err;
	other = daemon_space_of(d, cookie);
	if (!other)
		return 0;
	return error_set(e, -EBUSY, "space-taken",
			 "netns=%.150s is the network namespace of the space \"%s\" already: one "
			 "section is enough",
			 in->netns, other->name);
}

static int open_space(struct daemon *d, const struct config_space *in, struct error *e)
{
	struct space_config config = space_config_of(d->config, in);
	struct space *s;
	int err = in->netns ? check_free(d, in, e) : 0;

	if (!err)
		err = space_new(d->event, d->bpf, &config, d->space_ops, d, &s, e);
	if (err)
		return err;
	LL_APPEND(d->spaces, s);
	requirements_from_config(s->requirements, d->config, s->name);
	return 0;
}

int daemon_open_container(struct daemon *d, const char *name, const char *netns, struct error *e)
{
	const struct config_space in = {.name = (char *)name, .netns = (char *)netns};
	int err;

	if (daemon_space(d, name))
		return error_set(e, -EEXIST, "space-taken",
				 "gate %s: a space of that name is there already: give the gate "
				 "another name",
				 name);
	err = open_space(d, &in, e);
	if (!err)
		daemon_space(d, name)->container = true;
	return err;
}

/* Opens what is not open. What cannot be keeps its error, which is logged when it is another. */
static void open_spaces(struct daemon *d)
{
	for (size_t i = 0; i < d->config->space_count; i++) {
		const struct config_space *in = &d->config->spaces[i];
		const struct space *open = daemon_space(d, in->name);
		struct error e = {};
		int err;

		if (open && !open->container)
			continue;
		err = open ? error_set(&e, -EEXIST, "space-taken",
				       "a container's gate has the same name, and its space")
			   : open_space(d, in, &e);
		if (err && strcmp(e.message, d->space_errors[i].message)) {
			if (space_error_absent(&e))
				log_info("space %s is not there yet, its flows are refused: %s",
					 in->name, e.message);
			else
				log_error("space %s is not mirrored, its flows are refused: %s",
					  in->name, e.message);
		}
		d->space_errors[i] = e;
	}
}

static const struct config_space *configured(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->space_count; i++)
		if (!strcmp(config->spaces[i].name, name))
			return &config->spaces[i];
	return NULL;
}

static bool same_netns(const struct space *s, const struct config_space *in)
{
	return !strcmp(s->netns_text, in->netns ? in->netns : "");
}

/* A process that serves no space any more is not exempt any more. */
static void forget_ike_daemon(struct daemon *d, pid_t pid)
{
	const struct space *s;

	if (!pid)
		return;
	LL_FOREACH(d->spaces, s)
		if (s->ike_pid == pid)
			return;
	bpf_ike_daemon_del(d->bpf, pid);
}

static void close_space(struct daemon *d, struct space *s)
{
	pid_t pid = s->ike_pid;
	__u32 slot = s->slot;

	negotiations_forget(d->negotiations, s);
	daemon_doctor_forget(d, s);
	daemon_losses_forget(d, s);
	space_queue(s, false);
	LL_DELETE(d->spaces, s);
	space_free(s);
	bpf_space_close(d->bpf, slot);
	forget_ike_daemon(d, pid);
}

void daemon_close_container(struct daemon *d, struct space *s)
{
	log_info("space %s goes with its container", s->name);
	close_space(d, s);
}

void daemon_reload_spaces(struct daemon *d)
{
	struct space *s, *next;

	memset(d->space_errors, 0, sizeof(d->space_errors));
	LL_FOREACH_SAFE(d->spaces, s, next)
	{
		const struct config_space *in = configured(d->config, s->name);
		struct space_config config;
		struct error e = {};

		if (s->container)
			continue;
		if (!in || !same_netns(s, in)) {
			log_info("space %s is forgotten", s->name);
			close_space(d, s);
			continue;
		}
		config = space_config_of(d->config, in);
		if (space_reconfigure(s, &config, &e))
			log_error("space %s: %s", s->name, e.message);
	}
	LL_FOREACH(d->spaces, s)
		requirements_from_config(s->requirements, d->config, s->name);
	open_spaces(d);
}

void daemon_keep_default(struct daemon *d, struct space *s)
{
	char text[16];

	if (space_default_keep(s) != SPACE_DEFAULT_RESTORED)
		return;
	s->default_restored++;
	log_warning("space %s: somebody has let the kernel's default policy pass what no policy is "
		    "for: it is block again (%s)",
		    s->name, space_default_text(s->default_block, text));
	daemon_publish(d, json_pack("{s:s s:s s:s}", "event", "default", "space", s->name,
				    "restored", text));
}

void daemon_check_spaces(struct daemon *d)
{
	struct space *s, *next;

	LL_FOREACH_SAFE(d->spaces, s, next)
	{
		if (space_here(s)) {
			space_second(s);
			daemon_keep_default(d, s);
			continue;
		}
		log_info("space %s: %s is no longer the network namespace that it was: its flows "
			 "are refused",
			 s->name, s->netns_text);
		daemon_publish(d, json_pack("{s:s s:s s:b}", "event", "sync", "space", s->name,
					    "synced", 0));
		close_space(d, s);
	}
	open_spaces(d);
}

int daemon_open_spaces(struct daemon *d, const struct space_ops *ops, struct error *e)
{
	int err;

	d->space_ops = ops;
	err = open_space(d, &d->config->spaces[0], e); /* the host: without it there is no daemon */
	if (!err)
		open_spaces(d);
	return err;
}

json_t *daemon_spaces_json(struct daemon *d)
{
	json_t *list = json_array();
	struct space *s;

	LL_FOREACH(d->spaces, s)
		json_array_append_new(list, space_to_json(s));
	for (size_t i = 0; i < d->config->space_count; i++) {
		const struct config_space *in = &d->config->spaces[i];

		if (d->space_errors[i].message[0])
			json_array_append_new(list, space_closed_json(in->name, in->netns, in->vici,
								      &d->space_errors[i]));
	}
	return list;
}
