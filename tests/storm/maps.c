// SPDX-License-Identifier: GPL-2.0-only
/* The maps: read whole, and compared with the kernel by the text of include/abi.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

#include <bpf/bpf.h>

#include "abi.h"
#include "storm.h"

#define PART 512

struct sad_one {
	struct sad_key key;
	struct sad_value value;
};

struct spd_one {
	struct spd_key key;
	struct spd_value value;
};

struct maps {
	int spd, sad, masks;
	uint32_t space;
	const struct space_state *state;
	struct sad_one *sas;
	struct spd_one *policies;
	size_t sa_count, policy_count, sa_size, policy_size;
	size_t differ, max; /* of the comparison that runs */
};

static int open_map(const char *pin, const char *name)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/map/%s", pin, name);
	fd = bpf_obj_get(path);
	if (fd < 0)
		storm_die("%s: %s", path, strerror(errno));
	return fd;
}

struct maps *maps_open(const char *pin)
{
	struct maps *m = calloc(1, sizeof(*m));
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);
	void *state;

	if (getsockopt(s, SOL_SOCKET, 71 /* SO_NETNS_COOKIE */, &cookie, &len))
		storm_die("no netns cookie: %s", strerror(errno));
	if (bpf_map_lookup_elem(open_map(pin, "spaces"), &cookie, &m->space))
		storm_die("this network namespace is no space");
	state = mmap(NULL, sizeof(struct space_state) * SPACES_MAX, PROT_READ, MAP_SHARED,
		     open_map(pin, "space_state"), 0);
	if (state == MAP_FAILED)
		storm_die("space_state: %s", strerror(errno));
	m->state = (const struct space_state *)state + m->space;
	m->spd = open_map(pin, "spd");
	m->sad = open_map(pin, "sad");
	m->masks = open_map(pin, "spd_masks");
	return m;
}

/* Reads a whole map, and of each part what is this space's. */
static void read_map(struct maps *m, int fd, size_t key_size, size_t value_size,
		     void (*take)(struct maps *m, const void *key, const void *value))
{
	uint32_t at = 0, next = 0, count;
	char *keys = malloc(PART * key_size), *values = malloc(PART * value_size);
	bool first = true;
	int err;

	do {
		count = PART;
		err = bpf_map_lookup_batch(fd, first ? NULL : &at, &next, keys, values, &count,
					   NULL);
		if (err && errno != ENOENT)
			storm_die("a map cannot be read: %s", strerror(errno));
		for (uint32_t i = 0; i < count; i++)
			if (!memcmp(keys + i * key_size, &m->space, sizeof(m->space)))
				take(m, keys + i * key_size, values + i * value_size);
		first = false;
		at = next;
	} while (!err);
	free(keys);
	free(values);
}

static void *one_more(void *list, size_t count, size_t *size, size_t one)
{
	if (count < *size)
		return list;
	*size = *size ? *size * 2 : 256;
	list = realloc(list, *size * one);
	if (!list)
		storm_die("no memory");
	return list;
}

static void take_sa(struct maps *m, const void *key, const void *value)
{
	m->sas = one_more(m->sas, m->sa_count, &m->sa_size, sizeof(*m->sas));
	memcpy(&m->sas[m->sa_count].key, key, sizeof(struct sad_key));
	memcpy(&m->sas[m->sa_count++].value, value, sizeof(struct sad_value));
}

static void take_policy(struct maps *m, const void *key, const void *value)
{
	const struct spd_key *k = key;

	if (k->class >= CLASS_REQUIRE)
		return;
	m->policies = one_more(m->policies, m->policy_count, &m->policy_size, sizeof(*m->policies));
	memcpy(&m->policies[m->policy_count].key, key, sizeof(struct spd_key));
	memcpy(&m->policies[m->policy_count++].value, value, sizeof(struct spd_value));
}

static void read_all(struct maps *m)
{
	m->sa_count = m->policy_count = 0;
	read_map(m, m->sad, sizeof(struct sad_key), sizeof(struct sad_value), take_sa);
	read_map(m, m->spd, sizeof(struct spd_key), sizeof(struct spd_value), take_policy);
}

uint64_t maps_change(const struct maps *m)
{
	const volatile struct space_state *state = m->state;

	return state->synced == SYNCED ? 1 + (uint64_t)state->epoch : 0;
}

double maps_heartbeat_age(const struct maps *m)
{
	const volatile struct space_state *state = m->state;
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9 - (double)state->heartbeat / 1e9;
}

