/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What others do to a gate: detach its programs, put others behind its links, or attach programs
 * of their own that the kernel runs after ours and which turn a refusal into success
 * (bpf_set_retval(0)).
 */
#ifndef SAGATE_GATE_WATCH_H
#define SAGATE_GATE_WATCH_H

#include "gates.h"

/* X(NAME, "name"): what was found; each is told once, and logged. */
#define GATE_FINDINGS(X)                                                                           \
	X(DETACHED, "detached") /* a program of ours: it is attached again */                      \
	X(REPLACED, "replaced") /* behind our link: ours is put back */                            \
	X(UNDONE, "undone")	/* what the gate refuses comes through */                          \
	X(ENFORCED, "enforced") /* it does no more */

enum gate_finding {
#define X(id, name) GATE_##id,
	GATE_FINDINGS(X)
#undef X
};

const char *gate_finding_name(enum gate_finding f);

struct gate_watcher {
	void (*tell)(void *ctx, const struct gate *gate, enum gate_finding f, enum hook hook);
	void *ctx;
};

/*
 * Looks at one gate that is attached, and puts right what can be: twice a second. What refuses
 * nothing any more stands in gate->undone.
 */
void gate_watch(struct bpf *b, struct gate *gate, const struct gate_watcher *w);

/*
 * Others' programs that run after ours for that hook: "NAME (id N)", one after the other, as far as
 * there is room. Returns how many; -errno: not known.
 */
int gate_later(struct bpf *b, const struct gate *gate, enum hook hook, char *text, size_t size);

#endif
