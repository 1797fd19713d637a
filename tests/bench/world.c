// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <bpf/bpf.h>

#include "cgroup.h"
#include "netns.h"
#include "world.h"

static char pin[64], top[PATH_MAX];
static const char *cgroups[16];
static unsigned int cgroup_count;

static void clean(void)
{
	char path[PATH_MAX + 64];
	int fd;

	if (pin[0]) {
		snprintf(path, sizeof(path), "rm -rf %s", pin);
		if (system(path))
			fprintf(stderr, "%s stays\n", pin);
	}
	if (!top[0])
		return;
	snprintf(path, sizeof(path), "%s/../cgroup.procs", top);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
	close(fd);
	while (cgroup_count) {
		snprintf(path, sizeof(path), "%s/%s", top, cgroups[--cgroup_count]);
		rmdir(path);
	}
	rmdir(top);
}

void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	clean();
	exit(1);
}

static void run(const char *command)
{
	if (system(command))
		die("%s: failed", command);
}

/* Everything leaves through the loopback device: a call costs its own time and no wire's. */
static void open_netns(struct world *w)
{
	struct error e = {};

	if (unshare(CLONE_NEWNET))
		die("a network namespace cannot be made: %s (root is needed)", strerror(errno));
	run("ip link set lo up && ip addr add 192.0.2.1/32 dev lo && "
	    "ip addr add 2001:db8::1/128 dev lo nodad && "
	    "ip route add 128.0.0.0/2 dev lo src 192.0.2.1 && "
	    "ip -6 route add 2001:db8::/32 dev lo src 2001:db8::1");
	if (netns_cookie(-1, (uint64_t *)&w->netns, &e))
		die("%s", e.message);
}

static void open_cgroups(void)
{
	struct error e = {};

	if (cgroup_mount(top, &e))
		die("%s", e.message);
	snprintf(top + strlen(top), sizeof(top) - strlen(top), "/sagate-bench-%d", getpid());
	if (mkdir(top, 0755))
		die("%s: %s", top, strerror(errno));
}

/* What routing answers: three prefix lengths, as a host has them. */
static void put_routes(struct world *w, int family)
{
	static const __u8 lens[2][3] = {{32, 24, 0}, {128, 64, 0}};
	const bool six = family == AF_INET6;
	struct route_plens_key lens_key = {.space = w->slot, .family = (__u8)family};
	struct route_plens plens = {.count = 3};
	struct route_value value = {.oif = 1};
	struct route_key key = {.space = w->slot, .family = (__u8)family};

	if (six)
		inet_pton(family, "2001:db8::1", value.saddr);
	else
		inet_pton(family, "192.0.2.1", value.saddr);
	memcpy(plens.len, lens[six], 3);
	if (w->sink.put(w->sink.ctx, w->slot, MAP_ROUTES, &key, &value) ||
	    w->sink.put(w->sink.ctx, w->slot, MAP_ROUTE_PLENS, &lens_key, &plens))
		die("routes do not fit");
	w->sink.state(w->sink.ctx, w->slot)->plens[six] = 3;
}

/* One CPU: its caches are as a busy server's, not as those of a process that was just moved. */
static void stay(void)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	if (sched_setaffinity(0, sizeof(one), &one))
		die("sched_setaffinity: %s", strerror(errno));
}

void world_anywhere(void)
{
	cpu_set_t all;

	memset(&all, 0xff, sizeof(all));
	sched_setaffinity(0, sizeof(all), &all);
}

void world_open(struct world *w, unsigned int entries)
{
	const struct bpf_sizes sizes = {entries, entries, 16};
	struct error e = {};

	memset(w, 0, sizeof(*w));
	stay();
	open_netns(w);
	open_cgroups();
	snprintf(pin, sizeof(pin), "/sys/fs/bpf/sagate-bench-%d", getpid());
	if (bpf_open(pin, &sizes, &w->bpf, &e))
		die("%s", e.message);
	bpf_sink(w->bpf, &w->sink);
	if (bpf_space_open(w->bpf, w->netns, &w->slot))
		die("no space");
	put_routes(w, AF_INET);
	put_routes(w, AF_INET6);
	w->sink.state(w->sink.ctx, w->slot)->synced = SYNCED;
	if (bpf_space_commit(w->bpf, w->slot, w->netns))
		die("the space does not fit");
}

