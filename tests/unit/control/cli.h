/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For tests of the command line: a scripted daemon behind the real control socket, in a process of
 * its own, and the command's main() in another, with its output kept. Included once, by the test.
 */
#ifndef SAGATE_TEST_CLI_H
#define SAGATE_TEST_CLI_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <cmocka.h>

#include "cgroup.h"
#include "control.h"

#define main sagate_main
int sagate_main(int argc, char **argv);
#include "../../../loader/main.c" /* as a part: its main() is called */
#undef main
#include "config.h"
#include "daemon.h"
#include "json_util.h"

static char dir[64], sock[96], requests[96];
static pid_t daemon_pid;

/* ---- the scripted daemon ---- */

static const char status_json[] =
	"{\"version\":\"0.1.0\",\"abi\":1,\"pid\":7,\"uptime_s\":3700,\"pin\":\"/p\",\"config\":null,"
	"\"healthy\":false,\"problems\":[\"space blue is\\u001b[31m stale\"],"
	"\"spaces\":[{\"name\":\"host\",\"netns\":1,\"synced\":false,\"stale_reason\":\"overrun\","
	"\"policies\":3,\"sas\":2,\"masks\":1,\"requirements\":0,\"default\":\"allow\",\"resyncs\":1,"
	"\"overruns\":4,\"last_sync_s\":1.25,\"ike\":{\"vici\":\"/v\",\"up\":true,\"version\":\"5.9.8\","
	"\"error\":null,\"children\":2}}],"
	"\"gates\":[{\"name\":\"a\\\"b\\\\c\\n\",\"cgroup\":\"/x\",\"cgroup_id\":9,\"state\":\"attached\","
	"\"source\":\"config\",\"settings\":{\"mode\":\"reject\"},\"counters\":{\"refused\":5,"
	"\"audited\":0,\"events\":6,\"lost\":0,\"verdicts\":{\"protected\":10,\"wait\":5},"
	"\"reasons\":{\"no-sa\":5,\"sa\":10}}}],"
	"\"negotiations\":{\"started\":3,\"established\":2,\"failed\":1,\"active\":0},"
	"\"lost_events\":0}";

static const char spd_json[] =
	"[{\"src\":\"10.0.0.1/32\",\"dst\":\"10.0.0.2/32\",\"dport\":80,\"dir\":\"out\",\"priority\":7,"
	"\"index\":9,\"action\":\"allow\",\"tmpl\":[{\"src\":\"10.0.0.1\",\"dst\":\"10.0.0.2\","
	"\"proto\":\"esp\",\"reqid\":1,\"mode\":\"tunnel\",\"level\":\"use\",\"spi\":\"0x01\"}]},{}]";

/* `show sad`: with what few rows have. */
static const char rare_json[] =
	"[{\"src\":\"10.0.0.1\",\"dst\":\"10.0.0.2\",\"proto\":\"esp\",\"spi\":\"0x01\"},"
	"{\"src\":\"10.0.0.1\",\"dst\":\"10.0.0.2\",\"proto\":\"esp\",\"spi\":\"0x02\","
	"\"mark\":{\"value\":\"0x5\",\"mask\":\"0xff\"}}]";

static const char explain_json[] =
	"{\"verdict\":\"%s\",\"reason\":\"no-sa\",\"flow\":{\"proto\":\"tcp\",\"src\":null,\"dst\":"
	"\"::1\",\"dport\":443},\"policy\":{\"selector\":{\"src\":\"::/0\",\"dst\":\"::/0\"},"
	"\"priority\":1,\"index\":2,\"action\":\"allow\",\"templates\":[{\"proto\":\"esp\",\"mode\":"
	"\"tunnel\",\"reqid\":3,\"sa\":null,\"missing\":\"no-sa\"}]},\"requirement\":{\"name\":\"dc2\"},"
	"\"negotiation\":{\"state\":\"failed\",\"last_error\":\"peer is away\"},\"gate\":null}";

