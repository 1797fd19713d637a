// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "cmd.h"
#include "cmd_doctor.h"
#include "control.h"
#include "json_util.h"
#include "render.h"

/* What the daemon itself finds. Without one nothing is well: gates decide by maps of the past. */
static void ask_daemon(const struct cli *cli, json_t *checks)
{
	_cleanup_json_ json_t *found = NULL;
	struct error e = {};
	char none[sizeof(e.message)];
	int r = client_call(cli->socket, "doctor", NULL, &found, &e);

	if (r == -ENOENT || r == -ECONNREFUSED) { /* what to do is in the hint */
		snprintf(none, sizeof(none), "no daemon at %.300s",
			 cli->socket ? cli->socket : CONTROL_PATH);
		doctor_add(checks, "daemon", "fail", none,
			   "systemctl status sagate, or start it: sagate daemon");
		return;
	}
	if (r < 0) {
		doctor_add(checks, "daemon", "fail", e.message, NULL);
		return;
	}
	doctor_add(checks, "daemon", "ok", "the daemon answers", NULL);
	json_array_extend(checks, found);
}

static bool none_failed(const json_t *checks)
{
	const char *status;
	const json_t *one;
	size_t i;

	json_array_foreach(checks, i, one) {
		status = json_get_text(one, "status");
		if (!status || !strcmp(status, "fail"))
			return false;
	}
	return true;
}

static int run_doctor(struct cli *cli)
{
	_cleanup_json_ json_t *o = NULL, *checks = json_array();
	bool ok;
	int r;

	doctor_local(checks, cli_value(cli, "-c"));
	ask_daemon(cli, checks);
	ok = none_failed(checks);
	if (!cli->json) {
		render_checks(checks);
		return ok ? CLI_DONE : CLI_ERROR;
	}
	o = json_pack("{s:O,s:b}", "checks", checks, "ok", ok);
	r = cli_print(o);
	return ok ? r : CLI_ERROR;
}

static const struct cli_option options[] = {
	{"-c", "FILE", false, "the configuration to check"},
	{},
};

const struct command command_doctor = {
	.name = "doctor",
	.args = "",
	.summary = "Checks that this host can do all that sagate needs",
	.options = options,
	.json = true,
	.run = run_doctor,
};
