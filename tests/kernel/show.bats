#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# show.bats: a table of 100,000 policies is read by somebody who stops in the
# middle of it, and the daemon does everything else meanwhile.

bats_require_minimum_version 1.5.0
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/host.sh"

COUNT=100000

setup_file() {
	sgk_up
	batch add 0 $COUNT "action block priority" | on_a ip -batch -
	sgk_wait 60 mirrored $COUNT
}
teardown_file() { sgk_down; }
teardown() {
	[ -n "$BATS_TEST_COMPLETED" ] || tail -n 15 "$SGK_DIR/log"
}

batch() { # VERB FROM TO [WORDS, behind which comes the priority]
	awk -v verb="$1" -v from="$2" -v to="$3" -v words="${4-}" 'BEGIN {
		for (i = from; i < to; i++)
			printf "xfrm policy %s dst 10.%d.%d.%d/32 dir out %s\n", verb,
				i / 62500, i / 250 % 250, i % 250, words ? words " " 1 + i % 1000 : "" }'
}
mirrored() { [ "$(sagate show spaces --json | jq '.[0].policies')" = "$1" ]; }

# slow_reader OUT SECONDS: asks for the whole table, reads a little, stops for so long, reads on.
slow_reader() {
	sgk_spawn "$SGK_DIR/reader.log" python3 -c '
import socket, sys, time
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(b"{\"command\":\"show\",\"args\":{\"what\":\"spd\"}}\n")
with open(sys.argv[2] + ".part", "wb") as out:
    out.write(s.recv(65536))
    open(sys.argv[2] + ".stopped", "w").close()
    time.sleep(float(sys.argv[3]))
    last = b""
    while last != b"\n":
        part = s.recv(1 << 20)
        if not part:
            break
        out.write(part)
        last = part[-1:]
import os
os.rename(sys.argv[2] + ".part", sys.argv[2])
' "$SGK_SOCKET" "$@" >"$SGK_DIR/reader.pid"
}

# heartbeat_ms: how old the daemon's last heartbeat is.
heartbeat_ms() {
	bpftool -j map lookup pinned "$SGK_PIN/map/space_state" key 0 0 0 0 |
		jq --argjson now "$(cut -d ' ' -f 1 /proc/uptime)" \
			'(.formatted.value // .value).heartbeat / 1e6 | $now * 1000 - . | floor'
}
rss_kb() { awk '/^VmRSS/{print $2}' "/proc/$(cat "$SGK_DIR/daemon.pid")/status"; }

# oldest_until FILE: waits for it; the oldest heartbeat seen meanwhile, and the most memory.
oldest_until() {
	local end=$((SECONDS + 60)) age
	oldest=0 most=0
	until [ -e "$1" ]; do
		[ $SECONDS -lt $end ] || { sgk_fail "no $1"; return 1; }
		age=$(heartbeat_ms)
		[ "$age" -le "$oldest" ] || oldest=$age
		age=$(rss_kb)
		[ "$age" -le "$most" ] || most=$age
		sleep 0.02
	done
}

@test "the heartbeat goes on while 100,000 policies are read, and the list is whole and in order" {
	local out=$BATS_TEST_TMPDIR/out before
	before=$(rss_kb)
	slow_reader "$out" 5
	sgk_wait 10 test -e "$out.stopped"
	explains "deny policy-block" udp 10.1.2.3:9
	oldest_until "$out"
	echo "# oldest heartbeat $oldest ms, memory $before then at most $most kB" >&3
	[ "$oldest" -lt 2000 ]
	[ $((most - before)) -lt 16384 ]
	jq -e ".result | length == $COUNT and (map(.dst) | unique | length) == $COUNT and
		(map(.priority) | . == sort) and all(.space == \"host\" and .action == \"block\")" "$out" >/dev/null
}

@test "policies that go while the reader stops are left out, the others are all there" {
	local out=$BATS_TEST_TMPDIR/out
	slow_reader "$out" 8
	sgk_wait 10 test -e "$out.stopped"
	batch delete 99900 $COUNT | on_a ip -batch -
	sgk_wait 5 mirrored 99900
	[ ! -e "$out" ]
	sgk_wait 60 test -e "$out"
	jq -e '.result | length >= 99900 and length < 100000 and
		(map(.dst | split("/")[0] | split(".") | map(tonumber) | .[1] * 62500 + .[2] * 250 + .[3] |
		select(. < 99900)) | unique | length) == 99900' "$out" >/dev/null
}

@test "a reader that leaves in the middle of it costs nothing, and the command has all" {
	slow_reader "$BATS_TEST_TMPDIR/out" 60
	sgk_wait 10 test -e "$BATS_TEST_TMPDIR/out.stopped"
	sgk_stop "$SGK_DIR/reader.pid" KILL
	[ "$(sagate show spd --json | jq length)" = 99900 ]
	[ "$(sagate show spd --space host | wc -l)" = 99901 ]
	run -1 --separate-stderr sagate show spd --space nosuch
	# shellcheck disable=SC2154 # bats sets it
	[[ $stderr == *"nosuch: there is none"* ]]
	[ "$(sagate show sad --json)" = "[]" ]
}
