// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>

#include "cmd.h"
#include "json_util.h"
#include "render.h"

static int run_detach(struct cli *cli)
{
	_cleanup_json_ json_t *result = NULL;
	json_t *args = json_pack("{s:s}", "name", cli->args[0]);

	if (!args)
		return cli_usage(cli, "the name of the gate is no UTF-8 text");
	if (cli_call(cli, "detach", args, &result) != CLI_DONE)
		return CLI_ERROR;
	if (cli->json)
		return cli_print(result);
	printf("gate ");
	render_word(stdout, cli->args[0], 0);
	printf(": detached\n");
	return CLI_DONE;
}

const struct command command_detach = {
	.name = "detach",
	.args = "NAME",
	.summary = "Takes a gate off its cgroup",
	.min_args = 1,
	.max_args = 1,
	.json = true,
	.run = run_detach,
};
