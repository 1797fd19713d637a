// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config.h"
#include "abi.h"
#include "config_value.h"

#define SETTING_KEY(n, key, values, fallback)	  [SETTING_##n] = key,
#define SETTING_DEFAULT(n, key, values, fallback) [SETTING_##n] = fallback,
#define SETTING_LIST(n, key, values, fallback)	  " " key
#define MODE_NAME(n, s)				  [MODE_##n] = s,
#define NONBLOCKING_NAME(n, s)			  [NONBLOCKING_##n] = s,

#define HOLD_TIMEOUT_MIN 10000000ULL	  /* 10 ms */
#define HOLD_TIMEOUT_MAX 3600000000000ULL /* 1 h */

static const char *const keys[] = {SAGATE_SETTINGS(SETTING_KEY)};
static const char *const defaults[] = {SAGATE_SETTINGS(SETTING_DEFAULT)};
static const char *const modes[] = {SAGATE_MODES(MODE_NAME)};
static const char *const nonblockings[] = {SAGATE_NONBLOCKINGS(NONBLOCKING_NAME)};

/* One of a list of names; `expected` has them in words. */
static int name_index(const char *const names[], int count, const char *value, const char *expected,
		      struct error *e)
{
	for (int i = 0; i < count; i++)
		if (!strcmp(names[i], value))
			return i;
	return value_expected(e, value, expected);
}

static int set_mode(struct gate_config *g, const char *value, struct error *e)
{
	int i = name_index(modes, MODE_COUNT, value, "reject, hold or audit", e);

	if (i >= 0)
		g->mode = i;
	return i < 0 ? i : 0;
}

static int set_nonblocking(struct gate_config *g, const char *value, struct error *e)
{
	int i = name_index(nonblockings, NONBLOCKING_COUNT, value, "hold, reject or queue", e);

	if (i >= 0)
		g->hold_nonblocking = i;
	return i < 0 ? i : 0;
}

static int set_errno(int *number, const char *value, struct error *e)
{
	if (errno_parse(value, number, NULL) < 0)
		return value_expected(e, value,
				      "an errno a refused call may have: EAGAIN, EACCES, EPERM, "
				      "EHOSTUNREACH, ECONNREFUSED, ETIMEDOUT …");
	return 0;
}

/* The text is kept: it is shown and sent on as it was written. */
static int set_time(uint64_t *time, char *text, size_t size, const char *value, struct error *e)
{
	int err = value_duration(value, HOLD_TIMEOUT_MIN, HOLD_TIMEOUT_MAX, time, e);

	if (!err)
		snprintf(text, size, "%s", value);
	return err;
}

static int set_max(uint32_t *number, char text[8], uint32_t most, const char *value,
		   struct error *e)
{
	int err = value_number(value, most, number, e);

	if (!err)
		snprintf(text, 8, "%u", *number);
	return err;
}

static int set_setting(struct gate_config *g, enum setting s, const char *value, struct error *e)
{
	switch (s) {
	case SETTING_MODE:
		return set_mode(g, value, e);
	case SETTING_NO_POLICY:
		return value_choice(value, "allow", "deny", &g->allow_no_policy, e);
	case SETTING_STALE:
		return value_choice(value, "open", "closed", &g->stale_open, e);
	case SETTING_ERRNO_WAITING:
		return set_errno(&g->errno_waiting, value, e);
	case SETTING_ERRNO_FAILED:
		return set_errno(&g->errno_failed, value, e);
	case SETTING_ERRNO_DENIED:
		return set_errno(&g->errno_denied, value, e);
	case SETTING_SPD:
		return value_choice(value, "host", "own", &g->spd_host, e);
	case SETTING_HOLD_TIMEOUT:
		return set_time(&g->hold_timeout, g->hold_timeout_text,
				sizeof(g->hold_timeout_text), value, e);
	case SETTING_HOLD_NONBLOCKING:
		return set_nonblocking(g, value, e);
	case SETTING_HOLD_NONBLOCKING_TIMEOUT:
		return set_time(&g->hold_nonblocking_timeout, g->hold_nonblocking_timeout_text,
				sizeof(g->hold_nonblocking_timeout_text), value, e);
	case SETTING_HOLD_MAX:
		return set_max(&g->hold_max, g->hold_max_text, HOLDS_MAX, value, e);
	case SETTING_NEGOTIATIONS_MAX:
		return set_max(&g->negotiations_max, g->negotiations_max_text, NEGOTIATIONS_MAX,
			       value, e);
	case SETTING_GUARD:
		return value_choice(value, "off", "on", &g->guard_off, e);
	case SETTING_ON_LOSS:
		return value_choice(value, "close", "keep", &g->close_on_loss, e);
	case SETTING_COUNT:
		break;
	}
	return -EINVAL;
}

void config_settings_init(struct gate_config *g)
{
	*g = (struct gate_config){};
	for (int s = 0; s < SETTING_COUNT; s++)
		set_setting(g, s, defaults[s], NULL);
}

int config_settings_set(struct gate_config *g, const char *key, const char *value, struct error *e)
{
	struct error why;

	for (int s = 0; s < SETTING_COUNT; s++) {
		if (strcmp(keys[s], key))
			continue;
		if (set_setting(g, s, value, &why) < 0)
			return error_set(e, -EINVAL, CONFIG_SETTINGS_CODE, "%s=%s", key,
					 why.message);
		g->set |= 1u << s;
		return 0;
	}
	return error_set(e, -EINVAL, CONFIG_SETTINGS_CODE, "%s: no such setting, expected one of%s",
			 key, SAGATE_SETTINGS(SETTING_LIST));
}

void config_settings_merge(struct gate_config *g, const struct gate_config *over)
{
	for (int s = 0; s < SETTING_COUNT; s++)
		if (over->set & 1u << s)
			set_setting(g, s, config_setting_value(over, s), NULL);
	g->set |= over->set;
}

const char *config_setting_key(enum setting s)
{
	return keys[s];
}

const char *config_setting_value(const struct gate_config *g, enum setting s)
{
	switch (s) {
	case SETTING_MODE:
		return modes[g->mode];
	case SETTING_NO_POLICY:
		return g->allow_no_policy ? "allow" : "deny";
	case SETTING_STALE:
		return g->stale_open ? "open" : "closed";
	case SETTING_ERRNO_WAITING:
		return errno_name(g->errno_waiting);
	case SETTING_ERRNO_FAILED:
		return errno_name(g->errno_failed);
	case SETTING_ERRNO_DENIED:
		return errno_name(g->errno_denied);
	case SETTING_SPD:
		return g->spd_host ? "host" : "own";
	case SETTING_HOLD_TIMEOUT:
		return g->hold_timeout_text;
	case SETTING_HOLD_NONBLOCKING:
		return nonblockings[g->hold_nonblocking];
	case SETTING_HOLD_NONBLOCKING_TIMEOUT:
		return g->hold_nonblocking_timeout_text;
	case SETTING_HOLD_MAX:
		return g->hold_max_text;
	case SETTING_NEGOTIATIONS_MAX:
		return g->negotiations_max_text;
	case SETTING_GUARD:
		return g->guard_off ? "off" : "on";
	case SETTING_ON_LOSS:
		return g->close_on_loss ? "close" : "keep";
	case SETTING_COUNT:
		break;
	}
	return NULL;
}
