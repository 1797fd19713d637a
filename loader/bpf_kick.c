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

/* See bpf_kicks_tidy(). */
#define KICKS_AT_ONCE 1024

static const char *const programs[KICK_PROGRAMS] = {"kick_stream", "kick_dgram", "kick_udp",
						    "kick_udpv6"};

static bool has_function(const struct btf *btf, const char *name)
{
	return btf__find_by_name_kind(btf, name, BTF_KIND_FUNC) > 0;
}

/* A kernel that is locked down, or without BPF_JIT, takes no tracing programs. */
static bool takes_tracing(const struct btf *btf)
{
	static const struct bpf_insn nothing[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_TRACE_FEXIT);
	_cleanup_close_ int fd = -1;
	int id = btf__find_by_name_kind(btf, "__inet_stream_connect", BTF_KIND_FUNC);

	if (id <= 0)
		return false;
	opts.attach_btf_id = (__u32)id;
	fd = bpf_prog_load(BPF_PROG_TYPE_TRACING, "sagate_probe", "GPL", nothing,
			   sizeof(nothing) / sizeof(nothing[0]), &opts);
	return fd >= 0;
}

void bpf_kick_choose(struct kick_choice *choice)
{
	struct btf *btf = btf__load_vmlinux_btf();

	*choice = (struct kick_choice){.way = KICK_NONE};
#ifdef __x86_64__ /* the numbers of system calls in bpf/hold.bpf.h */
	if (!btf)
		return;
	if (has_function(btf, "bpf_task_work_schedule_signal")) {
		choice->way = KICK_TASK_WORK;
	} else if (has_function(btf, "bpf_task_work_schedule_signal_impl")) {
		choice->way = KICK_TASK_WORK;
		choice->impl = true;
	} else if (takes_tracing(btf)) {
		choice->way = KICK_SIGNALS;
	}
#endif
	btf__free(btf);
}

void bpf_kick_prepare(enum kick way, struct bpf_object *obj)
{
	for (int i = 0; i < KICK_PROGRAMS; i++)
		bpf_program__set_autoload(bpf_object__find_program_by_name(obj, programs[i]),
					  way == KICK_SIGNALS);
}

void bpf_kick_open(struct bpf *b, struct bpf_object *obj, volatile __u8 *ready)
{
	for (int i = 0; i < KICK_PROGRAMS; i++)
		b->kick_program[i] =
			bpf_program__fd(bpf_object__find_program_by_name(obj, programs[i]));
	b->kick_ready = ready;
}

static void link_path(const struct bpf *b, int i, const char *end, char *path, size_t size)
{
	snprintf(path, size, "%s/kick/%s%s", b->pin, programs[i], end);
}

/* The link outlives us, as the programs that rely on it do; it takes the place of an earlier one.
 */
static int attach(const struct bpf *b, int i)
{
	_cleanup_close_ int fd = bpf_raw_tracepoint_open(NULL, b->kick_program[i]);
	char new[320], path[320];

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
	if (err)
		return err;
	b->kick_attached = true;
	*b->kick_ready = 1;
	return 0;
}

static void detach_all(struct bpf *b)
{
	char path[320];

	for (int i = 0; i < KICK_PROGRAMS; i++) {
		link_path(b, i, "", path, sizeof(path));
		unlink(path);
	}
	b->kick_attached = false;
}

int bpf_kick_wanted(struct bpf *b, bool wanted, struct error *e)
{
	__u64 now = boot_ns();

	if (b->kick != KICK_SIGNALS)
		return 0;
	if (wanted) {
		b->kick_unwanted = 0;
		if (b->kick_attached && *b->kick_ready)
			return 0;
		return attach_all(b, e);
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

int bpf_hold_get(const struct bpf *b, __u32 tid, struct hold *out)
{
	return bpf_map_lookup_elem(b->holds, &tid, out) ? -errno : 0;
}

int bpf_hold_put(struct bpf *b, __u32 tid, const struct hold *in)
{
	return bpf_map_update_elem(b->holds, &tid, in, BPF_EXIST) ? -errno : 0;
}

void bpf_hold_del(struct bpf *b, __u32 tid)
{
	bpf_map_delete_elem(b->holds, &tid);
}

void bpf_hold_parked(struct bpf *b, __u64 now)
{
	*b->hold_parked = now;
}

static bool thread_is_there(__u32 tid)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%u", tid);
	return !access(path, F_OK);
}

bool bpf_kicks_tidy(struct bpf *b)
{
	const __u32 *at = b->kicks_tidied ? &b->kicks_tidied : NULL;
	__u32 tid, next;
	int more = !bpf_map_get_next_key(b->hold_kicks, at, &next);
	bool any = more;

	for (int i = 0; more && i < KICKS_AT_ONCE; i++) {
		tid = next;
		more = !bpf_map_get_next_key(b->hold_kicks, &tid, &next);
		if (!thread_is_there(tid))
			bpf_map_delete_elem(b->hold_kicks, &tid);
		else
			b->kicks_tidied = tid;
	}
	if (!more)
		b->kicks_tidied = 0;
	return any || b->kicks_tidied;
}

void bpf_hold_each(const struct bpf *b, void (*each)(void *ctx, __u32 tid, const struct hold *),
		   void *ctx)
{
	__u32 tid, next;
	struct hold h;
	int more = !bpf_map_get_next_key(b->holds, NULL, &next);

	while (more) {
		tid = next;
		more = !bpf_map_get_next_key(b->holds, &tid, &next);
		if (!bpf_map_lookup_elem(b->holds, &tid, &h))
			each(ctx, tid, &h);
	}
}
