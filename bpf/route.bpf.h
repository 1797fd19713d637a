/* SPDX-License-Identifier: GPL-2.0-only */
/* What routing would choose for an unbound socket: source address and device. */
#ifndef SAGATE_ROUTE_BPF_H
#define SAGATE_ROUTE_BPF_H

/* prefix_mask[n] is the netmask of an n bit prefix, all ones above 128. Set before load. */
const volatile __be32 prefix_mask[256][4];

static __always_inline void mask_addr(__be32 *out, const __be32 *addr, __u8 len)
{
	for (int i = 0; i < 4; i++)
		out[i] = addr[i] & prefix_mask[len][i];
}

/* An address in a space, and how routing is asked about it: see route_plens_key. */
struct place {
	__u32 space;
	__u32 oif;
	__u16 marks;
	__u8 family;
	__u8 pad;
	__be32 addr[4];
};

/* A question and its answer in one place: a program's stack is 512 bytes, with all it calls. */
union route_question {
	struct place at;
	struct route_value answer;
};

/* Without a branch, of which the verifier would walk each way; the compiler is not to know. */
static __always_inline __u32 not_zero(__u32 x)
{
	x |= -x;
	barrier_var(x);
	return x >> 31;
}

/*
 * Which of the marks that routing compares does this one fit otherwise than mark 0 does? Mark 0 has
 * no bit, whatever is compared. -1: not known.
 */
static __always_inline int fwmark_bits(const struct space_state *st, __u32 mark)
{
	__u32 bits = 0;

	if (!mark)
		return 0;
	if (st->fwmarks > FWMARKS_MAX)
		return -1;
	for (__u32 i = 0; i < FWMARKS_MAX; i++) {
		const struct fwmark *m = &st->fwmark[i];

		bits |= (not_zero((mark ^ m->mark) & m->mask) ^ not_zero(m->mark & m->mask)) << i;
	}
	bits &= (1U << st->fwmarks) - 1;
	return bits;
}

struct route_walk {
	const struct route_plens *lens;
	struct route_key *key;
	const __be32 *addr;
	__u32 count;
	__u32 found;
};

/* One prefix length; returns 1 when the longest that matches is found. */
static int route_step(__u32 i, struct route_walk *w)
{
	if (i >= PLENS_MAX || i >= w->count)
		return 1;
	w->key->len = w->lens->len[i];
	mask_addr(w->key->addr, w->addr, w->key->len);
	w->found = !!bpf_map_lookup_elem(&routes, w->key);
	return w->found;
}

/*
 * What routing answers for q->at, into q->answer; returns 0 when it is not known. A global
 * function, as all that searches here: the verifier walks it once, not once for each path to it,
 * and a key is always on its own stack (Linux 6.1 takes no other memory for one).
 */
__noinline int route_lookup(const struct space_state *st, union route_question *q)
{
	const struct route_value *found;
	struct route_key key = {};
	struct route_walk w = {};

	if (!st || !q || !st->plens[q->at.family == AF_INET6])
		return 0;
	key.space = q->at.space;
	key.oif = q->at.oif;
	key.marks = q->at.marks;
	key.family = q->at.family;
	w.lens = bpf_map_lookup_elem(&route_plens, &key);
	if (!w.lens)
		return 0;
	w.addr = q->at.addr;
	w.count = w.lens->count;
	w.key = &key;
	w.found = loop_zero;
	bpf_loop(PLENS_MAX, route_step, &w, 0);
	if (!w.found)
		return 0;
	found = bpf_map_lookup_elem(&routes, &key);
	if (!found)
		return 0;
	q->answer = *found;
	return 1;
}

/* The key of route_plens is the beginning of that of routes, with no length. */
_Static_assert(__builtin_offsetof(struct route_key, oif) ==
			       __builtin_offsetof(struct route_plens_key, oif) &&
		       __builtin_offsetof(struct route_key, marks) ==
			       __builtin_offsetof(struct route_plens_key, marks) &&
		       __builtin_offsetof(struct route_key, family) ==
			       __builtin_offsetof(struct route_plens_key, family) &&
		       __builtin_offsetof(struct route_key, len) ==
			       __builtin_offsetof(struct route_plens_key, pad),
	       "route_lookup() reads one with the other");

#endif
