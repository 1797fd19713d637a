/* SPDX-License-Identifier: GPL-2.0-only */
/* What the bridge tells of an IKE daemon, looked at. */
#ifndef FUZZ_TOLD_H
#define FUZZ_TOLD_H

#include "check.h"

/* A text that is handed out: one line, printable, ended; or none. */
static inline void check_text(const char *text)
{
	for (; text && *text; text++)
		check(*text >= ' ' && *text <= '~');
}

static inline void on_alert(void *ctx, const char *conn, const char *type, const char *text)
{
	(void)ctx;
	check_text(conn);
	check_text(type);
	check_text(text);
}

static inline void on_updown(void *ctx, const char *conn, const char *child, bool up,
			     uint32_t reqid)
{
	(void)ctx, (void)up, (void)reqid;
	check_text(conn);
	check_text(child);
}

#endif
