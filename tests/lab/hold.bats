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
	sagate status --metrics >"$LAB_DIR/metrics"
	grep -q '^sagate_sa_seconds_count{space="host",peer="192.0.2.2"} [1-9]' "$LAB_DIR/metrics"
	grep -q '^sagate_sa_seconds_bucket{space="host",peer="192.0.2.2",le="+Inf"} [1-9]' "$LAB_DIR/metrics"
	lab_wait_until 5 no_rooms
}

@test "UDP: the first datagram of each sender waits for the SA and arrives; so do connected ones" {
	local out
	gate_lab conn=t4
	gate_mark
	# shellcheck disable=SC2016 # expanded inside
	out=$(gated bash -c 'for ((i = 0; i < 10; i++)); do "$1" udp 192.0.2.2 80 --for 0 & done; wait' - "$LAB_PROBE")
	jq -se 'length == 10 and all(.sent_ok == 1 and .errnos == {})' <<<"$out"
	lab_wait_until 10 served_ten
	[ "$(gate_moved .negotiations.started refused)" = "1 0" ]
	[ "$(gate_plain)" = 0 ]
	gate_lab conn=t4
	gate_mark
	gate_passes udp 192.0.2.2 80 --connected
	[ "$(gate_moved refused)" = 0 ]
	[ "$(gate_plain)" = 0 ]
	lab_capture_proves 4
}
served_ten() { [ "$(gate_served_udp)" -ge 10 ]; }

@test "while the peer cannot be reached the call waits hold-timeout; when it can, the next one goes through" {
	local out
	gate_lab conn=t4
	gate_mark
	lab_link_cut
	sagate attach /gated --name gated --mode hold --set hold-timeout=3s >/dev/null
	out=$(gated "$LAB_PROBE" tcp 192.0.2.2 80 --for 0) || :
	jq -e '.errnos == {"EAGAIN":1} and .elapsed_s >= 2.9' <<<"$out"
	lab_link_mend
	sagate attach /gated --name gated --mode hold --set hold-timeout=60s >/dev/null
	gate_passes tcp 192.0.2.2 80 --echo
	[ "$(gate_plain)" = 0 ]
	lab_wait_until 5 no_rooms
}
