// SPDX-License-Identifier: GPL-2.0-only
/*
 * probe: a client that says exactly what its socket calls returned, and the
 * server it talks to. For tests: one JSON object a client run, one JSON line
 * for each thing the server receives. See usage().
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define EXIT_TIMEOUT 3
#define EXIT_ERRNO   4
#define ERRNO_MAX    4096
#define COUNT_MAX    100000
#define DATAGRAM_MAX 2048
#define CLIENTS_MAX  1024

union address {
	struct sockaddr sa;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

struct options {
	union address to;
	union address from;
	bool has_from;
	bool v4mapped;
	bool nonblock;
	bool echo;
	bool connected;
	bool cmsg;
	bool unspec;
	bool has_mark;
	uint32_t mark;
	int retry_errno;
	int retry_ms;
	int interval_ms;
	int wait_ms;
	double limit_s;
	unsigned int count;
};

struct outcome {
	unsigned int errnos[ERRNO_MAX];
	unsigned int attempts;
	unsigned int sent;
	unsigned int echoed;
	double call_s; /* how long the last attempt's call took */
	int status;
};

static volatile sig_atomic_t time_is_up;

static void usage(FILE *out)
{
	fputs("probe tcp ADDR PORT [OPTIONS]    connect() until it works\n"
	      "probe udp ADDR PORT [OPTIONS]    send numbered datagrams, count what comes back\n"
	      "probe serve PORT [--for S]       echo TCP and UDP, IPv4 and IPv6\n"
	      "\n"
	      "  --retry-every MS    between attempts (20)\n"
	      "  --retry-on ERRNO    retry on this errno, by name or number (EAGAIN)\n"
	      "  --for S             for at most S seconds; 0: one attempt (10)\n"
	      "  --bind ADDR[:PORT]  or [ADDR]:PORT, or :PORT\n"
	      "  --mark N            SO_MARK\n"
	      "  --v4mapped          an IPv6 socket to ::ffff:ADDR\n"
	      "  --nonblock          O_NONBLOCK; tcp: poll() for the connection\n"
	      "  --echo              tcp: send a line, wait for it to come back\n"
	      "  --connected         udp: connect() and send()\n"
	      "  --cmsg              udp: connect() and sendmsg() with IP_TOS\n"
	      "  --unspec            udp: sendto() with family AF_UNSPEC\n"
	      "  --count N           udp: datagrams (1)\n"
	      "  --interval MS       udp: between datagrams (0)\n"
	      "  --wait MS           udp: for the last echo (1000)\n"
	      "\n"
	      "Exit status: 0 done, 1 setup failed, 2 usage, 3 time ran out, 4 another errno.\n",
	      out);
}

