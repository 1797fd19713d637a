/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The table of SAs, and in it the groups: usable SAs with the same sad_key, which share the slots
 * of one template. sad.c's; nothing here writes to the maps.
 */
#ifndef SAGATE_SAD_GROUP_H
#define SAGATE_SAD_GROUP_H

#include "mirror_hash.h"
#include "mirror_store.h"
#include "sad.h"

#define SAD_SLOT_NONE 0xff

/*
 * One SA. The usable ones with the same sad_key are a group: a list, first those that are in the
 * map in the order of their slots, then those that are not.
 */
enum sad_unsure {
	SAD_SURE,
	SAD_UNSURE,	  /* only what UPDSA changes is known, without the if_id */
	SAD_UNSURE_IF_ID, /* and the if_id */
};

struct sad_entry {
	struct mhash_node by_id;
	struct mhash_node by_key; /* in the hash only as the first of its group */
	struct sad_entry *prev, *next;
	__u64 deadline;
	__u32 generation;
	__u8 slot;
	__u8 in_group;
	__u8 gone;   /* removed while a dump runs: kept until the sweep */
	__u8 unsure; /* enum sad_unsure, when its generation is that of the dump that runs */
	struct sa_info sa;
};

struct sad {
	struct mirror_store store;
	struct mhash by_id;
	struct mhash by_key;
	void (*clock)(struct sad_now *now);
	__u32 generation;
	__u32 fresh;  /* of those in by_id, gone ones too, so many are of that generation */
	bool refused; /* the sink refused something since all was last tried */
	size_t stored, gone;
	size_t unsure;	   /* so many were, and the dump that runs has not listed them */
	bool dumping;	   /* between mark and sweep */
	bool flushed[256]; /* and this protocol was flushed since */
};

/* One group while it is being changed. */
struct sad_group {
	struct sad *sad;
	struct sad_key key; /* slot 0 */
	struct sad_entry *head;
	struct sad_entry *last; /* the last that has a slot */
	unsigned int slots;
};

/* The key of the group an SA belongs to, slot 0. */
void sad_group_key(const struct sad *sad, const struct sa_info *sa, struct sad_key *key);

/* The first of the group with this key (slot 0), or NULL. */
struct sad_entry *sad_group_find(const struct sad *sad, const struct sad_key *key);

/* Reads the group an SA belongs to, which may be empty. */
void sad_group_open(struct sad *sad, const struct sa_info *sa, struct sad_group *g);

/*
 * Puts `e` into the list behind `after`, NULL: first (room in the hash was made before), or takes
 * it out. g->last and g->slots are the caller's to keep.
 */
void sad_group_link(struct sad_group *g, struct sad_entry *e, struct sad_entry *after);
void sad_group_unlink(struct sad_group *g, struct sad_entry *e);

#endif
