#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# bats file_tags=once
#
# libreswan.bats: a gate on a host whose IKE daemon is libreswan's pluto, which has
# no VICI: an injected ACQUIRE starts it. The peer is a strongSwan.
#
#   make build/sagate build/tests/probe; tests/lab/libreswan
#   tests/lab/vm --kernel 6.12 -- bats tests/lab/libreswan.bats
#
# What pluto does to the kernel's SPD, for a connection with auto=ondemand, read
# with `ip -s xfrm policy` and `ip xfrm monitor` (out; in and fwd have nothing
# until the SA is there):
#
#   loaded             NEWPOLICY by UPDPOLICY: allow, template esp, mode transport
#                      (tunnels too), 0.0.0.0 → 0.0.0.0, reqid 0, priority 1753281
#                      (host to host; 1757393 for a /24 to a /24)
#   an ACQUIRE, 5.2    UPDPOLICY of that very policy: same index, selector, priority
#                      and template, action block (negotiationshunt=hold, the
#                      default); or allow without a template: cleartext
#                      (negotiationshunt=passthrough)
#   an ACQUIRE, 4.10   nothing: the trap stays, whatever negotiationshunt says
#   the SA is there    UPDPOLICY of the same one: allow, template with the SA's reqid
#   it gives up        (retransmit-timeout) UPDPOLICY: the trap as it was, with
#                      failureshunt=drop and keyingtries=1 too
#   --terminate        the trap again
#   killed             all stays as it is
#   started            FLUSHPOLICY, FLUSHSA, then the traps, under new indices
#   type=drop          NEWPOLICY: block, with a template as a trap's: never a trap
#   opportunistic      5.2 adds, inside the group's trap, a block from host to host
#                      with an index of its own and a better priority: sagate takes
#                      it for an operator's, and denies
#
# LAB_GATE_MODE=audit shows that these tests can fail.

bats_require_minimum_version 1.5.0
export GATE_MODE=${LAB_GATE_MODE:-reject} GATE_TRIGGER=acquire GATE_REQUIRE=no GATE_TIMEOUT=300s
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/peers.sh"
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/gate.sh"
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/pluto.sh"
export GATE_VICI=$LAB_DIR/nobody

setup_file() {
	export LAB_RETRANSMIT_TRIES=6
	sysctl -qw net.core.xfrm_larval_drop=1
	lab_up
	lab_charon_start b
	lab_load b
	lab_serve_start 80
	lab_serve_start 81
	lab_capture_start
	pluto_conf a
	pluto_start a
	gate_up
}

teardown_file() {
	gate_down
	lab_down
}

teardown() {
	lab_link_mend
	[ -n "$BATS_TEST_COMPLETED" ] || {
		gate_story || :
		lab_exec a ip -s xfrm policy list dir out || :
		grep -v 'testing\|IKEv1:' "$LAB_DIR/a/pluto.log" | tail -n 30
	}
}

say() { echo "# $(uname -r): $*" >&3; }

goes_through() { gated "$LAB_PROBE" tcp 192.0.2.2 80 --echo --for 20 | jq -e '.echoed == 1'; }

# pluto_policy: of the flow: index and action, as the kernel has them.
pluto_policy() {
	lab_exec a ip -s xfrm policy list dir out src 192.0.2.1/32 dst 192.0.2.2/32 |
		awk '/dport/ { skip = 1 } !/dport/ && /^src/ { skip = 0 }
			!skip && / index / { for (i = 1; i < NF; i++) if ($i == "index" || $i == "action") print $i, $(i + 1) }' | xargs
}

@test "an injected ACQUIRE starts pluto: refused until the SA is there, then out at the first try" {
	local out
	gate_mark
	lab_wait_until 20 gate_explains "wait no-sa" tcp 192.0.2.2:80
	[[ "$(pluto_policy)" == "action allow index "* ]]
	out=$(gate_clients 5 192.0.2.2 80 --echo --retry-every 100 --for 80)
	say "the last of 5 clients through after $(jq -rs 'max_by(.elapsed_s).elapsed_s * 1000 | round' <<<"$out") ms"
	[ "$(jq -s 'all(.ok and .echoed == 1)' <<<"$out")" = true ]
	[ "$(jq -sc 'map(.errnos | keys) | add | unique' <<<"$out")" = '["EAGAIN"]' ]
	[ "$(gate_moved .negotiations.started verdicts.protected verdicts.clear verdicts.deny)" = "1 5 0 0" ]
	[ "$(gate_syn)" = 0 ]
	[ "$(gate_plain)" = 0 ]
	[ "$(lab_capture_count esp)" -gt 0 ]
	[ "$(sagate show negotiations --json | jq -c '[.[] | select(.state == "established" and .child == null)] | length')" = 1 ]
	lab_capture_proves
	[ "$(gate_plain)" = 0 ]
}

