/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Requirements of one space: flows that must be protected whatever the SPD says. They come from the
 * configuration and from the children of loaded IKE connections; PASS children are exemptions among
 * them. In the maps they are one more class of policies (CLASS_REQUIRE): a requirement is a policy
 * that blocks, an exemption one that allows, and the most specific selector is asked first.
 *
 * Those that an earlier daemon left in the maps are kept until the IKE daemon has been heard: a
 * restart while IKE is down must not forget what has to be protected.
 */
#ifndef SAGATE_REQUIREMENTS_H
#define SAGATE_REQUIREMENTS_H

#include <jansson.h>
#include <stdbool.h>

#include "bpf.h"
#include "ike_bridge.h"
#include "spd.h"
#include "units.h"

#define REQUIREMENT_SOURCES(X)                                                                     \
	X(CONFIG, "config")                                                                        \
	X(IKE, "ike")                                                                              \
	X(ADOPTED, "adopted")

enum requirement_source {
#define X(id, name) REQUIREMENT_##id,
	REQUIREMENT_SOURCES(X)
#undef X
};

struct requirement {
	__u32 index; /* in the maps; never 0 */
	enum requirement_source source;
	bool exempt;		/* a PASS child: sent in clear */
	bool seen;		/* by the update that runs */
	uint64_t gone;		/* boottime since which an IKE daemon no longer has it, 0: it has */
	char name[130];		/* the section's name, or conn/child */
	char child[130];	/* conn/child to initiate; empty: found by traffic selectors */
	struct prefix from, to; /* family 0: any */
	__u8 family;
	__u8 proto; /* 0: any */
	__be16 sport, sport_mask, dport, dport_mask;
};

#define REQUIREMENT_LINGER_NS 15000000000ULL

/* Of one child, or section, that needs more selectors rather more is required than less. */
#define REQUIREMENT_SELECTORS_MAX 1024

struct requirements;

int requirements_new(struct spd *spd, struct requirements **out);
void requirements_free(struct requirements *r); /* the maps stay as they are */

/* Takes over what the maps hold for this space. Call before anything else. */
int requirements_adopt(struct requirements *r, const struct bpf *b, __u32 space);

/*
 * An update of one source: begin, set each, end removes those that were not set again. One that
 * stands so already keeps its index and is not written. 0 or -ENOMEM; -EINVAL: no such selector.
 */
void requirements_begin(struct requirements *r, enum requirement_source source);
int requirements_set(struct requirements *r, const struct requirement *one);
void requirements_end(struct requirements *r, enum requirement_source source);

/*
 * All selectors of the loaded children, as one update. What they no longer have goes at once, or,
 * with `linger`, after REQUIREMENT_LINGER_NS (requirements_expire): a restarted IKE daemon loads
 * its connections one by one, and nothing may leave in clear meanwhile. Returns how many.
 */
int requirements_from_ike(struct requirements *r, const struct ike_child *children, size_t count,
			  bool linger);

/* The [require] sections of one space, as one update; what there is no memory for is logged. */
struct config;
void requirements_from_config(struct requirements *r, const struct config *config,
			      const char *space);

/* What an IKE daemon no longer has, and what was adopted, is gone from now on. */
void requirements_gone(struct requirements *r);
/* Removes what has been gone for long enough. */
void requirements_expire(struct requirements *r);

const struct requirement *requirements_find(const struct requirements *r, __u32 index);
size_t requirements_count(const struct requirements *r);
json_t *requirements_to_json(const struct requirements *r, const char *space);

const char *requirement_source_name(enum requirement_source source);

#endif
