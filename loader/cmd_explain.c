// SPDX-License-Identifier: GPL-2.0-only
#include "cmd_flow.h"
#include "json_util.h"
#include "render.h"

static int run_explain(struct cli *cli)
{
	_cleanup_json_ json_t *args = json_object(), *answer = NULL;
	int r = cli_flow(cli, args);

	if (r != CLI_DONE)
		return r;
	if (cli_call(cli, "explain", TAKE_PTR(args), &answer) != CLI_DONE)
		return CLI_ERROR;
	if (!cli->json)
		render_explain(answer, cli_value(cli, "--verbose"));
	else if (cli_print(answer) != CLI_DONE)
		return CLI_ERROR;
	return cli_flow_status(answer);
}

static const struct cli_option options[] = {
	CLI_FLOW_OPTIONS,
	{"--verbose", NULL, false, "what was not taken, too, when it would pass"},
	{},
};

const struct command command_explain = {
	.name = "explain",
	.args = CLI_FLOW_ARGS,
	.summary = "Tells what would happen to a flow, and why",
	.words = CLI_FLOW_WORDS,
	.options = options,
	.min_args = 2,
	.max_args = 2,
	.json = true,
	.run = run_explain,
};
