// SPDX-License-Identifier: GPL-2.0-only
/* Requirements out of the configuration's [require] sections. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "config.h"
#include "log.h"
#include "requirements.h"

struct masks {
	struct ts_port port[CONFIG_LIST_MAX * TS_PORT_MAX];
	size_t count;
};

/* Ranges of ports as masks; none: one mask that holds any. */
static void masks_of(const struct config_ports *ranges, size_t count, struct masks *out)
{
	out->port[0] = (struct ts_port){};
	out->count = !count;
	for (size_t i = 0; i < count; i++) {
		struct ts ts = {.port_from = ranges[i].from, .port_to = ranges[i].to};

		/* TS_PORT_MAX is enough for any range */
		out->count += ts_ports(&ts, &out->port[out->count], TS_PORT_MAX);
	}
}

static int set_ports(struct requirements *r, struct requirement *one, const struct masks *sports,
		     const struct masks *dports)
{
	int err = 0;

	for (size_t s = 0; s < sports->count; s++)
		for (size_t d = 0; d < dports->count && !err; d++) {
			one->sport = htons(sports->port[s].port);
			one->sport_mask = htons(sports->port[s].mask);
			one->dport = htons(dports->port[d].port);
			one->dport_mask = htons(dports->port[d].mask);
			err = requirements_set(r, one);
		}
	return err;
}

/* Each destination with each source and each pair of port masks. */
static int set_section(struct requirements *r, const struct config_require *in)
{
	static const struct prefix any;
	struct requirement one = {.source = REQUIREMENT_CONFIG};
	struct masks sports, dports;
	int err = 0;

	masks_of(in->sport, in->sport_count, &sports);
	masks_of(in->port, in->port_count, &dports);
	if (in->to_count * (in->from_count ? in->from_count : 1) * sports.count * dports.count >
	    REQUIREMENT_SELECTORS_MAX) {
		log_warning("require \"%s\": its lists need more than %d selectors: all ports are "
			    "required instead",
			    in->name, REQUIREMENT_SELECTORS_MAX);
		masks_of(NULL, 0, &sports);
		masks_of(NULL, 0, &dports);
	}
	one.proto = in->has_proto ? in->proto : 0;
	snprintf(one.name, sizeof(one.name), "%s", in->name);
	if (in->conn)
		snprintf(one.child, sizeof(one.child), "%.64s/%.64s", in->conn, in->child);
	for (size_t t = 0; t < in->to_count; t++)
		for (size_t f = 0; f < (in->from_count ? in->from_count : 1) && !err; f++) {
			one.to = in->to[t];
			one.from = in->from_count ? in->from[f] : any;
			one.family = one.to.family;
			err = set_ports(r, &one, &sports, &dports);
		}
	return err;
}

void requirements_from_config(struct requirements *r, const struct config *config,
			      const char *space)
{
	requirements_begin(r, REQUIREMENT_CONFIG);
	for (size_t i = 0; i < config->require_count; i++) {
		const struct config_require *in = &config->requires[i];

		if (!strcmp(in->space, space) && set_section(r, in) < 0)
			log_error("require \"%s\": no memory: it is not wholly in force", in->name);
	}
	requirements_end(r, REQUIREMENT_CONFIG);
}
