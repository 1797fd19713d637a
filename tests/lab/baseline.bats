#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# bats file_tags=once
#
# baseline.bats: the lab itself, and what the kernel does without sagate. If
# one of these fails, no other lab test's result means anything.
#
#   make build/tests/probe
#   tests/lab/vm --kernel 6.12 --timeout 1200 -- bats tests/lab/baseline.bats

bats_require_minimum_version 1.5.0
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/peers.sh"

setup_file() {
	sysctl -qw net.core.xfrm_larval_drop=1
	lab_up
	lab_charon_start a b
	lab_serve_start 80
}

teardown_file() {
	lab_down
}

setup() {
	lab_untraced
	lab_reset
	lab_capture_start
}

teardown() {
	[ -n "$BATS_TEST_COMPLETED" ] || lab_capture_show || :
}

say() { echo "# $(uname -r): $*" >&3; }

# connects_through_trap ADDRESS LAB_LOAD'S OPTIONS...: the first connect brings
# the SA up, and nothing but ESP and IKE is on the wire.
connects_through_trap() {
	local to=$1 before out
	shift
	lab_load b "$@"
	lab_load a start_action=trap "$@"
	before=$(lab_syn_retrans a)
	out=$(lab_exec a "$LAB_PROBE" tcp "$to" 80 --echo --for 30)
	say "$* -> $(jq -r '"connect \(.call_s) s"' <<<"$out")," \
		"$(($(lab_syn_retrans a) - before)) SYNs retransmitted"
	[ "$(jq .echoed <<<"$out")" = 1 ]
	[ $(($(lab_syn_retrans a) - before)) -ge 1 ]
	[ "$(lab_sa_count a)" -ge 2 ]
	[ "$(lab_capture_count esp)" -ge 4 ]
	[ "$(lab_capture_count ike)" -ge 4 ]
	[ "$(lab_capture_count plain)" = 0 ]
}

@test "a trap, transport mode, IPv4, PSK: the connect goes through, its first SYN lost" {
	connects_through_trap 192.0.2.2
}

@test "the same over IPv6" {
	connects_through_trap 2001:db8::2 family=6
}

@test "the same in tunnel mode" {
	connects_through_trap 203.0.113.1 mode=tunnel
}

@test "the same in tunnel mode over IPv6" {
	connects_through_trap 2001:db8:b::1 mode=tunnel family=6
}

@test "the same with certificates" {
	connects_through_trap 192.0.2.2 auth=cert
}

@test "a trap loses the first datagram and says it was sent" {
	lab_load b
	lab_load a start_action=trap
	run -0 --separate-stderr lab_exec a "$LAB_PROBE" udp 192.0.2.2 80
	[ "$(jq .sent_ok <<<"$output")" = 1 ]
	[ "$(jq .echoed <<<"$output")" = 0 ]
	lab_wait_until 20 lab_sas_some a
	run -0 --separate-stderr lab_exec a "$LAB_PROBE" udp 192.0.2.2 80 --count 5 --wait 5000
	[ "$(jq .echoed <<<"$output")" = 5 ]
	[ "$(lab_capture_count plain)" = 0 ]
}

@test "an SA that is there already: no SYN is retransmitted" {
	local before
	lab_load b
	lab_load a start_action=trap
	lab_initiate a
	before=$(lab_syn_retrans a)
	run -0 --separate-stderr lab_exec a "$LAB_PROBE" tcp 192.0.2.2 80 --echo
	[ "$(lab_syn_retrans a)" = "$before" ]
	[ "$(lab_capture_count esp)" -ge 4 ]
	[ "$(lab_capture_count plain)" = 0 ]
}

@test "without a policy the capture counts the connection as plain" {
	run -0 --separate-stderr lab_exec a "$LAB_PROBE" tcp 192.0.2.2 80 --echo
	[ "$(lab_capture_count plain)" -ge 6 ]
	[ "$(lab_capture_count syn)" = 1 ]
	[ "$(lab_capture_count esp)" = 0 ]
}

@test "the capture proves itself, IPv4 and IPv6" {
	lab_capture_proves 4
	lab_capture_proves 6
	[ "$(lab_capture_count plain)" = 0 ]
	[ "$(lab_capture_count udp)" = 2 ]
	lab_capture_stop
	[ "$(lab_capture_count plain)" = 0 ]
}

@test "a packet that a policy keeps back does not prove a capture" {
	lab_exec a ip xfrm policy add dir out src 192.0.2.1/32 dst 192.0.2.99/32 \
		tmpl proto esp mode transport reqid 9
	run -1 lab_capture_proves 4
}

@test "no answer from the peer's IKE: the negotiation fails in bounded time" {
	lab_load b
	lab_load a
	lab_link_cut
	run -1 lab_initiate a
	lab_link_mend
	[[ "$output" == *"initiate net on a failed"* ]]
	lab_initiate a
}

@test "a wrong PSK: no SA" {
	lab_load b psk=one
	lab_load a psk=another
	run -1 lab_initiate a
	lab_sas_none
}

@test "a crashed IKE daemon leaves the trap, a stopped one takes it" {
	lab_load a start_action=trap
	lab_charon_kill a
	[ "$(lab_policy_count a out)" = 1 ]
	lab_exec a ip xfrm policy flush
	lab_charon_start a
	lab_load a start_action=trap
	lab_charon_stop a
	[ "$(lab_policy_count a out)" = 0 ]
	lab_charon_start a
}

@test "a program joins a cgroup and a host's network and still sees cgroups" {
	mkdir -p /sys/fs/cgroup/lab
	# shellcheck disable=SC2016 # expanded inside
	run -0 --separate-stderr lab_run_in_gate lab a sh -c 'cat /proc/self/cgroup; ls /sys/fs/cgroup/lab/cgroup.procs; ip -br addr show wire'
	[[ "$output" == *"0::/lab"* ]]
	[[ "$output" == */sys/fs/cgroup/lab/cgroup.procs* ]]
	[[ "$output" == *192.0.2.1/24* ]]
	rmdir /sys/fs/cgroup/lab
}
