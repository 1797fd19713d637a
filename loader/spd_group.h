/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The table of policies, and in it the groups: policies with the same masked selector, of which one
 * stands in the map. spd.c's. None of these fails: what the map refuses is counted as missing and
 * the full bit is set.
 */
#ifndef SAGATE_SPD_GROUP_H
#define SAGATE_SPD_GROUP_H

#include "spd.h"
#include "spd_masks.h"

struct spd {
	struct mirror_store store;
	struct mhash by_index; /* class and index → policy */
	struct mhash by_key;   /* masked selector → first of its group */
	struct spd_masks_of masks[CLASS_COUNT][2];
	__u32 generation[CLASS_COUNT];
	/* In by_index, gone ones too: how many, and how many of them are of that generation. */
	__u32 entries[CLASS_COUNT], fresh[CLASS_COUNT];
	/*
	 * The order of insertion (policy_info.order). A dump lists the newest first
	 * (xfrm_policy_insert adds to the head of policy_all) and is older than the changes since
	 * the mark: what it lists is below ORDER_NOW, by its place, and changes are above. An order
	 * that agrees with the dump stays.
	 */
	__u32 newest[CLASS_COUNT];	/* the highest order given */
	__u32 last_listed[CLASS_COUNT]; /* the order of the one that this dump listed before */
	bool disordered[CLASS_COUNT];	/* dump and orders disagree: the sweep puts them right */
	__u32 seen, seen_before;	/* listed by dumps, and by those before the mark */
	size_t stored, ties, gone;
	size_t seconds;		     /* policies in the classes of source ports not given yet */
	bool dumping[CLASS_COUNT];   /* between mark and sweep */
	bool flushed[CLASS_COUNT];   /* and flushed since */
	__u16 port_first, port_last; /* host order: what sockets may be given */
};

#define ORDER_NOW  0x80000000U
#define ORDER_HIGH 0xc0000000U /* above it the orders are made anew with the next dump */

/* How much a policy protects: on a tie of priorities the lowest of these is assumed to win. */
enum spd_rank {
	SPD_RANK_BLOCK,
	SPD_RANK_REQUIRED,
	SPD_RANK_OPTIONAL,
	SPD_RANK_ALLOW,
	SPD_RANK_COUNT
};

enum spd_rank spd_rank_of(const struct policy_info *p);

bool spd_tmpls_equal(const struct policy_info *a, const struct policy_info *b);

/* The masked selector that makes a policy's group. */
void spd_group_key(const struct spd *spd, const struct spd_entry *e, struct spd_key *key);

/* The masks of a policy's class and family. */
struct spd_masks_of *spd_group_masks(struct spd *spd, const struct spd_entry *e);

/*
 * Puts `e` into the group of its masked selector `key`, whose hash is `hash`, and `old`, a policy
 * of the same group or NULL, out of it, in one write. Room in the hash and in the mask's heap was
 * made before.
 */
void spd_group_insert(struct spd *spd, struct spd_entry *e, struct spd_entry *old,
		      const struct spd_key *key, __u32 hash);

/* Takes `e` out of its group; the next policy, if there is one, takes its place. */
void spd_group_remove(struct spd *spd, struct spd_entry *e);

/* Gives one of a group another order; what counts in the group may then be another. */
void spd_group_reorder(struct spd *spd, struct spd_entry *e, __u32 order);

/* Room was made: what the map refused before is tried again, `max` entries of it. */
void spd_group_refill(struct spd *spd, size_t max);

#endif
