/* SPDX-License-Identifier: GPL-2.0-only */
/* How long it took until the SA was there, peer by peer: a histogram of each, for the metrics. */
#ifndef SAGATE_PEER_TIMES_H
#define SAGATE_PEER_TIMES_H

#include <jansson.h>
#include <stdint.h>

/* So many have one of their own; what comes then is counted for the peer "other". */
#define PEER_TIMES_MAX 256

struct peer_time;

/*
 * Of a peer, its address as text, in a space: `ns` nanoseconds. *list is NULL at first; what cannot
 * be noted (no memory) is not.
 */
void peer_times_note(struct peer_time **list, const char *space, const char *peer, uint64_t ns);
/*
 * [{"space","peer","count","sum_s","buckets":{"0.01":n,…}}]: times up to so many seconds, as
 * Prometheus counts them. The caller owns it.
 */
json_t *peer_times_to_json(const struct peer_time *list);
void peer_times_free(struct peer_time *list);

#endif
