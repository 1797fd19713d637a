// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <stdlib.h>

#include <uthash.h>

#include "peer_times.h"

static const struct {
	const char *text;
	uint64_t ns;
} bounds[] = {
	{"0.01", 10000000ULL},	{"0.03", 30000000ULL},	{"0.1", 100000000ULL},
	{"0.3", 300000000ULL},	{"1", 1000000000ULL},	{"3", 3000000000ULL},
	{"10", 10000000000ULL}, {"30", 30000000000ULL},
};

enum { BOUNDS = sizeof(bounds) / sizeof(bounds[0]) };

struct peer_time {
	UT_hash_handle hh;
	char space[65], peer[64];
	char name[136]; /* of both */
	uint64_t count, sum_ns;
	uint64_t within[BOUNDS]; /* up to each bound, of all below it too */
};

static struct peer_time *find(struct peer_time **list, const char *space, const char *peer)
{
	struct peer_time *p;
	char name[sizeof(p->name)];

	snprintf(name, sizeof(name), "%s %s", space, peer);
	HASH_FIND_STR(*list, name, p);
	if (p)
		return p;
	if (HASH_COUNT(*list) >= PEER_TIMES_MAX && strcmp(peer, "other"))
		return find(list, "", "other");
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	snprintf(p->space, sizeof(p->space), "%s", space);
	snprintf(p->peer, sizeof(p->peer), "%s", peer);
	strcpy(p->name, name);
	HASH_ADD_STR(*list, name, p);
	return p;
}

void peer_times_note(struct peer_time **list, const char *space, const char *peer, uint64_t ns)
{
	struct peer_time *p = find(list, space, peer);

	if (!p)
		return;
	p->count++;
	p->sum_ns += ns;
	for (int i = 0; i < BOUNDS; i++)
		p->within[i] += ns <= bounds[i].ns;
}

json_t *peer_times_to_json(const struct peer_time *list)
{
	json_t *out = json_array(), *buckets;

	for (const struct peer_time *p = list; p; p = p->hh.next) {
		buckets = json_object();
		for (int i = 0; i < BOUNDS; i++)
			json_object_set_new(buckets, bounds[i].text,
					    json_integer((json_int_t)p->within[i]));
		json_array_append_new(out, json_pack("{s:s s:s s:I s:f s:o}", "space", p->space,
						     "peer", p->peer, "count", (json_int_t)p->count,
						     "sum_s", p->sum_ns / 1e9, "buckets", buckets));
	}
	return out;
}

void peer_times_free(struct peer_time *list)
{
	struct peer_time *p, *next;

	HASH_ITER(hh, list, p, next) {
		HASH_DEL(list, p);
		free(p);
	}
}
