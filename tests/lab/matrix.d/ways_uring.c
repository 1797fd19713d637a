// SPDX-License-Identifier: GPL-2.0-only
/* io_uring, by its system calls. */
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "way.h"

struct ring {
	int fd;
	unsigned char *sq, *cq;
	struct io_uring_sqe *sqes;
	struct io_uring_params p;
};

static void ring_open(struct ring *r, unsigned int flags)
{
	memset(r, 0, sizeof(*r));
	r->p.flags = flags;
	r->p.sq_thread_idle = 50;
	r->fd = (int)syscall(SYS_io_uring_setup, 2, &r->p);
	if (r->fd < 0)
		not_here(errno);
	r->sq = mmap(NULL, r->p.sq_off.array + 64, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd,
		     IORING_OFF_SQ_RING);
	r->cq = mmap(NULL, r->p.cq_off.cqes + 4 * sizeof(struct io_uring_cqe),
		     PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, IORING_OFF_CQ_RING);
	r->sqes = mmap(NULL, 2 * sizeof(*r->sqes), PROT_READ | PROT_WRITE, MAP_SHARED, r->fd,
		       IORING_OFF_SQES);
	if (r->sq == MAP_FAILED || r->cq == MAP_FAILED || r->sqes == MAP_FAILED)
		not_here(errno);
}

/* One request and its first result: 0 or more, or -errno. */
static int ring_do(struct ring *r, const struct io_uring_sqe *request)
{
	unsigned int *tail = (void *)(r->sq + r->p.sq_off.tail);
	unsigned int *head = (void *)(r->cq + r->p.cq_off.head);
	const struct io_uring_cqe *done = (void *)(r->cq + r->p.cq_off.cqes);
	bool polled = r->p.flags & IORING_SETUP_SQPOLL;

	r->sqes[0] = *request;
	((unsigned int *)(void *)(r->sq + r->p.sq_off.array))[*tail & 1] = 0;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, r->fd, polled ? 0 : 1, 1,
		    IORING_ENTER_GETEVENTS | (polled ? IORING_ENTER_SQ_WAKEUP : 0), NULL, 0) < 0)
		return -errno;
	return done[(*head)++ & (r->p.cq_entries - 1)].res;
}

static int ring_connect(const struct way *w, unsigned int flags, uint8_t how)
{
	union name to = peer_name(w);
	struct io_uring_sqe request = {
		.opcode = IORING_OP_CONNECT, .flags = how, .fd = way_socket(w)};
	struct ring r;
	int err;

	request.addr = (uintptr_t)&to;
	request.off = name_len(&to);
	ring_open(&r, flags);
	stage();
	err = ring_do(&r, &request);
	return err < 0 ? err : 0;
}

WAY(go_uring_connect)
{
	return ring_connect(w, 0, 0);
}

/* A thread of the kernel's makes the call. */
WAY(go_uring_sqpoll)
{
	return ring_connect(w, IORING_SETUP_SQPOLL, 0);
}

WAY(go_uring_worker)
{
	return ring_connect(w, 0, IOSQE_ASYNC);
}

/* The socket, too, is made by a thread of the kernel's. */
WAY(go_uring_socket)
{
	struct io_uring_sqe request = {.opcode = IORING_OP_SOCKET, .fd = family_of(w)};
	struct ring r;
	int fd;

	request.off = (uint64_t)w->type;
	request.len = (uint32_t)w->proto;
	ring_open(&r, IORING_SETUP_SQPOLL);
	fd = ring_do(&r, &request);
	if (fd < 0)
		not_here(-fd);
	stage();
	return way_sendto(w, fd);
}

/* arg: IORING_OP_SENDMSG, unconnected; SEND, WRITE and SEND_ZC connected. */
WAY(go_uring_send)
{
	union name to = peer_name(w);
	struct iovec text = {body, LENGTH};
	struct msghdr m = {
		.msg_name = &to, .msg_namelen = name_len(&to), .msg_iov = &text, .msg_iovlen = 1};
	bool named = w->arg == IORING_OP_SENDMSG;
	int fd = way_socket(w), err = named ? 0 : way_connect(w, fd);
	struct io_uring_sqe request = {.opcode = (uint8_t)w->arg, .fd = fd};
	struct ring r;

	request.addr = (uintptr_t)(named ? (void *)&m : body);
	request.len = named ? 1 : LENGTH;
	ring_open(&r, 0);
	stage();
	if (!err)
		err = ring_do(&r, &request);
	return err < 0 ? err : 0;
}
