// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>

#include "cmd.h"

void cli_print_usage(const struct command *c)
{
	const struct cli_option *o;
	char left[64];

	printf("usage: sagate [-s PATH] %s", c->name);
	for (o = c->options; o && o->name; o++)
		printf(" [%s%s%s]%s", o->name, o->value ? " " : "", o->value ? o->value : "",
		       o->repeat ? "…" : "");
	printf("%s%s%s%s\n\n%s.\n", c->json ? " [--json]" : "", c->takes_all ? " --" : "",
	       c->args[0] ? " " : "", c->args, c->summary);
	if (c->options || c->json)
		putchar('\n');
	for (o = c->options; o && o->name; o++) {
		snprintf(left, sizeof(left), "%s %s", o->name, o->value ? o->value : "");
		printf("  %-22s %s\n", left, o->help);
	}
	if (c->json)
		printf("  %-22s %s\n", "--json", "as JSON, errors too");
}

/* "a, b and c" */
static void print_without_json(void)
{
	size_t left = 0;

	for (size_t i = 0; cli_commands[i]; i++)
		left += !cli_commands[i]->json;
	for (size_t i = 0; cli_commands[i]; i++) {
		if (cli_commands[i]->json)
			continue;
		left--;
		printf("%s%s", cli_commands[i]->name, left > 1 ? ", " : left ? " and " : "");
	}
}

void cli_print_help(void)
{
	printf("usage: sagate [-s PATH] COMMAND …\n\n"
	       "No SA, no SYN: gates for hosts that use IPsec.\n\n");
	for (size_t i = 0; cli_commands[i]; i++)
		printf("  %-10s %s\n", cli_commands[i]->name, cli_commands[i]->summary);
	printf("\n  -s PATH    the daemon's control socket (default /run/sagate/control.sock)\n"
	       "  --json     as JSON, errors too (all but ");
	print_without_json();
	printf(")\n\n"
	       "`sagate help COMMAND` tells more; so do sagate(8) and sagate.conf(5).\n");
}

static void print_words(const struct command *c)
{
	printf("\t%s) words='%s", c->name, c->words ? c->words : "");
	for (const struct cli_option *o = c->options; o && o->name; o++)
		printf(" %s", o->name);
	printf("%s' ;;\n", c->json ? " --json" : "");
}

static int print_completion(void)
{
	printf("# bash completion for sagate, made by: sagate help --completion bash\n"
	       "_sagate() {\n"
	       "\tlocal cur=${COMP_WORDS[COMP_CWORD]} command= words= i=1\n"
	       "\twhile [[ $i -lt $COMP_CWORD ]]; do\n"
	       "\t\tcase ${COMP_WORDS[i]} in\n"
	       "\t\t-s) i=$((i + 2)) ;;\n"
	       "\t\t*) command=${COMP_WORDS[i]}; break ;;\n"
	       "\t\tesac\n"
	       "\tdone\n"
	       "\tcase $command in\n"
	       "\t'') words='-s");
	for (size_t i = 0; cli_commands[i]; i++)
		printf(" %s", cli_commands[i]->name);
	printf("' ;;\n");
	for (size_t i = 0; cli_commands[i]; i++)
		print_words(cli_commands[i]);
	printf("\tesac\n"
	       "\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
	       "}\n"
	       "complete -o default -F _sagate sagate\n");
	return CLI_DONE;
}

static int run_help(struct cli *cli)
{
	const char *shell = cli_value(cli, "--completion");
	const struct command *c;

	if (shell && strcmp(shell, "bash"))
		return cli_usage(cli, "--completion %s: expected bash", shell);
	if (shell)
		return print_completion();
	if (!cli->arg_count) {
		cli_print_help();
		return CLI_DONE;
	}
	c = cli_find(cli->args[0]);
	if (!c)
		return cli_usage(cli, "%s: no such command", cli->args[0]);
	cli_print_usage(c);
	return CLI_DONE;
}

static const struct cli_option options[] = {
	{"--completion", "SHELL", false, "print completion for this shell: bash"},
	{},
};

const struct command command_help = {
	.name = "help",
	.args = "[COMMAND]",
	.summary = "Prints help",
	.options = options,
	.max_args = 1,
	.run = run_help,
};
