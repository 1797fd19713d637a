// SPDX-License-Identifier: GPL-2.0-only
/* The parser: messages of a real kernel, made ones of SAs, every truncation, seeded mutations. */
/* needs: loader/xfrm_msg.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <linux/netlink.h>
#include <time.h>

#include "fake_sink.h"
#include "recorded.h"
#include "xfrm_msg.h"

/* A message being made. */
struct made {
	_Alignas(8) char data[2048];
	size_t len;
};

static void make(struct made *m, __u16 type, const void *body, size_t size)
{
	struct nlmsghdr hdr = {.nlmsg_type = type};

	memset(m, 0, sizeof(*m));
	memcpy(m->data, &hdr, sizeof(hdr));
	memcpy(m->data + NLMSG_HDRLEN, body, size);
	m->len = NLMSG_HDRLEN + NLMSG_ALIGN(size);
	((struct nlmsghdr *)m->data)->nlmsg_len = (__u32)m->len;
}

static void add(struct made *m, __u16 type, const void *data, size_t size)
{
	struct nlattr a = {.nla_len = (__u16)(NLA_HDRLEN + size), .nla_type = type};

	memcpy(m->data + m->len, &a, sizeof(a));
	memcpy(m->data + m->len + NLA_HDRLEN, data, size);
	m->len += NLA_HDRLEN + NLA_ALIGN(size);
	((struct nlmsghdr *)m->data)->nlmsg_len = (__u32)m->len;
}

/* Parses a copy that ends where the message ends, so that an over-read is caught. */
static int parse(const void *msg, size_t len, struct xfrm_change *c)
{
	void *copy = malloc(len ? len : 1);
	int r;

	memcpy(copy, msg, len);
	r = xfrm_msg_parse(copy, len, c);
	free(copy);
	return r;
}

#define PARSE_RECORDED(name, c) assert_int_equal(parse(name, sizeof(name), c), 0)

static struct xfrm_usersa_info sa(void)
{
	struct xfrm_usersa_info s;

	memset(&s, 0, sizeof(s)); /* what is between the fields, too */
	s.family = AF_INET;
	s.reqid = 9;
	s.mode = XFRM_MODE_TUNNEL;
	s.id.daddr.a4 = htonl(0xc0000202);
	s.id.spi = htonl(0x1234);
	s.id.proto = IPPROTO_ESP;
	s.saddr.a4 = htonl(0xc0000201);
	s.saddr.a6[1] = 0xdeadbeef; /* what lies behind an IPv4 address */
	s.lft.hard_add_expires_seconds = 3600;
	s.curlft.add_time = 1000;
	return s;
}

static const char key[32] = "a key that nobody may ever see!";

static void make_sa(struct made *m, __u16 type, const struct xfrm_usersa_info *s)
{
	char alg[sizeof(struct xfrm_algo_aead) + sizeof(key)] = "rfc4106(gcm(aes))";

	memcpy(alg + sizeof(struct xfrm_algo_aead), key, sizeof(key));
	make(m, type, s, sizeof(*s));
	add(m, XFRMA_ALG_AEAD, alg, sizeof(alg));
}

