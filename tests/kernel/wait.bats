#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# wait.bats: `sagate wait` returns when the flow would pass, or says why not. No
# SA is needed: here a policy or its requirement goes. SAs: tests/lab/wait.bats.

bats_require_minimum_version 1.5.0
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/host.sh"

# Nobody is at the VICI socket: a negotiation of site/dc2 fails at once.
setup_file() {
	export SGK_TRIGGER=vici
	SGK_REQUIRE=$(for n in 2:198.51.100 3:203.0.113; do
		printf '[require "dc%s"]\nto = %s.0/24\nchild = site/dc%s\n' "${n%:*}" "${n#*:}" "${n%:*}"
	done)
	export SGK_REQUIRE
	sgk_up "$SGK_REQUIRE"
}
teardown_file() { sgk_down; }

setup() { on_a ip xfrm policy flush; }
teardown() { [ -n "$BATS_TEST_COMPLETED" ] || grep -v libbpf "$SGK_DIR/log" | tail -n 20; }

# waiter NAME ARGS...: sagate wait in the background; $SGK_DIR/NAME.out, .status
waiter() {
	# shellcheck disable=SC2016 # expanded inside
	sgk_spawn "$SGK_DIR/$1.err" nsenter --net="/run/netns/$SGK_A" -- \
		sh -c 'out=$1; shift; "$@" >"$out.out" & echo $! >"$out.pid"; wait $!
			echo $? >"$out.new"; mv "$out.new" "$out.status"' \
		waiter "$SGK_DIR/$1" "$SAGATE" wait "${@:2}" --json -s "$SGK_SOCKET" >/dev/null
}
ended() { [ -s "$SGK_DIR/$1.status" ]; }
# ends_with STATUS NAME JQ: that waiter ends so, and its document is so.
ends_with() {
	sgk_wait 20 ended "$2" || return 1
	rm -f "$SGK_DIR/$2.pid"
	if [ "$(cat "$SGK_DIR/$2.status")" != "$1" ] || ! jq -e "$3" "$SGK_DIR/$2.out"; then
		cat "$SGK_DIR/$2".{status,out,err} >&2
		return 1
	fi
	rm -f "$SGK_DIR/$2.status"
}
waiters_are() { [ "$(sagate status --json | jq .waits)" = "$1" ]; }
descriptors() { find "/proc/$(cat "$SGK_DIR/daemon.pid")/fd" -type l | wc -l; }
descriptors_are() { [ "$(descriptors)" = "$1" ]; }
started() { sagate status --json | jq .negotiations.started; }

@test "a flow that passes: 0 at once, with explain's answer and how long it took" {
	run -0 --separate-stderr sagate wait udp 192.0.2.5:80 --json
	[ -z "$stderr" ]
	jq -e '.verdict == "clear" and .reason == "no-policy" and .flow.dst == "192.0.2.5" and
		(.waited_s >= 0) and (.gate == null)' <<<"$output"
	run -0 sagate wait udp 192.0.2.5:80 --gate gated --from 192.0.2.1 --mark 3
	[[ $output == *"clear (no-policy)"*"waited"*" s" ]]
}

@test "a flow that passes in clear is said to, and not taken with --protected" {
	run -0 --separate-stderr sagate wait udp 192.0.2.5:80 --from :4500
	[[ $stderr == "sagate: udp 192.0.2.1:4500 → 192.0.2.5:80 passes in clear: no-policy ("*")" ]]
	run -4 --separate-stderr sagate wait udp 192.0.2.5:80 --protected --timeout 60
	[[ $stderr == "sagate: udp 192.0.2.1 → 192.0.2.5:80 would go in clear, which --protected does not take: no-policy ("*")" ]]
	run -4 --separate-stderr sagate wait gre 192.0.2.5 --protected --json
	[ -z "$stderr" ]
	jq -e '.verdict == "clear" and .reason == "no-policy" and .flow.proto == "gre"' <<<"$output"
	# what has to be protected is waited for as without it
	run -3 --separate-stderr sagate wait tcp 198.51.100.7:443 --protected --timeout 0
	[ -z "$stderr" ]
}

@test "a flow that is denied: 4 at once, and one that comes to be denied ends at once" {
	spd add dst 192.0.2.5/32 priority 10 action block
	in_force "deny policy-block" udp 192.0.2.5:80
	run -4 sagate wait udp 192.0.2.5:80 --timeout 60 --json
	jq -e '.verdict == "deny" and .reason == "policy-block"' <<<"$output"
	run -0 sagate wait udp 192.0.2.6:80
	sagate attach "/$SGK_GATE" --name gated --set no-policy=deny
	run -4 sagate wait udp 192.0.2.6:80 --gate gated
	waiter denied udp 198.51.100.7:80 --gate gated --timeout 60
	sgk_wait 5 waiters_are 1
	spd add dst 198.51.100.7/32 priority 10 action block
	ends_with 4 denied '.reason == "policy-block"'
	sagate attach "/$SGK_GATE" --name gated
}

@test "no IKE daemon: it waits on through failures, tries again after each back-off, and ends with 3" {
	local before
	before=$(started)
	run -3 --separate-stderr sagate wait tcp 203.0.113.7:443 --timeout 5 --json
	[ -z "$stderr" ]
	jq -e '.verdict == "wait" and .reason == "required-no-policy" and .requirement.name == "dc3" and
		.negotiation.state == "failed" and (.negotiation.last_error | length > 0) and
		.waited_s >= 5' <<<"$output"
	# back-off: 2 s, then 4 s
	[ "$(($(started) - before))" = 2 ]
	run -3 sagate wait tcp 198.51.100.7:443 --timeout 0
	[[ $output == "wait (required-no-policy)"*"negotiation"*"failed"* ]]
	run -3 sagate wait tcp 198.51.100.7:443 --timeout 10ms
}

