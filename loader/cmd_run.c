// SPDX-License-Identifier: GPL-2.0-only
/*
 * run: the command is executed by this very process, once that stands in a gate. So there is
 * nothing between it and whoever started it: signals, job control and exit status are its own. What
 * is left to do at its end, the daemon does (gates.h, GATE_RUN).
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "client.h"
#include "cmd.h"
#include "cmd_run_cgroup.h"
#include "config.h"
#include "json_util.h"

/* As shells have it. */
enum { NOT_EXECUTABLE = 126, NOT_FOUND = 127 };

enum { NAMES_MAX = 16 };

struct run {
	struct cli *cli;
	const char *given; /* --name; NULL: not given */
	char name[CONFIG_NAME_MAX + 1];
	struct run_cgroup cgroup;
	uint64_t mask; /* of signals, as it was before */
};

/* libc's own leaves out the two signals that its threads use. */
static void set_mask(uint64_t set, uint64_t *old)
{
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &set, old, sizeof(set));
}

/* "transient": the daemon removes gate and cgroup once the cgroup is empty. */
static int attach_as(struct run *r, json_t *settings, struct error *e)
{
	_cleanup_json_ json_t *gate = NULL;
	json_t *args = json_pack("{s:s,s:s,s:O,s:b}", "cgroup", r->cgroup.path, "name", r->name,
				 "settings", settings, "transient", 1);

	if (!args)
		return error_set(e, -EINVAL, "bad-request",
				 "the path of the cgroup is no UTF-8 text");
	return client_call(r->cli->socket, "attach", args, &gate, e);
}

/*
 * run-PID. A command of ours that becomes `sagate run` in its turn has our PID, and one in another
 * PID namespace may have: they are run-PID-2 and so on.
 */
static int attach(struct run *r, json_t *settings)
{
	struct error e = {};
	int err;

	for (int n = 1;; n++) {
		if (r->given)
			snprintf(r->name, sizeof(r->name), "%s", r->given);
		else if (n == 1)
			snprintf(r->name, sizeof(r->name), "run-%d", getpid());
		else
			snprintf(r->name, sizeof(r->name), "run-%d-%d", getpid(), n);
		err = attach_as(r, settings, &e);
		if (!err)
			return CLI_DONE;
		if (r->given || n == NAMES_MAX || strcmp(e.code, "gate-exists"))
			break;
	}
	fprintf(stderr, "sagate: %s; nothing was run\n", e.message);
	return CLI_ERROR;
}

/* Nothing was run. The cgroup first: when it is gone nothing can enter it any more. */
static void undo(struct run *r, bool attached)
{
	_cleanup_json_ json_t *result = NULL;
	struct error e = {};
	int err = run_cgroup_remove(&r->cgroup);

	if (err < 0)
		fprintf(stderr, "sagate: %s cannot be removed: %s\n", r->cgroup.dir,
			strerror(-err));
	if (!attached)
		return;
	err = client_call(r->cli->socket, "detach", json_pack("{s:s}", "name", r->name), &result,
			  &e);
	/* One that the daemon has removed by itself is no news. */
	if (err < 0 && err != -EREMOTEIO)
		fprintf(stderr, "sagate: gate %s is left to the next daemon: %s\n", r->name,
			e.message);
}

static int execute(struct run *r)
{
	int err;

	/* one that came meanwhile is taken now, as the command would have */
	set_mask(r->mask, NULL);
	execvp(r->cli->args[0], r->cli->args);
	err = errno;
	fprintf(stderr, "sagate: %s: %s\n", r->cli->args[0], strerror(err));
	undo(r, true);
	return err == ENOENT ? NOT_FOUND : NOT_EXECUTABLE;
}

/*
 * Into the cgroup first: the daemon would remove an empty one. Signals wait meanwhile, so that none
 * leaves a cgroup behind that no daemon knows of.
 */
static int run_gated(struct run *r, json_t *settings)
{
	struct error e = {};
	int err;

	set_mask(~0ULL, &r->mask);
	if (run_cgroup_enter(&r->cgroup, &e) < 0)
		err = cli_error(r->cli, &e);
	else
		err = attach(r, settings);
	if (err == CLI_DONE)
		return execute(r);
	undo(r, false);
	set_mask(r->mask, NULL);
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
	r.given = name;
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
	.summary = "Becomes one command, in a gate of its own",
	.options = options,
	.min_args = 1,
	.max_args = INT_MAX,
	.takes_all = true,
	.run = run_run,
};
