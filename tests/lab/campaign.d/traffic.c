// SPDX-License-Identifier: GPL-2.0-only
/*
 * traffic FILE ADDRESS PORT MS: what a service does all day, until it is killed: short TCP
 * connections, a long one, datagrams on an unconnected and on a connected socket, each by a thread
 * of its own that says something every MS milliseconds and wants it back. What came of it is in
 * FILE, which others map (struct kind, one after the other; campaign.d/lab.py reads it). A line on
 * standard output for each result that is another than the one before.
 *
 * All sockets have TTL 77: on the wire the kernel's own packets (64) are told from theirs.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define OWN_TTL	   77
#define ERRNOS	   136
#define SHORT_S	   2  /* so long an answer is waited for */
#define LONG_S	   60 /* and so long on a connection that has been through a fault */
#define NO_ANSWER  1000
#define NOT_KNOWN  2000
#define TEXT_BYTES 64

struct kind {
	uint64_t ok, lost, broken; /* answered; sent and not answered; a long connection ended */
	uint64_t again;	  /* connects whose SYN had to be sent again, with or without success */
	uint64_t calling; /* when the call began that has not returned; 0: none */
	uint64_t errnos[ERRNOS];
};

static struct sockaddr_in to = {.sin_family = AF_INET};
static struct timespec pause_between;
static const char *const names[] = {"short", "long", "udp", "connected"};
static struct kind *kinds;
static int last[4];

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* One line when it is another result than before. */
static void tell(int i, int what)
{
	if (what == last[i])
		return;
	last[i] = what;
	printf("%.3f %s %s\n", (double)now() / 1e9, names[i],
	       what == 0	   ? "ok"
	       : what == NO_ANSWER ? "no answer"
				   : strerrorname_np(what) ?: "unknown");
}

static void failed(int i, int err)
{
	if (err != ETIMEDOUT) /* is in .again */
		kinds[i].errnos[err < ERRNOS ? err : ERRNOS - 1]++;
	tell(i, err);
}

static int make_socket(int type, int seconds)
{
	struct timeval limit = {.tv_sec = seconds};
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0), one = 1, ttl = OWN_TTL;

	if (fd < 0 || setsockopt(fd, IPPROTO_IP, IP_TTL, &ttl, sizeof(ttl)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit))) {
		perror("traffic: socket");
		exit(1);
	}
	if (type == SOCK_STREAM) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		setsockopt(fd, IPPROTO_TCP, TCP_SYNCNT, &one, sizeof(one));
		setsockopt(fd, IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, &one, sizeof(one));
	}
	return fd;
}

static bool sent_again(int fd)
{
	struct tcp_info info = {};
	socklen_t size = sizeof(info);

	return !getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) && info.tcpi_total_retrans;
}

static int call_connect(int i, int fd)
{
	int err;

	kinds[i].calling = now();
	err = connect(fd, (struct sockaddr *)&to, sizeof(to)) ? errno : 0;
	kinds[i].calling = 0;
	if (i < 2)
		kinds[i].again += err == ETIMEDOUT || (!err && sent_again(fd));
	return err;
}

static int call_send(int i, int fd, const char *text, const struct sockaddr_in *name)
{
	ssize_t n;
	int err;

	kinds[i].calling = now();
	n = sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)name,
		   name ? sizeof(*name) : 0);
	err = n < 0 ? errno : 0;
	kinds[i].calling = 0;
	return err;
}

/* Until this text comes: 0, NO_ANSWER, or an errno. What came late of earlier ones is passed over.
 */
static int answer(int fd, const char *text, bool stream)
{
	char got[TEXT_BYTES + 1];
	ssize_t n;

	for (;;) {
		n = recv(fd, got, TEXT_BYTES, 0);
		if (n == 0 && stream)
			return ECONNRESET;
		if (n < 0)
			return errno == EAGAIN ? NO_ANSWER : errno;
		got[n] = '\0';
		if (!strcmp(got, text))
			return 0;
	}
}

static void came_of(int i, int err)
{
	if (err && err != NO_ANSWER) {
		failed(i, err);
		return;
	}
	kinds[i].lost += err == NO_ANSWER;
	kinds[i].ok += !err;
	tell(i, err);
}

static void text_next(char *text, int i)
{
	static unsigned int numbers[4];

	snprintf(text, TEXT_BYTES, "probe %d%d %u", getpid(), i, numbers[i]++);
}

/* No linger: its last packet is a reset of its own, and nothing of it stays behind in the kernel.
 */
static void drop(int fd)
{
	const struct linger none = {.l_onoff = 1};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
	close(fd);
}

static void short_one(int i)
{
	int fd = make_socket(SOCK_STREAM, SHORT_S), err = call_connect(i, fd);
	char text[TEXT_BYTES];

	if (err) {
		failed(i, err);
	} else {
		text_next(text, i);
		err = call_send(i, fd, text, NULL);
		came_of(i, err ? err : answer(fd, text, true));
	}
	drop(fd);
}

static void long_one(int i)
{
	static int fd = -1;
	char text[TEXT_BYTES];
	int err;

	if (fd < 0) {
		fd = make_socket(SOCK_STREAM, LONG_S);
		err = call_connect(i, fd);
		if (err) {
			failed(i, err);
			drop(fd);
			fd = -1;
			return;
		}
	}
	text_next(text, i);
	err = call_send(i, fd, text, NULL);
	/* refused by the gate: the connection stays */
	if (err == EAGAIN || err == EHOSTUNREACH || err == EACCES) {
		failed(i, err);
		return;
	}
	if (!err)
		err = answer(fd, text, true);
	came_of(i, err);
	if (err) {
		kinds[i].broken++;
		drop(fd);
		fd = -1;
	}
}

static void datagram(int i)
{
	static int fds[2] = {-1, -1};
	const bool connected = i == 3;
	int *fd = &fds[connected], err = 0;
	char text[TEXT_BYTES];

	if (*fd < 0) {
		*fd = make_socket(SOCK_DGRAM, SHORT_S);
		err = connected ? call_connect(i, *fd) : 0;
	}
	if (err) {
		close(*fd);
		*fd = -1;
	} else {
		text_next(text, i);
		err = call_send(i, *fd, text, connected ? NULL : &to);
	}
	came_of(i, err ? err : answer(*fd, text, false));
}

static void *run(void *arg)
{
	static void (*const go[])(int) = {short_one, long_one, datagram, datagram};
	int i = (int)(intptr_t)arg;

	for (;;) {
		go[i](i);
		nanosleep(&pause_between, NULL);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	long ms = argc == 5 ? atol(argv[4]) : 0;
	int fd;

	if (ms <= 0 || inet_pton(AF_INET, argv[2], &to.sin_addr) != 1) {
		fputs("usage: traffic FILE ADDRESS PORT MS\n", stderr);
		return 2;
	}
	to.sin_port = htons((in_port_t)atoi(argv[3]));
	pause_between = (struct timespec){ms / 1000, ms % 1000 * 1000000};
	fd = open(argv[1], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, sizeof(*kinds) * 4)) {
		perror(argv[1]);
		return 1;
	}
	kinds = mmap(NULL, sizeof(*kinds) * 4, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 0; i < 4; i++) {
		last[i] = NOT_KNOWN;
		if (kinds == MAP_FAILED ||
		    pthread_create(&thread, NULL, run, (void *)(intptr_t)i)) {
			perror("traffic");
			return 1;
		}
	}
	pthread_join(thread, NULL);
	return 0;
}
