#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""vrf.py FIFO DEVICE PORT ADDRESS...: sends in several ways, on sockets bound to DEVICE (-: not bound).

TCP's have PORT and those behind it (0: any): to the kernel one in a VRF and one outside may have the
same port to the same peer, to that peer they are one connection.

Prints "ready". For each word that is written to FIFO: "WORD kept RESULT" for each socket that it has
still, on which it sends once more; then, unless the word begins with "kept", "WORD WAY ADDRESS RESULT"
for new ones, of which it keeps those that work; "WORD end". RESULT: ok (for new ones: the echo
came back), lost, or the errno's name.
"""
import errno
import itertools
import os
import socket
import struct
import sys

WAYS = ("tcp", "udp", "connected", "ping")
ECHO = {socket.AF_INET: 8, socket.AF_INET6: 128}
ICMP = {socket.AF_INET: socket.IPPROTO_ICMP, socket.AF_INET6: socket.IPPROTO_ICMPV6}


def make(way, family, device, port):
    if way == "ping":
        sock = socket.socket(family, socket.SOCK_DGRAM, ICMP[family])
    else:
        sock = socket.socket(family, socket.SOCK_STREAM if way == "tcp" else socket.SOCK_DGRAM)
    if device != "-":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
    if way == "tcp":
        sock.bind(("", port))
    sock.settimeout(20)
    return sock


def send(way, sock, to):
    data = struct.pack("!BBHHH", ECHO[sock.family], 0, 0, 7, 1) if way == "ping" else b"x\n"
    if way in ("tcp", "connected"):
        sock.send(data)
    else:
        sock.sendto(data, (to, 80))


def exchange(way, sock, to):
    if way in ("tcp", "connected"):
        sock.connect((to, 80))
    send(way, sock, to)
    sock.recv(2048)


def result(call, *args):
    try:
        call(*args)
        return "ok"
    except TimeoutError:
        return "lost"
    except OSError as error:
        return errno.errorcode[error.errno]


def main(fifo, device, port, addresses):
    ports = itertools.count(port) if port else itertools.repeat(0)
    kept = []
    with os.fdopen(os.open(fifo, os.O_RDWR), "r", encoding="ascii") as words:
        print("ready", flush=True)
        for word in map(str.strip, iter(words.readline, "")):
            for args in kept:
                print(word, "kept", result(send, *args))
            for to in addresses if not word.startswith("kept") else []:
                for way in WAYS:
                    sock = make(way, socket.AF_INET6 if ":" in to else socket.AF_INET, device, next(ports))
                    said = result(exchange, way, sock, to)
                    print(word, way, to, said)
                    if said == "ok":
                        kept.append((way, sock, to))
            print(word, "end", flush=True)


main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:])
