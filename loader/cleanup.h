/* SPDX-License-Identifier: GPL-2.0-only */
/* Cleanup attributes: what a function acquired goes when it returns, unless it is taken. */
#ifndef SAGATE_CLEANUP_H
#define SAGATE_CLEANUP_H

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline void cleanup_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* `p` points to a pointer of whatever type. */
static inline void cleanup_free(void *p)
{
	void *owned;

	memcpy(&owned, p, sizeof(owned));
	free(owned);
}

#define _cleanup_(f)	__attribute__((cleanup(f)))
#define _cleanup_close_ _cleanup_(cleanup_close)
#define _cleanup_free_	_cleanup_(cleanup_free)

/* Takes ownership out of a variable with a cleanup. */
#define TAKE_FD(fd)                                                                                \
	({                                                                                         \
		int taken_ = (fd);                                                                 \
		(fd) = -1;                                                                         \
		taken_;                                                                            \
	})
#define TAKE_PTR(p)                                                                                \
	({                                                                                         \
		__typeof__(p) taken_ = (p);                                                        \
		(p) = NULL;                                                                        \
		taken_;                                                                            \
	})

#endif
