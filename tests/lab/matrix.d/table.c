// SPDX-License-Identifier: GPL-2.0-only
/* The table. WAYS.md has it, too: tests/lab/matrix --readme. */
#include <errno.h>
#include <linux/capability.h>
#include <linux/io_uring.h>
#include <stdio.h>

#include "way.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#define IPPROTO_L2TP 115
#define IPPROTO_FREE 253 /* RFC 3692: for experiments */

/* clang-format off */
#define E     {ESP, 0}
#define R     {REFUSED, EAGAIN}
#define DENY  {REFUSED, EACCES}
#define D(e)  {DROPPED, e}
#define K(e)  {KERNEL, e}
#define Q     {QUIET, 0}
#define X     {CLEAR, 0}
#define U     {UNTRIED, 0}
/* no SA, SA there, lost, lost and the policy kept, lost and the daemon dead */
#define ASKED	  {R, E, R, R, R}		/* each call */
#define STREAM	  {R, E, D(0), D(0), D(0)}	/* when it connects; then the guard sees to it */
#define REFUSES   {R, R, R, R, R}
#define DENIED	  {DENY, DENY, DENY, DENY, DENY}
#define NEVER(e)  {K(e), K(e), K(e), K(e), K(e)}
#define SILENT	  {Q, Q, Q, Q, Q}
#define EXEMPT	  {X, X, X, X, X}
#define WAITS	  .hold = E, .flags = HOLDS	/* in mode hold */
#define CANNOT	  .hold = R, .flags = HOLDS
#define CONNECTED 1000				/* go_cmsg() */

#define TCP	SOCK_STREAM, 0
#define UDP	SOCK_DGRAM, 0
#define PING4	SOCK_DGRAM, IPPROTO_ICMP
#define PING6	SOCK_DGRAM, IPPROTO_ICMPV6
#define RAW(p)	SOCK_RAW, p
#define ANY	-1
#define NET_RAW CAP_NET_RAW
#define ADMIN	CAP_NET_ADMIN
#define KERNELS "the kernel's own answer, of no socket"
#define UNASKED "the kernel does not show it to the guard; no data"
#define DEVICES "the device's, which CAP_NET_ADMIN made"

