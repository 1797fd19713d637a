// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table of SAs against a model: a plain list. After every write to the maps a reader of a whole
 * group finds its slots without holes, every SA in them that stood before the change and stands
 * after it, and none that stands in neither.
 */
/* needs: loader/sad.c loader/sad_group.c loader/sad_life.c loader/sad_slots.c */
/* needs: loader/mirror_store.c loader/xfrm_msg.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <netinet/in.h>

#include "fake_sink.h"
#include "mirror_store.h"
#include "sad.h"

#define SPACE 5
#define SAS   60
#define NS    1000000000ULL
#define LATE  2 /* seconds that the kernel's timer may be behind the limit */

struct model {
	struct sa_info sa[SAS];
	bool before[SAS], after[SAS];
	struct sa_info was[SAS]; /* as it stood before */
	size_t checked;
};

static struct sad_now now = {.boot = 5000 * NS, .real = 1000000 * NS};

static void fake_clock(struct sad_now *n)
{
	*n = now;
}

static struct sad_key key_of(const struct sa_info *sa)
{
	struct sad_key k = {.space = SPACE,
			    .if_id = sa->if_id,
			    .reqid = sa->reqid,
			    .family = sa->family,
			    .proto = sa->proto,
			    .mode = sa->mode};

	memcpy(k.daddr, sa->daddr, 16);
	return k;
}

static unsigned int slots(const struct fake_sink *f, struct sad_key k)
{
	const struct sad_value *v;

	k.slot = 0;
	v = fake_get(f, MAP_SAD, &k);
	return v ? v->slots : 0;
}

/* Whether a reader of all slots finds this SA; holes are an error. */
static bool found(const struct fake_sink *f, const struct sa_info *sa)
{
	struct sad_key k = key_of(sa);
	unsigned int n = slots(f, k);
	bool is = false;

	assert_in_range(n, 0, SAD_SLOTS_MAX);
	for (unsigned int i = 0; i < n; i++) {
		const struct sad_value *v;

		k.slot = (__u8)i;
		v = fake_get(f, MAP_SAD, &k);
		if (!v)
			fail_msg("slot %u of %u is a hole", i, n);
		is |= v->spi == sa->spi && v->mark == sa->mark && v->mark_mask == sa->mark_mask &&
		      v->saddr[0] == sa->saddr[0];
	}
	return is;
}

static bool usable(const struct sa_info *sa)
{
	return !(sa->flags & XFRM_STATE_WILDRECV) && sa->pcpu == SAGATE_PCPU_ANY && !sa->exhausted;
}

static bool same_sa(const struct sa_info *a, const struct sa_info *b)
{
	return !memcmp(a, b, offsetof(struct sa_info, life));
}

static void every_write(struct fake_sink *f)
{
	const struct model *m = f->ctx;

	if (f->state.full)
		return;
	for (int i = 0; i < SAS; i++) {
		bool in_before = m->before[i] && usable(&m->was[i]);
		bool in_after = m->after[i] && usable(&m->sa[i]);

		if (in_before && in_after && same_sa(&m->was[i], &m->sa[i])) {
			if (!found(f, &m->sa[i]))
				fail_msg("SA %d stands and is missing", i);
		} else if (in_before && in_after) {
			assert_true(found(f, &m->was[i]) || found(f, &m->sa[i]));
		}
		if (!in_before && !in_after)
			assert_false(found(f, &m->sa[i]));
		((struct model *)f->ctx)->checked++;
	}
}

static void random_sa(struct sa_info *sa, int i)
{
	memset(sa, 0, sizeof(*sa));
	sa->family = AF_INET;
	sa->proto = IPPROTO_ESP;
	sa->mode = XFRM_MODE_TUNNEL;
	sa->spi = htonl(0x1000 + (__u32)i / 2);
	sa->mark = i % 2; /* two that only the mark tells apart */
	sa->mark_mask = sa->mark;
	sa->daddr[0] = htonl(0xc0000201);
	sa->reqid = (__u32)random() % 4; /* few groups: many slots */
	sa->saddr[0] = (__u32)random() % 2;
	sa->if_id = random() % 8 == 0;
	sa->pcpu = random() % 10 ? SAGATE_PCPU_ANY : 1;
	sa->dir = random() % 6 == 0 ? SAGATE_SA_DIR_IN : 0;
	sa->flags = random() % 10 ? 0 : XFRM_STATE_WILDRECV;
	sa->life.hard_add = (__u32)random() % 3 * 1000;
	sa->life.add_time = now.real / NS;
}

