#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# bats file_tags=once
#
# gate_fail.bats: what goes wrong around a gate: peers that do not answer or do
# not agree, SAs and policies that go, IKE daemons that die. Nothing leaves in
# clear meanwhile, the reason is told, and it works again afterwards.
#
#   make build/sagate build/tests/probe
#   tests/lab/vm --kernel 6.12 -- bats tests/lab/gate_fail.bats

bats_require_minimum_version 1.5.0
export GATE_GUARD=on
export GATE_MODE=${LAB_GATE_MODE:-reject}
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

# Clients try until the negotiation has failed: EAGAIN, then EHOSTUNREACH.
refused_until_failed() {
	local out
	out=$(gated "$LAB_PROBE" tcp 192.0.2.2 80 --retry-every 50 --for 60) || :
	[ "$(jq -c '[.ok, (.errnos | keys), .errnos.EHOSTUNREACH]' <<<"$out")" = \
		'[false,["EAGAIN","EHOSTUNREACH"],1]' ] || lab_fail "$out"
}

last_error() { sagate show negotiations --json | jq -r '[.[] | select(.state == "failed")][0].last_error'; }

goes_through() { gated "$LAB_PROBE" tcp 192.0.2.2 80 --echo --for 20 | jq -e '.echoed == 1'; }

@test "a peer that does not answer: EAGAIN, EHOSTUNREACH while backed off, and the reason; then it works" {
	gate_lab
	gate_mark
	lab_link_cut
	refused_until_failed
	say "last_error: $(last_error)"
	[[ "$(last_error)" == *"not responding"* || "$(last_error)" == *unreachable* ]]
	# a slow machine may have let the back-off pass: then it fails once more
	lab_wait_until 60 gate_refused EHOSTUNREACH udp 192.0.2.2 80
	run -3 --separate-stderr sagate explain tcp 192.0.2.2:80 --json
	[ "$(jq -r '.negotiation.last_error | length > 0' <<<"$output")" = true ]
	lab_link_mend
	lab_wait_until 60 goes_through
	[ "$(sagate show negotiations --json | jq -c '[.[] | select(.state == "established")][0] | [.child, .last_error]')" = '["lab/net",null]' ]
	[ "$(gate_plain)" = 0 ]
	[ "$(gate_syn)" = 0 ]
	lab_capture_proves
}

@test "a wrong PSK: the reason is told, nothing leaves; with the right one it works" {
	gate_lab conn=psk a:psk=one b:psk=another
	gate_mark
	refused_until_failed
	say "last_error: $(last_error)"
	[[ "$(last_error)" == *[Aa][Uu][Tt][Hh]* ]]
	[ "$(gate_plain)" = 0 ]
	lab_load b conn=psk psk=one
	lab_wait_until 60 goes_through
	[ "$(gate_plain)" = 0 ]
}

@test "proposals that do not match: the reason is told, nothing leaves" {
	gate_lab conn=prop a:esp=aes128gcm16 b:esp=aes256gcm16
	gate_mark
	refused_until_failed
	say "last_error: $(last_error)"
	[[ "$(last_error)" == *[Pp]roposal* || "$(last_error)" == *NO_PROP* ]]
	[ "$(gate_plain)" = 0 ]
	[ "$(gate_moved verdicts.protected verdicts.clear)" = "0 0" ]
}

outbound_spis() { lab_exec a ip xfrm state list src 192.0.2.1 | grep -o 'spi 0x[0-9a-f]*' | sort; }

@test "a rekey while a program connects: no call is refused, nothing is in clear" {
	local before after
	gate_lab conn=rekey rekey=5s life=8s
	gated "$LAB_PROBE" tcp 192.0.2.2 80 --echo --for 60
	gate_mark
	before=$(outbound_spis)
	# shellcheck disable=SC2016 # expanded inside
	gated bash -c 'end=$((SECONDS + 12))
		while [ $SECONDS -lt $end ]; do "$1" tcp 192.0.2.2 80 --echo --for 0; done' \
		bash "$LAB_PROBE" >"$LAB_DIR/loop.out" || :
	after=$(outbound_spis)
	say "$(jq -s length "$LAB_DIR/loop.out") connects, SPIs before: $(tr '\n' ' ' <<<"$before") after: $(tr '\n' ' ' <<<"$after")"
	[ "$before" != "$after" ]
	[ "$(jq -s 'length >= 20 and all(.ok and .echoed == 1)' "$LAB_DIR/loop.out")" = true ]
	[ "$(gate_moved refused)" = 0 ]
	[ "$(gate_plain)" = 0 ]
}

renegotiates() { # CMD...: takes the protection away
	gated "$LAB_PROBE" tcp 192.0.2.2 80 --echo --for 60 >"$LAB_DIR/first.out"
	gate_mark
	"$@"
	lab_wait_until 10 gate_waits
	gate_refused EAGAIN tcp 192.0.2.2 80
	lab_wait_until 60 goes_through
	say "after $*: negotiations $(gate_moved .negotiations.started), refused $(gate_moved refused)"
	[ "$(gate_moved .negotiations.started)" -ge 1 ]
	[ "$(gate_moved verdicts.clear)" = 0 ]
	[ "$(gate_plain)" = 0 ]
	[ "$(gate_syn)" = 0 ]
}

