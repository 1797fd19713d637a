// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "json_util.h"
#include "judge.h"

const char *const did_names[DID_COUNT] = {"protected", "clear", "blocked", "refused", "nothing"};
const char *const said_names[SAID_COUNT] = {"unknown", "wait", "deny", "clear", "protected"};

static bool protects(const struct seen *s)
{
	return s->proto == IPPROTO_ESP || s->proto == IPPROTO_AH;
}

/* IPComp leaves small packets as they are, in its tunnel mode with an IP header in front. */
static bool is_clear(const struct call *c, const struct seen *s)
{
	if (s->proto == IPPROTO_COMP || s->proto == IPPROTO_IPIP || s->proto == IPPROTO_IPV6)
		return true;
	return s->family == c->family && s->proto == c->proto && addr_is(&s->dst, &c->dst);
}

/* The errnos with which routing refuses a call. */
static bool routing_refused(int err)
{
	return err == ENETUNREACH || err == EHOSTUNREACH || err == EACCES;
}

enum did judge_did(const struct call *c, const struct outcome *o)
{
	enum did did = DID_NOTHING;

	if (o->errors)
		return did;
	for (int i = 0; i < o->count; i++) {
		if (is_clear(c, &o->seen[i]))
			return DID_CLEAR;
		if (protects(&o->seen[i]))
			did = DID_PROTECT;
	}
	if (did == DID_PROTECT)
		return did;
	if (o->err == EPERM)
		return DID_BLOCK;
	return routing_refused(o->err) ? DID_REFUSE : DID_NOTHING;
}

enum said judge_said(const json_t *answer)
{
	static const char *const unknown[] = {"source-unknown", "template-limit", "policy-tie"};
	const char *verdict = json_get_text(answer, "verdict");
	const char *reason = json_get_text(answer, "reason");

	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		if (!strcmp(reason, unknown[i]))
			return SAID_UNKNOWN;
	for (enum said s = SAID_WAIT; s < SAID_COUNT; s++)
		if (!strcmp(verdict, said_names[s]))
			return s;
	return SAID_UNKNOWN;
}

static bool says_address(const json_t *answer, int family, const struct addr *a)
{
	const char *src = json_get_text(json_object_get(answer, "flow"), "src");
	char text[ADDR_TEXT];

	return !src || !strcmp(src, addr_text(family, a, text));
}

static bool says_device(const json_t *answer, int dev)
{
	const json_t *at = json_object_get(json_object_get(answer, "flow"), "ifindex");

	return !json_is_integer(at) || json_integer_value(at) == host_ifindex(dev);
}

/*
 * Of several SAs that fit, the kernel takes the one that was added last, to the second, and then by
 * its hash: any of them is right.
 */
static bool alike(const struct sa *a, const struct sa *b)
{
	return a && b && a->reqid == b->reqid && a->proto == b->proto && a->mode == b->mode &&
	       a->family == b->family && a->if_id == b->if_id && addr_is(&a->dst, &b->dst);
}

/*
 * The SAs that explain names for the templates of a policy, but for IPComp: how many of them stand
 * for this one, and whether the last, which is the outermost, does.
 */
static size_t policy_spis(const struct world *w, const json_t *policy, uint32_t spi, size_t *named,
			  bool *last)
{
	const json_t *t, *list = json_get_array(policy, "templates");
	size_t i, found = 0;

	json_array_foreach(list, i, t) {
		const char *text = json_get_text(json_object_get(t, "sa"), "spi");
		const char *proto = json_get_text(t, "proto");

		if (!text || !proto || !strcmp(proto, "comp"))
			continue;
		++*named;
		*last = alike(world_sa(w, (uint32_t)strtoul(text, NULL, 16)), world_sa(w, spi));
		found += *last;
	}
	return found;
}

/*
 * Is the SPI on the wire that of the outermost SA that explain names? A MAIN policy's templates
 * come behind a SUB one's; of IPv6 flows the kernel then sorts all of them (xfrm_tmpl_sort(),
 * xfrm_state_sort()), so that any may be the outermost.
 */
static bool names_spi(const struct world *w, const struct call *c, const json_t *answer,
		      uint32_t spi)
{
	size_t of_sub = 0, of_main = 0, found;
	bool last = false;

	found = policy_spis(w, json_object_get(answer, "policy"), spi, &of_sub, &last);
	found += policy_spis(w, json_object_get(answer, "main_policy"), spi, &of_main, &last);
	return c->family == AF_INET6 && of_sub && of_main ? found : last;
}

static bool prefix_has(const struct addr *prefix, int len, const struct addr *a)
{
	struct addr x = addr_masked(*prefix, len), y = addr_masked(*a, len);

	return addr_is(&x, &y);
}

/* May this policy match the call? What only routing knows of it is taken to fit. */
static bool may_match(const struct policy *p, const struct call *c)
{
	const struct sel *s = &p->sel;
	bool icmp = c->way == WAY_PING;
	uint16_t sport = icmp ? (c->family == AF_INET ? 8 : 128) : c->sport;

	return s->family == c->family && !((c->mark ^ p->mark) & p->mask) &&
	       prefix_has(&s->dst, s->dst_len, &c->dst) &&
	       (addr_zero(&c->src) || prefix_has(&s->src, s->src_len, &c->src)) &&
	       (!s->proto || s->proto == c->proto) && !((s->dport ^ c->dport) & s->dport_mask) &&
	       !((s->sport ^ sport) & s->sport_mask);
}

static bool whole(const struct sel *s)
{
	return s->src_len == addr_bits(s->family) && s->dst_len == addr_bits(s->family);
}