static void settled(const struct model *m, const struct fake_sink *f, const struct sad *sad)
{
	struct sad_counts c;
	size_t n = 0, wanted = 0;

	sad_count(sad, &c);
	for (int i = 0; i < SAS; i++) {
		n += m->after[i];
		if (!m->after[i] || !usable(&m->sa[i]))
			continue;
		wanted++;
		if (!c.missing)
			assert_true(found(f, &m->sa[i]));
	}
	assert_int_equal(c.sas, n);
	assert_int_equal(c.stored + c.missing, wanted);
	if (!f->refuse_dels)
		assert_int_equal(c.stored, fake_count(f, MAP_SAD));
	if (c.missing)
		assert_int_equal(f->state.full, FULL_SAD);
	else if (!f->refuse_dels)
		assert_int_equal(f->state.full, 0);
}

static void one_change(struct model *m, struct fake_sink *f, struct sad *sad)
{
	int i = (int)(random() % SAS);
	struct sa_info old = m->sa[i];

	memcpy(m->before, m->after, sizeof(m->before));
	memcpy(m->was, m->sa, sizeof(m->was));
	switch (random() % 40) {
	case 0:
		memset(m->after, 0, sizeof(m->after));
		sad_flush(sad, random() % 2 ? 0 : SAGATE_PROTO_ANY);
		break;
	case 1:
		assert_int_equal(sad_flush(sad, IPPROTO_AH), 0);
		break;
	case 2: /* a comparison that finds about half of them gone */
		sad_mark(sad);
		for (int k = 0; k < SAS; k++)
			m->after[k] &= random() % 2;
		for (int k = 0; k < SAS; k++) {
			if (m->after[k])
				assert_int_equal(sad_put_dumped(sad, &m->sa[k]), 0);
		}
		sad_sweep(sad);
		break;
	case 3 ... 25:
		random_sa(&m->sa[i], i);
		if (m->after[i] && random() % 2) {
			m->sa[i] = old;
			m->sa[i].saddr[0] ^= 1;
		}
		m->after[i] = true;
		assert_in_range(sad_put(sad, &m->sa[i]), 0, 1);
		assert_int_equal(sad_put(sad, &m->sa[i]), 0);
		break;
	default:
		m->after[i] = false;
		assert_int_equal(sad_del(sad, &m->sa[i]), m->before[i]);
	}
	settled(m, f, sad);
}

static void random_changes(int changes, size_t limit, unsigned int refuse)
{
	struct model *m = calloc(1, sizeof(*m));
	struct fake_sink f;
	struct sad *sad;

	fake_init(&f);
	f.ctx = m;
	f.limit[MAP_SAD] = limit;
	f.refuse_puts = f.refuse_dels = refuse;
	f.written = every_write;
	sad = sad_new(SPACE, &f.sink);
	sad_set_clock(sad, fake_clock);
	for (int i = 0; i < SAS; i++)
		random_sa(&m->sa[i], i);
	for (int n = 0; n < changes; n++)
		one_change(m, &f, sad);
	print_message("%d changes, %zu writes, %zu readings\n", changes, f.writes, m->checked);
	assert_true(m->checked > 5000);
	f.refuse_puts = f.refuse_dels = 0;
	f.limit[MAP_SAD] = 0;
	f.written = NULL;
	for (int i = 0; i < SAS; i++) {
		if (m->after[i] && i % 2) {
			m->after[i] = false;
			assert_int_equal(sad_del(sad, &m->sa[i]), 1);
			settled(m, &f, sad);
		}
	}
	sad_free(sad);
	fake_done(&f);
	free(m);
}

