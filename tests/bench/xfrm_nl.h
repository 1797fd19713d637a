/* SPDX-License-Identifier: GPL-2.0-only */
/* Real policies and SAs by the thousand in this namespace, and the least that can read them. */
#ifndef BENCH_XFRM_NL_H
#define BENCH_XFRM_NL_H

#include <stdbool.h>
#include <stddef.h>

/* An XFRM netlink socket that blocks. Ends the program when there can be none. */
int xfrm_open(void);

/* Policy i (outbound, one template, host to host) or SA i is made or removed; no answer is read. */
void xfrm_policy(int fd, bool add, unsigned int i);
void xfrm_sa(int fd, bool add, unsigned int i);

/* Whether this kernel can have SAs at all. */
bool xfrm_has_esp(void);

/* Reads both dumps to their end and does nothing with them but call `each` (may be NULL). */
size_t xfrm_dump(int fd, void (*each)(void *ctx, const void *msg), void *ctx);

#endif