const struct way ways[] = {
	{"tcp4 connect", go_connect, TO4, TCP, 0, ANY, .cell = ASKED, WAITS},
	{"tcp6 connect", go_connect, TO6, TCP, 0, ANY, .cell = ASKED, WAITS},
	{"tcp6 connect ::ffff:v4", go_connect, TO_MAPPED, TCP, 0, ANY, .cell = ASKED, WAITS},
	{"tcp4 MSG_FASTOPEN", go_fastopen, TO4, TCP, 0, ANY, .cell = ASKED, WAITS},
	{"tcp6 MSG_FASTOPEN", go_fastopen, TO6, TCP, 0, ANY, .cell = ASKED, WAITS},
	{"tcp4 MSG_FASTOPEN, NO_COOKIE", go_fastopen, TO4, TCP, 1, ANY, .cell = ASKED},
	{"tcp4 FASTOPEN_CONNECT, then write", go_fastopen_connect, TO4, TCP, 0, ANY, .cell = STREAM},
	{"tcp4 FASTOPEN_CONNECT, NO_COOKIE: SYN by write", go_fastopen_connect, TO4, TCP, 1, ANY, .cell = STREAM},
	{"tcp4 write", go_stream, TO4, TCP, 0, ANY, .cell = STREAM},
	{"tcp6 write", go_stream, TO6, TCP, 0, ANY, .cell = STREAM},
	{"tcp6 ::ffff:v4 write", go_stream, TO_MAPPED, TCP, 0, ANY, .cell = STREAM},
	{"tcp6 ::ffff:v4 IPV6_ADDRFORM, write", go_addrform, TO_MAPPED, TCP, 0, ANY, .cell = STREAM},
	{"tcp4 sendfile", go_sendfile, TO4, TCP, 0, ANY, .cell = STREAM},
	{"tcp4 splice", go_splice, TO4, TCP, 0, ANY, .cell = STREAM},
	{"tcp4 MSG_ZEROCOPY", go_zerocopy, TO4, TCP, 0, ANY, .cell = STREAM},
	{"tcp4 MSG_OOB", go_urgent, TO4, TCP, 0, ANY, .cell = STREAM},
	{"tcp4 io_submit", go_aio, TO4, TCP, 0, ANY, .cell = STREAM},
	{"tcp4 shutdown (FIN)", go_stream, TO4, TCP, 1, ANY, .cell = STREAM},
	{"tcp4 close (RST)", go_close, TO4, TCP, 0, ANY, .cell = STREAM},
	{"tcp4 keepalive (timer)", go_keepalive, TO4, TCP, 0, ANY, .cell = STREAM},
	{"tcp4 listen: SYN-ACK", go_listen, TO4, TCP, 0, ANY, .cell = {D(ETIMEDOUT), E, D(ETIMEDOUT), D(ETIMEDOUT), D(ETIMEDOUT)}},
	{"tcp6 listen: SYN-ACK", go_listen, TO6, TCP, 0, ANY, .cell = {D(ETIMEDOUT), E, D(ETIMEDOUT), D(ETIMEDOUT), D(ETIMEDOUT)}, .since = 606},
	{"tcp6 listen: SYN-ACK", go_listen, TO6, TCP, 0, ANY, .cell = {X, E, X, D(ETIMEDOUT), X}, .until = 606, .why = UNASKED},
	{"tcp4 accepted: write", go_accepted, TO4, TCP, 0, ANY, .cell = {D(ETIMEDOUT), E, D(0), D(0), D(0)}},
	{"tcp4 accepted: acknowledgements", go_accepted, TO4, TCP, 1, ANY, .cell = {D(ETIMEDOUT), E, D(0), D(0), D(0)}},
	{"tcp6 accepted: write", go_accepted, TO6, TCP, 0, ANY, .cell = {D(ETIMEDOUT), E, D(0), D(0), D(0)}, .since = 606},
	{"tcp6 accepted: write", go_accepted, TO6, TCP, 0, ANY, .cell = {X, E, D(0), D(0), D(0)}, .until = 606, .why = "the SYN-ACK alone: see there"},
	{"tcp4 TCP_REPAIR, connect, write", go_repair, TO4, TCP, 0, ADMIN, .cell = STREAM},
	{"mptcp4 connect", go_connect, TO4, SOCK_STREAM, IPPROTO_MPTCP, 0, ANY, .cell = ASKED, WAITS},
	{"mptcp4 write", go_stream, TO4, SOCK_STREAM, IPPROTO_MPTCP, 0, ANY, .cell = STREAM},

	{"udp4 sendto", go_sendto, TO4, UDP, 0, ANY, .cell = ASKED, WAITS},
	{"udp4 sendto, 60000 bytes", go_big, TO4, UDP, 0, ANY, .cell = ASKED},
	{"udp6 sendto, 60000 bytes", go_big, TO6, UDP, 0, ANY, .cell = ASKED},
	{"udp4 sendto a group", go_group, TO4, UDP, 0, ANY, .cell = REFUSES},
	{"udp6 sendto a group", go_group, TO6, UDP, 0, ANY, .cell = REFUSES},
	{"udp6 sendto", go_sendto, TO6, UDP, 0, ANY, .cell = ASKED, WAITS},
	{"udp6 sendto ::ffff:v4", go_sendto, TO_MAPPED, UDP, 0, ANY, .cell = ASKED, WAITS},
	{"udp6 sendto sockaddr_in", go_sendto, TO_IN6, UDP, 0, ANY, .cell = ASKED, WAITS},
	{"udp4 sendto AF_UNSPEC", go_unspec_name, TO4, UDP, 0, ANY, .cell = ASKED, WAITS},
	{"udp4 sendmmsg", go_mmsg, TO4, UDP, 0, ANY, .cell = ASKED, CANNOT},
	{"udp4 connect", go_connect, TO4, UDP, 0, ANY, .cell = SILENT},
	{"udp6 connect", go_connect, TO6, UDP, 0, ANY, .cell = SILENT},
	{"udp4 connect, send", go_connect_send, TO4, UDP, 0, ANY, .cell = ASKED, .hold = E, .flags = HOLDS | COMES},
	{"udp4 connect, send, send", go_connect_send_again, TO4, UDP, 0, ANY, .cell = ASKED},
	{"udp6 connect, send", go_connect_send, TO6, UDP, 0, ANY, .cell = ASKED, .hold = E, .flags = HOLDS | COMES},
	{"udp6 connect ::ffff:v4, send", go_connect_send, TO_MAPPED, UDP, 0, ANY, .cell = ASKED, .flags = COMES},
	{"udp6 connect sockaddr_in, send", go_connect_send, TO_IN6, UDP, 0, ANY, .cell = ASKED, .flags = COMES},
	{"udp4 connect, write", go_write, TO4, UDP, 0, ANY, .cell = ASKED, .hold = E, .flags = HOLDS | COMES},
	{"udp4 connect, writev", go_write, TO4, UDP, 1, ANY, .cell = ASKED, .hold = E, .flags = HOLDS | COMES},
	{"udp4 connect, splice", go_splice, TO4, UDP, 0, ANY, .cell = ASKED, .hold = R, .flags = HOLDS | COMES, .since = 605},
	{"udp4 connect, splice", go_splice, TO4, UDP, 0, ANY, .cell = {D(EPERM), E, D(EPERM), D(0), D(EPERM)}, .flags = COMES, .until = 605},
	{"udp4 connect, sendfile", go_sendfile, TO4, UDP, 0, ANY, .cell = ASKED, .since = 605},
	{"udp4 connect, sendfile", go_sendfile, TO4, UDP, 0, ANY, .cell = {D(EPERM), E, D(EPERM), D(0), D(EPERM)}, .until = 605},
	{"udp4 connect, MSG_ZEROCOPY", go_zerocopy, TO4, UDP, 0, ANY, .cell = ASKED},
	{"udp4 connect, io_submit", go_aio, TO4, UDP, 0, ANY, .cell = ASKED, CANNOT},
	{"udp4 connect, cmsg IP_TOS", go_cmsg, TO4, UDP, CONNECTED + IP_TOS, ANY, .cell = ASKED, .flags = COMES},
	{"udp4 connect, cmsg IP_PKTINFO", go_cmsg, TO4, UDP, CONNECTED + IP_PKTINFO, ANY, .cell = ASKED},
	{"udp6 connect, cmsg IPV6_TCLASS", go_cmsg, TO6, UDP, CONNECTED + IPV6_TCLASS, ANY, .cell = ASKED, .flags = COMES},
	{"udp6 connect, cmsg IPV6_PKTINFO", go_cmsg, TO6, UDP, CONNECTED + IPV6_PKTINFO, ANY, .cell = ASKED},
	{"udp4 cmsg IP_TTL", go_cmsg, TO4, UDP, IP_TTL, ANY, .cell = ASKED, WAITS},
	{"udp4 cmsg IP_PKTINFO", go_cmsg, TO4, UDP, IP_PKTINFO, ANY, .cell = ASKED},
	{"udp6 cmsg IPV6_PKTINFO", go_cmsg, TO6, UDP, IPV6_PKTINFO, ANY, .cell = ASKED},
	{"udp4 cmsg IP_ORIGDSTADDR", go_cmsg, TO4, UDP, IP_ORIGDSTADDR, ANY, .cell = NEVER(EINVAL)},
	{"udp6 cmsg IPV6_ORIGDSTADDR", go_cmsg, TO6, UDP, IPV6_ORIGDSTADDR, ANY, .cell = NEVER(EINVAL)},
	{"udp4 MSG_MORE, then send", go_more, TO4, UDP, 1, ANY, .cell = {R, E, K(EINVAL), K(EINVAL), K(EINVAL)}},
	{"udp4 connect, MSG_MORE, then send", go_more, TO4, UDP, 0, ANY, .cell = ASKED, .flags = FUTILE},
	{"udp4 connect, send, UDP_CORK off", go_cork, TO4, UDP, 0, ANY, .cell = STREAM, .flags = FUTILE},
	{"udp4 UDP_SEGMENT", go_gso, TO4, UDP, 0, ANY, .cell = {R, K(EIO), R, R, R}},
	{"udp6 UDP_SEGMENT", go_gso, TO6, UDP, 0, ANY, .cell = {R, K(EIO), R, R, R}},
	{"udp4 connect, cmsg UDP_SEGMENT", go_gso, TO4, UDP, 1, ANY, .cell = {R, K(EIO), R, R, R}},
	{"udp6 connect, sendto AF_UNSPEC", go_unspec_connected, TO6, UDP, 0, ANY, .cell = ASKED},
	{"udp6 connect ::ffff:v4, IPV6_ADDRFORM, send", go_addrform, TO_MAPPED, UDP, 0, ANY, .cell = ASKED},
	{"udp4 connect, disconnect, send", go_disconnect_send, TO4, UDP, 0, ANY, .cell = NEVER(EDESTADDRREQ)},
	{"udp4 connect elsewhere, sendto", go_reconnect, TO4, UDP, 0, ANY, .cell = ASKED},
	{"udp4 connect elsewhere, connect, send", go_reconnect, TO4, UDP, 1, ANY, .cell = ASKED},
	{"udp6 connect elsewhere, sendto", go_reconnect, TO6, UDP, 0, ANY, .cell = ASKED},

	{"io_uring CONNECT tcp4", go_uring_connect, TO4, TCP, 0, ANY, .cell = ASKED, CANNOT},
	{"io_uring CONNECT tcp4, SQPOLL", go_uring_sqpoll, TO4, TCP, 0, ANY, .cell = ASKED},
	{"io_uring CONNECT tcp4, by a worker", go_uring_worker, TO4, TCP, 0, ANY, .cell = ASKED},
	{"io_uring SOCKET udp4, SQPOLL; sendto", go_uring_socket, TO4, UDP, 0, ANY, .cell = ASKED},
	{"io_uring SENDMSG udp4", go_uring_send, TO4, UDP, IORING_OP_SENDMSG, ANY, .cell = ASKED, CANNOT},
	{"io_uring SEND udp4, connected", go_uring_send, TO4, UDP, IORING_OP_SEND, ANY, .cell = ASKED},
	{"io_uring SEND_ZC udp4, connected", go_uring_send, TO4, UDP, IORING_OP_SEND_ZC, ANY, .cell = ASKED},
	{"io_uring WRITE udp4, connected", go_uring_send, TO4, UDP, IORING_OP_WRITE, ANY, .cell = ASKED},
	{"io_uring SEND_ZC tcp4", go_uring_send, TO4, TCP, IORING_OP_SEND_ZC, ANY, .cell = STREAM},

	{"udplite4 sendto", go_sendto, TO4, SOCK_DGRAM, 136, 0, ANY, .cell = ASKED, .gone = 700},
	{"udplite4 connect, send", go_connect_send, TO4, SOCK_DGRAM, 136, 0, ANY, .cell = ASKED, .gone = 700},
	{"udplite6 connect, send", go_connect_send, TO6, SOCK_DGRAM, 136, 0, ANY, .cell = ASKED, .gone = 700},
	{"sctp4 one-to-one connect", go_connect, TO4, SOCK_STREAM, 132, 0, ANY, .cell = ASKED, WAITS},
	{"sctp4 one-to-one send", go_stream, TO4, SOCK_STREAM, 132, 0, ANY, .cell = STREAM},
	{"sctp4 one-to-many sendto", go_sendto, TO4, SOCK_SEQPACKET, 132, 0, ANY, .cell = ASKED, WAITS},
	{"sctp6 one-to-many sendto", go_sendto, TO6, SOCK_SEQPACKET, 132, 0, ANY, .cell = ASKED},
	{"sctp4 connectx", go_connectx, TO4, SOCK_SEQPACKET, 132, 0, ANY, .cell = {D(0), E, D(0), D(0), D(0)}},
	{"sctp4 a further address by cmsg", go_sctp_address, TO4, SOCK_SEQPACKET, 132, 0, ANY, .cell = {D(0), E, D(0), D(0), D(0)}},
	{"dccp4 connect", go_connect, TO4, SOCK_DCCP, IPPROTO_DCCP, 0, ANY, .cell = ASKED, .gone = 700},
	{"l2tp4 sendto", go_sendto, TO4, SOCK_DGRAM, IPPROTO_L2TP, 0, ANY, .cell = ASKED, WAITS},
	{"l2tp4 connect, send", go_bound_send, TO4, SOCK_DGRAM, IPPROTO_L2TP, 0, ANY, .cell = ASKED},
	{"l2tp6 sendto", go_sendto, TO6, SOCK_DGRAM, IPPROTO_L2TP, 0, ANY, .cell = ASKED},
	{"pppol2tp over udp4", go_pppol2tp, TO4, UDP, 0, ANY, .cell = DENIED},
	{"rxrpc4 sendmsg", go_rxrpc, TO4, UDP, 0, ANY, .cell = {D(0), E, D(0), D(0), D(0)}, .since = 602},
	{"rxrpc4 sendmsg", go_rxrpc, TO4, UDP, 0, ANY, .cell = ASKED, .until = 602},
	{"smc4 connect", go_smc, TO4, TCP, 0, ANY, .cell = ASKED, .gone = 700},
	{"rds4 sendto", go_rds, TO4, UDP, 0, ANY, .cell = DENIED},
	{"ping4 sendto", go_sendto, TO4, PING4, 0, ANY, .cell = ASKED, WAITS},
	{"ping4 connect, send", go_connect_send, TO4, PING4, 0, ANY, .cell = ASKED},
	{"ping6 sendto", go_sendto, TO6, PING6, 0, ANY, .cell = ASKED, WAITS},
	{"ping6 connect, send", go_connect_send, TO6, PING6, 0, ANY, .cell = ASKED},

	{"raw4 sendto", go_sendto, TO4, RAW(IPPROTO_FREE), 0, NET_RAW, .cell = ASKED, WAITS},
	{"raw4 connect, send", go_connect_send, TO4, RAW(IPPROTO_FREE), 0, NET_RAW, .cell = ASKED},
	{"raw4 UDP's header", go_udp_raw, TO4, RAW(IPPROTO_UDP), 0, NET_RAW, .cell = ASKED},
	{"raw4 forged ESP", go_sendto, TO4, RAW(IPPROTO_ESP), 0, NET_RAW, .cell = ASKED},
	{"raw4 forged AH", go_sendto, TO4, RAW(IPPROTO_AH), 0, NET_RAW, .cell = ASKED},
	{"raw4 IP_HDRINCL", go_header, TO4, RAW(IPPROTO_RAW), 0, NET_RAW, .cell = ASKED},
	{"raw4 IP_HDRINCL, a fragment", go_header, TO4, RAW(IPPROTO_RAW), 25, NET_RAW, .cell = ASKED},
	{"raw4 IP_HDRINCL, version 6", go_header, TO4, RAW(IPPROTO_RAW), 0x60000, NET_RAW, .cell = {R, D(EPERM), R, R, R}},
	{"raw4 IP_HDRINCL to the peer, sendto elsewhere", go_header, TO4, RAW(IPPROTO_RAW), 0, NET_RAW, .cell = {D(EPERM), D(EPERM), D(EPERM), D(EPERM), D(EPERM)}, .flags = ELSEWHERE},
	{"raw6 sendto", go_sendto, TO6, RAW(IPPROTO_FREE), 0, NET_RAW, .cell = ASKED, WAITS},
	{"raw6 connect, send", go_connect_send, TO6, RAW(IPPROTO_FREE), 0, NET_RAW, .cell = ASKED},
	{"raw6 forged ESP", go_sendto, TO6, RAW(IPPROTO_ESP), 0, NET_RAW, .cell = ASKED},
	{"raw6 a header of its own", go_header6, TO6, RAW(IPPROTO_RAW), 0, NET_RAW, .cell = ASKED},
	{"raw6 a header to the peer, sendto elsewhere", go_header6, TO6, RAW(IPPROTO_RAW), 0, NET_RAW, .cell = {D(EPERM), D(EPERM), D(EPERM), D(EPERM), D(EPERM)}, .flags = ELSEWHERE},
	{"raw6 neighbour solicitation", go_solicit, TO6, RAW(IPPROTO_ICMPV6), 0, NET_RAW, .cell = ASKED},

	{"udp4 IP_OPTIONS source route", go_route_option, TO4, UDP, IP_OPTIONS, NET_RAW, .cell = DENIED},
	{"tcp4 IP_OPTIONS source route", go_route_option, TO4, TCP, IP_OPTIONS, NET_RAW, .cell = DENIED},
	{"udp4 cmsg IP_RETOPTS source route", go_route_message, TO4, UDP, IP_RETOPTS, NET_RAW, .cell = {R, D(EPERM), R, R, R}},
	{"udp6 IPV6_RTHDR", go_route_option, TO6, UDP, IPV6_RTHDR, ANY, .cell = DENIED},
	{"tcp6 IPV6_RTHDR", go_route_option, TO6, TCP, IPV6_RTHDR, ANY, .cell = DENIED},
	{"udp6 IPV6_2292RTHDR", go_route_option, TO6, UDP, 5, ANY, .cell = DENIED},
	{"udp6 cmsg IPV6_RTHDR", go_route_message, TO6, UDP, IPV6_RTHDR, ANY, .cell = ASKED},
	{"udp6 cmsg IPV6_DSTOPTS", go_padding, TO6, UDP, 0, NET_RAW, .cell = ASKED},
	{"raw6 segment routing header", go_segments, TO6, RAW(IPPROTO_RAW), 0, NET_RAW, .cell = {D(EPERM), D(EPERM), D(EPERM), D(EPERM), D(EPERM)}},
	{"tcp4 SO_BINDTODEVICE", go_device, TO4, TCP, 0, ANY, .cell = ASKED},
	{"udp6 SO_BINDTODEVICE", go_device, TO6, UDP, 0, ANY, .cell = ASKED},
	{"udp4 SO_MARK", go_mark, TO4, UDP, 5, ADMIN, .cell = ASKED},
	{"tcp4 SO_MARK", go_mark, TO4, TCP, 5, ADMIN, .cell = ASKED},
	{"udp4 SO_MARK that a policy lets pass", go_mark, TO4, UDP, 0x99, ADMIN, .cell = REFUSES},
	{"udp4 cmsg SO_MARK that a policy lets pass", go_mark_message, TO4, UDP, 0, ADMIN, .cell = {R, D(EPERM), R, R, R}},
	{"tcp4 SO_MARK after connect", go_mark_later, TO4, TCP, 0, ADMIN, .cell = STREAM},
	{"udp4 bound to a source of no policy", go_source, TO4, UDP, 0, ANY, .cell = REFUSES},
	{"tcp4 bound to a source of no policy", go_source, TO4, TCP, 0, ANY, .cell = REFUSES},
	{"udp4 IP_FREEBIND source", go_source, TO4, UDP, IP_FREEBIND, ANY, .cell = REFUSES, .flags = FUTILE},
	{"udp4 IP_TRANSPARENT source", go_source, TO4, UDP, IP_TRANSPARENT, ADMIN, .cell = REFUSES},
	{"udp4 IP_XFRM_POLICY, sendto", go_policy_option, TO4, UDP, 0, ADMIN, .cell = {X, X, X, X, X}, .why = "CAP_NET_ADMIN gave the socket a policy"},
	{"tcp4 IP_XFRM_POLICY after connect", go_policy_option, TO4, TCP, 1, ADMIN, .cell = {R, X, X, X, X}, .why = "CAP_NET_ADMIN gave the socket a policy"},
	{"IGMP join", go_join, TO4, UDP, 0, ANY, .cell = REFUSES, .flags = REPORTS},
	{"MLD join", go_join, TO6, UDP, 0, ANY, .cell = REFUSES, .flags = REPORTS},

	{"handed in: udp4 sendto", go_handed_in, TO4, UDP, 0, ANY, .cell = ASKED, .flags = OUTSIDE},
	{"handed in: udp6 sendto", go_handed_in, TO6, UDP, 0, ANY, .cell = ASKED, .flags = OUTSIDE},
	{"handed in: udp4 connected", go_handed_in, TO4, UDP, 1, ANY, .cell = ASKED, .flags = OUTSIDE},
	{"handed in: tcp4 connect", go_handed_in, TO4, TCP, 0, ANY, .cell = ASKED, .flags = OUTSIDE},
	{"handed in: tcp4 connected", go_handed_in, TO4, TCP, 1, ANY, .cell = {U, E, R, R, R}, .flags = OUTSIDE},
	{"handed in: sctp4 connect", go_handed_in, TO4, SOCK_STREAM, 132, 0, ANY, .cell = ASKED, .flags = OUTSIDE},
	{"handed in: ping4 sendto", go_handed_in, TO4, PING4, 0, ANY, .cell = ASKED, .flags = OUTSIDE},
	{"handed out: udp4 sendto", go_handed_out, TO4, UDP, 0, ANY, .cell = ASKED},
	{"handed out: udp4 connected", go_handed_out, TO4, UDP, 1, ANY, .cell = {D(EPERM), E, D(EPERM), D(0), D(EPERM)}},
	{"handed out: tcp4 connect", go_handed_out, TO4, TCP, 0, ANY, .cell = ASKED},
	{"handed out: tcp4 connected", go_handed_out, TO4, TCP, 1, ANY, .cell = STREAM},
	{"handed out: ping4 sendto", go_handed_out, TO4, PING4, 0, ANY, .cell = {D(EPERM), E, D(EPERM), D(0), D(EPERM)}},

	{"AF_PACKET", go_packet, TO4, UDP, 0, NET_RAW, .cell = EXEMPT, .why = "CAP_NET_RAW"},
	{"AF_XDP", go_xdp, TO4, UDP, 0, NET_RAW, .cell = EXEMPT, .why = "CAP_NET_RAW"},
	{"tun", go_tun, TO4, UDP, 0, ADMIN, .cell = EXEMPT, .why = "forwarded; CAP_NET_ADMIN made the device"},
	{"IPIP tunnel", go_tunnel, TO4, UDP, 1, ANY, .cell = {X, E, X, D(0), X}, .why = DEVICES},
	{"GRE tunnel", go_tunnel, TO4, UDP, 2, ANY, .cell = {X, E, X, D(0), X}, .why = DEVICES},
	{"VXLAN tunnel", go_tunnel, TO4, UDP, 3, ANY, .cell = {X, E, X, D(0), X}, .why = DEVICES},
	{"FOU tunnel", go_tunnel, TO4, UDP, 4, ANY, .cell = {X, E, X, D(0), X}, .why = DEVICES},
	{"tcp4 TIME_WAIT: acknowledgement", go_time_wait, TO4, TCP, 0, ANY, .cell = {D(ETIMEDOUT), E, X, D(0), X}, .why = KERNELS},
	{"tcp4 closed port: RST", go_closed_port, TO4, TCP, 0, ANY, .cell = {X, E, X, D(0), X}, .why = KERNELS},
	{"udp4 closed port: ICMP error", go_unreachable, TO4, UDP, 0, ANY, .cell = {X, E, X, D(0), X}, .why = KERNELS},
	{"echo reply, IPv4", go_echo_reply, TO4, UDP, 0, ANY, .cell = {X, E, X, D(0), X}, .why = KERNELS},
	{"echo reply, IPv6", go_echo_reply, TO6, UDP, 0, ANY, .cell = {X, E, X, D(0), X}, .why = KERNELS},
};
/* clang-format on */