static void die(const char *what)
{
	fprintf(stderr, "probe: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

static void die_usage(const char *what, const char *value)
{
	fprintf(stderr, "probe: %s: '%s': see probe --help\n", what, value);
	exit(2);
}

static double now(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void sleep_ms(int ms)
{
	struct timespec ts = {ms / 1000, ms % 1000 * 1000000L};

	nanosleep(&ts, NULL);
}

static long parse_number(const char *what, const char *text, long max)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(text, &end, 0);
	if (errno || end == text || *end || value < 0 || value > max)
		die_usage(what, text);
	return value;
}

static int parse_errno(const char *text)
{
	for (int i = 1; i < ERRNO_MAX; i++) {
		const char *name = strerrorname_np(i);

		if (name && !strcmp(name, text))
			return i;
	}
	return (int)parse_number("errno", text, ERRNO_MAX - 1);
}

static socklen_t address_len(const union address *addr)
{
	return addr->sa.sa_family == AF_INET ? sizeof(addr->v4) : sizeof(addr->v6);
}

static void address_set(union address *addr, const char *text, uint16_t port)
{
	memset(addr, 0, sizeof(*addr));
	if (inet_pton(AF_INET, text, &addr->v4.sin_addr) == 1) {
		addr->v4.sin_family = AF_INET;
		addr->v4.sin_port = htons(port);
	} else if (inet_pton(AF_INET6, text, &addr->v6.sin6_addr) == 1) {
		addr->v6.sin6_family = AF_INET6;
		addr->v6.sin6_port = htons(port);
	} else {
		die_usage("address", text);
	}
}

static void address_map(union address *addr)
{
	union address mapped = {.v6.sin6_family = AF_INET6};

	if (addr->sa.sa_family != AF_INET)
		return;
	mapped.v6.sin6_port = addr->v4.sin_port;
	mapped.v6.sin6_addr.s6_addr[10] = 0xff;
	mapped.v6.sin6_addr.s6_addr[11] = 0xff;
	memcpy(&mapped.v6.sin6_addr.s6_addr[12], &addr->v4.sin_addr, 4);
	*addr = mapped;
}

/* ADDR, ADDR:PORT, [ADDR]:PORT or :PORT; a bare IPv6 address has two colons. */
static void parse_bind(struct options *opt, const char *text)
{
	char host[64], *colon;
	uint16_t port = 0;

	if (snprintf(host, sizeof(host), "%s", text) >= (int)sizeof(host))
		die_usage("--bind", text);
	colon = strrchr(host, ':');
	if (colon && (host[0] == '[' ? colon[-1] == ']' : strchr(host, ':') == colon)) {
		port = (uint16_t)parse_number("--bind", colon + 1, UINT16_MAX);
		*colon = '\0';
	}
	if (host[0] == '[') {
		host[strcspn(host, "]")] = '\0';
		memmove(host, host + 1, strlen(host));
	}
	if (!host[0])
		strcpy(host, opt->to.sa.sa_family == AF_INET ? "0.0.0.0" : "::");
	address_set(&opt->from, host, port);
	opt->has_from = true;
}

static int open_socket(const struct options *opt, int type)
{
	int one = 1;
	int fd = socket(opt->to.sa.sa_family,
			type | SOCK_CLOEXEC | (opt->nonblock ? SOCK_NONBLOCK : 0), 0);

	if (fd < 0)
		die("socket");
	if (opt->has_mark && setsockopt(fd, SOL_SOCKET, SO_MARK, &opt->mark, sizeof(opt->mark)))
		die("SO_MARK");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (opt->has_from && bind(fd, &opt->from.sa, address_len(&opt->from)))
		die("bind");
	return fd;
}

/* Waits for a non-blocking connect(); returns 0 or a negative errno. */
static int finish_connect(int fd)
{
	struct pollfd pfd = {fd, POLLOUT, 0};
	int err = 0;
	socklen_t len = sizeof(err);

	while (poll(&pfd, 1, 100) == 0)
		if (time_is_up)
			return -ETIMEDOUT;
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
	return -err;
}

static int try_connect(const struct options *opt, int fd, struct outcome *out)
{
	double start = now(CLOCK_MONOTONIC);
	int err = connect(fd, &opt->to.sa, address_len(&opt->to)) ? -errno : 0;

	if (err == -EINPROGRESS && opt->nonblock)
		err = finish_connect(fd);
	out->call_s = now(CLOCK_MONOTONIC) - start;
	return err;
}

/*
 * Counts one attempt. Returns true if it is to be repeated; otherwise status
 * says how it ended.
 */
static bool count_attempt(const struct options *opt, struct outcome *out, int err)
{
	out->attempts++;
	if (!err) {
		out->status = EXIT_SUCCESS;
		return false;
	}
	if (-err < ERRNO_MAX)
		out->errnos[-err]++;
	out->status = -err == opt->retry_errno || time_is_up ? EXIT_TIMEOUT : EXIT_ERRNO;
	if (-err != opt->retry_errno || time_is_up || opt->limit_s == 0)
		return false;
	sleep_ms(opt->retry_ms);
	return !time_is_up;
}

static void echo_line(int fd, struct outcome *out)
{
	static const char line[] = "probe\n";
	struct pollfd pfd = {fd, POLLIN, 0};
	char back[sizeof(line)];

	if (send(fd, line, sizeof(line) - 1, MSG_NOSIGNAL) == sizeof(line) - 1)
		out->sent = 1;
	while (!time_is_up && poll(&pfd, 1, 100) == 0)
		;
	if (recv(fd, back, sizeof(back), MSG_DONTWAIT) == sizeof(line) - 1)
		out->echoed = 1;
	else
		out->status = EXIT_TIMEOUT;
}

static void run_tcp(const struct options *opt, struct outcome *out)
{
	bool again;

	do {
		int fd = open_socket(opt, SOCK_STREAM);

		again = count_attempt(opt, out, try_connect(opt, fd, out));
		if (out->status == EXIT_SUCCESS && opt->echo)
			echo_line(fd, out);
		close(fd);
	} while (again);
}

/* Adds the echoes that are there, or come within wait_ms, each once. */
static void collect_echoes(int fd, unsigned int total, unsigned char *seen, struct outcome *out,
			   int wait_ms)
{
	double end = now(CLOCK_MONOTONIC) + wait_ms / 1e3;
	struct pollfd pfd = {fd, POLLIN, 0};
	char text[DATAGRAM_MAX];

	while (out->echoed < total && !time_is_up) {
		int left = (int)((end - now(CLOCK_MONOTONIC)) * 1e3);
		unsigned int number;
		ssize_t len;

		if (poll(&pfd, 1, left > 0 ? left : 0) <= 0)
			return;
		len = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);
		if (len < 0) {
			if (errno != EAGAIN && errno < ERRNO_MAX)
				out->errnos[errno]++;
			continue;
		}
		text[len] = '\0';
		if (sscanf(text, "probe %*d %u", &number) == 1 && number < total && !seen[number]) {
			seen[number] = 1;
			out->echoed++;
		}
	}
}

static int try_send(const struct options *opt, int fd, unsigned int number, struct outcome *out)
{
	char text[64], control[CMSG_SPACE(sizeof(int))] = {0};
	union address to = opt->to;
	struct iovec iov = {text, (size_t)sprintf(text, "probe %d %u", getpid(), number)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	double start;
	int err;

	if (!opt->connected) {
		msg.msg_name = &to;
		msg.msg_namelen = address_len(&to);
		if (opt->unspec)
			to.sa.sa_family = AF_UNSPEC;
	}
	if (opt->cmsg) {
		bool v4 = opt->to.sa.sa_family == AF_INET;
		struct cmsghdr *head;

		msg.msg_control = control;
		msg.msg_controllen = sizeof(control);
		head = CMSG_FIRSTHDR(&msg);
		head->cmsg_level = v4 ? IPPROTO_IP : IPPROTO_IPV6;
		head->cmsg_type = v4 ? IP_TOS : IPV6_TCLASS;
		head->cmsg_len = CMSG_LEN(sizeof(int));
		*(int *)CMSG_DATA(head) = 0x10;
	}
	start = now(CLOCK_MONOTONIC);
	err = sendmsg(fd, &msg, 0) < 0 ? -errno : 0;
	out->call_s = now(CLOCK_MONOTONIC) - start;
	return err;
}

static void run_udp(const struct options *opt, struct outcome *out)
{
	unsigned char *seen = calloc(opt->count, 1);
	int fd = open_socket(opt, SOCK_DGRAM);
	bool again = true;

	if (!seen)
		die("calloc");
	while (opt->connected && again)
		again = count_attempt(opt, out, try_connect(opt, fd, out));
	for (unsigned int i = 0; i < opt->count && out->status == EXIT_SUCCESS; i++) {
		while (count_attempt(opt, out, try_send(opt, fd, i, out)))
			;
		if (out->status == EXIT_SUCCESS)
			out->sent++;
		collect_echoes(fd, out->sent, seen, out, opt->interval_ms);
	}
	if (out->sent)
		collect_echoes(fd, out->sent, seen, out, opt->wait_ms);
	free(seen);
	close(fd);
}

static void print_time(const char *name, const struct timespec *ts)
{
	printf(",\"%s\":%lld.%09ld", name, (long long)ts->tv_sec, ts->tv_nsec);
}

static void print_outcome(const char *proto, const struct outcome *out,
			  const struct timespec *start, double elapsed)
{
	const char *comma = "";
	struct timespec finish;

	clock_gettime(CLOCK_REALTIME, &finish);
	printf("{\"proto\":\"%s\",\"ok\":%s,\"attempts\":%u,\"errnos\":{", proto,
	       out->status == EXIT_SUCCESS ? "true" : "false", out->attempts);
	for (int i = 1; i < ERRNO_MAX; i++) {
		const char *name = strerrorname_np(i);

		if (!out->errnos[i])
			continue;
		if (name)
			printf("%s\"%s\":%u", comma, name, out->errnos[i]);
		else
			printf("%s\"%d\":%u", comma, i, out->errnos[i]);
		comma = ",";
	}
	printf("},\"sent_ok\":%u,\"echoed\":%u,\"call_s\":%.9f,\"elapsed_s\":%.9f", out->sent,
	       out->echoed, out->call_s, elapsed);
	print_time("started", start);
	print_time("finished", &finish);
	puts("}");
}

/* No SA_RESTART: a call that hangs when time is up returns EINTR. */
static void on_alarm(int sig)
{
	(void)sig;
	time_is_up = 1;
}

static void start_timer(double seconds)
{
	struct sigaction act = {.sa_handler = on_alarm};
	/* Again and again, should the first find no call to interrupt. */
	struct itimerval timer = {.it_interval.tv_usec = 50000};

	timer.it_value.tv_sec = (time_t)seconds;
	timer.it_value.tv_usec = (suseconds_t)((seconds - (double)timer.it_value.tv_sec) * 1e6);
	sigaction(SIGALRM, &act, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
}

/* The server */

static void print_received(const char *proto, const union address *peer, const char *text,
			   ssize_t len)
{
	char host[INET6_ADDRSTRLEN] = "?";
	struct timespec ts;
	uint16_t port;

	if (peer->sa.sa_family == AF_INET) {
		inet_ntop(AF_INET, &peer->v4.sin_addr, host, sizeof(host));
		port = ntohs(peer->v4.sin_port);
	} else {
		inet_ntop(AF_INET6, &peer->v6.sin6_addr, host, sizeof(host));
		port = ntohs(peer->v6.sin6_port);
	}
	clock_gettime(CLOCK_REALTIME, &ts);
	printf("{\"event\":\"%s\",\"from\":\"%s\",\"sport\":%u", proto, host, port);
	if (text) {
		printf(",\"data\":\"");
		for (ssize_t i = 0; i < len; i++)
			if (text[i] >= ' ' && text[i] < 127 && text[i] != '"' && text[i] != '\\')
				putchar(text[i]);
		putchar('"');
	}
	print_time("time", &ts);
	puts("}");
}

static int open_server(int family, int type, uint16_t port)
{
	union address addr = {.sa.sa_family = (sa_family_t)family};
	int one = 1;
	int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		die("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (family == AF_INET6) {
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
		addr.v6.sin6_port = htons(port);
	} else {
		addr.v4.sin_port = htons(port);
	}
	if (bind(fd, &addr.sa, address_len(&addr)))
		die("bind");
	if (type == SOCK_STREAM && listen(fd, 1024))
		die("listen");
	return fd;
}

static void serve_datagrams(int fd)
{
	char text[DATAGRAM_MAX];
	union address peer;

	for (;;) {
		socklen_t len = sizeof(peer);
		ssize_t got = recvfrom(fd, text, sizeof(text), MSG_DONTWAIT, &peer.sa, &len);

		if (got < 0)
			return;
		print_received("udp", &peer, text, got);
		sendto(fd, text, (size_t)got, 0, &peer.sa, len);
	}
}

/* A client whose last packet was dropped is not kept for ever: 30 + 6 * 10 seconds. */
static void forget_dead(int fd)
{
	const int one = 1, idle = 30, every = 10, tries = 6;

	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof(every));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &tries, sizeof(tries));
}

/* Returns the new connection, or -1. */
static int serve_accept(int fd)
{
	union address peer;
	socklen_t len = sizeof(peer);
	int client = accept4(fd, &peer.sa, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (client >= 0) {
		forget_dead(client);
		print_received("tcp", &peer, NULL, 0);
	}
	return client;
}

/* Returns false when the connection is over. */
static bool serve_stream(int fd)
{
	char text[DATAGRAM_MAX];
	ssize_t got = recv(fd, text, sizeof(text), MSG_DONTWAIT);

	if (got < 0)
		return errno == EAGAIN;
	return got > 0 && send(fd, text, (size_t)got, MSG_NOSIGNAL) == got;
}

static int run_serve(uint16_t port)
{
	enum { TCP4, TCP6, UDP4, UDP6, SERVERS };
	struct pollfd pfds[SERVERS + CLIENTS_MAX] = {
		[TCP4] = {open_server(AF_INET, SOCK_STREAM, port), POLLIN, 0},
		[TCP6] = {open_server(AF_INET6, SOCK_STREAM, port), POLLIN, 0},
		[UDP4] = {open_server(AF_INET, SOCK_DGRAM, port), POLLIN, 0},
		[UDP6] = {open_server(AF_INET6, SOCK_DGRAM, port), POLLIN, 0},
	};
	nfds_t n = SERVERS;

	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("{\"event\":\"ready\",\"port\":%u}\n", port);
	while (!time_is_up) {
		if (poll(pfds, n, -1) < 0)
			continue;
		for (nfds_t i = n; i-- > SERVERS;) {
			if (pfds[i].revents && !serve_stream(pfds[i].fd)) {
				close(pfds[i].fd);
				pfds[i] = pfds[--n];
			}
		}
		for (int i = TCP4; i <= TCP6; i++) {
			int client = pfds[i].revents ? serve_accept(pfds[i].fd) : -1;

			if (client >= 0 && n < SERVERS + CLIENTS_MAX)
				pfds[n++] = (struct pollfd){client, POLLIN, 0};
			else if (client >= 0)
				close(client);
		}
		for (int i = UDP4; i <= UDP6; i++)
			if (pfds[i].revents)
				serve_datagrams(pfds[i].fd);
	}
	return EXIT_SUCCESS;
}

static void parse_options(struct options *opt, int argc, char **argv, const char **bind_to)
{
	enum {
		EVERY = 1,
		ON,
		FOR,
		BIND,
		MARK,
		MAPPED,
		NONBLOCK,
		ECHO_,
		CONNECTED,
		CMSG,
		UNSPEC,
		COUNT,
		INTERVAL,
		WAIT
	};
	static const struct option table[] = {{"retry-every", required_argument, NULL, EVERY},
					      {"retry-on", required_argument, NULL, ON},
					      {"for", required_argument, NULL, FOR},
					      {"bind", required_argument, NULL, BIND},
					      {"mark", required_argument, NULL, MARK},
					      {"v4mapped", no_argument, NULL, MAPPED},
					      {"nonblock", no_argument, NULL, NONBLOCK},
					      {"echo", no_argument, NULL, ECHO_},
					      {"connected", no_argument, NULL, CONNECTED},
					      {"cmsg", no_argument, NULL, CMSG},
					      {"unspec", no_argument, NULL, UNSPEC},
					      {"count", required_argument, NULL, COUNT},
					      {"interval", required_argument, NULL, INTERVAL},
					      {"wait", required_argument, NULL, WAIT},
					      {0}};
	int c;

	while ((c = getopt_long(argc, argv, "", table, NULL)) != -1) {
		switch (c) {
		case EVERY:
			opt->retry_ms = (int)parse_number("--retry-every", optarg, 60000);
			break;
		case ON:
			opt->retry_errno = parse_errno(optarg);
			break;
		case FOR:
			opt->limit_s = strtod(optarg, NULL);
			break;
		case BIND:
			*bind_to = optarg;
			break;
		case MARK:
			opt->mark = (uint32_t)parse_number("--mark", optarg, UINT32_MAX);
			opt->has_mark = true;
			break;
		case MAPPED:
			opt->v4mapped = true;
			break;
		case NONBLOCK:
			opt->nonblock = true;
			break;
		case ECHO_:
			opt->echo = true;
			break;
		case CONNECTED:
			opt->connected = true;
			break;
		case CMSG:
			opt->connected = opt->cmsg = true;
			break;
		case UNSPEC:
			opt->unspec = true;
			break;
		case COUNT:
			opt->count = (unsigned int)parse_number("--count", optarg, COUNT_MAX);
			break;
		case INTERVAL:
			opt->interval_ms = (int)parse_number("--interval", optarg, 60000);
			break;
		case WAIT:
			opt->wait_ms = (int)parse_number("--wait", optarg, 600000);
			break;
		default:
			exit(2);
		}
	}
}

static int run_client(const char *proto, const struct options *opt)
{
	static struct outcome out;
	struct timespec start;
	double begin = now(CLOCK_MONOTONIC);

	clock_gettime(CLOCK_REALTIME, &start);
	if (!strcmp(proto, "tcp"))
		run_tcp(opt, &out);
	else
		run_udp(opt, &out);
	print_outcome(proto, &out, &start, now(CLOCK_MONOTONIC) - begin);
	return out.status;
}

int main(int argc, char **argv)
{
	struct options opt = {
		.retry_errno = EAGAIN, .retry_ms = 20, .wait_ms = 1000, .limit_s = 10, .count = 1};
	const char *bind_to = NULL;
	char **args;
	bool serve;

	if (argc > 1 && !strcmp(argv[1], "--help")) {
		usage(stdout);
		return EXIT_SUCCESS;
	}
	serve = argc > 1 && !strcmp(argv[1], "serve");
	if (serve)
		opt.limit_s = 0;
	parse_options(&opt, argc, argv, &bind_to);
	args = argv + optind;
	if (argc - optind != (serve ? 2 : 3) ||
	    (!serve && strcmp(args[0], "tcp") && strcmp(args[0], "udp"))) {
		usage(stderr);
		return 2;
	}
	if (serve) {
		if (opt.limit_s > 0)
			start_timer(opt.limit_s);
		return run_serve((uint16_t)parse_number("port", args[1], UINT16_MAX));
	}
	address_set(&opt.to, args[1], (uint16_t)parse_number("port", args[2], UINT16_MAX));
	if (bind_to)
		parse_bind(&opt, bind_to);
	if (opt.v4mapped) {
		address_map(&opt.to);
		if (opt.has_from)
			address_map(&opt.from);
	}
	/* One attempt is bounded too: --for 0 is "one", not "for ever". */
	start_timer(opt.limit_s > 0 ? opt.limit_s : 10);
	return run_client(args[0], &opt);
}
