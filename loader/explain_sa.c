// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "explain_sa.h"
#include "explain_selector.h"
#include "units.h"
#include "xfrm_json.h"

static const char *condition_name(enum sa_condition c)
{
	static const char *const names[] = {
#define X(id, name) [SA_FAILS_##id] = name,
		SA_CONDITIONS(X)
#undef X
	};

	return c < SA_FITS ? names[c] : NULL;
}

static bool addr_any(const __be32 a[4])
{
	return !(a[0] | a[1] | a[2] | a[3]);
}

static bool has_addresses(const struct spd_tmpl *t)
{
	return t->mode == XFRM_MODE_TUNNEL || t->mode == XFRM_MODE_BEET ||
	       t->mode == SAGATE_XFRM_MODE_IPTFS;
}

/* The source that routing chooses to get to the template's destination, in the flow's VRF. */
static bool routed_source(const struct bpf *b, const struct ask *a, struct spd_tmpl *t)
{
	struct ask route = {.gate = a->gate};

	if (a->vrf == ~0U)
		return false;
	route.flow.oif = a->vrf;
	route.flow.has_oif = a->vrf ? KNOWN_BOUND : KNOWN_NOT;
	route.flow.netns = a->flow.netns;
	route.flow.family = t->family;
	memcpy(route.flow.daddr, t->daddr, sizeof(route.flow.daddr));
	if (bpf_ask(b, &route) || !route.flow.has_saddr)
		return false;
	memcpy(t->saddr, route.flow.saddr, sizeof(t->saddr));
	return true;
}

void sa_wanted_of(const struct bpf *b, const struct ask *a, const struct policy_info *p, int i,
		  const struct sa_wanted *before, struct sa_wanted *w)
{
	*w = (struct sa_wanted){
		.tmpl = p->tmpl[i],
		.flow = flow_in_lookup(&a->flow, p->if_id),
		.mark = p->mark & p->mark_mask,
		.if_id = p->if_id,
		.source_known = true,
	};
	if (has_addresses(&w->tmpl)) {
		/* a route that names a source does not say what a tunnel's own is: route_tmpl() */
		if (addr_any(w->tmpl.saddr))
			w->source_known = !(a->decision.reason == REASON_SOURCE_UNKNOWN &&
					    a->decision.tmpl == i) &&
					  routed_source(b, a, &w->tmpl);
		return;
	}
	w->source_known = before ? before->source_known : a->flow.has_saddr;
	memcpy(w->tmpl.saddr, before ? before->tmpl.saddr : a->flow.saddr, sizeof(w->tmpl.saddr));
	memcpy(w->tmpl.daddr, before ? before->tmpl.daddr : a->flow.daddr, sizeof(w->tmpl.daddr));
}

/* xfrm_state_addr_check: an SA without a source serves every one. */
static bool source_fits(const struct sa_info *sa, const struct sa_wanted *w)
{
	if (addr_any(sa->saddr))
		return true;
	return w->source_known &&
	       (addr_any(w->tmpl.saddr) || !memcmp(sa->saddr, w->tmpl.saddr, sizeof(sa->saddr)));
}

/* The kernel will give the socket a port, and which is not known: awaits_sport() in bpf/. */
static bool awaits_sport(const struct flow *f)
{
	return !f->sport &&
	       (f->proto == IPPROTO_TCP || f->proto == IPPROTO_UDP || f->proto == IPPROTO_SCTP ||
		f->proto == IPPROTO_UDPLITE || f->proto == IPPROTO_DCCP);
}

static bool selects(const struct sa_info *sa, const struct sa_wanted *w)
{
	struct selector_info sel = sa->sel;
	char text[1];

	if (awaits_sport(&w->flow))
		sel.sport = sel.sport_mask = 0;
	return !sel.family || selector_outside(&sel, &w->flow, text, 0) == SELECTOR_FITS;
}