static void recorded_policies_are_read_whole(void **state)
{
	struct xfrm_change c;
	const struct policy_info *p = &c.policy;

	(void)state;
	PARSE_RECORDED(recorded_newpolicy, &c);
	assert_int_equal(c.kind, CHANGE_POLICY_PUT);
	assert_int_equal(p->sel.saddr[0], htonl(0x0a010001));
	assert_int_equal(p->sel.saddr[1], 0);
	assert_int_equal(p->sel.daddr[0], htonl(0x0a020000));
	assert_int_equal(p->sel.src_len, 24);
	assert_int_equal(p->sel.dst_len, 16);
	assert_int_equal(p->sel.proto, IPPROTO_TCP);
	assert_int_equal(p->sel.dport, htons(443));
	assert_int_equal(p->sel.dport_mask, 0xffff);
	assert_int_equal(p->sel.sport_mask, 0);
	assert_int_equal(p->priority, 100);
	assert_int_equal(p->mark, 5);
	assert_int_equal(p->mark_mask, 255);
	assert_int_equal(p->if_id, 7);
	assert_int_equal(p->index & 7, 1);
	assert_int_equal(p->type, XFRM_POLICY_TYPE_MAIN);
	assert_int_equal(p->tmpl_count, 2);
	assert_int_equal(p->tmpl[0].saddr[0], htonl(0xc0000201));
	assert_int_equal(p->tmpl[0].daddr[0], htonl(0xc0000202));
	assert_int_equal(p->tmpl[0].proto, IPPROTO_ESP);
	assert_int_equal(p->tmpl[0].mode, XFRM_MODE_TUNNEL);
	assert_int_equal(p->tmpl[0].reqid, 9);
	assert_int_equal(p->tmpl[0].optional, 0);
	assert_int_equal(p->tmpl[1].proto, IPPROTO_COMP);
	assert_int_equal(p->tmpl[1].optional, 1);
	assert_int_equal(p->tmpl[1].family, AF_INET);
	PARSE_RECORDED(recorded_updpolicy, &c);
	assert_int_equal(c.kind, CHANGE_POLICY_PUT);
	assert_int_equal(p->action, XFRM_POLICY_BLOCK);
	assert_int_equal(p->tmpl_count, 0);
	PARSE_RECORDED(recorded_delpolicy, &c);
	assert_int_equal(c.kind, CHANGE_POLICY_DEL);
	assert_int_equal(p->priority, 50);
	assert_int_equal(p->if_id, 7);
	PARSE_RECORDED(recorded_newpolicy6, &c);
	assert_int_equal(c.kind, CHANGE_POLICY_PUT);
	assert_int_equal(p->type, XFRM_POLICY_TYPE_SUB);
	assert_int_equal(p->sel.family, AF_INET6);
	assert_int_equal(p->sel.src_len, 128);
	PARSE_RECORDED(recorded_polexpire, &c);
	assert_int_equal(c.kind, CHANGE_POLICY_EXPIRED);
	PARSE_RECORDED(recorded_newpolicy_in, &c);
	assert_int_equal(c.kind, CHANGE_NONE);
	PARSE_RECORDED(recorded_getdefault, &c);
	assert_int_equal(c.kind, CHANGE_DEFAULT);
	assert_int_equal(c.default_block, 1);
	PARSE_RECORDED(recorded_flushpolicy, &c);
	assert_int_equal(c.kind, CHANGE_POLICY_FLUSH);
	assert_int_equal(c.type, XFRM_POLICY_TYPE_SUB);
	PARSE_RECORDED(recorded_larval, &c);
	assert_int_equal(c.kind, CHANGE_NONE);
}

static void an_sa_is_read_and_its_key_is_not(void **state)
{
	struct xfrm_usersa_info s = sa();
	struct xfrm_mark mark = {.v = 3, .m = 0xff};
	__u32 if_id = 77, pcpu = 2;
	struct xfrm_change c;
	struct made m;
	__u8 dir = SAGATE_SA_DIR_OUT;

	(void)state;
	make_sa(&m, XFRM_MSG_NEWSA, &s);
	add(&m, XFRMA_MARK, &mark, sizeof(mark));
	add(&m, XFRMA_IF_ID, &if_id, sizeof(if_id));
	add(&m, SAGATE_XFRMA_SA_DIR, &dir, 1);
	add(&m, SAGATE_XFRMA_SA_PCPU, &pcpu, sizeof(pcpu));
	add(&m, 60, "a newer kernel's", 16);
	add(&m, 9999, "a newer kernel's", 16);
	assert_int_equal(parse(m.data, m.len, &c), 0);
	assert_int_equal(c.kind, CHANGE_SA_PUT);
	assert_int_equal(c.sa.spi, htonl(0x1234));
	assert_int_equal(c.sa.saddr[1], 0);
	assert_int_equal(c.sa.mark, 3);
	assert_int_equal(c.sa.if_id, 77);
	assert_int_equal(c.sa.dir, SAGATE_SA_DIR_OUT);
	assert_int_equal(c.sa.pcpu, 2);
	assert_int_equal(c.sa.life.hard_add, 3600);
	assert_int_equal(c.sa.sel.family, AF_INET); /* without AF_UNSPEC the SA's */
	assert_null(memmem(&c, sizeof(c), key, 8));
	make_sa(&m, XFRM_MSG_UPDSA, &s);
	assert_int_equal(parse(m.data, m.len, &c), 0);
	assert_int_equal(c.kind, CHANGE_SA_UPDATE);
	assert_int_equal(c.sa.pcpu, SAGATE_PCPU_ANY);
	s.flags = XFRM_STATE_AF_UNSPEC;
	make_sa(&m, XFRM_MSG_NEWSA, &s);
	assert_int_equal(parse(m.data, m.len, &c), 0);
	assert_int_equal(c.sa.sel.family, 0);
}

