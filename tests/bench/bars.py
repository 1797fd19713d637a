# SPDX-License-Identifier: GPL-2.0-only
"""What the figures are held against. A bar is (name, rows it looks at, verdict of them)."""


def pick(rows, **want):
    return [r for r in rows if all(r.get(k) in v if isinstance(v, (list, tuple)) else r.get(k) == v
                                   for k, v in want.items())]


def worst(rows, key="ratio"):
    return max((r[key] for r in rows), default=None)


def spread(rows, key, *per):
    """The largest over the smallest of each group of rows alike in `per`; of these the worst."""
    groups = {}
    for r in rows:
        groups.setdefault(tuple(r.get(p) for p in per), []).append(r[key])
    return max((max(g) / min(g) for g in groups.values()), default=None)


def judge(rows):
    """Rows of {name, bar, value, ok, counted}: counted ones do not depend on the machine's load."""
    out = []

    def bar(name, limit, value, counted=False):
        if value is not None:
            out.append({"name": name, "bar": limit, "value": round(value, 4), "ok": value <= limit,
                        "counted": counted})

    run = pick(rows, bench="runtime", peers="set")
    few = [r for r in run if r["masks"] <= 8]
    bar("run time, 100,000 policies, up to 8 masks, against reading the gate", 2.0,
        worst(pick(few, policies=100000)))
    bar("run time from 1 to 100,000 policies, against itself", 1.3,
        spread(pick(few, policies=(1, 1000, 100000)), "ratio", "case", "masks"))
    ours = pick(rows, bench="sockets", way="sagate")
    for case, limit in (("tcp", 1.02), ("sendto", 1.10), ("socket+sendto", 1.10)):
        bar(f"{case} of the caller, against no gate", limit, worst(pick(ours, case=case)))
        bar(f"{case}: flat in the number of policies", 1.1,
            spread(pick(ours, case=case), "ratio", "case"))
    for r in pick(rows, bench="guard"):
        if r["unit"] == "MB/s":  # more is better
            bar(f"guard: {r['case']}, what it would be without", 1 / 0.98, 1 / r["ratio"])
        elif r["case"] == "packet of one flow":
            bar("guard: ns a packet of one flow, beyond an empty program", 60, r["value"] - r["base"])
    for case in ("against reading", "against reading and putting"):
        bar(f"first snapshot {case}", 1.5, worst(pick(rows, bench="snapshot", case=case)))
    for quantile, limit in (("p50", 60), ("p99", 500)):
        bar(f"hold: us from the event to connect() returned, {quantile}", limit,
            worst(pick(rows, bench="hold", case=f"event to connect() returned, {quantile}, waits 2 ms"),
                  "value"))
    bar("hold: ms of CPU of a call that waits", 1,
        worst(pick(rows, bench="hold", case="CPU of a call that waits, waits 100 ms"), "value"))
    for r in pick(rows, bench="hold", unit="s"):
        bar(f"hold: s until {r['case']}", 1, r["value"])
        bar(f"hold: {r['case']}: lost", 0, r["slept"] - r["sent"], True)
    for r in pick(rows, bench="change", case="a second"):
        bar("changes as fast as a process makes them: overruns", 0, r["overruns"])
    for r in pick(rows, bench="memory"):
        bar(f"bytes: {r['case']}", r["base"], r["value"], True)
    for r in pick(rows, bench="churn"):
        # a heap's pages depend on which thousand came last; entries do not
        slack = 1.02 if "memory" in r["case"] else 1.0
        bar(f"after {r['policies']:,} changes: {r['case']}", slack, r["ratio"], True)
    for r in pick(rows, bench="restart"):
        bar("restart: ms until it has its gate", 100, r["value"])
    for r in pick(rows, bench="full"):
        bar(f"full: {r['case']}", 0, abs(r["value"] - r["base"]), True)
    for kernel in sorted({r["kernel"] for r in pick(rows, bench="verifier")}):
        here = pick(rows, bench="verifier", kernel=kernel)
        bar(f"verifier of {kernel}: instructions", 1000000, worst(here, "value"), True)
        bar(f"verifier of {kernel}: bytes of stack in one frame", 512, worst(here, "stack"), True)
    return out
