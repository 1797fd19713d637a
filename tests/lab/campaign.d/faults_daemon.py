# SPDX-License-Identifier: GPL-2.0-only
"""Faults of the daemon, and of what it hears."""
import os
import shutil
import signal
import time

import kernel
from lab import DIR, Failed, wait
from table import GONE, NO_IKE, NOBODY, RESIZED, WAITS, fault


@fault(**NOBODY)
def daemon_killed(lab, draw):
    lab.daemon.kill()
    draw.pause(0, 800)
    yield
    lab.daemon.start()


@fault(**NOBODY, weight=2)
def daemon_killed_until_stale(lab, draw):
    """Nobody beats: what is protected waits, and who is held sleeps no longer than the keeper lets it."""
    lab.daemon.kill()
    lab.refused(12)
    yield
    lab.daemon.start()


@fault()
def daemon_stopped(lab, draw):
    lab.daemon.send(signal.SIGSTOP)
    draw.pause(50, 1200)
    yield
    lab.daemon.send(signal.SIGCONT)


@fault(**NO_IKE)
def daemon_stopped_and_sas_flushed(lab, draw):
    """It sees nothing of it: the kernel and the guard stand alone, and then it catches up."""
    lab.daemon.send(signal.SIGSTOP)
    lab.xfrm.flush_sas()
    draw.pause(50, 700)
    yield
    lab.daemon.send(signal.SIGCONT)
    lab.renew()


@fault(**NO_IKE)
def daemon_stopped_and_policies_flushed(lab, draw):
    """The maps say protected and the kernel would send in clear: only the guard is in between."""
    lab.daemon.send(signal.SIGSTOP)
    lab.xfrm.flush_policies()
    draw.pause(50, 700)
    yield
    lab.daemon.send(signal.SIGCONT)
    lab.renew()


@fault(**NOBODY)
def daemon_restarted(lab, draw):
    lab.daemon.kill(signal.SIGTERM)
    yield
    lab.daemon.start()


@fault(**NOBODY)
def daemon_killed_while_it_starts(lab, draw):
    """Between its dump and the first event, or anywhere else on the way."""
    lab.daemon.kill()
    for _ in range(draw.number("times", 1, 3)):
        lab.daemon.begin()
        draw.pause(0, 700)
        lab.daemon.kill()
    yield
    lab.daemon.start()


@fault(**NOBODY, **RESIZED)
def daemon_starts_while_sas_change(lab, draw):
    """SAs come and go while it dumps them."""
    lab.daemon.kill()
    lab.xfrm.add_many(0, 200)
    lab.daemon.begin()
    end = time.monotonic() + draw.number("ms", 100, 600) / 1e3
    while time.monotonic() < end:
        lab.xfrm.add_many(200, 64)
        lab.xfrm.delete_many(200, 64)
    yield
    lab.xfrm.delete_many(0, 264)
    wait(60, "the daemon is ready", lab.daemon.ready)


@fault(**NOBODY, weight=5)
def daemon_replaced_in_place(lab, draw):
    lab.daemon.binary = f"{DIR}/sagate/bin-{draw.number('name', 1, 2)}"
    shutil.copy("/run/sagate-lab", lab.daemon.binary + ".new")
    os.rename(lab.daemon.binary + ".new", lab.daemon.binary)
    lab.daemon.kill(draw.choice("signal", signal.SIGKILL, signal.SIGTERM))
    yield
    lab.daemon.start()


@fault()
def daemon_reloaded(lab, draw):
    for _ in range(draw.number("times", 1, 5)):
        lab.daemon.send(signal.SIGHUP)
    yield


def keepers():
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm") as comm:
                if comm.read().strip() == "sagate-keeper":
                    found.append(int(pid))
        except OSError:
            continue
    return found


@fault(**{**GONE, "held": GONE["held"] | WAITS}, weight=5)
def keeper_killed_then_daemon(lab, draw):
    """With calls held: nobody is left who would wake them, until the next daemon."""
    lab.b.send(signal.SIGSTOP)
    lab.renew_later()
    lab.held()
    for pid in keepers():
        os.kill(pid, signal.SIGKILL)
    if draw.choice("daemon", True, False):
        lab.daemon.kill()
    yield
    if not lab.daemon.alive():
        lab.daemon.start()
    lab.b.send(signal.SIGCONT)


@fault(errnos=WAITS, **RESIZED)
def overrun(lab, draw):
    """Its event socket is small, and it is stopped while SAs come in a burst."""
    count = draw.number("sas", 200, 600)
    if kernel.shrink(lab.daemon.pid, 4096) < 1:
        raise Failed("no event socket of the daemon's was found")
    missed = lab.daemon.space()["overruns"]
    lab.daemon.send(signal.SIGSTOP)
    lab.xfrm.add_many(0, count)
    lab.xfrm.delete_many(0, count // 2)
    yield
    lab.daemon.send(signal.SIGCONT)
    wait(20, "the overrun is noticed", lambda: lab.daemon.space()["overruns"] > missed)
    kernel.shrink(lab.daemon.pid, 8 << 20)
    lab.xfrm.delete_many(0, count)


@fault(**NO_IKE)
def overrun_hides_a_flush(lab, draw):
    """The event that is lost is the one that counts."""
    kernel.shrink(lab.daemon.pid, 4096)
    lab.daemon.send(signal.SIGSTOP)
    lab.xfrm.add_many(0, 200)
    if draw.choice("flush", "sas", "policies") == "sas":
        lab.xfrm.flush_sas()
    else:
        lab.xfrm.flush_policies()
    lab.daemon.send(signal.SIGCONT)
    lab.refused()
    yield
    kernel.shrink(lab.daemon.pid, 8 << 20)
    lab.xfrm.delete_many(0, 200)
    lab.renew()


@fault(**RESIZED)
def burst_of_sas(lab, draw):
    count = draw.number("sas", 300, 900)
    lab.xfrm.add_many(0, count)
    yield
    lab.xfrm.delete_many(0, count)


@fault(**{**NO_IKE, "held": NO_IKE["held"] | WAITS}, weight=3)
def map_full(lab, draw):
    """More SAs than sas-max, and then those that count are made anew: what does not fit is unknown,
    and unknown waits; but nobody is held for what no negotiation can bring."""
    count = lab.sas_max + draw.number("more", 1, 200)
    lab.xfrm.add_many(0, count)
    wait(30, "the map is full", lambda: lab.daemon.space()["full"]["sas-max"])
    lab.renew()
    lab.refused(20)
    yield
    lab.xfrm.delete_many(0, count)
