// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "cleanup.h"
#include "routes_table.h"

struct wanted {
	struct route_key key;
	struct route_value value;
};

static struct route_entry *find(const struct routes_table *t, const struct route_key *key)
{
	struct route_entry *entry;

	/* all of *key is set: NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult) */
	HASH_FIND(hh, t->entries, key, sizeof(*key), entry);
	return entry;
}

static int put(struct routes_table *t, const struct wanted *w)
{
	struct route_entry *entry = find(t, &w->key), *made = NULL;
	int r;

	if (!entry) {
		entry = made = calloc(1, sizeof(*made));
		if (!made)
			return -ENOMEM;
	}
	r = t->sink->put(t->sink->ctx, t->space, MAP_ROUTES, &w->key, &w->value);
	if (r) {
		free(made);
		return r;
	}
	entry->value = w->value;
	if (made) {
		made->key = w->key;
		HASH_ADD(hh, t->entries, key, sizeof(made->key), made);
	}
	return 0;
}

int routes_table_adopt(struct routes_table *table, const struct route_key *key,
		       const struct route_value *value)
{
	struct route_entry *entry = find(table, key);

	if (!entry) {
		entry = calloc(1, sizeof(*entry));
		if (!entry)
			return -ENOMEM;
		entry->key = *key;
		HASH_ADD(hh, table->entries, key, sizeof(entry->key), entry);
	}
	entry->value = *value;
	return 0;
}

static void del(struct routes_table *t, struct route_entry *entry)
{
	t->sink->del(t->sink->ctx, t->space, MAP_ROUTES, &entry->key);
	/* it is in there: NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
	HASH_DEL(t->entries, entry);
	free(entry);
}

static struct route_plens_key plens_key(const struct routes_table *t)
{
	return (struct route_plens_key){
		.space = t->space, .oif = t->oif, .marks = t->marks, .family = t->family};
}

/* The plain way's alone are counted in space_state: without them nothing is known. */
static void count_plens(struct routes_table *t, uint8_t n)
{
	struct space_state *state = t->sink->state(t->sink->ctx, t->space);

	if (!t->oif && !t->marks)
		__atomic_store_n(&state->plens[t->family == AF_INET6], n, __ATOMIC_RELEASE);
	space_changed(state);
}

/* The lengths in use: one value, so that the list and its length never disagree. */
static int put_plens(struct routes_table *t, const bool used[PLENS_MAX])
{
	struct route_plens_key key = plens_key(t);
	struct route_plens plens = {0};
	uint8_t n = 0;
	int r;

	for (int len = PLENS_MAX - 1; len >= 0; len--)
		if (used[len])
			plens.len[n++] = (uint8_t)len;
	plens.count = n;
	if (n == t->plen_count && !memcmp(&plens, &t->plens, sizeof(plens)))
		return 0;
	r = t->sink->put(t->sink->ctx, t->space, MAP_ROUTE_PLENS, &key, &plens);
	if (r)
		return r;
	count_plens(t, n);
	t->plens = plens;
	t->plen_count = n;
	return 0;
}

/* What each cell needs, without those that say what the one around them says. */
static size_t select_entries(const struct routes_table *t, const struct cell *cells,
			     const struct route_value *answers, size_t n, struct wanted *out,
			     const struct route_value **effective)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++) {
		const struct route_value *around = i ? effective[cells[i].parent] : NULL;
		struct wanted *w = &out[count];

		effective[i] = cells[i].covered && i ? around : &answers[i];
		if (around && !memcmp(around, effective[i], sizeof(*around)))
			continue;
		*w = (struct wanted){.value = answers[i]};
		w->key.space = t->space;
		w->key.oif = t->oif;
		w->key.marks = t->marks;
		w->key.family = t->family;
		w->key.len = cells[i].prefix.len;
		cell_addr_to(t->family, cells[i].prefix.addr, w->key.addr);
		count++;
	}
	return count;
}

static int longest_first(const void *a, const void *b)
{
	const struct wanted *x = a, *y = b;

	return (int)y->key.len - (int)x->key.len;
}

static int shortest_first(const struct route_entry *x, const struct route_entry *y)
{
	return (int)x->key.len - (int)y->key.len;
}

/*
 * New entries come longest first and old ones go shortest first: so the longest entry of both that
 * contains an address is the one of its old answer until it is the one of its new.
 */
static int replace(struct routes_table *t, const struct wanted *w, size_t n)
{
	bool before_and_after[PLENS_MAX] = {false}, after[PLENS_MAX] = {false};
	struct route_entry *entry, *next;
	int r;

	for (entry = t->entries; entry; entry = entry->hh.next) {
		before_and_after[entry->key.len] = true;
		entry->marked = false;
	}
	for (size_t i = 0; i < n; i++)
		before_and_after[w[i].key.len] = after[w[i].key.len] = true;
	r = put_plens(t, before_and_after);
	for (size_t i = 0; i < n && !r; i++)
		if (!find(t, &w[i].key))
			r = put(t, &w[i]);
	for (size_t i = 0; i < n && !r; i++) {
		entry = find(t, &w[i].key);
		if (memcmp(&entry->value, &w[i].value, sizeof(entry->value)))
			r = put(t, &w[i]);
		entry->marked = true;
	}
	if (r)
		return r;
	HASH_SORT(t->entries, shortest_first);
	HASH_ITER(hh, t->entries, entry, next)
		if (!entry->marked)
			del(t, entry);
	return put_plens(t, after);
}

int routes_table_replace(struct routes_table *table, const struct cell *cells,
			 const struct route_value *answers, size_t n)
{
	_cleanup_free_ const struct route_value **effective = calloc(n, sizeof(*effective));
	_cleanup_free_ struct wanted *w = calloc(n, sizeof(*w));
	int r = -ENOMEM;

	if (effective && w) {
		size_t count = select_entries(table, cells, answers, n, w, effective);

		qsort(w, count, sizeof(*w), longest_first);
		r = replace(table, w, count);
	}
	if (r)
		routes_table_unknown(table);
	return r;
}

void routes_table_unknown(struct routes_table *table)
{
	struct wanted w = {.key = {.space = table->space,
				   .oif = table->oif,
				   .marks = table->marks,
				   .family = table->family},
			   .value = {.unknown = 1}};
	bool used[PLENS_MAX] = {true};
	struct route_entry *entry, *next;

	/* 0/0 alone is in use from here on, there or not: what is not found is not known either */
	if (put_plens(table, used))
		count_plens(table, 0);
	HASH_ITER(hh, table->entries, entry, next)
		del(table, entry);
	put(table, &w);
}

void routes_table_remove(struct routes_table *table)
{
	struct route_plens_key key = plens_key(table);
	struct route_entry *entry, *next;

	table->sink->del(table->sink->ctx, table->space, MAP_ROUTE_PLENS, &key);
	HASH_ITER(hh, table->entries, entry, next)
		del(table, entry);
	table->plens = (struct route_plens){0};
	table->plen_count = 0;
}

void routes_table_clear(struct routes_table *table)
{
	struct route_entry *entry, *next;

	HASH_ITER(hh, table->entries, entry, next) {
		HASH_DEL(table->entries, entry);
		free(entry);
	}
}