static json_t *explain_answer(const json_t *args)
{
	static const char *const verdicts[] = {"protected", "clear", "wait", "deny", "perhaps"};
	char text[1024];

	snprintf(text, sizeof(text), explain_json, verdicts[json_get_int(args, "mark", 0) % 5]);
	return json_loads(text, 0, NULL);
}

static void remember(const char *command, const json_t *args)
{
	json_t *o = json_pack("{s:s,s:O}", "command", command, "args", args);
	FILE *f = fopen(requests, "a");

	json_dumpf(o, f, JSON_COMPACT | JSON_SORT_KEYS);
	fputc('\n', f);
	fclose(f);
	json_decref(o);
}

/* There is a gate "taken"; and one of every name run-PID, for who sets errno-failed. */
static bool is_taken(const json_t *args, const char *name)
{
	if (json_object_get(json_object_get(args, "settings"), "errno-failed"))
		return !strncmp(name, "run-", 4) && !strchr(name + 4, '-');
	return !strcmp(name, "taken");
}

static int attach_answer(const json_t *args, json_t **result, struct error *e)
{
	const char *name = json_get_text(args, "name");

	if (is_taken(args, name))
		return error_set(e, -EEXIST, "gate-exists", "gate %s: there is one", name);
	if (!strcmp(name, "refused"))
		return error_set(e, -ENOENT, "no-such-cgroup", "no cgroup here");
	*result = json_pack("{s:s,s:O,s:s,s:{s:s}}", "name", name, "cgroup",
			    json_object_get(args, "cgroup"), "state", "attached", "settings",
			    "mode", "audit");
	return 0;
}

/* As of a daemon that starts, then waits as long as it is asked to, then has the answer. */
static int wait_answer(const json_t *args, json_t **result, struct error *e)
{
	static int turn;

	if (!strcmp(json_get_text(args, "gate") ?: "", "slow") && turn++ < 2) {
		if (turn == 1)
			return error_set(e, -EAGAIN, "starting", "it starts");
		*result = explain_answer(args);
		json_object_set_new(*result, "verdict", json_string("wait"));
		return 0;
	}
	*result = explain_answer(args);
	return 0;
}

static int handle(void *ctx, const char *command, const json_t *args, json_t **result,
		  struct error *e)
{
	(void)ctx;
	remember(command, args);
	if (!strcmp(command, "attach"))
		return attach_answer(args, result, e);
	if (!strcmp(command, "wait"))
		return wait_answer(args, result, e);
	if (!strcmp(command, "status"))
		*result = json_loads(status_json, 0, NULL);
	else if (!strcmp(command, "show"))
		*result = json_loads(!strcmp(json_get_text(args, "what") ?: "", "sad") ? rare_json
										       : spd_json,
				     0, NULL);
	else if (!strcmp(command, "explain"))
		*result = explain_answer(args);
	else if (!strcmp(command, "doctor"))
		*result = json_loads("[{\"check\":\"x\",\"status\":\"warn\",\"message\":\"m\"}]", 0,
				     NULL);
	else if (!strcmp(command, "detach"))
		*result = json_deep_copy(args);
	return 0;
}

