#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Sets socket options: option.py OPTION GROUP [DEVICE] ...: one word for each, "ok" or the errno."""
import errno
import socket
import struct
import sys

IP, IPV6 = socket.IPPROTO_IP, socket.IPPROTO_IPV6


def four(text):
    return socket.inet_pton(socket.AF_INET, text)


def six(text):
    return socket.inet_pton(socket.AF_INET6, text)


def group_req(address, index):
    if ":" in address:
        to = struct.pack("=HHI16sI", socket.AF_INET6, 0, 0, six(address), 0)
    else:
        to = struct.pack("=HH4s8x", socket.AF_INET, 0, four(address))
    return struct.pack("=I4x", index) + to.ljust(128, b"\0")


def source_req(address, index):
    return group_req(address, index) + group_req("2001:db8::9" if ":" in address else "192.0.2.9", 0)[8:]


def level(address):
    return IPV6 if ":" in address else IP


# name: what setsockopt() takes, of a group and an interface's index
OPTIONS = {
    "mreq": lambda a, i: (IP, 35, four(a) + four("0.0.0.0")),
    "mreq-address": lambda a, i: (IP, 35, four(a) + four("192.0.2.1")),
    "mreqn": lambda a, i: (IP, 35, four(a) + four("0.0.0.0") + struct.pack("=I", i)),
    "drop": lambda a, i: (IP, 36, four(a) + four("0.0.0.0")),
    "source": lambda a, i: (IP, 39, four(a) + four("0.0.0.0") + four("192.0.2.9")),
    "join": lambda a, i: (level(a), 42, group_req(a, i)),
    "leave": lambda a, i: (level(a), 45, group_req(a, i)),
    "join-source": lambda a, i: (level(a), 46, source_req(a, i)),
    "join6": lambda a, i: (IPV6, 20, six(a) + struct.pack("=I", i)),
    "leave6": lambda a, i: (IPV6, 21, six(a) + struct.pack("=I", i)),
    "short": lambda a, i: (IP, 35, four(a)),
    "rthdr": lambda a, i: (IPV6, 57, struct.pack("=BBBBI", 0, 2, 2, 1, 0) + six(a)),
    "rthdr-2292": lambda a, i: (IPV6, 5, struct.pack("=BBBBI", 0, 2, 2, 1, 0) + six(a)),
    "rthdr-off": lambda a, i: (IPV6, 57, b""),
    "lsrr": lambda a, i: (IP, 4, b"\x01\x83\x07\x04" + four(a)),
    "router-alert": lambda a, i: (IP, 4, b"\x94\x04\0\0"),
    "long": lambda a, i: (IP, 64, bytes(5000)),
    "ttl": lambda a, i: (IP, 2, struct.pack("=I", 5)),
}


def main():
    name, address, device = (sys.argv[1:] + [""])[:3]
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    said = []
    for one in name.split(","):
        try:
            sock.setsockopt(*OPTIONS[one](address, socket.if_nametoindex(device) if device else 0))
            said.append("ok")
        except OSError as error:
            said.append(errno.errorcode[error.errno])
    print(*said)


main()
