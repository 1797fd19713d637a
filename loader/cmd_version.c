// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <bpf/libbpf.h>

#include "abi.h"
#include "cmd.h"
#include "json_util.h"

#ifndef SAGATE_VERSION
#define SAGATE_VERSION "0.1.0"
#endif

static int run_version(struct cli *cli)
{
	_cleanup_json_ json_t *o = NULL;

	if (!cli->json) {
		printf("sagate %s (ABI %d, libbpf %s)\n", SAGATE_VERSION, SAGATE_ABI,
		       libbpf_version_string());
		return CLI_DONE;
	}
	o = json_pack("{s:s,s:i,s:s}", "version", SAGATE_VERSION, "abi", SAGATE_ABI, "libbpf",
		      libbpf_version_string());
	return cli_print(o);
}

const struct command command_version = {
	.name = "version",
	.args = "",
	.summary = "Prints the version, the ABI of the pinned maps, and libbpf's version",
	.json = true,
	.run = run_version,
};