static void no_reader_ever_misses_an_sa_that_stands(void **state)
{
	(void)state;
	fake_seed("random changes");
	random_changes(20000, 0, 0);
}

static void a_full_map_is_said_and_made_good(void **state)
{
	(void)state;
	fake_seed("full map");
	random_changes(10000, 20, 0);
}

static void a_map_that_refuses_now_and_then_is_made_good(void **state)
{
	(void)state;
	fake_seed("refusals");
	random_changes(10000, 0, 20);
}

struct one {
	struct fake_sink f;
	struct sad *sad;
};

static void one_new(struct one *o)
{
	fake_init(&o->f);
	o->sad = sad_new(SPACE, &o->f.sink);
	sad_set_clock(o->sad, fake_clock);
	now = (struct sad_now){.boot = 5000 * NS, .real = 1000000 * NS};
}

static void one_free(struct one *o)
{
	sad_free(o->sad);
	fake_done(&o->f);
}

static struct sa_info sa(__u32 spi, __u32 hard)
{
	struct sa_info s = {.family = AF_INET,
			    .proto = IPPROTO_ESP,
			    .mode = XFRM_MODE_TRANSPORT,
			    .spi = htonl(spi),
			    .reqid = 3,
			    .pcpu = SAGATE_PCPU_ANY};

	s.daddr[0] = htonl(0xc0000202);
	s.life.hard_add = hard;
	s.life.add_time = 1000000;
	return s;
}

static const struct sad_value *slot(struct one *o, const struct sa_info *s, __u8 n)
{
	struct sad_key k = key_of(s);

	k.slot = n;
	return fake_get(&o->f, MAP_SAD, &k);
}

static void of_too_many_those_that_live_longest_have_a_slot(void **state)
{
	struct sa_info s;
	struct one o;

	(void)state;
	one_new(&o);
	for (__u32 i = 0; i < 20; i++) {
		s = sa(100 + i, 1000 + i * 7 % 20);
		assert_int_equal(sad_put(o.sad, &s), 1);
	}
	assert_int_equal(slots(&o.f, key_of(&s)), SAD_SLOTS_MAX);
	assert_int_equal(o.f.state.full, FULL_SAD);
	for (__u32 i = 0; i < 20; i++) {
		s = sa(100 + i, 0);
		assert_int_equal(found(&o.f, &s), i * 7 % 20 >= 4);
	}
	/* Each that goes makes room for the longest-lived of those that wait. */
	for (__u32 rank = 3; rank < 4; rank--) {
		for (__u32 i = 0; i < 20; i++) {
			s = sa(100 + i, 0);
			if (i * 7 % 20 == rank + 12)
				assert_int_equal(sad_del(o.sad, &s), 1);
		}
		for (__u32 i = 0; i < 20; i++) {
			s = sa(100 + i, 0);
			if (i * 7 % 20 == rank)
				assert_true(found(&o.f, &s));
		}
	}
	assert_int_equal(o.f.state.full, 0);
	one_free(&o);
}

