// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <stdio.h>

#include "net.h"
#include "random.h"
#include "route_cells.h"

uint64_t random_seed = 1;

unsigned int rnd(unsigned int n)
{
	random_seed = random_seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned int)(random_seed >> 33) % n;
}

void random_addr(bool six, char *text, size_t size)
{
	static const char *const nets[] = {
		"fd00:0:0:1:", "fd00:0:0:2:", "2001:db8:1:", "2001:db8:1:8000:",
		"2001:db8:f:", "2001:db8:7:", "2620:1:",     "2002:a00:"};
	static const char *const ends[] = {":1", ":", ":2", "8000::1", "c000::", ":ffff"};

	if (six)
		snprintf(text, size, "%s%s", nets[rnd(8)], ends[rnd(6)]);
	else if (rnd(4))
		snprintf(text, size, "10.%u.%u.%u", rnd(4), rnd(4), rnd(4));
	else
		snprintf(text, size, "%u.%u.%u.%u", rnd(2) ? 172 + rnd(3) : rnd(256), rnd(20),
			 rnd(8), rnd(256));
}

static void random_prefix(bool six, char *text, size_t size)
{
	static const unsigned int lens4[] = {0, 1, 8, 12, 14, 15, 16, 22, 23, 24, 30, 31, 32};
	static const unsigned int lens6[] = {0, 3, 16, 32, 48, 49, 64, 65, 80, 112, 127, 128};
	unsigned int len = six ? lens6[rnd(12)] : lens4[rnd(13)];
	char addr[INET6_ADDRSTRLEN];
	unsigned __int128 a;
	uint8_t family;
	__be32 raw[4];

	random_addr(six, addr, sizeof(addr));
	net_addr(addr, &family, raw);
	a = cell_addr(family, raw);
	cell_addr_to(family, len ? a >> (128 - len) << (128 - len) : 0, raw);
	inet_ntop(family, raw, addr, sizeof(addr));
	snprintf(text, size, "%s/%u", addr, len);
}

void random_route(bool six)
{
	static const char *const tables[] = {"main", "main", "220", "100", "local"};
	static const char *const bad[] = {"blackhole", "unreachable", "prohibit", "throw"};
	static const char *const src4[] = {"10.0.0.1", "10.1.0.2", "172.16.0.1", "192.168.6.1"};
	static const char *const src6[] = {"fd00:0:0:1::1", "fd00:0:0:2::1", "2001:db8:1::1",
					   "2001:db8:f::1"};
	const char *v = six ? "-6 " : "";
	const char *op = rnd(8) ? "add" : "append";
	const char *table = tables[rnd(4)];
	char prefix[64], src[64] = "", multi[200];

	random_prefix(six, prefix, sizeof(prefix));
	if (!rnd(3))
		snprintf(src, sizeof(src), "src %s", six ? src6[rnd(4)] : src4[rnd(4)]);
	if (six)
		snprintf(multi, sizeof(multi), "nexthop via fd00:0:0:%u::9 nexthop via %s",
			 1 + rnd(2), rnd(2) ? "2001:db8:1::9" : "2001:db8:1:8000::9");
	else
		snprintf(multi, sizeof(multi), "nexthop dev %s nexthop dev %s", net_devices[rnd(4)],
			 net_devices[rnd(4)]);
	switch (rnd(8)) {
	case 0:
		ip("%sroute %s %s %s table %s metric %u", v, op, bad[rnd(4)], prefix, table,
		   rnd(4));
		break;
	case 1:
		ip("%sroute %s %s table %s %s %s", v, op, prefix, table, src, multi);
		break;
	case 2:
		if (!rnd(3)) {
			ip("%sroute %s local %s dev lo table local %s", v, op, prefix, src);
			break;
		}
		/* fall through */
	default:
		ip("%sroute %s %s dev %s table %s metric %u %s", v, op, prefix, net_devices[rnd(4)],
		   table, rnd(3), src);
	}
}

void random_rule(bool six)
{
	const char *v = six ? "-6 " : "";
	const char *table = rnd(2) ? "220" : "100";
	unsigned int prio = 1 + rnd(32000);
	char prefix[64];

	random_prefix(six, prefix, sizeof(prefix));
	switch (rnd(9)) {
	case 0:
		ip("%srule add from all lookup %s pref %u", v, table, prio);
		break;
	case 1:
		ip("%srule add not to %s lookup %s pref %u", v, prefix, table, prio);
		break;
	case 2:
		ip("%srule add from all lookup main suppress_prefixlength %u pref %u", v, rnd(20),
		   prio);
		break;
	case 3:
		ip("%srule add fwmark 0x%x lookup %s pref %u", v, 1 + rnd(3), table, prio);
		break;
	case 4:
		ip("%srule add to %s unreachable pref %u", v, prefix, prio);
		break;
	case 5:
		ip("%srule add from %s lookup %s pref %u", v,
		   six ? "2001:db8:1::/48" : "10.1.0.0/16", table, prio);
		break;
	case 6:
		ip("%srule add iif %s to %s lookup %s pref %u", v, rnd(2) ? "lo" : "rtd1", prefix,
		   table, prio);
		break;
	case 7:
		if (rnd(2)) {
			ip("%srule add to %s ipproto tcp lookup %s pref %u", v, prefix, table,
			   prio);
			break;
		}
		/* fall through */
	default:
		ip("%srule add to %s lookup %s pref %u", v, prefix, table, prio);
	}
}

void random_change(void)
{
	bool six = rnd(2);
	char prefix[64];

	switch (rnd(6)) {
	case 0:
		random_prefix(six, prefix, sizeof(prefix));
		ip("%saddress add %s/%u dev %s %s", six ? "-6 " : "",
		   six ? "2620:1::77" : "172.17.3.9", six ? 40 : 20, net_devices[rnd(4)],
		   six ? "nodad" : "");
		break;
	case 1:
		ip("%saddress del %s dev rtd1", six ? "-6 " : "",
		   six ? "2001:db8:1::1/48" : "10.1.0.1/16");
		break;
	case 2:
		ip("link set %s %s", net_devices[rnd(4)], rnd(2) ? "down" : "up");
		break;
	case 3:
		ip("%sroute flush table %s", six ? "-6 " : "", rnd(2) ? "220" : "100");
		break;
	case 4:
		random_rule(six);
		break;
	default:
		random_route(six);
	}
}
