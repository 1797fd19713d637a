// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
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

static int add_endpoint(const struct cli *cli, json_t *args, const char *text, const char *addr,
			const char *port)
{
	json_int_t proto = json_get_int(args, "proto", 0);
	struct endpoint ep;
	char buf[UNITS_TEXT];
	struct error e;

	if (endpoint_parse(text, &ep, &e) < 0)
		return cli_usage_error(cli, &e);
	if (ep.has_port && (proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6))
		return no_ports(cli, text);
	json_object_set_new(args, addr,
			    json_string(addr_format(ep.family, ep.addr, buf, sizeof(buf))));
	if (ep.has_port)
		json_object_set_new(args, port, json_integer(ntohs(ep.port)));
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
	const char *from = cli_value(cli, "--from"), *gate = cli_value(cli, "--gate");
	struct error e;
	uint8_t proto;
	int r;

	if (proto_parse(cli->args[0], &proto, &e) < 0)
		return cli_usage_error(cli, &e);
	json_object_set_new(args, "proto", json_integer(proto));
	r = add_endpoint(cli, args, cli->args[1], "dst", "dport");
	if (r == CLI_DONE && from)
		r = add_endpoint(cli, args, from, "src", "sport");
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
