// SPDX-License-Identifier: GPL-2.0-only
/*
 * Talks to a real IKE daemon through ike-bridge, for the lab:
 *
 *	vici_try URI watch [SECONDS]             events and lists as they come
 *	vici_try URI list                        the loaded children
 *	vici_try URI initiate CONN CHILD [MS] [N]  N times at once
 *	vici_try URI find DST [PROTO [PORT]]     which child protects it
 *	vici_try - acquire SRC DST REQID         through the kernel
 *
 * Build: cc -I. tests/unit/ike/vici_try.c ike-bridge/[a-z]*.c
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../../../ike-bridge/acquire.h"
#include "../../../ike-bridge/ike_bridge.h"

struct
try {
	struct ike_bridge *bridge;
	bool listed;
	unsigned int ended;
	int err;
};

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void on_link(void *ctx, bool up, const char *why)
{
	struct try *t = ctx;
	const char *version = ike_bridge_version(t->bridge);

	printf("%.6f link %s", now(), up ? "up" : "down");
	if (up)
		printf(" %s pid %d\n", version, ike_bridge_peer_pid(t->bridge));
	else
		printf(" (%s)\n", why);
}

static void print_ts(const struct ts *ts, size_t n)
{
	char from[INET6_ADDRSTRLEN], to[INET6_ADDRSTRLEN];

	for (size_t i = 0; i < n; i++, ts++) {
		if (ts->dynamic) {
			printf(" dynamic");
		} else {
			inet_ntop(ts->family, ts->start, from, sizeof(from));
			inet_ntop(ts->family, ts->end, to, sizeof(to));
			printf(" %s..%s", from, to);
		}
		printf("[%u/%u-%u]%s", ts->proto, ts->port_from, ts->port_to, ts->vague ? "?" : "");
	}
}

static void print_child(const struct ike_child *c)
{
	printf("%s/%s %s reqid %u%s left out %zu\n  local ", c->conn, c->name,
	       ike_mode_name(c->mode), c->reqid, c->installed ? " installed" : "", c->left_out);
	for (size_t i = 0; i < c->nlocal_addrs; i++)
		printf(" %s", c->local_addrs[i]);
	printf(" |");
	print_ts(c->local, c->nlocal);
	printf("\n  remote");
	for (size_t i = 0; i < c->nremote_addrs; i++)
		printf(" %s", c->remote_addrs[i]);
	printf(" |");
	print_ts(c->remote, c->nremote);
	printf("\n");
}

static void on_children(void *ctx)
{
	struct try *t = ctx;
	const struct ike_child *c;
	bool current;
	size_t n;

	c = ike_bridge_children(t->bridge, &n, &current);
	printf("%.6f children: %zu%s\n", now(), n, current ? "" : " (old)");
	for (size_t i = 0; i < n; i++)
		print_child(&c[i]);
	t->listed = true;
}

static void on_outcome(void *ctx, uint64_t id, int err, const char *errmsg)
{
	struct try *t = ctx;

	printf("%.6f outcome %llu: %s%s%s\n", now(), (unsigned long long)id,
	       err ? strerror(-err) : "established", errmsg ? ": " : "", errmsg ? errmsg : "");
	t->ended++;
	t->err = err;
}

static void on_alert(void *ctx, const char *conn, const char *type, const char *text)
{
	(void)ctx;
	printf("%.6f alert %s %s: %s\n", now(), conn ? conn : "-", type, text);
}

static void on_updown(void *ctx, const char *conn, const char *child, bool up, uint32_t reqid)
{
	(void)ctx;
	printf("%.6f %s/%s %s reqid %u\n", now(), conn, child, up ? "up" : "down", reqid);
}

/* Serves until *flag reaches n, or the time is over. */
static void serve(struct try *t, const unsigned int *count, unsigned int n, double seconds)
{
	struct pollfd pfd = {.fd = ike_bridge_fd(t->bridge), .events = POLLIN};
	double end = now() + seconds;

	while (now() < end && (count ? *count < n : !(n && t->listed))) {
		if (poll(&pfd, 1, 200) < 0 || ike_bridge_dispatch(t->bridge) < 0)
			break;
		fflush(stdout);
	}
}

static int try_acquire(char **argv)
{
	struct acquire_params p = {.family = AF_INET, .reqid = strtoul(argv[5], NULL, 10)};
	int fd = acquire_open(), err;

	if (inet_pton(AF_INET, argv[3], p.saddr) != 1 || inet_pton(AF_INET, argv[4], p.daddr) != 1)
		return 2;
	err = fd < 0 ? fd : acquire_send(fd, &p);
	printf("acquire: %s\n", err < 0 ? strerror(-err) : "sent");
	return err < 0;
}

static int try_find(struct try *t, int argc, char **argv)
{
	struct ike_flow flow = {.family = AF_INET};
	const struct ike_child *c;

	if (inet_pton(AF_INET, argv[3], flow.daddr) != 1)
		return 2;
	flow.proto = argc > 4 ? atoi(argv[4]) : 0;
	flow.dport = argc > 5 ? atoi(argv[5]) : 0;
	c = ike_bridge_find(t->bridge, &flow);
	if (!c)
		return 1;
	printf("found ");
	print_child(c);
	return 0;
}

static int try_initiate(struct try *t, int argc, char **argv)
{
	unsigned int ms = argc > 5 ? atoi(argv[5]) : 0, n = argc > 6 ? atoi(argv[6]) : 1;
	uint64_t id;

	for (unsigned int i = 0; i < n; i++) {
		int err = ike_bridge_initiate(t->bridge, argv[3], argv[4], ms, &id);

		if (err) {
			printf("initiate: %s\n", strerror(-err));
			return 1;
		}
	}
	printf("%.6f initiated %u\n", now(), n);
	serve(t, &t->ended, n, 120);
	return t->err != 0;
}

int main(int argc, char **argv)
{
	static const struct ike_ops ops = {on_link, on_children, on_outcome, on_alert, on_updown};
	struct try t = {};
	int ret = 0;

	if (argc > 5 && !strcmp(argv[2], "acquire"))
		return try_acquire(argv);
	if (argc < 3 || ike_bridge_new(argv[1], &ops, &t, &t.bridge) < 0) {
		fprintf(stderr, "usage: %s URI watch|list|initiate|find …\n", argv[0]);
		return 2;
	}
	if (!strcmp(argv[2], "watch")) {
		serve(&t, NULL, 0, argc > 3 ? atof(argv[3]) : 1e9);
	} else {
		serve(&t, NULL, 1, 15);
		if (!t.listed)
			ret = 1;
		else if (!strcmp(argv[2], "find") && argc > 3)
			ret = try_find(&t, argc, argv);
		else if (!strcmp(argv[2], "initiate") && argc > 4)
			ret = try_initiate(&t, argc, argv);
	}
	ike_bridge_free(t.bridge);
	return ret;
}
