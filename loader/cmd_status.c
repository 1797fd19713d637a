// SPDX-License-Identifier: GPL-2.0-only
#include "cmd.h"
#include "json_util.h"
#include "render.h"

static int run_status(struct cli *cli)
{
	_cleanup_json_ json_t *status = NULL;
	bool metrics = cli_value(cli, "--metrics");

	if (metrics && cli->json)
		return cli_usage(cli, "--metrics and --json are two forms: choose one");
	if (cli_call(cli, "status", NULL, &status) != CLI_DONE)
		return CLI_ERROR;
	if (cli->json)
		return cli_print(status);
	if (metrics)
		render_metrics(status);
	else
		render_status(status);
	return CLI_DONE;
}

static const struct cli_option options[] = {
	{"--metrics", NULL, false, "as Prometheus text"},
	{},
};

const struct command command_status = {
	.name = "status",
	.args = "",
	.summary = "Shows whether all is well, with spaces, gates and counters",
	.options = options,
	.json = true,
	.run = run_status,
};
