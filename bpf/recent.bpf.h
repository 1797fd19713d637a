/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Flows that passed a moment ago: the same question again, while nothing has changed, has the same
 * answer, and costs one comparison instead of a search through every table.
 *
 * An entry is good for one epoch of its space: the daemon raises it before and after every change.
 * It ends by itself before the first of its SAs does, and before the space is stale; the clock for
 * that is jiffies, which is one load: reading a clock, even the coarse one, costs as much as all
 * the rest. It stands still in suspend: the daemon raises the epoch when it sees that there was
 * one. Only what passes is kept; what is refused is decided anew, so that nobody waits a moment too
 * long. Entries are overwritten, and that is no loss: the tables are asked again.
 *
 * Each CPU has its own. A program stays on its CPU but can be interrupted there by another: `turn`
 * is odd while an entry is written, and other than before when it was.
 */
#ifndef SAGATE_RECENT_BPF_H
#define SAGATE_RECENT_BPF_H

/*
 * What a jiffy lasts at most: HZ is 100 or more (kernel/Kconfig.hz). A program cannot see which. At
 * a HZ of 1000 an entry ends after a tenth of its time, and the next call decides again.
 */
#define JIFFY_NS_MAX 10000000ULL

#define FLOW_WORDS ((int)(sizeof(struct flow) / sizeof(__u64)))

/* The words of a flow that an entry begins with: addresses, ports and mark. */
#define SADDR_WORD   ((int)(__builtin_offsetof(struct flow, saddr) / sizeof(__u64)))
#define RECENT_WORDS ((int)(__builtin_offsetof(struct recent, oif) / sizeof(__u64)))
_Static_assert(__builtin_offsetof(struct flow, oif) - __builtin_offsetof(struct flow, saddr) ==
		       __builtin_offsetof(struct recent, oif),
	       "a flow and an entry have them in the same order");

/* The word of a flow with its source port, and which bits of it that is. */
#define SPORT_WORD ((int)(__builtin_offsetof(struct flow, sport) / sizeof(__u64)))

static __always_inline __u64 without_sport(void)
{
	union {
		__be16 port[4];
		__u64 word;
	} mask = {.word = ~0ULL};

	mask.port[__builtin_offsetof(struct flow, sport) % sizeof(__u64) / sizeof(__be16)] = 0;
	return mask.word;
}

/*
 * The word of an entry behind those: device, protocol and what of the gate and the family an answer
 * hangs on.
 */
union recent_last {
	struct {
		__u32 oif;
		__u8 proto;
		__u8 how;
		__u8 space;
		__u8 reason;
	};
	__u64 word;
};
_Static_assert(__builtin_offsetof(struct recent, until) - __builtin_offsetof(struct recent, oif) ==
		       sizeof(union recent_last),
	       "they are one word");

static __always_inline __u64 recent_last(const struct flow *f, __u8 allow_no_policy,
					 __u8 stale_open, __u8 how)
{
	union recent_last last = {.oif = f->oif, .proto = f->proto};

	last.how = (f->family & RECENT_IPV6) | (allow_no_policy & 1) | (stale_open & 1) << 1 | how;
	return last.word;
}
_Static_assert((AF_INET6 & RECENT_IPV6) && !(AF_INET & RECENT_IPV6) && RECENT_STALE_OPEN == 1 << 1,
	       "recent_last() takes the bits as they are");

/*
 * As the hook gave it a source is known when there is one (flow_source4(), flow_unmap()), and so is
 * a device: they need no flag of their own.
 */
static __always_inline bool recent_equal(const struct recent *r, const struct flow *f, __u64 last)
{
	const union recent_last none = {.how = RECENT_ANY_SPORT, .space = 0xff, .reason = 0xff};
	const __u64 *x = (const __u64 *)r, *y = (const __u64 *)f + SADDR_WORD;
	__u64 differ = (x[RECENT_WORDS] ^ last) & ~none.word;

	for (int i = 0; i < RECENT_WORDS; i++)
		differ |= (x[i] ^ y[i]) & (i == SPORT_WORD - SADDR_WORD && r->how & RECENT_ANY_SPORT
						   ? without_sport()
						   : ~0ULL);
	return !differ;
}

/*
 * The first of the two places where a flow can be, whatever its source port. Products that wait
 * for none of the others.
 */
static __always_inline __u32 recent_place(const struct flow *f)
{
	const __u64 *w = (const __u64 *)f;
	__u64 h = (w[0] + (w[1] << 1) + (w[2] << 3)) * 0x9e3779b97f4a7c15ULL;

	h += w[3] * 0xc2b2ae3d27d4eb4fULL;
	h += ((w[4] << 32 | w[4] >> 32) + f->oif + ((__u64)f->proto << 40) +
	      ((__u64)f->family << 48)) *
	     0x165667b19e3779f9ULL;
	h += (w[SPORT_WORD] & without_sport()) * 0x27d4eb2f165667c5ULL;
	h ^= h >> 32;
	h *= 0x9e3779b97f4a7c15ULL;
	return (h >> 40) & (RECENT_MAX - 2);
}
_Static_assert(FLOW_WORDS == 8 && SPORT_WORD == 5, "recent_place() names each word");

static __always_inline struct recent *recent_entry(__u32 place)
{
	__u32 at = bpf_get_smp_processor_id() * RECENT_MAX + place;

	return bpf_map_lookup_elem(&recent, &at);
}

