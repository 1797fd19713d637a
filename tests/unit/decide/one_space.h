/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One space, anew for each test, and what is in it. Include it behind cmocka.h.
 */
#ifndef ONE_SPACE_H
#define ONE_SPACE_H

#include "here.h"
#include "sad_life.h"

enum { COOKIE = 0x5a6a7e };

static struct bpf *bpf;
static struct map_sink sink;
static __u32 slot;
static struct spd *spd;
static struct sad *sad;
static char pin[64];

static inline struct space_state *state(void)
{
	return sink.state(sink.ctx, slot);
}

static inline int start(void **unused)
{
	(void)unused;
	here_pin("decide", pin);
	return here_open(pin, NULL, &bpf, &sink);
}

static inline int stop(void **unused)
{
	(void)unused;
	return here_close(bpf, pin);
}

static inline int setup(void **unused)
{
	(void)unused;
	if (here_space(bpf, &sink, COOKIE, &slot, &spd, &sad))
		return -1;
	here_route(&sink, slot, "2001:db8::1", AF_INET6);
	return bpf_space_commit(bpf, slot, COOKIE);
}

static inline int teardown(void **unused)
{
	(void)unused;
	spd_free(spd);
	sad_free(sad);
	bpf_space_close(bpf, slot);
	return 0;
}

static inline void put(const struct policy_info *p)
{
	assert_int_equal(spd_put(spd, CLASS_MAIN, p), 1);
}

/* An SA for ESP in transport mode, of reqid 7 and without limits. `spi` in host byte order. */
static inline struct sa_info sa_of(__u32 spi, const char *src, const char *dst)
{
	struct sa_info s = {
		.spi = htonl(spi),
		.reqid = 7,
		.family = strchr(dst, ':') ? AF_INET6 : AF_INET,
		.proto = IPPROTO_ESP,
		.mode = XFRM_MODE_TRANSPORT,
		.pcpu = SAGATE_PCPU_ANY,
	};

	here_addr(src, s.saddr);
	here_addr(dst, s.daddr);
	s.life.hard_bytes = s.life.soft_bytes = XFRM_INF;
	s.life.hard_packets = s.life.soft_packets = XFRM_INF;
	return s;
}

static inline void a_while_ago(struct sad_now *now)
{
	sad_life_now(now);
	now->boot -= 60000000000ULL;
}

/* As if it had come a while ago: of one with a lifetime of a second the end has passed. */
static inline int put_a_while_ago(const struct sa_info *s)
{
	int r;

	sad_set_clock(sad, a_while_ago);
	r = sad_put(sad, s);
	sad_set_clock(sad, sad_life_now);
	return r;
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
