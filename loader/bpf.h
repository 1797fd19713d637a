/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The BPF object: loaded, its maps pinned or adopted, and what the daemon asks of it. The one file
 * that sees the skeleton is bpf.c.
 *
 * Lifetimes: maps (<pin>/map) and links (<pin>/gate, see gates.h) outlive the daemon, so that
 * enforcement stays; so do the programs (<pin>/load), which the next daemon uses when it would load
 * the same, and otherwise replaces by its own. <pin>/prog has them by name for bpftool.
 */
#ifndef SAGATE_BPF_H
#define SAGATE_BPF_H

#include <stdbool.h>
#include <stddef.h>
#include "abi.h"
#include "error.h"
#include "maps.h"

struct bpf;

/* How many entries the maps of all spaces together take. */
struct bpf_sizes {
	__u32 policies; /* and requirements: spd */
	__u32 sas;	/* sad */
	__u32 routes;	/* routes */
};

/*
 * Loads the programs, or takes over those of an earlier daemon, and creates or adopts the maps
 * pinned below `pin` (a folder on a BPF file system, which is mounted when /sys/fs/bpf is not).
 * -EPROTO: what is pinned there has another ABI; it is left as it is.
 *
 * `sizes` (NULL: the defaults of abi.h) are those of new maps. A pinned map of another size is
 * replaced by a new one with the same entries, which our programs use; attached ones keep the old
 * map until their links are updated (gates_adopt). One with more entries than the new size holds
 * keeps its size, with a warning in the log: bpf_sizes() tells.
 */
int bpf_open(const char *pin, const struct bpf_sizes *sizes, struct bpf **out, struct error *e);
/* The programs are an earlier daemon's: nothing was loaded. */
bool bpf_adopted(const struct bpf *b);
/* The name of the folder in <pin>/load that they are pinned in; owned by *b. */
const char *bpf_load(const struct bpf *b);
/*
 * Links have been moved to our programs: what earlier daemons have loaded is unpinned. A link that
 * could not be moved holds its own.
 */
void bpf_settled(struct bpf *b);
/* Those in force. */
struct bpf_sizes bpf_sizes(const struct bpf *b);
void bpf_close(struct bpf *b); /* the pins stay */
/* After a start that failed: removes what bpf_open() pinned, if nothing was there before. */
void bpf_discard(struct bpf *b);

/* How this kernel makes a held call restart; KICK_NONE: nothing can be held. */
enum kick bpf_kick(const struct bpf *b);
/* Why it is KICK_NONE. */
const char *bpf_kick_missing(const struct bpf *b);
/*
 * Whether any gate holds: where the kick needs programs on every connect() and send of the host,
 * they are attached only then. After the last gate they stay for a moment, as calls may be on
 * their way. -errno: no call is held, all are rejected.
 */
int bpf_kick_wanted(struct bpf *b, bool wanted, struct error *e);

/*
 * The calls that wait, by thread. -ENOENT: none. Put only while the thread sleeps: nobody else
 * writes then.
 */
int bpf_hold_get(const struct bpf *b, __u32 tid, struct hold *out);
int bpf_hold_put(struct bpf *b, __u32 tid, const struct hold *in);
void bpf_hold_del(struct bpf *b, __u32 tid);
/* Tells the programs that a thread was put to sleep at that time (ns, CLOCK_BOOTTIME). */
void bpf_hold_parked(struct bpf *b, __u64 now);
/*
 * Drops what is kept for the kicks of threads that have ended, some at each call. Never a living
 * one's: work on its way would be taken back (bpf_task_work_cancel_and_free()), and the call fail
 * with the code that nobody may see. True: there is more, or something that is to stay.
 */
bool bpf_kicks_tidy(struct bpf *b);
/*
 * A program looks at the host's signals from now on, or no more, and tells of those for processes
 * that are counted: see struct hold_signal. False: it does not.
 */
bool bpf_signals_watch(struct bpf *b, bool wanted);
bool bpf_signals_watched(const struct bpf *b);
/* So many more threads of that process sleep. */
void bpf_hold_pid_count(struct bpf *b, __u32 pid, int change);
/* Of the next signal it shall be told again. */
void bpf_hold_pid_looked(struct bpf *b, __u32 pid);
/* Calls `each` for every one. */
void bpf_hold_each(const struct bpf *b, void (*each)(void *ctx, __u32 tid, const struct hold *),
		   void *ctx);

