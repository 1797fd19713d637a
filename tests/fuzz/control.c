// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests on the control socket: a real client's bytes through the real server. A NUL cuts the
 * input: what is behind it comes when the server has read what is before. Whatever comes, the
 * answer is one line, an object with a result or with an error.
 */
/* covers: loader/control_request.c loader/control_client.c loader/control.c loader/flow_json.c */
/* covers: loader/control_queue.c loader/json_util.c */
/* needs: loader/control.c loader/control_client.c loader/control_listen.c */
/* needs: loader/control_queue.c loader/control_request.c loader/json_util.c */
/* needs: loader/flow_json.c loader/config_settings.c loader/config_value.c loader/config.c */
/* needs: loader/config_parse.c loader/config_section.c loader/config_key.c loader/config_check.c */
/* needs: loader/units.c loader/error.c loader/log.c */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "config.h"
#include "control.h"
#include "control_listen.h"
#include "flow_json.h"
#include "json_util.h"
#include "log.h"

enum { TURNS_MAX = 64, ANSWER_MAX = 1024 * 1024 };

static struct sockaddr_un address;
static char folder[] = "/tmp/sagate-fuzz-XXXXXX", path[64];
static sd_event *loop;
static struct control *control;

/* What the daemon does with what it is told, without the daemon. */
static int handle(void *ctx, const char *command, const json_t *args, json_t **result,
		  struct error *e)
{
	struct gate_config config;
	struct flow flow;
	const char *key;
	json_t *value;
	int err;

	(void)ctx;
	if (strcmp(command, "attach")) {
		err = flow_from_json(args, 1, &flow, e);
		if (!err)
			*result = flow_to_json(&flow);
		return err;
	}
	config_settings_init(&config);
	json_object_foreach(json_object_get(args, "settings"), key, value) {
		err = json_is_string(value)
			      ? config_settings_set(&config, key, json_string_value(value), e)
			      : error_set(e, -EINVAL, "bad-request", "settings: %s", key);
		if (err)
			return err;
	}
	if (json_get_bool(args, "transient"))
		return error_set(e, -ENOENT, "no-such-cgroup", "cgroup %.200s: there is none",
				 json_get_text(args, "cgroup") ?: "");
	return 0;
}

static void take_down(void)
{
	control_free(control);
	sd_event_unref(loop);
	snprintf(path + strlen(path), sizeof(path) - strlen(path), ".lock");
	unlink(path);
	rmdir(folder);
}

static void set_up(void)
{
	static const struct control_ops ops = {.handle = handle};

	log_set_level(-1);
	check(mkdtemp(folder) && sd_event_new(&loop) >= 0);
	snprintf(path, sizeof(path), "%s/control", folder);
	check(!control_new(loop, path, &ops, NULL, &control, NULL));
	check(!control_address(path, &address, NULL));
	atexit(take_down);
}

static void turns(void)
{
	for (int i = 0; i < TURNS_MAX && sd_event_run(loop, 0) > 0; i++)
		;
}

static void say(int fd, const char *data, size_t size)
{
	while (size) {
		const char *cut = memchr(data, '\0', size);
		size_t n = cut ? (size_t)(cut - data) : size;

		if (n && send(fd, data, n, MSG_NOSIGNAL) < 0)
			return;
		turns();
		n += cut != NULL;
		data += n;
		size -= n;
	}
}

/* All that came: whole lines, each an object with the one thing that it says. */
static void check_answer(int fd)
{
	static char answer[ANSWER_MAX];
	ssize_t n = recv(fd, answer, sizeof(answer), MSG_DONTWAIT);
	const char *at = answer, *end = answer + (n > 0 ? n : 0);

	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		json_t *line;

		check(newline);
		line = json_loadb(at, (size_t)(newline - at), JSON_REJECT_DUPLICATES, NULL);
		check(json_is_object(line) && json_object_size(line) == 1);
		check(json_object_get(line, "result") || json_object_get(line, "error") ||
		      json_object_get(line, "event"));
		json_decref(line);
		at = newline + 1;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *event;
	int fd;

	if (!loop)
		set_up();
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	check(!connect(fd, (struct sockaddr *)&address, sizeof(address)));
	turns();
	say(fd, (const char *)data, size);
	event = json_pack("{s:s}", "event", "sync");
	control_publish(control, event);
	json_decref(event);
	shutdown(fd, SHUT_WR);
	turns();
	check_answer(fd);
	close(fd);
	turns();
	check(!control_watchers(control));
	return 0;
}
