// SPDX-License-Identifier: GPL-2.0-only
/*
 * sockets [quick]: what a call costs its caller, without a gate and with: a program that returns 1,
 * sagate, and what is used today so that nothing leaves in clear: packet filter rules that drop
 * what has no IPsec, one a policy (nftables, iptables), or one rule and a set (nftables).
 *
 * Every address of 128.0.0.0/2 is this host's own, through the loopback device. sagate decides on
 * its made-up SAs that all of it is protected; the kernel has no policy, so the packets go as they
 * are, and the filters' rules are for other addresses of the same block: each packet passes them
 * all.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <bpf/bpf.h>

#include "base.skel.h"
#include "stats.h"
#include "world.h"

enum { PEERS = 64, WARM = 64, VARIANTS_MAX = 8 };

static struct world world;

/* One way to be protected, and the process that has it. */
struct variant {
	const char *name;
	int netns, cgroup;
	const char *command; /* makes `rules` rules in its namespace; NULL: it has none */
	bool linear;	     /* a packet passes each of them */
	int ask, answer;     /* pipes */
};

struct job {
	unsigned int op, calls, policies;
};

/* Of this process alone: what others do on this machine meanwhile does not count. */
static double cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static void check(int r, const char *what)
{
	if (r < 0)
		die("%s: %s", what, strerror(errno));
}

static socklen_t peer(unsigned int i, struct sockaddr_storage *to)
{
	unsigned int n = world.policies < PEERS ? world.policies : PEERS;

	return world_dest(&world, (unsigned int)((unsigned long long)(i % n) * world.policies / n),
			  to);
}

static void udp_connect(int calls)
{
	static const struct sockaddr none = {.sa_family = AF_UNSPEC};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_storage to;

	for (int i = 0; i < calls; i++) {
		socklen_t len = peer((unsigned int)i, &to);

		check(connect(fd, (struct sockaddr *)&to, len), "connect");
		check(connect(fd, &none, sizeof(none)), "disconnect");
	}
	close(fd);
}

static void send_to(int fd, unsigned int i)
{
	struct sockaddr_storage to;
	socklen_t len = peer(i, &to);

	check((int)sendto(fd, "x", 1, 0, (struct sockaddr *)&to, len), "sendto");
}

static void udp_sendto(int calls)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	for (int i = 0; i < calls; i++)
		send_to(fd, (unsigned int)i);
	close(fd);
}

/* As resolvers do: a socket for each question. */
static void udp_once(int calls)
{
	for (int i = 0; i < calls; i++) {
		int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

		send_to(fd, (unsigned int)i);
		close(fd);
	}
}

static void udp_send(int calls)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_storage to;
	socklen_t len = peer(0, &to);

	check(connect(fd, (struct sockaddr *)&to, len), "connect");
	/* nobody listens: an ICMP error may be waiting, and is taken by the call after it */
	for (int i = 0; i < calls; i++)
		if (send(fd, "x", 1, 0) < 0 && errno != ECONNREFUSED)
			die("send: %s", strerror(errno));
	close(fd);
}

static void tcp(int calls)
{
	const struct linger at_once = {.l_onoff = 1};
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(9)};
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	struct sockaddr_storage to;

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	check(bind(listener, (struct sockaddr *)&any, sizeof(any)), "bind");
	check(listen(listener, 16), "listen");
	for (int i = 0; i < calls; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), got;
		socklen_t len = peer((unsigned int)i, &to);

		check(connect(fd, (struct sockaddr *)&to, len), "connect");
		got = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		check(got, "accept");
		/* a reset, or ports would run out in TIME_WAIT */
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
		close(fd);
		close(got);
	}
	close(listener);
}

static const struct op {
	const char *name;
	void (*run)(int calls);
	int calls;
} ops[] = {
	{"connect", udp_connect, 200},
	{"sendto", udp_sendto, 200},
	{"socket+sendto", udp_once, 200},
	{"send", udp_send, 200},
	{"tcp", tcp, 40},
};

