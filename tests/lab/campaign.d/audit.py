# SPDX-License-Identifier: GPL-2.0-only
"""What is looked at after each fault, and what must hold then."""
import os
import subprocess

import kernel
from lab import BUILD, CONTROL, DIR, KINDS, PIN, Daemon, Failed, leftovers, wait, xfrm_stat
from table import RACE

RSS_KIB = 3072  # by so much may a daemon grow from what it first was after its first fault
HASHES = {"holds": 4, "hold_pids": 4, "hold_kicks": 4, "spaces": 8, "ike_daemons": 4}
OBJECTS = {"programs": kernel.BPF_PROG_NEXT, "maps": kernel.BPF_MAP_NEXT, "links": kernel.BPF_LINK_NEXT}


def moved(before, after):
    return {name: after[name] - before[name] for name in after if after[name] != before[name]}


def traffic_moved(before, after):
    """gate → kind → {field: difference, "errnos": {errno: difference}}"""
    found = {}
    for gate, kinds in after.items():
        found[gate] = {}
        for kind in KINDS:
            old, new = before[gate][kind], kinds[kind]
            row = {f: new[f] - old[f] for f in ("ok", "lost", "broken", "again")}
            row["errnos"] = {n: c - old["errnos"].get(n, 0) for n, c in new["errnos"].items()
                             if c != old["errnos"].get(n, 0)}
            found[gate][kind] = row
    return found


def judge_traffic(rows, may):
    """Each gate's calls: errnos, and what was lost."""
    wrong = []
    for gate, kinds in rows.items():
        allowed = may["errnos"] if gate == "reject" else may["held"]
        for kind, row in kinds.items():
            names = {os.strerror(n): c for n, c in row["errnos"].items() if n not in allowed}
            if names:
                wrong.append(f"gate {gate}, {kind}: {names}")
            for field in ("lost", "again", "broken"):
                if row[field] > may[field]:
                    wrong.append(f"gate {gate}, {kind}: {field} {row[field]} > {may[field]}")
    return wrong


def entries():
    return {name: kernel.map_entries(f"{PIN}/map/{name}", size) for name, size in HASHES.items()}


NOTHING = {"errnos": set(), "held": set(), "lost": 0, "again": 0, "broken": 0}


