/* SPDX-License-Identifier: GPL-2.0-only */
/* Policies and SAs, as they are drawn and installed. Ports and SPIs in host order. */
#ifndef ORACLE_XFRM_H
#define ORACLE_XFRM_H

#include <stdio.h>

#include "addr.h"

#define TMPLS	   3
#define PCPU_ANY   0xffffffffU
#define SA_DIR_IN  1
#define SA_DIR_OUT 2

struct sel {
	int family;
	struct addr src, dst;
	uint8_t src_len, dst_len, proto;
	uint16_t sport, sport_mask, dport, dport_mask;
	int dev;
};

struct tmpl {
	int family;
	struct addr src, dst;
	uint8_t proto, mode;
	uint32_t reqid, spi;
	bool optional;
};

struct policy {
	struct sel sel;
	bool sub, block;
	uint32_t prio, mark, mask, if_id;
	uint32_t index;	     /* chosen, 0: by the kernel */
	uint32_t prio_added; /* before it was updated, see `updated` */
	bool updated;
	int tmpls;
	struct tmpl tmpl[TMPLS];
};

struct sa {
	int family;
	struct addr src, dst;
	uint8_t proto, mode;
	uint32_t spi, reqid, mark, mask, if_id;
	bool has_sel, unspec; /* unspec: XFRM_STATE_AF_UNSPEC */
	struct sel sel;
	uint8_t dir;   /* XFRMA_SA_DIR, 0: not said */
	uint32_t pcpu; /* PCPU_ANY: of none */
	bool larval;   /* ALLOCSPI: no key */
	bool wildrecv;
	bool soft, hard; /* that lifetime has ended: xfrm_wait_expired() */
	int twin;	 /* the SA that it is a copy of but for the SPI, -1: of none */
};

/* A [require] section: a protocol or 0, a destination port or 0. */
struct require {
	int family;
	struct addr to;
	int len;
	uint8_t proto;
	uint16_t port;
};

/* Each returns 0 or the kernel's -errno. */
int xfrm_policy_add(const struct policy *p, bool update);
int xfrm_sa_add(struct sa *sa); /* larval: the kernel chooses the SPI */
/* Waits until the kernel has ended it: a hard lifetime's timer runs after a second. */
void xfrm_wait_expired(const struct sa *sa);
int xfrm_default(bool block); /* of output */
void xfrm_flush(void);

/* One line each, close to what ip(8) takes. */
void xfrm_policy_print(FILE *out, const struct policy *p);
void xfrm_sa_print(FILE *out, const struct sa *sa);

#endif
