// SPDX-License-Identifier: GPL-2.0-only
/* The state of a container, as a runtime gives it to the hook: what is taken from it is checked. */
/* covers: loader/oci_state.c loader/json_util.c */
/* needs: loader/oci_state.c loader/config.c loader/config_check.c loader/config_key.c */
/* needs: loader/config_parse.c loader/config_section.c loader/config_settings.c */
/* needs: loader/config_value.c loader/json_util.c loader/units.c loader/error.c loader/log.c */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "json_util.h"
#include "oci_state.h"

/* As the hook sends it on. */
static void check_taken(const struct oci_state *s)
{
	json_t *args = json_pack("{s:s,s:s,s:O}", "name", s->gate, "container", s->id, "settings",
				 s->settings);
	size_t len;
	char *line = json_line(args, &len);

	check(s->ended || (config_name_ok(s->gate) && s->pid > 0));
	check(s->id[0] && line && strchr(line, '\n') == line + len - 1);
	free(line);
	json_decref(args);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *exact = malloc(size ? size : 1);
	struct oci_state s;
	struct error e = {0};
	json_t *told;

	memcpy(exact, data, size);
	if (oci_state_parse(exact, size, &s, &e)) {
		told = json_error_object(&e);
		check(e.message[0] && told);
		json_decref(told);
	} else {
		if (s.wanted)
			check_taken(&s);
		oci_state_free(&s);
	}
	free(exact);
	return 0;
}
