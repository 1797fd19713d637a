// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "bpf.h"
#include "bpf_internal.h"
#include "bpf_resize.h"
#include "boot_time.h"
#include "cleanup.h"
#include "log.h"
#include "sagate.skel.h"
#include "sagate_impl.skel.h"

/* libbpf's last complaint: the reason behind the errno of a load that failed. */
static char last_warning[256];

static int on_libbpf_print(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	char line[256];

	vsnprintf(line, sizeof(line), fmt, ap);
	line[strcspn(line, "\n")] = '\0';
	if (level == LIBBPF_WARN && strstr(line, "libbpf: "))
		snprintf(last_warning, sizeof(last_warning), "%s", line);
	if (level == LIBBPF_WARN || getenv("SAGATE_LIBBPF_DEBUG"))
		log_debug("%s", line);
	return 0;
}

static void set_prefix_masks(struct sagate_bpf *skel)
{
	for (int len = 0; len < 256; len++)
		for (int word = 0; word < 4; word++) {
			int bits = len - word * 32;

			skel->rodata->prefix_mask[len][word] =
				bits <= 0    ? 0
				: bits >= 32 ? ~0U
					     : __builtin_bswap32(~0U << (32 - bits));
		}
}

/* A jiffy: how often the coarse clocks move. */
static __u64 tick_ns(void)
{
	struct timespec ts;

	clock_getres(CLOCK_MONOTONIC_COARSE, &ts);
	return (__u64)ts.tv_sec * 1000000000ULL + (__u64)ts.tv_nsec;
}

static void set_kick(struct bpf *b, const struct kick_choice *choice)
{
	b->kick = choice->way;
	b->foreign_ids = choice->foreign_ids;
	b->skel->rodata->hold_kick_way = b->kick;
	b->skel->rodata->hold_tick_ns = tick_ns();
	bpf_kick_prepare(choice, b->skel->obj);
}

/* The object that this kernel's kick is in; the two differ in one call only. */
static struct sagate_bpf *open_skeleton(bool impl)
{
	struct sagate_bpf *skel = impl ? calloc(1, sizeof(*skel)) : sagate_bpf__open();
	size_t size;

	if (!impl || !skel)
		return skel;
	if (sagate_bpf__create_skeleton(skel)) {
		free(skel);
		return NULL;
	}
	skel->skeleton->data = (void *)sagate_impl_bpf__elf_bytes(&size);
	skel->skeleton->data_sz = size;
	if (bpf_object__open_skeleton(skel->skeleton, NULL)) {
		sagate_bpf__destroy(skel);
		return NULL;
	}
	return skel;
}

static int open_maps(struct bpf *b, struct error *e)
{
	struct bpf_map *map;
	char path[320];
	int err;

	bpf_object__for_each_map(map, b->skel->obj)
	{
		if (bpf_map__is_internal(map))
			continue;
		snprintf(path, sizeof(path), "%s/map/%s", b->pin, bpf_map__name(map));
		err = bpf_map__set_pin_path(map, path);
		if (err)
			return error_set(e, err, "pin", "%s: %s", path, strerror(-err));
		b->lacking |= access(path, F_OK) != 0;
	}
	err = bpf_map__set_max_entries(b->skel->maps.recent,
				       RECENT_MAX * (__u32)libbpf_num_possible_cpus());
	return err ? error_set(e, err, "maps", "map recent: %s", strerror(-err)) : 0;
}

/* Programs by name, for bpftool; the links hold them, not these pins. */
static int pin_programs(struct bpf *b, struct error *e)
{
	struct bpf_program *prog;
	char path[320];

	bpf_object__for_each_program(prog, b->skel->obj)
	{
		snprintf(path, sizeof(path), "%s/prog/%s", b->pin, bpf_program__name(prog));
		unlink(path);
		if (bpf_prog_fd(b, prog) < 0)
			continue; /* not for this kernel */
		if (bpf_obj_pin(bpf_prog_fd(b, prog), path))
			return error_set(e, -errno, "pin", "%s: %s", path, strerror(errno));
	}
	return 0;
}

