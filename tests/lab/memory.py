#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""memory.py PID HEX...: where in the memory of a live process these bytes are; 1: nowhere."""
import sys

PART = 1 << 20


def parts(pid):
    """Each mapping that can be read, in parts that overlap by 64 bytes."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            start, end = (int(x, 16) for x in line.split()[0].split("-"))
            if line.split()[1][0] != "r" or line.rstrip().endswith(("[vvar]", "[vsyscall]")):
                continue
            for at in range(start, end, PART):
                try:
                    mem.seek(at)
                    yield line, at, mem.read(min(PART + 64, end - at))
                except OSError:
                    pass  # a map of the kernel's, or the end of a file


wanted = [bytes.fromhex(x) for x in sys.argv[2:]]
found = read = 0
for line, at, data in parts(sys.argv[1]):
    read += len(data)
    for one in wanted:
        where = data.find(one)
        if where >= 0:
            found += 1
            print(f"{one.hex()} at {at + where:#x} in {line.rstrip()}")
print(f"{read} bytes read")
sys.exit(0 if found else 1)
