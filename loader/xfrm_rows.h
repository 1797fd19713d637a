/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The entries of a table in the order they are shown in, for a reader that takes them one by one
 * while the table changes: noted by what tells them apart, 12 bytes a policy and 32 an SA, and
 * looked up when they are taken. One that went meanwhile is left out, one that changed is shown as
 * it is then, one that came is not shown.
 */
#ifndef SAGATE_XFRM_ROWS_H
#define SAGATE_XFRM_ROWS_H

#include <jansson.h>

#include "sad.h"
#include "spd.h"

struct xfrm_rows {
	void *row; /* owned */
	size_t count, next;
};

/*
 * Policies in the order they are looked up (not the requirements); SAs by destination and SPI. 0
 * or -ENOMEM with *rows untouched.
 */
int xfrm_rows_of_spd(const struct spd *spd, struct xfrm_rows *rows);
int xfrm_rows_of_sad(const struct sad *sad, struct xfrm_rows *rows);
void xfrm_rows_free(struct xfrm_rows *rows);

/*
 * The next one that still stands: 1 with a new reference in *one, 0 at the end, -ENOMEM. The table
 * must be the one that they were noted of, or its successor.
 */
int xfrm_rows_next_policy(struct xfrm_rows *rows, const struct spd *spd, json_t **one);
int xfrm_rows_next_sa(struct xfrm_rows *rows, const struct sad *sad, json_t **one);

#endif
