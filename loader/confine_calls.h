/* SPDX-License-Identifier: GPL-2.0-only */
/* The filter of system calls, for confine.c alone. */
#ifndef SAGATE_CONFINE_CALLS_H
#define SAGATE_CONFINE_CALLS_H

#include "confine.h"

/* Installs the filter for good: 0 or -errno. */
int confine_calls(enum confined who);

#endif
