# SPDX-License-Identifier: GPL-2.0-only
"""The parts of a campaign's lab: charons, the daemon, traffic in two gates, the sniffer. Their network is
that of peers.sh, which `tests/lab/campaign` has set up."""
import glob
import json
import mmap
import os
import signal
import socket
import struct
import subprocess
import time

import kernel
import vici

DIR = os.environ.get("LAB_DIR", "/tmp/lab")
BUILD = os.environ["CAMPAIGN_BUILD"]
SAGATE = "/run/sagate-lab"
CONTROL = f"{DIR}/sagate/control.sock"
PIN = "/sys/fs/bpf/sagate"
CGROUPS = "/sys/fs/cgroup"
KINDS = ("short", "long", "udp", "connected")
IDS = ["a.lab.test", "b.lab.test"]


class Failed(Exception):
    """What did not hold."""


def wait(seconds, what, condition):
    """Until it holds; what it says then."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failed(f"not within {seconds} s: {what}")
        time.sleep(0.01)


class Process:
    """One that can be killed and started again."""

    def __init__(self, log):
        self.log, self.child = log, None

    def spawn(self, netns, argv, cgroup=None):
        def join():
            if cgroup:
                with open(f"{CGROUPS}/{cgroup}/cgroup.procs", "w") as procs:
                    procs.write("0")
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(
                ["nsenter", f"--net=/run/netns/{netns}", "--", *argv], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True, preexec_fn=join)

    @property
    def pid(self):
        return self.child.pid

    def alive(self):
        return self.child is not None and self.child.poll() is None

    def send(self, number):
        self.child.send_signal(number)

    def kill(self, number=signal.SIGKILL):
        if self.alive():
            self.send(number)
        try:
            self.child.wait(20)
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.log}: does not end on signal {number}") from None


class Charon(Process):
    def __init__(self, peer):
        super().__init__(f"{DIR}/{peer}/charon.out")
        self.peer, self.vici = peer, vici.Vici(f"{DIR}/{peer}/vici")
        self.trap = False

    def start(self):
        try:
            os.unlink(self.vici.path)
        except FileNotFoundError:
            pass
        self.spawn(self.peer, ["unshare", "-m", "env", f"STRONGSWAN_CONF={DIR}/{self.peer}/strongswan.conf",
                               "sh", "-c", "mount -t tmpfs run /run && exec /usr/lib/ipsec/charon"])
        wait(60, f"charon {self.peer} answers", self.vici.answers)

    def load(self, proposal="aes128gcm16", psk="lab secret"):
        other = "b" if self.peer == "a" else "a"
        address = {"a": "192.0.2.1", "b": "192.0.2.2"}
        child = {"mode": "transport", "local_ts": ["dynamic"], "remote_ts": ["dynamic"],
                 "esp_proposals": [proposal], "rekey_time": "1h", "life_time": "2h",
                 "start_action": "trap" if self.trap else "none"}
        self.vici.load({"lab": {
            "version": "2", "local_addrs": [address[self.peer]], "remote_addrs": [address[other]],
            "proposals": ["aes128gcm16-prfsha256-x25519"], "rekey_time": "4h",
            "local": {"auth": "psk", "id": f"{self.peer}.lab.test"},
            "remote": {"auth": "psk", "id": f"{other}.lab.test"},
            "children": {"net": child}}}, psk, IDS)


class Daemon(Process):
    def __init__(self):
        super().__init__(f"{DIR}/sagate/log")
        self.binary = SAGATE

    def begin(self):
        self.spawn("a", [self.binary, "daemon", "-c", f"{DIR}/sagate/sagate.conf"])

    def start(self):
        self.begin()
        # The first time a slow machine verifies for long.
        wait(300, "the daemon is ready", self.ready)

    @staticmethod
    def ask(command, **args):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(30)
            sock.connect(CONTROL)
            sock.sendall(json.dumps({"command": command, "args": args}).encode() + b"\n")
            answer = json.loads(sock.makefile("rb").readline() or b"{}")
        if "result" not in answer:
            raise OSError(f"{command}: {answer}")
        return answer["result"]

    def ready(self):
        try:
            return self.ask("status")["ready"]
        except (OSError, ValueError):
            return False

    def space(self):
        return next(s for s in self.ask("status")["spaces"] if s["name"] == "host")

    def in_step(self):
        """Ready, synced, on speaking terms with charon."""
        try:
            space = self.space()
        except (OSError, ValueError, StopIteration):
            return False
        return space["synced"] and space["ike"]["up"] and space["ike"]["children"] >= 1

    def attach(self, cgroup, mode, **settings):
        self.ask("attach", name=cgroup, cgroup=f"/{cgroup}", settings={"mode": mode, **settings})

    def attach_anew(self, gate):
        if any(g["name"] == gate for g in self.ask("status")["gates"]):
            self.ask("detach", name=gate)
        self.attach(gate, gate)

    def refusals(self):
        """How many calls gate reject has refused, as it counts them."""
        gates = self.ask("status")["gates"]
        return next(g for g in gates if g["name"] == "reject")["counters"]["refused"]

    def used(self):
        """Descriptors and KiB."""
        with open(f"/proc/{self.pid}/status") as status:
            rss = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
        return len(os.listdir(f"/proc/{self.pid}/fd")), rss


class Traffic(Process):
    """What came of a gate's traffic, by kind."""

    FIELDS = ("ok", "lost", "broken", "again", "calling")
    ERRNOS = 136

    def __init__(self, gate):
        super().__init__(f"{DIR}/traffic-{gate}.log")
        self.gate, self.map = gate, None

    def start(self, ms):
        path = f"{DIR}/traffic-{self.gate}.counts"
        self.spawn("a", [f"{BUILD}/traffic", path, "192.0.2.2", "80", str(ms)], self.gate)
        size = 4 * 8 * (len(self.FIELDS) + self.ERRNOS)
        wait(20, f"traffic in {self.gate}", lambda: os.path.exists(path) and os.path.getsize(path) == size)
        with open(path, "rb") as counts:
            self.map = mmap.mmap(counts.fileno(), size, prot=mmap.PROT_READ)

    def look(self):
        """kind → {field: number, "errnos": {name: number}}"""
        found, width = {}, len(self.FIELDS) + self.ERRNOS
        for i, kind in enumerate(KINDS):
            row = struct.unpack_from(f"={width}Q", self.map, i * width * 8)
            found[kind] = dict(zip(self.FIELDS, row))
            found[kind]["errnos"] = {n: count for n, count in enumerate(row[len(self.FIELDS):]) if count}
        return found


