// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd_flow.h"
#include "json_util.h"
#include "netns.h"
#include "units.h"

/* The hooks see no type and code: decide() takes the echo request that a ping socket sends. */
static int no_ports(const struct cli *cli, const char *text)
{
	return cli_usage(cli,
			 "%s %s: %s has no ports, and type and code cannot be chosen: an echo "
			 "request is asked about",
			 cli->args[0], text, cli->args[0]);
}

static int parse_proto(const struct cli *cli, uint8_t *proto)
{
	struct error e;

	if (proto_parse(cli->args[0], proto, &e) < 0)
		return cli_usage_error(cli, &e);
	if (!*proto)
		return cli_usage(cli, "protocol %s: no packet has it: write 1 to 255 or a name",
				 cli->args[0]);
	return CLI_DONE;
}

/* fe80::1%eth0: of no other address would the device behind it mean anything. */
static int no_scope(const struct cli *cli, const char *text)
{
	const char *scope = strchr(text, '%') + 1;

	return cli_usage(cli, "%s: write the address without its device, and that as --dev %.*s",
			 text, (int)strcspn(scope, "]:"), scope);
}

static int parse_endpoint(const struct cli *cli, const char *text, uint8_t proto,
			  struct endpoint *ep)
{
	struct error e;

	if (strchr(text, '%'))
		return no_scope(cli, text);
	if (endpoint_parse(text, ep, &e) < 0)
		return cli_usage_error(cli, &e);
	if (ep->has_port && (proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6))
		return no_ports(cli, text);
	return CLI_DONE;
}

/* What packets to it are: a v4-mapped address is IPv4. */
static int version_of(const struct endpoint *ep)
{
	const __be32 *a = ep->addr;

	return ep->family == AF_INET || (!a[0] && !a[1] && a[2] == htonl(0xffff)) ? 4 : 6;
}

/* Of an IPv6 address whose last part may be meant as a port. */
static void hint_at_port(const struct cli *cli, const struct endpoint *ep, uint8_t proto)
{
	const char *text = cli->args[1];

	if (cli->json || ep->family != AF_INET6 || ep->has_port || text[0] == '[')
		return;
	if (proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP)
		fprintf(stderr,
			"sagate: %s is taken as an address without a port; with one it is "
			"[ADDRESS]:PORT\n",
			text);
}

static int check_destination(const struct cli *cli, const struct endpoint *dst, uint8_t proto)
{
	const int version = version_of(dst);

	if ((proto == IPPROTO_ICMP && version == 6) || (proto == IPPROTO_ICMPV6 && version == 4))
		return cli_usage(cli, "%s %s: over IPv%d it is %s", cli->args[0], cli->args[1],
				 version, version == 6 ? "icmpv6" : "icmp");
	hint_at_port(cli, dst, proto);
	return CLI_DONE;
}

/* SRC, SRC:PORT, or :PORT, which has no family. */
static int parse_source(const struct cli *cli, const char *text, uint8_t proto,
			struct endpoint *src)
{
	struct error e;

	if (text[0] != ':' || text[1] == ':')
		return parse_endpoint(cli, text, proto, src);
	*src = (struct endpoint){.has_port = true};
	if (port_parse(text + 1, &src->port, &e) < 0)
		return cli_usage(cli, "--from %s: %s", text, e.message);
	return proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6 ? no_ports(cli, text) : CLI_DONE;
}

static int check_source(const struct cli *cli, const struct endpoint *src,
			const struct endpoint *dst, const char *text)
{
	if (!src->family || src->family == dst->family)
		return CLI_DONE;
	return cli_usage(cli, "--from %s: IPv%d, and the destination %s is IPv%d", text,
			 src->family == AF_INET ? 4 : 6, cli->args[1],
			 dst->family == AF_INET ? 4 : 6);
}