class Auditor:
    def __init__(self, lab):
        self.lab = lab
        self.mark()
        self.calm, self.may = self.before, NOTHING
        self.base = None
        self.daemons = {}
        self.growth = {}
        self.total = {"calls": 0, "refused": 0, "lost": 0, "again": 0, "held_errors": 0}

    def mark(self):
        """What a fault is compared with."""
        self.before = self.lab.look()
        self.wire = self.lab.sniffer.look()
        self.refused = self.lab.daemon.refusals()
        self.stat = {"xfrm": xfrm_stat(self.lab.reject.pid), "xfrm_b": xfrm_stat(self.lab.server)}

    def begin(self):
        """Between the faults nothing may have gone wrong, but what began while the last one stood."""
        wrong = judge_traffic(traffic_moved(self.calm, self.lab.look()), self.may)
        if wrong:
            raise Failed("before the fault, in calm: " + "; ".join(wrong))
        self.mark()

    def recovered(self, seconds=40):
        since = self.lab.look()
        try:
            wait(seconds, "all traffic goes through again", lambda: self.lab.passes(since))
        except Failed:
            rows = traffic_moved(since, self.lab.look())
            stuck = [f"{g} {k} {r}" for g, ks in rows.items() for k, r in ks.items() if r["ok"] < 2]
            raise Failed("no recovery: " + "; ".join(stuck)) from None
        wait(seconds, "the daemon is in step", self.lab.daemon.in_step)

    def end(self, may):
        """After a fault, with everything going through again. What is wrong, as a list."""
        self.calm, self.may = self.lab.look(), may
        rows = traffic_moved(self.before, self.calm)
        self.count(rows)
        wrong = judge_traffic(rows, may)
        wrong += self.judge_totals(rows, may)
        wrong += self.judge_wire(may)
        wrong += self.judge_stat(may)
        wrong += self.judge_mirror()
        wrong += self.judge_leaks()
        return wrong

    def count(self, rows):
        for gate, kinds in rows.items():
            for row in kinds.values():
                errors = sum(row["errnos"].values())
                self.total["calls"] += row["ok"]
                self.total["refused" if gate == "reject" else "held_errors"] += errors
                self.total["lost"] += row["lost"]
                self.total["again"] += row["again"]

    def judge_totals(self, rows, may):
        """What the gate says that it refused is what its callers were told."""
        told = sum(count for row in rows["reject"].values() for n, count in row["errnos"].items()
                   if n not in RACE)
        now = self.lab.daemon.refusals()
        said, self.refused = now - self.refused, now
        if may["counted"] and said != told:
            return [f"gate reject counts {said} refused calls, its callers were told {told} times"]
        return []

    def judge_wire(self, may):
        now = self.lab.sniffer.look()
        wire = moved(self.wire, now)
        wrong = []
        if wire.get("plain") and not may["plant"]:
            wrong.append(f"{wire['plain']} packets in clear")
        if not wire.get("esp"):
            wrong.append("the sniffer saw no ESP at all")
        if wire.get("dropped"):
            wrong.append(f"the sniffer missed {wire['dropped']} packets")
        self.growth["own"] = self.growth.get("own", 0) + wire.get("own", 0)
        return wrong

    def judge_stat(self, may):
        wrong = []
        now = {"xfrm": xfrm_stat(self.lab.reject.pid), "xfrm_b": xfrm_stat(self.lab.server)}
        for host, stat in now.items():
            grown = moved(self.stat[host], stat)
            for name, by in grown.items():
                self.growth[name] = self.growth.get(name, 0) + by
                if name not in may[host]:
                    wrong.append(f"{host}: {name} grew by {by}, which this fault does not explain")
        return wrong

    @staticmethod
    def judge_mirror():
        done = subprocess.run(
            [f"{BUILD}/storm", "--only-compare", "--quiet", "0.1", "--space", "host", "--netns", "/run/netns/a",
             "--control", CONTROL, "--pin", PIN], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            check=False)
        return [f"the mirror differs: {done.stdout.strip()}"] if done.returncode else []

    def objects(self):
        counts = {name: kernel.bpf_count(what) for name, what in OBJECTS.items()}
        counts["pins"] = sum(len(files) for _, _, files in os.walk(PIN))
        return counts

    def grown(self):
        """Maps with more entries than at first."""
        return {name: n for name, n in entries().items() if n > self.base[1][name]}

    def judge_leaks(self):
        wrong = []
        try:
            wait(10, "no waiting room is left", lambda: not leftovers())
        except Failed:
            wrong.append(f"waiting rooms are left: {leftovers()}")
        used = self.first()
        if self.base is None:
            self.base = (self.objects(), entries())
        try:
            wait(10, "the maps are as small as before", lambda: not self.grown())
        except Failed:
            wrong.append(f"entries of maps: {self.grown()}")
        objects = self.objects()
        wrong += [f"{name}: {n}, were {self.base[0][name]}" for name, n in objects.items()
                  if n > self.base[0][name]]
        first = self.daemons[self.lab.daemon.pid]
        try:
            wait(10, "descriptors are closed", lambda: self.lab.daemon.used()[0] <= first[0] + 2)
        except Failed:
            wrong.append(f"the daemon has {self.lab.daemon.used()[0]} descriptors, had {first[0]}")
        if used[1] > first[1] + RSS_KIB:
            wrong.append(f"the daemon has {used[1]} KiB, had {first[1]}")
        return wrong

    def first(self):
        """What this daemon uses; a new one's is kept when it has all that it needs to try its gates."""
        if self.lab.daemon.pid not in self.daemons:
            try:
                wait(20, "gates are tried", lambda: all(
                    gate["enforced"] is not None for gate in Daemon.ask("status")["gates"]))
            except Failed:
                pass  # one of them cannot be
            self.daemons[self.lab.daemon.pid] = self.lab.daemon.used()
        return self.lab.daemon.used()

    @staticmethod
    def doctor():
        return [c["message"] for c in Daemon.ask("doctor") if c["check"] == "mirror" and c["status"] != "ok"]


def tail(name, lines):
    try:
        with open(f"{DIR}/{name}", errors="replace") as log:
            kept = [line.rstrip() for line in log if not line.startswith("libbpf:")][-lines:]
    except OSError:
        return []
    return [f"-- {name}:", *kept]


def story(lab, lines):
    """For a failure's output."""
    out = []
    for name in ("sagate/log", "a/charon.log", "traffic-reject.log", "traffic-hold.log", "sniff.log"):
        out += tail(name, lines)
    for what in ("negotiations", "holds", "spaces"):
        try:
            out.append(f"-- {what}: {lab.daemon.ask('show', what=what)}")
        except (OSError, ValueError) as error:
            out.append(f"-- {what}: {error}")
    out.append(lab.run("sh", "-c", "ip -n a xfrm policy; ip -n a xfrm state | grep -v -e auth -e enc -e aead",
                       check=False).stdout)
    return "\n".join(out)
