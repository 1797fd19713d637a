/* SPDX-License-Identifier: GPL-2.0-only */
/* The masks of one class and family, each with its masked selectors in a heap by priority. spd.c's.
 */
#ifndef SAGATE_SPD_MASKS_H
#define SAGATE_SPD_MASKS_H

#include "mirror_hash.h"
#include "mirror_store.h"
#include "xfrm_msg.h"

/* One policy. Those with the same masked selector are a group: a list, the kernel's choice first.
 */
struct spd_entry {
	struct mhash_node by_index;
	struct mhash_node by_key; /* in the hash only as the first of its group */
	struct spd_entry *next;	  /* the next of its group */
	struct spd_mask_use *mask;
	__u32 seen;	/* as how manieth a dump listed it (struct spd) */
	__u32 heap_pos; /* first of a group: its place in the mask's heap */
	__u32 generation;
	__u8 class;
	__u8 stored;		/* first of a group: it is in the map */
	__u8 tie;		/* first of a group: another outcome has the same priority */
	__u8 gone;		/* removed while a dump runs: in no group, kept until the sweep */
	struct policy_info pol; /* last: only tmpl_count templates are allocated */
};

/* One mask: what selects it, and the first policies of all groups that have it. */
struct spd_mask_use {
	struct spd_mask_use *next;
	struct spd_masks_of *of;
	struct spd_mask mask;
	struct spd_entry **heap; /* lowest priority first; owned array */
	__u32 count, size;
	__u32 unstored; /* how many in the heap are not in the map */
	bool listed;	/* it has a place in the list of masks */
};

/* All masks of one class and family and the list of them as it was last written. */
struct spd_masks_of {
	struct spd_masks_key key;
	struct spd_mask_use *first;
	bool changed; /* since the list was last made */
	__u32 count, listed;
	bool dirty; /* the list in the map is not what it should be */
	struct spd_masks written;
};

/* The mask of a policy's selector. */
void spd_mask_of(const struct policy_info *p, struct spd_mask *mask);

/* The mask's record with room for one more group, or NULL (no memory); made when there is none. */
struct spd_mask_use *spd_mask_get(struct spd_masks_of *m, const struct spd_mask *mask);

/* Adds a group's first policy to the heap (there is room), takes it out, or puts another there. */
void spd_heap_add(struct spd_mask_use *u, struct spd_entry *e);
void spd_heap_del(struct spd_mask_use *u, struct spd_entry *e);
void spd_heap_replace(struct spd_mask_use *u, struct spd_entry *from, struct spd_entry *to);

/* Frees the record when no group has the mask any more. */
void spd_mask_put(struct spd_masks_of *m, struct spd_mask_use *u);

/* The list as it must be now. */
void spd_masks_make(const struct spd_masks_of *m, struct spd_masks *list);

/*
 * Writes the list if it changed: one value, replaced as a whole, then space_state.masks, which only
 * tells a reader whether there is a list at all.
 */
void spd_masks_write(struct spd_masks_of *m, struct mirror_store *store);

#endif
