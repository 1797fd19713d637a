// SPDX-License-Identifier: GPL-2.0-only
/*
 * oci-hook: called by a container runtime before the container's program starts, and after it has
 * ended. Any error ends with 1, and the runtime does not start the container.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "boot_time.h"
#include "client.h"
#include "cmd.h"
#include "json_util.h"
#include "oci_cgroup.h"
#include "oci_state.h"

/* All of it; the runtime may give up sooner (`timeout` of the hook). */
enum { LIMIT_S = 25, READ_S = 10, SYNC_S = 10 };
#define AGAIN_NS 20000000L

static void on_time_up(int sig)
{
	static const char text[] = "sagate: oci-hook: no end after 25 s: is the daemon stopped?\n";

	(void)sig;
	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		_exit(CLI_ERROR);
	_exit(CLI_ERROR);
}

/* Not every runtime shows what its hooks say: crun does not. */
static int failed(const struct oci_state *s, const struct error *e, const char *then)
{
	const char *id = s->id[0] ? s->id : "?";

	fprintf(stderr, "sagate: oci-hook: container %.255s: %s%s\n", id, e->message, then);
	openlog("sagate-oci-hook", LOG_PID, LOG_DAEMON);
	syslog(LOG_ERR, "container %.255s: %s%s", id, e->message, then);
	return CLI_ERROR;
}

static void pause_again(void)
{
	nanosleep(&(struct timespec){.tv_nsec = AGAIN_NS}, NULL);
}

/* A daemon that starts is there in a moment. */
static int attach(const struct cli *cli, const struct oci_state *s, const char *cgroup,
		  struct error *e)
{
	_cleanup_json_ json_t *gate = NULL;
	int err;

	do {
		json_t *args = json_pack("{s:s,s:s,s:s,s:O}", "name", s->gate, "cgroup", cgroup,
					 "container", s->id, "settings", s->settings);

		if (!args)
			return error_set(e, -EINVAL, "bad-cgroup", "its cgroup's path is no UTF-8");
		err = client_call(cli->socket, "attach", args, &gate, e);
		if (err && !strcmp(e->code, "starting"))
			pause_again();
	} while (err && !strcmp(e->code, "starting"));
	return err;
}

static int detach(const struct cli *cli, const struct oci_state *s, struct error *e)
{
	_cleanup_json_ json_t *names = NULL;

	return client_call(cli->socket, "detach", json_pack("{s:s}", "container", s->id), &names,
			   e);
}

/* Whether the space of the gate, if it has one, is mirrored; -errno. */
static int is_synced(const struct cli *cli, const char *gate, struct error *e)
{
	_cleanup_json_ json_t *spaces = NULL;
	int err =
		client_call(cli->socket, "show", json_pack("{s:s}", "what", "spaces"), &spaces, e);
	json_t *space;
	size_t i;

	if (err)
		return strcmp(e->code, "starting") ? err : 0;
	json_array_foreach(spaces, i, space)
		if (!strcmp(json_get_text(space, "name") ?: "", gate))
			return json_get_bool(space, "synced");
	return 1; /* another's namespace, or the host decides */
}

/* Its first call is not to be refused only because its namespace is not mirrored yet. */
static int wait_synced(const struct cli *cli, const struct oci_state *s, struct error *e)
{
	uint64_t until = boot_ns() + SYNC_S * 1000000000ULL;
	int r;

	while ((r = is_synced(cli, s->gate, e)) == 0) {
		if (boot_ns() > until)
			return error_set(e, -ETIMEDOUT, "no-space",
					 "its network namespace is not mirrored after %d s",
					 SYNC_S);
		pause_again();
	}
	return r < 0 ? r : 0;
}

static int make(const struct cli *cli, const struct oci_state *s)
{
	char cgroup[PATH_MAX];
	struct error e = {}, other;
	int err = oci_cgroup(s->pid, cgroup, &e);

	if (!err)
		err = attach(cli, s, cgroup, &e);
	if (err)
		return failed(s, &e, "");
	err = wait_synced(cli, s, &e);
	if (!err)
		return CLI_DONE;
	detach(cli, s, &other); /* or it goes with its cgroup */
	return failed(s, &e, "");
}

static int take_away(const struct cli *cli, const struct oci_state *s)
{
	struct error e = {};

	if (!detach(cli, s, &e))
		return CLI_DONE;
	return failed(s, &e, "; its gate goes with its cgroup");
}

static int run_oci_hook(struct cli *cli)
{
	_cleanup_free_ char *text = NULL;
	struct oci_state s = {};
	struct error e = {};
	size_t len;
	int r;

	signal(SIGALRM, on_time_up);
	alarm(LIMIT_S);
	if (oci_state_read(STDIN_FILENO, READ_S, &text, &len, &e) ||
	    oci_state_parse(text, len, &s, &e))
		return failed(&s, &e, "");
	if (!s.wanted)
		return CLI_DONE;
	r = s.ended ? take_away(cli, &s) : make(cli, &s);
	oci_state_free(&s);
	return r;
}

const struct command command_oci_hook = {
	.name = "oci-hook",
	.args = "",
	.summary = "Makes a gate for a container, called by its runtime",
	.run = run_oci_hook,
};
