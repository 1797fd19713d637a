// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "daemon.h"
#include "json_util.h"
#include "say.h"

#define WAIT_S 120 /* the machine is slow, and may be shared */

static pid_t child;
static char control[96];

static void write_require(FILE *f, const struct require *q, int i)
{
	char a[ADDR_TEXT];

	fprintf(f, "[require \"r%d\"]\nto=%s/%d\n", i, addr_text(q->family, &q->to, a), q->len);
	if (q->proto)
		fprintf(f, "proto=%s\n", q->proto == IPPROTO_TCP ? "tcp" : "udp");
	if (q->port)
		fprintf(f, "port=%u\n", q->port);
}

static void write_conf(const char *path, const char *dir, const struct require *requires)
{
	FILE *f = fopen(path, "we");

	for (int i = 0; f && i < REQUIRES; i++)
		write_require(f, &requires[i], i);
	if (!f ||
	    fprintf(f,
		    "[daemon]\ncontrol=%s\npin=/sys/fs/bpf/sagate-oracle\nlog-level=notice\n"
		    "[ike]\nvici=unix://%s/no-vici\n",
		    control, dir) < 0 ||
	    fclose(f))
		die("%s: %s", path, strerror(errno));
}

static json_t *ask(const char *command, json_t *args)
{
	struct error e = {{0}, {0}};
	json_t *answer;

	if (client_call(control, command, args, &answer, &e))
		die("%s: %s", command, e.message);
	return answer;
}

static json_t *status(void)
{
	struct error e;
	json_t *answer = NULL;

	client_call(control, "status", NULL, &answer, &e);
	return answer;
}

/* Looks again, with a pause, until a time is over. */
static bool again(const struct timespec *since)
{
	struct timespec now, pause = {.tv_nsec = 1000000};

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec - since->tv_sec > WAIT_S)
		return false;
	nanosleep(&pause, NULL);
	return true;
}

void daemon_start(const char *program, const char *dir, const struct require *requires)
{
	struct timespec since;
	char conf[128], log[128];
	bool ready = false;

	mkdir(dir, 0700);
	snprintf(control, sizeof(control), "%s/control.sock", dir);
	snprintf(conf, sizeof(conf), "%s/sagate.conf", dir);
	snprintf(log, sizeof(log), "%s/daemon.log", dir);
	write_conf(conf, dir, requires);
	child = fork();
	if (child < 0)
		die("fork: %s", strerror(errno));
	if (!child) {
		int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600);

		dup2(fd, 1);
		dup2(fd, 2);
		execl(program, program, "daemon", "-c", conf, (char *)NULL);
		_exit(127);
	}
	clock_gettime(CLOCK_MONOTONIC, &since);
	while (!ready && again(&since)) {
		json_t *s = status();

		ready = s && json_get_bool(s, "ready");
		json_decref(s);
		if (waitpid(child, NULL, WNOHANG) == child) {
			child = 0;
			die("the daemon ended: see %s", log);
		}
	}
	if (!ready)
		die("the daemon was not ready after %d s: see %s", WAIT_S, log);
}

void daemon_stop(void)
{
	if (!child)
		return;
	kill(child, SIGTERM);
	waitpid(child, NULL, 0);
	child = 0;
}

static json_t *explain(json_t *args)
{
	return ask("explain", args);
}

static bool sentinel_seen(const char *dst, const char *selector)
{
	json_t *a = explain(json_pack("{s:s s:i s:i}", "dst", dst, "proto", 253, "mark", 0));
	const json_t *policy = json_object_get(a, "policy");
	const char *sel = json_get_text(json_object_get(policy, "selector"), "dst");
	const char *src = json_get_text(json_object_get(a, "flow"), "src");
	bool seen = sel && !strcmp(sel, selector) && src && !strcmp(src, "192.0.2.253");

	json_decref(a);
	return seen;
}

static bool routes_ready(void)
{
	json_t *s = status();
	const json_t *space = json_array_get(json_object_get(s, "spaces"), 0);
	bool ready = json_get_bool(space, "synced") && json_get_bool(space, "routes_ready");

	json_decref(s);
	return ready;
}

void daemon_settle(uint64_t number)
{
	struct policy p = {.sub = true, .block = true, .prio = 0};
	struct route r = {.family = AF_INET, .len = 32, .dev = DEV_LAN1, .type = RTN_UNICAST};
	char dst[32], selector[40];
	struct timespec since;

	/* 198.18.0.0/15, of RFC 2544: nothing else here goes there */
	snprintf(dst, sizeof(dst), "198.%u.%u.%u", 18 + (unsigned int)(number >> 16 & 1),
		 (unsigned int)(number >> 8 & 255), (unsigned int)(number & 255));
	snprintf(selector, sizeof(selector), "%s/32", dst);
	r.table = RT_TABLE_LOCAL; /* before every rule */
	r.dst = addr_of(AF_INET, dst);
	r.prefsrc = addr_of(AF_INET, "192.0.2.253");
	p.sel = (struct sel){.family = AF_INET, .dst = r.dst, .dst_len = 32};
	if (host_route(&r) || xfrm_policy_add(&p, false))
		die("the kernel takes no marker policy and route for world %llu",
		    (unsigned long long)number);
	clock_gettime(CLOCK_MONOTONIC, &since);
	while (!sentinel_seen(dst, selector))
		if (!again(&since))
			die("world %llu: not in the maps after %d s", (unsigned long long)number,
			    WAIT_S);
	while (!routes_ready())
		if (!again(&since))
			die("world %llu: its routes are not known after %d s",
			    (unsigned long long)number, WAIT_S);
}

json_t *daemon_explain(const struct call *c)
{
	char dst[ADDR_TEXT], src[ADDR_TEXT];
	json_t *args =
		json_pack("{s:s s:i s:i s:i s:I s:i}", "dst", addr_text(c->family, &c->dst, dst),
			  "proto", c->proto, "dport", c->dport, "sport", c->sport, "mark",
			  (json_int_t)c->mark, "ifindex", host_ifindex(c->dev));

	if (!addr_zero(&c->src))
		json_object_set_new(args, "src", json_string(addr_text(c->family, &c->src, src)));
	return explain(args);
}
