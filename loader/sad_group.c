// SPDX-License-Identifier: GPL-2.0-only
#include "sad_group.h"

void sad_group_key(const struct sad *sad, const struct sa_info *sa, struct sad_key *key)
{
	memset(key, 0, sizeof(*key));
	key->space = sad->store.space;
	key->if_id = sa->if_id;
	key->reqid = sa->reqid;
	memcpy(key->daddr, sa->daddr, sizeof(key->daddr));
	key->family = sa->family;
	key->proto = sa->proto;
	key->mode = sa->mode;
}

struct sad_entry *sad_group_find(const struct sad *sad, const struct sad_key *key)
{
	struct mhash_node *n = mhash_first(&sad->by_key, mhash_mix(0, key, sizeof(*key)));

	for (; n; n = mhash_next(n)) {
		struct sad_entry *e = mhash_entry(n, struct sad_entry, by_key);
		struct sad_key k;

		sad_group_key(sad, &e->sa, &k);
		if (!memcmp(&k, key, sizeof(k)))
			return e;
	}
	return NULL;
}

void sad_group_open(struct sad *sad, const struct sa_info *sa, struct sad_group *g)
{
	*g = (struct sad_group){.sad = sad};
	sad_group_key(sad, sa, &g->key);
	g->head = sad_group_find(sad, &g->key);
	for (struct sad_entry *e = g->head; e && e->slot != SAD_SLOT_NONE; e = e->next) {
		g->last = e;
		g->slots++;
	}
}

static void head_set(struct sad_group *g, struct sad_entry *e)
{
	struct mhash *h = &g->sad->by_key;

	if (e && g->head)
		mhash_replace(h, &g->head->by_key, &e->by_key);
	else if (e)
		mhash_add(h, &e->by_key, mhash_mix(0, &g->key, sizeof(g->key)));
	else
		mhash_del(h, &g->head->by_key);
	g->head = e;
}

void sad_group_link(struct sad_group *g, struct sad_entry *e, struct sad_entry *after)
{
	e->prev = after;
	e->next = after ? after->next : g->head;
	if (e->next)
		e->next->prev = e;
	if (after)
		after->next = e;
	else
		head_set(g, e);
}

void sad_group_unlink(struct sad_group *g, struct sad_entry *e)
{
	if (e->next)
		e->next->prev = e->prev;
	if (e->prev)
		e->prev->next = e->next;
	else
		head_set(g, e->next);
	e->prev = e->next = NULL;
}