static int load(struct bpf *b, struct error *e)
{
	int err;

	err = sagate_bpf__load(b->skel);
	if (err == -EINVAL && strstr(last_warning, "parameter mismatch"))
		return error_set(
			e, -EPROTO, "abi",
			"%s: the pinned maps have another layout: detach the gates and remove "
			"the folder",
			b->pin);
	if (err)
		return error_set(e, err, "load", "the kernel refuses the BPF programs: %s%s%s",
				 strerror(-err),
				 err == -EPERM ? " (CAP_BPF and CAP_NET_ADMIN are needed); "
				 : err == -EACCES
					 ? " (CAP_PERFMON is needed, or the verifier does not "
					   "take them); "
					 : "; ",
				 last_warning[0] ? last_warning : "see log-level=debug");
	return 0;
}

/* What the programs and we both write. */
static int map_memory(struct bpf *b, struct error *e)
{
	b->state = mmap(NULL, sizeof(*b->state) * SPACES_MAX, PROT_READ | PROT_WRITE, MAP_SHARED,
			bpf_map__fd(b->skel->maps.space_state), 0);
	if (b->state == MAP_FAILED) {
		b->state = NULL;
		return error_set(e, -errno, "load", "space_state: cannot be mapped: %s",
				 strerror(errno));
	}
	if (!b->adopted)
		return 0; /* libbpf has mapped it */
	b->bss = mmap(NULL, sizeof(*b->skel->bss), PROT_READ | PROT_WRITE, MAP_SHARED,
		      bpf_map__fd(b->skel->maps.bss), 0);
	if (b->bss == MAP_FAILED) {
		b->bss = NULL;
		return error_set(e, -errno, "load", "bss: cannot be mapped: %s", strerror(errno));
	}
	b->skel->bss = b->bss;
	return 0;
}

/*
 * A map that somebody has unpinned is made anew, without its entries, beside others that say that
 * they are all there. Before any program decides with it: nothing is known.
 */
static void distrust_spaces(struct bpf *b)
{
	for (__u32 space = 0; space < SPACES_MAX; space++)
		bpf_space_distrust(b, space);
}

static void note_fds(struct bpf *b)
{
	b->map[MAP_SPD_MASKS] = bpf_map__fd(b->skel->maps.spd_masks);
	b->map[MAP_SPD] = bpf_map__fd(b->skel->maps.spd);
	b->map[MAP_SAD] = bpf_map__fd(b->skel->maps.sad);
	b->map[MAP_ROUTE_PLENS] = bpf_map__fd(b->skel->maps.route_plens);
	b->map[MAP_ROUTES] = bpf_map__fd(b->skel->maps.routes);
	b->map[MAP_BACKOFF] = bpf_map__fd(b->skel->maps.failed);
	b->spaces = bpf_map__fd(b->skel->maps.spaces);
	b->settings = bpf_map__fd(b->skel->maps.gate_settings);
	b->counters = bpf_map__fd(b->skel->maps.gate_counters);
	b->alerts = bpf_map__fd(b->skel->maps.alerts);
	b->ike_daemons = bpf_map__fd(b->skel->maps.ike_daemons);
	b->events = bpf_map__fd(b->skel->maps.events);
	b->holds = bpf_map__fd(b->skel->maps.holds);
	b->hold_kicks = bpf_map__fd(b->skel->maps.hold_kicks);
	b->hold_pids = bpf_map__fd(b->skel->maps.hold_pids);
	b->hold_parked = &b->skel->bss->hold_parked;
	/* that nobody was put to sleep any more was the fault of the daemon before */
	*b->hold_parked = boot_ns();
	bpf_kick_open(b, b->skel->obj, &b->skel->bss->hold_kick_ready);
	b->ask = bpf_prog_fd(b, b->skel->progs.ask);
}

void bpf_discard(struct bpf *b)
{
	if (b && b->fresh)
		bpf_pins_remove(b->pin);
}

