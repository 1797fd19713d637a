/* SPDX-License-Identifier: GPL-2.0-only */
/* What one control client has yet to read: bytes, bounded for events, with a count of the lost. */
#ifndef SAGATE_CONTROL_QUEUE_H
#define SAGATE_CONTROL_QUEUE_H

#include <stddef.h>
#include <stdint.h>

/* Zero-initialised is empty. */
struct control_queue {
	char *data;
	size_t start, end, size;
	uint64_t lost; /* events that found no room since the last line about it */
};

void control_queue_free(struct control_queue *q);

/* Appends without a bound (replies). 0 or -ENOMEM, the queue as before. */
int control_queue_put(struct control_queue *q, const char *data, size_t len);

/*
 * Appends an event line, or counts it as lost when more than `max` bytes would be queued. After a
 * loss nothing is taken until half of `max` is free; then a line {"event":"lost","count":N} comes
 * first, where the gap is.
 */
void control_queue_event(struct control_queue *q, const char *line, size_t len, size_t max);

/* The same line as soon as half of `max` is free, for when no event follows. */
void control_queue_tell_lost(struct control_queue *q, size_t max);

/* Sends what the non-blocking socket takes: bytes sent (0: nothing now), or -errno. */
long control_queue_send(struct control_queue *q, int fd);

static inline size_t control_queue_len(const struct control_queue *q)
{
	return q->end - q->start;
}

#endif
