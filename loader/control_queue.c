// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "control_queue.h"

void control_queue_free(struct control_queue *q)
{
	free(q->data);
	*q = (struct control_queue){};
}

/* Room for `len` more bytes at the end; what was sent already is given up when that is cheap. */
static int make_room(struct control_queue *q, size_t len)
{
	size_t used = control_queue_len(q), size = q->size ? q->size : 1024;
	char *p;

	if (q->size - q->end >= len)
		return 0;
	while (size - used < len)
		size *= 2;
	if (size == q->size && q->start < size / 2)
		size *= 2; /* a long move for each short line would add up */
	if (q->start)
		memmove(q->data, q->data + q->start, used);
	q->start = 0;
	q->end = used;
	if (size == q->size)
		return 0;
	p = realloc(q->data, size);
	if (!p)
		return -ENOMEM;
	q->data = p;
	q->size = size;
	return 0;
}

int control_queue_put(struct control_queue *q, const char *data, size_t len)
{
	int r = make_room(q, len);

	if (r < 0)
		return r;
	memcpy(q->data + q->end, data, len);
	q->end += len;
	return 0;
}

void control_queue_tell_lost(struct control_queue *q, size_t max)
{
	char line[64];
	int n;

	if (!q->lost || control_queue_len(q) > max / 2)
		return;
	n = snprintf(line, sizeof(line), "{\"event\":\"lost\",\"count\":%" PRIu64 "}\n", q->lost);
	if (!control_queue_put(q, line, n))
		q->lost = 0;
}

void control_queue_event(struct control_queue *q, const char *line, size_t len, size_t max)
{
	control_queue_tell_lost(q, max);
	if (q->lost || control_queue_len(q) + len > max || control_queue_put(q, line, len) < 0)
		q->lost++;
}

/* An empty queue keeps no more than a page: a reply of many megabytes is given back. */
static void trim(struct control_queue *q)
{
	if (q->start < q->end)
		return;
	q->start = q->end = 0;
	if (q->size > 4096) {
		free(q->data);
		q->data = NULL;
		q->size = 0;
	}
}

long control_queue_send(struct control_queue *q, int fd)
{
	ssize_t n;

	if (!control_queue_len(q))
		return 0;
	n = send(fd, q->data + q->start, control_queue_len(q), MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	q->start += n;
	trim(q);
	return n;
}