/* In the variant's namespace and cgroup, for good: to move costs more than to measure. */
static void worker(const struct variant *v, int ask, int answer)
{
	struct job job;
	double start, ns;

	check(setns(v->netns, CLONE_NEWNET), "setns");
	world_enter(v->cgroup);
	while (read(ask, &job, sizeof(job)) == sizeof(job)) {
		world.policies = job.policies;
		ops[job.op].run(WARM);
		start = cpu_ns();
		ops[job.op].run((int)job.calls);
		ns = (cpu_ns() - start) / job.calls;
		if (write(answer, &ns, sizeof(ns)) != sizeof(ns))
			_exit(1);
	}
	_exit(0);
}

static void start_worker(struct variant *v)
{
	int ask[2], answer[2];
	pid_t pid;

	check(pipe2(ask, O_CLOEXEC), "pipe");
	check(pipe2(answer, O_CLOEXEC), "pipe");
	pid = fork();
	check(pid, "fork");
	if (!pid) {
		close(ask[1]);
		worker(v, ask[0], answer[1]);
	}
	close(ask[0]);
	close(answer[1]);
	v->ask = ask[1];
	v->answer = answer[0];
}

static double measure(unsigned int op, const struct variant *v, int calls)
{
	const struct job job = {op, (unsigned int)calls, world.policies};
	double ns;

	if (write(v->ask, &job, sizeof(job)) != sizeof(job) ||
	    read(v->answer, &ns, sizeof(ns)) != sizeof(ns))
		die("%s: its process ended", v->name);
	return ns;
}

/* Each packet may pass every rule: of many a call takes many times as long. */
static int calls_of(unsigned int op, const struct variant *v, unsigned int rules)
{
	return v->linear && rules > 1000 ? ops[op].calls / 40 : ops[op].calls;
}

/* A round is every variant once, in turn; its baseline is the first. */
static void compare(const struct variant *v, size_t count, unsigned int rules, int rounds)
{
	for (unsigned int o = 0; o < sizeof(ops) / sizeof(ops[0]); o++) {
		static struct series s[VARIANTS_MAX];
		char more[96], name[64];

		memset(s, 0, sizeof(s));
		for (int r = 0; r < rounds; r++) {
			double ns[VARIANTS_MAX];

			bpf_heartbeat(world.bpf);
			for (size_t i = 0; i < count; i++)
				ns[i] = measure(o, &v[i], calls_of(o, &v[i], rules));
			for (size_t i = 1; i < count; i++)
				series_add(&s[i], ns[i], ns[0]);
		}
		for (size_t i = 1; i < count; i++) {
			struct summary sum = series_sum(&s[i]);

			snprintf(name, sizeof(name), "%s", ops[o].name);
			snprintf(more, sizeof(more), "\"way\":\"%s\",\"policies\":%u", v[i].name,
				 rules);
			row("sockets", name, more, "ns", &sum);
		}
	}
}

static int netns_here(void)
{
	int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	check(fd, "/proc/self/ns/net");
	return fd;
}

static void everything_is_local(void)
{
	if (system("ip link set lo up && ip addr replace 192.0.2.1/32 dev lo && "
		   "ip route replace local 128.0.0.0/2 dev lo src 192.0.2.1 && "
		   "sysctl -qw net.ipv4.icmp_ratelimit=1000"))
		die("the namespace cannot be set up");
}

static int new_netns(void)
{
	check(unshare(CLONE_NEWNET), "unshare");
	everything_is_local();
	return netns_here();
}