static enum sa_condition condition(const struct sad *sad, const struct sa_info *sa,
				   const struct sa_wanted *w)
{
	if (sa->reqid != w->tmpl.reqid)
		return SA_FAILS_REQID;
	if ((w->mark & sa->mark_mask) != sa->mark)
		return SA_FAILS_MARK;
	if (sa->if_id != w->if_id)
		return SA_FAILS_IF_ID;
	if (sa->flags & XFRM_STATE_WILDRECV)
		return SA_FAILS_WILDRECV;
	if (!source_fits(sa, w))
		return SA_FAILS_SRC;
	if (sa->mode != w->tmpl.mode)
		return SA_FAILS_MODE;
	if (sa->proto != w->tmpl.proto)
		return SA_FAILS_PROTO;
	if (w->tmpl.spi && w->tmpl.spi != sa->spi)
		return SA_FAILS_SPI;
	if (!selects(sa, w))
		return SA_FAILS_SELECTOR;
	if (sa->pcpu != SAGATE_PCPU_ANY)
		return SA_FAILS_PCPU;
	if (sad_expired(sad, sa))
		return SA_FAILS_EXPIRED;
	if (sa->dir == SAGATE_SA_DIR_IN)
		return SA_FAILS_DIRECTION;
	if (sa->exhausted)
		return SA_FAILS_SEQUENCE;
	if (sa->sel.family && sa->sel.sport_mask && awaits_sport(&w->flow))
		return SA_FAILS_SPORT;
	if (w->tmpl.optional && addr_any(sa->saddr) && !addr_any(w->tmpl.saddr))
		return SA_FAILS_ANY_SOURCE;
	return sad_stored(sa) ? SA_FITS : SA_FAILS_TABLE_FULL;
}

static void source_text(const struct sa_info *sa, const struct sa_wanted *w, char *text,
			size_t size)
{
	char a[UNITS_TEXT], b[UNITS_TEXT];

	addr_format(sa->family, sa->saddr, a, sizeof(a));
	if (w->source_known)
		snprintf(text, size, "src %s ≠ %s", a,
			 addr_format(sa->family, w->tmpl.saddr, b, sizeof(b)));
	else
		snprintf(text, size, "src %s, and the flow's is not known", a);
}

/* Both values where two are compared: the SA's, then what is asked. */
static void condition_text(enum sa_condition c, const struct sa_info *sa, const struct sa_wanted *w,
			   char *text, size_t size)
{
	char a[UNITS_TEXT], b[UNITS_TEXT];
	int n;

	switch (c) {
	case SA_FAILS_REQID:
		snprintf(text, size, "reqid %u ≠ %u", sa->reqid, w->tmpl.reqid);
		break;
	case SA_FAILS_MARK:
		snprintf(text, size, "mark 0x%x/0x%x ≠ 0x%x", sa->mark, sa->mark_mask, w->mark);
		break;
	case SA_FAILS_IF_ID:
		snprintf(text, size, "if_id 0x%x ≠ 0x%x", sa->if_id, w->if_id);
		break;
	case SA_FAILS_WILDRECV:
		snprintf(text, size, "wildrecv: receives only");
		break;
	case SA_FAILS_SRC:
		source_text(sa, w, text, size);
		break;
	case SA_FAILS_MODE:
		snprintf(text, size, "mode %s ≠ %s", xfrm_mode_text(sa->mode, a, sizeof(a)),
			 xfrm_mode_text(w->tmpl.mode, b, sizeof(b)));
		break;
	case SA_FAILS_PROTO:
		snprintf(text, size, "proto %s ≠ %s", xfrm_proto_text(sa->proto, a, sizeof(a)),
			 xfrm_proto_text(w->tmpl.proto, b, sizeof(b)));
		break;
	case SA_FAILS_SPI:
		snprintf(text, size, "spi 0x%08x ≠ 0x%08x", ntohl(sa->spi), ntohl(w->tmpl.spi));
		break;
	case SA_FAILS_SELECTOR:
		n = snprintf(text, size, "selector ");
		if (n > 0 && (size_t)n < size)
			selector_outside(&sa->sel, &w->flow, text + n, size - n);
		break;
	case SA_FAILS_PCPU:
		snprintf(text, size, "pcpu %u ≠ any: for that CPU only", sa->pcpu);
		break;
	case SA_FAILS_EXPIRED:
		snprintf(text, size, "expired: its hard lifetime has ended");
		break;
	case SA_FAILS_DIRECTION:
		snprintf(text, size, "direction in ≠ out");
		break;
	case SA_FAILS_SEQUENCE:
		snprintf(text, size, "sequence: no number is left");
		break;
	case SA_FAILS_SPORT:
		snprintf(text, size, "sport %u, and the socket has no port yet",
			 ntohs(sa->sel.sport));
		break;
	case SA_FAILS_ANY_SOURCE:
		snprintf(text, size,
			 "any-source: one being made hides it, and the template is "
			 "optional");
		break;
	case SA_FAILS_TABLE_FULL:
		snprintf(text, size, "table-full: it fits and is not in the map");
		break;
	case SA_FITS:
		snprintf(text, size, "fits");
		break;
	}
}

enum sa_condition sa_condition_of(const struct sad *sad, const struct sa_info *sa,
				  const struct sa_wanted *w, char *text, size_t size)
{
	enum sa_condition c = condition(sad, sa, w);

	condition_text(c, sa, w, text, size);
	return c;
}

struct fit {
	const struct sad *sad;
	const struct sa_wanted *w;
	const struct sa_info *found;
};