static void larval_sas_are_nothing_and_each_algorithm_makes_one(void **state)
{
	static const __u16 algs[] = {XFRMA_ALG_AEAD, XFRMA_ALG_AUTH, XFRMA_ALG_AUTH_TRUNC,
				     XFRMA_ALG_CRYPT, XFRMA_ALG_COMP};
	struct xfrm_usersa_info s = sa();
	struct xfrm_change c;
	struct made m;

	(void)state;
	make(&m, XFRM_MSG_NEWSA, &s, sizeof(s));
	assert_int_equal(parse(m.data, m.len, &c), 0);
	assert_int_equal(c.kind, CHANGE_NONE);
	for (size_t i = 0; i < sizeof(algs) / sizeof(algs[0]); i++) {
		make(&m, XFRM_MSG_NEWSA, &s, sizeof(s));
		add(&m, algs[i], (char[68]){"deflate"}, 68);
		assert_int_equal(parse(m.data, m.len, &c), 0);
		assert_int_equal(c.kind, CHANGE_SA_PUT);
	}
	s.id.spi = 0;
	make_sa(&m, XFRM_MSG_NEWSA, &s);
	assert_int_equal(parse(m.data, m.len, &c), 0);
	assert_int_equal(c.kind, CHANGE_NONE);
}

static void sa_deletions_expiries_and_flushes(void **state)
{
	struct xfrm_usersa_info s = sa();
	struct xfrm_usersa_id id = {.spi = 1};
	struct xfrm_user_expire ue = {.state = s, .hard = 1};
	struct xfrm_usersa_flush flush = {.proto = IPPROTO_AH};
	struct xfrm_change c;
	struct made m;

	(void)state;
	make(&m, XFRM_MSG_DELSA, &id, sizeof(id));
	assert_int_equal(parse(m.data, m.len, &c), -EBADMSG); /* without XFRMA_SA */
	add(&m, XFRMA_SA, &s, sizeof(s));
	assert_int_equal(parse(m.data, m.len, &c), 0);
	assert_int_equal(c.kind, CHANGE_SA_DEL);
	assert_int_equal(c.sa.reqid, 9);
	make(&m, XFRM_MSG_EXPIRE, &ue, sizeof(ue));
	assert_int_equal(parse(m.data, m.len, &c), 0);
	assert_int_equal(c.kind, CHANGE_SA_EXPIRED);
	ue.hard = 0;
	make(&m, XFRM_MSG_EXPIRE, &ue, sizeof(ue));
	assert_int_equal(parse(m.data, m.len, &c), 0);
	assert_int_equal(c.kind, CHANGE_SA_SOFT_EXPIRED);
	make(&m, XFRM_MSG_FLUSHSA, &flush, sizeof(flush));
	assert_int_equal(parse(m.data, m.len, &c), 0);
	assert_int_equal(c.kind, CHANGE_SA_FLUSH);
	assert_int_equal(c.proto, IPPROTO_AH);
	assert_true(xfrm_flush_takes(0, 43) && xfrm_flush_takes(255, IPPROTO_COMP));
	assert_false(xfrm_flush_takes(255, 43) || xfrm_flush_takes(IPPROTO_AH, IPPROTO_ESP));
}

static void other_types_are_nothing_migrate_or_unknown(void **state)
{
	static const struct {
		__u16 type;
		enum change_kind kind;
	} rows[] = {{XFRM_MSG_MIGRATE, CHANGE_MIGRATE}, {XFRM_MSG_MAPPING, CHANGE_NONE},
		    {XFRM_MSG_NEWAE, CHANGE_NONE},	{XFRM_MSG_ACQUIRE, CHANGE_NONE},
		    {NLMSG_NOOP, CHANGE_NONE},		{0x29, CHANGE_UNKNOWN}};
	struct xfrm_change c;
	struct made m;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		make(&m, rows[i].type, "", 0);
		assert_int_equal(parse(m.data, m.len, &c), 0);
		assert_int_equal(c.kind, rows[i].kind);
	}
}

