/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A VRF device in some of the worlds, made for each anew: vrf0 with a table of its own, one or both
 * of lan0 and lan1 in it, addresses of its own, and in some a queue. Its addresses, what its ports
 * have, and routes into and out of it are in the drawn worlds' VRF_TABLE.
 *
 *   vrf0 198.51.100.2/32 2001:db8:f::2/128   table 103
 */
#ifndef ORACLE_VRF_H
#define ORACLE_VRF_H

#include "flow.h"
#include "judge.h"

#define VRF_TABLE 103

/* Draws whether, and what of it: into w->vrf, its routes and rules. */
void vrf_draw(struct world *w, uint64_t seed);
/* Sockets bound to it or to its port, addresses in it. */
void vrf_draw_flow(struct call *c, const struct world *w, uint64_t seed, uint64_t number);

/* Makes the device and what is in it. */
void vrf_up(const struct vrf *v);
/* Takes it away, and gives its ports back what they had. Nothing to do is well. */
void vrf_down(void);
void vrf_print(FILE *out, const struct vrf *v);

/* Is this device the VRF's, or a port of it? */
bool vrf_has(const struct vrf *v, int dev);
/* Is this an address that is reached in the VRF alone? */
bool vrf_own(const struct vrf *v, int family, const struct addr *a);

/*
 * What the host sent to itself within the VRF, on its device, since it was called last: 1 and *out
 * if it arrived, else 0.
 */
int vrf_take_own(const struct vrf *v, struct seen *out);

/* May the VRF's device look up again what this call sends? */
bool vrf_looks_again(const struct world *w, const struct call *c);
/* May IPv6 routing of a socket in the VRF lead out of it? */
bool vrf_leaks(const struct world *w, const struct call *c);

#endif
