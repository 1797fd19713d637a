#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# hold.bats: mode hold. Calls of programs that know nothing of sagate wait until
# the SA is there, and then go through: no error, no SYN again, no datagram lost,
# nothing in clear.
#
#   make && tests/lab/vm --kernel 6.12 -- bats tests/lab/hold.bats

bats_require_minimum_version 1.5.0
export GATE_MODE=hold
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/peers.sh"
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/gate.sh"

setup_file() {
	export LAB_RETRANSMIT_TRIES=6
	lab_up
	lab_charon_start a b
	lab_serve_start 80
	lab_capture_start
	gate_up
}

teardown_file() {
	gate_down
	lab_down
}

teardown() {
	[ -n "$BATS_TEST_COMPLETED" ] || { gate_story || :; gate_mend || :; }
}

say() { echo "# $(uname -r): $*" >&3; }

rooms() { find /sys/fs/cgroup -type d -name 'sagate-hold-*' | wc -l; }
no_rooms() { [ "$(rooms)" = 0 ]; }

# held_through TO [CLIENTS]: each client calls connect() once, and it succeeds.
held_through() {
	local to=$1 n=${2:-10} out
	gate_mark
	out=$(gate_clients "$n" "$to" 80 --echo)
	say "$to: $n clients, the longest connect()" \
		"$(jq -rs 'max_by(.call_s).call_s * 1000 | round' <<<"$out") ms"
	[ "$(jq -s length <<<"$out")" = "$n" ]
	jq -se 'all(.ok and .echoed == 1)' <<<"$out"
	[ "$(gate_moved .negotiations.started verdicts.protected verdicts.clear verdicts.deny refused)" = "1 $n 0 0 0" ]
	[ "$(gate_moved held)" -ge 1 ]
	[ "$(gate_syn)" = 0 ]
	[ "$(gate_plain)" = 0 ]
}

@test "TCP: connect() waits for the SA and returns 0; IPv4 and IPv6" {
	gate_lab conn=t4 -- conn=u6 mode=tunnel family=6 auth=cert
	held_through 192.0.2.2
	held_through 2001:db8:b::1
	lab_capture_proves 4
	lab_capture_proves 6
	lab_wait_until 5 no_rooms
}
