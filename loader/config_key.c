// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "abi.h"
#include "config_parse.h"
#include "config_value.h"

#define MILLISECOND 1000000ULL
#define SECOND	    1000000000ULL

#define KEY(n)	   static int n(struct config_parser *p, const char *v, struct error *e)
#define GATE(p)	   (&(p)->c->gates[(p)->c->gate_count - 1])
#define REQUIRE(p) (&(p)->c->requires[(p)->c->require_count - 1])
#define SPACE(p)   (&(p)->c->spaces[(p)->host ? 0 : (p)->c->space_count - 1])

KEY(daemon_control)
{
	return value_socket(v, &p->c->control, e);
}

KEY(daemon_group)
{
	return value_name(v, &p->c->group, e);
}

KEY(daemon_pin)
{
	return value_path(v, &p->c->pin, e);
}

KEY(daemon_log_level)
{
	return value_log_level(v, &p->c->log_level, e);
}

KEY(daemon_policies_max)
{
	return value_number(v, CONFIG_ENTRIES_MAX, &p->c->policies_max, e);
}

KEY(daemon_sas_max)
{
	return value_number(v, CONFIG_ENTRIES_MAX, &p->c->sas_max, e);
}

KEY(daemon_routes_max)
{
	return value_number(v, CONFIG_ENTRIES_MAX, &p->c->routes_max, e);
}

KEY(daemon_default_block)
{
	return value_default_block(v, &p->c->default_block, e);
}

KEY(ike_vici)
{
	return value_vici(v, &p->ike_vici, e);
}

KEY(ike_trigger)
{
	return value_trigger(v, &p->c->trigger, e);
}

KEY(ike_timeout)
{
	return value_duration(v, SECOND, 3600 * SECOND, &p->c->ike_timeout, e);
}

KEY(ike_backoff)
{
	return value_backoff(v, &p->c->backoff_min, &p->c->backoff_max, e);
}

KEY(ike_require_children)
{
	return value_choice(v, "yes", "no", &p->c->require_children, e);
}

KEY(gate_cgroup)
{
	return value_path(v, &GATE(p)->cgroup, e);
}

KEY(require_to)
{
	return value_prefixes(v, REQUIRE(p)->to, &REQUIRE(p)->to_count, e);
}

KEY(require_from)
{
	return value_prefixes(v, REQUIRE(p)->from, &REQUIRE(p)->from_count, e);
}

KEY(require_proto)
{
	if (proto_parse(v, &REQUIRE(p)->proto, NULL) < 0 || !REQUIRE(p)->proto)
		return value_expected(e, v, UNITS_PROTO_LIST "or a number from 1 to 255");
	REQUIRE(p)->has_proto = true;
	return 0;
}

KEY(require_port)
{
	return value_ports(v, REQUIRE(p)->port, &REQUIRE(p)->port_count, e);
}

KEY(require_sport)
{
	return value_ports(v, REQUIRE(p)->sport, &REQUIRE(p)->sport_count, e);
}

KEY(require_child)
{
	return value_child(v, &REQUIRE(p)->conn, &REQUIRE(p)->child, e);
}

KEY(require_space)
{
	return value_name(v, &REQUIRE(p)->space, e);
}

KEY(space_netns)
{
	if (p->host)
		return error_set(e, -EINVAL, CONFIG_CODE,
				 "\"%s\": the space \"host\" is the daemon's own namespace: netns= "
				 "cannot be set",
				 v);
	return value_netns(v, &SPACE(p)->netns, e);
}

KEY(space_vici)
{
	return value_vici(v, &SPACE(p)->vici, e);
}

KEY(space_default_block)
{
	SPACE(p)->has_default_block = true;
	return value_default_block(v, &SPACE(p)->default_block, e);
}

