/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The matrix: every way to send (a row) × what has become of the SA (a column), and what a sniffer
 * in the peer's network namespace sees of it. table.c has the rows.
 *
 *   netns a: the gated host            netns b: the peer, which the sniffer is in
 *   wire 192.0.2.1, 2001:db8::1  ====  wire 192.0.2.2, 2001:db8::2   must be protected (required)
 *                                           192.0.2.99, 2001:db8::99 nobody's, need no protection
 */
#ifndef MATRIX_H
#define MATRIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What has become of the SA. Sockets are made, connected, used once, before it does. */
enum state {
	NONE, /* neither SA nor policy, only the requirement */
	UP,   /* SA and policy */
	LOST, /* both were there and went */
	KEPT, /* the SA went, its policy is there */
	DEAD, /* the daemon was killed; after that, unseen, both went */
	CAME, /* both came after the socket was connected */
	HOLD, /* mode hold: a policy without an SA, which comes while the calls wait */
	OFF,  /* as LOST, without a gate: what the sniffer must report */
	STATES
};

/* What is to become of the packet. */
enum what {
	ESP,	 /* only ESP arrives */
	REFUSED, /* the call fails with that errno, nothing arrives */
	DROPPED, /* the guard drops: nothing arrives, the call ends so */
	KERNEL,	 /* the kernel itself refuses with that errno, nothing arrives */
	QUIET,	 /* it succeeds, and sends nothing there */
	CLEAR,	 /* exempt: it arrives in clear */
	UNTRIED	 /* it would be no way of the gate's */
};

struct cell {
	enum what what;
	int err; /* positive; 0: the call succeeds */
};

/* Where to: IPv4, IPv6, ::ffff:v4 on an AF_INET6 socket, a sockaddr_in on one. */
enum to { TO4, TO6, TO_MAPPED, TO_IN6 };

struct way {
	const char *name;
	int (*go)(const struct way *w); /* 0 or -errno of the call that failed */
	enum to to;
	int type, proto; /* of the socket */
	int arg;	 /* go's own */
	int cap;	 /* CAP_*, the only one it has; -1: none. User nobody */
	unsigned int flags;
	struct cell cell[DEAD + 1];
	struct cell hold;
	int since, until; /* kernels that do so: >= since, < until; 0: all. 612: 6.12 */
	int gone;	  /* kernels from this one on have no such socket */
	const char *why;  /* exempt: whose it is then */
};

/* Of struct way. */
#define OUTSIDE	  1U  /* begins outside of the gate */
#define REPORTS	  2U  /* it is IGMP or MLD that counts */
#define COMES	  4U  /* state CAME is tried, and is to be ESP */
#define HOLDS	  8U  /* state HOLD is tried */
#define ELSEWHERE 16U /* way_sendmsg() goes to who needs no protection */
#define FUTILE	  32U /* without a gate nothing arrives, either */

extern const struct way ways[];
extern const size_t ways_count;

/* The table as WAYS.md has it. */
void table_print(void);
const char *cell_text(const struct cell *c, char out[64]);

/* ---- wire.c: the sniffer ---- */

struct seen {
	unsigned int esp, plain, reports;
	char what[3][160]; /* of the first in clear */
};

void wire_open(int netns_a, int netns_b);
/* All that arrived since the last call. What was sent before the call has arrived. */
void wire_take(struct seen *out);

/* ---- host.c: namespaces, SAs and policies, the gate ---- */

struct world {
	int netns_a, netns_b;
	int inside, outside; /* cgroup.procs */
	const char *sagate, *socket;
	const char *guard; /* on; off: the run must fail */
	pid_t daemon;
};

extern struct world world;
extern bool patient; /* sockets wait for long: calls are held */
void host_open(void);
void host_enter(int netns);
/* What a state begins and ends with; a change is in the maps when they return. */
void host_before(enum state s);
void host_after(enum state s);
double now_s(void);
void pause_ms(unsigned int ms);
void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/* ---- peer.c: what the peer does ---- */

enum peer_op {
	PEER_CONNECT, /* TCP to port `port` of a; it stays open: returns its number */
	PEER_SEND,    /* on connection `port` */
	PEER_SHUT,    /* its FIN */
	PEER_UDP,     /* a datagram to `port` of a */
	PEER_PING     /* an echo request */
};

void peer_start(void);
void peer_stop(void);
/* Returns 0 or more, or -errno. */
int peer_do(enum peer_op op, int family, uint16_t port);

/* ---- child.c: what a way uses ---- */

/* Runs a way in a process of its own; see run.c for what it says. */
void child_run(const struct way *w, int say, bool staged) __attribute__((noreturn));

/* The state changes here. */
void stage(void);
/* The kernel has no such thing: ends the way. */
void not_here(int err) __attribute__((noreturn));
void enter_gate(void);
void leave_gate(void);

/* ---- run.c ---- */

struct report {
	enum { STAGED, DONE, NOT_HERE } what;
	int err;
};

/* One state, over all ways whose name has `only` in it. Returns how many cells are wrong. */
unsigned int run_state(enum state s, const char *only);
unsigned int run_hold(const char *only); /* state HOLD: all at once */
extern const char *const state_names[STATES];
extern bool run_json, run_verbose;

/* ---- judge.c ---- */

/* What a way came to. */
struct outcome {
	struct report report;
	bool early; /* it ended before the state changed */
	struct seen seen;
	double took; /* seconds, the sniffer's included */
};

/* Is the way tried in that state on this kernel? */
bool judge_tries(const struct way *w, enum state s);
struct cell judge_expected(const struct way *w, enum state s);
/* Prints the cell, where it is asked for. False: it is wrong, and printed in any case. */
bool judge(const struct way *w, enum state s, const struct outcome *o);
int kernel_version(void);

#endif
