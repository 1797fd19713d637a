// SPDX-License-Identifier: GPL-2.0-only
/*
 * verifier: what the verifier of the running kernel says of each program: instructions it walked
 * (of at most a million), stack (of at most 512 bytes), time; against the program that only reads
 * its gate.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base.skel.h"
#include "sagate.skel.h"

enum { LOG_STATS = 4, LOG_SIZE = 65536 };

struct cost {
	unsigned long insns, usec, stack;
};

static int quiet(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, fmt, ap) : 0;
}

/* The frames that are on the stack at once are "a+b+c", one part for each function. */
static struct cost read_log(const char *log)
{
	const char *stack = strstr(log, "stack depth "), *at;
	struct cost c = {};

	at = strstr(log, "processed ");
	if (at)
		c.insns = strtoul(at + 10, NULL, 10);
	at = strstr(log, "verification time ");
	if (at)
		c.usec = strtoul(at + 18, NULL, 10);
	for (at = stack ? stack + 11 : ""; *at && *at != '\n'; at++)
		if (*at == ' ' || *at == '+') {
			unsigned long part = strtoul(at + 1, NULL, 10);

			c.stack = part > c.stack ? part : c.stack;
		}
	return c;
}

static void give_logs(struct bpf_object *obj)
{
	struct bpf_program *p;

	bpf_object__for_each_program(p, obj)
	{
		bpf_program__set_log_level(p, LOG_STATS);
		bpf_program__set_log_buf(p, calloc(1, LOG_SIZE), LOG_SIZE);
	}
}

static struct cost cost_of(const struct bpf_program *p)
{
	size_t size;

	return read_log(bpf_program__log_buf(p, &size));
}

static unsigned int translated(const struct bpf_program *p)
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);

	return bpf_obj_get_info_by_fd(bpf_program__fd(p), &info, &len) ? 0
								       : info.xlated_prog_len / 8;
}

int main(void)
{
	struct sagate_bpf *skel = sagate_bpf__open();
	struct base_bpf *base = base_bpf__open();
	struct bpf_program *p;
	struct utsname host;
	struct cost least;

	libbpf_set_print(quiet);
	uname(&host);
	if (!skel || !base)
		return 1;
	if (libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_LSM, NULL) == 1) {
		bpf_program__set_autoload(skel->progs.lsm_connect, true);
		bpf_program__set_autoload(skel->progs.lsm_sendmsg, true);
	}
	give_logs(skel->obj);
	give_logs(base->obj);
	if (base_bpf__load(base) || sagate_bpf__load(skel))
		return 1;
	least = cost_of(base->progs.gate_connect4);
	bpf_object__for_each_program(p, skel->obj)
	{
		struct cost c = cost_of(p);

		printf("{\"bench\":\"verifier\",\"case\":\"%s\",\"kernel\":\"%s\","
		       "\"unit\":\"instructions\",\"value\":%lu,\"base\":%lu,\"ratio\":%.4f,"
		       "\"stack\":%lu,\"usec\":%lu,\"base_usec\":%lu,\"translated\":%u}\n",
		       bpf_program__name(p), host.release, c.insns, least.insns,
		       (double)c.insns / (double)least.insns, c.stack, c.usec, least.usec,
		       translated(p));
	}
	sagate_bpf__destroy(skel);
	base_bpf__destroy(base);
	return 0;
}
