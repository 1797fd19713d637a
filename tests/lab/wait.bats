#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# bats file_tags=once
#
# wait.bats: `sagate wait` with a real IKE daemon: it brings the SA up, and when
# it returns the flow passes. What needs no SA: tests/kernel/wait.bats.
#
#   make build/sagate build/tests/probe
#   tests/lab/vm --kernel 6.12 -- bats tests/lab/wait.bats

bats_require_minimum_version 1.5.0
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/peers.sh"
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/gate.sh"

setup_file() {
	# Soon enough to see it fail, late enough for a slow machine.
	export LAB_RETRANSMIT_TIMEOUT=2.0 LAB_RETRANSMIT_TRIES=1
	sysctl -qw net.core.xfrm_larval_drop=1
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

# waiter NAME ARGS...: in the background; leaves $LAB_DIR/NAME.json, .status
waiter() {
	rm -f "$LAB_DIR/$1".{json,status}
	# shellcheck disable=SC2016 # expanded inside
	lab_spawn "$LAB_DIR/$1.err" nsenter --net=/run/netns/a -- \
		sh -c 'out=$1; shift; "$@" >"$out.json"; echo $? >"$out.new"; mv "$out.new" "$out.status"' \
		waiter "$LAB_DIR/$1" "$SAGATE" -s "$GATE_SOCKET" wait "${@:2}" --json >/dev/null
}
ended() { [ -s "$LAB_DIR/$1.status" ]; }
passed() {
	cat "$LAB_DIR/$1".{err,json,status}
	[ "$(cat "$LAB_DIR/$1.status")" = 0 ] && jq -e '.verdict == "protected" and .reason == "sa"' "$LAB_DIR/$1.json"
}
waiters_are() { [ "$(gate_look | jq .waits)" = "$1" ]; }
negotiates() { sagate show negotiations --json | jq -e 'any(.state == "started")'; }

@test "the tunnel is down: wait brings it up, and the connect() that follows passes at once" {
	local to
	gate_lab conn=t4 -- conn=u6 mode=tunnel family=6
	for to in 192.0.2.2 '[2001:db8:b::1]'; do
		gate_mark
		run -0 --separate-stderr sagate wait tcp "$to:80" --gate gated --timeout 60 --json
		jq -e '.verdict == "protected" and .reason == "sa" and .gate.name == "gated"' <<<"$output"
		say "$to: waited $(jq '.waited_s * 1000 | round' <<<"$output") ms"
		gate_passes tcp "${to//[][]/}" 80 --echo
		gate_passes udp "${to//[][]/}" 80
		# started, protected, wait, refused
		[ "$(gate_moved .negotiations.started verdicts.protected verdicts.wait refused)" = "1 2 0 0" ]
		[ "$(gate_syn)" = 0 ]
		[ "$(gate_plain)" = 0 ]
		run -0 sagate wait tcp "$to:80" --timeout 0
		[ "$(gate_moved .negotiations.started)" = 1 ]
	done
	lab_capture_proves
}

@test "ten wait and a program asks: one negotiation, and the change itself ends every wait" {
	local i
	gate_lab a:start_action=trap
	gate_mark
	lab_link_cut
	for i in {1..10}; do
		waiter "ten-$i" tcp 192.0.2.2:80 --timeout 120
	done
	lab_wait_until 20 waiters_are 10
	# a slow machine may have let the negotiation fail by now: EAGAIN, or EHOSTUNREACH
	run ! gate_passes tcp 192.0.2.2 80
	lab_link_mend
	for i in {1..10}; do
		lab_wait_until 60 ended "ten-$i"
		passed "ten-$i"
	done
	# one that fails before the link is back is tried again once, not by each of them
	[ "$(gate_moved .negotiations.established)" = 1 ]
	[ "$(gate_moved '.negotiations | .started - .failed')" = 1 ]
	# none by the look once a second
	[ "$(grep -c 'wait of pid .* ends after a change: protected' "$GATE_DIR/log")" -ge 10 ]
	gate_passes tcp 192.0.2.2 80 --echo
	[ "$(gate_plain)" = 0 ]
}

@test "the peer is out of reach: 3, and why; one who waits on is let go once it is back" {
	gate_lab
	gate_mark
	lab_link_cut
	run -3 --separate-stderr sagate wait tcp 192.0.2.2:80 --timeout 12 --json
	jq -e '.verdict == "wait" and .negotiation.last_error != null and .waited_s >= 12' <<<"$output"
	say "$(jq -c .negotiation <<<"$output")"
	waiter long tcp 192.0.2.2:80 --timeout 120
	lab_wait_until 30 negotiates
	lab_link_mend
	lab_wait_until 90 ended long
	passed long
	[ "$(gate_plain)" = 0 ]
}

@test "the daemon restarts, and so does the IKE daemon: one who waits is let go all the same" {
	gate_lab
	lab_link_cut
	waiter long tcp 192.0.2.2:80 --timeout 240
	lab_wait_until 30 waiters_are 1
	gate_daemon_kill
	lab_charon_kill a
	lab_charon_start a
	gate_daemon_start
	lab_wait_until 30 waiters_are 1
	lab_load a conn=lab
	gate_reload
	lab_link_mend
	lab_wait_until 90 ended long
	passed long
	gate_passes tcp 192.0.2.2 80 --echo
	gate_touched
}
