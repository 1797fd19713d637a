// SPDX-License-Identifier: GPL-2.0-only
/* What the daemon and its keeper can no longer do, each tried by a child that gave it up. */
/* needs: loader/confine.c loader/confine_calls.c loader/error.c */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "confine.h"

/* What the child's attempt came to: 0, its errno, or 1000 + the signal that ended it. */
static int tried(enum confined who, int (*attempt)(void))
{
	pid_t pid = fork();
	struct error e;
	int status;

	if (!pid) {
		confine_begin();
		/* not _exit(): the sanitizer does something before what does not return */
		syscall(SYS_exit_group, confine(who, &e) ? 255 : attempt() < 0 ? errno : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int run(void)
{
	char *argv[] = {"/bin/true", NULL};

	return execv(argv[0], argv);
}

static int become_root(void)
{
	return (int)syscall(SYS_setresuid, 0, 0, 0);
}

static int datagrams(void)
{
	return socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

static int connections(void)
{
	return socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int packets(void)
{
	return socket(AF_PACKET, SOCK_RAW, 0);
}

static int netlink(void)
{
	return socket(AF_NETLINK, SOCK_RAW, 0);
}

static int own_namespace(void)
{
	return (int)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
}

static int other_namespace(void)
{
	return setns(open("/proc/self/ns/mnt", O_RDONLY), CLONE_NEWNS);
}

static int own_net(void)
{
	return setns(open("/proc/self/ns/net", O_RDONLY), CLONE_NEWNET);
}

static int written_and_run(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0) == MAP_FAILED
		       ? -1
		       : 0;
}

static int made_to_run(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return page == MAP_FAILED ? 0 : mprotect(page, 4096, PROT_READ | PROT_EXEC);
}

static int file(void)
{
	return open("/proc/self/status", O_RDONLY);
}

static int forked(void)
{
	pid_t pid = fork();

	if (!pid)
		syscall(SYS_exit_group, 0);
	return pid < 0 ? -1 : 0;
}

static int bpf_call(void)
{
	return (int)syscall(SYS_bpf, 0, NULL, 0) < 0 && errno == EPERM ? -1 : 0;
}

static void the_daemon_does_what_it_must(void **state)
{
	(void)state;
	assert_int_equal(tried(CONFINED_DAEMON, file), 0);
	assert_int_equal(tried(CONFINED_DAEMON, netlink), 0);
	assert_int_equal(tried(CONFINED_DAEMON, datagrams), 0);
	assert_int_equal(tried(CONFINED_DAEMON, forked), 0);
	if (!geteuid()) /* CAP_SYS_ADMIN stays */
		assert_int_equal(tried(CONFINED_DAEMON, own_net), 0);
}

static void the_daemon_does_nothing_else(void **state)
{
	(void)state;
	assert_int_equal(tried(CONFINED_DAEMON, run), 1000 + SIGSYS);
	assert_int_equal(tried(CONFINED_DAEMON, become_root), 1000 + SIGSYS);
	assert_int_equal(tried(CONFINED_DAEMON, connections), EPERM);
	assert_int_equal(tried(CONFINED_DAEMON, packets), EPERM);
	assert_int_equal(tried(CONFINED_DAEMON, own_namespace), EPERM);
	assert_int_equal(tried(CONFINED_DAEMON, other_namespace), EPERM);
	assert_int_equal(tried(CONFINED_DAEMON, written_and_run), EPERM);
	assert_int_equal(tried(CONFINED_DAEMON, made_to_run), EPERM);
}

static void the_keeper_has_files_and_no_more(void **state)
{
	(void)state;
	assert_int_equal(tried(CONFINED_KEEPER, file), 0);
	assert_int_equal(tried(CONFINED_KEEPER, run), 1000 + SIGSYS);
	assert_int_equal(tried(CONFINED_KEEPER, netlink), EPERM);
	assert_int_equal(tried(CONFINED_KEEPER, datagrams), EPERM);
	assert_int_equal(tried(CONFINED_KEEPER, forked), EPERM);
	assert_int_equal(tried(CONFINED_KEEPER, bpf_call), EPERM);
	assert_int_equal(tried(CONFINED_KEEPER, own_net), EPERM);
}

/* Fails with EEXIST when it has rights beside those. */
static int has_others(uint64_t allowed)
{
	char text[4096] = "";
	const char *at;
	int fd = file();
	unsigned long long permitted, effective;

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		return -1;
	at = strstr(text, "\nCapPrm:");
	if (!at || sscanf(at, "\nCapPrm: %llx\nCapEff: %llx", &permitted, &effective) != 2)
		return -1;
	errno = EEXIST;
	return (permitted | effective) & ~allowed ? -1 : 0;
}

static int daemon_has_others(void)
{
	return has_others(1ULL << CAP_BPF | 1ULL << CAP_PERFMON | 1ULL << CAP_NET_ADMIN |
			  1ULL << CAP_SYS_ADMIN | 1ULL << CAP_SYS_PTRACE |
			  1ULL << CAP_DAC_OVERRIDE | 1ULL << CAP_DAC_READ_SEARCH);
}

static int keeper_has_others(void)
{
	return has_others(1ULL << CAP_DAC_OVERRIDE);
}

static void rights_are_those_of_the_list(void **state)
{
	(void)state;
	assert_int_equal(tried(CONFINED_DAEMON, daemon_has_others), 0);
	assert_int_equal(tried(CONFINED_KEEPER, keeper_has_others), 0);
}

static void there_is_no_core_and_no_new_privilege(void **state)
{
	pid_t pid = fork();
	struct rlimit limit;
	int status;

	(void)state;
	if (!pid) {
		confine_begin();
		_exit(getrlimit(RLIMIT_CORE, &limit) || limit.rlim_max || prctl(PR_GET_DUMPABLE) ||
		      prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_daemon_does_what_it_must),
		cmocka_unit_test(the_daemon_does_nothing_else),
		cmocka_unit_test(the_keeper_has_files_and_no_more),
		cmocka_unit_test(rights_are_those_of_the_list),
		cmocka_unit_test(there_is_no_core_and_no_new_privilege),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
