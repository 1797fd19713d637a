// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi.h"
#include "cleanup.h"
#include "gate_probe.h"

#ifndef MSG_PROBE
#define MSG_PROBE 0x10 /* linux/socket.h */
#endif

#define CHILD_CGROUP "sagate-probe"

enum { REST = 20 };

void gate_probe_init(struct gate_probe *p)
{
	*p = (struct gate_probe){.sockets = {-1, -1}, .from = -1};
}

static int enter(int cgroup_fd)
{
	_cleanup_close_ int fd = openat(cgroup_fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);

	return fd < 0 || write(fd, "0", 1) != 1 ? -errno : 0;
}

/* A cgroup that gives its controllers to child cgroups takes no process: one of its own then. */
static int enter_below(int cgroup_fd)
{
	_cleanup_close_ int below = -1;
	int err;

	if (mkdirat(cgroup_fd, CHILD_CGROUP, 0700) && errno != EEXIST)
		return -errno;
	below = openat(cgroup_fd, CHILD_CGROUP, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	err = below < 0 ? -errno : enter(below);
	if (err)
		unlinkat(cgroup_fd, CHILD_CGROUP, AT_REMOVEDIR);
	return err;
}

/* In the child: two sockets of that cgroup go to the daemon, or why there are none. */
static __attribute__((noreturn)) void make_sockets(int cgroup_fd, int to)
{
	union {
		char buf[CMSG_SPACE(2 * sizeof(int))];
		struct cmsghdr head;
	} control = {.head = {.cmsg_len = CMSG_LEN(2 * sizeof(int)),
			      .cmsg_level = SOL_SOCKET,
			      .cmsg_type = SCM_RIGHTS}};
	unsigned char error; /* errno */
	struct iovec iov = {.iov_base = &error, .iov_len = 1};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	int fds[2], err;

	dup2(cgroup_fd, 0);
	dup2(to, 1);
	close_range(3, ~0U, 0);
	err = enter(0);
	if (err == -EBUSY)
		err = enter_below(0);
	fds[0] = err ? -1 : socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (!err && fds[0] < 0)
		err = -errno;
	error = (unsigned char)-err;
	if (!err) {
		fds[1] = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (fds[1] < 0)
			fds[1] = fds[0]; /* a host without IPv6 */
		memcpy(CMSG_DATA(&control.head), fds, sizeof(fds));
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
	}
	_exit(sendmsg(1, &msg, MSG_NOSIGNAL) < 0 ? 1 : 0);
}

static bool file_has(int dir, const char *name, const char *what)
{
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	char text[256];
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	return strstr(text, what);
}

/* A child in it would not come back before it is thawed, with all of the daemon's descriptors. */
static bool is_frozen(int cgroup_fd)
{
	return file_has(cgroup_fd, "cgroup.freeze", "1") ||
	       file_has(cgroup_fd, "cgroup.events", "frozen 1"); /* or one above it */
}

static int begin(struct gate_probe *p, int cgroup_fd)
{
	int fds[2];
	pid_t pid;

	if (is_frozen(cgroup_fd))
		return -EBUSY;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds))
		return -errno;
	/* not clone3() into the cgroup: filters of system calls refuse it */
	pid = fork();
	if (!pid)
		make_sockets(cgroup_fd, fds[1]);
	close(fds[1]);
	if (pid < 0) {
		close(fds[0]);
		return -errno;
	}
	p->child = pid;
	p->from = fds[0];
	return 0;
}

static void reap(struct gate_probe *p, int cgroup_fd)
{
	if (!p->child || !waitpid(p->child, NULL, WNOHANG))
		return;
	p->child = 0;
	unlinkat(cgroup_fd, CHILD_CGROUP, AT_REMOVEDIR); /* see enter_below() */
}

/* What the child sent: -EAGAIN: nothing yet. */
static int receive(struct gate_probe *p)
{
	union {
		char buf[CMSG_SPACE(2 * sizeof(int))];
		struct cmsghdr head;
	} control = {};
	unsigned char error;
	struct iovec iov = {.iov_base = &error, .iov_len = 1};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(p->from, &msg, MSG_CMSG_CLOEXEC);

	if (n < 0)
		return -errno;
	if (n && error)
		return -error;
	if (!n || !CMSG_FIRSTHDR(&msg) || control.head.cmsg_len != CMSG_LEN(2 * sizeof(int)))
		return -ECHILD; /* it was killed */
	memcpy(p->sockets, CMSG_DATA(&control.head), sizeof(p->sockets));
	for (int i = 0; i < 2; i++)
		if (setsockopt(p->sockets[i], SOL_SOCKET, SO_BINDTODEVICE, "lo", 3))
			return -errno;
	return 0;
}

static void drop(struct gate_probe *p)
{
	for (int i = 0; i < 2; i++) {
		cleanup_close(&p->sockets[i]);
		p->sockets[i] = -1;
	}
	cleanup_close(&p->from);
	p->from = -1;
}

static void failed(struct gate_probe *p, int err)
{
	drop(p);
	p->err = err;
	p->resting = REST;
}

bool gate_probe_ready(struct gate_probe *p, int cgroup_fd)
{
	int err;

	reap(p, cgroup_fd);
	if (p->sockets[0] >= 0)
		return true;
	if (p->resting) {
		p->resting--;
		return false;
	}
	err = p->from < 0 && !p->child ? begin(p, cgroup_fd) : 0;
	if (!err && p->from >= 0)
		err = receive(p);
	if (!err)
		p->err = 0;
	else if (err != -EAGAIN)
		failed(p, err);
	return !err && p->sockets[0] >= 0;
}

static socklen_t address(enum hook hook, struct sockaddr_storage *to)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)to;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)to;

	memset(to, 0, sizeof(*to));
	if (hook == HOOK_CONNECT4 || hook == HOOK_SENDMSG4) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(PROBE_PORT);
		v4->sin_addr.s_addr = htonl(PROBE_IPV4);
		return sizeof(*v4);
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(PROBE_PORT);
	v6->sin6_addr.s6_addr32[0] = htonl(PROBE_IPV6_0);
	v6->sin6_addr.s6_addr32[1] = htonl(PROBE_IPV6_1);
	return sizeof(*v6);
}

static int disconnect(int fd)
{
	const struct sockaddr none = {.sa_family = AF_UNSPEC};

	return connect(fd, &none, sizeof(none));
}

int gate_probe_ask(const struct gate_probe *p, enum hook hook)
{
	bool connects = hook == HOOK_CONNECT4 || hook == HOOK_CONNECT6;
	int fd = p->sockets[hook == HOOK_CONNECT6 || hook == HOOK_SENDMSG6];
	struct sockaddr_storage to;
	socklen_t len = address(hook, &to);
	long r;

	if (connects)
		r = connect(fd, (struct sockaddr *)&to, len);
	else
		r = sendto(fd, "", 0, MSG_CONFIRM | MSG_PROBE | MSG_NOSIGNAL,
			   (struct sockaddr *)&to, len);
	if (r < 0)
		return errno == PROBE_ERRNO ? 0 : errno;
	if (connects)
		disconnect(fd);
	return -1;
}

void gate_probe_end(struct gate_probe *p)
{
	drop(p);
	if (p->child) {
		kill(p->child, SIGKILL);
		waitpid(p->child, NULL, 0);
	}
	p->child = 0;
}
