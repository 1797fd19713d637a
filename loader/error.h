/* SPDX-License-Identifier: GPL-2.0-only */
/* An error for a person and for a program: what was wrong with which object, and what to do. */
#ifndef SAGATE_ERROR_H
#define SAGATE_ERROR_H

struct error {
	char code[32];	   /* for programs: "no-such-cgroup", "bad-request" … */
	char message[480]; /* object, cause, next step; one line, without a full stop */
};

/* Fills *e (which may be NULL) and returns `err`, a negative errno, so that it can be returned. */
int error_set(struct error *e, int err, const char *code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

#endif
