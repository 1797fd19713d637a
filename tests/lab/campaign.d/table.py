# SPDX-License-Identifier: GPL-2.0-only
"""The table of faults. Each puts itself in, says `yield` while it stands, and undoes itself.

What a fault may cost stands in front of it; what is not named there it may not:

  errnos   errnos that calls in gate reject may get
  held     errnos that calls in gate hold may get
  lost     datagrams and lines of each kind, sent and not answered: what is under way when SAs go
  again    connects of each gate whose SYN had to be sent again (decided before the SA went, or
           the peer was not there)
  broken   long connections of each gate that end
  xfrm     counters of /proc/net/xfrm_stat that may grow on host a, and xfrm_b on b: see NEEDS
  counted  False: what the gate counts as refused is not what callers are told
  weight   how often it is drawn, against the others
"""
import errno

ANY = 10**6
TABLE = []
WAITS = {errno.EAGAIN}
# Not the gate's word, but that of the guard or of the kernel: the SA or policy went after the gate had
# decided, or the daemon was stopped and could not tell it. And what a connection is told that was
# under way at the peer.
RACE = {errno.EPERM, errno.EINVAL, errno.ECONNRESET}
FAILS = {errno.EAGAIN, errno.EHOSTUNREACH}
# SAs of one host go: the other's packets for them are on their way, or come until it knows.
IN_GONE = {"XfrmInNoStates", "XfrmInStateInvalid"}
# The new SA stands before the old one goes, but a packet may have the old one already.
REKEYED = {"xfrm": IN_GONE | {"XfrmOutStateInvalid"}, "xfrm_b": IN_GONE | {"XfrmOutStateInvalid"}}
# Under a policy without its SA: what was connected before sends, and is dropped.
OUT_GONE = {"XfrmOutNoStates", "XfrmOutStateInvalid", "XfrmAcquireError"}
# Decrypted by an SA that stands, and the policy for it is gone, or is another's.
NO_POLICY = {"XfrmInNoPols", "XfrmInTmplMismatch"}
# The peer's own fallback: it sends nothing in clear.
PEER_BLOCKS = {"XfrmOutPolBlock"}
NEEDS = {"xfrm": IN_GONE | OUT_GONE | NO_POLICY, "xfrm_b": IN_GONE | OUT_GONE | NO_POLICY | PEER_BLOCKS}


def fault(**may):
    def add(function):
        row = {"errnos": set(), "held": set(), "lost": 0, "again": 0, "broken": 0, "xfrm": set(),
               "xfrm_b": set(), "weight": 10, "counted": True, "plant": False, **may}
        TABLE.append((function.__name__, function, row))
        return function
    return add


GONE = {"errnos": FAILS | RACE, "held": RACE, "lost": 2, "again": 2, **NEEDS}
# No SA can be negotiated meanwhile: charon is not there, or believes that its SA stands, and makes no
# other until it is told.
NO_IKE = {**GONE, "held": RACE | {errno.EHOSTUNREACH}}
BLACK_HOLE = {**GONE, "lost": ANY, "again": ANY}
# Five seconds without a daemon, and all that is protected waits; without one nobody is held.
NOBODY = {"errnos": WAITS, "held": WAITS}
# Many SAs come: the kernel makes its tables larger, and who looks for an SA at that moment finds none
# (xfrm_state_find(), "sequence").
RESIZED = {"xfrm": {"XfrmOutNoStates"}}


def draw_order(dice, count):
    """So many rows of the table: each once where there is room, then by weight. A leak is planted among
    the first."""
    rows = [row for row in TABLE if not row[2]["plant"]]
    dice.shuffle(rows)
    order = rows[:count]
    order += dice.choices(TABLE, [row["weight"] for _, _, row in TABLE], k=count - len(order))
    order.insert(dice.randrange(min(count, 6)), next(row for row in TABLE if row[2]["plant"]))
    return order[:count]
