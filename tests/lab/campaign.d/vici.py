# SPDX-License-Identifier: GPL-2.0-only
"""As much VICI as a campaign needs: load, unload, initiate, rekey, terminate; and a proxy that spoils it."""
import os
import select
import socket
import struct
import threading

REQUEST, RESPONSE = 0, 1


def encode(message):
    """dict: sections; list: lists; everything else: text."""
    out = b""
    for name, value in message.items():
        head = bytes([len(name)]) + name.encode()
        if isinstance(value, dict):
            out += b"\x01" + head + encode(value) + b"\x02"
        elif isinstance(value, (list, tuple)):
            items = (str(item).encode() for item in value)
            out += b"\x04" + head + b"".join(
                b"\x05" + struct.pack("!H", len(item)) + item for item in items) + b"\x06"
        else:
            text = str(value).encode()
            out += b"\x03" + head + struct.pack("!H", len(text)) + text
    return out


def frame(kind, name, message=b""):
    packet = bytes([kind, len(name)]) + name.encode() + message
    return struct.pack("!I", len(packet)) + packet


class Vici:
    """One connection a command: charon may have been killed in between."""

    def __init__(self, path):
        self.path = path

    def ask(self, name, message=None, seconds=20):
        """The answer's bytes."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(seconds)
            sock.connect(self.path)
            sock.sendall(frame(REQUEST, name, encode(message or {})))
            stream = sock.makefile("rb")
            head = stream.read(4)
            if len(head) < 4:
                raise OSError("charon hung up")
            packet = stream.read(struct.unpack("!I", head)[0])
        if packet[:1] != bytes([RESPONSE]):
            raise OSError(f"charon does not know {name}")
        return packet[1:]

    def command(self, name, message=None, seconds=20):
        """True when it says success=yes."""
        return b"\x03\x07success\x00\x03yes" in self.ask(name, message, seconds)

    def answers(self):
        try:
            self.ask("version", seconds=5)
            return True
        except OSError:
            return False

    def load(self, conn, psk, ids):
        self.command("load-shared", {"id": "lab", "type": "IKE", "data": psk, "owners": ids})
        if not self.command("load-conn", conn):
            raise OSError("charon did not take the connection")

    def unload(self, name):
        return self.command("unload-conn", {"name": name})

    def terminate(self, ike="lab", wait=True):
        """Without waiting the peer is told, and not heard."""
        timeout = {"timeout": 20000} if wait else {}
        return self.command("terminate", {"ike": ike, "force": "yes", **timeout})

    def rekey(self, child="net"):
        return self.command("rekey", {"child": child})

    def rekey_ike(self, ike="lab"):
        return self.command("rekey", {"ike": ike})

    def initiate(self, ike="lab", child="net"):
        """Begins it, and returns at once."""
        return self.command("initiate", {"ike": ike, "child": child, "timeout": -1})


class Proxy:
    """Between sagate and charon. How it spoils what charon says is in .how, from the next packet or
    connection on: None, "half" (half of it, then nothing more), "huge" (a length of 1 GB),
    "noise" (a frame of something else), "cut" (connections end)."""

    def __init__(self, path, charon):
        self.path, self.charon = path, charon
        self.how = None
        self.pairs = []
        self.listener = None
        self.open()
        threading.Thread(target=self.run, daemon=True).start()

    def open(self):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.path)
        listener.listen(16)
        self.listener = listener

    def close(self):
        """The socket is gone, and who was connected is cut off."""
        listener, self.listener = self.listener, None
        os.unlink(self.path)
        listener.close()
        self.how = "cut"

    def mend(self):
        self.how = None
        if not self.listener:
            self.open()

    def hang_up(self, pair):
        self.pairs.remove(pair)
        for sock in pair:
            sock.close()

    def accept(self, listener):
        try:
            client, _ = listener.accept()
        except OSError:
            return
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(self.charon)
        except OSError:
            client.close()
            server.close()
            return
        self.pairs.append((client, server))

    def spoiled(self, data):
        if self.how == "half":
            return data[:max(1, len(data) // 2)], True
        if self.how == "huge":
            return struct.pack("!I", 1 << 30) + data[4:], True
        if self.how == "noise":
            return struct.pack("!IB", 9, 7) + b"\xff" * 8 + data, True
        return data, False

    def move(self, pair, source):
        """Bytes from one to the other."""
        try:
            data = source.recv(65536)
        except OSError:
            data = b""
        if not data:
            self.hang_up(pair)
            return
        client, server = pair
        to, last = (server, False) if source is client else (client, False)
        if source is server:
            data, last = self.spoiled(data)
        try:
            to.sendall(data)
        except OSError:
            last = True
        if last and self.how != "half":
            self.hang_up(pair)

    def run(self):
        while True:
            if self.how == "cut":
                for pair in list(self.pairs):
                    self.hang_up(pair)
            listener = self.listener
            all_of = {sock: pair for pair in self.pairs for sock in pair}
            watched = list(all_of) + ([listener] if listener else [])
            try:
                ready, _, _ = select.select(watched, [], [], 0.05)
            except (OSError, ValueError):
                continue  # it was closed under us
            for sock in ready:
                if sock is listener:
                    self.accept(listener)
                elif all_of[sock] in self.pairs:
                    self.move(all_of[sock], sock)
