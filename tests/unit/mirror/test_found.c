// SPDX-License-Identifier: GPL-2.0-only
/* What a comparison finds, and which event makes it no difference. */
/* needs: loader/mirror.c loader/mirror_apply.c loader/mirror_events.c loader/mirror_dump.c */
/* needs: loader/mirror_snapshot.c loader/mirror_found.c loader/xfrm_fields.c */
/* needs: loader/mirror_nl.c loader/mirror_walk.c loader/mirror_store.c loader/xfrm_msg.c */
/* needs: loader/spd.c loader/spd_group.c loader/spd_image.c loader/spd_masks.c */
/* needs: loader/sad.c loader/sad_group.c loader/sad_life.c loader/sad_slots.c */
/* needs: loader/netns.c loader/error.c loader/log.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <stdio.h>

#include "fake_sink.h"
#include "mirror_internal.h"
#include "xfrm_fields.h"

struct told {
	unsigned int sas, policies, defaults, fields;
	char last[256];
};

static void differs(void *ctx, const struct mirror_difference *d)
{
	struct told *t = ctx;

	t->sas += !strncmp(d->name, "SA ", 3);
	t->policies += !strncmp(d->name, "policy ", 7);
	t->defaults += !strcmp(d->name, "default policy");
	t->fields += d->fields != NULL;
	snprintf(t->last, sizeof(t->last), "%s|%s", d->name, d->fields ? d->fields : "");
}

static const struct mirror_compare_ops ops = {differs, NULL};

static struct xfrm_change sa_change(enum change_kind kind, unsigned int spi, __u32 mark)
{
	struct xfrm_change c = {.kind = kind};

	c.sa = (struct sa_info){
		.spi = htonl(spi), .family = AF_INET, .proto = IPPROTO_ESP, .mark = mark};
	c.sa.daddr[0] = htonl(0xc0000202);
	c.sa.pcpu = SAGATE_PCPU_ANY;
	return c;
}

static struct xfrm_change policy_change(enum change_kind kind, __u32 index, __u8 type)
{
	struct xfrm_change c = {.kind = kind};

	c.policy = (struct policy_info){.index = index, .type = type};
	c.policy.sel.family = AF_INET;
	return c;
}

/* A mirror in the middle of a comparison that has found SAs 1 (twice, by mark), 2 and an AH one,
 * the policies 1 and 9 of class main, 9 of sub, and the default policy. */
static void found_all(struct mirror *m, struct fake_sink *f, struct told *t)
{
	struct xfrm_change none = {.kind = CHANGE_NONE}, c, ah;

	memset(t, 0, sizeof(*t));
	m->comparing = true;
	m->compare = &ops;
	m->compare_ctx = t;
	m->sink = &f->sink;
	mirror_found_begin(m);
	assert_true(m->telling);
	c = sa_change(CHANGE_SA_PUT, 1, 0);
	mirror_found_dumped(m, &c, &none);
	c = sa_change(CHANGE_SA_PUT, 1, 5);
	mirror_found_dumped(m, &c, &none);
	c = sa_change(CHANGE_SA_PUT, 2, 0);
	mirror_found_dumped(m, &c, &none);
	ah = sa_change(CHANGE_SA_PUT, 2, 0);
	ah.sa.proto = IPPROTO_AH;
	mirror_found_dumped(m, &ah, &none);
	c = policy_change(CHANGE_POLICY_PUT, 1, XFRM_POLICY_TYPE_MAIN);
	mirror_found_dumped(m, &c, &none);
	c = policy_change(CHANGE_POLICY_PUT, 9, XFRM_POLICY_TYPE_MAIN);
	mirror_found_dumped(m, &c, &none);
	c = policy_change(CHANGE_POLICY_PUT, 9, XFRM_POLICY_TYPE_SUB);
	mirror_found_dumped(m, &c, &none);
	c = (struct xfrm_change){.kind = CHANGE_DEFAULT};
	mirror_found_dumped(m, &c, &none);
}

