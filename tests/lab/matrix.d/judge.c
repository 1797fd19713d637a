// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "matrix.h"

const char *const state_names[STATES] = {"none", "up",	 "lost", "kept",
					 "dead", "came", "hold", "off"};
bool run_json, run_verbose;

int kernel_version(void)
{
	struct utsname u;
	int major = 0, minor = 0;

	uname(&u);
	sscanf(u.release, "%d.%d", &major, &minor);
	return major * 100 + minor;
}

static bool kernel_does(const struct way *w)
{
	return kernel_version() >= w->since && (!w->until || kernel_version() < w->until);
}

static bool kernel_has(const struct way *w)
{
	return !w->gone || kernel_version() < w->gone;
}

bool judge_tries(const struct way *w, enum state s)
{
	return kernel_does(w) && (s != CAME || w->flags & COMES) &&
	       (s != HOLD || w->flags & HOLDS) && judge_expected(w, s).what != UNTRIED;
}

struct cell judge_expected(const struct way *w, enum state s)
{
	if (s <= DEAD)
		return w->cell[s];
	if (s == CAME)
		return (struct cell){ESP, 0};
	if (s == HOLD)
		return w->hold;
	if (w->cell[LOST].what == KERNEL || w->cell[LOST].what == QUIET)
		return w->cell[LOST];
	return (struct cell){w->flags & FUTILE ? KERNEL : CLEAR, 0};
}

static const char *errno_name(int err)
{
	return err ? strerrorname_np(err) : "ok";
}

static unsigned int clear_of(const struct way *w, const struct seen *s)
{
	return w->flags & REPORTS ? s->reports : s->plain;
}

static bool is_right(const struct way *w, enum state s, const struct cell *c,
		     const struct outcome *o)
{
	unsigned int clear = clear_of(w, &o->seen);

	if (o->report.err != c->err && !(w->flags & FUTILE && s == OFF))
		return false;
	switch (c->what) {
	case ESP:
		return o->seen.esp && !clear;
	case CLEAR:
		return clear;
	default: /* with the SA there, ESP may be the answer to something else */
		return (s == UP || !o->seen.esp) && !clear;
	}
}

const char *cell_text(const struct cell *c, char out[64])
{
	static const char *const words[] = {"ESP",	    "refused",	"dropped", "kernel",
					    "nothing sent", "in clear", "–"};
	const char *err = c->err ? errno_name(c->err) : NULL;

	if (c->what == REFUSED)
		snprintf(out, 64, "%s", err);
	else if (c->what == KERNEL)
		snprintf(out, 64, "%s, the kernel's", err);
	else
		snprintf(out, 64, "%s%s%s", words[c->what], err ? ", " : "", err ? err : "");
	return out;
}

static void print(const struct way *w, enum state s, const struct outcome *o, const char *judged)
{
	const char *sees = clear_of(w, &o->seen) ? "clear" : o->seen.esp ? "esp" : "nothing";
	const char *err = errno_name(o->report.err);
	struct cell c = judge_expected(w, s);
	char wants[64];

	if (o->report.what == NOT_HERE)
		sees = "n/a";
	cell_text(&c, wants);
	if (run_json)
		printf("{\"way\":\"%s\",\"state\":\"%s\",\"sees\":\"%s\",\"errno\":\"%s\","
		       "\"wants\":\"%s\",\"judged\":\"%s\",\"ms\":%.0f}\n",
		       w->name, state_names[s], sees, err, wants, judged, o->took * 1e3);
	else
		printf("%-5s %-48s %-5s %s, %s%s; wants %s; %.0f ms%s%s\n", judged, w->name,
		       state_names[s], sees, err, o->early ? " (before)" : "", wants, o->took * 1e3,
		       o->seen.plain ? ": " : "", o->seen.plain ? o->seen.what[0] : "");
}

bool judge(const struct way *w, enum state s, const struct outcome *o)
{
	struct cell c = judge_expected(w, s);
	bool here = o->report.what != NOT_HERE;
	const char *judged = here && kernel_has(w) && is_right(w, s, &c, o) ? "right" : "WRONG";

	if (!here && !kernel_has(w))
		judged = "n/a";
	if (run_json || run_verbose || *judged == 'W' || (*judged == 'n' && s == NONE))
		print(w, s, o, judged);
	fflush(stdout);
	return *judged != 'W';
}
