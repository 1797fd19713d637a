// SPDX-License-Identifier: GPL-2.0-only
/* Maps that were changed behind the tables' back, and what a comparison says and does of it. */
/* needs: loader/maps_compare.c loader/mirror_store.c loader/spd.c loader/spd_group.c */
/* needs: loader/spd_image.c loader/spd_masks.c loader/sad.c loader/sad_group.c loader/sad_life.c */
/* needs: loader/sad_slots.c loader/xfrm_msg.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>

#include "fake_sink.h"
#include "maps_compare.h"

#define SPACE	 3
#define POLICIES 1000 /* more than one part */
#define SAS	 1000

struct world {
	sd_event *loop;
	struct fake_sink fake;
	struct map_source source;
	struct spd *spd;
	struct sad *sad;
	unsigned int told[MAP_COUNT][3], done;
	int err;
	void (*between)(struct world *w); /* after each part read */
};

static int source_get(void *ctx, enum map_id map, const void *key, void *value)
{
	struct world *w = ctx;
	const void *v = fake_get(&w->fake, map, key);

	if (v)
		memcpy(value, v, fake_size[map].value);
	return v ? 0 : -ENOENT;
}

/* In parts of at most 100; the cursor is the place in the table's order of insertion. */
static int source_read(void *ctx, enum map_id map, struct map_cursor *cursor, void *keys,
		       void *values, __u32 *count)
{
	struct fake_entry *e, *tmp;
	struct world *w = ctx;
	__u32 at = 0, n = 0;

	HASH_ITER(hh, w->fake.map[map], e, tmp) {
		if (at++ < cursor->at)
			continue;
		if (n == 100)
			break;
		memcpy((char *)keys + n * fake_size[map].key, e->key, fake_size[map].key);
		memcpy((char *)values + n * fake_size[map].value, e->value, fake_size[map].value);
		n++;
	}
	*count = n;
	cursor->at += n;
	cursor->going = true;
	return n == 100;
}

static void differs(void *ctx, enum map_id map, const void *key, enum maps_difference how)
{
	struct world *w = ctx;

	assert_memory_equal(key, &(__u32){SPACE}, sizeof(__u32));
	w->told[map][how]++;
}

static void done(void *ctx, int err)
{
	struct world *w = ctx;

	w->done++;
	w->err = err;
}

static const struct maps_compare_ops ops = {differs, done};

static void policy(unsigned int i, struct policy_info *p)
{
	*p = (struct policy_info){.index = i * 8 + 1, .priority = i % 7};
	p->sel.family = i % 3 ? AF_INET : AF_INET6;
	p->sel.dst_len = 32;
	p->sel.daddr[0] = htonl(i);
}

static void sa(unsigned int i, struct sa_info *s)
{
	*s = (struct sa_info){
		.spi = htonl(i + 1), .reqid = i / 20, .family = AF_INET, .proto = IPPROTO_ESP};
	s->pcpu = SAGATE_PCPU_ANY;
}

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct policy_info p;
	struct sa_info s;

	assert_true(sd_event_new(&w->loop) >= 0);
	fake_init(&w->fake);
	w->source = (struct map_source){w, source_get, source_read};
	w->spd = spd_new(SPACE, &w->fake.sink);
	w->sad = sad_new(SPACE, &w->fake.sink);
	for (unsigned int i = 0; i < POLICIES; i++) {
		policy(i, &p);
		assert_int_equal(spd_put(w->spd, CLASS_MAIN, &p), 1);
	}
	for (unsigned int i = 0; i < SAS; i++) {
		sa(i, &s);
		assert_int_equal(sad_put(w->sad, &s), 1);
	}
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	spd_free(w->spd);
	sad_free(w->sad);
	fake_done(&w->fake);
	sd_event_unref(w->loop);
	free(w);
	return 0;
}