void world_close(struct world *w)
{
	spd_free(w->spd);
	sad_free(w->sad);
	if (w->bpf)
		bpf_close(w->bpf);
	clean();
}

void world_reset(struct world *w, unsigned int masks, int family)
{
	if (w->spd) {
		spd_flush(w->spd, CLASS_MAIN);
		sad_flush(w->sad, 0);
		spd_free(w->spd);
		sad_free(w->sad);
	}
	w->spd = spd_new(w->slot, &w->sink);
	w->sad = sad_new(w->slot, &w->sink);
	if (!w->spd || !w->sad || !masks || masks > WORLD_MASKS_MAX)
		die("no memory");
	w->masks = masks;
	w->family = family;
	w->policies = 0;
}

/* Mask j has its own block of addresses, and its own prefix length, protocol and port. */
static __u32 host_of(const struct world *w, unsigned int k)
{
	unsigned int j = k % w->masks, i = k / w->masks;

	return 0x80000000U + (j << 25) + (i << (j % 8));
}

static void put_policy(struct world *w, unsigned int k, const __be32 src[4], const __be32 dst[4])
{
	unsigned int j = k % w->masks;
	struct policy_info p = {.index = 8 * k + 1, .priority = 1000, .tmpl_count = 1};
	const __u8 full = w->family == AF_INET ? 32 : 128;

	p.sel.family = (__u8)w->family;
	memcpy(p.sel.saddr, src, 16);
	memcpy(p.sel.daddr, dst, 16);
	p.sel.src_len = full;
	p.sel.dst_len = (__u8)(full - j % 8);
	if (j & 8)
		p.sel.proto = IPPROTO_UDP;
	if (j & 16) {
		p.sel.dport = htons(9);
		p.sel.dport_mask = 0xffff;
	}
	p.tmpl[0].family = (__u8)w->family;
	p.tmpl[0].proto = IPPROTO_ESP;
	p.tmpl[0].mode = XFRM_MODE_TRANSPORT;
	p.tmpl[0].reqid = k + 1;
	if (spd_put(w->spd, CLASS_MAIN, &p) != 1)
		die("policy %u: no memory", k);
}

static struct sa_info sa_of(const struct world *w, unsigned int k, const __be32 src[4],
			    const __be32 dst[4])
{
	struct sa_info s = {.spi = htonl(k + 256), .reqid = k + 1, .pcpu = SAGATE_PCPU_ANY};

	s.family = (__u8)w->family;
	s.proto = IPPROTO_ESP;
	s.mode = XFRM_MODE_TRANSPORT;
	memcpy(s.saddr, src, 16);
	memcpy(s.daddr, dst, 16);
	s.life.hard_bytes = s.life.soft_bytes = XFRM_INF;
	s.life.hard_packets = s.life.soft_packets = XFRM_INF;
	s.life.hard_add = 86400;
	s.life.add_time = (__u64)time(NULL);
	return s;
}

static void address(const struct world *w, unsigned int k, __be32 out[4])
{
	memset(out, 0, 16);
	if (w->family == AF_INET) {
		out[0] = htonl(host_of(w, k));
		return;
	}
	out[0] = htonl(0x20010db8);
	out[3] = htonl(host_of(w, k));
}

static const __be32 *source(const struct world *w)
{
	static __be32 src[2][4];
	const bool six = w->family == AF_INET6;

	inet_pton(w->family, six ? "2001:db8::1" : "192.0.2.1", src[six]);
	return src[six];
}

