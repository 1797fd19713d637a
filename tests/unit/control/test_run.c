// SPDX-License-Identifier: GPL-2.0-only
/*
 * `sagate run` against a scripted daemon: what it asks of it, exit statuses, signals, stops, and
 * what is left behind: an empty cgroup, which the real daemon removes.
 * As root and with cgroup v2; skipped elsewhere.
 */
/* needs: loader/cmd.c loader/cmd_args.c loader/cmd_attach.c loader/cmd_daemon.c */
/* needs: loader/cmd_detach.c loader/cmd_doctor.c loader/cmd_doctor_local.c */
/* needs: loader/cmd_reload.c */
/* needs: loader/cmd_explain.c loader/cmd_flow.c loader/cmd_wait.c */
/* needs: loader/cmd_oci_hook.c loader/oci_state.c loader/oci_cgroup.c */
/* needs: loader/cmd_help.c loader/cmd_run.c loader/cmd_run_cgroup.c */
/* needs: loader/cmd_show.c loader/cmd_status.c loader/cmd_version.c */
/* needs: loader/cmd_watch.c loader/client.c loader/render.c loader/render_checks.c */
/* needs: loader/render_event.c loader/render_explain.c loader/render_lists.c */
/* needs: loader/render_metrics.c loader/render_status.c loader/config.c */
/* needs: loader/config_check.c loader/config_key.c loader/config_parse.c */
/* needs: loader/config_section.c loader/config_settings.c loader/config_value.c */
/* needs: loader/control.c loader/control_client.c loader/control_listen.c */
/* needs: loader/control_queue.c loader/control_request.c loader/json_util.c */
/* needs: loader/units.c loader/cgroup.c loader/netns.c loader/error.c loader/log.c */
/* needs: loader/rooms.c */
#include "cli.h"

static char root[PATH_MAX];

static bool can_run(void)
{
	return geteuid() == 0 && cgroup_mount(root, NULL) == 0;
}

static void run_path(char *buf, size_t size, pid_t pid)
{
	char own[PATH_MAX];

	assert_int_equal(cgroup_of_pid(0, own, NULL), 0);
	snprintf(buf, size, "%s/sagate-run-%d", strcmp(own, "/") ? own : "", pid);
}

static bool cgroup_is_there(pid_t pid)
{
	char path[PATH_MAX], full[2 * PATH_MAX];

	run_path(path, sizeof(path), pid);
	snprintf(full, sizeof(full), "%s%s", root, path);
	return access(full, F_OK) == 0;
}

/* What is left of it has no process, and goes. */
static void remove_left(pid_t pid)
{
	char path[PATH_MAX], full[2 * PATH_MAX];
	int n;

	run_path(path, sizeof(path), pid);
	snprintf(full, sizeof(full), "%s%s", root, path);
	for (n = 0; n < 1000 && rmdir(full) < 0; n++)
		usleep(10000);
	assert_true(n < 1000);
}

static void run_ends_as_its_command_ends(void **state)
{
	static const struct {
		const char *script;
		int status; /* of wait */
	} rows[] = {
		{"exit 0", 0},
		{"exit 1", 1 << 8},
		{"exit 77", 77 << 8},
		{"kill -TERM $$", SIGTERM},
		{"kill -KILL $$", SIGKILL},
	};
	static struct result r;

	(void)state;
	if (!can_run())
		skip();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		start(&r, ARGS("-s", sock, "run", "--", "sh", "-c", rows[i].script));
		finish(&r);
		assert_int_equal(r.status, rows[i].status);
		assert_string_equal(r.err, "");
		remove_left(r.pid);
	}
}

static void run_undoes_all_when_its_command_cannot_start(void **state)
{
	char request[512], expected[128];
	struct result *r;

	(void)state;
	if (!can_run())
		skip();
	r = cli(ARGS("-s", sock, "run", "no-such-program"));
	EXIT(r, 127);
	HAS(r->err, "no-such-program: No such file or directory");
	assert_false(cgroup_is_there(r->pid));
	last_request(request, sizeof(request));
	snprintf(expected, sizeof(expected),
		 "{\"args\":{\"name\":\"run-%d\"},\"command\":\"detach\"}", r->pid);
	assert_string_equal(request, expected);
	r = cli(ARGS("-s", sock, "run", "--", "/etc/passwd", "--json"));
	EXIT(r, 126);
	assert_false(cgroup_is_there(r->pid));
}

static void run_puts_its_command_behind_the_gate_first(void **state)
{
	char expected[PATH_MAX + 256], path[PATH_MAX];
	struct result *r;

	(void)state;
	if (!can_run())
		skip();
	r = cli(ARGS("-s", sock, "run", "--mode", "audit", "cat", "/proc/self/cgroup", requests));
	EXIT(r, 0);
	run_path(path, sizeof(path), r->pid);
	snprintf(expected, sizeof(expected), "0::%s\n", path);
	HAS(r->out, expected);
	/* what the program read of the requests has its own gate in it */
	snprintf(
		expected, sizeof(expected),
		"{\"args\":{\"cgroup\":\"%s\",\"name\":\"run-%d\",\"settings\":{\"mode\":\"audit\"},"
		"\"transient\":true},\"command\":\"attach\"}\n",
		path, r->pid);
	HAS(r->out, expected);
	remove_left(r->pid);
}

