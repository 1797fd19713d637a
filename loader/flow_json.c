// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "flow_json.h"
#include "json_util.h"
#include "units.h"

enum { ICMP_ECHO_TYPE = 8, ICMPV6_ECHO_TYPE = 128 };

const char *verdict_name(__u8 verdict)
{
	static const char *const names[] = {
#define X(n, s) [VERDICT_##n] = s,
		SAGATE_VERDICTS(X)
#undef X
	};

	return verdict < VERDICT_COUNT ? names[verdict] : "unknown";
}

const char *reason_name(__u8 reason)
{
	static const char *const names[] = {
#define X(n, v, s, t) [REASON_##n] = s,
		SAGATE_REASONS(X)
#undef X
	};

	return reason < REASON_COUNT ? names[reason] : "unknown";
}

const char *reason_text(__u8 reason)
{
	static const char *const texts[] = {
#define X(n, v, s, t) [REASON_##n] = t,
		SAGATE_REASONS(X)
#undef X
	};

	return reason < REASON_COUNT ? texts[reason] : "unknown";
}

const char *mode_name(__u8 mode)
{
	static const char *const names[] = {
#define X(n, s) [MODE_##n] = s,
		SAGATE_MODES(X)
#undef X
	};

	return mode < MODE_COUNT ? names[mode] : "unknown";
}

static json_t *addr_json(__u8 family, const __be32 addr[4], bool known)
{
	char text[UNITS_TEXT];

	return known ? json_string(addr_format(family, addr, text, sizeof(text))) : json_null();
}

static json_t *port_json(__be16 port)
{
	return port ? json_integer(ntohs(port)) : json_null();
}

json_t *flow_to_json(const struct flow *f)
{
	char proto[UNITS_TEXT], dev[IF_NAMESIZE];
	json_t *o;

	o = json_pack("{s:I s:s s:I}", "netns", (json_int_t)f->netns, "proto",
		      proto_format(f->proto, proto, sizeof(proto)), "mark", (json_int_t)f->mark);
	if (!o)
		return NULL;
	json_object_set_new(o, "src", addr_json(f->family, f->saddr, f->has_saddr));
	json_object_set_new(o, "sport", port_json(f->sport));
	json_object_set_new(o, "dst", addr_json(f->family, f->daddr, true));
	json_object_set_new(o, "dport", port_json(f->dport));
	json_object_set_new(o, "ifindex", f->oif ? json_integer(f->oif) : json_null());
	/* a name only where the index is one of this namespace */
	if (f->oif && if_indextoname(f->oif, dev))
		json_object_set_new(o, "dev", json_string(dev));
	return o;
}

static int proto_of(const json_t *args, __u8 *proto, struct error *e)
{
	const json_t *v = json_object_get(args, "proto");

	if (json_is_integer(v) && json_integer_value(v) > 0 && json_integer_value(v) <= 255) {
		*proto = json_integer_value(v);
		return 0;
	}
	if (json_is_string(v))
		return proto_parse(json_string_value(v), proto, e);
	return error_set(e, -EINVAL, "bad-request",
			 "proto: a protocol's name or number is expected");
}

/* A number of at most `max`. What is not there, or null, leaves *out as it is. */
static int number_of(const json_t *args, const char *key, json_int_t max, json_int_t *out,
		     struct error *e)
{
	const json_t *v = json_object_get(args, key);
	json_int_t n = json_get_int(args, key, -1);

	if (!v || json_is_null(v))
		return 0;
	if (n < 0 || n > max)
		return error_set(e, -EINVAL, "bad-request",
				 "%s: a number from 0 to %" JSON_INTEGER_FORMAT " is expected", key,
				 max);
	*out = n;
	return 0;
}

static int numbers_of(const json_t *args, struct flow *f, struct error *e)
{
	json_int_t netns = (json_int_t)f->netns, mark = 0, ifindex = 0, sport = 0, dport = 0;

	if (number_of(args, "netns", INT64_MAX, &netns, e) ||
	    number_of(args, "mark", UINT32_MAX, &mark, e) ||
	    number_of(args, "ifindex", INT32_MAX, &ifindex, e) ||
	    number_of(args, "sport", UINT16_MAX, &sport, e) ||
	    number_of(args, "dport", UINT16_MAX, &dport, e))
		return -EINVAL;
	f->netns = (__u64)netns;
	f->mark = (__u32)mark;
	f->oif = (__u32)ifindex;
	f->has_oif = ifindex ? KNOWN_BOUND : f->has_oif;
	f->sport = htons((uint16_t)sport);
	f->dport = htons((uint16_t)dport);
	return 0;
}

static bool is_mapped(const __be32 addr[4])
{
	return !addr[0] && !addr[1] && addr[2] == htonl(0xffff);
}

static bool is_any(const __be32 addr[4])
{
	return !addr[0] && !addr[1] && !addr[2] && !addr[3];
}

