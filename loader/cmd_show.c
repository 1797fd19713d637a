// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "cmd.h"
#include "json_util.h"
#include "render.h"

static int run_show(struct cli *cli)
{
	_cleanup_json_ json_t *list = NULL;
	const char *what = cli->args[0];
	json_t *args;

	if (!render_list(what, NULL))
		return cli_usage(cli, "show %s: expected one of %s", what, render_lists());
	args = json_pack("{s:s,s:s?}", "what", what, "space", cli_value(cli, "--space"));
	if (!args)
		return cli_usage(cli, "the name of the space is no UTF-8 text");
	if (cli_call(cli, "show", args, &list) != CLI_DONE)
		return CLI_ERROR;
	if (cli->json)
		return cli_print(list);
	render_list(what, list);
	return CLI_DONE;
}

static const struct cli_option options[] = {
	{"--space", "NAME", false, "only of this space"},
	{},
};

const struct command command_show = {
	.name = "show",
	.args = "gates|spaces|spd|sad|requirements|negotiations",
	.summary = "Lists what the daemon knows",
	.words = "gates spaces spd sad requirements negotiations",
	.options = options,
	.min_args = 1,
	.max_args = 1,
	.json = true,
	.run = run_show,
};
