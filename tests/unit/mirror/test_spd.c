// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table of policies against a model that knows nothing of masks: a list of all policies, each
 * compared with a flow as xfrm_policy_match does. After every write to the maps the answer found in
 * them is the model's before the change or after it, never a third.
 */
/* needs: loader/spd.c loader/spd_group.c loader/spd_image.c loader/spd_masks.c loader/spd_ties.c */
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
#include "spd.h"

#define SPACE	 7
#define POLICIES 600
#define FLOWS	 24

struct answer {
	bool found;
	__u32 priority;
	int rank; /* 0 block, 1 templates, 2 optional templates, 3 allow */
};

struct model {
	struct policy_info policy[POLICIES];
	bool stands[POLICIES];
	enum spd_class class;
	struct flow flow[FLOWS];
	struct answer before[FLOWS], after[FLOWS];
	size_t checked;
};

static int rank(int action, int tmpl_count, const struct spd_tmpl *t)
{
	if (action == XFRM_POLICY_BLOCK)
		return 0;
	for (int i = 0; i < tmpl_count && i < TMPLS_MAX; i++) {
		if (!t[i].optional)
			return 1;
	}
	return tmpl_count ? 2 : 3;
}

static bool in_prefix(const __be32 *a, const __be32 *p, unsigned int len)
{
	for (unsigned int bit = 0; bit < len; bit++) {
		if ((ntohl(a[bit / 32]) ^ ntohl(p[bit / 32])) >> (31 - bit % 32) & 1)
			return false;
	}
	return true;
}

/* xfrm_policy_match and __xfrm4_selector_match, as the facts have them. */
static bool matches(const struct policy_info *p, const struct flow *f)
{
	const struct selector_info *s = &p->sel;

	return s->family == f->family && p->if_id == 0 && (f->mark & p->mark_mask) == p->mark &&
	       in_prefix(f->daddr, s->daddr, s->dst_len) &&
	       in_prefix(f->saddr, s->saddr, s->src_len) &&
	       !((f->dport ^ s->dport) & s->dport_mask) &&
	       !((f->sport ^ s->sport) & s->sport_mask) && (f->proto == s->proto || !s->proto) &&
	       (f->oif == s->ifindex || !s->ifindex);
}

static struct answer model_ask(const struct model *m, const struct flow *f)
{
	struct answer a = {0};

	for (int i = 0; i < POLICIES; i++) {
		const struct policy_info *p = &m->policy[i];
		int r = rank(p->action, p->tmpl_count, p->tmpl);

		if (!m->stands[i] || !matches(p, f))
			continue;
		if (a.found &&
		    (p->priority > a.priority || (p->priority == a.priority && r >= a.rank)))
			continue;
		a = (struct answer){true, p->priority, r};
	}
	return a;
}

static bool to_group(const struct flow *flow)
{
	return flow->family == AF_INET ? IN_MULTICAST(ntohl(flow->daddr[0]))
				       : IN6_IS_ADDR_MULTICAST(flow->daddr);
}

/* What the BPF programs do with the maps. */
static struct answer maps_ask(const struct fake_sink *f, enum spd_class class,
			      const struct flow *flow, bool settled)
{
	struct spd_masks_key mk = {.space = SPACE, .class = (__u8) class, .family = flow->family};
	const struct spd_masks *masks = fake_get(f, MAP_SPD_MASKS, &mk);
	struct answer a = {0};

	if (!f->state.masks[class][flow->family == AF_INET6])
		return a;
	assert_non_null(masks);
	for (__u32 i = 0; i < masks->count; i++) {
		const struct spd_mask *m = &masks->mask[i];
		struct spd_key k = {.space = SPACE, .class = (__u8) class, .family = flow->family};
		const struct spd_value *v;
		int r;

		if (i)
			assert_true(masks->mask[i - 1].best <= m->best);
		if (m->dev & (to_group(flow) ? MASK_HOST : MASK_GROUP))
			continue;
		if (a.found && m->best > a.priority)
			break;
		for (unsigned int bit = 0; bit < 128; bit++) {
			__be32 one = htonl(1U << (31 - bit % 32));

			if (bit < m->src_len)
				k.saddr[bit / 32] |= flow->saddr[bit / 32] & one;
			if (bit < m->dst_len)
				k.daddr[bit / 32] |= flow->daddr[bit / 32] & one;
		}
		k.mark = flow->mark & m->mark;
		k.mark_mask = m->mark;
		k.sport = flow->sport & m->sport;
		k.dport = flow->dport & m->dport;
		k.sport_mask = m->sport;
		k.dport_mask = m->dport;
		k.src_len = m->src_len;
		k.dst_len = m->dst_len;
		k.proto = m->proto ? flow->proto : 0;
		k.ifindex = m->dev & MASK_DEV ? flow->oif : 0;
		v = fake_get(f, MAP_SPD, &k);
		if (!v)
			continue;
		assert_true(!settled || v->priority >= m->best);
		r = rank(v->block ? XFRM_POLICY_BLOCK : XFRM_POLICY_ALLOW, v->tmpl_count, v->tmpl);
		if (!a.found || v->priority < a.priority ||
		    (v->priority == a.priority && r < a.rank))
			a = (struct answer){true, v->priority, r};
	}
	return a;
}

