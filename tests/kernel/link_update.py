#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""link_update.py LINK PROG: puts the pinned program PROG behind the pinned link LINK."""
import ctypes
import os
import struct
import sys

SYS_BPF, BPF_OBJ_GET, BPF_LINK_UPDATE = 321, 7, 29
libc = ctypes.CDLL(None, use_errno=True)


def bpf(command, attr):
    buf = ctypes.create_string_buffer(attr, 64)
    result = libc.syscall(SYS_BPF, command, buf, 64)
    if result < 0:
        sys.exit(os.strerror(ctypes.get_errno()))
    return result


def get(path):
    text = ctypes.create_string_buffer(path.encode())
    return bpf(BPF_OBJ_GET, struct.pack("QII", ctypes.addressof(text), 0, 0))


bpf(BPF_LINK_UPDATE, struct.pack("IIII", get(sys.argv[1]), get(sys.argv[2]), 0, 0))
