/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The system's names of protocols and services, with a small cache, because a
 * listing asks for the same few again and again.
 *
 * charon prints the name that its own name service gives a number, so a name
 * only counts here if it leads back to itself. Reads files the first time a
 * name is asked for.
 */
#ifndef IKE_TS_NAMES_H
#define IKE_TS_NAMES_H

#include "ts.h"

enum { TS_NAMES_CACHE = 64, TS_NAMES_LEN = 32 };

struct ts_names_system {
	struct ts_names names; /* hand this to ts_parse() */
	unsigned int n;
	struct {
		char name[TS_NAMES_LEN];
		int key; /* protocol of a service, -1 of a protocol */
		int value;
	} cache[TS_NAMES_CACHE];
};

/* *s must not move afterwards. Another call forgets the cache. */
void ts_names_system_init(struct ts_names_system *s);

#endif
