// SPDX-License-Identifier: GPL-2.0-only
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net.h"

#define MTU 1400 /* of rtd0; rtd1 has one more … */

const char *const net_devices[4] = {"rtd0", "rtd1", "rtd2", "rtd3"};
unsigned int net_mtu[64];

static FILE *ip_batch[2];

void ip_begin(void)
{
	ip_batch[0] = popen("ip -4 -force -batch - 2>/dev/null >/dev/null", "w");
	ip_batch[1] = popen("ip -6 -force -batch - 2>/dev/null >/dev/null", "w");
	assert_true(ip_batch[0] && ip_batch[1]);
}

void ip(const char *fmt, ...)
{
	char line[512];
	va_list ap;
	bool six;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	six = !strncmp(line, "-6 ", 3);
	fprintf(ip_batch[six], "%s\n", line + 3 * six);
}

void ip_end(void)
{
	pclose(ip_batch[0]);
	pclose(ip_batch[1]);
}

void net_write(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

void net_make(void)
{
	if (unshare(CLONE_NEWNET)) {
		print_message("no network namespace of our own: %s\n", strerror(errno));
		return;
	}
	ip_begin();
	/* below what a socket's MTU can be, 65535 */
	ip("link set lo mtu 60000 up");
	for (int i = 0; i < 4; i++) {
		ip("link add rtd%d mtu %d type veth peer name rtp%d", i, MTU + i, i);
		ip("link set rtp%d up", i);
		ip("link set rtd%d up", i);
	}
	ip_end();
	ip_begin();
	ip("address add 10.0.0.1/8 dev rtd0");
	ip("address add 10.1.0.1/16 dev rtd1");
	ip("address add 10.1.0.2/16 dev rtd1");
	ip("address add 172.16.0.1/24 dev rtd1");
	ip("address add 192.168.5.1/24 dev rtd2");
	ip("address add 192.168.6.1/24 dev rtd3");
	ip("-6 address add fd00:0:0:1::1/64 dev rtd0 nodad");
	ip("-6 address add fd00:0:0:1:8000::1/80 dev rtd0 nodad");
	ip("-6 address add fd00:0:0:2::1/64 dev rtd1 nodad");
	ip("-6 address add 2001:db8:1::1/48 dev rtd1 nodad");
	ip("-6 address add 2001:db8:1:8000::1/64 dev rtd2 nodad");
	ip("-6 address add 2001:db8:f::1/128 dev lo nodad");
	ip_end();
	net_mtu[1] = 60000;
	for (unsigned int i = 0; i < 4; i++)
		net_mtu[if_nametoindex(net_devices[i]) % 64] = MTU + i;
}

void net_need(void)
{
	if (geteuid() || !if_nametoindex("rtd0"))
		skip();
}

struct net_answer net_connect(uint8_t family, const __be32 addr[4])
{
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(9)};
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(9)};
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0), one = 1, mtu = 0;
	bool v6 = family == AF_INET6;
	socklen_t len = v6 ? sizeof(six) : sizeof(four), mtu_len = sizeof(mtu);
	struct sockaddr *sa = v6 ? (struct sockaddr *)&six : (struct sockaddr *)&four;
	struct net_answer o = {0};

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &one, sizeof(one));
	memcpy(&six.sin6_addr, addr, 16);
	four.sin_addr.s_addr = addr[0];
	if (connect(fd, sa, len)) {
		o.error = errno;
	} else {
		getsockname(fd, sa, &len);
		if (v6)
			memcpy(o.saddr, &six.sin6_addr, 16);
		else
			o.saddr[0] = four.sin_addr.s_addr;
		getsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? 24 /* IPV6_MTU */ : IP_MTU,
			   &mtu, &mtu_len);
		o.mtu = (unsigned int)mtu;
	}
	close(fd);
	return o;
}

void net_addr(const char *text, uint8_t *family, __be32 addr[4])
{
	memset(addr, 0, 16);
	*family = strchr(text, ':') ? AF_INET6 : AF_INET;
	assert_int_equal(inet_pton(*family, text, addr), 1);
}