class Sniffer(Process):
    """What left host a for host b, before it is on any bridge."""

    FIELDS = ("esp", "ike", "plain", "own", "marker", "dropped")

    def __init__(self):
        super().__init__(f"{DIR}/sniff.log")
        self.map = None
        self.number = 0

    def start(self):
        path = f"{DIR}/sniff.counts"
        self.spawn("w", [f"{BUILD}/sniff", path, "wa", "192.0.2.1", "192.0.2.2"])
        wait(20, "the sniffer", lambda: os.path.exists(path) and os.path.getsize(path) == 48)
        with open(path, "rb") as counts:
            self.map = mmap.mmap(counts.fileno(), 48, prot=mmap.PROT_READ)
        self.marker = kernel.inside("w", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        wait(20, "the sniffer sees a marker", self.sees_marker)

    def counts(self):
        return dict(zip(self.FIELDS, struct.unpack_from("=6Q", self.map)))

    def sees_marker(self):
        self.number += 1
        self.marker.sendto(b"marker %d" % self.number, ("198.18.0.2", 9))
        number, end = self.number, time.monotonic() + 0.5
        while time.monotonic() < end:
            if self.counts()["marker"] >= number:
                return True
            time.sleep(0.002)
        return False

    def look(self):
        """All that was sent before the call is in it."""
        wait(10, "the sniffer sees a marker", self.sees_marker)
        return self.counts()


def xfrm_stat(pid):
    with open(f"/proc/{pid}/net/xfrm_stat") as table:
        return {name: int(number) for name, number in map(str.split, table)}


def leftovers():
    """Waiting rooms, and threads in them."""
    found = []
    for room in glob.glob(f"{CGROUPS}/**/sagate-hold-*", recursive=True):
        try:
            with open(f"{room}/cgroup.threads") as threads:
                found.append((os.path.relpath(room, CGROUPS), threads.read().split()))
        except OSError:
            continue  # it has just gone
    return found


class Lab:
    """All of it, and what faults do to it."""

    def __init__(self, draw):
        self.draw = draw
        self.a, self.b = Charon("a"), Charon("b")
        self.daemon, self.sniffer = Daemon(), Sniffer()
        self.reject, self.hold = Traffic("reject"), Traffic("hold")
        self.xfrm, self.xfrm_b = kernel.Xfrm("a"), kernel.Xfrm("b")
        with open(f"{DIR}/serve-b-80.pid") as pid:
            self.server = int(pid.read())
        self.sas_max = int(os.environ["CAMPAIGN_SAS_MAX"])

    def up(self, ms, trap):
        self.a.trap = trap
        self.run("ip", "-n", "a", "address", "add", "192.0.2.5/24", "dev", "wire")
        self.peer_blocks()
        self.a.start()
        self.b.start()
        self.b.load()
        self.a.load()
        self.proxy = vici.Proxy(f"{DIR}/proxy", self.a.vici.path)
        self.sniffer.start()
        self.daemon.start()
        for traffic in (self.reject, self.hold):
            os.makedirs(f"{CGROUPS}/{traffic.gate}", exist_ok=True)
            self.daemon.attach(traffic.gate, traffic.gate)
            traffic.start(ms)

    def down(self):
        for one in (self.reject, self.hold, self.daemon, self.sniffer, self.a, self.b):
            if one.alive():
                one.send(signal.SIGCONT)
                one.kill(signal.SIGTERM if one is self.daemon else signal.SIGKILL)

    @staticmethod
    def run(*argv, check=True):
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if check and done.returncode:
            raise Failed(f"{' '.join(argv)}: {done.stdout.strip()}")
        return done

    def repair(self):
        """After a fault that failed half-way, for the next one: everything as it was at first."""
        for one in (self.a, self.b, self.daemon):
            if one.alive():
                one.send(signal.SIGCONT)
        self.run("nsenter", "--net=/run/netns/b", "nft", "flush", "ruleset")
        self.run("ip", "-n", "w", "link", "set", "wb", "master", "bridge")
        self.run("ip", "-n", "a", "route", "replace", "192.0.2.0/24", "dev", "wire", "src", "192.0.2.1")
        for charon in (self.b, self.a):
            if not charon.alive():
                charon.start()
            charon.load()
        self.proxy.mend()
        for xfrm in (self.xfrm, self.xfrm_b):
            xfrm.flush_policies()
            xfrm.flush_sas()
        self.peer_blocks()
        if not self.daemon.alive():
            self.daemon.begin()
        wait(60, "the daemon is ready", self.daemon.ready)
        for gate in ("reject", "hold"):
            self.daemon.attach_anew(gate)
        self.renew()

    def renew(self):
        """What charon believes to stand goes, with its SAs at both ends: the next call has it made anew."""
        self.a.vici.terminate()

    def renew_later(self):
        """The same, with a peer that does not answer."""
        self.a.vici.terminate(wait=False)

    def spis(self):
        return {sa[kernel.SA_SPI:kernel.SA_SPI + 4] for sa in self.xfrm.outbound()}

    def peer_blocks(self):
        """The peer's own fallback: without a policy of charon's it sends nothing."""
        self.run("ip", "-n", "b", "xfrm", "policy", "add", "src", "192.0.2.0/24", "dst", "192.0.2.0/24",
                 "dir", "out", "action", "block", "priority", "4000000000")

    def refused(self, seconds=8, errnos=(11,), kinds=("short", "udp")):
        """Waits until calls of those kinds in gate reject are refused so."""
        before = self.reject.look()

        def grown(kind):
            now = self.reject.look()[kind]["errnos"]
            return any(now.get(n, 0) > before[kind]["errnos"].get(n, 0) for n in errnos)
        for kind in kinds:
            wait(seconds, f"{kind} in gate reject gets {errnos}", lambda kind=kind: grown(kind))

    def held(self, seconds=10):
        """Waits until a call in gate hold sleeps."""
        wait(seconds, "a call is held", lambda: self.daemon.ask("status")["holds"]["parked"] > 0)

    def passes(self, since, times=2):
        """Each kind in each gate has gone through so many times since."""
        for traffic in (self.reject, self.hold):
            now = traffic.look()
            if any(now[k]["ok"] < since[traffic.gate][k]["ok"] + times for k in KINDS):
                return False
        return True

    def look(self):
        return {t.gate: t.look() for t in (self.reject, self.hold)}
