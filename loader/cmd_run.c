// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "cmd.h"
#include "cmd_run_cgroup.h"
#include "cmd_run_child.h"
#include "config.h"
#include "json_util.h"

/* As shells have it. */
enum { NOT_EXECUTABLE = 126, NOT_FOUND = 127 };

struct run {
	struct cli *cli;
	char name[CONFIG_NAME_MAX + 1];
	struct run_cgroup cgroup;
	struct run_child child;
};

/* "transient": the daemon removes gate and cgroup once the cgroup is empty. */
static int attach(struct run *r, json_t *settings)
{
	_cleanup_json_ json_t *gate = NULL;
	json_t *args = json_pack("{s:s,s:s,s:O,s:b}", "cgroup", r->cgroup.path, "name", r->name,
				 "settings", settings, "transient", 1);
	struct error e = {};

	if (!args)
		return cli_usage(r->cli, "the path of the cgroup is no UTF-8 text");
	if (client_call(r->cli->socket, "attach", args, &gate, &e) == 0)
		return CLI_DONE;
	fprintf(stderr, "sagate: %s; nothing was run\n", e.message);
	return CLI_ERROR;
}

/*
 * The cgroup first: that fails while processes live in it, and then the gate stays for them. When
 * the cgroup is gone nothing can enter it any more.
 */
static void clean_up(struct run *r)
{
	_cleanup_json_ json_t *result = NULL;
	struct error e = {};
	int err = run_cgroup_remove(&r->cgroup);

	if (err == -EBUSY)
		return;
	if (err < 0)
		fprintf(stderr, "sagate: %s cannot be removed: %s\n", r->cgroup.dir,
			strerror(-err));
	err = client_call(r->cli->socket, "detach", json_pack("{s:s}", "name", r->name), &result,
			  &e);
	/* One that the daemon has removed by itself is no news. */
	if (err < 0 && err != -EREMOTEIO)
		fprintf(stderr, "sagate: gate %s is left to the next daemon: %s\n", r->name,
			e.message);
}

static int not_started(const char *program, int err, const struct error *e)
{
	fprintf(stderr, "sagate: %s: %s\n", program, e->message);
	return err == -ENOENT ? NOT_FOUND : NOT_EXECUTABLE;
}

/* In its cgroup; the gate is not there yet. */
static int run_gated(struct run *r, json_t *settings)
{
	struct error e = {};
	int err;

	err = run_child_fork(&r->child, r->cgroup.procs, r->cli->args, &e);
	if (err < 0) {
		run_cgroup_remove(&r->cgroup);
		return cli_error(r->cli, &e);
	}
	if (attach(r, settings) != CLI_DONE) {
		run_child_cancel(&r->child);
		run_cgroup_remove(&r->cgroup);
		return CLI_ERROR;
	}
	err = run_child_go(&r->child, &e);
	err = err < 0 ? not_started(r->cli->args[0], err, &e) : run_child_wait(&r->child);
	clean_up(r);
	return err;
}

static int run_run(struct cli *cli)
{
	_cleanup_json_ json_t *settings = cli_settings(cli);
	struct run r = {.cli = cli};
	const char *name = cli_value(cli, "--name");
	struct error e = {};

	if (!settings)
		return CLI_USAGE;
	if (name && !config_name_ok(name))
		return cli_usage(cli,
				 "--name %s: expected 1 to %d of A-Z a-z 0-9 . _ -, without a dot "
				 "or '-' in front",
				 name, CONFIG_NAME_MAX);
	if (name)
		snprintf(r.name, sizeof(r.name), "%s", name);
	else
		snprintf(r.name, sizeof(r.name), "run-%d", getpid());
	if (run_cgroup_make(&r.cgroup, &e) < 0)
		return cli_error(cli, &e);
	return run_gated(&r, settings);
}

static const struct cli_option options[] = {
	{"--name", "NAME", false, "the gate's name; default: run-PID"},
	CLI_SETTINGS_OPTIONS,
	{},
};

const struct command command_run = {
	.name = "run",
	.args = "COMMAND…",
	.summary = "Runs one command in a gate of its own, and ends with its exit status",
	.options = options,
	.min_args = 1,
	.max_args = INT_MAX,
	.takes_all = true,
	.run = run_run,
};
