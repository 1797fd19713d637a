// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>

#include "cmd.h"
#include "config.h"
#include "json_util.h"
#include "render.h"

/*
 * The last part of the path, with what no name may have replaced: getty@tty1 → getty-tty1. Empty
 * when nothing of it may be in a name.
 */
static void default_name(const char *cgroup, char name[CONFIG_NAME_MAX + 1])
{
	size_t end = strlen(cgroup), n = 0;
	const char *p;
	char one[2] = "";

	while (end && cgroup[end - 1] == '/')
		end--;
	for (p = cgroup + end; p > cgroup && p[-1] != '/'; p--)
		;
	strcpy(name, p < cgroup + end ? "" : "root");
	for (; p < cgroup + end && n < CONFIG_NAME_MAX; p++) {
		one[0] = *p;
		if ((*p & 0xc0) == 0x80)
			continue; /* the rest of a UTF-8 character: one '-' stands for all of it */
		if (config_name_ok(one) || (n && (*p == '.' || *p == '-')))
			name[n++] = *p;
		else if (n)
			name[n++] = '-';
		name[n] = '\0';
	}
}

static int run_attach(struct cli *cli)
{
	_cleanup_json_ json_t *settings = cli_settings(cli), *gate = NULL;
	const char *name = cli_value(cli, "--name"), *cgroup = cli->args[0];
	char derived[CONFIG_NAME_MAX + 1], mode[32];
	json_t *args;

	if (!settings)
		return CLI_USAGE;
	if (!name) {
		default_name(cgroup, derived);
		if (!derived[0])
			return cli_usage(cli, "%s: no name for the gate in it: give --name",
					 cgroup);
		name = derived;
	}
	if (!config_name_ok(name))
		return cli_usage(cli,
				 "--name %s: expected 1 to %d of A-Z a-z 0-9 . _ -, without a dot "
				 "or '-' in front",
				 name, CONFIG_NAME_MAX);
	args = json_pack("{s:s,s:s,s:O,s:b,s:b}", "cgroup", cgroup, "name", name, "settings",
			 settings, "transient", 0, "root", cli_value(cli, "--root") != NULL);
	if (!args)
		return cli_usage(cli, "the path of the cgroup is no UTF-8 text");
	if (cli_call(cli, "attach", args, &gate) != CLI_DONE)
		return CLI_ERROR;
	if (cli->json)
		return cli_print(gate);
	printf("gate ");
	render_word(stdout, name, 0);
	printf(": ");
	render_word(stdout, json_get_text(gate, "state") ?: "attached", 0);
	printf(" to ");
	render_word(stdout, json_get_text(gate, "cgroup") ?: cgroup, 0);
	printf(", mode ");
	render_value(gate, "settings.mode", mode, sizeof(mode));
	puts(mode);
	return CLI_DONE;
}

static const struct cli_option options[] = {
	{"--name", "NAME", false, "the gate's name; default: the last part of the cgroup's path"},
	CLI_SETTINGS_OPTIONS,
	{"--root", NULL, false, "CGROUP may be the root: every program of the host is asked"},
	{},
};

const struct command command_attach = {
	.name = "attach",
	.args = "CGROUP",
	.summary = "Puts a gate on a cgroup, or changes its settings",
	.options = options,
	.min_args = 1,
	.max_args = 1,
	.json = true,
	.run = run_attach,
};
