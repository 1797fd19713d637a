/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The policies and requirements of one space, and their image in the maps: for each masked selector
 * the policy that the kernel would choose among those that share it, and for each class and family
 * the masks in use, best priority first (tuple space search, abi.h).
 *
 * A kernel policy is told by its index: it is unique in a namespace among all policies that live
 * (xfrm_gen_index), UPDPOLICY keeps it, and unlike (dir, type, if_id, selector, mark, sec_ctx) it
 * stands in every message; events do not show the security context.
 *
 * What does not fit into the maps stays in the table, FULL_SPD is set in space_state.full, and it
 * is tried again whenever something was removed, and by spd_retry().
 */
#ifndef SAGATE_SPD_H
#define SAGATE_SPD_H

#include <stdbool.h>
#include <stddef.h>

#include "maps.h"
#include "xfrm_msg.h"

struct spd;

struct spd_counts {
	size_t policies; /* in the table, requirements too */
	size_t stored;	 /* masked selectors in the map */
	size_t missing;	 /* masked selectors and mask lists that should be and are not */
	size_t masks;	 /* of all classes and families */
	size_t ties;	 /* masked selectors whose first place two different outcomes share */
};

/* An empty table for an empty map. The sink must outlive it. NULL: no memory. */
struct spd *spd_new(__u32 space, const struct map_sink *sink);

/* Frees the table and leaves the maps as they are (the daemon may stop, enforcement stays). */
void spd_free(struct spd *spd);

/*
 * The ports that sockets without one are given (ip_local_port_range). A policy whose source ports
 * these meet stands a second time, in the class CLASS_SPORT behind its own and without them, which
 * such sockets are looked up in. Until it is called: any port. -ENOMEM: call again.
 */
int spd_set_ports(struct spd *spd, __u16 first, __u16 last);

/* XFRM_POLICY_TYPE_* → its class; CLASS_COUNT for a type that no flow is looked up in. */
enum spd_class spd_class_of(__u8 type);

/*
 * Adds a policy, or replaces the one with its class and index. The standing policy is only taken
 * out of the maps after the new one is in them. Returns 1 when something changed, 0 when it stood
 * so already, -ENOMEM (nothing changed: the caller must see that it comes again). A full map is no
 * error here, see spd_counts.
 */
int spd_put(struct spd *spd, enum spd_class class, const struct policy_info *p);

/* Returns 1, or 0 when there was none; between mark and sweep -ENOMEM (nothing changed). */
int spd_del(struct spd *spd, enum spd_class class, __u32 index);

/* Removes all of a class, the least protecting first. Returns how many. */
size_t spd_flush(struct spd *spd, enum spd_class class);

/*
 * Mark and sweep: what is not put again between the two calls goes. Sweep returns how many went.
 * Between the two, changes (spd_put, spd_del, spd_flush) and a dump (spd_put_dumped) may come in
 * any order. A part of a dump may be older than a change that was already applied, because the
 * kernel fills it when the part before is read; so a policy that a change has touched, or taken
 * away, since the mark is not touched by the dump any more. spd_mark() again starts anew.
 */
void spd_mark(struct spd *spd, enum spd_class class);
int spd_put_dumped(struct spd *spd, enum spd_class class, const struct policy_info *p);
size_t spd_sweep(struct spd *spd, enum spd_class class);
/* Between the two: calls `each` for what spd_sweep() would take now. */
void spd_each_unlisted(const struct spd *spd, enum spd_class class,
		       void (*each)(void *ctx, const struct policy_info *), void *ctx);

/*
 * Another space may have given room back: what the map refused is tried again, at most `max`
 * entries. Returns how many are in the map now that were not.
 */
size_t spd_retry(struct spd *spd, size_t max);

/* The policy as it stands, or NULL; valid until the table changes. */
const struct policy_info *spd_find(const struct spd *spd, enum spd_class class, __u32 index);

/* Calls `each` for every policy, in no order, until it returns other than 0, which is returned. */
int spd_each(const struct spd *spd,
	     int (*each)(void *ctx, enum spd_class, const struct policy_info *), void *ctx);

/* What the map must hold: as sad_image() and sad_each_image(). */
bool spd_image(const struct spd *spd, const struct spd_key *key, struct spd_value *value);
__u32 spd_each_image(const struct spd *spd, __u32 bucket,
		     void (*each)(void *ctx, const void *key, const void *value), void *ctx);
/* The list of masks that must be there; no entry stands for an empty one. */
void spd_masks_image(const struct spd *spd, enum spd_class class, __u8 family,
		     struct spd_masks_key *key, struct spd_masks *list);

void spd_count(const struct spd *spd, struct spd_counts *counts);

/*
 * Pairs of policies of one class and priority that a flow could meet both of, that differ, and of
 * which it is not known which one the kernel takes: decide() says policy-tie. `pair`: the indexes
 * of the first, 0 without one. Looks at all policies; gives up after ten million pairs.
 */
size_t spd_ties(const struct spd *spd, __u32 pair[2]);

/* The key and value a policy has in the map if it is the only one with its masked selector. */
void spd_make_key(__u32 space, enum spd_class class, const struct policy_info *p,
		  struct spd_key *key);
void spd_make_value(const struct policy_info *p, struct spd_value *value);

/*
 * enum spd_place: the kernel's list of policies that it is in (policy_hash_bysel(), with the
 * thresholds that the kernel begins with).
 */
__u8 spd_place_of(const struct policy_info *p);

/*
 * Of two of one class and priority: whether it is known which one the kernel takes, which is then
 * the one with the lower index. They must be in one list, and inserted in the order of their
 * indexes: UPDPOLICY inserts a policy anew with the index it had, and gives it the last place (from
 * Linux 6.12 on, and whenever a hash is built anew) or leaves it the one it had (before that).
 */
bool spd_order_known(const struct policy_info *a, const struct policy_info *b);

/* Whether it is a policy that needs an SA. */
bool spd_image_requires(const struct spd_value *value);

#endif
