// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "xfrm_fields.h"

struct field {
	const char *name;
	size_t at, size;
};

#define FIELD(type, name, member)                                                                  \
	{                                                                                          \
		name, offsetof(struct type, member), sizeof(((struct type *)0)->member)            \
	}

static const struct field sa_fields[] = {
	FIELD(sa_info, "src", saddr),
	FIELD(sa_info, "reqid", reqid),
	FIELD(sa_info, "mode", mode),
	FIELD(sa_info, "if_id", if_id),
	FIELD(sa_info, "sel", sel),
	FIELD(sa_info, "flag", flags),
	FIELD(sa_info, "extra-flag", xflags),
	FIELD(sa_info, "dir", dir),
	FIELD(sa_info, "pcpu-num", pcpu),
	FIELD(sa_info, "replay-window", replay_window),
	FIELD(sa_info, "sequence", exhausted),
	FIELD(sa_info, "limit add soft", life.soft_add),
	FIELD(sa_info, "limit add hard", life.hard_add),
	FIELD(sa_info, "limit use soft", life.soft_use),
	FIELD(sa_info, "limit use hard", life.hard_use),
	FIELD(sa_info, "limit bytes soft", life.soft_bytes),
	FIELD(sa_info, "limit bytes hard", life.hard_bytes),
	FIELD(sa_info, "limit packets soft", life.soft_packets),
	FIELD(sa_info, "limit packets hard", life.hard_packets),
	FIELD(sa_info, "current add", life.add_time),
};

static const struct field policy_fields[] = {
	FIELD(policy_info, "selector", sel),	    FIELD(policy_info, "priority", priority),
	FIELD(policy_info, "action", action),	    FIELD(policy_info, "mark", mark),
	FIELD(policy_info, "mark mask", mark_mask), FIELD(policy_info, "if_id", if_id),
	FIELD(policy_info, "flag", flags),	    FIELD(policy_info, "share", share),
};

static void name_add(char *names, size_t size, const char *name)
{
	size_t len = strlen(names);

	if (len + 2 + strlen(name) < size)
		snprintf(names + len, size - len, "%s%s", len ? ", " : "", name);
}

static unsigned int differing(const struct field *f, size_t count, const void *a, const void *b,
			      char *names, size_t size)
{
	unsigned int n = 0;

	names[0] = '\0';
	for (; count; count--, f++) {
		if (!memcmp((const char *)a + f->at, (const char *)b + f->at, f->size))
			continue;
		name_add(names, size, f->name);
		n++;
	}
	return n;
}

unsigned int sa_fields_differing(const struct sa_info *a, const struct sa_info *b, char *names,
				 size_t size)
{
	return differing(sa_fields, sizeof(sa_fields) / sizeof(sa_fields[0]), a, b, names, size);
}

unsigned int policy_fields_differing(const struct policy_info *a, const struct policy_info *b,
				     char *names, size_t size)
{
	unsigned int n = differing(policy_fields, sizeof(policy_fields) / sizeof(policy_fields[0]),
				   a, b, names, size);

	if (a->tmpl_count == b->tmpl_count &&
	    !memcmp(a->tmpl, b->tmpl, a->tmpl_count * sizeof(a->tmpl[0])))
		return n;
	name_add(names, size, "tmpl");
	return n + 1;
}

static const char *address(int family, const void *addr, char *text)
{
	return inet_ntop(family == AF_INET6 ? AF_INET6 : AF_INET, addr, text, INET6_ADDRSTRLEN);
}

static void more(char *text, size_t size, const char *name, __u32 value)
{
	size_t len = strlen(text);

	if (value)
		snprintf(text + len, size - len, " %s 0x%x", name, value);
}

static const char *proto_name(__u8 proto)
{
	return proto == IPPROTO_ESP    ? "esp"
	       : proto == IPPROTO_AH   ? "ah"
	       : proto == IPPROTO_COMP ? "comp"
				       : "proto";
}

const char *sad_key_name(const struct sad_key *k, char *text, size_t size)
{
	char dst[INET6_ADDRSTRLEN];

	snprintf(text, size, "SA to %s %s mode %u reqid %u slot %u",
		 address(k->family, k->daddr, dst), proto_name(k->proto), k->mode, k->reqid,
		 k->slot);
	more(text, size, "if_id", k->if_id);
	return text;
}

const char *spd_key_name(const struct spd_key *k, char *text, size_t size)
{
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];

	snprintf(text, size, "%s %s/%u → %s/%u",
		 k->class == CLASS_REQUIRE ? "requirement" : "policy",
		 address(k->family, k->saddr, src), k->src_len, address(k->family, k->daddr, dst),
		 k->dst_len);
	more(text, size, "proto", k->proto);
	more(text, size, "dport", ntohs(k->dport));
	more(text, size, "mark", k->mark);
	more(text, size, "if_id", k->if_id);
	return text;
}

const char *sa_name(const struct sa_info *sa, char *text, size_t size)
{
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];

	snprintf(text, size, "SA %s → %s %s spi 0x%08x", address(sa->family, sa->saddr, src),
		 address(sa->family, sa->daddr, dst), proto_name(sa->proto), ntohl(sa->spi));
	more(text, size, "mark", sa->mark);
	return text;
}

const char *policy_name(const struct policy_info *p, char *text, size_t size)
{
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];

	snprintf(text, size, "policy %s/%u → %s/%u index %u priority %u",
		 address(p->sel.family, p->sel.saddr, src), p->sel.src_len,
		 address(p->sel.family, p->sel.daddr, dst), p->sel.dst_len, p->index, p->priority);
	more(text, size, "mark", p->mark);
	more(text, size, "if_id", p->if_id);
	return text;
}