static int on_tick(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct control *c = *(struct control **)userdata;
	json_t *event = json_loads(
		"{\"time\":\"2026-01-02T03:04:05.678Z\",\"event\":\"verdict\",\"verdict\":\"wait\","
		"\"reason\":\"no-sa\",\"gate\":\"g\",\"cgroup_id\":1,\"pid\":42,\"comm\":\"curl\","
		"\"errno\":\"EAGAIN\",\"flow\":{\"proto\":\"tcp\",\"src\":\"10.0.0.1\",\"dst\":"
		"\"10.0.0.2\",\"dport\":80}}",
		0, NULL);

	(void)usec;
	control_publish(c, event);
	json_decref(event);
	sd_event_source_set_time_relative(s, 20000);
	return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

static void daemon_main(int ready)
{
	static const struct control_ops ops = {.handle = handle};
	struct control *c = NULL;
	sd_event *event = NULL;
	sd_event_source *tick = NULL;

	sd_event_new(&event);
	if (control_new(event, sock, &ops, NULL, &c, NULL) < 0)
		_exit(1);
	sd_event_add_time_relative(event, &tick, CLOCK_MONOTONIC, 20000, 0, on_tick, &c);
	if (write(ready, "r", 1) != 1)
		_exit(1);
	sd_event_loop(event);
	_exit(1);
}

static int start_daemon(void **state)
{
	int pair[2];
	char byte;

	(void)state;
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	daemon_pid = fork();
	if (daemon_pid == 0)
		daemon_main(pair[1]);
	close(pair[1]);
	assert_int_equal(read(pair[0], &byte, 1), 1);
	close(pair[0]);
	return 0;
}

static int stop_daemon(void **state)
{
	(void)state;
	kill(daemon_pid, SIGKILL);
	waitpid(daemon_pid, NULL, 0);
	return 0;
}

int daemon_run(const struct config *config, const char *config_path, struct error *e)
{
	printf("%s %s %zu\n", config->control, config_path ? config_path : "none",
	       config->gate_count);
	return config->gate_count > 1 ? error_set(e, -EIO, "x", "it does not start") : 0;
}

/* ---- running the command ---- */

struct result {
	pid_t pid;
	int status; /* of wait */
	int out_fd, err_fd;
	char out[16384], err[4096];
};

#define ARGS(...) ((const char *const[]){"sagate", __VA_ARGS__, NULL})

static void start(struct result *r, const char *const *args)
{
	char *argv[32] = {};
	int argc = 0;

	while (args[argc]) {
		argv[argc] = (char *)args[argc];
		argc++;
	}
	r->out_fd = memfd_create("out", MFD_CLOEXEC);
	r->err_fd = memfd_create("err", MFD_CLOEXEC);
	r->pid = fork();
	if (r->pid == 0) {
		setpgid(0, 0);
		alarm(20);
		dup2(r->out_fd, 1);
		dup2(r->err_fd, 2);
		exit(sagate_main(argc, argv));
	}
}

static void finish(struct result *r)
{
	ssize_t n;

	assert_int_equal(waitpid(r->pid, &r->status, 0), r->pid);
	n = pread(r->out_fd, r->out, sizeof(r->out) - 1, 0);
	r->out[n] = '\0';
	n = pread(r->err_fd, r->err, sizeof(r->err) - 1, 0);
	r->err[n] = '\0';
	close(r->out_fd);
	close(r->err_fd);
}

static struct result *cli(const char *const *args)
{
	static struct result r;

	start(&r, args);
	finish(&r);
	assert_true(WIFEXITED(r.status));
	return &r;
}

#define EXIT(r, n)                                                                                 \
	do {                                                                                       \
		if (WEXITSTATUS((r)->status) != (n))                                               \
			fail_msg("exit %d\n%s\n%s", WEXITSTATUS((r)->status), (r)->out, (r)->err); \
	} while (0)
#define HAS(text, part)                                                                            \
	do {                                                                                       \
		if (!strstr(text, part))                                                           \
			fail_msg("no \"%s\" in: %s", part, text);                                  \
	} while (0)

/* Exactly one JSON document, and nothing on stderr. */
static inline json_t *only_json(const struct result *r)
{
	json_t *o = json_loads(r->out, JSON_DECODE_ANY, NULL);

	if (!o)
		fail_msg("no single document: %s", r->out);
	assert_string_equal(r->err, "");
	return o;
}

static void last_request(char *buf, size_t size)
{
	FILE *f = fopen(requests, "r");

	assert_non_null(f);
	while (fgets(buf, size, f))
		;
	fclose(f);
	buf[strcspn(buf, "\n")] = '\0';
}

static int set_up(void **state)
{
	strcpy(dir, "/tmp/sagate-cli-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(sock, sizeof(sock), "%s/sock", dir);
	snprintf(requests, sizeof(requests), "%s/requests", dir);
	return start_daemon(state);
}

static int tear_down(void **state)
{
	char lock[128];

	stop_daemon(state);
	snprintf(lock, sizeof(lock), "%s.lock", sock);
	unlink(lock);
	unlink(sock);
	unlink(requests);
	return rmdir(dir);
}

#endif