static int source_of(const json_t *args, struct flow *f, struct error *e)
{
	const json_t *v = json_object_get(args, "src");
	const char *src = json_string_value(v);
	__u8 family;
	int err;

	if (!v || json_is_null(v))
		return 0;
	if (!src)
		return error_set(e, -EINVAL, "bad-request", "src: an address is expected");
	err = addr_parse(src, &family, f->saddr, e);
	if (err)
		return err;
	if (family != f->family || (family == AF_INET6 && is_mapped(f->daddr) &&
				    !is_mapped(f->saddr) && !is_any(f->saddr)))
		return error_set(e, -EINVAL, "bad-request",
				 "%s: the source is of another family than the destination", src);
	f->has_saddr = KNOWN_BOUND;
	return 0;
}

/* The echo that a ping socket sends: xfrm compares type and code as ports. */
static void set_icmp(struct flow *f)
{
	if (f->proto != IPPROTO_ICMP && f->proto != IPPROTO_ICMPV6)
		return;
	f->sport = htons(f->proto == IPPROTO_ICMP ? ICMP_ECHO_TYPE : ICMPV6_ECHO_TYPE);
	f->dport = 0;
}

int flow_from_json(const json_t *args, __u64 own_netns, struct flow *out, struct error *e)
{
	const char *dst = json_get_text(args, "dst");
	struct flow f = {.netns = own_netns};
	int err;

	if (!dst)
		return error_set(e, -EINVAL, "bad-request", "dst: an address is expected");
	err = addr_parse(dst, &f.family, f.daddr, e);
	if (!err)
		err = proto_of(args, &f.proto, e);
	if (!err)
		err = numbers_of(args, &f, e);
	if (!err)
		err = source_of(args, &f, e);
	if (err)
		return err;
	/* as the hooks see it: a v4-mapped destination is an IPv4 flow */
	if (f.family == AF_INET6 && is_mapped(f.daddr)) {
		f.family = AF_INET;
		f.daddr[0] = f.daddr[3];
		f.saddr[0] = f.saddr[3];
		memset(&f.daddr[1], 0, 3 * sizeof(f.daddr[0]));
		memset(&f.saddr[1], 0, 3 * sizeof(f.saddr[0]));
	}
	set_icmp(&f);
	*out = f;
	return 0;
}

const char *unheld_name(__u8 unheld)
{
	static const char *const names[] = {
#define X(n, s, t) [UNHELD_##n] = s,
		SAGATE_UNHELD(X)
#undef X
	};

	return unheld < UNHELD_COUNT ? names[unheld] : "unknown";
}

const char *nonblocking_name(__u8 nonblocking)
{
	static const char *const names[] = {
#define X(n, s) [NONBLOCKING_##n] = s,
		SAGATE_NONBLOCKINGS(X)
#undef X
	};

	return nonblocking < NONBLOCKING_COUNT ? names[nonblocking] : "unknown";
}

static const char *hook_name(__u8 hook)
{
	static const char *const names[] = {
#define X(n, s) [HOOK_##n] = s,
		SAGATE_HOOKS(X)
#undef X
	};

	return hook < HOOK_COUNT ? names[hook] : "unknown";
}

/* A packet that the guard saw. Who sent it is not always known, the socket is. */
static json_t *guard_event_to_json(const struct event *event, const char *gate)
{
	char comm[sizeof(event->comm) + 1] = "";
	json_t *o;

	memcpy(comm, event->comm, sizeof(event->comm));
	o = json_pack("{s:s s:s s:s s:s? s:I s:I s:b s:s}", "event", "guard", "verdict",
		      verdict_name(event->decision.verdict), "reason",
		      reason_name(event->decision.reason), "gate", gate, "cgroup_id",
		      (json_int_t)event->cgroup_id, "socket", (json_int_t)event->socket, "dropped",
		      event->error != 0, "mode", mode_name(event->mode));
	if (!o)
		return NULL;
	json_object_set_new(o, "pid", event->pid ? json_integer(event->pid) : json_null());
	json_object_set_new(o, "tid", event->pid ? json_integer(event->tid) : json_null());
	json_object_set_new(o, "comm", event->pid ? json_text(comm) : json_null());
	json_object_set_new(o, "flow", flow_to_json(&event->flow));
	return o;
}

json_t *event_to_json(const struct event *event, const char *gate)
{
	const char *error = errno_name(event->error);
	char comm[sizeof(event->comm) + 1] = "";
	json_t *o;

	if (event->hook == HOOK_EGRESS)
		return guard_event_to_json(event, gate);
	memcpy(comm, event->comm, sizeof(event->comm));
	o = json_pack("{s:s s:s s:s s:s? s:I s:I s:I s:s s:s s:b}", "event", "verdict", "verdict",
		      verdict_name(event->decision.verdict), "reason",
		      reason_name(event->decision.reason), "gate", gate, "cgroup_id",
		      (json_int_t)event->cgroup_id, "pid", (json_int_t)event->pid, "tid",
		      (json_int_t)event->tid, "hook", hook_name(event->hook), "mode",
		      mode_name(event->mode), "failed", event->decision.failed);
	if (!o)
		return NULL;
	json_object_set_new(o, "held", json_boolean(event->held));
	json_object_set_new(o, "queued", json_boolean(event->unheld == UNHELD_QUEUE));
	json_object_set_new(o, "comm", json_text(comm));
	json_object_set_new(o, "errno",
			    event->error ? json_string(error ? error : "other") : json_null());
	json_object_set_new(o, "flow", flow_to_json(&event->flow));
	return o;
}
