// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>

#include "cmd.h"
#include "json_util.h"
#include "render.h"

/* Done when the daemon has the new configuration, or has said what is wrong with it. */
static int run_reload(struct cli *cli)
{
	_cleanup_json_ json_t *result = NULL;

	if (cli_call(cli, "reload", NULL, &result) != CLI_DONE)
		return CLI_ERROR;
	if (cli->json)
		return cli_print(result);
	render_word(stdout, json_get_text(result, "config") ?: "?", 0);
	printf(": reloaded\n");
	render_problems(result);
	return CLI_DONE;
}

const struct command command_reload = {
	.name = "reload",
	.args = "",
	.summary = "Reads the configuration anew; one with an error is not taken",
	.json = true,
	.run = run_reload,
};