static void run_takes_another_name_when_its_own_is_taken(void **state)
{
	char request[512], expected[64];
	struct result *r;

	(void)state;
	if (!can_run())
		skip();
	/* the scripted daemon has a gate of the first name already */
	r = cli(ARGS("-s", sock, "run", "--set", "errno-failed=EPERM", "true"));
	EXIT(r, 0);
	last_request(request, sizeof(request));
	snprintf(expected, sizeof(expected), "\"name\":\"run-%d-2\"", r->pid);
	HAS(request, expected);
	remove_left(r->pid);
	r = cli(ARGS("-s", sock, "run", "--name", "taken", "--", "echo", "ran"));
	EXIT(r, 1);
	assert_string_equal(r->out, "");
	HAS(r->err, "nothing was run");
	assert_false(cgroup_is_there(r->pid));
}

static void run_without_a_gate_runs_nothing(void **state)
{
	struct result *r;

	(void)state;
	if (!can_run())
		skip();
	r = cli(ARGS("-s", "/nonexistent", "run", "--", "echo", "ran"));
	EXIT(r, 1);
	assert_string_equal(r->out, "");
	HAS(r->err, "nothing was run");
	assert_false(cgroup_is_there(r->pid));
	r = cli(ARGS("-s", sock, "run", "--name", "refused", "--", "echo", "ran"));
	EXIT(r, 1);
	assert_string_equal(r->out, "");
	HAS(r->err, "no cgroup here; nothing was run");
	assert_false(cgroup_is_there(r->pid));
}

static void wait_output(const struct result *r, off_t size)
{
	for (int n = 0; n < 1000 && lseek(r->out_fd, 0, SEEK_END) < size; n++)
		usleep(10000);
	assert_true(lseek(r->out_fd, 0, SEEK_END) >= size);
}

/* To sagate alone, and to its whole process group. */
static void signals_reach_the_command(void **state)
{
	static struct result r;

	(void)state;
	if (!can_run())
		skip();
	for (int group = 0; group < 2; group++) {
		start(&r,
		      ARGS("-s", sock, "run", "--", "sh", "-c",
			   "trap 'echo got; exit 9' TERM; echo up; while :; do sleep 0.05; done"));
		wait_output(&r, 3);
		kill(group ? -r.pid : r.pid, SIGTERM);
		finish(&r);
		EXIT(&r, 9);
		HAS(r.out, "got");
		remove_left(r.pid);
		start(&r, ARGS("-s", sock, "run", "sh", "-c", "echo up; exec sleep 15"));
		wait_output(&r, 3);
		kill(group ? -r.pid : r.pid, SIGABRT);
		finish(&r);
		assert_true(WIFSIGNALED(r.status));
		assert_int_equal(WTERMSIG(r.status), SIGABRT);
		remove_left(r.pid);
	}
}

static void the_command_has_the_signals_it_would_have_had(void **state)
{
	static const char *const words[] = {"grep", "^Sig[BI]", "/proc/self/status", NULL};
	struct sigaction ignore = {.sa_handler = SIG_IGN}, old_hup;
	static struct result direct;
	struct result *r;

	(void)state;
	if (!can_run())
		skip();
	sigaction(SIGHUP, &ignore, &old_hup);
	direct.out_fd = memfd_create("out", MFD_CLOEXEC);
	direct.err_fd = memfd_create("err", MFD_CLOEXEC);
	direct.pid = fork();
	if (direct.pid == 0) {
		dup2(direct.out_fd, 1);
		execvp(words[0], (char *const *)words);
		_exit(127);
	}
	finish(&direct);
	EXIT(&direct, 0);
	r = cli(ARGS("-s", sock, "run", words[0], words[1], words[2]));
	EXIT(r, 0);
	sigaction(SIGHUP, &old_hup, NULL);
	assert_string_equal(r->out, direct.out);
	remove_left(r->pid);
}

static void a_stopped_command_is_a_stopped_job(void **state)
{
	static struct result r;
	int status;

	(void)state;
	if (!can_run())
		skip();
	start(&r, ARGS("-s", sock, "run", "sh", "-c", "echo up; kill -TSTP $$; echo again"));
	assert_int_equal(waitpid(r.pid, &status, WUNTRACED), r.pid);
	assert_true(WIFSTOPPED(status));
	kill(r.pid, SIGCONT);
	finish(&r);
	EXIT(&r, 0);
	assert_string_equal(r.out, "up\nagain\n");
	remove_left(r.pid);
}

static void a_gate_stays_while_descendants_live(void **state)
{
	struct result *r;
	pid_t left;

	(void)state;
	if (!can_run())
		skip();
	r = cli(ARGS("-s", sock, "run", "sh", "-c", "sleep 15 >/dev/null 2>&1 & echo $!"));
	EXIT(r, 0);
	assert_true(cgroup_is_there(r->pid));
	left = atoi(r->out);
	assert_true(left > 1);
	kill(left, SIGKILL);
	remove_left(r->pid);
}

static void a_killed_sagate_takes_its_command_along(void **state)
{
	static struct result r;

	(void)state;
	if (!can_run())
		skip();
	start(&r, ARGS("-s", sock, "run", "sh", "-c", "echo up; exec sleep 15"));
	wait_output(&r, 3);
	kill(r.pid, SIGKILL);
	finish(&r);
	remove_left(r.pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(run_ends_as_its_command_ends),
		cmocka_unit_test(run_undoes_all_when_its_command_cannot_start),
		cmocka_unit_test(run_puts_its_command_behind_the_gate_first),
		cmocka_unit_test(run_takes_another_name_when_its_own_is_taken),
		cmocka_unit_test(run_without_a_gate_runs_nothing),
		cmocka_unit_test(signals_reach_the_command),
		cmocka_unit_test(the_command_has_the_signals_it_would_have_had),
		cmocka_unit_test(a_stopped_command_is_a_stopped_job),
		cmocka_unit_test(a_gate_stays_while_descendants_live),
		cmocka_unit_test(a_killed_sagate_takes_its_command_along),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
