/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of decide() begin with: the programs and maps, pinned for this process alone, and
 * a space in them whose tables the test fills. Include it behind cmocka.h.
 */
#ifndef HERE_H
#define HERE_H

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bpf.h"
#include "sad.h"
#include "spd.h"

enum { HERE_DEV = 7 };

static inline void here_addr(const char *text, __be32 out[4])
{
	memset(out, 0, 16);
	assert_int_equal(inet_pton(strchr(text, ':') ? AF_INET6 : AF_INET, text, out), 1);
}

/* Where the maps of a test of that name are pinned. */
static inline void here_pin(const char *name, char pin[64])
{
	snprintf(pin, 64, "/sys/fs/bpf/sagate-%s-%d", name, getpid());
}

/* 0, or -1 with the reason printed. `sizes` NULL: as large as they are by default. */
static inline int here_open(const char *pin, const struct bpf_sizes *sizes, struct bpf **bpf,
			    struct map_sink *sink)
{
	struct error e = {};

	if (bpf_open(pin, sizes, bpf, &e)) {
		fprintf(stderr, "%s\n", e.message);
		return -1;
	}
	bpf_sink(*bpf, sink);
	return 0;
}

/* Closes and unpins; `bpf` may be NULL. */
static inline int here_close(struct bpf *bpf, const char *pin)
{
	char command[128];

	bpf_close(bpf);
	snprintf(command, sizeof(command), "rm -rf %s", pin);
	return system(command);
}

/* One hint for everything of a family: routed through HERE_DEV with that source; NULL: no route. */
static inline void here_route_as(const struct map_sink *sink, __u32 slot, const char *source,
				 __u8 family, bool named)
{
	struct route_plens_key lens_key = {.space = slot, .family = family};
	struct route_key key = {.space = slot, .family = family};
	struct route_plens lens = {.count = 1};
	struct route_value value = {.oif = HERE_DEV, .none = !source, .named = named};

	if (source)
		here_addr(source, value.saddr);
	assert_int_equal(sink->put(sink->ctx, slot, MAP_ROUTES, &key, &value), 0);
	assert_int_equal(sink->put(sink->ctx, slot, MAP_ROUTE_PLENS, &lens_key, &lens), 0);
	sink->state(sink->ctx, slot)->plens[family == AF_INET6] = 1;
}

/* The same, and the route names no source itself. */
static inline void here_route(const struct map_sink *sink, __u32 slot, const char *source,
			      __u8 family)
{
	here_route_as(sink, slot, source, family, false);
}

/* A space that is in step, IPv4 routed from 192.0.2.1, with empty tables; not committed yet. */
static inline int here_space(struct bpf *bpf, const struct map_sink *sink, __u64 cookie,
			     __u32 *slot, struct spd **spd, struct sad **sad)
{
	if (bpf_space_open(bpf, cookie, slot))
		return -1;
	*spd = spd_new(*slot, sink);
	*sad = sad_new(*slot, sink);
	here_route(sink, *slot, "192.0.2.1", AF_INET);
	sink->state(sink->ctx, *slot)->synced = SYNCED;
	return 0;
}

#endif