/* The programs and maps of *b, whose skeleton is open: an earlier daemon's, or loaded. */
static int load_all(struct bpf *b, const struct bpf_sizes *sizes, struct error *e)
{
	_cleanup_(bpf_resize_done) struct bpf_resize resize = BPF_RESIZE_NONE;
	int err;

	err = open_maps(b, e);
	if (!err)
		err = bpf_resize_plan(&resize, b->skel->obj, b->pin, sizes, &b->sizes, e);
	if (err)
		return err;
	bpf_load_name(b, b->skel->obj, b->skel->skeleton->data, b->skel->skeleton->data_sz);
	err = bpf_adopt(b, b->skel->obj, e);
	if (!err)
		err = load(b, e);
	if (!err)
		err = bpf_resize_move(&resize, b->skel->obj, b->pin, e);
	if (!err)
		err = bpf_load_pin(b, b->skel->obj, e);
	if (err >= 0)
		err = map_memory(b, e);
	if (!err && b->lacking)
		distrust_spaces(b);
	return err ? err : pin_programs(b, e);
}

/* The object, with all that is set before a load. */
static int open_object(struct bpf *b, struct error *e)
{
	struct btf *btf = btf__load_vmlinux_btf();
	struct kick_choice choice;
	int err;

	bpf_kick_choose(btf, &choice);
	b->skel = open_skeleton(choice.impl);
	err = b->skel ? 0 : -(errno ?: ENOMEM);
	if (b->skel) {
		set_kick(b, &choice);
		bpf_lsm_prepare(b, btf, b->skel->obj);
		b->skel->rodata->lsm_sees_sends = !b->lsm_missing[0];
		set_prefix_masks(b->skel);
	}
	btf__free(btf);
	return err ? error_set(e, err, "load", "the BPF object cannot be read: %s", strerror(-err))
		   : 0;
}

int bpf_open(const char *pin, const struct bpf_sizes *sizes, struct bpf **out, struct error *e)
{
	_cleanup_close_ int lock = -1;
	struct bpf *b;
	bool fresh;
	int err;

	if (access("/sys/kernel/btf/vmlinux", R_OK))
		return error_set(e, -ENOENT, "no-btf",
				 "/sys/kernel/btf/vmlinux: not there: sagate needs a kernel with "
				 "CONFIG_DEBUG_INFO_BTF");
	libbpf_set_print(on_libbpf_print);
	last_warning[0] = '\0';
	err = bpf_pins_open(pin, &fresh, &lock, e);
	if (err)
		return err;
	b = calloc(1, sizeof(*b));
	if (!b)
		return error_set(e, -ENOMEM, "memory", "no memory");
	snprintf(b->pin, sizeof(b->pin), "%s", pin);
	b->lock = TAKE_FD(lock);
	b->fresh = fresh;
	b->signals_link = -1;
	err = open_object(b, e);
	if (!err)
		err = load_all(b, sizes, e);
	if (err) {
		bpf_discard(b);
		bpf_close(b);
		return err;
	}
	note_fds(b);
	*out = b;
	return 0;
}

void bpf_close(struct bpf *b)
{
	if (!b)
		return;
	for (int i = 0; i < SPACES_MAX; i++)
		shadow_free(b->shadow[i]);
	if (b->state)
		munmap(b->state, sizeof(*b->state) * SPACES_MAX);
	if (b->bss)
		munmap(b->bss, sizeof(*b->skel->bss));
	bpf_adopted_close(b);
	cleanup_close(&b->signals_link);
	sagate_bpf__destroy(b->skel);
	cleanup_close(&b->lock);
	free(b);
}

void bpf_settled(struct bpf *b)
{
	bpf_loads_drop(b->pin, b->load);
}

bool bpf_adopted(const struct bpf *b)
{
	return b->adopted;
}

const char *bpf_load(const struct bpf *b)
{
	return b->load;
}

struct bpf_sizes bpf_sizes(const struct bpf *b)
{
	return b->sizes;
}

int bpf_program_fd(const struct bpf *b, enum hook hook)
{
	switch (hook) {
	case HOOK_CONNECT4:
		return bpf_prog_fd(b, b->skel->progs.gate_connect4);
	case HOOK_CONNECT6:
		return bpf_prog_fd(b, b->skel->progs.gate_connect6);
	case HOOK_SENDMSG4:
		return bpf_prog_fd(b, b->skel->progs.gate_sendmsg4);
	case HOOK_SENDMSG6:
		return bpf_prog_fd(b, b->skel->progs.gate_sendmsg6);
	case HOOK_LSM_CONNECT:
		return bpf_prog_fd(b, b->skel->progs.lsm_connect);
	case HOOK_LSM_SENDMSG:
		return bpf_prog_fd(b, b->skel->progs.lsm_sendmsg);
	case HOOK_EGRESS:
		return bpf_prog_fd(b, b->skel->progs.gate_egress);
	case HOOK_SETSOCKOPT:
		return bpf_prog_fd(b, b->skel->progs.gate_setsockopt);
	default:
		return -EINVAL;
	}
}

