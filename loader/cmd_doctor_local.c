// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <linux/netlink.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/vfs.h>

#include "cgroup.h"
#include "cleanup.h"
#include "cmd_doctor.h"
#include "config.h"
#include "json_util.h"

#define BTF_PATH "/sys/kernel/btf/vmlinux"

void doctor_add(json_t *checks, const char *check, const char *status, const char *message,
		const char *hint)
{
	json_array_append_new(checks,
			      json_pack("{s:s,s:s,s:o,s:s?}", "check", check, "status", status,
					"message", json_text(message), "hint", hint));
}

__attribute__((format(printf, 5, 6))) static void add(json_t *checks, const char *check, bool ok,
						      const char *hint, const char *fmt, ...)
{
	char message[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	doctor_add(checks, check, ok ? "ok" : "fail", message, ok ? NULL : hint);
}

static uint64_t effective_caps(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	uint64_t caps = 0;
	char line[256];

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "CapEff: %" SCNx64, &caps) == 1)
			break;
	fclose(f);
	return caps;
}

static bool has_cap(uint64_t caps, int cap)
{
	return caps & 1ULL << cap;
}

static void check_rights(json_t *checks)
{
	uint64_t caps = effective_caps();
	bool admin = has_cap(caps, CAP_SYS_ADMIN);
	bool bpf = has_cap(caps, CAP_BPF) || admin, perfmon = has_cap(caps, CAP_PERFMON) || admin;
	bool net = has_cap(caps, CAP_NET_ADMIN);

	add(checks, "root", geteuid() == 0, "run it with sudo", "running as uid %u", geteuid());
	add(checks, "capabilities", bpf && perfmon && net,
	    "give the daemon CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN (or run it as root on the host)",
	    "%s%s%s%s",
	    bpf && perfmon && net ? "CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN are there" : "missing:",
	    bpf ? "" : " CAP_BPF", perfmon ? "" : " CAP_PERFMON", net ? "" : " CAP_NET_ADMIN");
}

static void check_kernel(json_t *checks)
{
	unsigned int major = 0, minor = 0;
	struct utsname u;

	if (uname(&u) == 0)
		sscanf(u.release, "%u.%u", &major, &minor);
	add(checks, "kernel", major > 6 || (major == 6 && minor >= 1),
	    "boot a kernel of version 6.1 or later", "Linux %u.%u, 6.1 is needed", major, minor);
	add(checks, "btf", access(BTF_PATH, R_OK) == 0,
	    "boot a kernel built with CONFIG_DEBUG_INFO_BTF", "kernel BTF (%s)", BTF_PATH);
}

static void check_cgroup(json_t *checks)
{
	struct error e = {};
	char mount[PATH_MAX];
	int r = cgroup_mount(mount, &e);

	add(checks, "cgroup2", r == 0, "mount -t cgroup2 none /sys/fs/cgroup", "%s%s",
	    r == 0 ? "cgroup v2 at " : "", r == 0 ? mount : e.message);
}

/* The file system of the pins' nearest directory that exists. */
static void check_bpffs(json_t *checks, const char *pin)
{
	char path[PATH_MAX], *slash;
	struct statfs fs;
	int r;

	snprintf(path, sizeof(path), "%s", pin);
	while ((r = statfs(path, &fs)) < 0 && errno == ENOENT) {
		slash = strrchr(path, '/');
		if (!slash || slash == path)
			break;
		*slash = '\0';
	}
	add(checks, "bpffs", r == 0 && fs.f_type == BPF_FS_MAGIC,
	    "mount -t bpf bpf /sys/fs/bpf, or choose another pin=", "%s is %sa BPF file system",
	    path, r == 0 && fs.f_type == BPF_FS_MAGIC ? "" : "not in ");
}

static void check_xfrm(json_t *checks)
{
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_XFRM);

	add(checks, "xfrm", fd >= 0, "load xfrm_user, or boot a kernel with CONFIG_XFRM_USER",
	    "XFRM netlink: %s", fd >= 0 ? "available" : strerror(errno));
}

/* Without an answer only a warning: an IKE daemon may be started later, or there is none. */
static void check_vici(json_t *checks, const struct config_space *s)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	char message[512];
	bool ok;

	if (!s->vici)
		return;
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", s->vici);
	ok = connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) == 0;
	snprintf(message, sizeof(message), "IKE daemon of the space %s at %s: %s", s->name, s->vici,
		 ok ? "there" : strerror(errno));
	doctor_add(checks, "vici", ok ? "ok" : "warn", message,
		   ok ? NULL
		      : "start strongSwan with the vici plugin, or set vici= in sagate.conf(5)");
}

void doctor_local(json_t *checks, const char *path)
{
	_cleanup_(config_free) struct config config = {};
	struct error e = {};
	int r = config_load(path, &config, &e);

	check_rights(checks);
	check_kernel(checks);
	check_cgroup(checks);
	check_bpffs(checks, r == 0 ? config.pin : CONFIG_PIN);
	check_xfrm(checks);
	add(checks, "configuration", r == 0, "see sagate.conf(5)", "%s",
	    r == 0 ? "it has no errors" : e.message);
	for (size_t i = 0; i < config.space_count; i++)
		check_vici(checks, &config.spaces[i]);
}
