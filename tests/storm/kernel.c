// SPDX-License-Identifier: GPL-2.0-only
/* What the kernel has: two dumps, read with nothing of the mirror's. */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storm.h"

/* Newer than the linux/xfrm.h of Debian 12. */
#define ATTR_SA_DIR  33
#define ATTR_SA_PCPU 35

static bool has(const struct nlmsghdr *msg, uint16_t type)
{
	return storm_attr(msg, sizeof(struct xfrm_usersa_info), type, NULL);
}

static void copy_attr(const struct nlmsghdr *msg, size_t size, uint16_t type, void *to, size_t len)
{
	const void *from = storm_attr(msg, size, type, NULL);

	if (from)
		memcpy(to, from, len);
}

static void sa_read(void *ctx, const struct nlmsghdr *msg)
{
	const size_t size = sizeof(struct xfrm_usersa_info);
	struct kernel *k = ctx;
	struct kernel_sa *sa;
	uint32_t pcpu = ~0U;
	uint8_t dir = 0;

	/* ALLOCSPI leaves an SA without algorithms */
	if (!has(msg, XFRMA_ALG_AEAD) && !has(msg, XFRMA_ALG_AUTH) &&
	    !has(msg, XFRMA_ALG_AUTH_TRUNC) && !has(msg, XFRMA_ALG_CRYPT) &&
	    !has(msg, XFRMA_ALG_COMP))
		return;
	k->sa = reallocarray(k->sa, k->sas + 1, sizeof(*sa));
	sa = &k->sa[k->sas];
	memset(sa, 0, sizeof(*sa));
	memcpy(&sa->info, NLMSG_DATA(msg), size);
	if (!sa->info.id.spi)
		return;
	copy_attr(msg, size, XFRMA_MARK, &sa->mark, sizeof(sa->mark));
	copy_attr(msg, size, XFRMA_IF_ID, &sa->if_id, sizeof(sa->if_id));
	copy_attr(msg, size, ATTR_SA_DIR, &dir, sizeof(dir));
	copy_attr(msg, size, ATTR_SA_PCPU, &pcpu, sizeof(pcpu));
	sa->usable = !(sa->info.flags & XFRM_STATE_WILDRECV) && pcpu == ~0U;
	sa->dir_in = dir == 1;
	strings_add(&k->shown_sas, kernel_sa_json(sa, msg));
	k->sas++;
}

static void policy_read(void *ctx, const struct nlmsghdr *msg)
{
	const size_t size = sizeof(struct xfrm_userpolicy_info);
	struct kernel *k = ctx;
	struct kernel_policy *p;
	const void *tmpl;
	size_t len = 0;

	k->policy = reallocarray(k->policy, k->policies + 1, sizeof(*p));
	p = &k->policy[k->policies];
	memset(p, 0, sizeof(*p));
	memcpy(&p->info, NLMSG_DATA(msg), size);
	if (p->info.dir != XFRM_POLICY_OUT || (p->info.index & 7) != XFRM_POLICY_OUT)
		return;
	copy_attr(msg, size, XFRMA_MARK, &p->mark, sizeof(p->mark));
	copy_attr(msg, size, XFRMA_IF_ID, &p->if_id, sizeof(p->if_id));
	copy_attr(msg, size, XFRMA_POLICY_TYPE, &p->type, sizeof(p->type));
	tmpl = storm_attr(msg, size, XFRMA_TMPL, &len);
	p->tmpls = len / sizeof(p->tmpl[0]);
	if (p->tmpls > STORM_TMPLS_MAX)
		storm_die("a policy has %zu templates", p->tmpls);
	if (tmpl)
		memcpy(p->tmpl, tmpl, p->tmpls * sizeof(p->tmpl[0]));
	strings_add(&k->shown_policies, kernel_policy_json(p));
	k->policies++;
}

static void ignore(void *ctx, const struct nlmsghdr *msg)
{
	(void)ctx;
	(void)msg;
}

void kernel_read(struct kernel *k)
{
	double begun = storm_now();

	memset(k, 0, sizeof(*k));
	storm_dump(XFRM_MSG_GETSA, ignore, NULL);
	storm_dump(XFRM_MSG_GETPOLICY, ignore, NULL);
	k->seconds = storm_now() - begun;
	storm_dump(XFRM_MSG_GETSA, sa_read, k);
	storm_dump(XFRM_MSG_GETPOLICY, policy_read, k);
	k->default_block = storm_default_block();
	strings_sort(&k->shown_sas);
	strings_sort(&k->shown_policies);
}

void kernel_free(struct kernel *k)
{
	free(k->sa);
	free(k->policy);
	strings_free(&k->shown_sas);
	strings_free(&k->shown_policies);
}

/* ---- lists of lines */

void strings_add(struct strings *s, char *one)
{
	if (s->count == s->size) {
		s->size = s->size ? s->size * 2 : 256;
		s->at = reallocarray(s->at, s->size, sizeof(char *));
	}
	if (!s->at || !one)
		storm_die("no memory");
	s->at[s->count++] = one;
}

static int order(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void strings_sort(struct strings *s)
{
	if (s->count)
		qsort(s->at, s->count, sizeof(char *), order);
}

void strings_free(struct strings *s)
{
	for (size_t i = 0; i < s->count; i++)
		free(s->at[i]);
	free(s->at);
	*s = (struct strings){0};
}

size_t strings_compare(const struct strings *kernel, const struct strings *other, const char *name,
		       size_t max)
{
	size_t i = 0, j = 0, differ = 0;

	while (i < kernel->count || j < other->count) {
		int d = i == kernel->count  ? 1
			: j == other->count ? -1
					    : strcmp(kernel->at[i], other->at[j]);
		bool in_kernel = d <= 0;

		if (d && differ++ < max)
			printf("only in the %s: %s\n", in_kernel ? "kernel" : name,
			       in_kernel ? kernel->at[i] : other->at[j]);
		i += d <= 0;
		j += d >= 0;
	}
	return differ;
}
