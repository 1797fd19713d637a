/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One XFRM netlink message → what it says has changed, as a checked value. Pure: no I/O, no log, no
 * allocation, nothing read beyond the given length, and no key is ever copied out of the message.
 *
 * Addresses, ports and SPIs are in network byte order, IPv4 addresses in word 0 with the rest zero;
 * all else in host order. Times are seconds of CLOCK_REALTIME, as the kernel keeps them
 * (xfrm_state_construct: ktime_get_real_seconds).
 */
#ifndef SAGATE_XFRM_MSG_H
#define SAGATE_XFRM_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/xfrm.h>

#include "abi.h"

/* Newer than the linux/xfrm.h of Debian 12. */
#define SAGATE_XFRMA_SA_DIR    33
#define SAGATE_XFRMA_SA_PCPU   35
#define SAGATE_XFRM_MODE_IPTFS 5
#define SAGATE_SA_DIR_IN       1
#define SAGATE_SA_DIR_OUT      2
#define SAGATE_PCPU_ANY	       0xffffffffU
#define SAGATE_PROTO_ANY       255 /* IPSEC_PROTO_ANY: ESP, AH and IPComp */
#define POLICY_TMPLS_MAX       6   /* XFRM_MAX_DEPTH */

struct selector_info {
	__be32 saddr[4], daddr[4]; /* with their host bits, as the kernel keeps them */
	__be16 sport, dport, sport_mask, dport_mask;
	__u32 ifindex; /* 0: any */
	__u8 family;   /* of an SA's selector, 0: it is not compared */
	__u8 proto;    /* 0: any */
	__u8 src_len, dst_len;
};

/* One policy. The tables keep only tmpl_count templates: never copy one as a whole struct. */
struct policy_info {
	struct selector_info sel;
	__u32 index; /* for a requirement, its number */
	__u32 priority;
	__u32 if_id;
	__u32 mark, mark_mask;
	__u8 type;    /* XFRM_POLICY_TYPE_MAIN, _SUB */
	__u8 action;  /* XFRM_POLICY_ALLOW, _BLOCK */
	__u8 flags;   /* XFRM_POLICY_LOCALOK, … */
	__u8 share;   /* XFRM_SHARE_* */
	__u8 sec_ctx; /* 1: it has a security context (dumps only: events do not show it) */
	__u8 tmpl_count;
	__u8 was_trap; /* 1: it had templates that require an SA before (spd.c; in no message) */
	__u8 unplaced; /* 1: index and order do not tell its place among those of its priority */
	__u32 order;   /* lower was inserted before (spd.c; in no message) */
	struct spd_tmpl tmpl[POLICY_TMPLS_MAX]; /* addresses as in the kernel, in any mode */
};

/* Lifetimes of an SA. Seconds: 0 is no limit; bytes, packets: XFRM_INF is no limit. */
struct sa_life {
	__u32 soft_add, hard_add; /* seconds after add_time */
	__u32 soft_use, hard_use; /* seconds after use_time */
	__u64 soft_bytes, hard_bytes;
	__u64 soft_packets, hard_packets;
	__u64 bytes, packets; /* used, when the message was made */
	__u64 add_time;
	__u64 use_time; /* first use, 0: not used */
};

struct sa_info {
	struct selector_info sel;
	__be32 saddr[4], daddr[4];
	__be32 spi;
	__u32 reqid;
	__u32 if_id;
	__u32 mark, mark_mask;
	__u32 pcpu; /* SAGATE_PCPU_ANY: not bound to a CPU */
	__u8 family;
	__u8 proto; /* IPPROTO_ESP, … */
	__u8 mode;  /* XFRM_MODE_* */
	__u8 flags; /* XFRM_STATE_* */
	__u8 dir;   /* 0: not said (before Linux 6.10) */
	__u8 replay_window;
	__u8 xflags;	/* XFRM_SA_XFLAG_* */
	__u8 exhausted; /* 1: no sequence number is left (xfrm_replay_overflow) */
	struct sa_life life;
};

enum change_kind {
	CHANGE_NONE, /* nothing that a mirror keeps */
	CHANGE_POLICY_PUT,
	CHANGE_POLICY_DEL,
	CHANGE_POLICY_EXPIRED, /* hard: the policy is gone */
	CHANGE_POLICY_FLUSH,
	CHANGE_SA_PUT,
	CHANGE_SA_UPDATE, /* the request's copy: see sad_update() */
	CHANGE_SA_DEL,
	CHANGE_SA_SOFT_EXPIRED, /* still in use */
	CHANGE_SA_EXPIRED,	/* hard: the SA is gone */
	CHANGE_SA_FLUSH,
	CHANGE_DEFAULT,
	CHANGE_MIGRATE, /* SAs and policies changed in place: nothing short of a dump tells how */
	CHANGE_UNKNOWN, /* a message type this build does not know: compare with a dump */
};

struct xfrm_change {
	enum change_kind kind;
	union {
		struct policy_info policy;
		struct sa_info sa;
		__u8 type;	    /* CHANGE_POLICY_FLUSH */
		__u8 proto;	    /* CHANGE_SA_FLUSH, 0: all, SAGATE_PROTO_ANY: IPsec's */
		__u8 default_block; /* CHANGE_DEFAULT: of output */
	};
};

/*
 * Reads the message at `msg`, with `len` bytes after it being readable. Only policies of direction
 * OUT that belong to no socket, and SAs that are not larval, are changes. Returns 0, or -EBADMSG
 * when the message is shorter than it says or contradicts itself; *change is then untouched.
 * Source: net/xfrm/xfrm_user.c, copy_to_user_state, copy_to_user_policy, xfrm_notify_sa.
 */
int xfrm_msg_parse(const void *msg, size_t len, struct xfrm_change *change);

/* Whether an FLUSHSA of protocol `flush` takes SAs of `proto` (xfrm_id_proto_match). */
bool xfrm_flush_takes(__u8 flush, __u8 proto);

#endif