/* Families are 16 bits in messages and 8 in the maps: what is cut off must not make one of ours. */
static void families_that_nobody_has_are_refused(void **state)
{
	struct xfrm_userpolicy_info info = {.dir = XFRM_POLICY_OUT, .index = 9};
	struct xfrm_user_tmpl t = {.family = 0x100 + AF_INET};
	struct xfrm_usersa_info s = sa();
	struct xfrm_change c;
	struct made m;

	(void)state;
	s.sel.family = 0x100; /* cut off: none, which fits any flow */
	make_sa(&m, XFRM_MSG_NEWSA, &s);
	assert_int_equal(parse(m.data, m.len, &c), 0);
	assert_int_equal(c.kind, CHANGE_NONE);
	s.sel.family = 0;
	s.family = 0x100 + AF_INET;
	make_sa(&m, XFRM_MSG_NEWSA, &s);
	assert_int_equal(parse(m.data, m.len, &c), 0);
	assert_int_equal(c.kind, CHANGE_NONE);
	info.sel.family = AF_INET;
	make(&m, XFRM_MSG_NEWPOLICY, &info, sizeof(info));
	add(&m, XFRMA_TMPL, &t, sizeof(t));
	assert_int_equal(parse(m.data, m.len, &c), -EBADMSG);
}

/* A used-up sequence number: the kernel refuses each packet, so it is no SA to count on. */
static void an_sa_without_sequence_numbers_is_exhausted(void **state)
{
	struct xfrm_replay_state replay = {.oseq = 0xffffffff};
	struct xfrm_usersa_info s = sa();
	__u32 wrap = XFRM_SA_XFLAG_OSEQ_MAY_WRAP;
	struct xfrm_change c;
	struct made m;

	(void)state;
	make_sa(&m, XFRM_MSG_NEWSA, &s);
	add(&m, XFRMA_REPLAY_VAL, &replay, sizeof(replay));
	assert_int_equal(parse(m.data, m.len, &c), 0);
	assert_int_equal(c.sa.exhausted, 1);
	add(&m, XFRMA_SA_EXTRA_FLAGS, &wrap, sizeof(wrap));
	assert_int_equal(parse(m.data, m.len, &c), 0);
	assert_int_equal(c.sa.exhausted, 0);
}

/* Each row's message contradicts itself, or is of a policy that belongs to a socket. */
static void messages_that_contradict_themselves_are_refused(void **state)
{
	static const char zeros[7 * sizeof(struct xfrm_user_tmpl)];
	struct xfrm_userpolicy_info info = {.dir = XFRM_POLICY_OUT, .index = 9};
	struct xfrm_userpolicy_id id = {.index = 9};
	struct xfrm_change c;
	struct made m;

	(void)state;
	info.sel.family = AF_INET;
	make(&m, XFRM_MSG_NEWPOLICY, &info, sizeof(info));
	assert_int_equal(parse(m.data, m.len, &c), 0);
	assert_int_equal(c.kind, CHANGE_POLICY_PUT);
	add(&m, XFRMA_TMPL, zeros, 6 * sizeof(struct xfrm_user_tmpl));
	assert_int_equal(parse(m.data, m.len, &c), 0);
	assert_int_equal(c.policy.tmpl_count, 6);
	add(&m, XFRMA_TMPL, zeros, 7 * sizeof(struct xfrm_user_tmpl)); /* XFRM_MAX_DEPTH is 6 */
	assert_int_equal(parse(m.data, m.len, &c), -EBADMSG);
	make(&m, XFRM_MSG_NEWPOLICY, &info, sizeof(info));
	add(&m, XFRMA_TMPL, zeros, sizeof(struct xfrm_user_tmpl) - 4);
	assert_int_equal(parse(m.data, m.len, &c), -EBADMSG);
	make(&m, XFRM_MSG_NEWPOLICY, &info, sizeof(info));
	add(&m, XFRMA_MARK, zeros, 4); /* short, with something behind it */
	add(&m, XFRMA_IF_ID, zeros, 4);
	assert_int_equal(parse(m.data, m.len, &c), -EBADMSG);
	make(&m, XFRM_MSG_DELPOLICY, &id, sizeof(id));
	add(&m, XFRMA_POLICY, &info, sizeof(info) - 8);
	add(&m, XFRMA_POLICY_TYPE, zeros, 6);
	assert_int_equal(parse(m.data, m.len, &c), -EBADMSG);
	make(&m, XFRM_MSG_NEWPOLICY, &info, sizeof(info));
	add(&m, 61, zeros, 8);
	m.data[m.len - 12] = 40; /* an attribute longer than the message */
	assert_int_equal(parse(m.data, m.len, &c), -EBADMSG);
	info.sel.prefixlen_d = 33;
	make(&m, XFRM_MSG_NEWPOLICY, &info, sizeof(info));
	assert_int_equal(parse(m.data, m.len, &c), -EBADMSG);
	info.sel.prefixlen_d = 32;
	info.index = 8 + 4; /* a socket's */
	make(&m, XFRM_MSG_NEWPOLICY, &info, sizeof(info));
	assert_int_equal(parse(m.data, m.len, &c), 0);
	assert_int_equal(c.kind, CHANGE_NONE);
}