@test "pluto blocks while it negotiates with a silent peer: that is wait, an operator's block is deny, beside the trap and inside it" {
	local trap
	pluto_load a
	lab_wait_until 20 gate_explains "wait no-sa" tcp 192.0.2.2:80
	lab_exec a ip xfrm policy add src 192.0.2.1/32 dst 192.0.2.2/32 proto tcp dport 81 dir out action block priority 7
	lab_exec a ip xfrm policy add src 192.0.2.1/32 dst 192.0.2.77/32 dir out action block
	lab_wait_until 10 gate_explains "deny policy-block" tcp 192.0.2.2:81
	gate_mark
	trap=$(pluto_policy)
	lab_link_cut
	gate_refused EAGAIN tcp 192.0.2.2 80
	lab_wait_until 20 gate_explains "wait trap-block" tcp 192.0.2.2:80
	say "trap: $trap, held: $(pluto_policy)"
	[ "$(pluto_policy)" = "${trap/allow/block}" ]
	gate_refused EAGAIN udp 192.0.2.2 80
	gate_refused EACCES tcp 192.0.2.2 81
	gate_refused EACCES tcp 192.0.2.77 80
	# a daemon that starts meanwhile has only the maps to know it from
	gate_daemon_kill
	gate_refused EAGAIN tcp 192.0.2.2 80
	gate_daemon_start
	[ "$(gate_explain tcp 192.0.2.2:80)" = "wait trap-block" ]
	gate_refused EAGAIN tcp 192.0.2.2 80
	[ "$(pluto_policy)" = "${trap/allow/block}" ]
	[ "$(gate_plain)" = 0 ]
	lab_link_mend
	lab_wait_until 150 goes_through # pluto doubles its intervals
	[[ "$(pluto_policy)" == "action allow index "* ]]
	gate_refused EACCES tcp 192.0.2.2 81
	[ "$(gate_moved verdicts.clear reasons.\"policy-block\")" = "0 3" ]
	[ "$(gate_syn)" = 0 ]
	[ "$(gate_plain)" = 0 ]
	lab_capture_proves
	lab_exec a ip xfrm policy delete src 192.0.2.1/32 dst 192.0.2.2/32 proto tcp dport 81 dir out
	lab_exec a ip xfrm policy delete src 192.0.2.1/32 dst 192.0.2.77/32 dir out
}

@test "pluto gives up: the trap is back, EHOSTUNREACH and the reason at once, not after the timeout; then it works" {
	local out
	pluto_load a retransmit-timeout=4s
	lab_wait_until 20 gate_explains "wait no-sa" tcp 192.0.2.2:80
	gate_mark
	lab_link_cut
	out=$(gated "$LAB_PROBE" tcp 192.0.2.2 80 --retry-every 50 --for 60) || :
	say "$(jq -c '[.errnos, .elapsed_s]' <<<"$out")"
	[ "$(jq -c '[.ok, (.errnos | keys), .errnos.EHOSTUNREACH]' <<<"$out")" = \
		'[false,["EAGAIN","EHOSTUNREACH"],1]' ]
	[[ "$(sagate show negotiations --json | jq -r '[.[] | select(.state == "failed")][0].last_error')" == *"gave up"* ]]
	lab_link_mend
	lab_wait_until 60 goes_through
	[ "$(gate_plain)" = 0 ]
	[ "$(gate_syn)" = 0 ]
}

@test "pluto lets pass in clear while it negotiates: a requirement does not" {
	gate_conf $'[require "b"]\nto=192.0.2.2'
	pluto_load a negotiationshunt=passthrough
	gate_reload
	lab_wait_until 20 gate_explains "wait no-sa" tcp 192.0.2.2:80
	gate_mark
	lab_link_cut
	gate_refused EAGAIN tcp 192.0.2.2 80
	lab_wait_until 20 gate_explains "wait required-clear" tcp 192.0.2.2:80
	[ "$(pluto_tmpl)" = 0 ]
	refused tcp 192.0.2.2 80
	refused udp 192.0.2.2 80
	[ "$(gate_plain)" = 0 ]
	# what it would have been
	lab_exec a "$LAB_PROBE" udp 192.0.2.2 80 --for 0 --wait 1 || :
	[ "$(gate_plain)" = 1 ]
	lab_link_mend
	lab_wait_until 150 goes_through
	[ "$(gate_moved verdicts.clear)" = 0 ]
	[ "$(gate_plain)" = 1 ]
}

pluto_tmpl() { lab_policy_count a out; }

