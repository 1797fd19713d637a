/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Compares what the maps hold of one space with what its tables say they must, both ways, a part at
 * a time so that the loop runs on. The tables write to the maps at once (there is no other writer),
 * so within one part both must agree: what does not is told, and put right in the maps.
 */
#ifndef SAGATE_MAPS_COMPARE_H
#define SAGATE_MAPS_COMPARE_H

#include <stddef.h>
#include <systemd/sd-event.h>

#include "maps.h"
#include "sad.h"
#include "spd.h"

struct maps_compare;

/* What a map has of an entry. */
enum maps_difference { MAPS_LACKS, MAPS_OTHER, MAPS_TOO_MUCH };

struct maps_compare_ops {
	/* `key` is of that map's type; valid only now. */
	void (*differs)(void *ctx, enum map_id map, const void *key, enum maps_difference how);
	/* All was told; err: negative errno, the maps could not be read. The owner may free it now.
	 */
	void (*done)(void *ctx, int err);
};

struct maps_compare_of {
	uint32_t space;
	const struct spd *spd;
	const struct sad *sad;
	const struct map_sink *sink;
	const struct map_source *source;
};

/* All that is given must outlive it, and so must `ops` and `ctx`. 0 or -errno, *c untouched. */
int maps_compare_new(sd_event *event, const struct maps_compare_of *of,
		     const struct maps_compare_ops *ops, void *ctx, struct maps_compare **c);

/* Stops it; NULL is accepted. */
void maps_compare_free(struct maps_compare *c);

#endif