static const struct key {
	enum config_section section;
	const char *name;
	int (*set)(struct config_parser *p, const char *value, struct error *e);
} keys[] = {
	{SECTION_DAEMON, "control", daemon_control},
	{SECTION_DAEMON, "group", daemon_group},
	{SECTION_DAEMON, "pin", daemon_pin},
	{SECTION_DAEMON, "log-level", daemon_log_level},
	{SECTION_DAEMON, "policies-max", daemon_policies_max},
	{SECTION_DAEMON, "sas-max", daemon_sas_max},
	{SECTION_DAEMON, "routes-max", daemon_routes_max},
	{SECTION_DAEMON, "default-block", daemon_default_block},
	{SECTION_IKE, "vici", ike_vici},
	{SECTION_IKE, "trigger", ike_trigger},
	{SECTION_IKE, "timeout", ike_timeout},
	{SECTION_IKE, "backoff", ike_backoff},
	{SECTION_IKE, "require-children", ike_require_children},
	{SECTION_GATE, "cgroup", gate_cgroup},
	{SECTION_REQUIRE, "to", require_to},
	{SECTION_REQUIRE, "from", require_from},
	{SECTION_REQUIRE, "proto", require_proto},
	{SECTION_REQUIRE, "port", require_port},
	{SECTION_REQUIRE, "sport", require_sport},
	{SECTION_REQUIRE, "child", require_child},
	{SECTION_REQUIRE, "space", require_space},
	{SECTION_SPACE, "netns", space_netns},
	{SECTION_SPACE, "vici", space_vici},
	{SECTION_SPACE, "default-block", space_default_block},
};

#define KEY_COUNT (sizeof(keys) / sizeof(keys[0]))
_Static_assert(KEY_COUNT <= 32, "config_parser.keys has a bit for each");

static int twice(struct config_parser *p, const char *key)
{
	return parser_error(p, -EINVAL, p->line, "%s= is there twice in its section", key);
}

static struct gate_config *open_settings(struct config_parser *p)
{
	if (p->section == SECTION_DEFAULTS)
		return &p->c->defaults;
	return p->section == SECTION_GATE ? &GATE(p)->settings : NULL;
}

static int set_setting(struct config_parser *p, struct gate_config *g, const char *key,
		       const char *value)
{
	uint32_t before = g->set;
	struct error why;

	for (int s = 0; s < SETTING_COUNT; s++)
		if (!strcmp(config_setting_key(s), key) && before & 1u << s)
			return twice(p, key);
	if (config_settings_set(g, key, value, &why) < 0)
		return parser_error(p, -EINVAL, p->line, "%s", why.message);
	return 0;
}

static int unknown_key(struct config_parser *p, const char *key)
{
	char known[240] = "";
	size_t n = 0;

	for (size_t i = 0; i < KEY_COUNT; i++)
		if (keys[i].section == p->section)
			n += snprintf(known + n, sizeof(known) - n, " %s", keys[i].name);
	for (int s = 0; open_settings(p) && s < SETTING_COUNT; s++)
		n += snprintf(known + n, sizeof(known) - n, " %s", config_setting_key(s));
	return parser_error(p, -EINVAL, p->line,
			    "%s: no such key in this section, expected one of%s", key, known);
}

static int set_key(struct config_parser *p, size_t i, const char *value)
{
	struct error why = {};
	int r;

	if (p->keys & 1u << i)
		return twice(p, keys[i].name);
	p->keys |= 1u << i;
	r = keys[i].set(p, value, &why);
	if (r == -ENOMEM)
		return parser_error(p, r, p->line, "no memory");
	return r < 0 ? parser_error(p, r, p->line, "%s=%s", keys[i].name, why.message) : 0;
}

int parser_key(struct config_parser *p, const char *key, const char *value)
{
	struct gate_config *g = open_settings(p);

	if (p->section == SECTION_COUNT)
		return parser_error(p, -EINVAL, p->line, "%s= stands before the first [SECTION]",
				    key);
	if (!value[0])
		return parser_error(p, -EINVAL, p->line,
				    "%s= has no value: give one, or leave the key out", key);
	if (strstr(value, " #") || strstr(value, "\t#"))
		return parser_error(p, -EINVAL, p->line,
				    "%s=\"%s\": a comment behind a value begins with ;", key,
				    value);
	for (size_t i = 0; i < KEY_COUNT; i++)
		if (keys[i].section == p->section && !strcmp(keys[i].name, key))
			return set_key(p, i, value);
	for (int s = 0; g && s < SETTING_COUNT; s++)
		if (!strcmp(config_setting_key(s), key))
			return set_setting(p, g, key, value);
	return unknown_key(p, key);
}
