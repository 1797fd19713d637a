// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "json_util.h"
#include "judge.h"
#include "judge_unknown.h"
#include "vrf.h"

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

	if (o->errors && !world_own(&c->dst))
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
	static const char *const unknown[] = {"source-unknown", "template-limit", "policy-tie",
					      "sport-unknown",	"sa-any-source",  "vrf-lookup"};
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

static bool whole(const struct sel *s)
{
	return s->src_len == addr_bits(s->family) && s->dst_len == addr_bits(s->family);
}

/* Its place among those of its priority is not seen. */
static bool moved(const struct policy *p)
{
	return p->index || p->updated;
}

/*
 * Can two policies of one class and priority match that the kernel keeps in different lists, or of
 * which one was moved? Its order among them is not seen.
 */
static bool tied(const struct world *w, const struct call *c)
{
	for (int i = 0; i < w->policies; i++)
		for (int j = 0; j < i; j++) {
			const struct policy *p = &w->policy[i], *q = &w->policy[j];

			if (p->prio == q->prio && p->sub == q->sub && p->if_id == q->if_id &&
			    (whole(&p->sel) != whole(&q->sel) || moved(p) || moved(q)) &&
			    judge_may_match(p, c) && judge_may_match(q, c))
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

/* Is it not the last template whose SA is missing? */
static bool misses_inner(const json_t *answer)
{
	const json_t *list = json_get_array(json_object_get(answer, "policy"), "templates");
	size_t n = json_array_size(list);

	for (size_t i = 0; i + 1 < n; i++)
		if (json_is_string(json_object_get(json_array_get(list, i), "missing")))
			return true;
	return false;
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
	bool other = false; /* than the packet's source */

	/* what IPComp was put on is not to be seen, nor what another SA is put around */
	if (!strcmp(reason, "sa-source") && (only_compresses(answer) || misses_inner(answer)))
		return true;
	for (int i = 0; i < o->count && !sa; i++) {
		sa = world_sa(w, o->seen[i].spi);
		other |= sa && !addr_is(&sa->src, &o->seen[i].src);
	}
	if (!sa || addr_zero(&sa->src))
		return false;
	/* one with the flow's own source may have come further */
	return !strcmp(reason, "sa-source") || !strcmp(reason, "policy-optional") ||
	       (other && !strncmp(reason, "sa-", 3));
}

/* The same of one with `dir in`, for an optional template: it is taken, and then it is refused. */
static bool refused_by_hash(const struct world *w, const struct call *c, const json_t *answer,
			    const struct outcome *o)
{
	if (o->err != EINVAL || strcmp(json_get_text(answer, "reason"), "policy-optional"))
		return false;
	for (int i = 0; i < w->sas; i++)
		if (w->sa[i].dir == SA_DIR_IN && addr_is(&w->sa[i].dst, &c->dst) &&
		    !addr_zero(&w->sa[i].src))
			return true;
	return false;
}

/*
 * SAs of one CPU do not count for sagate: the thread may be on another when it sends. The kernel
 * took one, of the CPU on which all runs here.
 */
static bool taken_by_cpu(const struct world *w, const struct outcome *o)
{
	for (int i = 0; i < o->count; i++) {
		const struct sa *sa = world_sa(w, o->seen[i].spi);

		if (sa && sa->pcpu != PCPU_ANY)
			return true;
	}
	return false;
}

/*
 * The policies of two types whose templates are of different families: explain finds an SA for
 * each, as the kernel does, which then cannot put one around the other and drops the packet.
 */
static bool does_not_nest(const struct call *c, const json_t *answer)
{
	const char *const of[] = {"policy", "main_policy"};
	unsigned int families = c->family == AF_INET ? 1 : 2;

	if (!json_is_object(json_object_get(answer, "main_policy")))
		return false;
	for (int p = 0; p < 2; p++) {
		const json_t *t, *one;
		const json_t *list = json_get_array(json_object_get(answer, of[p]), "templates");
		size_t i, j;

		json_array_foreach(list, i, t) {
			json_array_foreach(json_get_array(t, "candidates"), j, one) {
				const char *dst = json_get_text(one, "dst");

				if (json_get_bool(one, "used"))
					families |= dst && strchr(dst, ':') ? 2 : 1;
			}
		}
	}
	return families == 3;
}

/* What IPComp has compressed is not to be seen: is it of the SA that explain names around others?
 */
static bool compressed(const struct world *w, const json_t *answer, const struct outcome *o)
{
	const json_t *t, *list = json_get_array(json_object_get(answer, "policy"), "templates");
	unsigned long last = 0;
	bool secured = false;
	size_t i;

	if (json_is_object(json_object_get(answer, "main_policy")))
		list = json_get_array(json_object_get(answer, "main_policy"), "templates");
	json_array_foreach(list, i, t) {
		const char *text = json_get_text(json_object_get(t, "sa"), "spi");

		secured |= text && strcmp(json_get_text(t, "proto"), "comp");
		if (text)
			last = strtoul(text, NULL, 16);
	}
	return (secured || json_is_object(json_object_get(answer, "main_policy"))) &&
	       o->count == 1 && o->seen[0].proto == IPPROTO_COMP &&
	       alike(world_sa(w, (uint32_t)last), world_sa(w, o->seen[0].spi));
}

/* What explain names is the first look's, and the VRF device may send it elsewhere. */
static bool vrf_sends_on(const struct world *w, const json_t *answer)
{
	return w->vrf.queue || (w->vrf.leaking && says_device(answer, DEV_VRF0));
}

static const char *judge_clear(const struct world *w, const struct call *c, const json_t *answer,
			       const struct outcome *o)
{
	for (int i = 0; i < o->count; i++) {
		const struct seen *s = &o->seen[i];

		/* behind what a host sends to itself come its answers */
		if (s->proto == IPPROTO_IPIP || s->proto == IPPROTO_IPV6 ||
		    s->proto == IPPROTO_COMP || !addr_is(&s->dst, &c->dst))
			continue;
		if (!says_address(answer, s->family, &s->src))
			return "the packet has another source address than explain says";
		if (!w->xfrmi && s->dev != DEV_LO && s->dev != DEV_VRF0 &&
		    !says_device(answer, s->dev) && !vrf_sends_on(w, answer))
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
 * An SA that is being made, of which no message tells, hides those without a source
 * (xfrm_state_find() ends its search at acquire_in_progress).
 */
static bool larval_hides(const struct world *w)
{
	for (int i = 0; i < w->sas; i++)
		for (int j = 0; w->sa[i].larval && j < w->sas; j++) {
			const struct sa *a = &w->sa[i], *b = &w->sa[j];

			if (!b->larval && addr_zero(&b->src) && addr_is(&a->dst, &b->dst) &&
			    a->reqid == b->reqid && a->proto == b->proto && a->mode == b->mode)
				return true;
		}
	return false;
}

/* Does a requirement of the configuration ask for protection? */
static bool required(const struct world *w, const struct call *c)
{
	for (int i = 0; i < REQUIRES; i++) {
		const struct require *q = &w->require[i];

		if (q->family == c->family && judge_prefix_has(&q->to, q->len, &c->dst) &&
		    (!q->proto || q->proto == c->proto) && (!q->port || q->port == c->dport))
			return true;
	}
	return false;
}

/* What the kernel sends in clear although a requirement asks for more. */
static const char *judge_required(const struct call *c, const json_t *answer, enum said said)
{
	const char *reason = json_get_text(answer, "reason");

	/* to itself over IPv4, a host sends nothing that IPsec could touch */
	if (world_own(&c->dst) && !strcmp(reason, "noxfrm-device"))
		return NULL;
	if (said == SAID_UNKNOWN || !strcmp(reason, "required-clear") ||
	    !strcmp(reason, "required-no-policy"))
		return NULL;
	return "a requirement asks for protection, and it was not heard";
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
	if (did == DID_PROTECT && said != SAID_PROTECTED && taken_by_cpu(w, o))
		return NULL;
	if (did == DID_NOTHING && said == SAID_CLEAR && refused_by_hash(w, c, answer, o))
		return NULL;
	if (did == DID_CLEAR && said != SAID_PROTECTED && required(w, c))
		return judge_required(c, answer, said);
	switch (said) {
	case SAID_PROTECTED:
		if (did == DID_NOTHING && (larval_hides(w) || does_not_nest(c, answer)))
			return NULL;
		if (did == DID_CLEAR && compressed(w, answer, o))
			return NULL;
		return did == DID_PROTECT ? judge_protected(w, c, answer, o)
					  : "the kernel did not protect it";
	case SAID_CLEAR:
		return did == DID_CLEAR ? judge_clear(w, c, answer, o)
					: "the kernel did not send in clear";
	case SAID_DENY:
		/* an xfrm interface or a VRF device drops, and the caller is not told */
		return did == DID_BLOCK ||
				       (did == DID_NOTHING && (w->xfrmi || vrf_looks_again(w, c)))
			       ? NULL
			       : "the kernel did not block it";
	case SAID_WAIT: /* a requirement may yet be met, whatever the kernel's default is */
		if (did == DID_BLOCK && w->default_block && required(w, c) &&
		    !strcmp(json_get_text(answer, "reason"), "required-no-policy"))
			return NULL;
		return did == DID_NOTHING ? NULL : "the kernel did not wait for an SA";
	default: /* it waits: what the kernel would send in clear is not sent either */
		return judge_unknowable(w, c, answer)
			       ? NULL
			       : "not known, and nothing in this world makes it unknowable";
	}
}