/* All messages of this file, for the truncations and mutations. */
static size_t corpus(struct made *m, size_t i)
{
#define ROW(n)                                                                                     \
	{                                                                                          \
		recorded_##n, sizeof(recorded_##n)                                                 \
	}
	static const struct {
		const void *data;
		size_t len;
	} rows[] = {ROW(newpolicy),   ROW(updpolicy),	 ROW(delpolicy),
		    ROW(newpolicy6),  ROW(newpolicy_in), ROW(getdefault),
		    ROW(flushpolicy), ROW(polexpire),	 ROW(larval)};
	const size_t count = sizeof(rows) / sizeof(rows[0]);
	struct xfrm_usersa_info s = sa();
	struct xfrm_usersa_id id;
	struct xfrm_user_expire ue;

	memset(&id, 0, sizeof(id));
	id.spi = 1;
	memset(&ue, 0, sizeof(ue));
	ue.state = s;
	ue.hard = 1;
	memset(m, 0, sizeof(*m));
	if (i < count) {
		memcpy(m->data, rows[i].data, rows[i].len);
		m->len = rows[i].len;
	} else if (i == count) {
		make_sa(m, XFRM_MSG_NEWSA, &s);
	} else if (i == count + 1) {
		make(m, XFRM_MSG_DELSA, &id, sizeof(id));
		add(m, XFRMA_SA, &s, sizeof(s));
	} else if (i == count + 2) {
		make(m, XFRM_MSG_EXPIRE, &ue, sizeof(ue));
	} else {
		return 0;
	}
	return m->len;
}

static void every_truncation_is_refused(void **state)
{
	struct xfrm_change c;
	struct made m;

	(void)state;
	for (size_t i = 0; corpus(&m, i); i++) {
		for (size_t len = 0; len < m.len; len++) {
			memset(&c, 0x5a, sizeof(c));
			assert_int_equal(parse(m.data, len, &c), -EBADMSG);
			assert_int_equal(*(unsigned char *)&c, 0x5a); /* untouched */
			if (len < sizeof(struct nlmsghdr))
				continue;
			/* And with a header that agrees: no over-read, whatever it says. */
			((struct nlmsghdr *)m.data)->nlmsg_len = (__u32)len;
			parse(m.data, len, &c);
			((struct nlmsghdr *)m.data)->nlmsg_len = (__u32)m.len;
		}
	}
}

static void mutations_are_read_within_bounds_and_give_sane_values(void **state)
{
	struct xfrm_change c;
	struct made m = {};
	size_t good = 0;

	(void)state;
	fake_seed("mutations");
	for (int n = 0; n < 300000; n++) {
		if (!corpus(&m, (size_t)n % 12))
			fail();
		for (long k = random() % 4; k >= 0; k--)
			m.data[(size_t)random() % m.len] ^= (char)(1 << random() % 8);
		if (parse(m.data, m.len, &c))
			continue;
		good++;
		assert_in_range(c.kind, CHANGE_NONE, CHANGE_UNKNOWN);
		if (c.kind >= CHANGE_POLICY_PUT && c.kind <= CHANGE_POLICY_EXPIRED) {
			assert_in_range(c.policy.tmpl_count, 0, POLICY_TMPLS_MAX);
			assert_in_range(c.policy.sel.src_len, 0,
					c.policy.sel.family == AF_INET ? 32 : 128);
			assert_int_equal(c.policy.index & 7, XFRM_POLICY_OUT);
		}
	}
	assert_true(good > 1000 && good < 300000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(recorded_policies_are_read_whole),
		cmocka_unit_test(an_sa_is_read_and_its_key_is_not),
		cmocka_unit_test(larval_sas_are_nothing_and_each_algorithm_makes_one),
		cmocka_unit_test(sa_deletions_expiries_and_flushes),
		cmocka_unit_test(other_types_are_nothing_migrate_or_unknown),
		cmocka_unit_test(an_sa_without_sequence_numbers_is_exhausted),
		cmocka_unit_test(families_that_nobody_has_are_refused),
		cmocka_unit_test(messages_that_contradict_themselves_are_refused),
		cmocka_unit_test(every_truncation_is_refused),
		cmocka_unit_test(mutations_are_read_within_bounds_and_give_sane_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