/* Why this kernel runs no LSM programs; empty: it does. */
const char *bpf_lsm_missing(const struct bpf *b);

/* The program of a hook; owned by *b. -errno: this kernel has none (LSM). */
int bpf_program_fd(const struct bpf *b, enum hook hook);
/* Its id, asked of the kernel once; 0: not known. */
__u32 bpf_program_id(struct bpf *b, enum hook hook);
const char *bpf_pin_path(const struct bpf *b);
/* Fills *sink with the functions that write to the pinned maps; *b must outlive it. */
void bpf_sink(struct bpf *b, struct map_sink *sink);
/* The same maps for reading. */
void bpf_source(struct bpf *b, struct map_source *source);
int bpf_events_fd(const struct bpf *b); /* ring buffer map */

/*
 * Spaces. bpf_space_open finds the slot that a namespace's cookie already has (adopted from an
 * earlier daemon) or takes a free one: -ENOSPC when all SPACES_MAX are in use. Until the commit
 * what goes into the sink is gathered: in memory where the maps keep the earlier daemon's image; in
 * the maps, where there is none, and then no flow is of the space.
 */
int bpf_space_open(struct bpf *b, __u64 netns, __u32 *slot);
/* Puts the gathered image into the maps. -errno: something did not fit, the space is full. */
int bpf_space_commit(struct bpf *b, __u32 space, __u64 netns);
/* The maps that had no room for all of it: a bit 1 << enum map_id for each. */
__u32 bpf_space_unfit(const struct bpf *b, __u32 space);
/*
 * Other spaces may have given room back: tries that again, at most `max` entries. When all of it is
 * in, the space is not full any more. Returns how many went in.
 */
size_t bpf_space_retry(struct bpf *b, __u32 space, size_t max);
/* How many entries of a map wait so. */
size_t bpf_space_late(const struct bpf *b, __u32 space, enum map_id map);
/* This daemon no longer serves the space; its committed image stays, what was gathered goes. */
void bpf_space_abandon(struct bpf *b, __u32 space);
/* Forgets a namespace and all its entries: flows in it are then of no known space. */
void bpf_space_close(struct bpf *b, __u32 space);
/* enum queue bits of a committed space; they outlive the daemon, and are an earlier one's at first.
 */
__u8 bpf_space_queue(const struct bpf *b, __u32 space);
void bpf_space_set_queue(struct bpf *b, __u32 space, __u8 queue);
/* Closes what is pinned and not opened by this daemon. Returns how many. */
int bpf_space_prune(struct bpf *b);
/* The daemon is alive: now, in every space that is committed. */
void bpf_heartbeat(struct bpf *b);

/* Calls `each` for every entry of the pinned spd map until it returns other than 0. */
int bpf_spd_each(const struct bpf *b,
		 int (*each)(void *ctx, const struct spd_key *, const struct spd_value *),
		 void *ctx);

/* Settings and counters of a gate. -ENOENT: no program of ours is attached to that cgroup. */
int bpf_settings_get(const struct bpf *b, __u64 cgroup_id, struct gate_settings *out);
int bpf_settings_put(struct bpf *b, __u64 cgroup_id, const struct gate_settings *in);
int bpf_counters_get(const struct bpf *b, __u64 cgroup_id, struct gate_counters *sum);

/* Asks the kernel's own decide(). Returns 0 or -errno; on failure *a is unchanged. */
int bpf_ask(const struct bpf *b, struct ask *a);

/* The next refusal that waits for one of these sends an event at once. Walks a few thousand
 * entries. */
void bpf_alerts_forget(struct bpf *b, bool (*match)(void *ctx, const struct neg_key *), void *ctx);

/*
 * IKE daemons: exempt by process and cgroup. They stay so when the daemon stops, or no SA could be
 * rekeyed; _keep removes all others than those given.
 */
int bpf_ike_daemon_put(struct bpf *b, __u32 pid, __u64 cgroup_id);
int bpf_ike_daemon_del(struct bpf *b, __u32 pid);
void bpf_ike_daemons_keep(struct bpf *b, const __u32 *pids, size_t count);

#endif
