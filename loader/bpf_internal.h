/* SPDX-License-Identifier: GPL-2.0-only */
/* What bpf.c, bpf_space.c and bpf_sink.c share, and nobody else. */
#ifndef SAGATE_BPF_INTERNAL_H
#define SAGATE_BPF_INTERNAL_H

#include "bpf.h"
#include "shadow.h"

#include <stdbool.h>

struct btf;
struct sagate_bpf;
struct bpf_object;
struct bpf_program;

enum { KICK_PROGRAMS = 4, BATCH_MAX = 256, PROGRAMS_MAX = 16 };

/* Entries of one map that wait to be put into it: see bpf_batch.c. */
struct bpf_batch {
	__u32 count;
	__u32 puts[SPACES_MAX]; /* of each space, since bpf_batch_begin() */
	unsigned char keys[BATCH_MAX * sizeof(struct spd_key)];
	unsigned char values[BATCH_MAX * sizeof(struct spd_value)];
};
_Static_assert(sizeof(struct sad_key) <= sizeof(struct spd_key), "the longer key");
_Static_assert(sizeof(struct sad_value) <= sizeof(struct spd_value), "the longer value");

struct bpf {
	struct sagate_bpf *skel;
	char pin[256];
	bool fresh;    /* nothing was pinned there before */
	bool lacking;  /* or not all of it */
	char load[17]; /* see bpf_adopt.c */
	bool adopted;  /* the programs are an earlier daemon's: */
	const struct bpf_program *program[PROGRAMS_MAX];
	int program_fd[PROGRAMS_MAX];
	__u32 program_id[HOOK_COUNT];	   /* see bpf_program_id() */
	void *bss;			   /* theirs, mapped */
	int lock;			   /* on the pin folder: one daemon at a time */
	struct space_state *state;	   /* the mapped array */
	struct shadow *shadow[SPACES_MAX]; /* of a space that was not committed yet */
	bool open[SPACES_MAX];		   /* by this daemon */
	bool unread[SPACES_MAX];	   /* and no flow is of it before the commit */
	int unread_error[SPACES_MAX];	   /* -errno: and not all of it went into the maps */
	__u32 unfit[SPACES_MAX];	   /* see bpf_space_unfit() */
	struct shadow *late[SPACES_MAX];   /* see bpf_late.c */
	bool late_lost[SPACES_MAX];	   /* there was no memory for some: full for ever */
	struct bpf_batch spd_batch, sad_batch;
	__s64 asleep; /* how far CLOCK_BOOTTIME is ahead of CLOCK_MONOTONIC */
	int map[MAP_COUNT];
	struct bpf_sizes sizes;
	int spaces, settings, counters, alerts, ike_daemons, events, ask, holds, hold_kicks,
		hold_pids;
	enum kick kick;
	bool foreign_ids;
	int kick_program[KICK_PROGRAMS]; /* KICK_SIGNALS */
	volatile __u8 *kick_ready;	 /* theirs: a call may rely on them */
	volatile __u64 *hold_parked;
	__u32 kicks_tidied;		   /* the last one seen, 0: from the start */
	int signals_program, signals_link; /* -1: none */
	__u64 kick_unwanted;		   /* since when no gate holds, 0: some do */
	char lsm_missing[160];		   /* why there are no LSM programs; empty: there are */
};

/* What is loaded for the kick, before it is. */
struct kick_choice {
	enum kick way;
	bool impl;	   /* task work under its first name */
	bool sees_signals; /* see signals.bpf.h */
	bool foreign_ids;  /* threads cannot be put to sleep: theirs are not known here */
};

/*
 * bpf_pins.c. Makes the folders that lack, and takes the lock on them: *lock is the caller's.
 * *fresh: nothing was there before. -EPROTO: what is pinned there has another ABI. On failure
 * nothing is left where nothing was.
 */
int bpf_pins_open(const char *pin, bool *fresh, int *lock, struct error *e);
/* All of it, but never gates that are attached. */
void bpf_pins_remove(const char *pin);
/* That folder below it, and the pins in it. */
void bpf_pins_drop(const char *pin, const char *folder);

/*
 * bpf_adopt.c. Names what would be loaded, when all that is set before a load is: the object's
 * bytes are `elf`.
 */
void bpf_load_name(struct bpf *b, struct bpf_object *obj, const void *elf, size_t len);
/*
 * Takes over the programs and maps of an earlier daemon, when they are what would be loaded. 1:
 * done. 0: they are not, and nothing is changed. -errno.
 */
int bpf_adopt(struct bpf *b, struct bpf_object *obj, struct error *e);
void bpf_adopted_close(struct bpf *b);
/* Pins what was loaded, for the next daemon. */
int bpf_load_pin(const struct bpf *b, struct bpf_object *obj, struct error *e);
/* Removes what loads have pinned, but that of the name `keep`. */
void bpf_loads_drop(const char *pin, const char *keep);
/* Of a program, loaded or adopted; owned by *b. -errno: not for this kernel. */
int bpf_prog_fd(const struct bpf *b, const struct bpf_program *prog);

/* bpf_kick.c. Asks the running kernel, whose types are `btf` (NULL: it does not tell). */
void bpf_kick_choose(const struct btf *btf, struct kick_choice *choice);
/* The programs that are not for that way are not loaded. */
void bpf_kick_prepare(const struct kick_choice *choice, struct bpf_object *obj);
void bpf_kick_open(struct bpf *b, struct bpf_object *obj, volatile __u8 *ready);

/* bpf_lsm.c. Asks the running kernel; the programs that it would not run are not loaded. */
void bpf_lsm_prepare(struct bpf *b, const struct btf *btf, struct bpf_object *obj);

/*
 * bpf_batch.c. Entries of a space that no flow is of go to the maps in batches, those of maps that
 * bpf_batch_takes() names. What is put is there at bpf_batch_end(), which says whether all of it is
 * (-errno), or when one of the same map is deleted. As many as the map has room for are taken
 * unseen; after that bpf_batch_put() says of each whether it fitted.
 */
void bpf_batch_begin(struct bpf *b, __u32 space);
bool bpf_batch_takes(const struct bpf *b, __u32 space, enum map_id map);
int bpf_batch_put(struct bpf *b, __u32 space, enum map_id map, const void *key, const void *value);
int bpf_batch_del(struct bpf *b, __u32 space, enum map_id map, const void *key);
int bpf_batch_end(struct bpf *b, __u32 space);

/*
 * bpf_late.c. An entry of a space that its first commit found no room for: kept, and not any more
 * once it is in the map, or is not to be.
 */
void bpf_late_add(struct bpf *b, __u32 space, enum map_id map, const void *key, const void *value);
void bpf_late_drop(struct bpf *b, __u32 space, enum map_id map, const void *key);
/* All of them. */
void bpf_late_free(struct bpf *b, __u32 space);

/* bpf_space.c. Until its next commit nothing is known of what is in that slot. */
void bpf_space_distrust(struct bpf *b, __u32 space);

/* Size of a map's key and value. */
extern const size_t bpf_map_key_size[MAP_COUNT];
extern const size_t bpf_map_value_size[MAP_COUNT];

#endif
