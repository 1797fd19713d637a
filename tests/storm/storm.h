/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * storm: changes the SPD and SAD of one network namespace as fast as it can, then looks whether
 * sagate's mirror is what the kernel has. It shares no code with the mirror: the kernel is read
 * with a dump of its own, the mirror by what it shows (control socket) and by its maps, whose
 * layout is include/abi.h.
 */
#ifndef STORM_H
#define STORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>
#include <linux/netlink.h>
#include <linux/xfrm.h>

#define STORM_TMPLS_MAX 6   /* the kernel's XFRM_MAX_DEPTH */
#define STORM_PROTO_ANY 255 /* its IPSEC_PROTO_ANY */

/* ---- random numbers: the same for the same seed, everywhere */

extern uint64_t storm_seed;
uint32_t storm_random(void);
uint32_t storm_below(uint32_t n);	     /* 0 … n - 1 */
bool storm_chance(unsigned int of_thousand); /* in so many of a thousand cases */

/* ---- netlink (nl.c); every failure that must not be ends the program */

__attribute__((noreturn, format(printf, 1, 2))) void storm_die(const char *fmt, ...);
double storm_now(void); /* seconds of CLOCK_MONOTONIC */

/* A row of requests, sent together. */
struct batch {
	int fd;
	size_t len;
	struct nlmsghdr *msg; /* the one being built */
	uint64_t sent, failed;
	int last_error; /* positive errno of the last that failed */
	_Alignas(8) char bytes[48 * 1024];
};

int storm_nl_socket(void);
void batch_open(struct batch *b);
/* Begins a request with a body of `size` bytes, zeroed; returns the body. */
void *batch_add(struct batch *b, uint16_t type, uint16_t flags, size_t size);
/* Adds an attribute to it; returns its zeroed payload, filled from `data` if that is not NULL. */
void *batch_attr(struct batch *b, uint16_t type, const void *data, size_t len);
/* Sends what there is. The kernel has done all of it when this returns. */
void batch_send(struct batch *b);

/* Calls `each` for every message of a dump. Returns how many. */
size_t storm_dump(uint16_t type, void (*each)(void *ctx, const struct nlmsghdr *msg), void *ctx);
/* 1: the default for output is block, 0: not. */
int storm_default_block(void);
/* An attribute's payload behind a body of `size` bytes, or NULL. */
const void *storm_attr(const struct nlmsghdr *msg, size_t size, uint16_t type, size_t *len);

/* ---- changes (ops.c, ops_policy.c) */

enum storm_kind {
	KIND_SA = 1,
	KIND_POLICY = 2,
	KIND_FLUSH = 4,
	KIND_MIGRATE = 8,
	KIND_DEFAULT = 16,
	KIND_SHORT = 32, /* SAs that end after a second or two */
};

/* Removes what stands. */
void ops_clear(struct batch *b);
/* One random change of one of these kinds, appended. */
void ops_one(struct batch *b, unsigned int kinds);
void ops_policy(struct batch *b);
void ops_policy_flush(struct batch *b);
void ops_policy_flushed(uint8_t type); /* all of that type are gone */
void ops_migrate(struct batch *b);

/* ---- what the kernel has, and what the mirror has */

struct strings {
	char **at;
	size_t count, size;
};

void strings_add(struct strings *s, char *one); /* takes it */
void strings_sort(struct strings *s);
void strings_free(struct strings *s);
/* Prints what is in one only, at most `max` lines; returns how many there are. */
size_t strings_compare(const struct strings *kernel, const struct strings *other, const char *name,
		       size_t max);

/* One SA or policy of the kernel, as a dump tells it. */
struct kernel_sa {
	struct xfrm_usersa_info info;
	struct xfrm_mark mark;
	uint32_t if_id;
	bool usable; /* a flow going out may be given it */
	bool dir_in;
};

struct kernel_policy {
	struct xfrm_userpolicy_info info;
	struct xfrm_mark mark;
	uint32_t if_id;
	uint8_t type;
	size_t tmpls;
	struct xfrm_user_tmpl tmpl[STORM_TMPLS_MAX];
};

struct kernel {
	struct kernel_sa *sa;
	struct kernel_policy *policy;
	size_t sas, policies;
	bool default_block;
	struct strings shown_sas, shown_policies; /* as `sagate show` would, by our own reading */
	double seconds;				  /* that the dumps took */
};

/* Larval SAs, policies of sockets and of other directions than out are left out. */
void kernel_read(struct kernel *k);
void kernel_free(struct kernel *k);
/* As JSON text, with the names of `ip xfrm` (kernel_json.c). */
char *kernel_sa_json(const struct kernel_sa *sa, const struct nlmsghdr *msg);
char *kernel_policy_json(const struct kernel_policy *p);

/* What `sagate show` has of one space, brought into the same form (shown.c). */
void shown_read(const char *control, const char *what, const char *space, struct strings *s);
/* One number of the space's status, such as "overruns". */
json_int_t shown_number(const char *control, const char *space, const char *key);

/* The maps (maps.c). */
struct maps;
struct maps *maps_open(const char *pin); /* of the namespace we are in */
/*
 * The number of the last change of the space's maps, 0 while the space is not in step. Costs
 * nothing, so that the daemon has the processor.
 */
uint64_t maps_change(const struct maps *m);
/* Seconds since the daemon's last heartbeat. */
double maps_heartbeat_age(const struct maps *m);
/* Compares them with the kernel; prints at most `max` lines, returns how many differ. */
size_t maps_compare(struct maps *m, const struct kernel *k, size_t max);

#endif
