# SPDX-License-Identifier: GPL-2.0-only
"""What a campaign does to the kernel without a program of its own: XFRM messages, BPF ids and links,
another network namespace, another process's socket."""
import ctypes
import os
import re
import select
import socket
import struct

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
NETLINK_XFRM = 6
BPF_OBJ_GET, BPF_PROG_NEXT, BPF_MAP_NEXT, BPF_LINK_NEXT = 7, 11, 12, 31
BPF_MAP_GET_NEXT_KEY, BPF_PROG_LOAD, BPF_LINK_CREATE, BPF_LINK_DETACH = 4, 5, 28, 34
SOCK_ADDR, CONNECT4, SENDMSG4 = 18, 10, 14
# bpf_set_retval(0); return 1
LET_PASS = bytes.fromhex("b701000000000000" "85000000bb000000" "b700000001000000" "9500000000000000")

NEWSA, DELSA, GETSA, NEWPOLICY, DELPOLICY = 0x10, 0x11, 0x12, 0x13, 0x14
UPDSA, FLUSHSA, FLUSHPOLICY = 0x1A, 0x1C, 0x1D
REQUEST, ACK, DUMP, CREATE, EXCL = 1, 4, 0x300, 0x400, 0x200
ALG_AEAD = 18
GCM = b"rfc4106(gcm(aes))"
LIFE_NONE = struct.pack("=4Q", *(4 * [2**64 - 1])) + bytes(32)
ADDRESS_A, ADDRESS_B = (socket.inet_aton(a).ljust(16, b"\0") for a in ("192.0.2.1", "192.0.2.2"))
# usersa_info: selector 56, daddr 16 + spi 4 + proto, saddr, limits 64, used 32, …
SA_SIZE, SA_DADDR, SA_SPI, SA_LIMITS, SA_USED = 224, 56, 72, 96, 160


def inside(netns, make):
    """make(), in that network namespace."""
    with open("/proc/self/ns/net") as here, open(f"/run/netns/{netns}") as there:
        if LIBC.setns(there.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), netns)
        try:
            return make()
        finally:
            LIBC.setns(here.fileno(), CLONE_NEWNET)


class Xfrm:
    """The SPD and SAD of one network namespace."""

    def __init__(self, netns):
        self.sock = inside(netns, lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW,
                                                        NETLINK_XFRM))
        self.sock.bind((0, 0))
        self.sock.settimeout(20)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)

    @staticmethod
    def message(kind, body, flags=0):
        return struct.pack("=IHHII", 16 + len(body), kind, REQUEST | flags, 1, 0) + body

    def send(self, messages):
        """All at once."""
        self.sock.send(b"".join(messages))

    def drain(self):
        """What was said to messages whose answer nobody waited for."""
        while select.select([self.sock], [], [], 0)[0]:
            self.sock.recv(1 << 20)

    def ask(self, kind, body, flags=0):
        """0, or an errno."""
        self.drain()
        self.send([self.message(kind, body, flags | ACK)])
        return -struct.unpack_from("=i", self.sock.recv(65536), 16)[0]

    def sas(self):
        """Each SA's message, without its header."""
        self.drain()
        self.send([self.message(GETSA, b"", DUMP)])
        found = []
        while True:
            data = self.sock.recv(1 << 20)
            while data:
                length, kind = struct.unpack_from("=IH", data)
                if kind != NEWSA:
                    return found
                found.append(data[16:length])
                data = data[length + 3 & ~3:]

    def outbound(self):
        """SAs to the peer, with keys."""
        return [sa for sa in self.sas() if sa[SA_DADDR:SA_DADDR + 16] == ADDRESS_B
                and sa[SA_SPI:SA_SPI + 4] != bytes(4) and len(sa) > SA_SIZE + 60]

    def flush_sas(self):
        return self.ask(FLUSHSA, bytes(1))

    def flush_policies(self):
        return self.ask(FLUSHPOLICY, b"")

    @staticmethod
    def sa_id(sa):
        return sa[SA_DADDR:SA_SPI + 4] + struct.pack("=HBB", socket.AF_INET, 50, 0)

    def delete(self, sa):
        return self.ask(DELSA, self.sa_id(sa))

    def limit(self, sa, which, more):
        """Its limit soft_bytes, hard_bytes, soft_packets, hard_packets, soft_time or hard_time is
        that much beyond what it has seen by now."""
        names = ("soft_bytes", "hard_bytes", "soft_packets", "hard_packets", "soft_time", "hard_time")
        at = names.index(which)
        seen_bytes, packets, added, _ = struct.unpack_from("=4Q", sa, SA_USED)
        now = int(socket_time()) - added
        value = (seen_bytes, seen_bytes, packets, packets, now, now)[at] + more
        changed = bytearray(sa)
        struct.pack_into("=Q", changed, SA_LIMITS + 8 * at, value)
        return self.ask(UPDSA, bytes(changed))

    def narrow(self, sa, port):
        """In its place one for this destination port only."""
        changed = bytearray(sa)
        struct.pack_into("!HH", changed, 32, port, 0xFFFF)
        struct.pack_into("=H", changed, 40, socket.AF_INET)
        changed[42:44] = bytes([32, 32])
        changed[0:16], changed[16:32] = ADDRESS_B, ADDRESS_A
        self.delete(sa)
        # A call in between may have left a larval SA with the SPI of the policy's template.
        return self.ask(NEWSA, bytes(changed), CREATE | EXCL) and self.ask(UPDSA, bytes(changed))

    @staticmethod
    def made_up(number):
        """An SA to some other host; mirrored, and nobody's."""
        there = socket.inet_aton(f"198.18.{number >> 8}.{number & 255}").ljust(16, b"\0")
        key = bytes(range(20))
        info = (bytes(56) + there + struct.pack("!I", 0x5000 + number) + b"\x32" + bytes(3) +
                ADDRESS_A + LIFE_NONE + bytes(32) + bytes(12) + bytes(4) +
                struct.pack("=IHBBB", 77, socket.AF_INET, 0, 0, 0)).ljust(SA_SIZE, b"\0")
        alg = GCM.ljust(64, b"\0") + struct.pack("=II", 160, 128) + key
        return info + struct.pack("=HH", 4 + len(alg), ALG_AEAD) + alg

    def add_many(self, first, count):
        for at in range(first, first + count, 64):
            self.send([self.message(NEWSA, self.made_up(n), CREATE)
                       for n in range(at, min(at + 64, first + count))])

    def delete_many(self, first, count):
        for at in range(first, first + count, 64):
            self.send([self.message(DELSA, self.sa_id(self.made_up(n)))
                       for n in range(at, min(at + 64, first + count))])

    @staticmethod
    def policy(action, priority):
        """To b, outwards, without a template: another selector than charon's, which would be replaced."""
        selector = ADDRESS_B + bytes(16) + bytes(8) + struct.pack("=HBBB", socket.AF_INET, 32, 0, 0)
        selector = selector.ljust(56, b"\0")
        return (selector + LIFE_NONE + bytes(32) +
                struct.pack("=IIBBBB", priority, 0, 1, action, 0, 0)).ljust(168, b"\0"), selector

    def add_policy(self, action, priority):
        return self.ask(NEWPOLICY, self.policy(action, priority)[0], CREATE | EXCL)

    def delete_policy(self):
        return self.ask(DELPOLICY, (self.policy(0, 0)[1] + struct.pack("=IB", 0, 1)).ljust(64, b"\0"))


