// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "json_util.h"
#include "reasons.h"
#include "render.h"

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

static void put_template(const json_t *t)
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
}

static void put_policy(const json_t *policy)
{
	char src[80], dst[80], priority[32], index[32], action[32], text[RENDER_TEXT];
	const json_t *t;
	size_t i;

	if (!json_is_object(policy)) {
		line("policy", "none");
		return;
	}
	render_value(policy, "selector.src", src, sizeof(src));
	render_value(policy, "selector.dst", dst, sizeof(dst));
	render_value(policy, "priority", priority, sizeof(priority));
	render_value(policy, "index", index, sizeof(index));
	render_value(policy, "action", action, sizeof(action));
	snprintf(text, sizeof(text), "%s → %s, %s, priority %s, index %s", src, dst, action,
		 priority, index);
	line("policy", text);
	json_array_foreach(json_get_array(policy, "templates"), i, t)
		put_template(t);
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

void render_explain(const json_t *answer)
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
	put_policy(json_object_get(answer, "policy"));
	render_value(answer, "requirement.name", text, sizeof(text));
	if (strcmp(text, "-"))
		line("requirement", text);
	put_negotiation(json_object_get(answer, "negotiation"));
	render_value(answer, "gate.name", text, sizeof(text));
	if (strcmp(text, "-"))
		line("gate", text);
}
