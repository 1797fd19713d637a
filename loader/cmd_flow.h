/* SPDX-License-Identifier: GPL-2.0-only */
/* The flow of a command line, for commands that ask the daemon about one: PROTO DST[:PORT]. */
#ifndef SAGATE_CMD_FLOW_H
#define SAGATE_CMD_FLOW_H

#include "cmd.h"
#include "units.h"

#define CLI_FLOW_ARGS "PROTO DST[:PORT]"

#define CLI_PROTO_WORD(name, number) name " "
#define CLI_FLOW_WORDS		     UNITS_PROTOS(CLI_PROTO_WORD)

#define CLI_FLOW_OPTIONS                                                                           \
	{"--from", "[SRC][:PORT]", false,                                                          \
	 "the socket's address and port; default: what routing chooses"},                          \
		{"--mark", "M", false, "the socket's SO_MARK"},                                    \
		{"--dev", "D", false, "the device it is bound to"},                                \
		{"--netns", "NAME|PATH|PID", false,                                                \
		 "its network namespace; default: the caller's"},                                  \
	{                                                                                          \
		"--gate", "NAME", false, "with the settings of this gate"                          \
	}

/* Puts it into `args`, as the daemon's explain and wait take it. CLI_DONE, or the status reported.
 */
int cli_flow(const struct cli *cli, json_t *args);

/* The exit status of an answer. One that is not understood is no "would pass". */
int cli_flow_status(const json_t *answer);

#endif
