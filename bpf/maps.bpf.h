/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The maps. All are pinned below /sys/fs/bpf/sagate/map and outlive the daemon; their layouts are
 * in include/abi.h. None evicts an entry that a verdict rests on: alerts, the only LRU, holds when
 * an event was last sent.
 */
#ifndef SAGATE_MAPS_BPF_H
#define SAGATE_MAPS_BPF_H

/* Settings of the gate that runs the program: no lookup, one entry for each attached cgroup. */
struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_STORAGE);
	__type(key, __u64);
	__type(value, struct gate_settings);
} gate_settings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE);
	__type(key, __u64);
	__type(value, struct gate_counters);
} gate_counters SEC(".maps");

/* Cookie of a network namespace → its slot. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SPACES_MAX);
	__type(key, __u64);
	__type(value, __u32);
} spaces SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SPACES_MAX);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct space_state);
} space_state SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SPACES_MAX *CLASS_COUNT * 2);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct spd_masks_key);
	__type(value, struct spd_masks);
} spd_masks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, POLICIES_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct spd_key);
	__type(value, struct spd_value);
} spd SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SAS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct sad_key);
	__type(value, struct sad_value);
} sad SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct route_plens_key);
	__type(value, struct route_plens);
} route_plens SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, ROUTES_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct route_key);
	__type(value, struct route_value);
} routes SEC(".maps");

/* Negotiations that failed → until when they are backed off. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct neg_key);
	__type(value, __u64);
} failed SEC(".maps");

/* When an event about something was last sent. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct alert_key);
	__type(value, __u64);
} alerts SEC(".maps");

/*
 * Flows that passed a moment ago: see recent.bpf.h. What is overwritten is decided again. bpf.c
 * multiplies the size by the number of CPUs: a PERCPU_ARRAY has its entries anywhere, behind a
 * pointer each. MMAPABLE for its side effect: they begin at a page, so each is one cache line.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, RECENT_MAX);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct recent);
} recent SEC(".maps");

/* Process id of an IKE daemon → the cgroup it was found in. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SPACES_MAX);
	__type(key, __u32);
	__type(value, __u64);
} ike_daemons SEC(".maps");

/* Calls that wait. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, HOLDS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct hold);
} holds SEC(".maps");

/* Work of their threads on the way out of the kernel, where it has that for BPF programs. */
struct hold_kick {
	struct bpf_task_work work;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, HOLDS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct hold_kick);
} hold_kicks SEC(".maps");

/* Processes with threads that sleep: for the program that sees signals. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, HOLDS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct hold_pid);
} hold_pids SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 22);
} events SEC(".maps");

/*
 * 0, and the verifier does not know it. Linux 6.1 walks the body of a bpf_loop() once, with the
 * values from before the loop: it would take what a turn leaves to the next for a constant, and cut
 * off the branches that a constant never takes. All that changes from turn to turn starts from
 * here.
 */
volatile __u32 loop_zero;

#endif
