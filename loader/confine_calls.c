// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "confine_calls.h"

#define CALL(name) SCMP_SYS(name)

/* What both do: files and folders of cgroups, a pipe, memory, an end. */
static const int both[] = {
	CALL(read),
	CALL(write),
	CALL(readv),
	CALL(writev),
	CALL(pread64),
	CALL(pwrite64),
	CALL(lseek),
	CALL(openat),
	CALL(open),
	CALL(close),
	CALL(close_range),
	CALL(fstat),
	CALL(newfstatat),
	CALL(stat),
	CALL(lstat),
	CALL(statx),
	CALL(statfs),
	CALL(fstatfs),
	CALL(getdents64),
	CALL(fcntl),
	CALL(rmdir),
	CALL(unlinkat),
	CALL(brk),
	CALL(munmap),
	CALL(mremap),
	CALL(madvise),
	CALL(poll),
	CALL(ppoll),
	CALL(restart_syscall),
	CALL(futex),
	CALL(clock_gettime),
	CALL(gettimeofday),
	CALL(rt_sigaction),
	CALL(rt_sigprocmask),
	CALL(rt_sigreturn),
	CALL(exit),
	CALL(exit_group),
	CALL(getpid),
	CALL(gettid),
	CALL(tgkill),
	CALL(getrandom),
	CALL(sched_yield),
	CALL(set_robust_list),
	CALL(rseq),
};

static const int daemons[] = {
	/* BPF; cgroups by their id; waiting rooms; the mount option of cgroupfs */
	CALL(bpf),
	CALL(open_by_handle_at),
	CALL(name_to_handle_at),
	CALL(mkdir),
	CALL(mkdirat),
	CALL(fspick),
	CALL(fsconfig),
	/* pins, and the control socket's place */
	CALL(access),
	CALL(faccessat),
	CALL(faccessat2),
	CALL(readlink),
	CALL(readlinkat),
	CALL(unlink),
	CALL(rename),
	CALL(renameat),
	CALL(renameat2),
	CALL(flock),
	CALL(fchmod),
	CALL(dup),
	CALL(dup2),
	CALL(dup3),
	CALL(pipe2),
	CALL(getcwd),
	CALL(umask),
	/* sockets: those that there are, and of these families */
	CALL(connect),
	CALL(bind),
	CALL(listen),
	CALL(accept),
	CALL(accept4),
	CALL(shutdown),
	CALL(getsockopt),
	CALL(setsockopt),
	CALL(getsockname),
	CALL(getpeername),
	CALL(sendto),
	CALL(recvfrom),
	CALL(sendmsg),
	CALL(recvmsg),
	CALL(sendmmsg),
	CALL(recvmmsg),
	/* the loop */
	CALL(epoll_create1),
	CALL(epoll_ctl),
	CALL(epoll_wait),
	CALL(epoll_pwait),
	CALL(epoll_pwait2),
	CALL(eventfd2),
	CALL(timerfd_create),
	CALL(timerfd_settime),
	CALL(timerfd_gettime),
	CALL(signalfd4),
	CALL(clock_getres),
	CALL(clock_nanosleep),
	CALL(nanosleep),
	CALL(pselect6),
	/* what it is and where; the keeper's end */
	CALL(getppid),
	CALL(getuid),
	CALL(geteuid),
	CALL(getgid),
	CALL(getegid),
	CALL(getpriority),
	CALL(getrlimit),
	CALL(prlimit64),
	CALL(sched_getaffinity),
	CALL(uname),
	CALL(sysinfo),
	CALL(wait4),
	CALL(waitid),
	CALL(getrusage),
	/* a keeper that died is started again: it confines itself further */
	CALL(setsid),
	CALL(capget),
	CALL(capset),
	CALL(seccomp),
	CALL(set_tid_address),
};

/* Nothing of ours calls these: whoever does is somebody else. */
static const int never[] = {
	CALL(execve),
	CALL(execveat),
	CALL(ptrace),
	CALL(process_vm_readv),
	CALL(process_vm_writev),
	CALL(init_module),
	CALL(finit_module),
	CALL(delete_module),
	CALL(kexec_load),
	CALL(mount),
	CALL(umount2),
	CALL(pivot_root),
	CALL(chroot),
	CALL(unshare),
	CALL(move_mount),
	CALL(open_tree),
	CALL(reboot),
	CALL(iopl),
	CALL(ioperm),
	CALL(userfaultfd),
	CALL(perf_event_open),
	CALL(add_key),
	CALL(keyctl),
	CALL(request_key),
	CALL(io_uring_setup),
	CALL(setuid),
	CALL(setresuid),
	CALL(setreuid),
	CALL(setgid),
	CALL(setresgid),
	CALL(setregid),
	CALL(setgroups),
	CALL(swapon),
};

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static int add_all(scmp_filter_ctx f, uint32_t action, const int *calls, size_t count)
{
	int err = 0;

	for (size_t i = 0; i < count && !err; i++)
		err = seccomp_rule_add(f, action, calls[i], 0);
	return err;
}