static bool same(struct answer a, struct answer b)
{
	return a.found == b.found && a.priority == b.priority && a.rank == b.rank;
}

static void before_or_after(struct fake_sink *f)
{
	struct model *m = f->ctx;

	if (f->state.full)
		return; /* every decision waits */
	for (int i = 0; i < FLOWS; i++) {
		struct answer a = maps_ask(f, m->class, &m->flow[i], false);

		if (!same(a, m->before[i]) && !same(a, m->after[i]))
			fail_msg("flow %d: neither before nor after", i);
		m->checked++;
	}
}

static __u8 pick(const __u8 *from, size_t n)
{
	return from[(size_t)random() % n];
}

static void random_addr(__be32 a[4], __u8 family)
{
	memset(a, 0, 16);
	a[0] = htonl(0x0a000000 | (__u32)(random() % 4) << 16 | (__u32)(random() % 3));
	if (family == AF_INET6)
		a[3] = htonl((__u32)(random() % 3));
}

static void random_flow(struct flow *f)
{
	memset(f, 0, sizeof(*f));
	f->family = random() % 3 ? AF_INET : AF_INET6;
	random_addr(f->saddr, f->family);
	random_addr(f->daddr, f->family);
	f->proto = random() % 2 ? IPPROTO_TCP : IPPROTO_UDP;
	f->sport = htons((__u16)(random() % 3));
	f->dport = htons((__u16)(random() % 3 + 440));
	f->mark = (__u32)random() % 3;
	f->oif = (__u32)random() % 3;
}

static void random_policy(struct policy_info *p, __u32 index, bool wide)
{
	static const __u8 lens4[] = {0, 8, 16, 32}, lens6[] = {0, 16, 32, 127, 128};

	memset(p, 0, sizeof(*p));
	p->index = index;
	p->unplaced = 1; /* ties by what protects, as the model has them */
	p->sel.family = random() % 3 ? AF_INET : AF_INET6;
	random_addr(p->sel.saddr, p->sel.family); /* with host bits: groups of several */
	random_addr(p->sel.daddr, p->sel.family);
	p->sel.src_len = p->sel.family == AF_INET ? pick(lens4, 4) : pick(lens6, 5);
	p->sel.dst_len = p->sel.family == AF_INET ? pick(lens4, 4) : pick(lens6, 5);
	if (wide)
		p->sel.src_len = (__u8)(random() % 33);
	p->sel.proto = random() % 3 ? 0 : IPPROTO_TCP;
	p->sel.dport = htons((__u16)(random() % 3 + 440));
	p->sel.dport_mask = random() % 3 ? 0 : random() % 2 ? 0xffff : htons(0xfffe);
	p->sel.ifindex = random() % 6 ? 0 : 1;
	p->mark_mask = random() % 4 ? 0 : 3;
	p->mark = random() % 8 ? (__u32)random() % 3 & p->mark_mask : 5; /* 5: never matches */
	p->if_id = random() % 8 ? 0 : 9;
	p->priority = (__u32)random() % 6;
	p->action = random() % 3 ? XFRM_POLICY_ALLOW : XFRM_POLICY_BLOCK;
	p->tmpl_count = random() % 2 ? 0 : 1 + random() % 2;
	for (int i = 0; i < p->tmpl_count; i++) {
		p->tmpl[i].proto = IPPROTO_ESP;
		p->tmpl[i].reqid = (__u32)random() % 3;
		p->tmpl[i].mode = random() % 2;
		p->tmpl[i].optional = random() % 3 == 0;
		p->tmpl[i].daddr[0] = 1;
	}
}

