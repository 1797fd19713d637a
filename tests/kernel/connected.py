#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""connected.py FILE SOCKET...: has sockets, and says what becomes of them.

SOCKET is KIND:ADDRESS, with N* in front N of them; the port is 80 (PORT=). KIND: tcp, udp
(connected), any (a UDP socket that is not, and has sent there). With VICI=PATH it is an IKE daemon
there, too, which has nothing loaded. Prints "ready", waits until FILE is there, sends on each, and
prints "SOCKET RESULT", ok or the errno's name.
"""
import errno
import os
import socket
import sys
import threading
import time


def make(spec):
    kind, addr = spec.split(":", 1)
    family = socket.AF_INET6 if ":" in addr else socket.AF_INET
    s = socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    to = (addr, int(os.environ.get("PORT", 80)))
    if kind == "any":
        s.sendto(b"x", to)
    else:
        s.connect(to)
    return spec, s, to if kind == "any" else None


def send(s, to):
    try:
        if to:
            s.sendto(b"x", to)
        else:
            s.send(b"x")
        return "ok"
    except OSError as e:
        return errno.errorcode[e.errno]


def specs(args):
    for arg in args:
        n, star, spec = arg.partition("*")
        yield from [spec] * int(n) if star else [arg]


def answer(client):
    """Each command with an empty response, each registration with a confirmation."""
    while head := client.recv(4, socket.MSG_WAITALL):
        packet = client.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL)
        client.sendall(b"\0\0\0\1" + (b"\1" if packet[0] == 0 else b"\5"))


def serve(vici):
    while True:
        threading.Thread(target=answer, args=(vici.accept()[0],), daemon=True).start()


if "VICI" in os.environ:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(os.environ["VICI"])
    listener.listen()
    threading.Thread(target=serve, args=(listener,), daemon=True).start()
sockets = [make(spec) for spec in specs(sys.argv[2:])]
print("ready", flush=True)
while not os.path.exists(sys.argv[1]):
    time.sleep(0.02)
for spec, s, to in sockets:
    print(spec, send(s, to), flush=True)
