#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""A connection that stays: line.py FIFO ADDRESS [DEVICE]

Connects to port 80, bound to the device, and prints "connected", or the errno's name and ends.
Sends on it what comes out of FIFO, prints what comes back.
"""
import errno
import os
import select
import socket
import sys

fifo, to, *device = sys.argv[1:]
sock = socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET, socket.SOCK_STREAM)
if device:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device[0].encode())
try:
    sock.connect((to, 80))
except OSError as error:
    sys.exit(print(errno.errorcode[error.errno]))
print("connected", flush=True)
words = os.open(fifo, os.O_RDWR)
while True:
    ready = select.select([sock, words], [], [])[0]
    if words in ready:
        sock.send(os.read(words, 4096))
    if sock in ready:
        heard = sock.recv(4096)
        if not heard:
            break
        print(heard.decode(), end="", flush=True)