static void a_deadline_is_of_boottime_and_survives_a_clock_step(void **state)
{
	struct sa_info s = sa(1, 600), t;
	struct one o;

	(void)state;
	one_new(&o);
	now.real += 10 * NS;
	sad_put(o.sad, &s);
	assert_int_equal(slot(&o, &s, 0)->deadline, (5000 + 590 + LATE) * NS);
	assert_int_equal(sad_expires_in(o.sad, sad_find(o.sad, &s)), 590);
	now.real += 3600 * NS; /* the wall clock jumps; a dump comes by */
	s.life.bytes = 77;
	assert_int_equal(sad_put(o.sad, &s), 0);
	assert_int_equal(slot(&o, &s, 0)->deadline, (5000 + 590 + LATE) * NS);
	s.life.soft_add = 77; /* and something else changes, in place or to another key */
	assert_int_equal(sad_put(o.sad, &s), 1);
	assert_int_equal(slot(&o, &s, 0)->deadline, (5000 + 590 + LATE) * NS);
	s.reqid = 4;
	assert_int_equal(sad_put(o.sad, &s), 1);
	assert_int_equal(slot(&o, &s, 0)->deadline, (5000 + 590 + LATE) * NS);
	s.reqid = 3;
	assert_int_equal(sad_put(o.sad, &s), 1);
	/* Learnt of only after a step: the kernel has it, and nobody knows for how long. */
	t = sa(2, 600);
	sad_put(o.sad, &t);
	assert_int_equal(slot(&o, &t, 1)->deadline, (5600 + LATE) * NS);
	now.boot += 600 * NS; /* it should be over, and is listed: it is not */
	now.real += 600 * NS;
	assert_int_equal(sad_put(o.sad, &s), 0);
	assert_int_equal(slot(&o, &s, 0)->deadline, (5600 + 600 + LATE) * NS);
	now.boot -= 600 * NS;
	now.real = 1000510 * NS; /* less is left: the kernel's timer does not follow */
	assert_int_equal(sad_put(o.sad, &t), 0);
	assert_int_equal(slot(&o, &t, 1)->deadline, (5600 + LATE) * NS);
	now.boot += 300 * NS;
	now.real = 1000000 * NS; /* set back: the kernel counts anew at the end of its timer */
	assert_int_equal(sad_put(o.sad, &t), 0);
	assert_int_equal(slot(&o, &t, 1)->deadline, (5300 + 600 + LATE) * NS);
	now.boot -= 300 * NS;
	now.real = 3 * NS;
	t = sa(3, 600);
	sad_put(o.sad, &t);
	assert_int_equal(slot(&o, &t, 2)->deadline, (5600 + LATE) * NS);
	/* Without a limit, or one of use before the first use: none. */
	t = sa(4, 0);
	t.life.hard_use = 50;
	sad_put(o.sad, &t);
	assert_int_equal(slot(&o, &t, 3)->deadline, 0);
	assert_int_equal(sad_expires_in(o.sad, sad_find(o.sad, &t)), -1);
	t.life.use_time = 3;
	assert_int_equal(sad_put(o.sad, &t), 1);
	assert_int_equal(slot(&o, &t, 3)->deadline, (5050 + LATE) * NS);
	one_free(&o);
}

static void updsa_of_a_standing_sa_changes_only_what_the_kernel_changes(void **state)
{
	struct sa_info s = sa(1, 600), u;
	struct sad_key k;
	struct one o;

	(void)state;
	one_new(&o);
	s.saddr[0] = 7;
	s.sel.family = AF_INET;
	s.sel.dst_len = 24;
	sad_put(o.sad, &s);
	now.real += 100 * NS;
	now.boot += 100 * NS;
	u = sa(1, 1000);
	u.reqid = 99;
	u.mode = XFRM_MODE_TUNNEL;
	u.saddr[0] = 8;
	u.life.add_time = 1000100; /* the request's copy was made now */
	assert_int_equal(sad_update(o.sad, &u), 1);
	assert_int_equal(slot(&o, &s, 0)->saddr[0], 7);
	assert_int_equal(slot(&o, &s, 0)->sel_dst_len, 24);
	assert_int_equal(slot(&o, &s, 0)->deadline, (5000 + 1000 + LATE) * NS);
	assert_int_equal(fake_count(&o.f, MAP_SAD), 1);
	u.if_id = 4;
	assert_int_equal(sad_update(o.sad, &u), 1);
	assert_null(slot(&o, &s, 0));
	k = key_of(&s);
	k.if_id = 4;
	assert_non_null(fake_get(&o.f, MAP_SAD, &k));
	/* Where it replaced a larval SA it is as it says. */
	u.spi = htonl(2);
	assert_int_equal(sad_update(o.sad, &u), 1);
	assert_int_equal(sad_find(o.sad, &u)->reqid, 99);
	/* While a dump runs, who knows: it is taken as it says and looked at again. */
	sad_mark(o.sad);
	u.spi = htonl(3);
	assert_int_equal(sad_update(o.sad, &u), 1);
	assert_true(sad_unsure(o.sad));
	sad_sweep(o.sad);
	assert_non_null(sad_find(o.sad, &u));
	one_free(&o);
}

