// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "cmd.h"
#include "json_util.h"
#include "render.h"

/* Lists that a space has one of its own of. */
static bool is_of_space(const char *what)
{
	return !strcmp(what, "spd") || !strcmp(what, "sad") || !strcmp(what, "requirements");
}

static int run_show(struct cli *cli)
{
	_cleanup_json_ json_t *list = NULL;
	const char *what = cli->args[0];
	json_t *args;

	if (!render_list(what, NULL))
		return cli_usage(cli, "show %s: expected one of %s", what, render_lists());
	if (cli_value(cli, "--space") && !is_of_space(what))
		return cli_usage(cli, "show %s: --space goes with spd, sad and requirements only",
				 what);
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
	{"--space", "NAME", false, "of spd, sad, requirements: only this space's"},
	{},
};

const struct command command_show = {
	.name = "show",
	.args = "gates|spaces|spd|sad|requirements|negotiations|holds",
	.summary = "Lists what the daemon knows",
	.words = "gates spaces spd sad requirements negotiations holds",
	.options = options,
	.min_args = 1,
	.max_args = 1,
	.json = true,
	.run = run_show,
};
