/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The state of a container as a runtime gives it to its hooks on standard input (OCI runtime-spec,
 * runtime.md "State"): read with bounds, checked, and what of it is meant for sagate. Hostile until
 * it is checked: whoever may create a container writes some of it.
 */
#ifndef SAGATE_OCI_STATE_H
#define SAGATE_OCI_STATE_H

#include <stdbool.h>
#include <sys/types.h>
#include <jansson.h>

#include "config.h"
#include "error.h"

#define OCI_STATE_MAX  (1024 * 1024)
#define OCI_ID_MAX     255
#define OCI_ANNOTATION "org.sagate."

struct oci_state {
	char id[OCI_ID_MAX + 1];
	pid_t pid;			/* 0: it has ended */
	bool ended;			/* stopped: the gate is to go; else creating or created */
	bool wanted;			/* it has one of our annotations */
	char gate[CONFIG_NAME_MAX + 1]; /* org.sagate.gate, or the id */
	json_t *settings;		/* {KEY: value}: the other annotations, checked */
};

/*
 * Reads all of `fd`, at most OCI_STATE_MAX bytes within `seconds`. malloc'd text in *text.
 * -EMSGSIZE, -ETIMEDOUT … with *e.
 */
int oci_state_read(int fd, unsigned int seconds, char **text, size_t *len, struct error *e);

/*
 * Takes it apart. Without an annotation of ours only `wanted` is set, to false: what else is in it
 * is not looked at. -EINVAL with *e: of *out the id is set, for a message, if the state has a valid
 * one, nothing else, and nothing is to be freed.
 */
int oci_state_parse(const char *text, size_t len, struct oci_state *out, struct error *e);
void oci_state_free(struct oci_state *s);

#endif
