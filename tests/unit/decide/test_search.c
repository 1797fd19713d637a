// SPDX-License-Identifier: GPL-2.0-only
/* decide() over many policies, against a search of all of them one by one. Needs root and BPF. */
/* needs: loader/bpf.c loader/bpf_kick.c loader/bpf_resize.c loader/bpf_batch.c loader/bpf_space.c
 * needs: loader/bpf_late.c loader/bpf_lsm.c loader/bpf_pins.c loader/bpf_adopt.c
 */
/* needs: loader/shadow.c */
/* needs: loader/mirror_store.c loader/xfrm_msg.c */
/* needs: loader/spd.c loader/spd_group.c loader/spd_image.c loader/spd_masks.c */
/* needs: loader/sad.c loader/sad_group.c loader/sad_life.c loader/sad_slots.c */
/* needs: loader/flow_json.c loader/json_util.c loader/units.c */
/* needs: loader/error.c loader/log.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "asked.h"

static bool in_prefix(const __be32 *a, const __be32 *b, __u8 len)
{
	for (int i = 0; i < len; i++) {
		__u32 bit = 0x80000000u >> (i % 32);

		if ((ntohl(a[i / 32]) ^ ntohl(b[i / 32])) & bit)
			return false;
	}
	return true;
}

static bool matches(const struct policy_info *p, const struct flow *f)
{
	return p->sel.family == f->family && (f->mark & p->mark_mask) == p->mark &&
	       in_prefix(f->daddr, p->sel.daddr, p->sel.dst_len) &&
	       in_prefix(f->saddr, p->sel.saddr, p->sel.src_len) &&
	       !((f->dport ^ p->sel.dport) & p->sel.dport_mask) &&
	       !((f->sport ^ p->sel.sport) & p->sel.sport_mask) &&
	       (!p->sel.proto || p->sel.proto == f->proto);
}

static __u32 rank(const struct policy_info *p)
{
	return p->priority << 2 | (p->action == XFRM_POLICY_BLOCK ? 0 : p->tmpl_count ? 1 : 2);
}

/* 192.0.2.x, and with these bits 224.0.2.x */
#define TO_GROUP htonl(0x20000000)

static __u32 random_addr(void)
{
	return htonl(0xc0000200u | (rand() & 0x3f));
}

static struct policy_info random_policy(__u32 index)
{
	/* few enough shapes for SPD_MASKS_MAX */
	static const __u8 src_lens[] = {0, 28, 32}, dst_lens[] = {26, 29, 32};
	/* no two with one priority: ties have a test of their own */
	struct policy_info p = {.index = index, .priority = rand() % 40 << 16 | index};

	p.sel.family = AF_INET;
	p.sel.src_len = src_lens[rand() % 3];
	p.sel.dst_len = dst_lens[rand() % 3];
	p.sel.saddr[0] = random_addr();
	p.sel.daddr[0] = random_addr();
	p.sel.proto = rand() % 3 ? 0 : rand() % 2 ? IPPROTO_TCP : IPPROTO_UDP;
	if (!(rand() % 3)) {
		p.sel.dport = htons(rand() % 8);
		p.sel.dport_mask = rand() % 2 ? 0xffff : htons(0xfffe);
		p.sel.dport &= p.sel.dport_mask;
	}
	if (!p.sel.proto && !p.sel.dport_mask && rand() % 2)
		p.sel.daddr[0] ^= TO_GROUP;
	p.mark_mask = rand() % 4 ? 0 : 3;
	p.mark = rand() % 4 & p.mark_mask;
	p.action = rand() % 2 ? XFRM_POLICY_BLOCK : XFRM_POLICY_ALLOW;
	if (p.action == XFRM_POLICY_ALLOW && rand() % 2) {
		add_tmpl(&p, XFRM_MODE_TRANSPORT, index, IPPROTO_ESP);
	}
	return p;
}

/* Is `p`, which takes the place of `old`, the same policy, and did it need an SA before? */
static __u8 was_trap(const struct policy_info *old, const struct policy_info *p)
{
	struct spd_key was, is;

	spd_make_key(slot, CLASS_MAIN, old, &was);
	spd_make_key(slot, CLASS_MAIN, p, &is);
	return old->index && !memcmp(&was, &is, sizeof(is)) && (old->was_trap || old->tmpl_count);
}

static __u8 model(const struct policy_info *all, size_t count, const struct flow *f)
{
	const struct policy_info *best = NULL;

	for (size_t i = 0; i < count; i++)
		if (all[i].index && matches(&all[i], f) && (!best || rank(&all[i]) < rank(best)))
			best = &all[i];
	if (!best)
		return REASON_NO_POLICY;
	if (best->action == XFRM_POLICY_BLOCK)
		return best->was_trap ? REASON_TRAP_BLOCK : REASON_POLICY_BLOCK;
	return best->tmpl_count ? REASON_NO_SA : REASON_POLICY_ALLOW;
}

static void test_any_number_of_policies_decides_as_a_search_of_all_of_them(void **unused)
{
	enum { MANY = 300, ROUNDS = 40, FLOWS = 60 };
	static struct policy_info all[MANY];
	unsigned int seed = getenv("SEED") ? atoi(getenv("SEED")) : 1, protectings = 0;

	(void)unused;
	print_message("# seed %u\n", seed);
	srand(seed);
	memset(all, 0, sizeof(all));
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < 20; i++) {
			int at = rand() % MANY;

			if (all[at].index && rand() % 3 == 0) {
				spd_del(spd, CLASS_MAIN, all[at].index);
				all[at].index = 0;
			} else {
				struct policy_info p = random_policy((at + 1) * 8 + 1);

				p.was_trap = was_trap(&all[at], &p);
				all[at] = p;
				spd_put(spd, CLASS_MAIN, &all[at]);
			}
		}
		for (int i = 0; i < FLOWS; i++) {
			struct flow f = {.netns = COOKIE, .family = AF_INET};
			struct decision d;

			f.daddr[0] = random_addr();
			f.saddr[0] = random_addr();
			f.has_saddr = KNOWN_BOUND;
			f.daddr[0] ^= rand() % 4 ? 0 : TO_GROUP;
			f.dport = htons(rand() % 8);
			f.mark = rand() % 4;
			f.proto = rand() % 2 ? IPPROTO_TCP : IPPROTO_UDP;
			d = ask_as(&f, &gate);
			assert_string_equal(reason_name(d.reason),
					    reason_name(model(all, MANY, &f)));
			protectings += d.reason == REASON_NO_SA;
		}
	}
	assert_true(protectings > 50); /* the flows did meet policies */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_any_number_of_policies_decides_as_a_search_of_all_of_them),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
