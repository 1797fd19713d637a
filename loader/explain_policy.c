// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>

#include "explain_policy.h"
#include "explain_selector.h"
#include "flow_json.h"
#include "xfrm_json.h"

_Static_assert(CLASS_SUB == 0 && CLASS_MAIN == 1, "the first two classes are the kernel's");

bool policy_matches(const struct policy_info *p, const struct flow *of, __u32 if_id,
		    const char **failed, char *text, size_t size)
{
	const struct flow in = flow_in_lookup(of, if_id), *flow = &in;
	enum selector_part part;

	if (p->if_id != if_id) {
		*failed = "if_id";
		snprintf(text, size, "if_id 0x%x ≠ 0x%x", p->if_id, if_id);
		return false;
	}
	if ((flow->mark & p->mark_mask) != p->mark) {
		*failed = "mark";
		snprintf(text, size, "mark 0x%x/0x%x ≠ 0x%x", p->mark, p->mark_mask, flow->mark);
		return false;
	}
	part = selector_outside(&p->sel, flow, text, size);
	if (part == SELECTOR_FITS)
		return true;
	*failed = selector_part_name(part);
	return false;
}

struct considered {
	const struct policy_info *p;
	enum spd_class class;
	bool matches;
};

/* One walk through the table. */
struct walk {
	const struct flow *flow;
	__u32 if_id;			     /* of the lookup that decided */
	const struct policy_info *chosen[2]; /* by class */
	struct considered list[POLICIES_CONSIDERED_MAX];
	size_t count, total;
	size_t matching[2];		   /* besides the chosen one */
	const struct policy_info *next[2]; /* the best of these */
};

static bool blocks(const struct policy_info *p)
{
	return p->action != XFRM_POLICY_ALLOW;
}

/* As the kernel takes them, as far as that is to be seen. */
static bool comes_before(const struct policy_info *a, const struct policy_info *b)
{
	if (a->priority != b->priority)
		return a->priority < b->priority;
	if (!spd_order_known(a, b) && blocks(a) != blocks(b))
		return blocks(a);
	return a->index < b->index;
}

/* Those that match first, SUB before MAIN, in the order in which they would be chosen. */
static bool shown_before(const struct considered *a, const struct considered *b)
{
	if (a->matches != b->matches)
		return a->matches;
	if (a->class != b->class)
		return a->class == CLASS_SUB;
	return comes_before(a->p, b->p);
}

static bool holds_destination(const struct policy_info *p, const struct flow *flow)
{
	struct selector_info dst = {
		.family = p->sel.family,
		.dst_len = p->sel.dst_len,
	};
	char text[1];

	memcpy(dst.daddr, p->sel.daddr, sizeof(dst.daddr));
	return selector_outside(&dst, flow, text, 0) == SELECTOR_FITS;
}

static void keep(struct walk *w, const struct considered *one)
{
	size_t at;

	w->total++;
	if (w->count < POLICIES_CONSIDERED_MAX)
		w->count++;
	else if (!shown_before(one, &w->list[w->count - 1]))
		return;
	for (at = w->count - 1; at && shown_before(one, &w->list[at - 1]); at--)
		w->list[at] = w->list[at - 1];
	w->list[at] = *one;
}

static int consider(void *ctx, enum spd_class class, const struct policy_info *p)
{
	struct considered one = {.p = p, .class = class};
	struct walk *w = ctx;
	const char *failed;
	char text[1];

	if (class == CLASS_REQUIRE || p == w->chosen[class] || !holds_destination(p, w->flow))
		return 0;
	one.matches = policy_matches(p, w->flow, w->if_id, &failed, text, 0);
	if (one.matches) {
		w->matching[class]++;
		if (!w->next[class] || comes_before(p, w->next[class]))
			w->next[class] = p;
	}
	keep(w, &one);
	return 0;
}

/* Of two that match and share a priority: which one is taken, and why. */
static void tie_text(const struct policy_info *taken, const struct policy_info *other, char *text,
		     size_t size)
{
	int n = snprintf(text, size, "index %u and index %u share priority %u", taken->index,
			 other->index, taken->priority);

	text += n;
	size -= (size_t)n;
	if (spd_order_known(taken, other) && taken->index < other->index)
		snprintf(text, size, ": the older one, index %u, is taken", taken->index);
	else if (blocks(taken) && !blocks(other))
		snprintf(text, size,
			 ", and which one the kernel takes is not known: index %u, which blocks, "
			 "is assumed",
			 taken->index);
	else
		snprintf(text, size, " and do the same");
}

