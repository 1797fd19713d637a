/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One space: a network namespace whose SPD and SAD are mirrored, with its routing, its requirements
 * and the IKE daemon that serves it.
 *
 * Its first image is gathered in memory and committed to the maps when the first snapshot is whole,
 * routing is known, and the IKE daemon was heard (or could not be for SPACE_IKE_WAIT_NS). Until
 * then an earlier daemon's image decides, or nothing is known and everything is refused.
 */
#ifndef SAGATE_SPACE_H
#define SAGATE_SPACE_H

#include <systemd/sd-event.h>

#include "bpf.h"
#include "ike_bridge.h"
#include "mirror.h"
#include "requirements.h"
#include "routes.h"

#define SPACE_IKE_WAIT_NS 2000000000ULL
#define SPACE_REFRESH_S	  60
#define SPACE_HOST	  "host" /* the daemon's own namespace */

/* X(NAME, "name"): where a space stands. */
#define SPACE_STATES(X)                                                                            \
	X(ABSENT, "absent")   /* its network namespace is not there yet */                         \
	X(REFUSED, "refused") /* it cannot be mirrored */                                          \
	X(STARTING, "starting")                                                                    \
	X(RESYNC, "resync")                                                                        \
	X(MIRRORED, "mirrored")

enum space_state_name {
#define X(id, name) SPACE_##id,
	SPACE_STATES(X)
#undef X
};

/* X(NAME, "name"): whether the kernel keeps packets whose policy lacks an SA: see space_queue.h. */
#define SPACE_QUEUES(X)                                                                            \
	X(OFF, "off") /* no gate needs it */                                                       \
	X(ON, "on")                                                                                \
	X(UNDONE, "undone") /* somebody else has taken it back */                                  \
	X(FAILED, "failed")

enum space_queue {
#define X(id, name) SPACE_QUEUE_##id,
	SPACE_QUEUES(X)
#undef X
};

struct space;

struct nl_sock;

/* What happens in a space. All may come at any time from within the loop. */
struct space_ops {
	void (*committed)(void *ctx, struct space *s);
	void (*synced)(void *ctx, struct space *s, bool synced);
	void (*changed)(void *ctx, struct space *s, enum mirror_what what,
			const struct xfrm_change *change);
	void (*settled)(void *ctx, struct space *s); /* ask again what waits */
	void (*outcome)(void *ctx, struct space *s, uint64_t id, int err, const char *why);
	void (*alert)(void *ctx, struct space *s, const char *conn, const char *type,
		      const char *text);
};

struct space_config {
	const char *name;
	const char *netns; /* NULL: our own */
	const char *vici;  /* NULL: there is no IKE daemon to ask */
	bool require_children;
	uint8_t default_block; /* BLOCK_ bits of config.h */
};

struct space {
	struct space *next;
	char name[65];
	char vici[128];	      /* empty: none */
	char netns_text[256]; /* empty: our own */
	int netns_fd;	      /* -1: our own */
	uint64_t netns;	      /* cookie */
	__u32 slot;
	bool committed;
	__u8 full_told;	      /* what does not fit into the maps: see space_full.h */
	size_t routes_others; /* see space_full_routes_note() */
	bool look_for_losses; /* see daemon_losses.c */
	bool container;	      /* of gates, who say when it ends: see daemon_containers.c */
	bool require_children;
	bool ike_heard;	       /* its children were listed at least once */
	uint64_t ike_up_since; /* boottime */
	bool ike_lost;	       /* the link went down since it told of a child */
	char ike_problem[256];
	pid_t ike_pid;		   /* exempt from gates; 0: none */
	int acquire_fd;		   /* -1: not opened yet */
	int ports_fd;		   /* local_ports_open() */
	uint8_t default_block;	   /* BLOCK_ bits: what it is to be, see space_default.h */
	uint8_t default_open;	   /* those that are not: they cannot be set, or just not again */
	uint64_t default_restored; /* how often somebody did */
	uint64_t default_set_at;   /* boottime */
	struct nl_sock *default_nl;
	int larval_fd; /* net.core.xfrm_larval_drop, -1: not opened yet */
	enum space_queue queue;
	struct bpf *bpf;
	struct map_sink sink;
	struct mirror *mirror;
	struct routes *routes;
	struct requirements *requirements;
	struct ike_bridge *ike;
	sd_event *event;
	sd_event_source *ike_io, *ike_wait;
	const struct space_ops *ops;
	void *ctx;
	unsigned int seconds; /* it lives */
};

/* `ops` and `ctx` must outlive the space. -errno with *e and nothing left behind. */
int space_new(sd_event *event, struct bpf *b, const struct space_config *config,
	      const struct space_ops *ops, void *ctx, struct space **out, struct error *e);
/* Stops mirroring; what is in the maps stays (enforcement outlives us). NULL is fine. */
void space_free(struct space *s);

/* Another VICI socket, or require-children. The rest of a space does not change while it lives. */
int space_reconfigure(struct space *s, const struct space_config *config, struct error *e);

/* Injects an ACQUIRE for the flow with a template of that policy. */
int space_acquire(struct space *s, const struct flow *flow, const struct policy_info *policy,
		  struct error *e);

/* Once a second: requirements that have been gone long enough. */
void space_second(struct space *s);

/* Whether what netns= names is still the network namespace that is mirrored. */
bool space_here(const struct space *s);

bool space_synced(const struct space *s);
json_t *space_to_json(const struct space *s);

/* One that could not be opened, with the same fields; `e` is what space_new() said. */
json_t *space_closed_json(const char *name, const char *netns, const char *vici,
			  const struct error *e);
/* Whether only its network namespace is missing. */
bool space_error_absent(const struct error *e);

#endif
