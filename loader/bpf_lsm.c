// SPDX-License-Identifier: GPL-2.0-only
/* Whether this kernel runs the programs of bpf/lsm.bpf.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "bpf_internal.h"
#include "cleanup.h"

static const char *const programs[] = {"lsm_connect", "lsm_sendmsg"};

/* The list of LSMs at work: nobody else need have mounted it. */
static int open_list(void)
{
	_cleanup_close_ int fs = -1, mounted = -1;
	int fd = open("/sys/kernel/security/lsm", O_RDONLY | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	fs = fsopen("securityfs", FSOPEN_CLOEXEC);
	if (fs < 0 || fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		return -errno;
	mounted = fsmount(fs, FSMOUNT_CLOEXEC, 0);
	if (mounted < 0)
		return -errno;
	fd = openat(mounted, "lsm", O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Names with commas between them. */
static bool lists_bpf(char *list)
{
	for (char *rest, *name = strtok_r(list, ",\n", &rest); name;
	     name = strtok_r(NULL, ",\n", &rest))
		if (!strcmp(name, "bpf"))
			return true;
	return false;
}

/* A kernel that has BPF LSM but not in that list loads and attaches, and never runs, programs. */
static bool runs_bpf(void)
{
	_cleanup_close_ int fd = open_list();
	char list[512];
	ssize_t n = fd < 0 ? -1 : read(fd, list, sizeof(list) - 1);

	if (n < 0)
		return false;
	list[n] = '\0';
	return lists_bpf(list);
}

static int try_load(const struct btf *btf)
{
	static const struct bpf_insn passes[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_LSM_CGROUP);
	_cleanup_close_ int fd = -1;
	int id = btf ? btf__find_by_name_kind(btf, "bpf_lsm_socket_sendmsg", BTF_KIND_FUNC) : 0;

	if (id <= 0)
		return -ENOENT;
	opts.attach_btf_id = (__u32)id;
	fd = bpf_prog_load(BPF_PROG_TYPE_LSM, "sagate_probe", "GPL", passes,
			   sizeof(passes) / sizeof(passes[0]), &opts);
	return fd < 0 ? fd : 0;
}

void bpf_lsm_prepare(struct bpf *b, const struct btf *btf, struct bpf_object *obj)
{
	int err = try_load(btf);

	if (err)
		snprintf(b->lsm_missing, sizeof(b->lsm_missing),
			 "this kernel takes no BPF LSM programs (%s)", strerror(-err));
	else if (!runs_bpf())
		snprintf(b->lsm_missing, sizeof(b->lsm_missing),
			 "no BPF LSM at work in this kernel (boot with lsm=…,bpf)");
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		bpf_program__set_autoload(bpf_object__find_program_by_name(obj, programs[i]),
					  !b->lsm_missing[0]);
}

const char *bpf_lsm_missing(const struct bpf *b)
{
	return b->lsm_missing;
}
