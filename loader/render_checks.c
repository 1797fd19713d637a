// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "json_util.h"
#include "render.h"

void render_checks(const json_t *checks)
{
	const char *status, *hint;
	const json_t *one;
	char buf[RENDER_TEXT];
	size_t i;

	json_array_foreach(checks, i, one) {
		status = json_get_text(one, "status") ?: "fail";
		hint = json_get_text(one, "hint");
		render_word(stdout, status, 6);
		render_value(one, "check", buf, sizeof(buf));
		render_word(stdout, buf, 16);
		render_value(one, "message", buf, sizeof(buf));
		render_word(stdout, buf, 0);
		if (hint && strcmp(status, "ok")) {
			printf("\n%22s→ ", "");
			render_word(stdout, hint, 0);
		}
		putchar('\n');
	}
}
