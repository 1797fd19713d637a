# SPDX-License-Identifier: GPL-2.0-only
"""The campaign itself: see tests/lab/campaign."""
import argparse
import json
import os
import random
import sys
import time
import traceback

# Each adds its faults to the table.
import faults_daemon
import faults_host
import faults_ike
import faults_sad
from audit import NOTHING, Auditor, story
from lab import Failed, Lab
from table import TABLE, draw_order

PACE_MS = 120


class Draw:
    """What a fault's parameters are drawn with; it remembers them for the line that is printed."""

    def __init__(self, seed):
        self.random, self.said = random.Random(seed), []

    def number(self, name, low, high):
        value = self.random.randint(low, high)
        self.said.append(f"{name} {value}")
        return value

    def choice(self, name, *of):
        value = self.random.choice(of)
        self.said.append(f"{name} {getattr(value, 'name', value)}")
        return value

    def pause(self, low, high):
        """Not for anything to come about: a fault stands for a while, so many milliseconds."""
        time.sleep(self.number("ms", low, high) / 1e3)


def options():
    parser = argparse.ArgumentParser(prog="campaign")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--faults", type=int, default=150)
    parser.add_argument("--only", default="")
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--keep-going", action="store_true")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def one(lab, auditor, number, row, seed):
    """One fault, from calm to calm. What was wrong, as a list; the line that tells of it."""
    name, function, may = row
    draw = Draw(f"{seed}:{number}")
    lab.draw = draw
    begun = time.monotonic()
    wrong = []
    try:
        auditor.begin()
        standing = function(lab, draw)
        next(standing)
        for _ in standing:
            raise Failed("a fault stands once")
        undone = time.monotonic()
        auditor.recovered()
        back = time.monotonic()
        wrong = auditor.end(may)
        took = f"{undone - begun:.2f} + {back - undone:.2f} + {time.monotonic() - back:.2f} s"
    except (Failed, OSError, ValueError) as error:
        wrong = [f"{type(error).__name__}: {error}",
                 *traceback.format_exc().splitlines()[-6:-1]]
        took = f"{time.monotonic() - begun:.2f} s"
    return wrong, f"fault {number} {name}: {', '.join(draw.said) or 'as it is'} ({took})"


def run(o, lab, auditor, tell):
    """How many faults were made, and leaks planted, and the failures: (line, what was wrong)."""
    order = draw_order(random.Random(o.seed), o.faults)
    chosen = [int(n) for n in o.only.split(",")] if o.only.isascii() and o.only[:1].isdigit() else None
    if o.only and not chosen:
        order = [row for row in TABLE if row[0] in o.only.split(",")] * o.faults
        order = order[:o.faults]
    begun, made, planted, failures = time.monotonic(), 0, 0, []
    for number, row in enumerate(order, 1):
        if chosen and number not in chosen:
            continue
        if o.seconds and time.monotonic() - begun > o.seconds:
            break
        wrong, line = one(lab, auditor, number, row, o.seed)
        made += 1
        planted += row[2]["plant"] and not wrong
        tell(line)
        if wrong:
            failures.append((line, wrong))
            complain(o, lab, failures[-1], tell)
            if not o.keep_going:
                break
            lab.repair()
            auditor.recovered(90)
            auditor.calm, auditor.may = lab.look(), NOTHING
    return made, planted, failures


def complain(o, lab, failure, tell):
    tell(f"FAILED seed {o.seed} {failure[0]}")
    for line in failure[1]:
        tell(f"  {line}")
    tell(story(lab, 8 if o.keep_going else 30))


def finish(lab, auditor, planted):
    """What holds for all of it."""
    wrong = []
    wire = lab.sniffer.look()
    if not wire["esp"]:
        wrong.append("the sniffer saw nothing")
    if not planted:
        wrong.append("no leak was planted: the sniffer is not proved")
    wrong += auditor.doctor()
    return wrong


def main():
    o = options()
    tell = (lambda line: print(line, file=sys.stderr, flush=True)) if o.json else \
        (lambda line: print(line, flush=True))
    seeded = random.Random(f"{o.seed}:lab")
    lab = Lab(None)
    begun = time.monotonic()
    trap = seeded.choice((True, False))
    tell(f"campaign: seed {o.seed}, kernel {os.uname().release}, {'a trap' if trap else 'no trap'}")
    made, planted, failures, auditor = 0, 0, [], None
    try:
        lab.up(PACE_MS, trap)
        auditor = Auditor(lab)
        auditor.recovered(90)
        auditor.calm = lab.look()
        tell(f"up after {time.monotonic() - begun:.1f} s")
        begun = time.monotonic()
        made, planted, failures = run(o, lab, auditor, tell)
        wrong = finish(lab, auditor, planted or o.only or failures)
        if wrong:
            failures.append(("at the end", wrong))
            complain(o, lab, failures[-1], tell)
    except (Failed, OSError, ValueError) as error:
        failures.append(("between faults", [repr(error)]))
        complain(o, lab, failures[-1], tell)
    seconds = time.monotonic() - begun
    result = {"seed": o.seed, "kernel": os.uname().release, "faults": made, "seconds": round(seconds, 1),
              "planted": planted, "failed": [{"fault": line, "wrong": wrong} for line, wrong in failures],
              "wire": lab.sniffer.map and lab.sniffer.counts(), "traffic": auditor and auditor.total,
              "counters": auditor and auditor.growth}
    lab.down()
    if o.json:
        print(json.dumps(result))
    else:
        tell(f"{made} faults in {seconds:.0f} s: " + (f"{len(failures)} FAILED" if failures else "all held"))
        tell(json.dumps({k: result[k] for k in ("wire", "traffic", "counters")}))
        # Again, where the logs between do not bury them.
        for line, wrong in failures:
            tell(f"FAILED {line}: " + "; ".join(wrong[:4]))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
