// SPDX-License-Identifier: GPL-2.0-only
#include <grp.h>
#include <linux/capability.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "way.h"

#define NOBODY 65534

bool patient;
unsigned char body[LENGTH] = "sagate's matrix";

static int say_fd;
static bool is_staged;

static void say(int what, int err)
{
	struct report r = {.what = what, .err = err};

	if (send(say_fd, &r, sizeof(r), MSG_NOSIGNAL) < 0)
		_exit(1);
}

void stage(void)
{
	char go;

	if (!is_staged)
		return;
	is_staged = false;
	say(STAGED, 0);
	if (recv(say_fd, &go, 1, 0) != 1)
		_exit(1);
}

/* It stays until it is killed: its sockets do what they do by themselves. */
static void finish(int what, int err)
{
	say(what, err);
	for (;;)
		pause();
}

void not_here(int err)
{
	finish(NOT_HERE, err);
	_exit(0);
}

static void move(int procs)
{
	if (write(procs, "0", 1) < 0)
		_exit(3);
}

void enter_gate(void)
{
	move(world.inside);
}

void leave_gate(void)
{
	move(world.outside);
}

/* Nobody, with one capability at most. */
static void drop(int cap)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{0}};

	if (cap >= 0) {
		prctl(PR_SET_KEEPCAPS, 1);
		data[cap / 32].effective = data[cap / 32].permitted = 1U << cap % 32;
	}
	if (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
	    setresuid(NOBODY, NOBODY, NOBODY) || syscall(SYS_capset, &head, data))
		_exit(4);
}

void child_run(const struct way *w, int fd, bool staged)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	say_fd = fd;
	is_staged = staged;
	if (!(w->flags & OUTSIDE))
		enter_gate();
	drop(w->cap);
	finish(DONE, -w->go(w));
	_exit(0);
}

union name name_of(enum to to, const char *host, uint16_t port)
{
	union name n = {.v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)}};
	struct in_addr v4;

	if (to == TO4 || to == TO_IN6) {
		n.v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
		inet_pton(AF_INET, host, &n.v4.sin_addr);
	} else if (to == TO6) {
		inet_pton(AF_INET6, host, &n.v6.sin6_addr);
	} else {
		inet_pton(AF_INET, host, &v4);
		n.v6.sin6_addr.s6_addr[10] = n.v6.sin6_addr.s6_addr[11] = 0xff;
		memcpy(&n.v6.sin6_addr.s6_addr[12], &v4, 4);
	}
	return n;
}

/* Only what looks at ports has one: of a raw socket it would be the protocol. */
union name peer_name(const struct way *w)
{
	bool has_port =
		w->type != SOCK_RAW && w->proto != IPPROTO_ICMP && w->proto != IPPROTO_ICMPV6;

	if (w->flags & ELSEWHERE)
		return name_of(w->to, w->to == TO6 ? VIA6 : VIA4, has_port ? PORT : 0);
	return name_of(w->to, w->to == TO6 ? PEER6 : PEER4, has_port ? PORT : 0);
}

socklen_t name_len(const union name *n)
{
	return n->sa.sa_family == AF_INET ? sizeof(n->v4) : sizeof(n->v6);
}

int family_of(const struct way *w)
{
	return w->to == TO4 ? AF_INET : AF_INET6;
}

int way_socket(const struct way *w)
{
	struct timeval limit = {.tv_sec = patient ? 60 : 0, .tv_usec = patient ? 0 : 500000};
	struct linger reset = {1, 0};
	int fd = socket(family_of(w), w->type | SOCK_CLOEXEC, w->proto);

	if (fd < 0)
		not_here(errno);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (w->type == SOCK_STREAM || w->type == SOCK_SEQPACKET)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	return fd;
}

void want(int fd, int level, int option, int value)
{
	if (setsockopt(fd, level, option, &value, sizeof(value)))
		not_here(errno);
}

int way_connect(const struct way *w, int fd)
{
	union name to = peer_name(w);

	return connect(fd, &to.sa, name_len(&to)) && errno != EINPROGRESS ? -errno : 0;
}

size_t way_body(const struct way *w, unsigned char out[LENGTH])
{
	memcpy(out, body, LENGTH);
	if (w->proto == IPPROTO_ICMP)
		memcpy(out, &(struct icmphdr){.type = ICMP_ECHO}, sizeof(struct icmphdr));
	else if (w->proto == IPPROTO_ICMPV6)
		memcpy(out, &(struct icmp6_hdr){.icmp6_type = ICMP6_ECHO_REQUEST},
		       sizeof(struct icmp6_hdr));
	return LENGTH;
}

int way_send(const struct way *w, int fd)
{
	unsigned char out[LENGTH];

	return send(fd, out, way_body(w, out), MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int way_sendto(const struct way *w, int fd)
{
	union name to = peer_name(w);
	unsigned char out[LENGTH];

	return sendto(fd, out, way_body(w, out), MSG_NOSIGNAL, &to.sa, name_len(&to)) < 0 ? -errno
											  : 0;
}

int way_sendmsg(const struct way *w, int fd, bool connected, int level, int type, const void *data,
		size_t size)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(64)];
	} control = {.head = {.cmsg_level = level, .cmsg_type = type, .cmsg_len = CMSG_LEN(size)}};
	union name to = peer_name(w);
	unsigned char out[LENGTH];
	struct iovec text = {.iov_base = out, .iov_len = way_body(w, out)};
	struct msghdr m = {.msg_name = connected ? NULL : &to,
			   .msg_namelen = connected ? 0 : name_len(&to),
			   .msg_iov = &text,
			   .msg_iovlen = 1,
			   .msg_control = &control,
			   .msg_controllen = CMSG_SPACE(size)};

	memcpy(CMSG_DATA(&control.head), data, size);
	return sendmsg(fd, &m, MSG_NOSIGNAL) < 0 ? -errno : 0;
}
