/* SPDX-License-Identifier: GPL-2.0-only */
/* Does what explain said agree with what the kernel did? */
#ifndef ORACLE_JUDGE_H
#define ORACLE_JUDGE_H

#include <jansson.h>

#include "flow.h"
#include "wire.h"

#define SEEN_MAX 16

/* What the kernel did with one call. */
struct outcome {
	int err; /* of the call, positive */
	/*
	 * ICMPv6 errors that this host made meanwhile: what was sent went no further than a device
	 * that could not send it. The error itself may be protected, and be seen.
	 */
	unsigned long errors;
	int count;
	struct seen seen[SEEN_MAX];
};

enum did { DID_PROTECT, DID_CLEAR, DID_BLOCK, DID_REFUSE, DID_NOTHING, DID_COUNT };

/* The verdicts, and in front of them: not known. */
enum said { SAID_UNKNOWN, SAID_WAIT, SAID_DENY, SAID_CLEAR, SAID_PROTECTED, SAID_COUNT };

enum did judge_did(const struct call *c, const struct outcome *o);
enum said judge_said(const json_t *answer);

/* NULL when they agree, else what is wrong. */
const char *judge(const struct world *w, const struct call *c, const json_t *answer,
		  const struct outcome *o);

extern const char *const did_names[DID_COUNT];
extern const char *const said_names[SAID_COUNT];

#endif
