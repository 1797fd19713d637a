/* SPDX-License-Identifier: GPL-2.0-only */
/* What ways_*.c share: sockets, destinations, the ways themselves. */
#ifndef MATRIX_WAY_H
#define MATRIX_WAY_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "matrix.h"

#define PORT   80
#define OWN4   "192.0.2.1"
#define OWN6   "2001:db8::1"
#define PEER4  "192.0.2.2"
#define PEER6  "2001:db8::2"
#define VIA4   "192.0.2.99"
#define VIA6   "2001:db8::99"
#define LENGTH 200

#define TRY(call)                                                                                  \
	do {                                                                                       \
		if ((call) < 0)                                                                    \
			return -errno;                                                             \
	} while (0)

union name {
	struct sockaddr sa;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_storage any;
};

extern unsigned char body[LENGTH];

/* The peer's, or that address's (of the way's family). */
union name name_of(enum to to, const char *host, uint16_t port);
union name peer_name(const struct way *w);
socklen_t name_len(const union name *n);
int family_of(const struct way *w);
/* A socket of the way's kind. The kernel has none: not_here(). TCP ends with a reset when it is
 * closed, so that nothing goes on behind. */
int way_socket(const struct way *w);
/* setsockopt() of an int; the kernel does not know it: not_here(). */
void want(int fd, int level, int option, int value);
/* connect() to the peer, 0 or -errno; that it is under way is success. */
int way_connect(const struct way *w, int fd);
/* An echo request, or zeros with a text: what a socket of the way's kind sends. */
size_t way_body(const struct way *w, unsigned char out[LENGTH]);
int way_send(const struct way *w, int fd);
/* sendto() to the peer. */
int way_sendto(const struct way *w, int fd);
/* sendmsg() with one control message; connected: without a name. */
int way_sendmsg(const struct way *w, int fd, bool connected, int level, int type, const void *data,
		size_t size);

#define WAY(name) int name(const struct way *w)

/* ways_udp.c: every socket that sends by sendto() or is connected and sends */
WAY(go_connect);
WAY(go_sendto);
WAY(go_big);
WAY(go_addrform);
WAY(go_group);
WAY(go_connect_send);
WAY(go_write);
WAY(go_mmsg);
WAY(go_splice);
WAY(go_sendfile);
WAY(go_unspec_name);
WAY(go_unspec_connected);
WAY(go_disconnect_send);
WAY(go_reconnect);
WAY(go_cmsg);
WAY(go_more);
WAY(go_cork);
WAY(go_gso);
WAY(go_zerocopy);
WAY(go_aio);
WAY(go_connect_send_again);
WAY(go_bound_send);
/* ways_tcp.c */
WAY(go_fastopen);
WAY(go_fastopen_connect);
WAY(go_stream);
WAY(go_keepalive);
WAY(go_accepted);
WAY(go_listen);
WAY(go_repair);
WAY(go_urgent);
WAY(go_close);
WAY(go_time_wait);
WAY(go_closed_port);
WAY(go_unreachable);
WAY(go_echo_reply);
/* ways_raw.c */
WAY(go_header);
WAY(go_header6);
WAY(go_solicit);
WAY(go_udp_raw);
WAY(go_packet);
WAY(go_tun);
WAY(go_xdp);
/* ways_options.c */
WAY(go_route_option);
WAY(go_route_message);
WAY(go_padding);
WAY(go_segments);
WAY(go_device);
WAY(go_mark);
WAY(go_mark_message);
WAY(go_mark_later);
WAY(go_policy_option);
WAY(go_source);
WAY(go_join);
WAY(go_tunnel);
WAY(go_handed_in);
WAY(go_handed_out);
/* ways_uring.c */
WAY(go_uring_connect);
WAY(go_uring_send);
WAY(go_uring_sqpoll);
WAY(go_uring_socket);
WAY(go_uring_worker);
/* ways_other.c */
WAY(go_connectx);
WAY(go_sctp_address);
WAY(go_rxrpc);
WAY(go_pppol2tp);
WAY(go_rds);
WAY(go_smc);

#endif
