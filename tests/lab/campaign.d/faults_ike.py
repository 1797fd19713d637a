# SPDX-License-Identifier: GPL-2.0-only
"""Faults of the IKE daemons, and of the way to them."""
import errno
import signal

from lab import wait
from table import BLACK_HOLE, GONE, NO_IKE, fault


@fault(**GONE, weight=4)
def charon_killed(lab, draw):
    """Its SAs and policies stay, and are then somebody else's rubbish."""
    lab.a.kill()
    draw.pause(0, 500)
    yield
    lab.a.start()
    lab.a.load()
    wait(30, "the daemon knows charon's child", lab.daemon.in_step)
    lab.xfrm.flush_policies()
    lab.xfrm.flush_sas()


@fault(**NO_IKE, weight=4)
def charon_killed_while_it_negotiates(lab, draw):
    lab.b.send(signal.SIGSTOP)
    lab.renew_later()
    lab.held()
    lab.a.kill()
    lab.b.send(signal.SIGCONT)
    yield
    lab.xfrm.flush_policies()
    lab.xfrm.flush_sas()
    lab.a.start()
    lab.a.load()


@fault(**NO_IKE, weight=4)
def charon_restarted(lab, draw):
    lab.a.kill(signal.SIGTERM)
    # without a charon a negotiation fails at once: hardly a call meets one that is under way
    lab.refused(20, (errno.EAGAIN, errno.EHOSTUNREACH))
    yield
    lab.a.start()
    lab.a.load()


@fault(**GONE)
def charon_stopped(lab, draw):
    """Calls that need an SA meanwhile are held, and the daemon does not block on its socket."""
    lab.renew()
    lab.a.send(signal.SIGSTOP)
    draw.pause(100, 700)
    wait(10, "the daemon answers", lab.daemon.ready)
    yield
    lab.a.send(signal.SIGCONT)


@fault(**NO_IKE)
def vici_gone(lab, draw):
    lab.proxy.close()
    draw.pause(0, 400)
    if draw.choice("sas go, too", True, False):
        lab.renew()
    yield
    lab.proxy.mend()


@fault(**NO_IKE)
def vici_spoiled(lab, draw):
    """Half a message, one of 1 GB, noise, and connections that end, while an SA is needed."""
    lab.proxy.how = draw.choice("how", "half", "huge", "noise", "cut")
    lab.daemon.send(signal.SIGHUP)
    lab.renew()
    draw.pause(200, 700)
    wait(10, "the daemon answers", lab.daemon.ready)
    yield
    lab.proxy.how = "cut"
    draw.pause(60, 120)
    lab.proxy.mend()


@fault(**NO_IKE)
def peer_does_not_answer(lab, draw):
    """IKE alone is dropped; what has an SA goes on."""
    lab.run("nsenter", "--net=/run/netns/b", "nft", "table inet campaign { chain input { "
            "type filter hook input priority 0; udp dport { 500, 4500 } drop; }; }")
    lab.renew_later()
    lab.refused()
    if draw.choice("until it fails", True, False, False):
        lab.refused(40, (errno.EHOSTUNREACH,))
    yield
    lab.run("nsenter", "--net=/run/netns/b", "nft", "delete", "table", "inet", "campaign")


@fault(**NO_IKE)
def peer_rejects(lab, draw):
    if draw.choice("why", "proposal", "key") == "proposal":
        lab.b.load(proposal="aes256gcm16")
    else:
        lab.b.load(psk="another")
    lab.renew()
    lab.refused(40, (errno.EHOSTUNREACH,))
    yield
    lab.b.load()


@fault(**BLACK_HOLE, weight=5)
def wire_cut(lab, draw):
    """SAs stand and nothing comes through: that is not for a gatekeeper to see."""
    lab.run("ip", "-n", "w", "link", "set", "wb", "nomaster")
    draw.pause(100, 700)
    yield
    lab.run("ip", "-n", "w", "link", "set", "wb", "master", "bridge")


@fault(**BLACK_HOLE, weight=3)
def peer_reboots(lab, draw):
    lab.b.kill()
    lab.xfrm_b.flush_policies()
    lab.xfrm_b.flush_sas()
    lab.peer_blocks()
    yield
    lab.b.start()
    lab.b.load()
    lab.renew()


@fault(**GONE)
def trap_comes_or_goes(lab, draw):
    """The connection is loaded with another start_action."""
    lab.a.trap = not lab.a.trap
    lab.a.load()
    if draw.choice("renewed", True, False):
        lab.renew()
    yield