static void what_an_event_speaks_of_is_no_difference(void **state)
{
	struct xfrm_change esp = {.kind = CHANGE_SA_FLUSH, .proto = IPPROTO_ESP};
	struct xfrm_change sub = {.kind = CHANGE_POLICY_FLUSH, .type = XFRM_POLICY_TYPE_SUB};
	const struct {
		struct xfrm_change event;
		unsigned int sas, policies, defaults; /* that remain */
	} rows[] = {
		{{.kind = CHANGE_NONE}, 4, 3, 1},
		{{.kind = CHANGE_UNKNOWN}, 4, 3, 1},
		/* UPDSA finds an SA by a mark that is not the SA's own */
		{sa_change(CHANGE_SA_UPDATE, 1, 7), 2, 3, 1},
		{sa_change(CHANGE_SA_PUT, 2, 0), 3, 3, 1},
		{sa_change(CHANGE_SA_DEL, 2, 0), 3, 3, 1},
		{sa_change(CHANGE_SA_EXPIRED, 2, 0), 3, 3, 1},
		{sa_change(CHANGE_SA_SOFT_EXPIRED, 2, 0), 4, 3, 1},
		{sa_change(CHANGE_SA_DEL, 3, 0), 4, 3, 1},
		{esp, 1, 3, 1},
		{{.kind = CHANGE_SA_FLUSH}, 0, 3, 1},
		{policy_change(CHANGE_POLICY_PUT, 9, XFRM_POLICY_TYPE_MAIN), 4, 2, 1},
		{policy_change(CHANGE_POLICY_DEL, 1, XFRM_POLICY_TYPE_MAIN), 4, 2, 1},
		{policy_change(CHANGE_POLICY_EXPIRED, 1, XFRM_POLICY_TYPE_SUB), 4, 3, 1},
		{sub, 4, 2, 1},
		{{.kind = CHANGE_DEFAULT}, 4, 3, 0},
	};
	struct fake_sink f;

	(void)state;
	fake_init(&f);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mirror m = {.spd = spd_new(0, &f.sink), .sad = sad_new(0, &f.sink)};
		struct told t;

		found_all(&m, &f, &t);
		mirror_found_touched(&m, &rows[i].event);
		mirror_found_end(&m);
		if (t.sas != rows[i].sas || t.policies != rows[i].policies ||
		    t.defaults != rows[i].defaults)
			fail_msg("row %zu: %u SAs, %u policies, %u default", i, t.sas, t.policies,
				 t.defaults);
		assert_int_equal(m.stats.differences, t.sas + t.policies + t.defaults);
		mirror_found_begin(&m);
		spd_free(m.spd);
		sad_free(m.sad);
	}
	fake_done(&f);
}

static void nothing_is_found_in_a_resync(void **state)
{
	struct fake_sink f;
	struct mirror m = {0};
	struct told t;

	(void)state;
	fake_init(&f);
	m.spd = spd_new(0, &f.sink);
	m.sad = sad_new(0, &f.sink);
	found_all(&m, &f, &t);
	m.comparing = false;
	mirror_found_begin(&m);
	assert_false(m.telling);
	mirror_found_end(&m);
	assert_int_equal(t.sas + t.policies + t.defaults, 0);
	assert_int_equal(m.stats.differences, 0);
	assert_true(mirror_compare_end(&m)); /* and he who asked still waits */
	spd_free(m.spd);
	sad_free(m.sad);
	fake_done(&f);
}

static void the_fields_that_differ_are_named_and_use_is_none(void **state)
{
	struct xfrm_change is = sa_change(CHANGE_SA_PUT, 1, 0), was = is;
	struct fake_sink f;
	struct mirror m = {0};
	struct told t;

	(void)state;
	fake_init(&f);
	m.spd = spd_new(0, &f.sink);
	m.sad = sad_new(0, &f.sink);
	found_all(&m, &f, &t);
	mirror_found_begin(&m);
	/* first used, and so much since */
	was.sa.life.use_time = 1;
	was.sa.life.bytes = was.sa.life.packets = 9;
	mirror_found_dumped(&m, &is, &was);
	mirror_found_end(&m);
	assert_int_equal(t.sas, 0);
	was.sa.reqid = 4;
	was.sa.life.hard_bytes = 9;
	mirror_found_dumped(&m, &is, &was);
	mirror_found_end(&m);
	assert_int_equal(t.sas, 1);
	assert_int_equal(t.fields, 1);
	assert_string_equal(t.last,
			    "SA 0.0.0.0 → 192.0.2.2 esp spi 0x00000001|reqid, limit bytes hard");
	mirror_found_begin(&m);
	spd_free(m.spd);
	sad_free(m.sad);
	fake_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_an_event_speaks_of_is_no_difference),
		cmocka_unit_test(nothing_is_found_in_a_resync),
		cmocka_unit_test(the_fields_that_differ_are_named_and_use_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