static void expect(struct model *m, struct answer *to)
{
	for (int i = 0; i < FLOWS; i++)
		to[i] = model_ask(m, &m->flow[i]);
}

static size_t model_count(const struct model *m)
{
	size_t n = 0;

	for (int i = 0; i < POLICIES; i++)
		n += m->stands[i];
	return n;
}

/* Everything is stored and answers as the model, or it says that it is full. */
static void check(const struct model *m, const struct fake_sink *f, const struct spd *spd)
{
	struct spd_counts c;

	spd_count(spd, &c);
	assert_int_equal(c.policies, model_count(m));
	if (!f->refuse_dels)
		assert_int_equal(c.stored, fake_count(f, MAP_SPD));
	if (c.missing) {
		assert_int_equal(f->state.full & FULL_SPD, FULL_SPD);
		return;
	}
	if (!f->refuse_dels)
		assert_int_equal(f->state.full, 0);
	for (int i = 0; i < FLOWS; i++) {
		struct answer a = maps_ask(f, m->class, &m->flow[i], true);

		if (!f->state.full && !same(a, m->after[i]))
			fail_msg("flow %d: the maps answer otherwise than the model", i);
	}
}

static void one_change(struct model *m, struct fake_sink *f, struct spd *spd, bool wide)
{
	struct policy_info p;
	__u32 i = (__u32)random() % POLICIES;

	for (int k = 0; k < FLOWS; k++)
		random_flow(&m->flow[k]);
	expect(m, m->before);
	if (random() % 5 < 3) {
		random_policy(&p, i, wide);
		if (random() % 2 && m->stands[i]) { /* UPDPOLICY: the same selector */
			p.sel = m->policy[i].sel;
			p.mark = m->policy[i].mark;
			p.mark_mask = m->policy[i].mark_mask;
			p.if_id = m->policy[i].if_id;
		}
		m->policy[i] = p;
		m->stands[i] = true;
		expect(m, m->after);
		assert_in_range(spd_put(spd, m->class, &p), 0, 1);
		assert_int_equal(spd_put(spd, m->class, &p), 0);
	} else {
		bool stood = m->stands[i];

		m->stands[i] = false;
		expect(m, m->after);
		assert_int_equal(spd_del(spd, m->class, i), stood);
	}
	check(m, f, spd);
}

static void random_changes(unsigned int changes, bool wide, size_t limit, unsigned int puts,
			   unsigned int dels)
{
	struct model *m = calloc(1, sizeof(*m));
	struct fake_sink f;
	struct spd *spd;

	fake_init(&f);
	f.ctx = m;
	f.limit[MAP_SPD] = limit;
	f.refuse_puts = puts;
	f.refuse_dels = dels;
	f.written = before_or_after;
	m->class = CLASS_MAIN;
	spd = spd_new(SPACE, &f.sink);
	for (unsigned int n = 0; n < changes; n++)
		one_change(m, &f, spd, wide);
	/* When the map takes all again, one removal is enough for all to be stored. */
	f.refuse_puts = f.refuse_dels = 0;
	f.limit[MAP_SPD] = 0;
	for (__u32 i = 0, n = 0; i < POLICIES && (n < POLICIES / 2 || wide); i++) {
		if (m->stands[i]) {
			m->stands[i] = false;
			expect(m, m->before);
			expect(m, m->after);
			f.written = NULL;
			assert_int_equal(spd_del(spd, m->class, i), 1);
			n++;
		}
	}
	assert_int_equal(f.state.full, 0);
	check(m, &f, spd);
	print_message("%u changes, %zu writes, %zu answers compared in between\n", changes,
		      f.writes, m->checked);
	assert_true(m->checked > 1000);
	spd_free(spd);
	fake_done(&f);
	free(m);
}

static void the_maps_answer_as_the_kernel_would(void **state)
{
	(void)state;
	fake_seed("random changes");
	random_changes(3000, false, 0, 0, 0);
}

static void a_full_map_is_said_and_made_good(void **state)
{
	(void)state;
	fake_seed("full map");
	random_changes(1500, false, 150, 0, 0);
}

static void too_many_masks_are_said_and_made_good(void **state)
{
	(void)state;
	fake_seed("many masks");
	random_changes(1500, true, 0, 0, 0);
}

