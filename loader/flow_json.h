/* SPDX-License-Identifier: GPL-2.0-only */
/* Flows, decisions and events as JSON, and flows out of it. */
#ifndef SAGATE_FLOW_JSON_H
#define SAGATE_FLOW_JSON_H

#include <jansson.h>

#include "abi.h"
#include "error.h"

const char *verdict_name(__u8 verdict);
const char *reason_name(__u8 reason);
const char *reason_text(__u8 reason); /* a sentence for a person */
const char *mode_name(__u8 mode);

/* {"netns","family","proto","src","sport","dst","dport","mark","oif"}; unknown parts are null. */
json_t *flow_to_json(const struct flow *f);

/*
 * The arguments of explain: proto (number or text), dst, dport, src, sport, mark, dev, netns (a
 * cookie). `own_netns` stands for a missing netns. -EINVAL with *e; *f untouched.
 */
int flow_from_json(const json_t *args, __u64 own_netns, struct flow *f, struct error *e);

/* A watch event of a refused or audited call; `gate` is its name. */
const char *unheld_name(__u8 unheld);
const char *nonblocking_name(__u8 nonblocking); /* enum unheld */
json_t *event_to_json(const struct event *event, const char *gate);

#endif
