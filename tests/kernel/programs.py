#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""What the programs of programs.bats talk to: HTTP on 8080, DNS on 53, PostgreSQL's start on 5432.

programs.py ADDRESS: serves until it is killed; prints "ready".
"""
import http.server
import socketserver
import struct
import sys
import threading


class Http(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(b"served")

    def log_message(self, *_):
        pass


class Dns(socketserver.BaseRequestHandler):
    """Every name has the address 192.0.2.77."""

    def handle(self):
        ask, sock = self.request
        end = ask.index(0, 12) + 5
        answer = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) + bytes((192, 0, 2, 77))
        sock.sendto(ask[:2] + b"\x84\x00" + struct.pack("!HHHH", 1, 1, 0, 0) + ask[12:end] + answer,
                    self.client_address)


class Postgres(socketserver.BaseRequestHandler):
    """Lets everybody in, and answers every query with one row, "served"."""

    def message(self, kind, body):
        self.request.sendall(kind + struct.pack("!I", len(body) + 4) + body)

    def read(self, size):
        data = b""
        while len(data) < size:
            more = self.request.recv(size - len(data))
            if not more:
                raise ConnectionError
            data += more
        return data

    def handle(self):
        size, code = struct.unpack("!II", self.read(8))
        if code != 196608:  # asked for TLS
            self.request.sendall(b"N")
            size, code = struct.unpack("!II", self.read(8))
        self.read(size - 8)
        self.message(b"R", struct.pack("!I", 0))
        self.message(b"S", b"server_version\x0015.0\x00")
        self.message(b"S", b"client_encoding\x00UTF8\x00")
        self.message(b"Z", b"I")
        while self.read(1) == b"Q":
            self.read(struct.unpack("!I", self.read(4))[0] - 4)
            self.message(b"T", struct.pack("!H", 1) + b"a\x00" + struct.pack("!IHIhih", 0, 0, 25, -1, -1, 0))
            self.message(b"D", struct.pack("!HI", 1, 6) + b"served")
            self.message(b"C", b"SELECT 1\x00")
            self.message(b"Z", b"I")


class Tcp(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def handle_error(self, *_):
        pass


def main():
    address = sys.argv[1]
    servers = (Tcp((address, 8080), Http), Tcp((address, 5432), Postgres),
               socketserver.UDPServer((address, 53), Dns))
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print("ready", flush=True)
    threading.Event().wait()


main()