static void a_map_that_refuses_now_and_then_is_made_good(void **state)
{
	(void)state;
	fake_seed("refusals");
	random_changes(2000, false, 0, 20, 20);
	random_changes(1500, false, 0, 50, 0);
}

struct one {
	struct fake_sink f;
	struct spd *spd;
	struct spd_counts c;
};

static struct policy_info policy(__u32 index, __u32 priority, int action, int tmpls)
{
	struct policy_info p = {.index = index,
				.priority = priority,
				.action = (__u8)action,
				.tmpl_count = (__u8)tmpls};

	p.sel.family = AF_INET;
	p.sel.dst_len = 16;
	p.sel.daddr[0] = htonl(0x0a020000 + index); /* host bits */
	for (int i = 0; i < tmpls; i++)
		p.tmpl[i] = (struct spd_tmpl){.proto = IPPROTO_ESP,
					      .reqid = 4,
					      .mode = XFRM_MODE_TUNNEL,
					      .daddr[0] = 5,
					      .saddr[0] = 6};
	return p;
}

static const struct spd_value *value(struct one *o, const struct policy_info *p)
{
	struct spd_key k;

	spd_make_key(SPACE, CLASS_MAIN, p, &k);
	spd_count(o->spd, &o->c);
	return fake_get(&o->f, MAP_SPD, &k);
}

static void one_new(struct one *o)
{
	fake_init(&o->f);
	o->spd = spd_new(SPACE, &o->f.sink);
}

static void one_free(struct one *o)
{
	spd_free(o->spd);
	fake_done(&o->f);
}

/* For each row: which of two policies with one masked selector stands in the map, and is it a tie?
 */
static void the_protecting_one_wins_a_tie(void **state)
{
	static const struct {
		__u32 priority[2];
		int action[2], tmpls[2], winner, tie, placed;
	} rows[] = {
		{{4, 4}, {0, 1}, {0, 0}, 0, 0, 1}, /* where the kernel's order is known: the older
						    */
		{{4, 4}, {1, 0}, {0, 1}, 0, 0, 1},
		{{5, 4}, {0, 1}, {0, 0}, 1, 0, 1},
		{{5, 4}, {0, 0}, {1, 0}, 1, 0, 0}, /* the lower priority, though it allows */
		{{4, 5}, {0, 1}, {0, 0}, 0, 0, 0},
		{{4, 4}, {0, 1}, {0, 0}, 1, 1, 0}, /* block before allow */
		{{4, 4}, {1, 0}, {0, 1}, 0, 1, 0}, /* block before templates */
		{{4, 4}, {0, 0}, {0, 1}, 1, 1, 0}, /* templates before allow */
		{{4, 4}, {0, 0}, {1, 1}, 0, 0, 0}, /* the same outcome: the older */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct policy_info p[2];
		struct one o;

		one_new(&o);
		for (int k = 0; k < 2; k++) {
			p[k] = policy(10 + (__u32)k, rows[i].priority[k], rows[i].action[k],
				      rows[i].tmpls[k]);
			p[k].unplaced = !rows[i].placed;
			assert_int_equal(spd_put(o.spd, CLASS_MAIN, &p[k]), 1);
		}
		assert_int_equal(value(&o, &p[0])->index, 10 + (__u32)rows[i].winner);
		assert_int_equal(o.c.ties, rows[i].tie);
		assert_int_equal(o.c.stored, 1);
		/* Without the winner the other one stands. */
		spd_del(o.spd, CLASS_MAIN, 10 + (__u32)rows[i].winner);
		assert_int_equal(value(&o, &p[0])->index, 11 - (__u32)rows[i].winner);
		assert_int_equal(o.c.ties, 0);
		one_free(&o);
	}
}

/*
 * Two whose order is known, the younger of which blocks, and one whose place is not: the kernel
 * takes the older or the third, whenever that came.
 */
