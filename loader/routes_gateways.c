// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "routes_gateways.h"

static int compare(const void *a, const void *b)
{
	const struct routes_gateway *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

static struct routes_gateway *find(const struct routes_gateways *g, unsigned __int128 addr)
{
	struct routes_gateway key = {.addr = addr};

	return g->n ? bsearch(&key, g->v, g->n, sizeof(key), compare) : NULL;
}

int routes_gateways_replace(struct routes_gateways *gateways, const struct cell_set *set)
{
	struct routes_gateway *v = calloc(set->n + 1, sizeof(*v));
	size_t n = 0;

	if (!v)
		return -ENOMEM;
	for (size_t i = 0; i < set->n; i++)
		v[i].addr = set->v[i].addr;
	qsort(v, set->n, sizeof(*v), compare);
	for (size_t i = 0; i < set->n; i++) {
		const struct routes_gateway *old = find(gateways, v[i].addr);

		if (n && v[n - 1].addr == v[i].addr)
			continue;
		v[n++] = old ? *old : v[i];
	}
	free(gateways->v);
	gateways->v = v;
	gateways->n = n;
	return 0;
}

bool routes_gateways_changed(struct routes_gateways *gateways, const struct nlmsghdr *msg)
{
	const struct ndmsg *info = nlmsg_data(msg);
	struct routes_gateway *gateway;
	struct nlattr *dst;
	__be32 addr[4];
	bool failed, changed;

	if (msg->nlmsg_len < NLMSG_LENGTH(sizeof(*info)) || info->ndm_family != AF_INET6)
		return false;
	dst = nlmsg_find_attr((struct nlmsghdr *)msg, sizeof(*info), NDA_DST);
	if (!dst || nla_len(dst) != sizeof(addr))
		return false;
	memcpy(addr, nla_data(dst), sizeof(addr));
	gateway = find(gateways, cell_addr(AF_INET6, addr));
	if (!gateway)
		return false;
	failed = msg->nlmsg_type == RTM_NEWNEIGH && info->ndm_state & NUD_FAILED;
	changed = !gateway->known || gateway->failed != failed;
	gateway->known = true;
	gateway->failed = failed;
	return changed;
}

void routes_gateways_clear(struct routes_gateways *gateways)
{
	free(gateways->v);
	*gateways = (struct routes_gateways){0};
}