/* ---- comparing */

__attribute__((format(printf, 2, 3))) static void differs(struct maps *m, const char *fmt, ...)
{
	va_list ap;

	if (m->differ++ >= m->max)
		return;
	printf("maps: ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

static void addr(__be32 to[4], const xfrm_address_t *from, int family)
{
	memset(to, 0, 16);
	memcpy(to, from, family == AF_INET ? 4 : 16);
}

static void sa_expect(const struct maps *m, const struct kernel_sa *sa, struct sad_one *want)
{
	const struct xfrm_usersa_info *i = &sa->info;
	int family = i->sel.family;

	if (!family && !(i->flags & XFRM_STATE_AF_UNSPEC))
		family = i->family;
	memset(want, 0, sizeof(*want));
	want->key.space = m->space;
	want->key.if_id = sa->if_id;
	want->key.reqid = i->reqid;
	addr(want->key.daddr, &i->id.daddr, i->family);
	want->key.family = (__u8)i->family;
	want->key.proto = i->id.proto;
	want->key.mode = i->mode;
	addr(want->value.saddr, &i->saddr, i->family);
	want->value.spi = i->id.spi;
	want->value.mark = sa->mark.v;
	want->value.mark_mask = sa->mark.m;
	addr(want->value.sel_saddr, &i->sel.saddr, family);
	addr(want->value.sel_daddr, &i->sel.daddr, family);
	want->value.sel_sport = i->sel.sport;
	want->value.sel_dport = i->sel.dport;
	want->value.sel_sport_mask = i->sel.sport_mask;
	want->value.sel_dport_mask = i->sel.dport_mask;
	want->value.sel_ifindex = (__u32)i->sel.ifindex;
	want->value.sel_family = (__u8)family;
	want->value.sel_proto = i->sel.proto;
	want->value.sel_src_len = i->sel.prefixlen_s;
	want->value.sel_dst_len = i->sel.prefixlen_d;
	want->value.dir_in = sa->dir_in;
}

static bool same_key(const struct sad_key *a, const struct sad_key *b)
{
	return !memcmp(a, b, offsetof(struct sad_key, slot));
}

/*
 * The deadline is on another clock than what it comes from, which is in whole seconds, and two
 * seconds later: until then the kernel's timer may not have been there.
 */
static bool deadline_fits(const struct kernel_sa *sa, __u64 deadline)
{
	const __u64 hard = sa->info.lft.hard_add_expires_seconds;
	struct timespec boot, real;
	double want, is;

	if (!hard)
		return !deadline;
	clock_gettime(CLOCK_BOOTTIME, &boot);
	clock_gettime(CLOCK_REALTIME, &real);
	want = (double)sa->info.curlft.add_time + (double)hard + 2 - (double)real.tv_sec -
	       (double)real.tv_nsec / 1e9;
	is = (double)deadline / 1e9 - (double)boot.tv_sec - (double)boot.tv_nsec / 1e9;
	return deadline && is > want - 1.5 && is < want + 1.5;
}

static void compare_sa(struct maps *m, const struct kernel *k, size_t i)
{
	struct sad_one want, other;
	size_t same = 0, there = 0, head = 0;
	bool found = false;

	sa_expect(m, &k->sa[i], &want);
	for (size_t j = 0; j < k->sas; j++) {
		sa_expect(m, &k->sa[j], &other);
		same += k->sa[j].usable && same_key(&want.key, &other.key);
	}
	for (size_t j = 0; j < m->sa_count; j++) {
		struct sad_one one = m->sas[j];
		__u64 deadline = one.value.deadline;

		if (!same_key(&one.key, &want.key))
			continue;
		there++;
		if (!one.key.slot)
			head = one.value.slots;
		one.value.deadline = 0;
		one.value.slots = 0;
		if (!memcmp(&one.value, &want.value, sizeof(one.value)))
			found |= deadline_fits(&k->sa[i], deadline);
	}
	if (there != (same < SAD_SLOTS_MAX ? same : SAD_SLOTS_MAX) || head != there)
		differs(m,
			"SA spi 0x%x reqid %u: the kernel has %zu such, the map %zu and says %zu",
			ntohl(want.value.spi), want.key.reqid, same, there, head);
	else if (!found && same <= SAD_SLOTS_MAX)
		differs(m, "SA spi 0x%x reqid %u: not in the map, or other values",
			ntohl(want.value.spi), want.key.reqid);
}

static void masked(__be32 to[4], const xfrm_address_t *from, int family, int len)
{
	addr(to, from, family);
	for (int i = 0; i < 4; i++, len -= len < 32 ? len : 32)
		to[i] &= len >= 32 ? ~0U : len ? htonl(~0U << (32 - len)) : 0;
}

static void policy_key(const struct maps *m, const struct kernel_policy *p, struct spd_key *key)
{
	const struct xfrm_selector *s = &p->info.sel;

	memset(key, 0, sizeof(*key));
	key->space = m->space;
	key->if_id = p->if_id;
	key->mark = p->mark.v;
	key->mark_mask = p->mark.m;
	masked(key->saddr, &s->saddr, s->family, s->prefixlen_s);
	masked(key->daddr, &s->daddr, s->family, s->prefixlen_d);
	key->sport = s->sport & s->sport_mask;
	key->dport = s->dport & s->dport_mask;
	key->sport_mask = s->sport_mask;
	key->dport_mask = s->dport_mask;
	key->ifindex = (__u32)s->ifindex;
	key->class = p->type == XFRM_POLICY_TYPE_SUB ? CLASS_SUB : CLASS_MAIN;
	key->family = (__u8)s->family;
	key->proto = s->proto;
	key->src_len = s->prefixlen_s;
	key->dst_len = s->prefixlen_d;
}

/* How much it protects: of one priority the lowest must be in the map, where no order is seen. */
static int rank(const struct kernel_policy *p)
{
	if (p->info.action != XFRM_POLICY_ALLOW)
		return 0;
	for (size_t i = 0; i < p->tmpls; i++)
		if (!p->tmpl[i].optional)
			return 1;
	return p->tmpls ? 2 : 3;
}

static bool policy_value_fits(const struct kernel_policy *p, const struct spd_value *v)
{
	if (v->index != p->info.index || v->priority != p->info.priority ||
	    v->block != (p->info.action != XFRM_POLICY_ALLOW) || v->tmpl_count != p->tmpls)
		return false;
	for (size_t i = 0; i < p->tmpls && i < TMPLS_MAX; i++) {
		const struct xfrm_user_tmpl *t = &p->tmpl[i];
		struct spd_tmpl want = {.spi = t->id.spi,
					.reqid = t->reqid,
					.family = (__u8)t->family,
					.proto = t->id.proto,
					.mode = t->mode,
					.optional = t->optional != 0};

		if (t->mode == XFRM_MODE_TUNNEL) {
			addr(want.saddr, &t->saddr, t->family);
			addr(want.daddr, &t->id.daddr, t->family);
		}
		if (memcmp(&want, &v->tmpl[i], sizeof(want)))
			return false;
	}
	return true;
}

/*
 * The policy that must be in the map for a masked selector is one of the best of those that share
 * it. Of one priority the older counts where that is known: then the map's value has a place, and
 * the oracle is its judge. A value without one protects at least as much as the oldest: if that has
 * a place it may be the kernel's choice. Returns whether `i` is the first of them in the dump.
 */
static bool compare_policy(struct maps *m, const struct kernel *k, size_t i)
{
	const struct kernel_policy *p = &k->policy[i], *best = p, *q;
	const struct kernel_policy *is = NULL; /* the one that the map has */
	const struct kernel_policy *oldest = p;
	const struct spd_value *value = NULL;
	struct spd_key key, other;
	bool fits, first = true;

	policy_key(m, p, &key);
	for (size_t j = 0; j < m->policy_count; j++)
		if (!memcmp(&m->policies[j].key, &key, sizeof(key)))
			value = &m->policies[j].value;
	for (size_t j = 0; j < k->policies; j++) {
		q = &k->policy[j];
		policy_key(m, q, &other);
		if (memcmp(&key, &other, sizeof(key)))
			continue;
		first &= j >= i;
		if (q->info.priority < best->info.priority ||
		    (q->info.priority == best->info.priority && rank(q) < rank(best)))
			best = q;
		if (q->info.priority < oldest->info.priority ||
		    (q->info.priority == oldest->info.priority &&
		     q->info.index < oldest->info.index))
			oldest = q;
		if (value && value->index == q->info.index)
			is = q;
	}
	fits = is && policy_value_fits(is, value) && value->priority == best->info.priority &&
	       (value->place == PLACE_EXACT || value->place == PLACE_INEXACT ||
		rank(is) <= rank(oldest));
	if (first && !value)
		differs(m, "policy index %u: not in the map", p->info.index);
	else if (first && !fits)
		differs(m, "policy index %u: the map has index %u priority %u, or other values",
			best->info.index, value->index, value->priority);
	return first;
}

/* Whether a selector is for multicast groups: 224.0.0.0/4, ff00::/8. */
static __u8 policy_groups(const struct xfrm_selector *s)
{
	const __u8 first = *(const __u8 *)&s->daddr;

	if (s->prefixlen_d < (s->family == AF_INET ? 4 : 8))
		return 0;
	if (s->family == AF_INET)
		return first >> 4 == 14 ? MASK_GROUP : MASK_HOST;
	return first == 255 ? MASK_GROUP : MASK_HOST;
}

static void policy_mask(const struct kernel_policy *p, struct spd_mask *mask)
{
	const struct xfrm_selector *s = &p->info.sel;

	*mask = (struct spd_mask){.mark = p->mark.m,
				  .sport = s->sport_mask,
				  .dport = s->dport_mask,
				  .src_len = s->prefixlen_s,
				  .dst_len = s->prefixlen_d,
				  .proto = s->proto != 0,
				  .dev = (__u8)((s->ifindex ? MASK_DEV : 0) | policy_groups(s))};
}

/* The list of masks: one for each in use, with the best priority behind it, in their order. */
static void compare_masks(struct maps *m, const struct kernel *k, __u8 class, int family)
{
	struct spd_masks_key key = {.space = m->space, .class = class, .family = (__u8)family};
	struct spd_masks list = {.count = 0};
	struct spd_mask mask;
	size_t used = 0;

	bpf_map_lookup_elem(m->masks, &key, &list);
	for (__u32 i = 0; i < list.count; i++) {
		__u32 best = ~0U;

		for (size_t j = 0; j < k->policies; j++) {
			const struct kernel_policy *p = &k->policy[j];

			policy_mask(p, &mask);
			mask.best = list.mask[i].best;
			if ((p->type == XFRM_POLICY_TYPE_SUB) == (class == CLASS_SUB) &&
			    p->info.sel.family == family &&
			    !memcmp(&mask, &list.mask[i], sizeof(mask))) {
				used++;
				best = p->info.priority < best ? p->info.priority : best;
			}
		}
		if (best != list.mask[i].best || (i && best < list.mask[i - 1].best))
			differs(m, "mask %u of class %u family %d: best %u, the kernel's %u", i,
				class, family, list.mask[i].best, best);
	}
	for (size_t j = 0; j < k->policies; j++)
		used -= (k->policy[j].type == XFRM_POLICY_TYPE_SUB) == (class == CLASS_SUB) &&
			k->policy[j].info.sel.family == family;
	if (used)
		differs(m, "class %u family %d: policies behind no mask, or behind two", class,
			family);
	if (m->state->masks[class][family == AF_INET6] != list.count)
		differs(m, "class %u family %d: space_state counts other masks", class, family);
}

size_t maps_compare(struct maps *m, const struct kernel *k, size_t max)
{
	size_t groups = 0, stored = 0;
	struct sad_one a;

	m->differ = 0;
	m->max = max;
	if (m->state->synced != SYNCED || m->state->default_block != k->default_block)
		differs(m, "synced %u, default policy block %u, the kernel's %d", m->state->synced,
			m->state->default_block, k->default_block);
	read_all(m);
	for (size_t i = 0; i < k->sas; i++)
		if (k->sa[i].usable)
			compare_sa(m, k, i);
	for (size_t i = 0; i < k->policies; i++)
		groups += compare_policy(m, k, i);
	if (groups != m->policy_count)
		differs(m, "%zu masked selectors in the kernel, %zu in the map", groups,
			m->policy_count);
	for (size_t i = 0; i < m->sa_count; i++) {
		bool found = false;

		for (size_t j = 0; j < k->sas && !found; j++) {
			sa_expect(m, &k->sa[j], &a);
			found = k->sa[j].usable && same_key(&a.key, &m->sas[i].key) &&
				a.value.spi == m->sas[i].value.spi;
		}
		stored += found;
	}
	if (stored != m->sa_count)
		differs(m, "%zu SAs in the map that the kernel does not have",
			m->sa_count - stored);
	for (int class = 0; class < 2; class ++) {
		compare_masks(m, k, (__u8) class, AF_INET);
		compare_masks(m, k, (__u8) class, AF_INET6);
	}
	return m->differ;
}
