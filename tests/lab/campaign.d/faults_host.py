# SPDX-License-Identifier: GPL-2.0-only
"""Faults of calls that wait, and of the host; and the planted leak."""
import os
import signal
import time

import kernel
from lab import BUILD, CGROUPS, DIR, Failed, Process, wait
from table import ANY, GONE, NO_IKE, REKEYED, WAITS, fault


@fault(**GONE, weight=20)
def held_calls_end(lab, draw):
    """Programs whose calls wait are killed, signalled, stopped; a crowd of others goes through."""
    lab.b.send(signal.SIGSTOP)
    lab.renew_later()
    victims = [Process("/dev/null") for _ in range(draw.number("victims", 1, 4))]
    for victim in victims:
        victim.spawn("a", [f"{BUILD}/probe", draw.choice("call", "tcp", "udp"), "192.0.2.2", "80", "--for",
                           "20"], "hold")
    wait(10, "all are held", lambda: lab.daemon.ask("status")["holds"]["parked"] > len(victims))
    for victim in victims:
        number = draw.choice("signal", signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGSTOP)
        victim.send(number)
        if number == signal.SIGSTOP:
            victim.send(signal.SIGCONT)
            victim.send(signal.SIGKILL)
        victim.kill()
    yield
    lab.b.send(signal.SIGCONT)


@fault(**GONE)
def held_calls_are_signalled(lab, draw):
    """A handler: the call ends with EINTR, or with SA_RESTART waits on and goes through."""
    lab.b.send(signal.SIGSTOP)
    lab.renew_later()
    how = draw.choice("handler", "--handler", "--restart")
    caller = Process(f"{DIR}/caller.log")
    open(caller.log, "w").close()
    caller.spawn("a", [f"{BUILD}/holder", draw.choice("call", "tcp", "udp"), "192.0.2.2", "80", how,
                       str(int(signal.SIGUSR1))], "hold")
    wait(10, "it is held", lambda: any(h["pid"] == caller.pid for h in lab.daemon.ask("show", what="holds")))
    caller.send(signal.SIGUSR1)
    if how == "--handler":
        wait(5, "the call has ended", lambda: not caller.alive())
    yield
    lab.b.send(signal.SIGCONT)
    wait(30, "the call has gone through", lambda: not caller.alive())
    with open(caller.log) as log:
        said = log.read()
    if ('"EINTR":1' if how == "--handler" else '"ok":1') not in said or '"handled":1' not in said:
        raise Failed(f"{how}: {said}")


@fault(**GONE, weight=5)
def held_crowd(lab, draw):
    lab.b.send(signal.SIGSTOP)
    lab.renew_later()
    count, how = draw.number("calls", 10, 60), draw.choice("call", "tcp", "udp")
    crowd = Process(f"{DIR}/crowd.log")
    open(crowd.log, "w").close()
    crowd.spawn("a", [f"{BUILD}/callers", how, str(count), "192.0.2.2", "1", "80"], "hold")
    wait(20, "the crowd is held", lambda: lab.daemon.ask("status")["holds"]["parked"] >= count)
    yield
    lab.b.send(signal.SIGCONT)
    wait(30, "the crowd has gone through", lambda: not crowd.alive())
    with open(crowd.log) as log:
        said = log.read()
    if f'"ok":{count}' not in said:
        raise Failed(f"of {count} held calls not all went through: {said}")


@fault(**REKEYED)
def clock_steps(lab, draw):
    """Lifetimes of SAs go by this clock: an hour ahead charon's soft limit is reached, and it rekeys."""
    hour = draw.choice("hours", 1, -1) * 3600
    time.clock_settime(time.CLOCK_REALTIME, time.time() + hour)
    draw.pause(50, 400)
    yield
    time.clock_settime(time.CLOCK_REALTIME, time.time() - hour)


@fault()
def namespaces_come_and_go(lab, draw):
    """One that the daemon mirrors, and others."""
    for n in range(draw.number("times", 2, 5)):
        name = draw.choice("name", "other", "another")
        lab.run("ip", "netns", "add", name)
        draw.pause(0, 100)
        lab.run("ip", "netns", "del", name)
    yield


@fault(errnos=WAITS, counted=False, weight=5)
def link_detached(lab, draw):
    """As by bpftool: one hook of a gate is gone, and the rest of it holds."""
    gate = draw.choice("gate", "reject", "hold")
    hook = draw.choice("hook", "connect4", "sendmsg4", "lsm_sendmsg", "lsm_connect")
    if kernel.detach_link(f"/sys/fs/bpf/sagate/gate/{gate}/{hook}"):
        raise Failed(f"{hook} of {gate} was not detached")
    draw.pause(0, 300)
    yield
    lab.daemon.attach_anew(gate)


@fault(**{**NO_IKE, "again": ANY, "lost": ANY}, counted=False)
def hostile_program(lab, draw):
    """A program behind ours makes a success of each refusal: the guard is what is left."""
    gate = draw.choice("gate", "reject", "hold")
    links = [kernel.let_pass(f"{CGROUPS}/{gate}", hook) for hook in (kernel.CONNECT4, kernel.SENDMSG4)]
    lab.xfrm.flush_policies()
    if draw.choice("flushed", "policies", "all") == "all":
        lab.xfrm.flush_sas()
    draw.pause(200, 800)
    yield
    for link in links:
        os.close(link)
    lab.renew()


@fault(weight=5, plant=True, counted=False, **NO_IKE)
def planted_leak(lab, draw):
    """Not a fault of anybody's: a gate is switched off and its policies go. The sniffer has to see it."""
    lab.daemon.attach("reject", "audit", guard="off")
    before = lab.sniffer.look()["plain"]
    lab.xfrm.flush_policies()
    wait(10, "the sniffer sees the planted leak", lambda: lab.sniffer.look()["plain"] > before)
    yield
    lab.daemon.attach("reject", "reject")
    lab.renew()