/* After an overrun the first that is heard of an SA may be its UPDSA; the dump has the rest. */
static void updsa_before_the_dump_lists_the_sa_is_put_together_with_it(void **state)
{
	struct sa_info s = sa(1, 600), u = sa(1, 900), v = sa(1, 950);
	struct one o;

	(void)state;
	one_new(&o);
	u.reqid = v.reqid = 99;
	sad_mark(o.sad);
	sad_update(o.sad, &u);
	sad_update(o.sad, &v); /* once more */
	sad_put_dumped(o.sad, &s);
	assert_false(sad_unsure(o.sad));
	assert_int_equal(sad_find(o.sad, &s)->reqid, s.reqid);
	assert_int_equal(sad_find(o.sad, &s)->life.hard_add, 950);
	/* listed: from now on it is as events say */
	sad_put_dumped(o.sad, &u);
	assert_int_equal(sad_find(o.sad, &s)->reqid, s.reqid);
	sad_sweep(o.sad);
	assert_non_null(sad_find(o.sad, &s));
	/* gone before it is listed: a part that lists it is older */
	sad_del(o.sad, &s);
	sad_mark(o.sad);
	sad_update(o.sad, &u);
	sad_del(o.sad, &u);
	sad_put_dumped(o.sad, &s);
	assert_null(sad_find(o.sad, &s));
	/* told whole after that: the dump has nothing to add */
	sad_update(o.sad, &u);
	sad_put(o.sad, &v);
	sad_put_dumped(o.sad, &s);
	assert_int_equal(sad_find(o.sad, &s)->reqid, 99);
	/* what stood before a gap may be another SA by now: the dump that follows knows */
	sad_sweep(o.sad);
	v.if_id = 8;
	sad_put(o.sad, &v);
	sad_mark(o.sad);
	sad_update(o.sad, &u);
	assert_true(sad_unsure(o.sad));
	sad_put_dumped(o.sad, &s);
	assert_false(sad_unsure(o.sad));
	assert_int_equal(sad_find(o.sad, &s)->reqid, s.reqid);
	assert_int_equal(sad_find(o.sad, &s)->life.hard_add, 900);
	assert_int_equal(sad_find(o.sad, &s)->if_id, 0);
	sad_mark(o.sad);
	sad_update(o.sad, &v); /* asks for an if_id: an older part of the dump does not have it */
	sad_put_dumped(o.sad, &s);
	assert_int_equal(sad_find(o.sad, &s)->if_id, 8);
	/* of an earlier dump nothing is left */
	sad_sweep(o.sad);
	sad_mark(o.sad);
	assert_false(sad_unsure(o.sad));
	sad_put_dumped(o.sad, &s);
	assert_int_equal(sad_find(o.sad, &s)->life.hard_add, 600);
	one_free(&o);
}

static void updsa_finds_an_sa_whose_mark_lets_it_in(void **state)
{
	struct sa_info s = sa(1, 600), u = sa(1, 900);
	struct one o;

	(void)state;
	one_new(&o);
	sad_put(o.sad, &s);
	u.mark = 5;
	u.mark_mask = 0xff;
	assert_int_equal(sad_update(o.sad, &u), 1); /* mark 0/0 lets all in */
	assert_int_equal(sad_find(o.sad, &s)->life.hard_add, 900);
	assert_null(sad_find(o.sad, &u));
	sad_put(o.sad, &u);
	assert_int_equal(sad_update(o.sad, &u), -EAGAIN);
	one_free(&o);
}

static void an_old_part_of_a_dump_undoes_no_event(void **state)
{
	struct sa_info s = sa(1, 600), t = sa(2, 600), u = sa(3, 0);
	struct one o;

	(void)state;
	one_new(&o);
	sad_put(o.sad, &s);
	sad_mark(o.sad);
	assert_int_equal(sad_del(o.sad, &s), 1);
	assert_int_equal(sad_del(o.sad, &t), 0);
	assert_int_equal(sad_put_dumped(o.sad, &s), 0);
	assert_int_equal(sad_put_dumped(o.sad, &t), 0);
	assert_int_equal(sad_put_dumped(o.sad, &u), 1);
	assert_null(sad_find(o.sad, &s));
	assert_int_equal(sad_put(o.sad, &t), 1);
	assert_int_equal(sad_sweep(o.sad), 0);
	assert_true(found(&o.f, &t) && found(&o.f, &u) && !found(&o.f, &s));
	sad_mark(o.sad);
	sad_flush(o.sad, IPPROTO_ESP);
	assert_int_equal(sad_put_dumped(o.sad, &s), 0);
	sad_sweep(o.sad);
	assert_int_equal(fake_count(&o.f, MAP_SAD), 0);
	one_free(&o);
}

