# SPDX-License-Identifier: GPL-2.0-only
"""Faults of SAs and policies."""
import os

from lab import Failed, wait
from table import GONE, NO_IKE, REKEYED, fault


@fault(**NO_IKE)
def sas_flushed(lab, draw):
    lab.xfrm.flush_sas()
    lab.refused()
    draw.pause(0, 300)
    yield
    lab.renew()


@fault(**NO_IKE)
def outbound_sas_deleted(lab, draw):
    for sa in lab.xfrm.outbound():
        lab.xfrm.delete(sa)
    lab.refused()
    yield
    lab.renew()


@fault(**NO_IKE, weight=20)
def policies_flushed(lab, draw):
    """The SAs stand, and the kernel would send in clear."""
    lab.xfrm.flush_policies()
    lab.refused()
    draw.pause(0, 300)
    yield
    lab.renew()


@fault(**NO_IKE)
def sas_and_policies_flushed(lab, draw):
    lab.xfrm.flush_policies()
    lab.xfrm.flush_sas()
    draw.pause(0, 600)
    yield
    lab.renew()


@fault(**NO_IKE)
def bypass_policy(lab, draw):
    """A policy without a template goes before charon's."""
    err = lab.xfrm.add_policy(0, draw.number("priority", 1, 1000))
    if err:
        raise Failed(f"no policy was added: {os.strerror(err)}")
    lab.refused()
    draw.pause(0, 300)
    yield
    lab.xfrm.delete_policy()
    # The kernel keeps the way of a connection that it has once sent without a transformation until
    # its routes change: without this it would go on in clear, and the guard drop it, for ever.
    lab.run("ip", "-n", "a", "route", "flush", "cache")


@fault(**GONE)
def terminated(lab, draw):
    """As an operator does it."""
    lab.renew()
    yield


@fault(**NO_IKE)
def terminated_again(lab, draw):
    """And again, in the middle of the negotiation that the first time led to: that one has failed."""
    for _ in range(draw.number("times", 2, 4)):
        lab.renew()
        draw.pause(0, 200)
    yield


@fault(**{**GONE, "xfrm": GONE["xfrm"] | {"XfrmOutStateExpired"}})
def sa_expires_hard(lab, draw):
    limit = draw.choice("limit", "hard_time", "hard_packets", "hard_bytes")
    more = {"hard_time": 1, "hard_packets": 20, "hard_bytes": 2000}[limit]
    old = lab.spis()
    for sa in lab.xfrm.outbound():
        lab.xfrm.limit(sa, limit, more)
    yield
    wait(20, "the SA expires", lambda: not old & lab.spis())


@fault(**REKEYED)
def sa_expires_soft(lab, draw):
    """charon rekeys: the old one is in use until the new one is."""
    limit = draw.choice("limit", "soft_time", "soft_packets", "soft_bytes")
    more = {"soft_time": 1, "soft_packets": 10, "soft_bytes": 1000}[limit]
    old = lab.spis()
    for sa in lab.xfrm.outbound():
        lab.xfrm.limit(sa, limit, more)
    yield
    wait(20, "a new SA", lambda: lab.spis() - old)


@fault(**REKEYED, weight=20)
def rekeyed(lab, draw):
    for _ in range(draw.number("times", 1, 4)):
        (lab.a if draw.choice("by", "a", "b") == "a" else lab.b).vici.rekey()
        draw.pause(0, 150)
    yield


@fault(**REKEYED)
def ike_rekeyed(lab, draw):
    lab.a.vici.rekey_ike()
    draw.pause(0, 200)
    yield


@fault(**{**NO_IKE, "xfrm": NO_IKE["xfrm"] | {"XfrmOutPolError"}})
def narrower_sa(lab, draw):
    """In the place of the SA one for another port. What was connected before sends and is dropped: the
    policy names its SPI, and the kernel asks for no other (xfrm_state_find(): EEXIST)."""
    for sa in lab.xfrm.outbound():
        err = lab.xfrm.narrow(sa, draw.number("port", 1000, 2000))
        if err:
            raise Failed(f"no narrower SA was added: {os.strerror(err)}")
    lab.refused()
    yield
    lab.xfrm.flush_sas()
    lab.renew()


@fault(**NO_IKE)
def source_address_changes(lab, draw):
    """What leaves has a source that no policy has."""
    lab.run("ip", "-n", "a", "route", "replace", "192.0.2.0/24", "dev", "wire", "src", "192.0.2.5")
    lab.refused()
    yield
    lab.run("ip", "-n", "a", "route", "replace", "192.0.2.0/24", "dev", "wire", "src", "192.0.2.1")
