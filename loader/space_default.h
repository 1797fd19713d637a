/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * default-block: the kernel's default policy, for what no policy is for, is kept at block. Set when
 * the space begins, looked at once a second and when the kernel tells of a change, and never set
 * back: stopping must not open anything.
 */
#ifndef SAGATE_SPACE_DEFAULT_H
#define SAGATE_SPACE_DEFAULT_H

#include "space.h"

enum space_default {
	SPACE_DEFAULT_KEPT,	/* nothing had to be done, or nothing is wanted */
	SPACE_DEFAULT_RESTORED, /* somebody had set it otherwise: it is block again */
	SPACE_DEFAULT_FAILED,	/* it is not what it is to be: s->default_open */
};

/* What is wanted from now on (BLOCK_ bits), and at once. Logs. */
void space_default_want(struct space *s, uint8_t bits);
/* Logs what it does. More often than once a second it only looks. */
enum space_default space_default_keep(struct space *s);
void space_default_free(struct space *s);
/* "out, in": empty for none. */
const char *space_default_text(uint8_t bits, char text[16]);

#endif