/* Memory is written or run, never both, and what is there is not made to run. */
static int add_memory(scmp_filter_ctx f)
{
	int err = seccomp_rule_add(f, SCMP_ACT_ALLOW, CALL(mmap), 1,
				   SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));

	if (!err) /* name services are loaded when they are first asked */
		err = seccomp_rule_add(f, SCMP_ACT_ALLOW, CALL(mmap), 1,
				       SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_WRITE, 0));
	return err
		       ?: seccomp_rule_add(f, SCMP_ACT_ALLOW, CALL(mprotect), 1,
					   SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
}

static int add_family(scmp_filter_ctx f, int family)
{
	int err = seccomp_rule_add(f, SCMP_ACT_ALLOW, CALL(socket), 1,
				   SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)family));

	return err
		       ?: seccomp_rule_add(f, SCMP_ACT_ALLOW, CALL(socketpair), 1,
					   SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)family));
}

static int add_datagrams(scmp_filter_ctx f, int family)
{
	return seccomp_rule_add(f, SCMP_ACT_ALLOW, CALL(socket), 2,
				SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)family),
				SCMP_A1(SCMP_CMP_MASKED_EQ,
					~(scmp_datum_t)(SOCK_CLOEXEC | SOCK_NONBLOCK), SOCK_DGRAM));
}

/* A process, but no namespace of its own. */
static int add_fork(scmp_filter_ctx f)
{
	const scmp_datum_t namespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS |
					CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
	int err = seccomp_rule_add(f, SCMP_ACT_ALLOW, CALL(clone), 1,
				   SCMP_A0(SCMP_CMP_MASKED_EQ, namespaces, 0));

	if (!err) /* its flags are in memory; glibc then does with clone() */
		err = seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), CALL(clone3), 0);
	return err ?: seccomp_rule_add(f, SCMP_ACT_ALLOW, CALL(fork), 0);
}

static int add_prctl(scmp_filter_ctx f)
{
	static const int options[] = {PR_SET_NAME,     PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP,
				      PR_CAPBSET_READ, PR_CAPBSET_DROP,	    PR_CAP_AMBIENT};
	int err = 0;

	for (size_t i = 0; i < COUNT(options) && !err; i++)
		err = seccomp_rule_add(f, SCMP_ACT_ALLOW, CALL(prctl), 1,
				       SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)options[i]));
	return err;
}

static int add_daemons(scmp_filter_ctx f)
{
	int err = add_all(f, SCMP_ACT_ALLOW, daemons, COUNT(daemons));

	err = err ?: add_family(f, AF_UNIX);
	err = err ?: add_family(f, AF_NETLINK);
	/* the child that makes a gate's sockets: see gate_probe.c */
	err = err ?: add_datagrams(f, AF_INET);
	err = err ?: add_datagrams(f, AF_INET6);
	err = err
		      ?: seccomp_rule_add(f, SCMP_ACT_ALLOW, CALL(kill), 1,
					  SCMP_A1(SCMP_CMP_EQ, SIGKILL));
	err = err ?: add_fork(f);
	err = err ?: add_prctl(f);
	/* of the namespaces a network's only */
	err = err
		      ?: seccomp_rule_add(f, SCMP_ACT_ALLOW, CALL(setns), 1,
					  SCMP_A1(SCMP_CMP_EQ, CLONE_NEWNET));
	/* a terminal is not typed into */
	return err
		       ?: seccomp_rule_add(f, SCMP_ACT_ALLOW, CALL(ioctl), 1,
					   SCMP_A1(SCMP_CMP_NE, TIOCSTI));
}

int confine_calls(enum confined who)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int err;

	if (!f)
		return -ENOMEM;
	err = add_all(f, SCMP_ACT_ALLOW, both, COUNT(both));
	err = err ?: add_all(f, SCMP_ACT_KILL_PROCESS, never, COUNT(never));
	err = err ?: add_memory(f);
	if (who == CONFINED_DAEMON)
		err = err ?: add_daemons(f);
	err = err ?: seccomp_load(f);
	seccomp_release(f);
	return err;
}
