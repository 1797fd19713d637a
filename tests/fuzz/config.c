// SPDX-License-Identifier: GPL-2.0-only
/* The configuration file. What is taken must be within its bounds, what is refused must say why. */
/* covers: loader/config_parse.c loader/config_section.c loader/config_key.c loader/config_value.c
 */
/* covers: loader/config_check.c loader/config_settings.c */
/* needs: loader/config.c loader/config_check.c loader/config_key.c loader/config_parse.c */
/* needs: loader/config_section.c loader/config_settings.c loader/config_value.c */
/* needs: loader/units.c loader/error.c loader/log.c */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "config.h"

static void check_settings(const struct gate_config *g)
{
	struct gate_config again;

	config_settings_init(&again);
	for (int s = 0; s < SETTING_COUNT; s++) {
		const char *value = config_setting_value(g, s);

		check(value && !config_settings_set(&again, config_setting_key(s), value, NULL));
		check(!strcmp(config_setting_value(&again, s), value));
	}
}

static void check_require(const struct config_require *q)
{
	check(q->to_count && q->to_count <= CONFIG_LIST_MAX && q->from_count <= CONFIG_LIST_MAX);
	for (size_t i = 0; i < q->to_count; i++)
		check(q->to[i].family == q->to[0].family);
	for (size_t i = 0; i < q->from_count; i++)
		check(q->from[i].family == q->to[0].family);
	for (size_t i = 0; i < q->port_count; i++)
		check(q->port[i].from && q->port[i].from <= q->port[i].to);
	check(!q->conn == !q->child && q->space);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *exact = malloc(size ? size : 1);
	struct error e = {0};
	struct config c;

	memcpy(exact, data, size);
	if (config_parse("f", exact, size, &c, &e)) {
		check(e.code[0] && e.message[0] && !strchr(e.message, '\n'));
	} else {
		check_settings(&c.defaults);
		for (size_t i = 0; i < c.gate_count; i++) {
			check(config_name_ok(c.gates[i].name) && c.gates[i].cgroup[0] == '/');
			check_settings(&c.gates[i].settings);
		}
		for (size_t i = 0; i < c.require_count; i++)
			check_require(&c.requires[i]);
		check(c.space_count && !strcmp(c.spaces[0].name, CONFIG_HOST) && c.spaces[0].vici);
		config_free(&c);
	}
	free(exact);
	return 0;
}
