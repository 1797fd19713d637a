/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The second way to start IKE, for any daemon that listens for the kernel's
 * ACQUIREs: let the kernel send one.
 *
 * A message put straight into the multicast group XFRMNLGRP_ACQUIRE would come
 * from a process, and strongSwan (kernel_netlink_*.c) and libreswan
 * (kernel_xfrm.c) drop all that does not come from port 0, the kernel. So it
 * goes to the kernel instead, as a request of type XFRM_MSG_ACQUIRE:
 * xfrm_add_acquire() (net/xfrm/xfrm_user.c) builds a policy and a state out of
 * it, inserts neither, and calls km_query() for each template, which multicasts
 * a real ACQUIRE. Nothing is left behind: no larval state, no policy.
 *
 * What the daemons read: strongSwan takes the reqid of (the last) XFRMA_TMPL
 * and looks for its trap with that reqid, id.proto must be 0, ESP or AH, sel
 * becomes the narrowed traffic selectors. libreswan takes sel, whose prefixes
 * must be full hosts, and the reqid of the first XFRMA_TMPL.
 *
 * It happens in the network namespace in which the socket was opened, and takes
 * CAP_NET_ADMIN there. Whether anybody listened is not told.
 */
#ifndef IKE_ACQUIRE_H
#define IKE_ACQUIRE_H

#include <stddef.h>
#include <stdint.h>

struct acquire_params {
	uint8_t family;		      /* of the flow: AF_INET, AF_INET6 */
	uint8_t proto;		      /* 0: any */
	uint8_t saddr[16], daddr[16]; /* network order, IPv4 in the first four */
	uint16_t sport, dport;	      /* host order; 0: any. ICMP: sport type, dport code */
	uint32_t priority;	      /* of the trap; the daemons do not look */
	uint32_t index;		      /* of the trap, 0: not known */
	uint32_t mark, mark_mask;     /* of the policy, mask 0: none */
	uint32_t if_id;		      /* 0: none */
	/* the trap's template */
	uint32_t reqid;
	uint8_t tmpl_proto;			/* 0: ESP */
	uint8_t tmpl_mode;			/* XFRM_MODE_* */
	uint8_t tmpl_family;			/* 0: as the flow's */
	uint8_t tmpl_saddr[16], tmpl_daddr[16]; /* tunnel endpoints; transport: ignored */
};

enum { ACQUIRE_SIZE = 512 }; /* enough for any */

/* Writes the request. Its length, -ENOSPC or -EINVAL (a family). */
int acquire_build(void *buf, size_t size, const struct acquire_params *p);

/* A socket for it in this thread's network namespace, non-blocking: fd or -errno. */
int acquire_open(void);

/*
 * Sends it and reads the kernel's answer, which is there at once. 0, -EPERM,
 * -EINVAL (the kernel did not like it), -ENOPROTOOPT (no answer) or -errno.
 */
int acquire_send(int fd, const struct acquire_params *p);

#endif