__u32 bpf_program_id(struct bpf *b, enum hook hook)
{
	struct bpf_prog_info info = {};
	__u32 size = sizeof(info);

	if (!b->program_id[hook] && !bpf_obj_get_info_by_fd(bpf_program_fd(b, hook), &info, &size))
		b->program_id[hook] = info.id;
	return b->program_id[hook];
}

const char *bpf_pin_path(const struct bpf *b)
{
	return b->pin;
}

int bpf_events_fd(const struct bpf *b)
{
	return b->events;
}

int bpf_settings_get(const struct bpf *b, __u64 cgroup_id, struct gate_settings *out)
{
	if (bpf_map_lookup_elem(b->settings, &cgroup_id, out))
		return -errno;
	out->let_down = out->share_from = out->share_used = 0;
	return 0;
}

int bpf_settings_put(struct bpf *b, __u64 cgroup_id, const struct gate_settings *in)
{
	return bpf_map_update_elem(b->settings, &cgroup_id, in, BPF_EXIST) ? -errno : 0;
}

int bpf_counters_get(const struct bpf *b, __u64 cgroup_id, struct gate_counters *sum)
{
	int cpus = libbpf_num_possible_cpus();
	_cleanup_free_ struct gate_counters *each = NULL;

	if (cpus < 1)
		return -EINVAL;
	each = calloc(cpus, sizeof(*each));
	if (!each)
		return -ENOMEM;
	if (bpf_map_lookup_elem(b->counters, &cgroup_id, each))
		return -errno;
	memset(sum, 0, sizeof(*sum));
	for (int cpu = 0; cpu < cpus; cpu++)
		for (size_t i = 0; i < sizeof(*sum) / sizeof(__u64); i++)
			((__u64 *)sum)[i] += ((__u64 *)&each[cpu])[i];
	return 0;
}

int bpf_ask(const struct bpf *b, struct ask *a)
{
	struct ask copy = *a;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &copy, .ctx_size_in = sizeof(copy));

	/* a syscall program's context comes back in place (bpf_prog_test_run_syscall) */
	if (bpf_prog_test_run_opts(b->ask, &opts))
		return -errno;
	*a = copy;
	return 0;
}

void bpf_alerts_forget(struct bpf *b, bool (*match)(void *ctx, const struct neg_key *), void *ctx)
{
	struct alert_key key, next;
	int more = !bpf_map_get_next_key(b->alerts, NULL, &next);

	while (more) {
		key = next;
		more = !bpf_map_get_next_key(b->alerts, &key, &next);
		if (match(ctx, &key.neg))
			bpf_map_delete_elem(b->alerts, &key);
	}
}

int bpf_ike_daemon_put(struct bpf *b, __u32 pid, __u64 cgroup_id)
{
	return bpf_map_update_elem(b->ike_daemons, &pid, &cgroup_id, BPF_ANY) ? -errno : 0;
}

int bpf_ike_daemon_del(struct bpf *b, __u32 pid)
{
	return bpf_map_delete_elem(b->ike_daemons, &pid) ? -errno : 0;
}

static bool is_kept(const __u32 *pids, size_t count, __u32 pid)
{
	for (size_t i = 0; i < count; i++)
		if (pids[i] == pid)
			return true;
	return false;
}

void bpf_ike_daemons_keep(struct bpf *b, const __u32 *pids, size_t count)
{
	__u32 pid, next;
	int more = !bpf_map_get_next_key(b->ike_daemons, NULL, &next);

	while (more) {
		pid = next;
		more = !bpf_map_get_next_key(b->ike_daemons, &pid, &next);
		if (!is_kept(pids, count, pid))
			bpf_map_delete_elem(b->ike_daemons, &pid);
	}
}
