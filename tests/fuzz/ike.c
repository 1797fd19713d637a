// SPDX-License-Identifier: GPL-2.0-only
/*
 * What an IKE daemon says, packet by packet without a socket: loaded connections, their traffic
 * selectors, CHILD_SAs, alerts, log lines. The input is packets with a u16 length in front; what is
 * no packet is tried as a traffic selector.
 */
/* covers: ike-bridge/vici_msg.c ike-bridge/ike_conn.c ike-bridge/ike_list.c ike-bridge/ike_find.c
 */
/* covers: ike-bridge/ike_event.c ike-bridge/ike_sa.c ike-bridge/ike_reason.c */
/* covers: ike-bridge/ts_parse.c ike-bridge/ts.c */
/* needs: ike-bridge/vici_msg.c ike-bridge/ike_conn.c ike-bridge/ike_list.c ike-bridge/ike_find.c */
/* needs: ike-bridge/ike_event.c ike-bridge/ike_sa.c ike-bridge/ike_reason.c */
/* needs: ike-bridge/ts_parse.c ike-bridge/ts.c ike-bridge/ike_arena.c */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "ike_find.h"
#include "ike_internal.h"
#include "told.h"

static int name_number(void *ctx, const char *name)
{
	(void)ctx;
	return name[0] & 1 ? name[0] : -1;
}

static int name_port(void *ctx, const char *name, uint8_t proto)
{
	(void)proto;
	return name_number(ctx, name);
}

static const struct ts_names names = {.proto = name_number, .port = name_port};

static void check_ts(const struct ts *ts)
{
	struct ts_prefix prefixes[TS_PREFIX_MAX];
	struct ts_port ports[TS_PORT_MAX];
	int n = ts_prefixes(ts, prefixes, TS_PREFIX_MAX);

	check(ts->dynamic ? n < 0 : n > 0);
	for (int i = 0; i < n; i++)
		check(ts_matches(ts, ts->family, prefixes[i].addr, 0, 0));
	check(ts_ports(ts, ports, TS_PORT_MAX) > 0);
	check(ts_common_bits(ts) <= 128);
}

static void try_ts(const void *text, size_t len)
{
	struct ts ts;

	if (!ts_parse(text, len, &names, &ts))
		check_ts(&ts);
}

static void check_children(const struct ike_list *l)
{
	static const struct vici_str none;

	for (size_t i = 0; i < l->n; i++) {
		const struct ike_child *c = &l->children[i];

		check(c->name[0] && c->conn[0] && ike_mode_name(c->mode));
		for (size_t j = 0; j < c->nlocal; j++)
			check_ts(&c->local[j]);
		for (size_t j = 0; j < c->nremote; j++)
			check_ts(&c->remote[j]);
	}
	check(ike_list_lookup(l, none, none) < 0);
}

static void try_find(const struct ike_list *l, const uint8_t *data, size_t size)
{
	struct ike_flow flow = {.family = AF_INET};

	memcpy(&flow, data, size < sizeof(flow) ? size : sizeof(flow));
	flow.family = flow.family & 1 ? AF_INET : AF_INET6;
	flow.has_saddr = data[0] & 2;
	ike_find(l, &flow);
}

static void on_answer(struct ike_reason *reason, const struct vici_packet *pkt)
{
	char text[2 * IKE_TEXT_MAX];
	struct vici_str value = {0};

	vici_root_value(pkt->msg, pkt->msg_len, "errmsg", &value);
	check(ike_reason_tell(reason, value, text, sizeof(text)) < 0 && text[0]);
	check_text(text);
}

static void on_packet(struct ike_bridge *b, struct ike_reason *reason,
		      const struct vici_packet *pkt)
{
	struct vici_str value;

	if (vici_check(pkt->msg, pkt->msg_len))
		return;
	if (vici_str_is(pkt->name, "list-conn"))
		ike_build_add(&b->build, &b->list, pkt->msg, pkt->msg_len, &names);
	else if (vici_str_is(pkt->name, "list-policy"))
		ike_list_take(&b->list, &b->build);
	else if (pkt->type == VICI_EVENT)
		ike_event(b, pkt);
	else
		on_answer(reason, pkt);
	if (vici_root_value(pkt->msg, pkt->msg_len, "msg", &value))
		ike_reason_note(reason, value);
}

static void one(struct ike_bridge *b, struct ike_reason *reason, const uint8_t *data, size_t size)
{
	uint8_t *exact = malloc(size ? size : 1);
	struct vici_packet pkt;

	memcpy(exact, data, size);
	if (vici_packet_parse(exact, size, &pkt))
		try_ts(exact, size);
	else
		on_packet(b, reason, &pkt);
	free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct ike_ops ops = {.alert = on_alert, .updown = on_updown};
	struct ike_bridge *b = calloc(1, sizeof(*b));
	struct ike_reason reason = {0};

	if (!b)
		abort();
	b->ops = ops;
	b->current = true;
	for (size_t len; size >= 2; data += len, size -= len) {
		len = (size_t)data[0] << 8 | data[1];
		data += 2;
		size -= 2;
		len = len < size ? len : size;
		one(b, &reason, data, len);
	}
	ike_list_take(&b->list, &b->build);
	check_children(&b->list);
	if (size)
		try_find(&b->list, data, size);
	ike_list_free(&b->list);
	ike_build_free(&b->build);
	free(b);
	return 0;
}
