// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "boot_time.h"
#include "json_util.h"
#include "oci_state.h"

/* 1 with more bytes in *len, 0 at the end, -errno. */
static int read_more(int fd, uint64_t until, char *buf, size_t size, size_t *len)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	uint64_t now = boot_ns();
	ssize_t n;
	int r;

	if (now >= until)
		return -ETIMEDOUT;
	r = poll(&p, 1, (int)((until - now) / 1000000) + 1);
	if (r <= 0)
		return r < 0 && errno != EINTR ? -errno : 1;
	n = read(fd, buf + *len, size - *len);
	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 1 : -errno;
	*len += n;
	return n > 0;
}

int oci_state_read(int fd, unsigned int seconds, char **text, size_t *len, struct error *e)
{
	_cleanup_free_ char *buf = malloc(OCI_STATE_MAX + 1);
	uint64_t until = boot_ns() + seconds * 1000000000ULL;
	size_t got = 0;
	int r = buf ? 1 : -ENOMEM;

	while (r > 0 && got <= OCI_STATE_MAX)
		r = read_more(fd, until, buf, OCI_STATE_MAX + 1, &got);
	if (got > OCI_STATE_MAX)
		return error_set(e, -EMSGSIZE, "bad-state",
				 "the state on standard input is longer than 1 MiB");
	if (r == -ETIMEDOUT)
		return error_set(e, r, "bad-state",
				 "the state on standard input had no end within %u s", seconds);
	if (r < 0)
		return error_set(e, r, "bad-state", "the state on standard input: %s",
				 strerror(-r));
	*text = TAKE_PTR(buf);
	*len = got;
	return 0;
}

static int invalid(struct error *e, const char *what)
{
	return error_set(e, -EINVAL, "bad-state", "the state on standard input: %s", what);
}

/* As runc has it. It becomes a name and part of messages. */
static bool id_ok(const char *id)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789_+-.";
	size_t len = strlen(id);

	return len && len <= OCI_ID_MAX && strspn(id, allowed) == len && id[0] != '.';
}

static int take_id(const json_t *state, struct oci_state *s, struct error *e)
{
	const char *id = json_get_text(state, "id");

	if (!id || !id_ok(id))
		return invalid(e, "id: expected 1 to 255 of A-Z a-z 0-9 _ + - ., without a dot in "
				  "front");
	strcpy(s->id, id);
	return 0;
}

static int take_status(const json_t *state, struct oci_state *s, struct error *e)
{
	const char *status = json_get_text(state, "status") ?: "";
	const json_t *pid = json_object_get(state, "pid");

	s->ended = !strcmp(status, "stopped");
	if (!s->ended && strcmp(status, "creating") && strcmp(status, "created"))
		return invalid(e, "status: expected creating, created or stopped (the hook is one "
				  "for createRuntime and poststop)");
	if (s->ended)
		return 0;
	if (!json_is_integer(pid) || json_integer_value(pid) <= 0 ||
	    json_integer_value(pid) > INT_MAX)
		return invalid(e, "pid: expected that of the container's process");
	s->pid = (pid_t)json_integer_value(pid);
	return 0;
}

static int take_annotation(const char *key, const char *value, struct oci_state *s, struct error *e)
{
	struct gate_config scratch;
	struct error why;

	if (!strcmp(key, "gate")) {
		if (!config_name_ok(value))
			return invalid(e, "annotation " OCI_ANNOTATION "gate: expected 1 to 64 of "
					  "A-Z a-z 0-9 . _ -, without a dot or '-' in front");
		strcpy(s->gate, value);
		return 0;
	}
	config_settings_init(&scratch);
	if (config_settings_set(&scratch, key, value, &why) < 0)
		return error_set(e, -EINVAL, "bad-state",
				 "annotation " OCI_ANNOTATION "%.64s: %.380s", key, why.message);
	json_object_set_new(s->settings, key, json_string(value));
	return 0;
}

/* Whoever makes a container chooses the key: of one that is not as ours are little is told. */
static const char *shown_key(const char *key)
{
	const char *ours = key + strlen(OCI_ANNOTATION);
	size_t len = strlen(ours);

	return len && len <= 64 && strspn(ours, "abcdefghijklmnopqrstuvwxyz-") == len
		       ? key
		       : OCI_ANNOTATION "…";
}

static int take_annotations(const json_t *annotations, struct oci_state *s, struct error *e)
{
	const char *key;
	json_t *value;
	int err;

	json_object_foreach((json_t *)annotations, key, value) {
		if (strncmp(key, OCI_ANNOTATION, strlen(OCI_ANNOTATION)))
			continue;
		if (!json_is_string(value))
			return error_set(e, -EINVAL, "bad-state", "annotation %s: text is expected",
					 shown_key(key));
		err = take_annotation(key + strlen(OCI_ANNOTATION), json_string_value(value), s, e);
		if (err)
			return err;
	}
	if (s->gate[0])
		return 0;
	if (!config_name_ok(s->id))
		return invalid(
			e,
			"the id is no name for a gate: give one with the annotation " OCI_ANNOTATION
			"gate");
	strcpy(s->gate, s->id);
	return 0;
}

static bool has_ours(const json_t *annotations)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)annotations, key, value)
		if (!strncmp(key, OCI_ANNOTATION, strlen(OCI_ANNOTATION)))
			return true;
	return false;
}

static int parse(const json_t *state, struct oci_state *out, struct error *e)
{
	const json_t *annotations = json_object_get(state, "annotations");
	struct oci_state s = {};
	int err;

	if (!json_is_object(state))
		return invalid(e, "expected one JSON object");
	if (annotations && !json_is_object(annotations) && !json_is_null(annotations))
		return invalid(e, "annotations: expected an object");
	s.wanted = has_ours(annotations);
	if (s.wanted) {
		s.settings = json_object();
		err = take_id(state, &s, e);
		if (!err)
			err = take_status(state, &s, e);
		if (!err && !s.ended)
			err = take_annotations(annotations, &s, e);
		if (err) {
			oci_state_free(&s);
			return err;
		}
	}
	*out = s;
	return 0;
}

int oci_state_parse(const char *text, size_t len, struct oci_state *out, struct error *e)
{
	_cleanup_json_ json_t *state = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	const char *id = json_get_text(state, "id");
	int err = parse(state, out, e);

	if (err && id && id_ok(id))
		strcpy(out->id, id);
	return err;
}

void oci_state_free(struct oci_state *s)
{
	json_decref(s->settings);
}
