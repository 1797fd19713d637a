// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "cmd.h"
#include "config.h"
#include "json_util.h"

#define CMD_EXTERN(n) extern const struct command command_##n;
#define CMD_ENTRY(n)  &command_##n,

SAGATE_COMMANDS(CMD_EXTERN)

const struct command *const cli_commands[] = {SAGATE_COMMANDS(CMD_ENTRY) NULL};

const struct command *cli_find(const char *name)
{
	for (size_t i = 0; cli_commands[i]; i++)
		if (!strcmp(cli_commands[i]->name, name))
			return cli_commands[i];
	return NULL;
}

static int report(const struct cli *cli, const struct error *e, int status)
{
	_cleanup_json_ json_t *o = NULL;

	if (cli->json) {
		o = json_error_object(e);
		cli_print(o);
		return status;
	}
	fprintf(stderr, "sagate: %s\n", e->message);
	if (status == CLI_USAGE && cli->command)
		fprintf(stderr, "see: sagate help %s\n", cli->command->name);
	else if (status == CLI_USAGE)
		fprintf(stderr, "see: sagate help\n");
	return status;
}

int cli_error(const struct cli *cli, const struct error *e)
{
	return report(cli, e, CLI_ERROR);
}

int cli_usage_error(const struct cli *cli, const struct error *e)
{
	return report(cli, e, CLI_USAGE);
}

int cli_usage(const struct cli *cli, const char *fmt, ...)
{
	struct error e = {.code = "usage"};
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(e.message, sizeof(e.message), fmt, ap);
	va_end(ap);
	return report(cli, &e, CLI_USAGE);
}

int cli_call(const struct cli *cli, const char *command, json_t *args, json_t **result)
{
	struct error e = {};

	if (client_call(cli->socket, command, args, result, &e) < 0)
		return cli_error(cli, &e);
	return CLI_DONE;
}

int cli_print(const json_t *j)
{
	_cleanup_free_ char *line = j ? json_line(j, NULL) : NULL;

	if (!line) {
		fprintf(stderr, "sagate: no memory for the answer\n");
		return CLI_ERROR;
	}
	return fputs(line, stdout) == EOF || fflush(stdout) == EOF ? CLI_ERROR : CLI_DONE;
}

static int add_setting(const struct cli *cli, json_t *settings, const char *key, const char *value)
{
	struct gate_config scratch;
	struct error e;

	config_settings_init(&scratch);
	if (config_settings_set(&scratch, key, value, &e) < 0)
		return cli_usage_error(cli, &e);
	if (json_object_get(settings, key))
		return cli_usage(cli, "%s is given twice", key);
	json_object_set_new(settings, key, json_string(value));
	return CLI_DONE;
}

static int add_pair(const struct cli *cli, json_t *settings, const char *pair)
{
	const char *equals = strchr(pair, '=');
	char key[64];

	if (!equals || equals == pair || (size_t)(equals - pair) >= sizeof(key))
		return cli_usage(cli, "--set %s: expected KEY=VALUE", pair);
	snprintf(key, sizeof(key), "%.*s", (int)(equals - pair), pair);
	return add_setting(cli, settings, key, equals + 1);
}

json_t *cli_settings(const struct cli *cli)
{
	_cleanup_json_ json_t *settings = json_object();
	int r = CLI_DONE;

	for (size_t i = 0; i < cli->given_count && r == CLI_DONE; i++) {
		if (!strcmp(cli->given[i].option->name, "--mode"))
			r = add_setting(cli, settings, "mode", cli->given[i].value);
		else if (!strcmp(cli->given[i].option->name, "--set"))
			r = add_pair(cli, settings, cli->given[i].value);
	}
	return r == CLI_DONE ? TAKE_PTR(settings) : NULL;
}