/* One that matches and shares the priority of `one`, when none of them could be chosen. */
static const struct considered *rival_of(const struct walk *w, const struct considered *one)
{
	for (size_t i = 0; i < w->count; i++) {
		const struct considered *c = &w->list[i];

		if (c->p != one->p && c->matches && c->class == one->class &&
		    c->p->priority == one->p->priority)
			return c;
	}
	return NULL;
}

static void undecided_tie(const struct walk *w, const struct considered *one, char *text,
			  size_t size)
{
	const struct considered *rival = rival_of(w, one);

	if (rival)
		snprintf(text, size,
			 "undecided: index %u and index %u share priority %u and differ, and which "
			 "one the kernel takes is not known",
			 one->p->index, rival->p->index, one->p->priority);
	else
		snprintf(text, size, "undecided: %s", reason_text(REASON_POLICY_TIE));
}

/* Why one that matches was not chosen. */
static const char *passed_over(const struct walk *w, const struct considered *one,
			       const struct decision *d, char *text, size_t size)
{
	const struct policy_info *chosen = w->chosen[one->class];

	if (!chosen && one->class == CLASS_MAIN && w->chosen[CLASS_SUB]) {
		snprintf(text, size, "main: not asked after what the sub policy says");
		return "class";
	}
	if (!chosen && d->reason == REASON_SOURCE_UNKNOWN) {
		snprintf(text, size,
			 "undecided: one that compares what is not known of the flow "
			 "may come first");
		return "undecided";
	}
	if (!chosen && d->reason == REASON_POLICY_TIE) {
		undecided_tie(w, one, text, size);
		return "undecided";
	}
	if (!chosen) {
		snprintf(text, size, "not asked: %s", reason_text(d->reason));
		return "undecided";
	}
	if (one->p->priority != chosen->priority) {
		snprintf(text, size, "priority %u %s %u%s", one->p->priority,
			 one->p->priority > chosen->priority ? ">" : "<", chosen->priority,
			 one->p->priority > chosen->priority ? "" : ": it is not in the maps");
		return "priority";
	}
	tie_text(chosen, one->p, text, size);
	return "tie";
}

static json_t *considered_json(const struct walk *w, const struct considered *one,
			       const struct decision *d)
{
	json_t *o = policy_explain_json(one->p);
	const char *failed = NULL;
	char text[200];

	if (policy_matches(one->p, w->flow, w->if_id, &failed, text, sizeof(text)))
		failed = passed_over(w, one, d, text, sizeof(text));
	json_object_set_new(o, "failed", json_string(failed));
	json_object_set_new(o, "text", json_string(text));
	return o;
}

static void why_chosen(const struct walk *w, enum spd_class class, char *text, size_t size)
{
	const struct policy_info *p = w->chosen[class], *next = w->next[class];
	const char *of_class = class == CLASS_SUB ? "sub policies come before main ones; " : "";

	if (!p)
		snprintf(text, size, "%s", "");
	else if (!next)
		snprintf(text, size, "%sthe only one that matches", of_class);
	else if (next->priority != p->priority)
		snprintf(text, size, "%sthe lowest priority of %zu that match (%u < %u)", of_class,
			 w->matching[class] + 1, p->priority, next->priority);
	else
		tie_text(p, next, text + snprintf(text, size, "%s", of_class),
			 size - strlen(of_class));
}

void policies_explain(const struct spd *spd, const struct flow *flow, const struct decision *d,
		      struct policies_why *why)
{
	struct walk w = {.flow = flow};

	if (d->sub_index)
		w.chosen[CLASS_SUB] = spd_find(spd, CLASS_SUB, d->sub_index);
	if (d->main_index)
		w.chosen[CLASS_MAIN] = spd_find(spd, CLASS_MAIN, d->main_index);
	for (int class = 0; class < 2; class ++)
		if (w.chosen[class])
			w.if_id = w.chosen[class]->if_id;
	spd_each(spd, consider, &w);
	why->considered = json_array();
	for (size_t i = 0; i < w.count; i++)
		json_array_append_new(why->considered, considered_json(&w, &w.list[i], d));
	why->more = w.total - w.count;
	for (int class = 0; class < 2; class ++)
		why_chosen(&w, class, why->chosen[class], sizeof(why->chosen[class]));
}