static void of_a_known_order_only_the_first_counts_in_a_tie(void **state)
{
	static const int orders[][3] = {{0, 1, 2}, {0, 2, 1}, {2, 0, 1}};

	(void)state;
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		struct policy_info p[3] = {policy(10, 4, 0, 0), policy(11, 4, 1, 0),
					   policy(12, 4, 0, 1)};
		struct one o;

		p[2].unplaced = 1;
		one_new(&o);
		for (int k = 0; k < 3; k++)
			assert_int_equal(spd_put(o.spd, CLASS_MAIN, &p[orders[i][k]]), 1);
		assert_int_equal(value(&o, &p[0])->index, 12);
		assert_int_equal(o.c.ties, 1);
		spd_del(o.spd, CLASS_MAIN, 10);
		assert_int_equal(value(&o, &p[0])->index, 11);
		/* its index is the lowest, and it is the newest */
		spd_put(o.spd, CLASS_MAIN, &p[0]);
		assert_int_equal(value(&o, &p[0])->index, 11);
		spd_del(o.spd, CLASS_MAIN, 12);
		assert_int_equal(value(&o, &p[0])->index, 11);
		assert_int_equal(value(&o, &p[0])->place, PLACE_TIED);
		assert_int_equal(o.c.ties, 1);
		one_free(&o);
	}
}

static size_t pairs(const struct one *o, __u32 first, __u32 second)
{
	__u32 pair[2];
	size_t ties = spd_ties(o->spd, pair);

	assert_int_equal(pair[0], first);
	assert_int_equal(pair[1], second);
	return ties;
}

/* UPDPOLICY keeps the index and inserts anew: the kernels differ in which place that gives. */
static void an_update_leaves_the_order_unknown_until_all_of_it_is_one_again(void **state)
{
	struct policy_info p[2] = {policy(10, 4, 0, 0), policy(18, 4, 0, 1)};
	struct one o;

	(void)state;
	one_new(&o);
	for (int k = 0; k < 2; k++)
		assert_int_equal(spd_put(o.spd, CLASS_MAIN, &p[k]), 1);
	assert_int_equal(value(&o, &p[0])->index, 10);
	assert_int_equal(value(&o, &p[0])->place, PLACE_INEXACT);
	assert_int_equal(pairs(&o, 0, 0), 0);
	/* the newest: nothing is another */
	assert_int_equal(spd_put(o.spd, CLASS_MAIN, &p[1]), 0);
	assert_int_equal(spd_put(o.spd, CLASS_MAIN, &p[0]), 1);
	assert_int_equal(value(&o, &p[0])->index, 18);
	assert_int_equal(value(&o, &p[0])->place, PLACE_TIED);
	assert_int_equal(o.c.ties, 1);
	assert_int_equal(pairs(&o, 10, 18), 1);
	assert_int_equal(spd_put(o.spd, CLASS_MAIN, &p[1]), 1);
	assert_int_equal(value(&o, &p[0])->index, 10);
	assert_int_equal(value(&o, &p[0])->place, PLACE_INEXACT);
	assert_int_equal(o.c.ties, 0);
	assert_int_equal(pairs(&o, 0, 0), 0);
	one_free(&o);
}

static void an_update_of_what_ties_with_none_costs_nothing(void **state)
{
	struct policy_info p[2] = {policy(10, 4, 0, 0), policy(18, 5, 0, 1)};
	struct one o;

	(void)state;
	one_new(&o);
	for (int k = 0; k < 2; k++)
		assert_int_equal(spd_put(o.spd, CLASS_MAIN, &p[k]), 1);
	p[0].flags = 1;
	assert_int_equal(spd_put(o.spd, CLASS_MAIN, &p[0]), 1);
	assert_int_equal(value(&o, &p[0])->index, 10);
	assert_int_equal(value(&o, &p[0])->place, PLACE_INEXACT);
	assert_int_equal(o.c.ties, 0);
	assert_int_equal(pairs(&o, 0, 0), 0);
	one_free(&o);
}

/* A dump lists the newest first. */
static void dump(struct one *o, const struct policy_info *p, const int *order, int n)
{
	spd_mark(o->spd, CLASS_MAIN);
	for (int i = 0; i < n; i++)
		assert_in_range(spd_put_dumped(o->spd, CLASS_MAIN, &p[order[i]]), 0, 1);
	assert_int_equal(spd_sweep(o->spd, CLASS_MAIN), 0);
}

