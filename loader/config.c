// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "config.h"

bool config_name_ok(const char *name)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789._-";
	size_t len = strlen(name);

	return len >= 1 && len <= CONFIG_NAME_MAX && name[0] != '.' && name[0] != '-' &&
	       strspn(name, allowed) == len;
}

static int read_all(int fd, char **text, size_t *len)
{
	_cleanup_free_ char *buf = malloc(CONFIG_FILE_MAX + 1);
	size_t used = 0;
	ssize_t n;

	if (!buf)
		return -ENOMEM;
	while ((n = read(fd, buf + used, CONFIG_FILE_MAX + 1 - used)) != 0) {
		if (n < 0 && errno != EINTR)
			return -errno;
		used += n > 0 ? n : 0;
		if (used > CONFIG_FILE_MAX)
			return -EFBIG;
	}
	*text = TAKE_PTR(buf);
	*len = used;
	return 0;
}

int config_load(const char *path, struct config *out, struct error *e)
{
	const char *file = path ? path : CONFIG_PATH;
	_cleanup_close_ int fd = open(file, O_RDONLY | O_CLOEXEC);
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	int r = 0;

	if (fd < 0 && errno == ENOENT && !path)
		return config_parse(file, "", 0, out, e);
	if (fd < 0)
		return error_set(e, -errno, CONFIG_CODE, "%s: cannot open the configuration: %s",
				 file, strerror(errno));
	r = read_all(fd, &text, &len);
	if (r == -EFBIG)
		return error_set(e, r, CONFIG_CODE, "%s: the file is larger than 1 MiB", file);
	if (r < 0)
		return error_set(e, r, CONFIG_CODE, "%s: cannot read the configuration: %s", file,
				 strerror(-r));
	return config_parse(file, text, len, out, e);
}

void config_free(struct config *c)
{
	for (size_t i = 0; i < c->gate_count; i++) {
		free(c->gates[i].name);
		free(c->gates[i].cgroup);
	}
	for (size_t i = 0; i < c->require_count; i++) {
		free(c->requires[i].name);
		free(c->requires[i].conn);
		free(c->requires[i].child);
		free(c->requires[i].space);
	}
	for (size_t i = 0; i < c->space_count; i++) {
		free(c->spaces[i].name);
		free(c->spaces[i].netns);
		free(c->spaces[i].vici);
	}
	free(c->gates);
	free(c->requires);
	free(c->spaces);
	free(c->control);
	free(c->group);
	free(c->pin);
	*c = (struct config){};
}
