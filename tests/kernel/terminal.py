#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""terminal.py: a shell with job control in a terminal, driven by the lines of standard input.

  send TEXT    TEXT is typed; \\n, \\x1a (Ctrl-Z) and the like as in Python
  want REGEX   the shell prints that, after what was found last
  until CMD    CMD (of sh) succeeds

Each within 15 s, or it ends with 1. Prints what the terminal showed.
"""
import os
import pty
import re
import select
import subprocess
import sys
import time

PATIENCE_S = 15


class Terminal:
    def __init__(self):
        self.shown, self.seen = "", 0
        pid, self.fd = pty.fork()
        if not pid:
            os.execvpe("bash", ["bash", "--norc", "--noediting", "-i"], {**os.environ, "PS1": "$ "})

    def read(self):
        if select.select([self.fd], [], [], 0.02)[0]:
            self.shown += os.read(self.fd, 4096).decode(errors="replace")

    def send(self, text):
        os.write(self.fd, text.encode().decode("unicode_escape").encode())
        return True

    def want(self, regex):
        self.read()
        found = re.compile(regex).search(self.shown, self.seen)
        if found:
            self.seen = found.end()
        return found

    def until(self, command):
        self.read()
        return subprocess.run(["sh", "-c", command], stdout=subprocess.DEVNULL, check=False).returncode == 0


def main():
    terminal = Terminal()
    for line in sys.stdin:
        verb, _, rest = line.strip().partition(" ")
        end = time.monotonic() + PATIENCE_S
        while not getattr(terminal, verb)(rest):
            if time.monotonic() > end:
                print(terminal.shown)
                sys.exit(f"in vain: {line}")
    print(terminal.shown)


main()
