// SPDX-License-Identifier: GPL-2.0-only
#include "ike_internal.h"

#include <string.h>

/* A CHILD_SA's trap and SA share the reqid: learn it, unless it is gone with the SA. */
static void on_updown(struct ike_bridge *b, struct vici_str conn, struct vici_str child,
		      uint32_t reqid, bool up)
{
	char conn_text[IKE_TEXT_MAX], child_text[IKE_TEXT_MAX];
	int64_t at = ike_list_lookup(&b->list, conn, child);
	bool changed = false;

	if (at >= 0 && (b->current || b->step > IKE_CONNS))
		changed = up ? ike_list_learn(&b->list, at, reqid)
			     : ike_list_unlearn(&b->list, at, reqid);
	ike_text_copy(conn_text, sizeof(conn_text), conn);
	ike_text_copy(child_text, sizeof(child_text), child);
	if (b->ops.updown)
		b->ops.updown(b->ctx, conn_text, child_text, up, reqid);
	if (changed && b->ops.children)
		b->ops.children(b->ctx);
}

/* type = …, ike-sa { CONN { … } } */
static void on_alert(struct ike_bridge *b, const struct vici_packet *pkt)
{
	char type[IKE_TEXT_MAX] = "", conn[IKE_TEXT_MAX];
	struct vici_element e;
	struct vici_reader r;
	bool in_sa = false, named = false;

	vici_reader_init(&r, pkt->msg, pkt->msg_len);
	while (vici_next(&r, &e) == 1) {
		if (e.type == VICI_KEY_VALUE && !e.depth && vici_str_is(e.name, "type"))
			ike_text_copy(type, sizeof(type), e.value);
		else if (e.type == VICI_SECTION_START && !e.depth)
			in_sa = vici_str_is(e.name, "ike-sa");
		else if (e.type == VICI_SECTION_START && e.depth == 1 && in_sa && !named) {
			ike_text_copy(conn, sizeof(conn), e.name);
			named = true;
		}
	}
	if (type[0] && b->ops.alert)
		b->ops.alert(b->ctx, named ? conn : NULL, type, ike_alert_text(type));
}

void ike_event(struct ike_bridge *b, const struct vici_packet *pkt)
{
	struct vici_str up;

	if (vici_str_is(pkt->name, "child-updown")) {
		bool is_up = vici_root_value(pkt->msg, pkt->msg_len, "up", &up) &&
			     vici_str_is(up, "yes");

		ike_sa_each(b, pkt, is_up, on_updown);
	} else if (vici_str_is(pkt->name, "alert")) {
		on_alert(b, pkt);
	}
}
