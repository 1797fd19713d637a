// SPDX-License-Identifier: GPL-2.0-only
#include "ike_internal.h"

uint32_t ike_parse_u32(struct vici_str s)
{
	uint64_t n = 0;

	if (!s.len || s.len > 10)
		return 0;
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return 0;
		n = n * 10 + (s.p[i] - '0');
	}
	return n <= UINT32_MAX ? n : 0;
}

/* CONN { … child-sas { NAME-ID { name = NAME, reqid = N, … } … } } */
void ike_sa_each(struct ike_bridge *b, const struct vici_packet *pkt, bool up, ike_sa_fn *fn)
{
	struct vici_str conn = {}, child = {}, reqid = {};
	struct vici_element e;
	struct vici_reader r;
	bool in_sas = false;

	vici_reader_init(&r, pkt->msg, pkt->msg_len);
	while (vici_next(&r, &e) == 1) {
		if (e.type == VICI_SECTION_START && e.depth == 0)
			conn = e.name;
		else if (e.type == VICI_SECTION_START && e.depth == 1)
			in_sas = vici_str_is(e.name, "child-sas");
		else if (e.type == VICI_SECTION_START && e.depth == 2)
			child = reqid = (struct vici_str){};
		else if (e.type == VICI_KEY_VALUE && e.depth == 3 && vici_str_is(e.name, "name"))
			child = e.value;
		else if (e.type == VICI_KEY_VALUE && e.depth == 3 && vici_str_is(e.name, "reqid"))
			reqid = e.value;
		else if (e.type == VICI_SECTION_END && e.depth == 2 && in_sas && child.len)
			fn(b, conn, child, ike_parse_u32(reqid), up);
	}
}
