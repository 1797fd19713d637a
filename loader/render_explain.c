// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "json_util.h"
#include "reasons.h"
#include "render.h"

/* SAs of a template, or policies, that a person is shown; --json has more. */
enum { LIST_MAX = 8 };

/* X-macro lists are the only place where a reason is explained. */
static const char *reason_meaning(const char *name)
{
#define REASON_ENTRY(n, v, s, t) {s, t},
	static const struct {
		const char *name, *meaning;
	} reasons[] = {SAGATE_REASONS(REASON_ENTRY)};
#undef REASON_ENTRY

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (!strcmp(reasons[i].name, name))
			return reasons[i].meaning;
	return "a reason this command does not know: it is older than the daemon";
}

static void line(const char *head, const char *text)
{
	printf("  %-12s ", head);
	render_word(stdout, text, 0);
	putchar('\n');
}

/* What lists leave out: here, and in the answer already. */
static void put_more(size_t shown, size_t count, json_int_t more)
{
	char text[64];

	if (count == shown && !more)
		return;
	snprintf(text, sizeof(text), "… and %lld more", (long long)(count - shown) + more);
	line("", text);
}

static void put_candidates(const json_t *t)
{
	const json_t *list = json_get_array(t, "candidates"), *sa;
	char spi[32], src[80], why[RENDER_TEXT], text[RENDER_TEXT];
	size_t i;

	json_array_foreach(list, i, sa) {
		if (i == LIST_MAX)
			break;
		render_value(sa, "spi", spi, sizeof(spi));
		render_value(sa, "src", src, sizeof(src));
		render_value(sa, "text", why, sizeof(why));
		snprintf(text, sizeof(text), "SA %s from %s: %.300s", spi, src, why);
		line("", text);
	}
	if (list && !json_array_size(list))
		line("", "no SA to that address at all");
	put_more(i, json_array_size(list), json_get_int(t, "candidates_more", 0));
}

static void put_template(const json_t *t, bool all)
{
	char proto[32], mode[32], reqid[32], spi[32], left[32], text[RENDER_TEXT];
	const json_t *sa = json_object_get(t, "sa");
	const char *missing = json_get_text(t, "missing");

	render_value(t, "proto", proto, sizeof(proto));
	render_value(t, "mode", mode, sizeof(mode));
	render_value(t, "reqid", reqid, sizeof(reqid));
	render_value(sa, "spi", spi, sizeof(spi));
	render_value(sa, "expires_in", left, sizeof(left));
	if (json_is_object(sa))
		snprintf(text, sizeof(text), "%s/%s reqid %s: SA %s, expires in %s%s", proto, mode,
			 reqid, spi, left, strcmp(left, "-") ? "s" : "");
	else
		snprintf(text, sizeof(text), "%s/%s reqid %s: no usable SA%s%.300s", proto, mode,
			 reqid, missing ? ": " : "", missing ? missing : "");
	line("template", text);
	if (all)
		put_candidates(t);
}

/* "src → dst, action, priority N, index N" */
static void policy_text(const json_t *policy, char *buf, size_t size)
{
	char src[80], dst[80], priority[32], index[32], action[32];

	render_value(policy, "selector.src", src, sizeof(src));
	render_value(policy, "selector.dst", dst, sizeof(dst));
	render_value(policy, "priority", priority, sizeof(priority));
	render_value(policy, "index", index, sizeof(index));
	render_value(policy, "action", action, sizeof(action));
	snprintf(buf, size, "%s → %s, %s, priority %s, index %s", src, dst, action, priority,
		 index);
}

static void put_considered(const json_t *answer)
{
	const json_t *list = json_get_array(answer, "considered"), *p;
	char policy[RENDER_TEXT], why[RENDER_TEXT], text[2 * RENDER_TEXT + 8];
	size_t i;

	json_array_foreach(list, i, p) {
		if (i == LIST_MAX)
			break;
		policy_text(p, policy, sizeof(policy));
		render_value(p, "text", why, sizeof(why));
		snprintf(text, sizeof(text), "%s: %s", policy, why);
		line(i ? "" : "not chosen", text);
	}
	put_more(i, json_array_size(list), json_get_int(answer, "considered_more", 0));
}

static void put_policy(const json_t *policy, bool all)
{
	char text[RENDER_TEXT];
	const json_t *t;
	size_t i;

	policy_text(policy, text, sizeof(text));
	line("policy", text);
	render_value(policy, "why", text, sizeof(text));
	if (strcmp(text, "-"))
		line("", text);
	json_array_foreach(json_get_array(policy, "templates"), i, t)
		put_template(t, all);
}

static void put_policies(const json_t *answer, bool all)
{
	const json_t *policy = json_object_get(answer, "policy");

	if (json_is_object(policy))
		put_policy(policy, all);
	else
		line("policy", "none");
	policy = json_object_get(answer, "main_policy");
	if (json_is_object(policy))
		put_policy(policy, all);
	if (all)
		put_considered(answer);
}

static void put_negotiation(const json_t *n)
{
	char state[32], text[RENDER_TEXT];
	const char *error = json_get_text(n, "last_error");

	if (!json_is_object(n))
		return;
	render_value(n, "state", state, sizeof(state));
	snprintf(text, sizeof(text), error ? "%s: %s" : "%s", state, error);
	line("negotiation", text);
}

void render_explain(const json_t *answer, bool all)
{
	const char *verdict = json_get_text(answer, "verdict") ?: "?";
	const char *reason = json_get_text(answer, "reason") ?: "?";
	char text[RENDER_TEXT];

	render_word(stdout, verdict, 0);
	printf(" (");
	render_word(stdout, reason, 0);
	printf("): %s\n", reason_meaning(reason));
	render_flow(json_object_get(answer, "flow"), text, sizeof(text));
	line("flow", text);
	put_policies(answer, all || !strcmp(verdict, "wait") || !strcmp(verdict, "deny"));
	render_value(answer, "requirement.name", text, sizeof(text));
	if (strcmp(text, "-"))
		line("requirement", text);
	put_negotiation(json_object_get(answer, "negotiation"));
	render_value(answer, "gate.name", text, sizeof(text));
	if (strcmp(text, "-"))
		line("gate", text);
}