/*
 * Nothing has changed since, and its time is not up. `owner` is the network namespace, or the
 * socket of a packet, whose namespace costs more to find; what a packet may do in clear has no end.
 */
static __always_inline bool recent_holds(const struct recent *r, __u64 owner)
{
	__u32 space = r->space;
	const struct space_state *st = bpf_map_lookup_elem(&space_state, &space);

	if (!st || *(volatile __u32 *)&st->epoch != r->epoch || st->full)
		return false;
	if (r->how & RECENT_PACKET)
		return r->socket == owner;
	if (st->netns != owner)
		return false;
	if (r->reason == REASON_SA && st->synced != SYNCED && !(r->how & RECENT_STALE_OPEN))
		return false;
	return !r->until || bpf_jiffies64() < r->until;
}

static __always_inline __u32 recent_at(__u32 place, const struct flow *f, __u64 last, __u64 owner)
{
	const struct recent *r = recent_entry(place);
	__u32 turn, reason;

	if (!r)
		return REASON_COUNT;
	turn = *(volatile __u32 *)&r->turn;
	barrier();
	if (turn & 1 || !recent_equal(r, f, last) || !recent_holds(r, owner))
		return REASON_COUNT;
	reason = r->reason;
	barrier();
	return *(volatile __u32 *)&r->turn == turn ? reason : REASON_COUNT;
}

/*
 * The reason for which the flow, as the hook gave it, passed; REASON_COUNT: ask decide(). `how` is
 * RECENT_PACKET, and what goes with it, for a packet: what a call may do, one in clear may not. Its
 * socket's cookie stands in the place of the flow's namespace then.
 */
__noinline int recent_find(const struct flow *f, const struct gate_settings *g, __u8 how)
{
	__u32 place, reason;
	__u64 owner, last;

	if (!f || !g || !g->cgroup_id || !f->family)
		return REASON_COUNT;
	owner = f->netns;
	if (!how && g->spd_netns && g->spd_netns != owner)
		return REASON_COUNT;
	last = recent_last(f, g->allow_no_policy, g->stale_open, how);
	place = recent_place(f);
	reason = recent_at(place, f, last, owner);
	return reason == REASON_COUNT ? recent_at(place + 1, f, last, owner) : reason;
}

/* When what passed now may pass no longer: 0 never, otherwise a moment too early. */
static __always_inline __u64 recent_until(const struct call *c)
{
	__u32 space = c->space;
	const struct space_state *st = bpf_map_lookup_elem(&space_state, &space);
	__u64 end = c->deadline, late, left;

	if (!st)
		return 1;
	late = st->heartbeat + HEARTBEAT_LATE_NS;
	if (c->decision.reason == REASON_SA && !c->stale_open && (!end || late < end))
		end = late;
	if (!end)
		return 0;
	left = end > c->now ? (end - c->now) / JIFFY_NS_MAX : 0;
	/* a tick may come late by one */
	return bpf_jiffies64() + (left ? left - 1 : 0);
}

/* An answer that stands, of another flow. */
static __always_inline bool recent_other(const struct recent *r, const struct call *c,
					 const struct flow *f, __u64 last)
{
	return r->epoch == c->epoch && r->space == c->space && !recent_equal(r, f, last);
}

/* Remembers a flow that passed. c->flow has what routing chose: that goes out again. */
__noinline int recent_keep(const struct call *c, const struct gate_settings *g)
{
	struct recent *r, *other;
	struct flow f;
	union recent_last last;
	__u32 place;
	__u64 until;

	if (!c || !g || !c->settled)
		return 0;
	f = c->flow;
	if (f.has_saddr == KNOWN_ROUTED) {
		__builtin_memset(f.saddr, 0, sizeof(f.saddr));
		f.has_saddr = KNOWN_NOT;
	}
	if (f.has_oif == KNOWN_ROUTED) {
		f.oif = 0;
		f.has_oif = KNOWN_NOT;
	}
	f.if_id = f.link = 0;
	place = recent_place(&f);
	last.word = recent_last(&f, c->allow_no_policy, c->stale_open,
				(c->packet ? RECENT_PACKET : 0) |
					(c->forwarded ? RECENT_FORWARDED : 0) |
					(c->routed ? RECENT_ROUTED : 0));
	r = recent_entry(place);
	other = recent_entry(place + 1);
	if (!r || !other)
		return 0;
	/*
	 * Another flow is at home here, and its answer stands: the second place, or one of the two
	 * by chance, so that two flows in use end up in both, whatever was there before.
	 */
	if (recent_other(r, c, &f, last.word) &&
	    (!recent_other(other, c, &f, last.word) || c->now >> 8 & 1))
		r = other;
	until = recent_until(c);
	if (c->packet && until)
		return 0;
	if (r->turn & 1)
		return 0;
	*(volatile __u32 *)&r->turn += 1;
	barrier();
	__builtin_memcpy(r, (const __u64 *)&f + SADDR_WORD, RECENT_WORDS * sizeof(__u64));
	last.how |= c->by_sport ? 0 : RECENT_ANY_SPORT;
	last.space = c->space;
	last.reason = c->decision.reason;
	__builtin_memcpy(&r->oif, &last.word, sizeof(last.word));
	r->until = c->packet ? f.netns : until;
	r->epoch = c->epoch;
	barrier();
	*(volatile __u32 *)&r->turn += 1;
	return 0;
}

#endif
