/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Gates: cgroups with our programs attached. A gate is a link for each hook, pinned as
 * <pin>/gate/NAME/HOOK, and its settings, in the cgroup's storage. All of it outlives the daemon;
 * the next one adopts it and puts its own programs behind the links.
 */
#ifndef SAGATE_GATES_H
#define SAGATE_GATES_H

#include <limits.h>
#include <stdbool.h>

#include "bpf.h"
#include "gate_probe.h"

enum { GATE_NAME_MAX = 64, GATE_CONTAINER_MAX = 255 };

#define GATE_SOURCES(X)                                                                            \
	X(CONFIG, "config")   /* [gate "…"]: attached whenever its cgroup is there */            \
	X(COMMAND, "command") /* sagate attach, or adopted: until detached or its cgroup goes */   \
	X(RUN, "run")	      /* sagate run: and when its cgroup is empty, which then goes too */

enum gate_source {
#define X(id, name) GATE_##id,
	GATE_SOURCES(X)
#undef X
};

/* X(NAME, "name"): where a gate stands. */
#define GATE_STATES(X)                                                                             \
	X(ATTACHED, "attached")                                                                    \
	X(ABSENT, "absent") /* its cgroup is not there yet: attached when it is */                 \
	X(FAILED, "failed") /* cannot be attached, or not taken over: tried again */

enum gate_state {
#define X(id, name) GATE_##id,
	GATE_STATES(X)
#undef X
};

struct gate {
	struct gate *next;
	char name[GATE_NAME_MAX + 1];
	char cgroup[PATH_MAX]; /* path from the v2 root */
	__u64 cgroup_id;       /* 0: not attached, or not by this daemon */
	enum gate_source source;
	char container[GATE_CONTAINER_MAX + 1]; /* its id; empty: none, or adopted */
	bool seen;				/* by the reload that runs */
	bool unadopted;	      /* pinned, but it could not be taken over: tried again */
	int link[HOOK_COUNT]; /* -1: none */
	struct gate_settings settings;
	uint64_t closed, closed_told; /* sockets, by on-loss=close; and those that the log has */
	uint64_t lost;		      /* events that came faster than the gate was served */
	uint64_t not_negotiated;      /* events that started no negotiation, by negotiations-max= */
	uint64_t not_negotiated_told, told_at; /* how many of them the log has, and since when */
	struct gate_probe probe;
	bool probed;	    /* a moment ago */
	char undone[512];   /* what it refuses comes through, and why; empty: it does not */
	uint64_t meddled;   /* how often somebody detached, replaced or undid its programs */
	uint64_t behind_at; /* boottime: its links were attached anew, behind others' */
	bool absent;	    /* not attached for want of its cgroup alone */
	char problem[512];  /* why it is absent or not taken over; empty: it is attached */
};

struct gates;

int gates_new(struct bpf *b, struct gates **out);
void gates_free(struct gates *g); /* the links stay pinned */

/* What an earlier daemon pinned. Returns how many gates, or -errno; a broken one is logged. */
int gates_adopt(struct gates *g, struct error *e);

/*
 * Attaches, or changes the settings of the gate of that name and cgroup without a gap. Whole or not
 * at all. -EEXIST: the name is another cgroup's, or the cgroup has a gate of another name.
 * The cgroup id in `settings` is filled in. A gate from the configuration whose cgroup is not there
 * is remembered and attached when it appears; for others that is the error.
 */
int gates_attach(struct gates *g, const char *name, const char *cgroup, enum gate_source source,
		 const struct gate_settings *settings, struct error *e);
int gates_detach(struct gates *g, const char *name, struct error *e);

/* Around a reload: what the configuration no longer has is detached by the second call. */
void gates_reload_begin(struct gates *g);
void gates_reload_end(struct gates *g);

/* Once a second: cgroups that came and went, runs that ended. */
void gates_check(struct gates *g);

struct gate_watcher;
/* Twice a second: gates that others meddle with, see gate_watch.h. */
void gates_watch(struct gates *g, const struct gate_watcher *w);

struct gate *gates_find(struct gates *g, const char *name);
struct gate *gates_of_cgroup(struct gates *g, __u64 cgroup_id);
struct gate *gates_first(struct gates *g); /* then ->next */

const char *gate_source_name(enum gate_source source);
enum gate_state gate_state(const struct gate *gate);
const char *gate_state_name(enum gate_state state);

#endif
