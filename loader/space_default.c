// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <linux/xfrm.h>
#include <netlink/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "boot_time.h"
#include "config.h"
#include "log.h"
#include "mirror_nl.h"
#include "space_default.h"

/* Whoever sets it otherwise again and again shall not keep us busy. */
#define AGAIN_NS 900000000ULL

const char *space_default_text(uint8_t bits, char text[16])
{
	snprintf(text, 16, "%s%s%s%s%s", bits & BLOCK_OUT ? "out" : "",
		 bits & BLOCK_OUT && bits & (BLOCK_IN | BLOCK_FWD) ? ", " : "",
		 bits & BLOCK_IN ? "in" : "", bits & BLOCK_IN && bits & BLOCK_FWD ? ", " : "",
		 bits & BLOCK_FWD ? "fwd" : "");
	return text;
}

/* The kernel's answer to one request, which is there when sendto() returns. */
struct answer {
	struct xfrm_userpolicy_default policy;
	int err;
};

static bool on_message(void *ctx, const struct nlmsghdr *msg)
{
	struct answer *a = ctx;

	if (msg->nlmsg_type == XFRM_MSG_GETDEFAULT &&
	    msg->nlmsg_len >= NLMSG_LENGTH(sizeof(a->policy))) {
		memcpy(&a->policy, NLMSG_DATA(msg), sizeof(a->policy));
		a->err = 0;
	} else if (msg->nlmsg_type == NLMSG_ERROR &&
		   msg->nlmsg_len >= NLMSG_LENGTH(sizeof(struct nlmsgerr))) {
		a->err = ((const struct nlmsgerr *)NLMSG_DATA(msg))->error;
	}
	return true;
}

static int request(struct space *s, uint16_t type, struct xfrm_userpolicy_default *policy)
{
	struct {
		struct nlmsghdr h;
		struct xfrm_userpolicy_default policy;
	} req = {
		.h = {.nlmsg_len = NLMSG_LENGTH(sizeof(*policy)),
		      .nlmsg_type = type,
		      .nlmsg_flags = NLM_F_REQUEST | (type == XFRM_MSG_SETDEFAULT ? NLM_F_ACK : 0)},
		.policy = *policy};
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	struct answer a = {.err = -EIO};
	struct error e;
	int err = 0;

	if (!s->default_nl)
		err = mirror_nl_open(s->netns_fd, 0, &s->default_nl, &e);
	if (err)
		return err;
	if (sendto(nl_socket_get_fd(s->default_nl), &req, req.h.nlmsg_len, MSG_NOSIGNAL,
		   (struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		return -errno;
	while (mirror_nl_read(s->default_nl, on_message, &a, &err) == READ_MESSAGES)
		;
	*policy = a.policy;
	return a.err;
}

/* The directions of `bits` that do not block. */
static int open_directions(struct space *s, uint8_t bits, uint8_t *open)
{
	struct xfrm_userpolicy_default now = {};
	int err = request(s, XFRM_MSG_GETDEFAULT, &now);

	if (err)
		return err;
	*open = (now.out == XFRM_USERPOLICY_BLOCK ? 0 : BLOCK_OUT) |
		(now.in == XFRM_USERPOLICY_BLOCK ? 0 : BLOCK_IN) |
		(now.fwd == XFRM_USERPOLICY_BLOCK ? 0 : BLOCK_FWD);
	*open &= bits;
	return 0;
}

/* Those of the other directions are left as they are. */
static int block(struct space *s, uint8_t bits)
{
	struct xfrm_userpolicy_default d = {
		.out = bits & BLOCK_OUT ? XFRM_USERPOLICY_BLOCK : XFRM_USERPOLICY_UNSPEC,
		.in = bits & BLOCK_IN ? XFRM_USERPOLICY_BLOCK : XFRM_USERPOLICY_UNSPEC,
		.fwd = bits & BLOCK_FWD ? XFRM_USERPOLICY_BLOCK : XFRM_USERPOLICY_UNSPEC,
	};

	return request(s, XFRM_MSG_SETDEFAULT, &d);
}

static enum space_default failed(struct space *s, uint8_t open, int err)
{
	char text[16];

	if (!s->default_open)
		log_error("space %s: the kernel's default policy (%s) cannot be set to block: %s: "
			  "tried again every second",
			  s->name, space_default_text(open, text), strerror(-err));
	s->default_open = open;
	return SPACE_DEFAULT_FAILED;
}

enum space_default space_default_keep(struct space *s)
{
	const uint64_t now = boot_ns();
	uint8_t open;
	int err;

	if (!s->default_block)
		return SPACE_DEFAULT_KEPT;
	err = open_directions(s, s->default_block, &open);
	if (err)
		return failed(s, s->default_block, err);
	if (!open) {
		s->default_open = 0;
		return SPACE_DEFAULT_KEPT;
	}
	if (now - s->default_set_at < AGAIN_NS) {
		s->default_open = open;
		return SPACE_DEFAULT_FAILED;
	}
	s->default_set_at = now;
	err = block(s, open);
	if (err)
		return failed(s, open, err);
	s->default_open = 0;
	return SPACE_DEFAULT_RESTORED;
}

void space_default_want(struct space *s, uint8_t bits)
{
	const uint8_t before = s->default_block;
	char text[16];

	s->default_block = bits;
	s->default_set_at = 0;
	if (before & ~bits)
		log_notice("space %s: the kernel's default policy (%s) stays at block, and may be "
			   "changed now: ip xfrm policy setdefault",
			   s->name, space_default_text(before & ~bits, text));
	if (space_default_keep(s) == SPACE_DEFAULT_RESTORED)
		log_notice("space %s: what no policy is for is blocked from now on (%s; "
			   "default-block)",
			   s->name, space_default_text(bits, text));
}

void space_default_free(struct space *s)
{
	nl_socket_free(s->default_nl);
	s->default_nl = NULL;
}