/* Side by side: the SA that can be used, and the one that differs in one thing and cannot. */
/*
 * It is of the SA before, whose successor was told of first, or the timer has moved the add time:
 * the SA is not used until a dump has told.
 */
static void an_expiry_of_another_add_time_makes_a_dump_tell(void **state)
{
	struct sa_info old = {.family = AF_INET, .proto = IPPROTO_ESP, .pcpu = SAGATE_PCPU_ANY};
	struct fake_sink f;
	struct sa_info new;
	struct sad *sad;

	(void)state;
	fake_init(&f);
	sad = sad_new(SPACE, &f.sink);
	old.spi = htonl(1);
	old.life.hard_add = 5;
	old.life.add_time = 1000000;
	new = old;
	new.life.add_time += 5;
	assert_int_equal(sad_put(sad, &old), 1);
	assert_int_equal(sad_put(sad, &new), 1);
	assert_int_equal(sad_expire(sad, &old), -EAGAIN);
	assert_false(found(&f, &new));
	sad_mark(sad);
	assert_int_equal(sad_put_dumped(sad, &new), 1);
	sad_sweep(sad);
	assert_true(found(&f, &new));
	assert_int_equal(sad_expire(sad, &new), 1);
	assert_false(found(&f, &new));
	assert_int_equal(sad_expire(sad, &new), 0);
	sad_free(sad);
	fake_done(&f);
}

static void only_usable_sas_are_in_the_map(void **state)
{
	struct sa_info rows[7];
	struct one o;

	(void)state;
	one_new(&o);
	for (__u32 i = 0; i < 7; i++)
		rows[i] = sa(i + 1, 0);
	rows[1].flags = XFRM_STATE_WILDRECV;
	rows[2].dir = SAGATE_SA_DIR_IN;
	rows[3].pcpu = 0;
	rows[4].exhausted = 1;
	rows[5].sel.family = AF_INET;
	rows[5].sel.dst_len = 64;
	rows[6].dir = SAGATE_SA_DIR_OUT;
	for (int i = 0; i < 7; i++) {
		sad_put(o.sad, &rows[i]);
		assert_int_equal(found(&o.f, &rows[i]), i == 0 || i == 2 || i == 6);
	}
	assert_int_equal(o.f.state.full, 0);
	rows[4].exhausted = 0;
	sad_put(o.sad, &rows[4]);
	assert_true(found(&o.f, &rows[4]));
	rows[0].exhausted = 1;
	sad_put(o.sad, &rows[0]);
	assert_false(found(&o.f, &rows[0]));
	one_free(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_reader_ever_misses_an_sa_that_stands),
		cmocka_unit_test(a_full_map_is_said_and_made_good),
		cmocka_unit_test(a_map_that_refuses_now_and_then_is_made_good),
		cmocka_unit_test(of_too_many_those_that_live_longest_have_a_slot),
		cmocka_unit_test(a_deadline_is_of_boottime_and_survives_a_clock_step),
		cmocka_unit_test(updsa_of_a_standing_sa_changes_only_what_the_kernel_changes),
		cmocka_unit_test(updsa_before_the_dump_lists_the_sa_is_put_together_with_it),
		cmocka_unit_test(updsa_finds_an_sa_whose_mark_lets_it_in),
		cmocka_unit_test(an_old_part_of_a_dump_undoes_no_event),
		cmocka_unit_test(an_expiry_of_another_add_time_makes_a_dump_tell),
		cmocka_unit_test(only_usable_sas_are_in_the_map),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
