// SPDX-License-Identifier: GPL-2.0-only
/*
 * holder CALL ADDRESS PORT [OPTIONS]: one socket call, and what came of it, as one line of JSON.
 *
 * CALL        tcp, udp, sendmsg, sendmmsg, udp-connect, uring; tcp32, sendmsg32, socketcall-tcp,
 *             socketcall-udp as 32-bit programs make them; sendmmsg-second, whose first datagram
 *             goes to loopback and whose second to ADDRESS: "ok" when only the first was sent
 * --nonblock  the socket is O_NONBLOCK        --dontwait  the send is MSG_DONTWAIT
 * --sndtimeo MS                               --repeat N  so many calls, results counted
 * --handler SIGNAL, --restart SIGNAL          a handler without and with SA_RESTART
 * --lasts MS  so long a handler takes
 * --timer US  one SIGALRM (14) within that time of each call, at random
 * --tick      a second thread counts meanwhile
 * --answer MS what recv() then comes to is counted, too: EAGAIN after so long (SO_RCVTIMEO)
 *
 * {"results":{"ok":1},"ms":12.5,"cpu_ms":0.1,"longest_eintr_ms":0,"handled":0,"ticks":0}
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t handled;
static volatile unsigned long ticks;
static unsigned int results[4096]; /* by errno */
static double longest_eintr;

static struct timespec lasts;

static void on_signal(int sig)
{
	(void)sig;
	handled++;
	nanosleep(&lasts, NULL);
}

static void *tick(void *unused)
{
	struct timespec ms = {.tv_nsec = 1000000};

	for (;; ticks++)
		nanosleep(&ms, NULL);
	return unused;
}

static double seconds(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void die(const char *what)
{
	perror(what);
	exit(2);
}

static void handle(int sig, int flags)
{
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = flags};

	if (sigaction(sig, &sa, NULL))
		die("sigaction");
}

/* IORING_OP_CONNECT, without a library. Returns its result. */
static int uring_connect(int fd, const struct sockaddr *to, socklen_t len)
{
	struct io_uring_params p = {0};
	int ring = (int)syscall(SYS_io_uring_setup, 2, &p);
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	char *sq, *cq;

	if (ring < 0)
		die("io_uring_setup");
	sq = mmap(NULL, p.sq_off.array + p.sq_entries * 4, PROT_READ | PROT_WRITE, MAP_SHARED, ring,
		  IORING_OFF_SQ_RING);
	cq = mmap(NULL, p.cq_off.cqes + p.cq_entries * sizeof(*cqe), PROT_READ | PROT_WRITE,
		  MAP_SHARED, ring, IORING_OFF_CQ_RING);
	sqe = mmap(NULL, p.sq_entries * sizeof(*sqe), PROT_READ | PROT_WRITE, MAP_SHARED, ring,
		   IORING_OFF_SQES);
	if (sq == MAP_FAILED || cq == MAP_FAILED || sqe == MAP_FAILED)
		die("mmap");
	*sqe = (struct io_uring_sqe){
		.opcode = IORING_OP_CONNECT, .fd = fd, .addr = (unsigned long)to, .off = len};
	*(unsigned int *)(sq + p.sq_off.array) = 0;
	*(unsigned int *)(sq + p.sq_off.tail) += 1;
	if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
		die("io_uring_enter");
	cqe = (struct io_uring_cqe *)(cq + p.cq_off.cqes);
	close(ring);
	return cqe->res;
}

/* What a 32-bit program has in memory. */
struct low {
	struct sockaddr_storage to;
	struct {
		uint32_t base, len;
	} iov;
	struct {
		uint32_t name, name_len, iov, iov_len, control, control_len, flags;
	} msg;
	uint32_t args[6];
	char byte;
};

static int int80(long number, long a, long b, long c)
{
	long r;

	__asm__ volatile("int $0x80"
			 : "=a"(r)
			 : "a"(number), "b"(a), "c"(b), "d"(c)
			 : "memory", "r8", "r9", "r10", "r11");
	errno = (int)-r;
	return r < 0 ? -1 : (int)r;
}