def socket_time():
    """The kernel's idea of an SA's age goes by this clock."""
    import time
    return time.clock_gettime(time.CLOCK_REALTIME)


def shrink(pid, size):
    """The receive buffers of its XFRM sockets that hear events; how many there are."""
    inodes = set()
    with open(f"/proc/{pid}/net/netlink") as table:
        for line in list(table)[1:]:
            words = line.split()
            if words[1] == str(NETLINK_XFRM) and int(words[3], 16):
                inodes.add(words[9])
    pidfd, count = os.pidfd_open(pid), 0
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            link = os.readlink(f"/proc/{pid}/fd/{fd}")
        except OSError:
            continue
        found = re.fullmatch(r"socket:\[(\d+)\]", link)
        if not found or found[1] not in inodes:
            continue
        copy = LIBC.syscall(438, pidfd, int(fd), 0)
        if copy >= 0:
            with socket.socket(fileno=copy) as sock:
                sock.setsockopt(socket.SOL_SOCKET, 33, size)  # SO_RCVBUFFORCE
                count += 1
    os.close(pidfd)
    return count


def bpf(command, attr):
    got = LIBC.syscall(321, command, attr, len(attr))
    return got if got >= 0 else -ctypes.get_errno()


def bpf_count(command):
    """How many programs, maps or links the kernel has."""
    count = at = 0
    while True:
        attr = ctypes.create_string_buffer(struct.pack("=III", at, 0, 0), 12)
        if bpf(command, attr) < 0:
            return count
        at = struct.unpack_from("=I", attr, 4)[0]
        count += 1


def pinned(path):
    text = ctypes.create_string_buffer(path.encode())
    attr = ctypes.create_string_buffer(struct.pack("=QII", ctypes.addressof(text), 0, 0), 16)
    fd = bpf(BPF_OBJ_GET, attr)
    if fd < 0:
        raise OSError(-fd, path)
    return fd


def map_entries(path, key_size):
    """How many keys a pinned hash map has."""
    fd, count = pinned(path), 0
    key, following = ctypes.create_string_buffer(key_size), ctypes.create_string_buffer(key_size)
    at = 0
    while count < 100000:
        attr = ctypes.create_string_buffer(
            struct.pack("=IIQQ", fd, 0, at, ctypes.addressof(following)), 24)
        if bpf(BPF_MAP_GET_NEXT_KEY, attr) < 0:
            break
        count += 1
        ctypes.memmove(key, following, key_size)
        at = ctypes.addressof(key)
    os.close(fd)
    return count


def detach_link(path):
    fd = pinned(path)
    attr = ctypes.create_string_buffer(struct.pack("=I", fd), 4)
    err = bpf(BPF_LINK_DETACH, attr)
    os.close(fd)
    return -err


def let_pass(cgroup, hook):
    """A program behind all others there, which makes a success of every refusal. Its link: it goes
    when that is closed."""
    code, licence = ctypes.create_string_buffer(LET_PASS), ctypes.create_string_buffer(b"GPL")
    attr = struct.pack("=IIQQIIQII16sII", SOCK_ADDR, len(LET_PASS) // 8, ctypes.addressof(code),
                       ctypes.addressof(licence), 0, 0, 0, 0, 0, b"let_pass", 0, hook)
    prog = bpf(BPF_PROG_LOAD, ctypes.create_string_buffer(attr, len(attr)))
    if prog < 0:
        raise OSError(-prog, "the program is not loaded")
    folder = os.open(cgroup, os.O_RDONLY)
    link = bpf(BPF_LINK_CREATE, ctypes.create_string_buffer(struct.pack("=IIII", prog, folder, hook, 0), 16))
    os.close(folder)
    os.close(prog)
    if link < 0:
        raise OSError(-link, "the program is not attached")
    return link
