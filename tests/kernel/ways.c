// SPDX-License-Identifier: GPL-2.0-only
/*
 * ways: one socket call in one of the ways a program can make it; prints "RESULT PID TID", RESULT
 * being ok or the errno's name of the call that failed. See usage().
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

union address {
	struct sockaddr sa;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static struct {
	union address to, from;
	bool has_from, thread;
	const char *dev, *pause, *until;
	uint32_t mark;
	unsigned int times;
} opt = {.times = 1};

static const char text[] = "way";

static void usage(void)
{
	fputs("ways WAY ADDR PORT [KEY=VALUE...]\n"
	      "WAY: tcp tcp-mapped fastopen fastopen-mapped\n"
	      "     udp udp-mapped udp-in6 (a sockaddr_in on an IPv6 socket) udp-unspec udp-mmsg\n"
	      "     udp-connect udp-connect-mapped udp-connect-in6 udp-send udp-cmsg ping\n"
	      "     (udp-send, udp-cmsg: connect(), then send() or sendmsg() with IP_TOS)\n"
	      "KEY: src=ADDR sport=PORT mark=N dev=NAME thread=1 (the call in a second thread)\n"
	      "     pause=FILE (udp-send, udp-cmsg: between the two, makes FILE.ready and waits for\n"
	      "     FILE) times=N (one line for all, the last result)\n"
	      "     until=RESULT (again and again, at most 5 s; prints also how many ms it took)\n",
	      stderr);
	exit(2);
}

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static void sleep_ms(long ms)
{
	struct timespec ts = {ms / 1000, ms % 1000 * 1000000L};

	nanosleep(&ts, NULL);
}

static bool is(const char *way, const char *name)
{
	return !strcmp(way, name);
}

static bool ends(const char *way, const char *end)
{
	size_t n = strlen(way), m = strlen(end);

	return n >= m && !strcmp(way + n - m, end);
}

static void parse_address(union address *a, const char *host, const char *port)
{
	memset(a, 0, sizeof(*a));
	if (inet_pton(AF_INET, host, &a->v4.sin_addr) == 1) {
		a->v4.sin_family = AF_INET;
		a->v4.sin_port = htons((uint16_t)atoi(port));
	} else if (inet_pton(AF_INET6, host, &a->v6.sin6_addr) == 1) {
		a->v6.sin6_family = AF_INET6;
		a->v6.sin6_port = htons((uint16_t)atoi(port));
	} else {
		usage();
	}
}

static void map(union address *a)
{
	union address mapped = {.v6.sin6_family = AF_INET6};

	if (a->sa.sa_family != AF_INET)
		return;
	mapped.v6.sin6_port = a->v4.sin_port;
	mapped.v6.sin6_addr.s6_addr[10] = mapped.v6.sin6_addr.s6_addr[11] = 0xff;
	memcpy(&mapped.v6.sin6_addr.s6_addr[12], &a->v4.sin_addr, 4);
	*a = mapped;
}

static socklen_t len_of(const union address *a)
{
	return a->sa.sa_family == AF_INET6 ? sizeof(a->v6) : sizeof(a->v4);
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int open_socket(const char *way)
{
	struct timeval limit = {.tv_sec = 2};
	int family = ends(way, "-in6") ? AF_INET6 : opt.to.sa.sa_family;
	bool stream = is(way, "tcp") || is(way, "tcp-mapped") || !strncmp(way, "fastopen", 8);
	int proto = is(way, "ping") ? family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6 : 0;
	int fd = socket(family, (stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, proto);
	int one = 1;

	if (fd < 0)
		die("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (opt.mark && setsockopt(fd, SOL_SOCKET, SO_MARK, &opt.mark, sizeof(opt.mark)))
		die("SO_MARK");
	if (opt.dev &&
	    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, opt.dev, (socklen_t)strlen(opt.dev)))
		die("SO_BINDTODEVICE");
	if (opt.has_from && bind(fd, &opt.from.sa, len_of(&opt.from)))
		die("bind");
	return fd;
}

static int send_fastopen(int fd)
{
	return sendto(fd, text, sizeof(text), MSG_FASTOPEN | MSG_NOSIGNAL, &opt.to.sa,
		      len_of(&opt.to)) < 0
		       ? -errno
		       : 0;
}

static int send_unspec(int fd)
{
	union address to = opt.to;

	to.sa.sa_family = AF_UNSPEC;
	return sendto(fd, text, sizeof(text), 0, &to.sa, len_of(&opt.to)) < 0 ? -errno : 0;
}

static int send_mmsg(int fd)
{
	struct iovec iov = {(void *)text, sizeof(text)};
	struct mmsghdr msg[2] = {};
	int n;

	for (int i = 0; i < 2; i++)
		msg[i].msg_hdr = (struct msghdr){.msg_name = &opt.to,
						 .msg_namelen = len_of(&opt.to),
						 .msg_iov = &iov,
						 .msg_iovlen = 1};
	n = sendmmsg(fd, msg, 2, 0);
	return n < 0 ? -errno : 0;
}

static int send_cmsg(int fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {};
	struct iovec iov = {(void *)text, sizeof(text)};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.buf,
			     .msg_controllen = sizeof(control.buf)};
	struct cmsghdr *head = CMSG_FIRSTHDR(&msg);
	bool v4 = opt.to.sa.sa_family == AF_INET;

	head->cmsg_level = v4 ? IPPROTO_IP : IPPROTO_IPV6;
	head->cmsg_type = v4 ? IP_TOS : IPV6_TCLASS;
	head->cmsg_len = CMSG_LEN(sizeof(int));
	*(int *)CMSG_DATA(head) = 0x10;
	return sendmsg(fd, &msg, 0) < 0 ? -errno : 0;
}

static void wait_for_file(void)
{
	char ready[512];
	FILE *f;

	if (!opt.pause)
		return;
	snprintf(ready, sizeof(ready), "%s.ready", opt.pause);
	f = fopen(ready, "w");
	if (f)
		fclose(f);
	for (int i = 0; i < 1000 && access(opt.pause, F_OK); i++)
		sleep_ms(5);
}

static int connect_then(int fd, const char *way)
{
	if (connect(fd, &opt.to.sa, len_of(&opt.to)))
		return -errno;
	wait_for_file();
	if (is(way, "udp-cmsg"))
		return send_cmsg(fd);
	if (is(way, "udp-send"))
		return send(fd, text, sizeof(text), 0) < 0 ? -errno : 0;
	return 0;
}

static int go_once(const char *way)
{
	int fd = open_socket(way), err;

	if (!strncmp(way, "fastopen", 8))
		err = send_fastopen(fd);
	else if (is(way, "udp-unspec"))
		err = send_unspec(fd);
	else if (is(way, "udp-mmsg"))
		err = send_mmsg(fd);
	else if (is(way, "udp") || is(way, "udp-mapped") || is(way, "udp-in6"))
		err = sendto(fd, text, sizeof(text), 0, &opt.to.sa, len_of(&opt.to)) < 0 ? -errno
											 : 0;
	else
		err = connect_then(fd, way);
	close(fd);
	return err;
}

static const char *name_of(int err)
{
	const char *name = err ? strerrorname_np(-err) : "ok";

	return name ? name : "unknown";
}

static void *go(void *way)
{
	double start = now_ms();
	int err = 0;

	for (unsigned int i = 0; i < opt.times; i++)
		err = go_once(way);
	while (opt.until && strcmp(name_of(err), opt.until) && now_ms() - start < 5000) {
		sleep_ms(1);
		err = go_once(way);
	}
	printf("%s %d %d", name_of(err), getpid(), gettid());
	if (opt.until)
		printf(" %.0f", now_ms() - start);
	putchar('\n');
	return NULL;
}

static void set(char *pair, const char **src, const char **sport)
{
	char *value = strchr(pair, '=');

	if (!value)
		usage();
	*value++ = '\0';
	if (is(pair, "src"))
		*src = value;
	else if (is(pair, "sport"))
		*sport = value;
	else if (is(pair, "mark"))
		opt.mark = (uint32_t)strtoul(value, NULL, 0);
	else if (is(pair, "dev"))
		opt.dev = value;
	else if (is(pair, "thread"))
		opt.thread = true;
	else if (is(pair, "pause"))
		opt.pause = value;
	else if (is(pair, "until"))
		opt.until = value;
	else if (is(pair, "times"))
		opt.times = (unsigned int)atoi(value);
	else
		usage();
}

int main(int argc, char **argv)
{
	const char *src = NULL, *sport = "0";
	pthread_t thread;

	if (argc < 4)
		usage();
	parse_address(&opt.to, argv[2], argv[3]);
	for (int i = 4; i < argc; i++)
		set(argv[i], &src, &sport);
	if (src || atoi(sport)) {
		opt.has_from = true;
		parse_address(&opt.from,
			      src			       ? src
			      : opt.to.sa.sa_family == AF_INET ? "0.0.0.0"
							       : "::",
			      sport);
	}
	if (ends(argv[1], "-mapped")) {
		map(&opt.to);
		map(&opt.from);
	}
	if (!opt.thread)
		go(argv[1]);
	else if (pthread_create(&thread, NULL, go, argv[1]) || pthread_join(thread, NULL))
		die("pthread");
	return 0;
}
