// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "abi.h"
#include "config_parse.h"
#include "config_value.h"

static int check_gates(struct config_parser *p)
{
	const struct config *c = p->c;

	for (size_t i = 0; i < c->gate_count; i++) {
		struct config_gate *g = &c->gates[i];
		struct gate_config own = g->settings;

		if (!g->cgroup)
			return parser_error(p, -EINVAL, g->line, "[gate \"%s\"] needs cgroup=/PATH",
					    g->name);
		for (size_t j = 0; j < i; j++)
			if (!strcmp(c->gates[j].cgroup, g->cgroup))
				return parser_error(p, -EINVAL, g->line,
						    "[gate \"%s\"]: cgroup=%s is the gate \"%s\" "
						    "already, at line %u",
						    g->name, g->cgroup, c->gates[j].name,
						    c->gates[j].line);
		g->settings = c->defaults;
		config_settings_merge(&g->settings, &own);
	}
	return 0;
}

static bool has_ports(uint8_t proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP ||
	       proto == IPPROTO_DCCP || proto == IPPROTO_UDPLITE;
}

static int check_space_of(struct config_parser *p, struct config_require *q)
{
	if (!q->space)
		q->space = strdup(CONFIG_HOST);
	if (!q->space)
		return parser_error(p, -ENOMEM, q->line, "no memory");
	for (size_t i = 0; i < p->c->space_count; i++)
		if (!strcmp(p->c->spaces[i].name, q->space))
			return 0;
	return parser_error(p, -EINVAL, q->line,
			    "[require \"%s\"]: space=%s: there is no [space \"%s\"] in this file",
			    q->name, q->space, q->space);
}

static int check_requires(struct config_parser *p)
{
	for (size_t i = 0; i < p->c->require_count; i++) {
		struct config_require *q = &p->c->requires[i];

		if (!q->to_count)
			return parser_error(p, -EINVAL, q->line, "[require \"%s\"] needs to=PREFIX",
					    q->name);
		if (q->from_count && q->from[0].family != q->to[0].family)
			return parser_error(p, -EINVAL, q->line,
					    "[require \"%s\"]: from= and to= are of two address "
					    "families, expected one",
					    q->name);
		if ((q->port_count || q->sport_count) && !(q->has_proto && has_ports(q->proto)))
			return parser_error(p, -EINVAL, q->line,
					    "[require \"%s\"]: %s= needs a proto= that has "
					    "ports: tcp, udp or sctp",
					    q->name, q->port_count ? "port" : "sport");
		if (check_space_of(p, q) < 0)
			return p->err;
	}
	return 0;
}

static int check_spaces(struct config_parser *p)
{
	const struct config *c = p->c;

	for (size_t i = 1; i < c->space_count; i++) {
		const struct config_space *s = &c->spaces[i];

		if (!s->netns)
			return parser_error(p, -EINVAL, s->line,
					    "[space \"%s\"] needs netns=NAME, /PATH or process id",
					    s->name);
		if (i >= SPACES_MAX)
			return parser_error(
				p, -EINVAL, s->line,
				"[space \"%s\"]: more than %d spaces, \"host\" included", s->name,
				SPACES_MAX);
		for (size_t j = 1; j < i; j++)
			if (!strcmp(c->spaces[j].netns, s->netns))
				return parser_error(p, -EINVAL, s->line,
						    "[space \"%s\"]: netns=%s is the space \"%s\" "
						    "already, at line %u",
						    s->name, s->netns, c->spaces[j].name,
						    c->spaces[j].line);
	}
	return 0;
}

/* The host's socket: what [space "host"] says, then [ike], then the default. */
static int finish_host(struct config_parser *p)
{
	struct config_space *host = &p->c->spaces[0];

	if (!host->vici) {
		host->vici = p->ike_vici;
		p->ike_vici = NULL;
	}
	if (!host->vici && value_vici(CONFIG_VICI, &host->vici, NULL) < 0)
		return parser_error(p, -ENOMEM, p->line, "no memory");
	return 0;
}

static void merge_default_block(struct config *c)
{
	for (size_t i = 0; i < c->space_count; i++)
		if (!c->spaces[i].has_default_block)
			c->spaces[i].default_block = c->default_block;
}

int parser_finish(struct config_parser *p)
{
	int r = check_spaces(p);

	merge_default_block(p->c);

	if (r == 0)
		r = check_gates(p);
	if (r == 0)
		r = check_requires(p);
	return r < 0 ? r : finish_host(p);
}
