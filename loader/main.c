// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>

#include "cmd.h"

static bool has(int argc, char **argv, const char *word)
{
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], word))
			return true;
	return false;
}

/* -s PATH in front of the command; returns where the command stands. */
static int globals(struct cli *cli, int argc, char **argv)
{
	int i = 1;

	while (i + 1 < argc && !strcmp(argv[i], "-s") && !cli->socket) {
		cli->socket = argv[i + 1];
		i += 2;
	}
	return i;
}

int main(int argc, char **argv)
{
	struct cli cli = {};
	const char *name;
	int i, r;

	i = globals(&cli, argc, argv);
	if (i >= argc) {
		r = cli_usage(&cli, "no command");
		return r;
	}
	name = argv[i];
	if (!strcmp(name, "--version"))
		name = "version";
	else if (!strcmp(name, "--help") || !strcmp(name, "-h"))
		name = "help";
	cli.command = cli_find(name);
	if (!cli.command) {
		cli.json = has(argc, argv, "--json");
		return cli_usage(&cli, "%s: no such command", name);
	}
	r = cli_parse(&cli, argc, argv, i + 1);
	if (r != CLI_DONE)
		return r;
	if (cli_value(&cli, "--help") || cli_value(&cli, "-h")) {
		cli_print_usage(cli.command);
		return CLI_DONE;
	}
	r = cli.command->run(&cli);
	if (fflush(stdout) == EOF && r == CLI_DONE)
		r = CLI_ERROR;
	return r;
}