@test "it is told by the change itself: not by a look once a second" {
	# shellcheck disable=SC2046 # words
	spd add dst 192.0.2.5/32 priority 10 $(tmpl 5)
	in_force "wait no-sa" udp 192.0.2.5:80
	waiter one udp 192.0.2.5:80 --timeout 60
	waiter two udp 192.0.2.5:81 --timeout 60
	waiter other tcp 198.51.100.7:443 --timeout 60
	sgk_wait 5 waiters_are 3
	spd delete dst 192.0.2.5/32
	ends_with 0 one '.verdict == "clear"'
	ends_with 0 two '.verdict == "clear"'
	[ "$(grep -c 'wait of pid .* ends after a change: clear' "$SGK_DIR/log")" = 2 ]
	run ! ended other
	sgk_stop "$SGK_DIR/other.pid"
}

@test "a gate that goes ends the wait for it with an error, in words" {
	mkdir "$SGK_CGROUP2/$SGK_GATE-going"
	sagate attach "/$SGK_GATE-going" --name going
	waiter going tcp 198.51.100.7:443 --gate going --timeout 60
	sgk_wait 5 waiters_are 1
	sagate detach going
	ends_with 1 going '.error.code == "no-such-gate"'
	rmdir "$SGK_CGROUP2/$SGK_GATE-going"
}

@test "who leaves costs nothing; who is too many is answered all the same; others are served meanwhile" {
	local i fds
	fds=$(descriptors)
	for i in {1..50}; do
		waiter "many-$i" tcp 198.51.100.7:443 --timeout 300
	done
	sgk_wait 20 waiters_are 48
	run -0 sagate status --json
	run -0 sagate wait udp 192.0.2.5:80
	raw '{"command":"wait","args":{"proto":"tcp","dst":"198.51.100.7","timeout_ms":9}}' \
		'.error | .code == "busy" and (.message | contains("48 requests wait already"))'
	run -3 sagate wait tcp 198.51.100.7:444 --timeout 1
	for i in {1..50}; do
		sgk_stop "$SGK_DIR/many-$i.pid" KILL
	done
	sgk_wait 10 descriptors_are "$fds"
	run -3 sagate wait tcp 198.51.100.7:443 --timeout 0
}

@test "a daemon that restarts is found again, one that stays away is an error, and so is one that never was" {
	waiter restart tcp 198.51.100.7:443 --timeout 60
	sgk_wait 5 waiters_are 1
	sgk_stop "$SGK_DIR/daemon.pid" KILL
	sed -i '/^\[require/,$d' "$SGK_CONF"
	sgk_daemon_start
	ends_with 0 restart '.verdict == "clear"'
	echo "$SGK_REQUIRE" >>"$SGK_CONF"
	kill -HUP "$(cat "$SGK_DIR/daemon.pid")"
	in_force "wait required-no-policy" tcp 198.51.100.7:443
	waiter away tcp 198.51.100.7:443 --timeout 3
	sgk_wait 5 waiters_are 1
	sgk_stop "$SGK_DIR/daemon.pid"
	ends_with 1 away '.error | .code == "no-daemon" and (.message | contains("went away meanwhile"))'
	run -1 --separate-stderr sagate wait tcp 198.51.100.7:443 --timeout 60
	[[ $stderr == *"no daemon at"* ]]
	sgk_daemon_start
}

@test "what is no flow, no time or no gate is refused" {
	run -2 sagate wait tcp
	run -2 sagate wait tcp example.org:80
	run -2 sagate wait tcp 192.0.2.5:80 --timeout -1
	run -2 sagate wait tcp 192.0.2.5:80 --timeout 1x
	run -2 sagate wait tcp 192.0.2.5:80 --timeout ''
	run -2 sagate wait tcp 192.0.2.5:80 --timeout 1e9
	run -2 sagate wait tcp 192.0.2.5:80 --timeout 99999999999
	run -1 sagate wait tcp 192.0.2.5:80 --gate nobody
	run -1 sagate wait tcp 192.0.2.5:80 --netns nowhere
	raw '{"command":"wait","args":{"proto":"tcp","dst":"192.0.2.5","timeout_ms":25001}}' '.error.code == "bad-request"'
	raw '{"command":"wait","args":{"proto":"tcp","dst":"192.0.2.5"}}' '.error.code == "bad-request"'
	raw '{"command":"wait","args":{"proto":"tcp","dst":"192.0.2.5","timeout_ms":"9"}}' '.error.code == "bad-request"'
	raw '{"command":"wait","args":{"proto":"tcp","timeout_ms":9}}' '.error.code == "bad-request"'
}
# raw LINE JQ: what the daemon answers to it.
raw() {
	python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(sys.argv[2].encode() + b"\n")
sys.stdout.write(s.makefile().readline())' "$SGK_SOCKET" "$1" | jq -e "$2"
}

@test "on a terminal it says what it waits for, and takes that away again" {
	run -3 on_a script -qec "'$SAGATE' wait tcp 198.51.100.7:443 --timeout 2 -s '$SGK_SOCKET' >/dev/null" /dev/null
	cat -v <<<"$output"
	[[ $output == *$'\r\e[K'*"s: tcp"*"198.51.100.7:443 waits (required-no-policy), negotiation failed"*$'\r\e[K' ]]
}