/*
 * Can two policies of one class and priority match that the kernel keeps in different lists? Its
 * order among them is not seen.
 */
static bool tied(const struct world *w, const struct call *c)
{
	for (int i = 0; i < w->policies; i++)
		for (int j = 0; j < i; j++) {
			const struct policy *p = &w->policy[i], *q = &w->policy[j];

			if (p->prio == q->prio && p->sub == q->sub && p->if_id == q->if_id &&
			    whole(&p->sel) != whole(&q->sel) && may_match(p, c) && may_match(q, c))
				return true;
		}
	return false;
}

/* On a tie the protecting answer is right, whatever the kernel then takes. */
static bool protects_enough(enum said said, enum did did)
{
	return said == SAID_WAIT || said == SAID_DENY ||
	       (said == SAID_PROTECTED && did != DID_CLEAR);
}

static bool only_compresses(const json_t *answer)
{
	const json_t *t, *list = json_get_array(json_object_get(answer, "policy"), "templates");
	size_t i;

	json_array_foreach(list, i, t) {
		if (strcmp(json_get_text(t, "proto"), "comp"))
			return false;
	}
	return true;
}

/*
 * xfrm_state_find() looks a second time where SAs without a source are hashed, and there compares
 * the destination alone: an SA with another source is taken when its hash happens to be the same.
 * Nobody can count on it, so "wait" (or, for an optional template, "clear") is right.
 */
static bool taken_by_hash(const struct world *w, const json_t *answer, const struct outcome *o)
{
	const char *reason = json_get_text(answer, "reason");
	const struct sa *sa = NULL;

	/* what IPComp was put on is not to be seen */
	if (!strcmp(reason, "sa-source") && only_compresses(answer))
		return true;
	for (int i = 0; i < o->count && !sa; i++)
		sa = world_sa(w, o->seen[i].spi);
	if (!sa || addr_zero(&sa->src))
		return false;
	return !strcmp(reason, "sa-source") || !strcmp(reason, "policy-optional");
}

static const char *judge_clear(const struct world *w, const json_t *answer, const struct outcome *o)
{
	for (int i = 0; i < o->count; i++) {
		const struct seen *s = &o->seen[i];

		if (s->proto == IPPROTO_IPIP || s->proto == IPPROTO_IPV6 ||
		    s->proto == IPPROTO_COMP)
			continue;
		if (!says_address(answer, s->family, &s->src))
			return "the packet has another source address than explain says";
		if (!w->xfrmi && !says_device(answer, s->dev))
			return "the packet left by another device than explain says";
	}
	return NULL;
}

static const char *judge_protected(const struct world *w, const struct call *c,
				   const json_t *answer, const struct outcome *o)
{
	for (int i = 0; i < o->count; i++)
		if (protects(&o->seen[i]) && !names_spi(w, c, answer, o->seen[i].spi))
			return "the packet has another SPI than explain names";
	return NULL;
}

/*
 * An IPv6 tunnel whose template has no source gets one from ipv6_dev_get_saddr(), whatever source
 * the route to its far end names; rtnetlink tells that of the route.
 */
static bool tunnel_source_unknown(const struct world *w, const struct call *c)
{
	bool named = false;

	for (int i = 0; i < w->routes; i++)
		named |= w->route[i].family == AF_INET6 && !addr_zero(&w->route[i].prefsrc);
	for (int i = 0; named && i < w->policies; i++)
		for (int j = 0; j < w->policy[i].tmpls; j++) {
			const struct tmpl *t = &w->policy[i].tmpl[j];

			if (t->family == AF_INET6 && !addr_zero(&t->dst) && addr_zero(&t->src) &&
			    may_match(&w->policy[i], c))
				return true;
		}
	return false;
}

/*
 * What is honestly not known, where rules compare the source: by which device a socket leaves that
 * is bound to one; and where an unbound one goes when the source that routing chose is looked up
 * again, which connect() does and sendto() does not.
 */
static bool unknowable(const struct world *w, const struct call *c, const json_t *answer)
{
	if (!strcmp(json_get_text(answer, "reason"), "template-limit"))
		return true;
	if (tunnel_source_unknown(w, c))
		return true;
	for (int i = 0; i < w->rules; i++)
		if (w->rule[i].family == c->family && w->rule[i].src_len)
			return true;
	return false;
}

const char *judge(const struct world *w, const struct call *c, const json_t *answer,
		  const struct outcome *o)
{
	enum said said = judge_said(answer);
	enum did did = judge_did(c, o);

	if (did == DID_REFUSE)
		return NULL; /* no route: nothing was sent, and the caller was told */
	if ((said == SAID_UNKNOWN || protects_enough(said, did)) && tied(w, c))
		return NULL;
	if ((did == DID_PROTECT || did == DID_CLEAR) && said != SAID_PROTECTED &&
	    taken_by_hash(w, answer, o))
		return NULL;
	switch (said) {
	case SAID_PROTECTED:
		return did == DID_PROTECT ? judge_protected(w, c, answer, o)
					  : "the kernel did not protect it";
	case SAID_CLEAR:
		return did == DID_CLEAR ? judge_clear(w, answer, o)
					: "the kernel did not send in clear";
	case SAID_DENY:
		/* an xfrm interface drops, and the caller is not told */
		return did == DID_BLOCK || (did == DID_NOTHING && w->xfrmi)
			       ? NULL
			       : "the kernel did not block it";
	case SAID_WAIT:
		return did == DID_NOTHING ? NULL : "the kernel did not wait for an SA";
	default: /* it waits: what the kernel would send in clear is not sent either */
		return unknowable(w, c, answer)
			       ? NULL
			       : "not known, and nothing in this world makes it unknowable";
	}
}
