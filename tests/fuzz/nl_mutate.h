/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Mutations of one attribute of one netlink message, with all lengths around it set right: a short
 * one at the end of its message is what blind mutation all but never makes. One in four is blind.
 */
#ifndef FUZZ_NL_MUTATE_H
#define FUZZ_NL_MUTATE_H

#include "nl.h"

enum { MUTATE_MAX = 65536 };

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned int seed);

/* The target's: bytes of a type's body before its attributes. */
static size_t nl_body(uint16_t type);

struct nl_part {
	size_t at, len;
};

static unsigned int nl_random(unsigned int *seed, size_t n)
{
	*seed = *seed * 1664525 + 1013904223;
	return n ? (*seed >> 8) % (unsigned int)n : 0;
}

/* One of the messages. */
static struct nl_part nl_pick_message(const uint8_t *data, size_t size, unsigned int *seed)
{
	struct nl_input in = {data, size};
	struct nl_part picked = {0};
	struct nlmsghdr h;
	size_t n = 0;

	while (in.left >= sizeof(h)) {
		size_t len = nl_length(&in, &h);

		if (!nl_random(seed, ++n))
			picked = (struct nl_part){(size_t)(in.at - data), len};
		in.at += len;
		in.left -= len;
	}
	return picked;
}

/* One of its attributes, or an empty one at its end. */
static struct nl_part nl_pick_attr(const uint8_t *msg, size_t len, unsigned int *seed)
{
	struct nl_part picked = {len, 0};
	struct nlmsghdr h;
	struct nlattr a;
	size_t at, n = 0;

	memcpy(&h, msg, sizeof(h));
	at = NLMSG_HDRLEN + NLMSG_ALIGN(nl_body(h.nlmsg_type));
	for (; at + sizeof(a) <= len; at += NLA_ALIGN(a.nla_len)) {
		memcpy(&a, msg + at, sizeof(a));
		if (a.nla_len < sizeof(a) || a.nla_len > len - at)
			break;
		if (!nl_random(seed, ++n))
			picked = (struct nl_part){at, a.nla_len};
	}
	return picked;
}

/* Writes the attribute anew: cut, mutated, of another type. Its padded length. */
static size_t nl_new_attr(uint8_t *out, size_t room, const uint8_t *old, size_t len,
			  unsigned int *seed)
{
	struct nlattr a = {.nla_len = sizeof(a)};
	size_t n = len > sizeof(a) ? len - sizeof(a) : 0;

	if (len >= sizeof(a))
		memcpy(&a, old, sizeof(a));
	memcpy(out + sizeof(a), old + sizeof(a), n);
	if (nl_random(seed, 4) == 0 || len < sizeof(a))
		a.nla_type = (uint16_t)nl_random(seed, 70);
	if (nl_random(seed, 2))
		n = nl_random(seed, n + 1);
	else
		n = LLVMFuzzerMutate(out + sizeof(a), n, room - sizeof(a));
	a.nla_len = (uint16_t)(sizeof(a) + n);
	memcpy(out, &a, sizeof(a));
	memset(out + a.nla_len, 0, NLA_ALIGN(a.nla_len) - a.nla_len);
	return NLA_ALIGN(a.nla_len);
}

/* The message with the new attribute in the place of the old, or with none in it. */
static size_t nl_new_message(uint8_t *out, const uint8_t *msg, size_t len, unsigned int *seed)
{
	struct nl_part attr = nl_pick_attr(msg, len, seed);
	size_t end = attr.at + NLA_ALIGN(attr.len), n = attr.at;
	struct nlmsghdr h;

	memcpy(out, msg, attr.at);
	if (nl_random(seed, 8))
		n += nl_new_attr(out + n, 1024, msg + attr.at, attr.len, seed);
	if (nl_random(seed, 2) && end < len) {
		memcpy(out + n, msg + end, len - end);
		n += len - end;
	}
	memcpy(&h, out, sizeof(h));
	h.nlmsg_len = (uint32_t)n;
	memcpy(out, &h, sizeof(h));
	return n;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned int seed)
{
	static uint8_t made[MUTATE_MAX + 2048];
	struct nl_part old = {0};
	size_t n, rest;

	if (seed % 4 && size <= MUTATE_MAX)
		old = nl_pick_message(data, size, &seed);
	if (old.len < NLMSG_HDRLEN)
		return LLVMFuzzerMutate(data, size, max);
	n = nl_new_message(made, data + old.at, old.len, &seed);
	rest = size - old.at - old.len;
	if (old.at + n + rest > max)
		return LLVMFuzzerMutate(data, size, max);
	memmove(data + old.at + n, data + old.at + old.len, rest);
	memcpy(data + old.at, made, n);
	return old.at + n + rest;
}

#endif