static void put_endpoint(json_t *args, const struct endpoint *ep, const char *addr,
			 const char *port)
{
	char buf[UNITS_TEXT];

	if (ep->family)
		json_object_set_new(
			args, addr,
			json_string(addr_format(ep->family, ep->addr, buf, sizeof(buf))));
	if (ep->has_port)
		json_object_set_new(args, port, json_integer(ntohs(ep->port)));
}

static int add_endpoints(const struct cli *cli, json_t *args, uint8_t proto)
{
	const char *from = cli_value(cli, "--from");
	struct endpoint dst = {}, src = {};
	int r = parse_endpoint(cli, cli->args[1], proto, &dst);

	if (r == CLI_DONE)
		r = check_destination(cli, &dst, proto);
	if (r == CLI_DONE && from)
		r = parse_source(cli, from, proto, &src);
	if (r == CLI_DONE && from)
		r = check_source(cli, &src, &dst, from);
	if (r != CLI_DONE)
		return r;
	put_endpoint(args, &dst, "dst", "dport");
	if (from)
		put_endpoint(args, &src, "src", "sport");
	return CLI_DONE;
}

static int add_mark(const struct cli *cli, json_t *args)
{
	const char *text = cli_value(cli, "--mark");
	unsigned long long mark;
	char *end;

	if (!text)
		return CLI_DONE;
	errno = 0;
	mark = strtoull(text, &end, 0);
	if (errno || *end || text[0] < '0' || text[0] > '9' || mark > UINT32_MAX)
		return cli_usage(cli, "--mark %s: expected a number from 0 to 0xffffffff", text);
	json_object_set_new(args, "mark", json_integer(mark));
	return CLI_DONE;
}

static int dev_index(void *ctx)
{
	return if_nametoindex(ctx);
}

/*
 * The namespace as its cookie, and the device as its index there: both mean something to the daemon
 * wherever it runs. Without --netns it is our own: `ip netns exec blue sagate explain …` asks blue.
 */
static int add_place(const struct cli *cli, json_t *args)
{
	const char *netns = cli_value(cli, "--netns"), *dev = cli_value(cli, "--dev");
	_cleanup_close_ int fd = -1;
	struct error e = {};
	uint64_t cookie;
	int index;

	if (netns) {
		fd = netns_open(netns, &e);
		if (fd < 0)
			return cli_error(cli, &e);
	}
	if (netns_cookie(fd, &cookie, &e) < 0)
		return cli_error(cli, &e);
	json_object_set_new(args, "netns", json_integer(cookie));
	if (!dev)
		return CLI_DONE;
	index = netns_run(fd, dev_index, (void *)dev, &e);
	if (index < 0)
		return cli_error(cli, &e);
	if (!index) {
		error_set(&e, -ENODEV, "no-such-device", "--dev %s: no such device in %s", dev,
			  netns ? netns : "this network namespace");
		return cli_error(cli, &e);
	}
	json_object_set_new(args, "dev", json_string(dev));
	json_object_set_new(args, "ifindex", json_integer(index));
	return CLI_DONE;
}

int cli_flow(const struct cli *cli, json_t *args)
{
	const char *gate = cli_value(cli, "--gate");
	uint8_t proto;
	int r = parse_proto(cli, &proto);

	if (r != CLI_DONE)
		return r;
	json_object_set_new(args, "proto", json_integer(proto));
	r = add_endpoints(cli, args, proto);
	if (r == CLI_DONE)
		r = add_mark(cli, args);
	if (r == CLI_DONE && gate && json_object_set_new(args, "gate", json_string(gate)) < 0)
		r = cli_usage(cli, "--gate: the name is no UTF-8 text");
	return r == CLI_DONE ? add_place(cli, args) : r;
}

int cli_flow_status(const json_t *answer)
{
	const char *verdict = json_get_text(answer, "verdict") ?: "";

	if (!strcmp(verdict, "protected") || !strcmp(verdict, "clear"))
		return CLI_DONE;
	if (!strcmp(verdict, "wait"))
		return CLI_WAIT;
	return !strcmp(verdict, "deny") ? CLI_DENY : CLI_ERROR;
}
