// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "matrix.h"
#include "way.h"

#define WAIT_S 60 /* the machine is slow, and may be shared */

struct world world = {.guard = "on"};

void die(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fputs("matrix: ", stderr);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	va_end(args);
	exit(2);
}

double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

void pause_ms(unsigned int ms)
{
	struct timespec ts = {ms / 1000, (long)(ms % 1000) * 1000000};

	nanosleep(&ts, NULL);
}

static int must_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0)
		die("%s: %s", path, strerror(errno));
	return fd;
}

void host_enter(int netns)
{
	if (setns(netns, CLONE_NEWNET))
		die("setns: %s", strerror(errno));
}

void host_open(void)
{
	cpu_set_t one;

	/* frames arrive in the order in which they were sent */
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	sched_setaffinity(0, sizeof(one), &one);
	world.netns_a = must_open("/run/netns/a", O_RDONLY);
	world.netns_b = must_open("/run/netns/b", O_RDONLY);
	world.inside = must_open("/sys/fs/cgroup/gated/cgroup.procs", O_WRONLY);
	world.outside = must_open("/sys/fs/cgroup/cgroup.procs", O_WRONLY);
}

/* ip -n NETNS -batch: what is already gone is no error. */
static void ip(const char *netns, const char *lines)
{
	char command[64];
	FILE *f;

	snprintf(command, sizeof(command), "ip -force -n %s -batch - 2>/dev/null", netns);
	f = popen(command, "we");
	if (!f || fputs(lines, f) < 0 || pclose(f) < 0)
		die("%s: %s", command, strerror(errno));
}

static int sagate(const char *words)
{
	char command[512];
	int status;

	snprintf(command, sizeof(command), "%s -s %s %s >/dev/null 2>&1", world.sagate,
		 world.socket, words);
	status = system(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Until explain's exit status is that for both families: 0 passes, 3 waits. */
static void settle(int want)
{
	double end = now_s() + WAIT_S;

	while (sagate("explain udp " PEER4 ":80") != want ||
	       sagate("explain udp [" PEER6 "]:80") != want)
		if (now_s() > end)
			die("explain did not come to exit with %d", want);
}

#define KEY "aead rfc4106(gcm(aes)) 0x0102030405060708090a0b0c0d0e0f1011121314 128"
#define SA(verb, from, to, spi)                                                                    \
	"xfrm state " verb " src " from " dst " to " proto esp spi " spi                           \
	" reqid 1 mode transport " KEY "\n"
#define POLICY(from, to, tmpl)                                                                     \
	"xfrm policy add src " from " dst " to " dir out priority 1000 tmpl " tmpl                 \
	" proto esp mode transport reqid 1\n"
#define SAS                                                                                        \
	SA("add", OWN4, PEER4, "0x5a6a0001")                                                       \
	SA("add", PEER4, OWN4, "0x5a6b0002")                                                       \
	SA("add", OWN6, PEER6, "0x5a6a0003")                                                       \
	SA("add", PEER6, OWN6, "0x5a6b0004")
#define POLICIES                                                                                   \
	POLICY(OWN4 "/32", PEER4 "/32", "src 0.0.0.0 dst 0.0.0.0")                                 \
	POLICY(OWN6 "/128", PEER6 "/128", "src :: dst ::")
/* with the mark 0x99 the kernel would send in clear, and only the requirement minds */
#define MARKED	"xfrm policy add src " OWN4 "/32 dst " PEER4 "/32 dir out priority 10 mark 0x99\n"
#define NOTHING "xfrm policy flush\nxfrm state flush\n"
#define BACK                                                                                       \
	POLICY(PEER4 "/32", OWN4 "/32", "src 0.0.0.0 dst 0.0.0.0")                                 \
	POLICY(PEER6 "/128", OWN6 "/128", "src :: dst ::")

static void all_up(void)
{
	ip("b", NOTHING SAS BACK);
	ip("a", NOTHING SAS POLICIES MARKED);
}

static void gate(enum state s)
{
	const char *mode = s == HOLD ? "hold" : "reject";
	char words[256];

	snprintf(words, sizeof(words),
		 "attach /gated --name gated --mode %s --set guard=%s --set errno-failed=EAGAIN "
		 "--set hold-timeout=60s",
		 mode, world.guard);
	if (sagate(words))
		die("sagate %s failed", words);
}

/* Until a datagram from the gate gets that errno, 0: it is sent. */
static void sending_gets(int want)
{
	union name to = name_of(TO4, PEER4, PORT);
	double end = now_s() + WAIT_S;
	int fd, err;

	if (write(world.inside, "0", 1) < 0)
		die("cgroup: %s", strerror(errno));
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	do {
		err = sendto(fd, "late", 4, 0, &to.sa, sizeof(to.v4)) < 0 ? errno : 0;
		if (now_s() > end)
			die("a datagram got %s, not %s", strerror(err), strerror(want));
		pause_ms(20);
	} while (err != want);
	close(fd);
	if (write(world.outside, "0", 1) < 0)
		die("cgroup: %s", strerror(errno));
}

/* Its links go with their pins, when the kernel comes to it. */
static void no_gate(void)
{
	kill(world.daemon, SIGKILL);
	if (system("rm -r /sys/fs/bpf/sagate/gate/gated"))
		die("the gate's pins cannot be removed");
	ip("a", NOTHING);
	sending_gets(0);
}

void host_before(enum state s)
{
	if (s == OFF)
		no_gate();
	else
		gate(s);
	if (s == NONE || s == CAME) {
		ip("b", NOTHING);
		ip("a", NOTHING);
		settle(3);
	} else if (s == HOLD) {
		ip("b", NOTHING SAS BACK);
		ip("a", NOTHING POLICIES);
		settle(3);
	} else {
		all_up();
		if (s != OFF)
			settle(0);
	}
}

void host_after(enum state s)
{
	switch (s) {
	case LOST:
		ip("a", NOTHING);
		ip("b", NOTHING);
		settle(3);
		break;
	case OFF:
		ip("a", NOTHING);
		ip("b", NOTHING);
		break;
	case KEPT:
		ip("a", "xfrm state flush\n");
		ip("b", NOTHING);
		settle(3);
		break;
	case DEAD:
		kill(world.daemon, SIGKILL);
		sending_gets(EAGAIN); /* with its SA there: the heartbeat is late */
		ip("a", NOTHING);
		ip("b", NOTHING);
		break;
	case CAME:
		all_up();
		settle(0);
		break;
	case HOLD:
		ip("a", SAS);
		settle(0);
		break;
	default:
		break;
	}
}
