/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The commands of `sagate`: one table, from which dispatch, usage, help and completion come. A
 * command is one file with one struct command. It sees the control client, the JSON writer and the
 * renderers; of the daemon it knows only what the control socket says.
 */
#ifndef SAGATE_CMD_H
#define SAGATE_CMD_H

#include <stdbool.h>
#include <stddef.h>
#include <jansson.h>

#include "error.h"

/* X(symbol): struct command command_<symbol>, in the order help shows them. */
#define SAGATE_COMMANDS(X)                                                                         \
	X(daemon)                                                                                  \
	X(attach)                                                                                  \
	X(detach)                                                                                  \
	X(reload)                                                                                  \
	X(run)                                                                                     \
	X(status)                                                                                  \
	X(show)                                                                                    \
	X(explain)                                                                                 \
	X(wait)                                                                                    \
	X(watch)                                                                                   \
	X(oci_hook)                                                                                \
	X(doctor)                                                                                  \
	X(version)                                                                                 \
	X(help)

enum cli_exit { CLI_DONE, CLI_ERROR, CLI_USAGE, CLI_WAIT, CLI_DENY };

struct cli_option {
	const char *name;  /* "--name", or "-c" */
	const char *value; /* what it takes, for help; NULL: nothing */
	bool repeat;	   /* may be given more than once */
	const char *help;
};

struct cli;

struct command {
	const char *name;
	const char *args; /* the positional ones, for usage */
	const char *summary;
	const char *words;		  /* positional words that completion offers; NULL: none */
	const struct cli_option *options; /* ends with name NULL; NULL: none */
	size_t min_args, max_args;
	bool json;	/* takes --json */
	bool takes_all; /* options end at the first positional one: a command line follows */
	int (*run)(struct cli *cli); /* an exit status */
};

#define CLI_OPTIONS_MAX 64

/* One command line, taken apart. Borrows from argv. */
struct cli {
	const struct command *command;
	const char *socket; /* -s, NULL: the default */
	bool json;
	char **args; /* the positional ones, NULL-terminated */
	size_t arg_count;
	struct {
		const struct cli_option *option;
		const char *value;
	} given[CLI_OPTIONS_MAX];
	size_t given_count;
};

extern const struct command *const cli_commands[]; /* ends with NULL */

/* NULL when there is none of exactly that name. */
const struct command *cli_find(const char *name);

/* Takes argv[first…] apart for cli->command; argv is permuted. CLI_DONE, or CLI_USAGE (reported).
 */
int cli_parse(struct cli *cli, int argc, char **argv, int first);

/* The value of an option, "" when it takes none, NULL when it was not given. */
const char *cli_value(const struct cli *cli, const char *option);

/* Report and return CLI_ERROR or CLI_USAGE: as JSON on stdout with --json, else on stderr. */
int cli_error(const struct cli *cli, const struct error *e);
int cli_usage(const struct cli *cli, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int cli_usage_error(const struct cli *cli, const struct error *e);

/*
 * Asks the daemon; takes `args`. CLI_DONE and a new reference in *result, or CLI_ERROR (reported).
 */
int cli_call(const struct cli *cli, const char *command, json_t *args, json_t **result);

/* Prints one JSON document; CLI_DONE or CLI_ERROR. */
int cli_print(const json_t *j);

/* {"mode":…} from --mode and --set; a new reference, NULL when one was refused (reported). */
json_t *cli_settings(const struct cli *cli);

/* The two options that attach and run share. */
#define CLI_SETTINGS_OPTIONS                                                                       \
	{"--mode", "MODE", false, "audit (let pass and count), reject (refuse) or hold (wait)"},   \
	{                                                                                          \
		"--set", "KEY=VALUE", true, "another setting of [defaults] in sagate.conf(5)"      \
	}

void cli_print_usage(const struct command *c);
void cli_print_help(void);

#endif