/* Whoever only reads a dump comes to what one says who has seen all changes. */
static void a_dump_tells_the_order_of_insertion(void **state)
{
	static const int orders[][3] = {{2, 1, 0}, {0, 2, 1}, {1, 2, 0}, {0, 1, 2}};
	static const __u32 index[] = {10, 18, 10, 26}; /* what none hides, and protects most */
	struct policy_info p[3] = {policy(10, 4, 0, 0), policy(18, 4, 0, 1), policy(26, 4, 1, 0)};

	(void)state;
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		struct one seen, told;
		size_t writes;

		one_new(&seen);
		one_new(&told);
		dump(&seen, p, orders[i], 3);
		for (int k = 2; k >= 0; k--)
			spd_put(told.spd, CLASS_MAIN, &p[orders[i][k]]);
		assert_int_equal(value(&seen, p)->index, value(&told, p)->index);
		assert_int_equal(value(&seen, p)->place, value(&told, p)->place);
		assert_int_equal(value(&seen, p)->index, index[i]);
		assert_int_equal(value(&seen, p)->place, i % 2 ? PLACE_TIED : PLACE_INEXACT);
		/* and comparisons change nothing */
		writes = seen.f.writes + told.f.writes;
		for (int again = 0; again < 3; again++) {
			dump(&seen, p, orders[i], 3);
			dump(&told, p, orders[i], 3);
		}
		assert_int_equal(seen.f.writes + told.f.writes, writes);
		one_free(&seen);
		one_free(&told);
	}
}

/* An update that nobody told of, one that was missed between others, and changes while it runs. */
static void a_dump_puts_right_what_was_missed(void **state)
{
	static const int in_order[] = {2, 1, 0}, updated[] = {0, 2, 1};
	struct policy_info p[3] = {policy(10, 4, 0, 0), policy(18, 4, 0, 1), policy(26, 5, 1, 0)};
	struct one o;

	(void)state;
	one_new(&o);
	spd_put(o.spd, CLASS_MAIN, &p[0]);
	spd_put(o.spd, CLASS_MAIN, &p[2]);
	dump(&o, p, in_order, 3);
	assert_int_equal(value(&o, p)->index, 10);
	assert_int_equal(value(&o, p)->place, PLACE_INEXACT);
	dump(&o, p, updated, 3);
	assert_int_equal(value(&o, p)->index, 18);
	assert_int_equal(value(&o, p)->place, PLACE_TIED);
	spd_mark(o.spd, CLASS_MAIN);
	spd_put_dumped(o.spd, CLASS_MAIN, &p[0]);
	spd_put(o.spd, CLASS_MAIN, &p[1]);
	spd_put_dumped(o.spd, CLASS_MAIN, &p[2]);
	spd_put_dumped(o.spd, CLASS_MAIN, &p[1]);
	spd_sweep(o.spd, CLASS_MAIN);
	assert_int_equal(value(&o, p)->index, 10);
	assert_int_equal(value(&o, p)->place, PLACE_INEXACT);
	one_free(&o);
}

static void only_tunnels_keep_the_template_addresses(void **state)
{
	static const struct {
		__u8 mode;
		bool kept;
	} rows[] = {{XFRM_MODE_TRANSPORT, false},
		    {XFRM_MODE_TUNNEL, true},
		    {XFRM_MODE_BEET, true},
		    {SAGATE_XFRM_MODE_IPTFS, true},
		    {XFRM_MODE_ROUTEOPTIMIZATION, false}};
	struct policy_info p = policy(1, 1, XFRM_POLICY_ALLOW, 3);
	struct spd_value v;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		p.tmpl[0].mode = rows[i].mode;
		spd_make_value(&p, &v);
		assert_int_equal(v.tmpl[0].daddr[0], rows[i].kept ? 5 : 0);
		assert_int_equal(v.tmpl[0].saddr[0], rows[i].kept ? 6 : 0);
	}
	assert_int_equal(v.tmpl_count, 3); /* the true number: it refuses */
}

static void what_stands_so_already_is_not_written(void **state)
{
	struct policy_info p = policy(9, 1, XFRM_POLICY_ALLOW, 2);
	struct one o;
	size_t writes;

	(void)state;
	one_new(&o);
	assert_int_equal(spd_put(o.spd, CLASS_MAIN, &p), 1);
	writes = o.f.writes;
	assert_int_equal(spd_put(o.spd, CLASS_MAIN, &p), 0);
	spd_mark(o.spd, CLASS_MAIN);
	assert_int_equal(spd_put_dumped(o.spd, CLASS_MAIN, &p), 0);
	assert_int_equal(spd_sweep(o.spd, CLASS_MAIN), 0);
	assert_int_equal(o.f.writes, writes);
	one_free(&o);
}

