/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which SAs of a group have a slot in the map, and what it says. sad.c's. None of these fails: what
 * the map refuses is counted as missing and the full bit is set.
 */
#ifndef SAGATE_SAD_SLOTS_H
#define SAGATE_SAD_SLOTS_H

#include "sad_group.h"

/*
 * Puts a usable SA into its group and, if there is a slot for it, into the map. Room in the hash
 * was made before.
 */
void sad_slots_insert(struct sad *sad, struct sad_entry *e);

/* Takes an SA out of the map and of its group; every other one stands in the map meanwhile. */
void sad_slots_remove(struct sad *sad, struct sad_entry *e);

/* Makes a standing entry say `sa`, which is usable and of the same group: at most one write. */
void sad_slots_change(struct sad *sad, struct sad_entry *e, const struct sa_info *sa);
/* It was listed again as it was, but for what its life has come to. */
void sad_slots_again(struct sad *sad, struct sad_entry *e, const struct sa_info *sa);

/* Room was made: what the map refused before is tried again, until `max` or a few more are in. */
void sad_slots_refill(struct sad *sad, size_t max);

#endif
