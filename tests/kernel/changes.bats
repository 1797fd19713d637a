#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# changes.bats: what is done to the kernel's SPD is in the verdicts, soon and
# whole.

bats_require_minimum_version 1.5.0
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/host.sh"

# Generous: the machine may be busy. An idle one needs a millisecond or two.
BOUND_MS=500

setup_file() { sgk_up; }
teardown_file() { sgk_down; }
setup() {
	on_a ip xfrm policy flush
	on_a ip xfrm policy setdefault out accept
	becomes ok 192.0.2.3
}
teardown() {
	[ -n "$BATS_TEST_COMPLETED" ] || tail -n 15 "$SGK_DIR/log"
}

# becomes RESULT ADDR [PORT]: the real call's outcome, within the bound.
becomes() {
	local out
	out=$(gated "$SGK_WAYS" udp "$2" "${3:-80}" until="$1")
	[ "${out%% *}" = "$1" ] || { sgk_fail "udp $2: still ${out%% *}, not $1"; return 1; }
	[ "${out##* }" -le $BOUND_MS ] || sgk_fail "udp $2: $1 only after ${out##* } ms"
}

@test "add, update, delete, flush and setdefault are each in the verdict within $BOUND_MS ms" {
	becomes ok 192.0.2.3
	# shellcheck disable=SC2046 # words
	spd add dst 192.0.2.3/32 $(tmpl 3)
	becomes EAGAIN 192.0.2.3
	becomes ok 192.0.2.2
	spd delete dst 192.0.2.3/32
	becomes ok 192.0.2.3
	spd add dst 192.0.2.3/32 action block
	becomes EACCES 192.0.2.3
	spd update dst 192.0.2.3/32 action allow
	becomes ok 192.0.2.3
	spd update dst 192.0.2.3/32 action block
	becomes EACCES 192.0.2.3
	# shellcheck disable=SC2046 # words
	spd update dst 192.0.2.3/32 $(tmpl 3)
	becomes EAGAIN 192.0.2.3
	spd delete dst 192.0.2.3/32
	becomes ok 192.0.2.3
	spd add dst 192.0.2.0/24 action block
	becomes EACCES 192.0.2.3
	on_a ip xfrm policy flush
	becomes ok 192.0.2.3
	on_a ip xfrm policy setdefault out block
	becomes EACCES 192.0.2.3
	on_a ip xfrm policy setdefault out accept
	becomes ok 192.0.2.3
}

@test "policies of other directions are not taken for outbound ones" {
	on_a ip xfrm policy add dst 192.0.2.3/32 dir in action block
	on_a ip xfrm policy add dst 192.0.2.3/32 dir fwd action block
	spd add dst 192.0.2.4/32 action block
	becomes EACCES 192.0.2.4
	expect ok udp 192.0.2.3 80
}

@test "a route or address that changes the source changes the verdict" {
	spd add src 192.0.2.101/32 dst 192.0.2.9/32 action block
	in_force "deny policy-block" udp 192.0.2.9:80 --from 192.0.2.101
	becomes ok 192.0.2.9
	ip -n "$SGK_A" route add 192.0.2.9/32 dev w src 192.0.2.101
	becomes EACCES 192.0.2.9
	ip -n "$SGK_A" route del 192.0.2.9/32
	becomes ok 192.0.2.9
}

# What ip(8) and sagate list, one policy a line.
kernel_spd() {
	on_a ip xfrm policy list dir out | awk '
		$1 == "src" { sel = $2 " " $4 }
		$1 == "dir" { action = "allow"
			for (i = 1; i < NF; i++) {
				if ($i == "action") action = $(i + 1)
				if ($i == "priority") priority = $(i + 1)
			}
			print sel, action, priority }' | sort
}
sagate_spd() {
	sagate show spd --json | jq -r '.[] | select(.dir == "out") | "\(.src) \(.dst) \(.action) \(.priority)"' | sort
}
same_spd() { [ "$(kernel_spd)" = "$(sagate_spd)" ]; }

batch() { # VERB COUNT
	local i
	for ((i = 0; i < $2; i++)); do
		echo "xfrm policy $1 src 10.0.0.0/8 dst 10.$((i / 250)).$((i % 250)).0/24 dir out${3:+ $3}"
	done
}

@test "2000 policies in one go, and their removal: the mirror equals the kernel" {
	batch add 2000 "action block priority 7" | on_a ip -batch -
	[ "$(kernel_spd | wc -l)" = 2000 ]
	sgk_wait 10 same_spd
	in_force "deny policy-block" udp 10.7.249.1:9 --from 10.1.1.1
	explains "clear no-policy" udp 10.8.0.1:9 --from 10.1.1.1
	batch delete 1000 | on_a ip -batch -
	sgk_wait 10 same_spd
	[ "$(kernel_spd | wc -l)" = 1000 ]
	in_force "clear no-policy" udp 10.3.249.1:9 --from 10.1.1.1
	explains "deny policy-block" udp 10.4.0.1:9 --from 10.1.1.1
}

overruns() { sagate show spaces --json | jq '.[0].overruns'; }

@test "more than the socket holds, with the daemon stopped: noticed, repaired, equal" {
	local pid before
	before=$(overruns)
	pid=$(cat "$SGK_DIR/daemon.pid")
	kill -STOP "$pid"
	for _ in 1 2 3 4; do
		batch add 2000 "action block" | on_a ip -batch -
		batch delete 2000 | on_a ip -batch -
	done
	batch add 700 "action block priority 3" | on_a ip -batch -
	kill -CONT "$pid"
	sgk_wait 20 same_spd
	in_force "deny policy-block" udp 10.2.199.1:9 --from 10.1.1.1
	in_force "clear no-policy" udp 10.2.200.1:9 --from 10.1.1.1
	[ "$(overruns)" -gt "$before" ]
}
