/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * hold-nonblocking=queue: with net.core.xfrm_larval_drop=0 the kernel keeps packets whose policy
 * lacks an SA, and sends them when it is there. That is made so while some gate needs it, and taken
 * back after; that it is ours to take back stands in the map, and outlives us. Programs rely on it
 * only while the daemon lives and has seen it so a second ago at most.
 */
#ifndef SAGATE_SPACE_QUEUE_H
#define SAGATE_SPACE_QUEUE_H

#include "space.h"

/* Once a second, and when gates change; of a space that is committed. Logs what it does. */
void space_queue(struct space *s, bool wanted);
/* What somebody took back is set again by the next space_queue(). */
void space_queue_anew(struct space *s);
const char *space_queue_name(enum space_queue queue);

#endif