/* Returns how many differences were told. */
static unsigned int compare(struct world *w)
{
	struct maps_compare_of of = {SPACE, w->spd, w->sad, &w->fake.sink, &w->source};
	struct maps_compare *c;
	unsigned int n = 0;

	memset(w->told, 0, sizeof(w->told));
	w->done = 0;
	assert_int_equal(maps_compare_new(w->loop, &of, &ops, w, &c), 0);
	while (!w->done) {
		assert_true(sd_event_run(w->loop, 1000000) > 0);
		if (w->between)
			w->between(w);
	}
	assert_int_equal(w->err, 0);
	maps_compare_free(c);
	for (int map = 0; map < MAP_COUNT; map++)
		n += w->told[map][0] + w->told[map][1] + w->told[map][2];
	return n;
}

static void equal_maps_have_no_difference(void **state)
{
	struct world *w = *state;

	assert_int_equal(fake_count(&w->fake, MAP_SPD), POLICIES);
	/* of the 20 with one reqid 16 have a slot */
	assert_int_equal(fake_count(&w->fake, MAP_SAD), SAS / 20 * SAD_SLOTS_MAX);
	assert_int_equal(compare(w), 0);
}

static void what_was_changed_behind_the_tables_is_told_and_put_right(void **state)
{
	struct world *w = *state;
	struct policy_info p;
	struct spd_key key, foreign;
	struct spd_value *value, junk = {0};
	struct sad_key sa_key = {.space = SPACE, .reqid = 4, .family = AF_INET, .slot = 3};
	struct spd_masks_key masks = {.space = SPACE, .class = CLASS_MAIN, .family = AF_INET};
	struct sad_value *sa_value;

	sa_key.proto = IPPROTO_ESP;
	policy(500, &p);
	spd_make_key(SPACE, CLASS_MAIN, &p, &key);
	fake_del(&w->fake, SPACE, MAP_SPD, &key);
	policy(700, &p);
	spd_make_key(SPACE, CLASS_MAIN, &p, &key);
	value = fake_get(&w->fake, MAP_SPD, &key);
	value->block ^= 1;
	key.mark = 77;
	fake_put(&w->fake, SPACE, MAP_SPD, &key, &junk);
	foreign = key;
	foreign.space = SPACE + 1; /* another space's is none of ours */
	fake_put(&w->fake, SPACE, MAP_SPD, &foreign, &junk);
	sa_value = fake_get(&w->fake, MAP_SAD, &sa_key);
	assert_non_null(sa_value);
	sa_value->deadline = 5;
	sa_key.slot = 0;
	fake_del(&w->fake, SPACE, MAP_SAD, &sa_key);
	((struct spd_masks *)fake_get(&w->fake, MAP_SPD_MASKS, &masks))->mask[0].best++;

	assert_int_equal(compare(w), 6);
	assert_int_equal(w->told[MAP_SPD][MAPS_LACKS], 1);
	assert_int_equal(w->told[MAP_SPD][MAPS_OTHER], 1);
	assert_int_equal(w->told[MAP_SPD][MAPS_TOO_MUCH], 1);
	assert_int_equal(w->told[MAP_SAD][MAPS_OTHER], 1);
	assert_int_equal(w->told[MAP_SAD][MAPS_LACKS], 1);
	assert_int_equal(w->told[MAP_SPD_MASKS][MAPS_OTHER], 1);
	assert_non_null(fake_get(&w->fake, MAP_SPD, &foreign));
	assert_int_equal(compare(w), 0);
}

/* The tables change, and grow, while the comparison goes on. */
static void change(struct world *w)
{
	static unsigned int next = 5000;
	struct policy_info p;
	struct sa_info s;

	for (int i = 0; i < 100; i++, next++) {
		policy(next, &p);
		spd_put(w->spd, CLASS_MAIN, &p);
		policy(next - 4900, &p);
		spd_del(w->spd, CLASS_MAIN, p.index);
		sa(next, &s);
		sad_put(w->sad, &s);
		sa(next - 4950, &s);
		sad_del(w->sad, &s);
	}
}

static void changes_meanwhile_are_no_differences(void **state)
{
	struct world *w = *state;

	w->between = change;
	assert_int_equal(compare(w), 0);
	w->between = NULL;
	assert_int_equal(compare(w), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(equal_maps_have_no_difference, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_was_changed_behind_the_tables_is_told_and_put_right, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(changes_meanwhile_are_no_differences, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
