/* SPDX-License-Identifier: GPL-2.0-only */
/* Which child protects a flow? See ike_bridge_find() for the rules. */
#ifndef IKE_FIND_H
#define IKE_FIND_H

#include "ike_list.h"

const struct ike_child *ike_find(const struct ike_list *l, const struct ike_flow *flow);

#endif