const size_t ways_count = sizeof(ways) / sizeof(ways[0]);

static const char *user_of(const struct way *w)
{
	if (w->cap < 0)
		return "anyone";
	return w->cap == CAP_NET_RAW ? "CAP_NET_RAW" : "CAP_NET_ADMIN";
}

static void row_print(const struct way *w)
{
	char text[64];

	printf("| %s | %s |", w->name, user_of(w));
	for (int s = NONE; s <= DEAD; s++)
		printf(" %s |", cell_text(&w->cell[s], text));
	printf(" %s |", w->flags & HOLDS ? w->hold.what == ESP ? "waits, then ESP"
							       : cell_text(&w->hold, text)
					 : "");
	if (w->since)
		printf(" since Linux %d.%d", w->since / 100, w->since % 100);
	if (w->until || w->gone)
		printf(" %s Linux %d.%d", w->gone ? "gone with" : "before",
		       (w->until + w->gone) / 100, (w->until + w->gone) % 100);
	printf("%s%s |\n", w->until && w->why ? ": " : " ", w->why ? w->why : "");
}

void table_print(void)
{
	puts("| way | who | no SA | SA there | SA and policy lost | SA lost, policy kept | lost, "
	     "daemon dead | mode hold | |\n|---|---|---|---|---|---|---|---|---|");
	for (size_t i = 0; i < ways_count; i++)
		row_print(&ways[i]);
}