# refused_until_terminated CMD...: as above, for what is taken away behind the IKE
# daemon's back. charon refuses to negotiate what it believes to stand ("existing
# duplicate"), so the calls stay refused until its own CHILD_SA goes.
refused_until_terminated() {
	gated "$LAB_PROBE" tcp 192.0.2.2 80 --echo --for 60 >"$LAB_DIR/first.out"
	gate_mark
	"$@"
	lab_wait_until 10 gate_waits
	gate_refused EAGAIN tcp 192.0.2.2 80
	[ "$(gate_plain)" = 0 ]
	lab_terminate a
	lab_wait_until 60 goes_through
	[ "$(gate_moved verdicts.clear)" = 0 ]
	[ "$(gate_plain)" = 0 ]
	[ "$(gate_syn)" = 0 ]
}

gate_waits() { [[ "$(gate_explain tcp 192.0.2.2:80)" == "wait "* ]]; }

delete_out() {
	lab_exec a ip xfrm state deleteall src 192.0.2.1 dst 192.0.2.2
}

@test "an SA that is terminated, with a trap and without: the next call waits for a new one" {
	gate_lab
	renegotiates lab_terminate a
	gate_lab a:start_action=trap
	renegotiates lab_terminate a
}

@test "policies flushed, no trap: the requirement keeps it from going out in clear" {
	gate_lab
	refused_until_terminated lab_exec a ip xfrm policy flush
	gate_touched
}

@test "an SA deleted in the kernel behind the IKE daemon's back: calls are refused until it lets go of its own" {
	gate_lab
	refused_until_terminated delete_out
	gate_touched
}

@test "all SAs flushed in the kernel, under a trap: calls are refused until the IKE daemon lets go of its own" {
	gate_lab a:start_action=trap
	refused_until_terminated lab_exec a ip xfrm state flush
	gate_touched
}

# connected SOCKET...: a program in the gate has these sockets; sends_all: what became of them.
connected() {
	rm -f "$LAB_DIR/end"
	# shellcheck disable=SC2016,SC2154 # expanded inside; of peers.sh
	lab_spawn "$LAB_DIR/connected.out" sh -c 'echo $$ >/sys/fs/cgroup/gated/cgroup.procs
		exec nsenter --net=/run/netns/a -- "$@"' connected \
		"$lab_repo/tests/kernel/connected.py" "$LAB_DIR/end" "$@" >"$LAB_DIR/connected.pid"
	lab_wait_until 30 grep -q ready "$LAB_DIR/connected.out"
}
sends_all() {
	touch "$LAB_DIR/end"
	lab_wait_until 30 lab_gone "$(cat "$LAB_DIR/connected.pid")"
	sed 1d "$LAB_DIR/connected.out" | paste -sd ,
}
closed_is() { [ "$(gate_moved closed)" = "$1" ]; }
flush_all() { lab_exec a ip xfrm policy flush && lab_exec a ip xfrm state flush; }

@test "on-loss=close: what loses SA and policy is closed and sends nothing in clear; under a trap it waits for its SA" {
	gate_lab
	sagate attach /gated --name gated --set on-loss=close >/dev/null
	lab_wait_until 60 goes_through
	connected tcp:192.0.2.2 udp:192.0.2.2 udp:127.0.0.1
	gate_mark
	flush_all
	lab_wait_until 20 closed_is 2
	[ "$(sends_all)" = "tcp:192.0.2.2 ECONNABORTED,udp:192.0.2.2 EDESTADDRREQ,udp:127.0.0.1 ok" ]
	lab_capture_proves
	[ "$(gate_plain)" = 0 ]
	gate_touched
	gate_lab a:start_action=trap
	lab_wait_until 60 goes_through
	connected tcp:192.0.2.2
	gate_mark
	lab_terminate a
	lab_wait_until 10 gate_waits
	[ "$(sends_all)" = "tcp:192.0.2.2 ok" ]
	closed_is 0
	[ "$(gate_plain)" = 0 ]
	sagate attach /gated --name gated >/dev/null
	gate_touched
}

vici_gone() { [ "$(gate_look | jq '.spaces[0].ike.up')" = false ]; }

@test "an IKE daemon that dies and comes back empty: what it required stays required" {
	gate_lab
	gated "$LAB_PROBE" tcp 192.0.2.2 80 --echo --for 60
	gate_mark
	lab_charon_kill a
	lab_wait_until 20 vici_gone
	# its SA is still there
	gate_passes tcp 192.0.2.2 80 --echo
	lab_exec a ip xfrm state flush
	lab_exec a ip xfrm policy flush
	lab_wait_until 10 gate_waits
	gate_refused EAGAIN tcp 192.0.2.2 80
	lab_wait_until 10 gate_refused EHOSTUNREACH tcp 192.0.2.2 80
	[[ "$(last_error)" == *"no IKE daemon"* ]]
	rm "$LAB_DIR/a/conf.d"/*.conf
	lab_charon_start a
	lab_wait_until 30 gate_knows 0
	gate_waits
	run -4 gated "$LAB_PROBE" tcp 192.0.2.2 80 --for 60
	[ "$(gate_plain)" = 0 ]
	lab_load a
	gate_reload
	lab_wait_until 60 goes_through
	[ "$(gate_plain)" = 0 ]
	[ "$(gate_moved verdicts.clear)" = 0 ]
	lab_capture_proves
	gate_touched
}
