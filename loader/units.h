/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Text forms of the units that the configuration, the command line and the output share: durations,
 * errno names, protocols, addresses, endpoints, prefixes. Pure: no I/O, no logs, no allocation.
 *
 * Parsers take a whole string: leading or trailing bytes that do not belong are refused. They
 * return 0 or -EINVAL with *e (may be NULL) naming the text and what is expected; on failure the
 * outputs are untouched. Formatters write a string that the parser of the same name reads back,
 * cut to `size` if it does not fit (UNITS_TEXT is always enough), and return `buf`.
 *
 * Addresses are in network byte order, IPv4 in word 0 with the rest zero, as in abi.h.
 */
#ifndef SAGATE_UNITS_H
#define SAGATE_UNITS_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

#define UNITS_TEXT 64

/*
 * Durations are a whole number and a unit: ms, s, m, h (30s, 500ms, 2m, 1h). A number without a
 * unit is refused, "0" excepted, which means none. At most 365 days. In nanoseconds.
 */
int duration_parse(const char *text, uint64_t *ns, struct error *e);
/* "1s..60s": two durations, the first not 0 and not above the second. */
int duration_range_parse(const char *text, uint64_t *low, uint64_t *high, struct error *e);
/* In the largest unit that is exact; a rest below a millisecond is cut off. */
char *duration_format(uint64_t ns, char *buf, size_t size);

/* The errnos a refused connect() or send may have. X(NAME). Only these are accepted. */
#define UNITS_ERRNOS(X)                                                                            \
	X(EPERM)                                                                                   \
	X(EINTR)                                                                                   \
	X(EIO)                                                                                     \
	X(ENXIO)                                                                                   \
	X(EAGAIN)                                                                                  \
	X(ENOMEM)                                                                                  \
	X(EACCES)                                                                                  \
	X(EBUSY)                                                                                   \
	X(EPIPE)                                                                                   \
	X(ENOBUFS)                                                                                 \
	X(EADDRNOTAVAIL)                                                                           \
	X(ENETDOWN)                                                                                \
	X(ENETUNREACH)                                                                             \
	X(ECONNABORTED)                                                                            \
	X(ECONNRESET)                                                                              \
	X(ETIMEDOUT)                                                                               \
	X(ECONNREFUSED)                                                                            \
	X(EHOSTDOWN)                                                                               \
	X(EHOSTUNREACH)                                                                            \
	X(ENOKEY)                                                                                  \
	X(EKEYREJECTED)

/* A name of the list, in capitals. *number is positive. */
int errno_parse(const char *text, int *number, struct error *e);
/* The name of a positive or negative errno of the list; NULL when it is not there. */
const char *errno_name(int number);

/*
 * X(NAME, number): the protocols that have a name here, that of /etc/protocols where it has one;
 * the others are written as numbers.
 */
#define UNITS_PROTOS(X)                                                                            \
	X("tcp", 6)                                                                                \
	X("udp", 17)                                                                               \
	X("icmp", 1)                                                                               \
	X("icmpv6", 58)                                                                            \
	X("sctp", 132)                                                                             \
	X("igmp", 2)                                                                               \
	X("udplite", 136)                                                                          \
	X("dccp", 33)                                                                              \
	X("gre", 47)                                                                               \
	X("esp", 50)                                                                               \
	X("ah", 51)                                                                                \
	X("ospf", 89)                                                                              \
	X("pim", 103)                                                                              \
	X("vrrp", 112)                                                                             \
	X("l2tp", 115)

/* "tcp, udp, …, ", for what is said of them */
#define UNITS_PROTO_LISTED(name, number) name ", "
#define UNITS_PROTO_LIST		 UNITS_PROTOS(UNITS_PROTO_LISTED)

/* A name of the list, in small letters, or a number 0 … 255. */
int proto_parse(const char *text, uint8_t *proto, struct error *e);
char *proto_format(uint8_t proto, char *buf, size_t size);

struct endpoint {
	__be32 addr[4];
	uint8_t family; /* AF_INET or AF_INET6 */
	bool has_port;
	__be16 port; /* only with has_port; never 0 */
};

/*
 * Ports are decimal, 1 … 65535, without leading zeros. 0 is refused: a selector without a port is
 * written without one.
 */
int port_parse(const char *text, __be16 *port, struct error *e);
/*
 * Ports under a mask, both not 0: "443", "1024-2047" when it is a range's, else "3/0x00ff" (whose
 * upper half may be any).
 */
char *ports_format(__be16 port, __be16 mask, char *buf, size_t size);
/* "192.0.2.1" or "2001:db8::1": no brackets, no scope (%eth0), IPv4 in four decimal parts. */
int addr_parse(const char *text, uint8_t *family, __be32 addr[4], struct error *e);
char *addr_format(uint8_t family, const __be32 addr[4], char *buf, size_t size);
/* "v4", "v4:port", "v6", "[v6]", "[v6]:port". */
int endpoint_parse(const char *text, struct endpoint *out, struct error *e);
char *endpoint_format(const struct endpoint *endpoint, char *buf, size_t size);

struct prefix {
	__be32 addr[4]; /* masked */
	uint8_t family;
	uint8_t len;
};

bool prefix_equal(const struct prefix *a, const struct prefix *b);

/* "10.0.0.0/8" or an address alone (then /32 or /128). Bits set behind the length are refused. A
 * v4-mapped prefix of 96 bits or more is read as the IPv4 one that it stands for. */
int prefix_parse(const char *text, struct prefix *out, struct error *e);
/* Always with the length. */
char *prefix_format(const struct prefix *prefix, char *buf, size_t size);
/* Zeroes the bits of addr behind len (0 … 32 or 128). */
void addr_mask(uint8_t family, uint8_t len, __be32 addr[4]);
bool prefix_contains(const struct prefix *prefix, uint8_t family, const __be32 addr[4]);

#endif