static int fit_each(void *ctx, const struct sa_info *sa)
{
	struct fit *f = ctx;

	if (condition(f->sad, sa, f->w) != SA_FITS)
		return 0;
	f->found = sa;
	return 1;
}

/* Its soft lifetime has ended: what it has transferred is not known here. */
static bool dying(const struct sa_info *sa)
{
	const struct sa_life *l = &sa->life;
	__u64 now = (__u64)time(NULL);

	return (l->soft_add && now >= l->add_time + l->soft_add) ||
	       (l->soft_use && l->use_time && now >= l->use_time + l->soft_use);
}

/* xfrm_state_find() looks among those with a source first, xfrm_state_look_at() takes the newest.
 */
static int prefer_each(void *ctx, const struct sa_info *sa)
{
	struct fit *f = ctx;
	const struct sa_info *best = f->found;

	if (condition(f->sad, sa, f->w) != SA_FITS)
		return 0;
	if (!best || addr_any(best->saddr) > addr_any(sa->saddr) ||
	    (addr_any(best->saddr) == addr_any(sa->saddr) &&
	     (dying(best) > dying(sa) ||
	      (dying(best) == dying(sa) && best->life.add_time < sa->life.add_time))))
		f->found = sa;
	return 0;
}

static const struct sa_info *search(const struct sad *sad, const struct sa_wanted *w,
				    int (*each)(void *ctx, const struct sa_info *))
{
	struct fit f = {.sad = sad, .w = w};
	struct sad_key key = {};

	key.if_id = w->if_id;
	key.reqid = w->tmpl.reqid;
	memcpy(key.daddr, w->tmpl.daddr, sizeof(key.daddr));
	key.family = w->tmpl.family;
	key.proto = w->tmpl.proto;
	key.mode = w->tmpl.mode;
	sad_each_of(sad, &key, each, &f);
	return f.found;
}

const struct sa_info *sa_first_fit(const struct sad *sad, const struct sa_wanted *w)
{
	return search(sad, w, fit_each);
}

const struct sa_info *sa_preferred_fit(const struct sad *sad, const struct sa_wanted *w)
{
	return search(sad, w, prefer_each);
}

struct candidate {
	const struct sa_info *sa;
	enum sa_condition failed;
};

struct candidates {
	const struct sad *sad;
	const struct sa_wanted *w;
	const struct sa_info *used;
	struct candidate list[SA_CANDIDATES_MAX];
	size_t count, total;
};

/* Whether `a` is shown before `b`: the one that is used, those that came further, by SPI. */
static bool before(const struct candidates *c, const struct candidate *a, const struct candidate *b)
{
	if ((a->sa == c->used) != (b->sa == c->used))
		return a->sa == c->used;
	if (a->failed != b->failed)
		return a->failed > b->failed;
	return ntohl(a->sa->spi) < ntohl(b->sa->spi);
}

static int candidate_each(void *ctx, const struct sa_info *sa)
{
	struct candidates *c = ctx;
	struct candidate one = {.sa = sa};
	size_t at;

	if (sa->family != c->w->tmpl.family ||
	    memcmp(sa->daddr, c->w->tmpl.daddr, sizeof(sa->daddr)))
		return 0;
	one.failed = condition(c->sad, sa, c->w);
	c->total++;
	if (c->count < SA_CANDIDATES_MAX)
		c->count++;
	else if (!before(c, &one, &c->list[c->count - 1]))
		return 0;
	for (at = c->count - 1; at && before(c, &one, &c->list[at - 1]); at--)
		c->list[at] = c->list[at - 1];
	c->list[at] = one;
	return 0;
}

static json_t *candidate_json(const struct candidates *c, const struct candidate *one)
{
	json_t *o = sa_brief_json(c->sad, one->sa);
	char text[160];

	if (!o)
		return NULL;
	condition_text(one->failed, one->sa, c->w, text, sizeof(text));
	json_object_set_new(o, "failed",
			    one->failed == SA_FITS ? json_null()
						   : json_string(condition_name(one->failed)));
	json_object_set_new(o, "text", json_string(one->sa == c->used ? "used" : text));
	json_object_set_new(o, "used", json_boolean(one->sa == c->used));
	return o;
}

json_t *sa_candidates_json(const struct sad *sad, const struct sa_wanted *w,
			   const struct sa_info *used, size_t *more)
{
	struct candidates c = {.sad = sad, .w = w, .used = used};
	json_t *list = json_array();

	sad_each(sad, candidate_each, &c);
	for (size_t i = 0; i < c.count; i++)
		json_array_append_new(list, candidate_json(&c, &c.list[i]));
	*more = c.total - c.count;
	return list;
}
