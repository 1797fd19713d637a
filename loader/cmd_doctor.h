/* SPDX-License-Identifier: GPL-2.0-only */
/* What `sagate doctor` looks at on this host, without the daemon. */
#ifndef SAGATE_CMD_DOCTOR_H
#define SAGATE_CMD_DOCTOR_H

#include <jansson.h>

/* Appends {check,status,message,hint} to `checks`; status is ok, warn or fail; hint may be NULL. */
void doctor_add(json_t *checks, const char *check, const char *status, const char *message,
		const char *hint);

/* Appends all local checks; `config` NULL: the default configuration. */
void doctor_local(json_t *checks, const char *config);

#endif