# Not by which errno: it may be backed off.
refused() {
	local out
	out=$(gated "$LAB_PROBE" "$@" --for 0) || :
	[[ "$(jq -c '[(.errnos | keys), .sent_ok]' <<<"$out")" =~ ^\[\[\"(EAGAIN|EHOSTUNREACH)\"\],0\]$ ]] || lab_fail "$out"
}

@test "an SA that is taken down, a pluto that is killed and started again: what is required stays required" {
	gate_conf $'[require "b"]\nto=192.0.2.2'
	pluto_load a
	gate_reload
	lab_wait_until 60 goes_through
	gate_mark
	pluto_whack a --terminate --name lab
	lab_wait_until 20 gate_waits
	lab_wait_until 60 goes_through
	pluto_kill a
	gate_passes tcp 192.0.2.2 80 --echo
	# it flushes what it finds, policies and SAs, and only then has traps again
	# shellcheck disable=SC2016 # expanded inside
	lab_spawn "$LAB_DIR/loop.out" "$BASH" -c '. "$1/peers.sh"
		while :; do lab_run_in_gate gated a "$LAB_PROBE" udp 192.0.2.2 80 --for 0 --wait 1; done' \
		bash "$BATS_TEST_DIRNAME" >"$LAB_DIR/loop.pid"
	pluto_start a
	lab_wait_until 60 goes_through
	lab_stop_pidfile "$LAB_DIR/loop.pid" TERM 10
	say "during the restart: $(jq -sc 'map(.errnos | keys) | add | group_by(.) | map({(.[0]): length}) | add' "$LAB_DIR/loop.out")"
	[ "$(jq -s 'map(.errnos | keys) | add | length > 0' "$LAB_DIR/loop.out")" = true ]
	[ "$(gate_moved verdicts.clear verdicts.deny)" = "0 0" ]
	[ "$(gate_syn)" = 0 ]
	[ "$(gate_plain)" = 0 ]
	lab_capture_proves
	# taken away with all it had
	pluto_stop a
	lab_wait_until 20 gate_explains "wait required-no-policy" tcp 192.0.2.2:80
	refused tcp 192.0.2.2 80
	[ "$(gate_plain)" = 0 ]
}

gate_waits() { [[ "$(gate_explain tcp 192.0.2.2:80)" == "wait "* ]]; }

@test "libreswan 4, whose trap stays while it negotiates: the same" {
	[ ! -s "$LAB_DIR/a/pluto.pid" ] || pluto_stop a
	export PLUTO=4
	gate_conf
	pluto_conf a
	pluto_start a
	gate_reload
	lab_wait_until 20 gate_explains "wait no-sa" tcp 192.0.2.2:80
	gate_mark
	lab_link_cut
	gate_refused EAGAIN tcp 192.0.2.2 80
	lab_wait_until 20 pluto_negotiates
	gate_refused EAGAIN tcp 192.0.2.2 80
	[ "$(gate_explain tcp 192.0.2.2:80)" = "wait no-sa" ]
	[[ "$(pluto_policy)" == "action allow index "* ]]
	lab_link_mend
	lab_wait_until 150 goes_through
	[ "$(gate_moved .negotiations.started verdicts.clear verdicts.deny)" = "1 0 0" ]
	[ "$(gate_syn)" = 0 ]
	[ "$(gate_plain)" = 0 ]
	lab_capture_proves
}

pluto_negotiates() { pluto_whack a --status | grep -q 'sent IKE_SA_INIT'; }

root_dropped() { sagate show gates --json | jq '.[] | select(.name == "root").counters.guard_dropped'; }
negotiated() { pluto_whack a --status | grep -q 'established IKE SA\|ESTABLISHED_IKE_SA'; }

@test "pluto in a gate on the root, where all to its peer is required: it negotiates, over UDP and over TCP" {
	local dropped
	[ ! -s "$LAB_DIR/a/pluto.pid" ] || pluto_stop a
	gate_conf $'[require "b"]\nto=192.0.2.2'
	pluto_conf a
	pluto_start a
	gate_reload
	sagate attach / --root --name root --set stale=open --set guard=on
	gate_mark
	lab_wait_until 150 root_goes_through
	[ "$(root_dropped)" = 0 ]
	[ "$(gate_plain)" = 0 ]
	# these kernels have no ESP over TCP: IKE is all there is
	pluto_stop a
	lab_charon_stop b
	PLUTO_SETUP=$'  listen-tcp=yes\n' pluto_conf b enable-tcp=yes tcp-remoteport=4500 auto=add
	pluto_conf a enable-tcp=yes tcp-remoteport=4500
	pluto_start b
	pluto_start a
	pluto_whack a --impair tcp_skip_setsockopt_espintcp
	pluto_whack b --impair tcp_skip_setsockopt_espintcp
	dropped=$(root_dropped) # nobody listened for a while: a's kernel said so to b
	pluto_whack a --initiate --asynchronous --name lab
	lab_wait_until 60 negotiated
	[ "$(lab_capture_show capture "tcp port 4500 and dst host 192.0.2.2" | wc -l)" -ge 4 ]
	[ "$(root_dropped)" = "$dropped" ]
	sagate detach root
}
root_goes_through() { lab_exec a "$LAB_PROBE" tcp 192.0.2.2 80 --echo --for 20 | jq -e '.echoed == 1'; }
