// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>

#include "client.h"
#include "cmd.h"
#include "json_util.h"
#include "render.h"

static int on_event(void *ctx, const json_t *event)
{
	const struct cli *cli = ctx;

	if (cli->json)
		return cli_print(event);
	render_event(event);
	return fflush(stdout) == EOF ? CLI_ERROR : 0;
}

/* Ends when it is interrupted, or with the daemon. */
static int run_watch(struct cli *cli)
{
	struct error e = {};
	int r = client_watch(cli->socket, NULL, on_event, cli, &e);

	return r < 0 ? cli_error(cli, &e) : r;
}

const struct command command_watch = {
	.name = "watch",
	.args = "",
	.summary = "Prints events as they happen, one a line",
	.json = true,
	.run = run_watch,
};
