// SPDX-License-Identifier: GPL-2.0-only
#include "mirror_walk.h"

enum mirror_nl_read mirror_walk(const void *data, size_t len,
				bool (*handle)(void *ctx, const struct nlmsghdr *msg), void *ctx)
{
	const char *at = data;

	while (len >= sizeof(struct nlmsghdr)) {
		const struct nlmsghdr *msg = (const struct nlmsghdr *)at;
		size_t step;

		if (msg->nlmsg_len < sizeof(*msg) || msg->nlmsg_len > len)
			return READ_GARBLED;
		if (!handle(ctx, msg))
			return READ_STOPPED;
		step = NLMSG_ALIGN((size_t)msg->nlmsg_len);
		step = step < len ? step : len;
		at += step;
		len -= step;
	}
	return len ? READ_GARBLED : READ_MESSAGES;
}
