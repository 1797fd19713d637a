// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "maps_compare.h"

/* Entries in one part: about half a millisecond. */
#define PART 256

/* What one step after the other does. */
enum step { STEP_READ_SAD, STEP_READ_SPD, STEP_SAD, STEP_SPD, STEP_MASKS, STEP_DONE };

union any_key {
	struct spd_key spd;
	struct sad_key sad;
};

union any_value {
	struct spd_value spd;
	struct sad_value sad;
	struct spd_masks masks;
};

struct maps_compare {
	struct maps_compare_of of;
	const struct maps_compare_ops *ops;
	void *ctx;
	sd_event_source *turn;
	enum step step;
	struct map_cursor cursor;
	__u32 bucket, looked;
	union any_key keys[PART];
	union any_value values[PART];
};

static bool image(const struct maps_compare *c, enum map_id map, const void *key,
		  union any_value *value)
{
	return map == MAP_SAD ? sad_image(c->of.sad, key, &value->sad)
			      : spd_image(c->of.spd, key, &value->spd);
}

static void differs(struct maps_compare *c, enum map_id map, const void *key,
		    enum maps_difference how)
{
	c->ops->differs(c->ctx, map, key, how);
}

/* From the map to the table: what must not be there, or must be otherwise. */
static int read_part(struct maps_compare *c, enum map_id map, size_t key_size, size_t value_size)
{
	__u32 count = PART;
	int r = c->of.source->read(c->of.source->ctx, map, &c->cursor, c->keys, c->values, &count);

	for (__u32 i = 0; r >= 0 && i < count; i++) {
		const void *key = (const char *)c->keys + i * key_size;
		const void *value = (const char *)c->values + i * value_size;
		union any_value want;

		if (memcmp(key, &c->of.space, sizeof(c->of.space))) /* every key starts with it */
			continue;
		if (!image(c, map, key, &want)) {
			differs(c, map, key, MAPS_TOO_MUCH);
			c->of.sink->del(c->of.sink->ctx, c->of.space, map, key);
		} else if (memcmp(value, &want, value_size)) {
			differs(c, map, key, MAPS_OTHER);
			c->of.sink->put(c->of.sink->ctx, c->of.space, map, key, &want);
		}
	}
	if (r <= 0) {
		c->step++;
		c->cursor = (struct map_cursor){0};
	}
	return r < 0 ? r : 0;
}

/* From the table to the map: what it lacks. */
static void look(struct maps_compare *c, enum map_id map, const void *key, const void *value)
{
	union any_value is;

	c->looked++;
	if (c->of.source->get(c->of.source->ctx, map, key, &is) != -ENOENT)
		return;
	differs(c, map, key, MAPS_LACKS);
	c->of.sink->put(c->of.sink->ctx, c->of.space, map, key, value);
}

static void look_sa(void *ctx, const void *key, const void *value)
{
	look(ctx, MAP_SAD, key, value);
}

static void look_policy(void *ctx, const void *key, const void *value)
{
	look(ctx, MAP_SPD, key, value);
}

static void table_part(struct maps_compare *c)
{
	/* empty buckets cost, too */
	for (__u32 n = c->looked = 0; c->looked < PART && n < 16 * PART; n++) {
		c->bucket = c->step == STEP_SAD
				    ? sad_each_image(c->of.sad, c->bucket, look_sa, c)
				    : spd_each_image(c->of.spd, c->bucket, look_policy, c);
		if (!c->bucket) {
			c->step++;
			return;
		}
	}
}

static void masks(struct maps_compare *c)
{
	for (int i = 0; i < CLASS_COUNT * 2; i++) {
		struct spd_masks_key key;
		struct spd_masks want, is;
		int r;

		spd_masks_image(c->of.spd, i / 2, i % 2 ? AF_INET6 : AF_INET, &key, &want);
		r = c->of.source->get(c->of.source->ctx, MAP_SPD_MASKS, &key, &is);
		if (r == -ENOENT ? !want.count : !r && !memcmp(&want, &is, sizeof(is)))
			continue;
		differs(c, MAP_SPD_MASKS, &key, r ? MAPS_LACKS : MAPS_OTHER);
		c->of.sink->put(c->of.sink->ctx, c->of.space, MAP_SPD_MASKS, &key, &want);
	}
	c->step++;
}

static int on_turn(sd_event_source *s, void *userdata)
{
	struct maps_compare *c = userdata;
	int r = 0;

	(void)s;
	switch (c->step) {
	case STEP_READ_SAD:
		r = read_part(c, MAP_SAD, sizeof(struct sad_key), sizeof(struct sad_value));
		break;
	case STEP_READ_SPD:
		r = read_part(c, MAP_SPD, sizeof(struct spd_key), sizeof(struct spd_value));
		break;
	case STEP_SAD:
	case STEP_SPD:
		table_part(c);
		break;
	case STEP_MASKS:
		masks(c);
		break;
	case STEP_DONE:
		break;
	}
	if (r < 0 || c->step == STEP_DONE) {
		sd_event_source_set_enabled(c->turn, SD_EVENT_OFF);
		c->ops->done(c->ctx, r);
	}
	return 0;
}

int maps_compare_new(sd_event *event, const struct maps_compare_of *of,
		     const struct maps_compare_ops *ops, void *ctx, struct maps_compare **out)
{
	struct maps_compare *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->of = *of;
	c->ops = ops;
	c->ctx = ctx;
	r = sd_event_add_defer(event, &c->turn, on_turn, c);
	if (r >= 0)
		r = sd_event_source_set_enabled(c->turn, SD_EVENT_ON);
	/* after whatever else there is to do */
	if (r >= 0)
		r = sd_event_source_set_priority(c->turn, SD_EVENT_PRIORITY_IDLE);
	if (r < 0) {
		maps_compare_free(c);
		return r;
	}
	*out = c;
	return 0;
}

void maps_compare_free(struct maps_compare *c)
{
	if (!c)
		return;
	sd_event_source_disable_unref(c->turn);
	free(c);
}
