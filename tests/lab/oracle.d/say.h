/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ORACLE_SAY_H
#define ORACLE_SAY_H

/* The harness itself cannot go on: prints why and exits with 2. */
void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
