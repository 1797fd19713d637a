/* SPDX-License-Identifier: GPL-2.0-only */
/* The clock of everything that decides: it goes on in suspend and nobody can set it. */
#ifndef SAGATE_BOOT_TIME_H
#define SAGATE_BOOT_TIME_H

#include <stdint.h>
#include <time.h>

/* Nanoseconds of CLOCK_BOOTTIME, as bpf_ktime_get_boot_ns(). */
static inline uint64_t boot_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

#endif
