// SPDX-License-Identifier: GPL-2.0-only
/* needs: ike-bridge/acquire.c */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <linux/netlink.h>
#include <linux/xfrm.h>

#include "../../../ike-bridge/acquire.h"

static void the_request_is_laid_out_as_the_kernel_reads_it(void **state)
{
	struct acquire_params p = {
		.family = AF_INET,
		.proto = IPPROTO_TCP,
		.saddr = {192, 0, 2, 1},
		.daddr = {192, 0, 2, 2},
		.sport = 0,
		.dport = 443,
		.reqid = 0x01020304,
		.mark = 0x10,
		.mark_mask = 0xff,
		.if_id = 7,
	};
	_Alignas(8) uint8_t buf[ACQUIRE_SIZE];
	const struct nlmsghdr *nlh = (const void *)buf;
	const uint8_t *body = buf + 16, *attr = body + 280;
	uint32_t word;

	(void)state;
	assert_int_equal(sizeof(struct xfrm_user_acquire), 280);
	assert_int_equal(acquire_build(buf, sizeof(buf), &p), 16 + 280 + 4 + 64 + 4 + 8 + 4 + 4);
	assert_int_equal(nlh->nlmsg_len, 16 + 280 + 84 + 4);
	assert_int_equal(nlh->nlmsg_type, 0x17);
	assert_int_equal(nlh->nlmsg_flags, 1 | 4);
	assert_memory_equal(body, p.daddr, 4);			       /* id.daddr */
	assert_int_equal(body[20], IPPROTO_ESP);		       /* id.proto */
	assert_memory_equal(body + 24, p.saddr, 4);		       /* saddr */
	assert_memory_equal(body + 40, p.daddr, 4);		       /* sel.daddr */
	assert_memory_equal(body + 56, p.saddr, 4);		       /* sel.saddr */
	assert_memory_equal(body + 72, "\x01\xbb\xff\xff\0\0\0\0", 8); /* ports and masks */
	assert_int_equal(body[80], AF_INET);
	assert_int_equal(body[82], 32);
	assert_int_equal(body[83], 32);
	assert_int_equal(body[84], IPPROTO_TCP);
	assert_memory_equal(body + 96, body + 40, 56); /* policy.sel is sel */
	assert_int_equal(body[96 + 56 + 64 + 32 + 8], XFRM_POLICY_OUT);

	assert_memory_equal(attr, "\x44\0\x05\0", 4); /* XFRMA_TMPL, 68 bytes */
	assert_memory_equal(attr + 4, p.daddr, 4);
	assert_int_equal(attr[4 + 20], IPPROTO_ESP);
	assert_int_equal(attr[4 + 24], AF_INET);
	memcpy(&word, attr + 4 + 44, 4);
	assert_int_equal(word, 0x01020304);					/* reqid */
	assert_memory_equal(attr + 68, "\x0c\0\x15\0\x10\0\0\0\xff\0\0\0", 12); /* XFRMA_MARK */
	assert_memory_equal(attr + 80, "\x08\0\x1f\0\x07\0\0\0", 8);		/* XFRMA_IF_ID */
}

static void a_tunnel_has_its_own_endpoints(void **state)
{
	struct acquire_params p = {
		.family = AF_INET6,
		.saddr = {0x20, 1},
		.daddr = {0x20, 2},
		.reqid = 5,
		.tmpl_mode = XFRM_MODE_TUNNEL,
		.tmpl_family = AF_INET,
		.tmpl_saddr = {192, 0, 2, 1},
		.tmpl_daddr = {192, 0, 2, 2},
	};
	_Alignas(8) uint8_t buf[ACQUIRE_SIZE];
	const uint8_t *body = buf + 16, *tmpl = body + 284;

	(void)state;
	assert_int_equal(acquire_build(buf, sizeof(buf), &p), 16 + 280 + 68);
	assert_memory_equal(body + 40, p.daddr, 16);
	assert_int_equal(body[82], 128);
	assert_memory_equal(body, p.tmpl_daddr, 4);
	assert_memory_equal(tmpl, p.tmpl_daddr, 4);
	assert_int_equal(tmpl[24], AF_INET);
	assert_memory_equal(tmpl + 28, p.tmpl_saddr, 4);
	assert_int_equal(tmpl[48], XFRM_MODE_TUNNEL);
}

static void what_cannot_be_is_refused(void **state)
{
	struct acquire_params p = {.family = AF_INET};
	_Alignas(8) uint8_t buf[ACQUIRE_SIZE];

	(void)state;
	for (size_t size = 0; size < 16 + 280 + 68; size++)
		assert_int_equal(acquire_build(buf, size, &p), -ENOSPC);
	assert_int_equal(acquire_build(buf, 16 + 280 + 68, &p), 16 + 280 + 68);
	p.family = 1;
	assert_int_equal(acquire_build(buf, sizeof(buf), &p), -EINVAL);
	p.family = AF_INET;
	p.tmpl_family = 9;
	assert_int_equal(acquire_build(buf, sizeof(buf), &p), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_request_is_laid_out_as_the_kernel_reads_it),
		cmocka_unit_test(a_tunnel_has_its_own_endpoints),
		cmocka_unit_test(what_cannot_be_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
