// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "cmd.h"
#include "control_listen.h"

/*
 * Options have one exact name each: getopt_long would also take their beginnings, which would tie
 * scripts to names that do not exist yet.
 */
static const struct cli_option global[] = {
	{"-s", "PATH", false, "the daemon's control socket"},
	{"--json", NULL, true, "one JSON document"},
	{"--help", NULL, true, "this text"},
	{"-h", NULL, true, "this text"},
	{},
};

/* Whether `arg` names the option; *value is set when it is "--name=value". */
static bool names(const struct cli_option *o, const char *arg, const char **value)
{
	size_t n = strlen(o->name);

	*value = NULL;
	if (strncmp(arg, o->name, n))
		return false;
	if (arg[n] == '=' && o->name[1] == '-')
		*value = arg + n + 1;
	return !arg[n] || *value;
}

static const struct cli_option *find(const struct cli_option *list, const char *arg,
				     const char **value)
{
	for (; list && list->name; list++)
		if (names(list, arg, value))
			return list;
	return NULL;
}

const char *cli_value(const struct cli *cli, const char *option)
{
	for (size_t i = 0; i < cli->given_count; i++)
		if (!strcmp(cli->given[i].option->name, option))
			return cli->given[i].value;
	return NULL;
}

static int take_option(struct cli *cli, const struct cli_option *o, const char *value)
{
	if (!strcmp(o->name, "-s")) {
		if (cli->socket)
			return cli_usage(cli, "-s is given twice");
		cli->socket = value;
		return CLI_DONE;
	}
	if (!strcmp(o->name, "--json")) {
		if (!cli->command->json)
			return cli_usage(cli, "%s takes no --json", cli->command->name);
		return CLI_DONE; /* taken by look_for_json() */
	}
	if (!o->repeat && cli_value(cli, o->name))
		return cli_usage(cli, "%s is given twice", o->name);
	if (cli->given_count == CLI_OPTIONS_MAX)
		return cli_usage(cli, "more than %d options", CLI_OPTIONS_MAX);
	cli->given[cli->given_count].option = o;
	cli->given[cli->given_count].value = value ? value : "";
	cli->given_count++;
	return CLI_DONE;
}

/* Takes argv[*i], and the value behind it when it has one. */
static int parse_option(struct cli *cli, int argc, char **argv, int *i)
{
	const char *value, *arg = argv[*i];
	const struct cli_option *o = find(cli->command->options, arg, &value);

	if (!o)
		o = find(global, arg, &value);
	if (!o)
		return cli_usage(cli, "%s: no such option of %s", arg, cli->command->name);
	if (!o->value && value)
		return cli_usage(cli, "%s takes no value", o->name);
	if (o->value && !value) {
		if (*i + 1 >= argc)
			return cli_usage(cli, "%s needs %s behind it", o->name, o->value);
		value = argv[++*i];
	}
	return take_option(cli, o, value);
}

/* Before all else: an error in the line itself is to be JSON too. */
static void look_for_json(struct cli *cli, int argc, char **argv, int first)
{
	for (int i = first; i < argc && strcmp(argv[i], "--"); i++)
		if (cli->command->json && !strcmp(argv[i], "--json"))
			cli->json = true;
}

/* Wherever -s stood, in front of the command too. */
static int check_socket(const struct cli *cli)
{
	struct sockaddr_un sa;
	struct error e;

	if (cli->socket && control_address(cli->socket, &sa, &e) < 0)
		return cli_usage_error(cli, &e);
	return CLI_DONE;
}

static int check_count(struct cli *cli)
{
	const struct command *c = cli->command;

	if (cli->given_count && (cli_value(cli, "--help") || cli_value(cli, "-h")))
		return CLI_DONE;
	if (cli->arg_count < c->min_args)
		return cli_usage(cli, "%s needs %s", c->name, c->args);
	if (cli->arg_count > c->max_args)
		return cli_usage(cli, "%s: one argument too many for %s", cli->args[c->max_args],
				 c->name);
	return check_socket(cli);
}

int cli_parse(struct cli *cli, int argc, char **argv, int first)
{
	bool options = true;
	int r, out = first;

	if (!cli->command->takes_all)
		look_for_json(cli, argc, argv, first);
	cli->args = argv + first;
	for (int i = first; i < argc; i++) {
		if (options && !strcmp(argv[i], "--")) {
			options = false;
		} else if (options && argv[i][0] == '-' && argv[i][1]) {
			r = parse_option(cli, argc, argv, &i);
			if (r != CLI_DONE)
				return r;
		} else {
			argv[out++] = argv[i];
			options = options && !cli->command->takes_all;
		}
	}
	argv[out] = NULL;
	cli->arg_count = out - first;
	return check_count(cli);
}
