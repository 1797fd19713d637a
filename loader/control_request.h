/* SPDX-License-Identifier: GPL-2.0-only */
/* One request line of the control socket, as bytes. No I/O, no logging: fuzzed as it is. */
#ifndef SAGATE_CONTROL_REQUEST_H
#define SAGATE_CONTROL_REQUEST_H

#include <stddef.h>
#include <jansson.h>

#include "error.h"

#define CONTROL_LINE_MAX    (64 * 1024) /* bytes of a request, its newline included */
#define CONTROL_COMMAND_MAX 32		/* bytes of a command's name, its NUL included */

struct control_request {
	char command[CONTROL_COMMAND_MAX];
	json_t *args; /* an object, empty when the request has none; owned */
};

/*
 * Reads `line` (without its newline, not NUL-terminated). 0, or -EBADMSG with *e filled and *out
 * untouched: no JSON object, another key than "command" and "args", a command that is no text of
 * a-z and '-', args that are no object.
 */
int control_request_parse(const char *line, size_t len, struct control_request *out,
			  struct error *e);
void control_request_clear(struct control_request *r);

#endif
