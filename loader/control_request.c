// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>

#include "control_request.h"
#include "json_util.h"

static int bad(struct error *e, const char *what)
{
	return error_set(e, -EBADMSG, "bad-request",
			 "bad request: %s (a request is one line {\"command\":\"…\",\"args\":{…}})",
			 what);
}

static int check_keys(json_t *root, struct error *e)
{
	const char *key;
	json_t *value;

	json_object_foreach(root, key, value) {
		if (strcmp(key, "command") && strcmp(key, "args"))
			return bad(e, "it has another key than \"command\" and \"args\"");
	}
	return 0;
}

int control_request_parse(const char *line, size_t len, struct control_request *out,
			  struct error *e)
{
	_cleanup_json_ json_t *root = NULL;
	json_t *command, *args;
	json_error_t je;
	size_t n;
	int r;

	root = json_loadb(line, len, JSON_REJECT_DUPLICATES, &je);
	if (!root)
		return bad(e, je.text[0] ? je.text : "no JSON");
	if (!json_is_object(root))
		return bad(e, "no object");
	r = check_keys(root, e);
	if (r < 0)
		return r;

	command = json_object_get(root, "command");
	n = json_string_length(command);
	if (!n || n >= sizeof(out->command) ||
	    strspn(json_string_value(command), "abcdefghijklmnopqrstuvwxyz-") != n)
		return bad(e, "\"command\" is no name of a command");
	args = json_object_get(root, "args");
	if (args && !json_is_object(args))
		return bad(e, "\"args\" is no object");
	args = args ? json_incref(args) : json_object();
	if (!args)
		return error_set(e, -ENOMEM, "no-memory", "no memory for the request");

	*out = (struct control_request){.args = args};
	memcpy(out->command, json_string_value(command), n);
	return 0;
}

void control_request_clear(struct control_request *r)
{
	json_decref(r->args);
	*r = (struct control_request){};
}
