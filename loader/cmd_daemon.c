// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "cmd.h"
#include "config.h"
#include "daemon.h"
#include "log.h"
#include "rooms.h"

/* -s is for a second daemon beside the configured one: its own socket. */
static int set_socket(struct config *config, const char *path, struct error *e)
{
	char *copy = strdup(path);

	if (!copy)
		return error_set(e, -ENOMEM, "no-memory", "no memory");
	free(config->control);
	config->control = copy;
	return 0;
}

static int run_daemon(struct cli *cli)
{
	_cleanup_(config_free) struct config config = {};
	size_t woken;
	const char *path = cli_value(cli, "-c");
	struct error e = {};

	if (cli_value(cli, "--wake")) {
		woken = rooms_sweep();
		if (woken)
			log_notice("%zu waiting rooms were left: their threads go on", woken);
		return CLI_DONE;
	}
	if (config_load(path, &config, &e) < 0 ||
	    (cli->socket && set_socket(&config, cli->socket, &e) < 0))
		return cli_error(cli, &e);
	log_set_level(config.log_level);
	if (daemon_run(&config, path, &e) < 0)
		return cli_error(cli, &e);
	return CLI_DONE;
}

static const struct cli_option options[] = {
	{"-c", "FILE", false, "the configuration; default /etc/sagate/sagate.conf, if it is there"},
	{"--wake", NULL, false,
	 "only wakes the threads that a killed daemon left asleep, and ends"},
	{},
};

const struct command command_daemon = {
	.name = "daemon",
	.args = "",
	.summary = "Runs the daemon in the foreground",
	.options = options,
	.run = run_daemon,
};
