/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The configuration as a value: the whole file is read and checked before any of it is used. Text
 * is owned by the config; durations are nanoseconds; addresses and ports are in network order.
 */
#ifndef SAGATE_CONFIG_H
#define SAGATE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "reasons.h"
#include "units.h"

#define CONFIG_PATH	     "/etc/sagate/sagate.conf"
#define CONFIG_PIN	     "/sys/fs/bpf/sagate"
#define CONFIG_VICI	     "unix:///run/charon.vici"
#define CONFIG_HOST	     "host" /* the space of the daemon's own network namespace */
#define CONFIG_NAME_MAX	     64	    /* bytes of a name of a gate, requirement or space */
#define CONFIG_LINE_MAX	     198    /* bytes of a line: inih keeps 200 */
#define CONFIG_FILE_MAX	     (1024 * 1024)
#define CONFIG_ENTRIES_MAX   4194304	   /* of a map: its empty table takes 64 MiB */
#define CONFIG_CODE	     "config"	   /* struct error's code for a bad file */
#define CONFIG_SETTINGS_CODE "bad-setting" /* and for a bad KEY=VALUE */

/* What a gate is told. X(NAME, "key", "its values", "default"). */
#define SAGATE_SETTINGS(X)                                                                         \
	X(MODE, "mode", "reject, hold or audit", "reject")                                         \
	X(NO_POLICY, "no-policy", "allow or deny", "allow")                                        \
	X(STALE, "stale", "closed or open", "closed")                                              \
	X(ERRNO_WAITING, "errno-waiting", "an errno", "EAGAIN")                                    \
	X(ERRNO_FAILED, "errno-failed", "an errno", "EHOSTUNREACH")                                \
	X(ERRNO_DENIED, "errno-denied", "an errno", "EACCES")                                      \
	X(SPD, "spd", "own or host", "own")                                                        \
	X(HOLD_TIMEOUT, "hold-timeout", "a time, 10ms to 1h", "30s")                               \
	X(HOLD_NONBLOCKING, "hold-nonblocking", "hold, reject or queue", "hold")                   \
	X(HOLD_NONBLOCKING_TIMEOUT, "hold-nonblocking-timeout", "a time, 10ms to 1h", "2s")        \
	X(HOLD_MAX, "hold-max", "a number, 1 to 32768", "16384")                                   \
	X(NEGOTIATIONS_MAX, "negotiations-max", "a number, 1 to 16384", "1024")                    \
	X(GUARD, "guard", "on or off", "on")                                                       \
	X(ON_LOSS, "on-loss", "keep or close", "keep")

#define CONFIG_ENUM_SETTING(n, key, values, fallback) SETTING_##n,
enum setting { SAGATE_SETTINGS(CONFIG_ENUM_SETTING) SETTING_COUNT };

struct gate_config {
	uint32_t set; /* 1 << enum setting: given by name; the others hold the defaults */
	enum mode mode;
	bool allow_no_policy;
	bool stale_open;
	bool spd_host;	   /* ask the SPD of the space "host", not of the caller's namespace */
	int errno_waiting; /* positive */
	int errno_failed;
	int errno_denied;
	enum nonblocking hold_nonblocking;
	bool guard_off;
	bool close_on_loss;
	uint64_t hold_timeout, hold_nonblocking_timeout;
	uint32_t hold_max;
	uint32_t negotiations_max;
	char hold_max_text[8], negotiations_max_text[8];
	char hold_timeout_text[32], hold_nonblocking_timeout_text[32]; /* as it was written */
};

enum ike_trigger { TRIGGER_VICI, TRIGGER_ACQUIRE };

struct config_gate {
	char *name;
	char *cgroup; /* as written, without a slash at its end */
	struct gate_config settings;
	unsigned int line;
};

/* Directions of default-block=. */
enum { BLOCK_OUT = 1, BLOCK_IN = 2, BLOCK_FWD = 4 };

#define CONFIG_LIST_MAX 16 /* addresses or port ranges of one key */

struct config_ports {
	uint16_t from, to; /* host order, inclusive */
};

struct config_require {
	char *name;
	struct prefix to[CONFIG_LIST_MAX];	    /* all of one family, that of from[], too */
	struct prefix from[CONFIG_LIST_MAX];	    /* none: any */
	struct config_ports port[CONFIG_LIST_MAX];  /* of the destination; none: any */
	struct config_ports sport[CONFIG_LIST_MAX]; /* of the source; none: any */
	size_t to_count, from_count, port_count, sport_count;
	bool has_proto;
	uint8_t proto; /* only with has_proto; always there when there is a port */
	char *conn;    /* whom to initiate; NULL: found by the traffic selectors */
	char *child;   /* NULL when conn is */
	char *space;   /* "host", or the name of a space of this config */
	unsigned int line;
};

struct config_space {
	char *name;
	char *netns; /* name, path or process id; NULL only for "host" */
	char *vici;  /* path of the socket; NULL: no IKE daemon is known, never so for "host" */
	uint8_t default_block;	/* BLOCK_ bits */
	bool has_default_block; /* given here, not taken from [daemon] */
	unsigned int line;
};

struct config {
	char *control; /* path of the control socket */
	char *group;   /* whose members may look, too; NULL: none */
	char *pin;
	int log_level;				    /* LOG_ERR … LOG_DEBUG */
	uint32_t policies_max, sas_max, routes_max; /* entries of the maps, of all spaces */

	uint8_t default_block; /* BLOCK_ bits, of every space that does not say otherwise */

	enum ike_trigger trigger;
	uint64_t ike_timeout; /* of one negotiation */
	uint64_t backoff_min, backoff_max;
	bool require_children; /* loaded connections' children are requirements */

	struct gate_config defaults;
	struct config_gate *gates;
	size_t gate_count;
	struct config_require *requires;
	size_t require_count;
	struct config_space *spaces; /* the first is "host", in any configuration */
	size_t space_count;
};

/*
 * Reads the file at `path`; NULL stands for CONFIG_PATH, which may be missing: then *out is the
 * defaults. 0 and *out to be freed with config_free(), or -errno with *e naming file, line, key,
 * value and what is expected, *out untouched.
 */
int config_load(const char *path, struct config *out, struct error *e);

/* The same from text; `file` is its name in errors. No I/O. */
int config_parse(const char *file, const char *text, size_t len, struct config *out,
		 struct error *e);

/* Frees what the config owns and zeroes it. A zeroed config is accepted. */
void config_free(struct config *c);

/* Every setting at its built-in default, none marked as set. */
void config_settings_init(struct gate_config *g);

/*
 * Sets one setting by name: config file, attach --set KEY=VALUE, and the control command. 0, or
 * -EINVAL with *e (code bad-setting), *g untouched.
 */
int config_settings_set(struct gate_config *g, const char *key, const char *value, struct error *e);

/* Copies the settings that `over` has set onto *g, and marks them as set there. */
void config_settings_merge(struct gate_config *g, const struct gate_config *over);

/* The key and the present value of a setting, as config_settings_set() takes them. */
const char *config_setting_key(enum setting s);
const char *config_setting_value(const struct gate_config *g, enum setting s);

/* A name for a gate, requirement or space: [A-Za-z0-9._-]{1,64}, not with a dot or '-' in front. */
bool config_name_ok(const char *name);

#endif
