/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One IKE daemon behind one VICI socket: what it has loaded, what happens to
 * it, and a way to start it. Never blocks and owns no loop: poll
 * ike_bridge_fd() for input and call ike_bridge_dispatch(); all callbacks come
 * out of that call. Not for use by several threads at once.
 *
 * Connections are made, watched and made again (0.1 s to 5 s apart) by itself.
 * Nothing the daemon says is trusted: lengths, counts and memory are capped,
 * texts handed out are printable ASCII, names hold no control characters.
 */
#ifndef IKE_BRIDGE_H
#define IKE_BRIDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ts.h"

/* ID, the daemon's word */
#define IKE_MODES(X)                                                                               \
	X(UNKNOWN, "UNKNOWN")                                                                      \
	X(TRANSPORT, "TRANSPORT")                                                                  \
	X(PROXY, "TRANSPORT_PROXY")                                                                \
	X(TUNNEL, "TUNNEL")                                                                        \
	X(BEET, "BEET")                                                                            \
	X(IPTFS, "IPTFS")                                                                          \
	X(PASS, "PASS")                                                                            \
	X(DROP, "DROP")

enum ike_mode {
#define X(id, text) IKE_##id,
	IKE_MODES(X)
#undef X
};

enum {
	IKE_CHILDREN_MAX = 65536,
	IKE_TS_MAX = 256,	    /* each way, of one child */
	IKE_ADDRS_MAX = 64,	    /* each way, of one connection */
	IKE_MEMORY_MAX = 128 << 20, /* of one list */
	IKE_TRACKED_MAX = 16,	    /* initiates waited for at a time */
	IKE_QUEUE_MAX = 4096,	    /* initiates told to the daemon and not waited for */
	IKE_TEXT_MAX = 512,	    /* any text handed out */
};

/* One configured child of one loaded connection. */
struct ike_child {
	const char *conn, *name;
	enum ike_mode mode;
	uint32_t reqid; /* of its trap, else of its last SA; 0: not told */
	bool installed; /* the daemon has a trap, pass or drop policy for it */
	const struct ts *local, *remote;
	size_t nlocal, nremote;
	size_t left_out; /* selectors that could not be read, or too many */
	const char *const *local_addrs, *const *remote_addrs; /* address, range, subnet, */
	size_t nlocal_addrs, nremote_addrs;		      /* %any or a host's name */
};

/* Every pointer is valid until the callback returns; text may be NULL where it says so. */
struct ike_ops {
	/* why: one line, NULL when up. Down is told again when the reason changes. */
	void (*link)(void *ctx, bool up, const char *why);
	/* The loaded children, or what is known of them, changed; also after each (re)connect. */
	void (*children)(void *ctx);
	/*
	 * An initiate ended. err 0: the daemon says established. -EINPROGRESS: it
	 * began, and nothing more will be told (too many were waited for).
	 * Otherwise it failed, errmsg says why (NULL for the two above). Only news:
	 * the SAD decides. The daemon may drop one as a duplicate of another.
	 */
	void (*outcome)(void *ctx, uint64_t id, int err, const char *errmsg);
	/* conn is NULL if the daemon names none. It never names the child. */
	void (*alert)(void *ctx, const char *conn, const char *type, const char *text);
	void (*updown)(void *ctx, const char *conn, const char *child, bool up, uint32_t reqid);
};

struct ike_bridge;

/*
 * uri: unix:///path or /path. *ops is copied, any of it may be NULL. The first
 * connect is tried in the first dispatch. 0, -EINVAL (uri) or -errno.
 */
int ike_bridge_new(const char *uri, const struct ike_ops *ops, void *ctx, struct ike_bridge **out);

/* No more callbacks. Not from inside one. NULL is fine. */
void ike_bridge_free(struct ike_bridge *b);

int ike_bridge_fd(const struct ike_bridge *b);

/* Does what is due, a bounded amount. 0 or -errno (of epoll itself). */
int ike_bridge_dispatch(struct ike_bridge *b);

/* Events are registered and commands are taken. */
bool ike_bridge_up(const struct ike_bridge *b);

/* The process that listens on the socket, from SO_PEERCRED; 0 while down. */
pid_t ike_bridge_peer_pid(const struct ike_bridge *b);

/* The daemon's name and version ("charon 5.9.8"); NULL before the first answer. */
const char *ike_bridge_version(const struct ike_bridge *b);

/*
 * The last complete list, valid until the next dispatch. Kept while the link is
 * down; *current (may be NULL) tells whether it is of this connection.
 */
const struct ike_child *ike_bridge_children(const struct ike_bridge *b, size_t *n, bool *current);

/* Lists again now, not in a few seconds: VICI has no event for loaded connections. */
void ike_bridge_refresh(struct ike_bridge *b);

struct ike_flow {
	uint8_t family;
	uint8_t proto; /* 0: not known */
	bool has_saddr;
	uint8_t saddr[16], daddr[16]; /* network order, IPv4 in the first four */
	uint16_t sport, dport;	      /* host order; 0: not known. ICMP: type << 8 | code */
	uint32_t reqid;		      /* of the policy's template; 0: not known */
};

/*
 * The child that protects a flow: the one with that reqid, if its selectors do
 * not contradict; else by selectors, the most specific one (by remote address,
 * remote protocol and port, then the local ones; the first listed on a tie). "dynamic"
 * is the connection's own or remote address; where that is only a host's name,
 * the child is taken only if no other one could be meant. May be a PASS or DROP
 * child: look at the mode. NULL: none. Valid until the next dispatch.
 */
const struct ike_child *ike_bridge_find(const struct ike_bridge *b, const struct ike_flow *flow);

/*
 * Has the daemon bring up that child. Waited for up to timeout_ms (0: 30 s); at
 * most a few at a time are (each holds one of the daemon's threads), further
 * ones are started and not waited for. Exactly one outcome() follows, later,
 * unless cancelled. 0 and *id; -ENOTCONN (down), -ENOBUFS (too many queued),
 * -EINVAL (a name that is too long) or -errno.
 */
int ike_bridge_initiate(struct ike_bridge *b, const char *conn, const char *child,
			unsigned int timeout_ms, uint64_t *id);

/* Forgets one: no outcome() for it. What the daemon began goes on. */
void ike_bridge_cancel(struct ike_bridge *b, uint64_t id);

const char *ike_mode_name(enum ike_mode mode);

#endif