void world_put(struct world *w, unsigned int k)
{
	const __be32 *src = source(w);
	struct sa_info s;
	__be32 dst[4];

	address(w, k, dst);
	put_policy(w, k, src, dst);
	s = sa_of(w, k, src, dst);
	if (sad_put(w->sad, &s) != 1)
		die("SA %u: no memory", k);
}

void world_remove(struct world *w, unsigned int k)
{
	struct sa_info s;
	__be32 dst[4];

	address(w, k, dst);
	s = sa_of(w, k, source(w), dst);
	if (spd_del(w->spd, CLASS_MAIN, 8 * k + 1) != 1 || sad_del(w->sad, &s) != 1)
		die("policy or SA %u is not there", k);
}

void world_fill(struct world *w, unsigned int policies)
{
	struct spd_counts spd;
	struct sad_counts sad;

	for (; w->policies < policies; w->policies++)
		world_put(w, w->policies);
	spd_count(w->spd, &spd);
	sad_count(w->sad, &sad);
	if (spd.stored != policies || sad.stored != policies || spd.missing || sad.missing)
		die("of %u policies and SAs %zu and %zu are in the maps", policies, spd.stored,
		    sad.stored);
}

socklen_t world_dest(const struct world *w, unsigned int k, struct sockaddr_storage *to)
{
	struct sockaddr_in *four = (struct sockaddr_in *)to;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)to;
	__be32 a[4];

	memset(to, 0, sizeof(*to));
	address(w, k, a);
	if (w->family == AF_INET) {
		four->sin_family = AF_INET;
		four->sin_port = htons(9);
		four->sin_addr.s_addr = a[0];
		return sizeof(*four);
	}
	six->sin6_family = AF_INET6;
	six->sin6_port = htons(9);
	memcpy(&six->sin6_addr, a, 16);
	return sizeof(*six);
}

int world_cgroup(const char *name)
{
	char path[PATH_MAX + 64];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", top, name);
	if (mkdir(path, 0755))
		die("%s: %s", path, strerror(errno));
	cgroups[cgroup_count++] = name;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		die("%s: %s", path, strerror(errno));
	return fd;
}

void world_enter(int cgroup)
{
	int fd = openat(cgroup, "cgroup.procs", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "0", 1) != 1)
		die("the cgroup cannot be entered: %s", strerror(errno));
	close(fd);
}

__u64 world_gate_id(int cgroup)
{
	uint64_t id;

	if (cgroup_id(cgroup, &id, NULL))
		die("the cgroup has no id");
	return id;
}

static void attach(struct world *w, int cgroup, int hook, enum bpf_attach_type type)
{
	struct gate_settings settings = {.allow_no_policy = 1, .cgroup_id = world_gate_id(cgroup)};
	int link = bpf_link_create(bpf_program_fd(w->bpf, hook), cgroup, type, NULL);

	if (link < 0)
		die("attach: %s", strerror(-link));
	if (bpf_settings_put(w->bpf, settings.cgroup_id, &settings))
		die("the gate's settings cannot be written");
}

void world_gate(struct world *w, int cgroup)
{
	attach(w, cgroup, HOOK_CONNECT4, BPF_CGROUP_INET4_CONNECT);
	attach(w, cgroup, HOOK_CONNECT6, BPF_CGROUP_INET6_CONNECT);
	attach(w, cgroup, HOOK_SENDMSG4, BPF_CGROUP_UDP4_SENDMSG);
	attach(w, cgroup, HOOK_SENDMSG6, BPF_CGROUP_UDP6_SENDMSG);
}

void world_guard(struct world *w, int cgroup)
{
	attach(w, cgroup, HOOK_EGRESS, BPF_CGROUP_INET_EGRESS);
}

struct runs runs_of(int prog)
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);

	if (bpf_obj_get_info_by_fd(prog, &info, &len))
		die("a program's statistics cannot be read: %s", strerror(errno));
	return (struct runs){info.run_time_ns, info.run_cnt};
}
