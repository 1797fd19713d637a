// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "boot_time.h"
#include "bpf_internal.h"
#include "cleanup.h"

/* A call that was refused a moment ago still relies on them. */
#define KICK_LINGER_NS 5000000000ULL

static const char *const programs[KICK_PROGRAMS] = {"kick_stream", "kick_dgram", "kick_udp",
						    "kick_udpv6"};

#define SEES_SIGNALS "see_signal"

static bool has_function(const struct btf *btf, const char *name)
{
	return btf__find_by_name_kind(btf, name, BTF_KIND_FUNC) > 0;
}

/* A kernel that is locked down, or without BPF_JIT, takes no tracing programs. */
static bool takes_tracing(enum bpf_attach_type type, int id)
{
	static const struct bpf_insn nothing[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = type);
	_cleanup_close_ int fd = -1;

	if (id <= 0)
		return false;
	opts.attach_btf_id = (__u32)id;
	fd = bpf_prog_load(BPF_PROG_TYPE_TRACING, "sagate_probe", "GPL", nothing,
			   sizeof(nothing) / sizeof(nothing[0]), &opts);
	return fd >= 0;
}

/* PROC_PID_INIT_INO of include/linux/proc_ns.h: the ids that BPF programs see are that one's. */
static bool knows_thread_ids(void)
{
	struct stat st;

	return !stat("/proc/self/ns/pid", &st) && st.st_ino == 0xeffffffcU;
}

void bpf_kick_choose(const struct btf *btf, struct kick_choice *choice)
{
	*choice = (struct kick_choice){.way = KICK_NONE};
#ifdef __x86_64__ /* the numbers of system calls in bpf/hold.bpf.h */
	if (!btf)
		return;
	if (has_function(btf, "bpf_task_work_schedule_signal")) {
		choice->way = KICK_TASK_WORK;
	} else if (has_function(btf, "bpf_task_work_schedule_signal_impl")) {
		choice->way = KICK_TASK_WORK;
		choice->impl = true;
	} else if (takes_tracing(
			   BPF_TRACE_FEXIT,
			   btf__find_by_name_kind(btf, "__inet_stream_connect", BTF_KIND_FUNC))) {
		choice->way = KICK_SIGNALS;
	}
	if (!knows_thread_ids()) {
		choice->way = KICK_NONE;
		choice->foreign_ids = true;
	}
	choice->sees_signals = takes_tracing(
		BPF_TRACE_RAW_TP,
		btf__find_by_name_kind(btf, "btf_trace_signal_generate", BTF_KIND_TYPEDEF));
#endif
}

void bpf_kick_prepare(const struct kick_choice *choice, struct bpf_object *obj)
{
	for (int i = 0; i < KICK_PROGRAMS; i++)
		bpf_program__set_autoload(bpf_object__find_program_by_name(obj, programs[i]),
					  choice->way == KICK_SIGNALS);
	bpf_program__set_autoload(bpf_object__find_program_by_name(obj, SEES_SIGNALS),
				  choice->sees_signals);
}

static void link_path(const struct bpf *b, int i, const char *end, char *path, size_t size)
{
	snprintf(path, size, "%s/kick/%s%s", b->pin, programs[i], end);
}

static __u32 program_id(int fd)
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &len) ? 0 : info.id;
}

/* Whether what is pinned is a link of our program, from a daemon whose programs we adopted. */
static bool stands(const struct bpf *b, int i)
{
	_cleanup_close_ int fd = -1;
	struct bpf_link_info info = {};
	__u32 len = sizeof(info);
	char path[320];

	link_path(b, i, "", path, sizeof(path));
	fd = bpf_obj_get(path);
	return fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &len) &&
	       info.type == BPF_LINK_TYPE_TRACING && info.prog_id == program_id(b->kick_program[i]);
}

void bpf_kick_open(struct bpf *b, struct bpf_object *obj, volatile __u8 *ready)
{
	for (int i = 0; i < KICK_PROGRAMS; i++)
		b->kick_program[i] =
			bpf_prog_fd(b, bpf_object__find_program_by_name(obj, programs[i]));
	b->kick_ready = ready;
	b->signals_program = bpf_prog_fd(b, bpf_object__find_program_by_name(obj, SEES_SIGNALS));
	/* programs that were adopted may have had it */
	for (int i = 0; i < KICK_PROGRAMS; i++)
		if (*ready && !stands(b, i))
			*ready = 0;
}

/* The link outlives us, as the programs that rely on it do; it takes the place of an earlier one.
 */
static int attach(const struct bpf *b, int i)
{
	_cleanup_close_ int fd = -1;
	char new[320], path[320];

	if (stands(b, i)) /* the kernel does not attach a program twice */
		return 0;
	fd = bpf_raw_tracepoint_open(NULL, b->kick_program[i]);
	link_path(b, i, "_new", new, sizeof(new));
	link_path(b, i, "", path, sizeof(path));
	if (fd < 0)
		return -errno;
	unlink(new);
	if (bpf_obj_pin(fd, new) || rename(new, path))
		return -errno;
	return 0;
}

static int attach_all(struct bpf *b, struct error *e)
{
	char folder[320];
	int err = 0;

	snprintf(folder, sizeof(folder), "%s/kick", b->pin);
	if (mkdir(folder, 0700) && errno != EEXIST)
		return error_set(e, -errno, "pin", "%s: cannot be made: %s", folder,
				 strerror(errno));
	for (int i = 0; i < KICK_PROGRAMS && !err; i++) {
		err = attach(b, i);
		if (err)
			error_set(e, err, "attach", "%s: %s", programs[i], strerror(-err));
	}
	*b->kick_ready = !err;
	return err;
}

static void detach_all(struct bpf *b)
{
	char path[320];

	for (int i = 0; i < KICK_PROGRAMS; i++) {
		link_path(b, i, "", path, sizeof(path));
		unlink(path);
	}
}

int bpf_kick_wanted(struct bpf *b, bool wanted, struct error *e)
{
	__u64 now = boot_ns();

	if (b->kick != KICK_SIGNALS)
		return 0;
	if (wanted) {
		b->kick_unwanted = 0;
		return *b->kick_ready ? 0 : attach_all(b, e);
	}
	*b->kick_ready = 0;
	if (!b->kick_unwanted)
		b->kick_unwanted = now;
	if (now - b->kick_unwanted > KICK_LINGER_NS)
		detach_all(b);
	return 0;
}

enum kick bpf_kick(const struct bpf *b)
{
	return b->kick;
}

const char *bpf_kick_missing(const struct bpf *b)
{
	if (b->foreign_ids)
		return "the daemon is in a PID namespace of its own, where threads have other ids";
	return "this kernel has no way to make a call wait (Linux 6.18 has, and one that takes fexit "
	       "programs)";
}
