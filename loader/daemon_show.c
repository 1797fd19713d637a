// SPDX-License-Identifier: GPL-2.0-only
/* `show spd` and `show sad`: of one space, or of all one after the other, entry by entry. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "daemon_internal.h"
#include "json_util.h"
#include "xfrm_rows.h"

/* A space may go while its entries are read: it is looked for again each time. */
struct show_space {
	char name[sizeof(((struct space *)NULL)->name)];
	uint64_t netns;
};

struct show {
	struct daemon *d;
	bool sad;
	size_t count, at;
	bool begun; /* rows are those of spaces[at] */
	struct xfrm_rows rows;
	struct show_space spaces[];
};

static int show_next_of(struct show *show, struct space *s, json_t **one)
{
	const struct spd *spd = mirror_spd(s->mirror);
	const struct sad *sad = mirror_sad(s->mirror);
	int r = 0;

	if (!show->begun)
		r = show->sad ? xfrm_rows_of_sad(sad, &show->rows)
			      : xfrm_rows_of_spd(spd, &show->rows);
	if (r)
		return r;
	show->begun = true;
	return show->sad ? xfrm_rows_next_sa(&show->rows, sad, one)
			 : xfrm_rows_next_policy(&show->rows, spd, one);
}

static int show_next(void *ctx, json_t **one)
{
	struct show *show = ctx;

	for (; show->at < show->count; show->at++) {
		const struct show_space *which = &show->spaces[show->at];
		struct space *s = daemon_space(show->d, which->name);
		int r = s && s->netns == which->netns ? show_next_of(show, s, one) : 0;

		if (r > 0)
			json_object_set_new(*one, "space", json_string(which->name));
		if (r)
			return r;
		xfrm_rows_free(&show->rows);
		show->begun = false;
	}
	return 0;
}

static void show_free(void *ctx)
{
	struct show *show = ctx;

	xfrm_rows_free(&show->rows);
	free(show);
}

static const struct control_list show_list = {.next = show_next, .free = show_free};

int daemon_show_entries(struct daemon *d, bool sad, const char *name, struct error *e)
{
	struct show *show = calloc(1, sizeof(*show) + SPACES_MAX * sizeof(show->spaces[0]));
	struct space *s;

	if (!show)
		return error_set(e, -ENOMEM, "no-memory", "no memory for a list");
	show->d = d;
	show->sad = sad;
	LL_FOREACH(d->spaces, s) {
		if (show->count == SPACES_MAX || (name && strcmp(s->name, name)))
			continue;
		strcpy(show->spaces[show->count].name, s->name);
		show->spaces[show->count++].netns = s->netns;
	}
	control_answer_list(d->control, &show_list, show);
	return 0;
}