/* What an earlier daemon left in the maps. */
static int fake_left(void *ctx, __u32 space, enum map_id map, const void *key, void *value)
{
	const void *found = fake_get(ctx, map, key);

	(void)space;
	if (!found)
		return -ENOENT;
	memcpy(value, found, fake_size[map].value);
	return 0;
}

/* What a dump says of a policy against what an event said since the mark: the event is believed. */
static void an_old_part_of_a_dump_undoes_no_event(void **state)
{
	struct policy_info p = policy(9, 1, XFRM_POLICY_ALLOW, 1), q = p, r = policy(17, 1, 0, 0);
	struct one o;

	(void)state;
	one_new(&o);
	spd_put(o.spd, CLASS_MAIN, &p);
	spd_mark(o.spd, CLASS_MAIN);
	assert_int_equal(spd_del(o.spd, CLASS_MAIN, 9), 1);
	assert_int_equal(spd_del(o.spd, CLASS_MAIN, 17), 0); /* gone before it was ever seen */
	assert_int_equal(spd_put_dumped(o.spd, CLASS_MAIN, &p), 0);
	assert_int_equal(spd_put_dumped(o.spd, CLASS_MAIN, &r), 0);
	assert_null(value(&o, &p));
	assert_null(spd_find(o.spd, CLASS_MAIN, 9));
	q.priority = 3;
	assert_int_equal(spd_put(o.spd, CLASS_MAIN, &q), 1); /* the next event brings it back */
	assert_int_equal(spd_put_dumped(o.spd, CLASS_MAIN, &p), 0);
	assert_int_equal(value(&o, &p)->priority, 3);
	assert_int_equal(spd_sweep(o.spd, CLASS_MAIN), 0);
	assert_int_equal(value(&o, &p)->priority, 3);
	assert_int_equal(o.c.policies, 1);
	spd_mark(o.spd, CLASS_MAIN);
	spd_flush(o.spd, CLASS_MAIN);
	assert_int_equal(spd_put_dumped(o.spd, CLASS_MAIN, &r), 0);
	spd_put(o.spd, CLASS_MAIN, &q);
	spd_sweep(o.spd, CLASS_MAIN);
	assert_int_equal(value(&o, &p)->index, 9);
	assert_int_equal(o.c.policies, 1);
	/* And without an event the dump is. */
	spd_mark(o.spd, CLASS_MAIN);
	assert_int_equal(spd_put_dumped(o.spd, CLASS_MAIN, &r), 1);
	assert_int_equal(spd_sweep(o.spd, CLASS_MAIN), 1);
	assert_int_equal(value(&o, &p)->index, 17);
	one_free(&o);
}

/*
 * libreswan 5.2: its trap, a BLOCK with the same index, selector, priority and template while it
 * negotiates, or an ALLOW without one (negotiationshunt=passthrough), then the SA's policy or the
 * trap again. What was never a trap is an operator's, with a template (type=drop) too.
 */