static int make_call32(const char *call, int fd, const struct sockaddr *to, socklen_t len)
{
	struct low *low = mmap(NULL, sizeof(*low), PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	uint32_t at = (uint32_t)(uintptr_t)low, name = at + offsetof(struct low, to);

	if (low == MAP_FAILED)
		die("mmap");
	memcpy(&low->to, to, len);
	low->iov.base = at + offsetof(struct low, byte);
	low->iov.len = 1;
	low->msg.name = name;
	low->msg.name_len = len;
	low->msg.iov = at + offsetof(struct low, iov);
	low->msg.iov_len = 1;
	low->args[0] = (uint32_t)fd;
	low->args[1] = name;
	low->args[2] = len;
	if (!strcmp(call, "tcp32"))
		return int80(362, fd, name, len);
	if (!strcmp(call, "sendmsg32"))
		return int80(370, fd, at + offsetof(struct low, msg), 0);
	if (!strcmp(call, "socketcall-tcp"))
		return int80(102, 3, at + offsetof(struct low, args), 0);
	if (strcmp(call, "socketcall-udp"))
		die(call);
	low->args[1] = low->iov.base;
	low->args[2] = 1;
	low->args[4] = name;
	low->args[5] = len;
	return int80(102, 11, at + offsetof(struct low, args), 0);
}

static int send_second(int fd, const struct mmsghdr *last, int flags)
{
	struct sockaddr_in loopback = {.sin_family = AF_INET,
				       .sin_port = htons(9),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct mmsghdr m[2] = {*last, *last};
	socklen_t len = sizeof(int);
	int error = 0;

	m[0].msg_hdr.msg_name = &loopback;
	if (sendmmsg(fd, m, 2, flags) != 1)
		return -1;
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
	errno = error;
	return error ? -1 : 0;
}

static int make_call(const char *call, int fd, const struct sockaddr *to, socklen_t len, int flags)
{
	struct iovec iov = {.iov_base = "x", .iov_len = 1};
	struct mmsghdr m = {.msg_hdr = {.msg_name = (void *)to,
					.msg_namelen = len,
					.msg_iov = &iov,
					.msg_iovlen = 1}};
	int r;

	if (!strcmp(call, "tcp") || !strcmp(call, "udp-connect"))
		return connect(fd, to, len);
	if (!strcmp(call, "udp"))
		return (int)sendto(fd, "x", 1, flags, to, len);
	if (!strcmp(call, "sendmsg"))
		return (int)sendmsg(fd, &m.msg_hdr, flags);
	if (!strcmp(call, "sendmmsg"))
		return sendmmsg(fd, &m, 1, flags);
	if (!strcmp(call, "sendmmsg-second"))
		return send_second(fd, &m, flags);
	if (strcmp(call, "uring"))
		return make_call32(call, fd, to, len);
	r = uring_connect(fd, to, len);
	errno = -r;
	return r < 0 ? -1 : 0;
}

static void show(double ms, double cpu_ms)
{
	bool first = true;

	printf("{\"results\":{");
	for (int i = 0; i < 4096; i++) {
		if (!results[i])
			continue;
		/* a code that is no errno of programs must be seen as such */
		printf("%s\"", first ? "" : ",");
		if (i && !strerrorname_np(i))
			printf("LEAK %d", i);
		else
			fputs(i ? strerrorname_np(i) : "ok", stdout);
		printf("\":%u", results[i]);
		first = false;
	}
	printf("},\"ms\":%.3f,\"cpu_ms\":%.3f,\"longest_eintr_ms\":%.3f,\"handled\":%d,\"ticks\":%lu}\n",
	       ms, cpu_ms, longest_eintr * 1e3, (int)handled, ticks);
}

struct choice {
	const char *call;
	int nonblock, flags, sndtimeo_ms, answer_ms, repeat, timer_us;
	struct sockaddr_storage to;
	socklen_t len;
};

static void set_timeout(int fd, int option, int ms)
{
	const struct timeval t = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	if (ms && setsockopt(fd, SOL_SOCKET, option, &t, sizeof(t)))
		die("a timeout");
}

static void once(const struct choice *c)
{
	int type = strstr(c->call, "tcp") || !strcmp(c->call, "uring") ? SOCK_STREAM : SOCK_DGRAM;
	int fd = socket(c->to.ss_family, type | (c->nonblock ? SOCK_NONBLOCK : 0), 0);
	double start;
	char byte;
	int error;

	if (fd < 0)
		die("socket");
	set_timeout(fd, SO_SNDTIMEO, c->sndtimeo_ms);
	set_timeout(fd, SO_RCVTIMEO, c->answer_ms);
	if (c->timer_us) {
		struct itimerval timer = {.it_value.tv_usec = 20 + rand() % c->timer_us};

		setitimer(ITIMER_REAL, &timer, NULL);
	}
	start = seconds(CLOCK_MONOTONIC);
	error = make_call(c->call, fd, (const struct sockaddr *)&c->to, c->len, c->flags) < 0
			? errno
			: 0;
	start = seconds(CLOCK_MONOTONIC) - start;
	if (error == EINTR && start > longest_eintr)
		longest_eintr = start;
	results[error]++;
	if (c->answer_ms && !error)
		results[recv(fd, &byte, 1, 0) < 0 ? errno : 0]++;
	close(fd);
}

static void parse_address(struct choice *c, const char *address, const char *port)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)&c->to;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&c->to;

	if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)atoi(port));
		c->len = sizeof(*v4);
	} else if (inet_pton(AF_INET6, address, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)atoi(port));
		c->len = sizeof(*v6);
	} else {
		die(address);
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"nonblock", no_argument, NULL, 'n'},
		{"dontwait", no_argument, NULL, 'd'},
		{"sndtimeo", required_argument, NULL, 's'},
		{"answer", required_argument, NULL, 'a'},
		{"repeat", required_argument, NULL, 'r'},
		{"handler", required_argument, NULL, 'h'},
		{"restart", required_argument, NULL, 'R'},
		{"lasts", required_argument, NULL, 'l'},
		{"timer", required_argument, NULL, 'T'},
		{"tick", no_argument, NULL, 't'},
		{0},
	};
	struct choice c = {.repeat = 1};
	double start, cpu;
	pthread_t thread;
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (o == 'n')
			c.nonblock = 1;
		else if (o == 'd')
			c.flags = MSG_DONTWAIT;
		else if (o == 's')
			c.sndtimeo_ms = atoi(optarg);
		else if (o == 'a')
			c.answer_ms = atoi(optarg);
		else if (o == 'r')
			c.repeat = atoi(optarg);
		else if (o == 'h')
			handle(atoi(optarg), 0);
		else if (o == 'R')
			handle(atoi(optarg), SA_RESTART);
		else if (o == 'l')
			lasts = (struct timespec){atoi(optarg) / 1000,
						  atoi(optarg) % 1000 * 1000000L};
		else if (o == 'T')
			c.timer_us = atoi(optarg);
		else if (o == 't' && pthread_create(&thread, NULL, tick, NULL))
			die("pthread_create");
		else if (o == '?')
			return 2;
	}
	if (argc - optind != 3)
		return 2;
	c.call = argv[optind];
	parse_address(&c, argv[optind + 1], argv[optind + 2]);
	start = seconds(CLOCK_MONOTONIC);
	cpu = seconds(CLOCK_THREAD_CPUTIME_ID);
	for (int i = 0; i < c.repeat; i++)
		once(&c);
	show((seconds(CLOCK_MONOTONIC) - start) * 1e3,
	     (seconds(CLOCK_THREAD_CPUTIME_ID) - cpu) * 1e3);
	return 0;
}
