#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Calls that pass no sock_addr hook of their gate, each once, made in a cgroup.

others.py CGROUP ADDRESS WAY...   prints "WAY RESULT": ok, an errno's name, or no-socket
others.py serve                   SCTP and UDP-Lite on port 80; prints "ready", then what arrives

WAY: ping ping-connected raw raw-connected header (IP_HDRINCL) raw-tcp sctp sctp-many
     udplite udplite-connected udplite-unspec l2tp udp-connect udp-send udp-write udp-unspec
     getaddrinfo
     In front: "handed-" (made outside and handed in by SCM_RIGHTS), then that or udp, tcp.
"""
import ctypes
import errno
import os
import select
import socket
import struct
import sys

ECHO = {socket.AF_INET: 8, socket.AF_INET6: 128}
ICMP = {socket.AF_INET: socket.IPPROTO_ICMP, socket.AF_INET6: socket.IPPROTO_ICMPV6}
PORT = 80


def echo_request(family):
    head = struct.pack("!BBHHH", ECHO[family], 0, 0, 7, 1)
    total = sum(struct.unpack("!4H", head))
    return head[:2] + struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF) + head[4:]


def ip_header(to):
    return struct.pack("!BBHHHBBH4s4s", 0x45, 0, 0, 0, 0, 64, socket.IPPROTO_ICMP, 0,
                       bytes(4), socket.inet_aton(to)) + echo_request(socket.AF_INET)


def make(way, family):
    """The socket of a way."""
    if way.startswith("ping"):
        return socket.socket(family, socket.SOCK_DGRAM, ICMP[family])
    if way == "header":
        sock = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_HDRINCL, 1)
        return sock
    if way == "raw-tcp":
        return socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_TCP)
    if way.startswith("raw"):
        return socket.socket(family, socket.SOCK_RAW, ICMP[family])
    if way == "sctp":
        return socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_SCTP)
    if way == "sctp-many":
        return socket.socket(family, socket.SOCK_SEQPACKET, socket.IPPROTO_SCTP)
    if way.startswith("udplite"):
        return socket.socket(family, socket.SOCK_DGRAM, 136)
    if way == "l2tp":
        return socket.socket(family, socket.SOCK_DGRAM, 115)
    return socket.socket(family, socket.SOCK_STREAM if way == "tcp" else socket.SOCK_DGRAM)


def send_unspec(sock, to):
    """sendto() with a name that has no family: over UDP of IPv6 it goes where the socket goes."""
    name = bytes(2) + struct.pack("!H", PORT) + bytes(4) + socket.inet_pton(sock.family, to)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.sendto(sock.fileno(), b"unspec", 6, 0, name.ljust(28, b"\0"), 28) < 0:
        raise OSError(ctypes.get_errno(), "sendto")


def go(way, sock, to):
    """The call itself."""
    if way in ("sctp", "tcp", "udp-connect"):
        sock.connect((to, PORT))
    elif way in ("raw-connected", "ping-connected"):
        sock.connect((to, 0))
        sock.send(echo_request(sock.family))
    elif way in ("udplite-connected", "udp-send"):
        sock.connect((to, PORT))
        sock.send(way.encode())
    elif way == "udp-write":
        sock.connect((to, PORT))
        os.write(sock.fileno(), way.encode())
    elif way.endswith("-unspec"):
        sock.connect((to, PORT))
        send_unspec(sock, to)
    elif way == "header":
        sock.sendto(ip_header(to), (to, 0))
    elif way in ("ping", "raw"):
        sock.sendto(echo_request(sock.family), (to, 0))
    elif way in ("raw-tcp", "l2tp"):
        sock.sendto(bytes(20), (to, 0) if way == "raw-tcp" else (to, PORT))
    else:
        sock.sendto(way.encode(), (to, PORT))


def answered(way, sock):
    """An echo request comes back."""
    if not way.startswith(("ping", "raw")) or way == "raw-tcp":
        return True
    while select.select([sock], [], [], 10)[0]:
        data = sock.recv(2048)
        if sock.family == socket.AF_INET and sock.type == socket.SOCK_RAW:
            data = data[20:]
        if data[0] == {8: 0, 128: 129}[ECHO[sock.family]]:
            return True
    return False


def join(cgroup):
    with open(f"/sys/fs/cgroup/{cgroup}/cgroup.procs", "w", encoding="ascii") as procs:
        procs.write(str(os.getpid()))


def try_way(way, sock, to):
    try:
        if way == "getaddrinfo":
            socket.getaddrinfo(to, PORT)
            return "ok"
        go(way, sock, to)
        return "ok" if answered(way, sock) else "unanswered"
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error.errno))


def main(cgroup, to, ways):
    family = socket.AF_INET6 if ":" in to else socket.AF_INET
    outside, inside = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        join(cgroup)
        for name in ways:
            way = name.removeprefix("handed-")
            message, fds, _, _ = socket.recv_fds(inside, 64, 1)
            try:
                sock = socket.socket(fileno=fds[0]) if fds else make(way, family)
            except OSError:
                print(name, "no-socket", flush=True)
                continue
            print(name, try_way(way, sock, to), flush=True)
        os._exit(0)
    for name in ways:
        handed = name.startswith("handed-")
        sock = make(name.removeprefix("handed-"), family) if handed else None
        socket.send_fds(outside, [b"next"], [sock.fileno()] if sock else [])
    return os.waitstatus_to_exitcode(os.wait()[1])


def serve():
    sctp = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP)
    sctp.bind(("0.0.0.0", PORT))
    sctp.listen(16)
    socks = [sctp]
    try:
        socks.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 136))
        socks[1].bind(("0.0.0.0", PORT))
    except OSError:
        pass  # Linux 7 has none
    print("ready", flush=True)
    kept = []
    while True:
        for sock in select.select(socks, [], [])[0]:
            if sock is sctp:
                kept.append(sock.accept())
                print("sctp", flush=True)
            else:
                print(sock.recv(2048).decode(), flush=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        serve()
    else:
        sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
