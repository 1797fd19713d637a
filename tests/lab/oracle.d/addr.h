/* SPDX-License-Identifier: GPL-2.0-only */
/* Addresses of either family, in network byte order; IPv4 in the first four bytes. */
#ifndef ORACLE_ADDR_H
#define ORACLE_ADDR_H

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

struct addr {
	uint8_t b[16];
};

#define ADDR_TEXT INET6_ADDRSTRLEN

static inline int addr_bits(int family)
{
	return family == AF_INET ? 32 : 128;
}

static inline int addr_size(int family)
{
	return family == AF_INET ? 4 : 16;
}

static inline struct addr addr_of(int family, const char *text)
{
	struct addr a = {{0}};

	inet_pton(family, text, a.b);
	return a;
}

static inline bool addr_is(const struct addr *a, const struct addr *b)
{
	return !memcmp(a, b, sizeof(*a));
}

static inline bool addr_zero(const struct addr *a)
{
	return addr_is(a, &(struct addr){{0}});
}

static inline struct addr addr_masked(struct addr a, int len)
{
	for (int i = 0; i < 16; i++, len -= 8)
		a.b[i] &= len >= 8 ? 0xff : len > 0 ? (uint8_t)(0xff00 >> len) : 0;
	return a;
}

static inline const char *addr_text(int family, const struct addr *a, char out[ADDR_TEXT])
{
	return inet_ntop(family, a->b, out, ADDR_TEXT);
}

#endif