static void a_trap_that_blocks_for_a_while_is_told_from_a_block(void **state)
{
	static const struct {
		int actions[4], tmpls[4], puts;
		bool left, trap_block;
	} rows[] = {
		{{0, 1}, {1, 1}, 2, false, true},	      /* the trap, held */
		{{0, 1, 1}, {1, 1, 0}, 3, false, true},	      /* held, and the template goes */
		{{0, 0, 1}, {1, 0, 1}, 3, false, true},	      /* passed in clear, then held */
		{{0, 1, 0}, {1, 1, 1}, 3, false, false},      /* the trap again */
		{{0, 1, 0, 1}, {1, 1, 1, 1}, 4, false, true}, /* and held again */
		{{1}, {0}, 1, false, false},		      /* an operator's */
		{{1}, {1}, 1, false, false}, /* the same, by libreswan's type=drop */
		{{1, 1}, {1, 0}, 2, false, false},
		{{0, 1}, {0, 0}, 2, false, false}, /* never a trap */
		{{0, 1}, {1, 1}, 2, true, true},   /* the daemon was restarted meanwhile */
		{{1, 1}, {1, 1}, 2, true, false},
		{{0, 1}, {0, 1}, 2, true, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct policy_info p = {};
		struct one o;

		one_new(&o);
		for (int k = 0; k < rows[i].puts; k++) {
			p = policy(9, 4, rows[i].actions[k], rows[i].tmpls[k]);
			assert_int_equal(spd_put(o.spd, CLASS_MAIN, &p), 1);
			if (rows[i].left && k == rows[i].puts - 2) {
				o.f.sink.left = fake_left;
				spd_free(o.spd);
				o.spd = spd_new(SPACE, &o.f.sink);
			}
		}
		print_message("row %zu\n", i);
		assert_int_equal(value(&o, &p)->trap_block, rows[i].trap_block);
		assert_int_equal(value(&o, &p)->block, p.action);
		/* seen again in a dump: as before */
		spd_mark(o.spd, CLASS_MAIN);
		assert_int_equal(spd_put_dumped(o.spd, CLASS_MAIN, &p), 0);
		assert_int_equal(spd_sweep(o.spd, CLASS_MAIN), 0);
		assert_int_equal(value(&o, &p)->trap_block, rows[i].trap_block);
		one_free(&o);
	}
}

/* An operator's BLOCK inside a trap is added: it has an index of its own, which was never a trap.
 */
static void a_block_added_inside_a_trap_denies(void **state)
{
	struct policy_info trap = policy(9, 4, XFRM_POLICY_ALLOW, 1);
	struct policy_info inside = policy(17, 3, XFRM_POLICY_BLOCK, 1), same = inside;
	struct one o;

	(void)state;
	one_new(&o);
	inside.sel.dport = htons(23);
	inside.sel.dport_mask = 0xffff;
	spd_put(o.spd, CLASS_MAIN, &trap);
	spd_put(o.spd, CLASS_MAIN, &inside);
	assert_int_equal(value(&o, &inside)->trap_block, 0);
	trap.action = XFRM_POLICY_BLOCK;
	spd_put(o.spd, CLASS_MAIN, &trap);
	assert_int_equal(value(&o, &trap)->trap_block, 1);
	assert_int_equal(value(&o, &inside)->trap_block, 0);
	/* and one whose masked selector is the trap's own */
	spd_put(o.spd, CLASS_MAIN, &same);
	assert_int_equal(value(&o, &same)->index, 17);
	assert_int_equal(value(&o, &same)->trap_block, 0);
	/* the trap went and came again: another policy */
	spd_del(o.spd, CLASS_MAIN, 17);
	spd_del(o.spd, CLASS_MAIN, 9);
	spd_put(o.spd, CLASS_MAIN, &trap);
	assert_int_equal(value(&o, &trap)->trap_block, 0);
	one_free(&o);
}

/* Sweeps and flushes take from one class only. */
static void classes_do_not_touch_one_another(void **state)
{
	struct policy_info p = policy(9, 1, XFRM_POLICY_BLOCK, 0);
	struct one o;

	(void)state;
	one_new(&o);
	for (int class = 0; class < CLASS_SPORT; class ++)
		assert_int_equal(spd_put(o.spd, class, &p), 1);
	assert_int_equal(spd_flush(o.spd, CLASS_SUB), 1);
	spd_mark(o.spd, CLASS_MAIN);
	assert_int_equal(spd_sweep(o.spd, CLASS_MAIN), 1);
	assert_non_null(spd_find(o.spd, CLASS_REQUIRE, 9));
	assert_int_equal(fake_count(&o.f, MAP_SPD), 1);
	one_free(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_maps_answer_as_the_kernel_would),
		cmocka_unit_test(a_full_map_is_said_and_made_good),
		cmocka_unit_test(too_many_masks_are_said_and_made_good),
		cmocka_unit_test(a_map_that_refuses_now_and_then_is_made_good),
		cmocka_unit_test(the_protecting_one_wins_a_tie),
		cmocka_unit_test(of_a_known_order_only_the_first_counts_in_a_tie),
		cmocka_unit_test(an_update_leaves_the_order_unknown_until_all_of_it_is_one_again),
		cmocka_unit_test(an_update_of_what_ties_with_none_costs_nothing),
		cmocka_unit_test(a_dump_tells_the_order_of_insertion),
		cmocka_unit_test(a_dump_puts_right_what_was_missed),
		cmocka_unit_test(only_tunnels_keep_the_template_addresses),
		cmocka_unit_test(what_stands_so_already_is_not_written),
		cmocka_unit_test(an_old_part_of_a_dump_undoes_no_event),
		cmocka_unit_test(a_trap_that_blocks_for_a_while_is_told_from_a_block),
		cmocka_unit_test(a_block_added_inside_a_trap_denies),
		cmocka_unit_test(classes_do_not_touch_one_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