/* The filters' rules, as text for the tool that loads them. */
static void fill_rules(const struct variant *v, unsigned int rules)
{
	FILE *out;

	if (!v->command)
		return;
	check(setns(v->netns, CLONE_NEWNET), "setns");
	out = popen(v->command, "w");
	if (!out)
		die("%s: %s", v->command, strerror(errno));
	if (!strcmp(v->name, "iptables"))
		fputs("*filter\n:OUTPUT ACCEPT [0:0]\n", out);
	else
		fputs("flush ruleset\ntable inet sagate_bench {\nset far { type ipv4_addr; }\n"
		      "chain out { type filter hook output priority 0;\n",
		      out);
	for (unsigned int i = 0; i < rules; i++) {
		/* in 190/8: no peer of ours is there */
		unsigned int a = 0xbe000000U + i;
		char text[32];

		snprintf(text, sizeof(text), "%u.%u.%u.%u", a >> 24, a >> 16 & 255, a >> 8 & 255,
			 a & 255);
		if (!strcmp(v->name, "iptables"))
			fprintf(out, "-A OUTPUT -d %s -m policy --dir out --pol none -j DROP\n",
				text);
		else if (!strcmp(v->name, "nftables"))
			fprintf(out, "ip daddr %s rt ipsec missing drop\n", text);
	}
	if (!strcmp(v->name, "iptables"))
		fputs("COMMIT\n", out);
	else if (!strcmp(v->name, "nftables"))
		fputs("}\n}\n", out);
	else
		fputs("ip daddr @far rt ipsec missing drop\n}\n}\n", out);
	for (unsigned int i = 0; !strcmp(v->name, "nftables-set") && i < rules; i++) {
		unsigned int a = 0xbe000000U + i;

		fprintf(out, "add element inet sagate_bench far { %u.%u.%u.%u }\n", a >> 24,
			a >> 16 & 255, a >> 8 & 255, a & 255);
	}
	if (pclose(out))
		die("%s: the rules are refused", v->command);
}

int main(int argc, char **argv)
{
	static const unsigned int sizes[] = {1, 100, 1000, 10000, 100000};
	const bool quick = argc > 1 && !strcmp(argv[1], "quick");
	struct base_bpf *base = base_bpf__open_and_load();
	struct variant v[VARIANTS_MAX];
	int here, plain, one, gated;
	size_t count = 0;

	world_open(&world, 100000);
	everything_is_local();
	here = netns_here();
	plain = world_cgroup("plain");
	one = world_cgroup("one");
	gated = world_cgroup("gated");
	world_gate(&world, gated);
	if (!base ||
	    bpf_prog_attach(bpf_program__fd(base->progs.one_connect4), one,
			    BPF_CGROUP_INET4_CONNECT, 0) ||
	    bpf_prog_attach(bpf_program__fd(base->progs.one_sendmsg4), one, BPF_CGROUP_UDP4_SENDMSG,
			    0))
		die("the baseline cannot be attached: %s", strerror(errno));
	v[count++] =
		(struct variant){.name = "none", .netns = here, .cgroup = plain, .command = NULL};
	v[count++] = (struct variant){
		.name = "none again", .netns = here, .cgroup = plain, .command = NULL};
	v[count++] = (struct variant){
		.name = "returns 1", .netns = here, .cgroup = one, .command = NULL};
	v[count++] =
		(struct variant){.name = "sagate", .netns = here, .cgroup = gated, .command = NULL};
	v[count++] = (struct variant){.name = "nftables-set",
				      .netns = new_netns(),
				      .cgroup = plain,
				      .command = "nft -f -"};
	v[count++] = (struct variant){.name = "nftables",
				      .netns = new_netns(),
				      .cgroup = plain,
				      .command = "nft -f -",
				      .linear = true};
	v[count++] = (struct variant){.name = "iptables",
				      .netns = new_netns(),
				      .cgroup = plain,
				      .command = "iptables-restore",
				      .linear = true};
	world.masks = 8;
	world.family = AF_INET;
	for (size_t i = 0; i < count; i++)
		start_worker(&v[i]);
	world_reset(&world, 8, AF_INET);
	for (size_t i = 0; i < (quick ? 2 : sizeof(sizes) / sizeof(sizes[0])); i++) {
		/* 100,000 rules to pass for each packet need no measuring */
		size_t n = sizes[i] > 10000 ? 5 : count;

		world_fill(&world, sizes[i]);
		for (size_t k = 0; k < n; k++)
			fill_rules(&v[k], sizes[i]);
		compare(v, n, sizes[i], quick ? 2 : sizes[i] == 10000 ? 60 : 250);
	}
	check(setns(here, CLONE_NEWNET), "setns");
	for (size_t i = 0; i < count; i++)
		close(v[i].ask);
	while (wait(NULL) > 0)
		;
	base_bpf__destroy(base);
	world_close(&world);
	return 0;
}
