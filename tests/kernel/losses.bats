#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# losses.bats: on-loss=close. Sockets of the gate that are connected when what
# let them send goes are closed, and no others. Without an SA on this machine:
# what goes are policies, in a gate with no-policy=deny. Real SAs: gate_fail.bats
# in the lab.

bats_require_minimum_version 1.5.0
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/host.sh"

setup_file() {
	sgk_up "[space \"peer\"]
	netns=/run/netns/sgkb$$" || return 1
	export LOSS_KEEP=/$SGK_GATE-keep LOSS_AUDIT=/$SGK_GATE-audit
	mkdir "$SGK_CGROUP2$LOSS_KEEP" "$SGK_CGROUP2$LOSS_AUDIT"
	sagate attach "$LOSS_KEEP" --name keep --set no-policy=deny --set guard=off >/dev/null &&
	sagate attach "$LOSS_AUDIT" --name audit --mode audit --set no-policy=deny --set on-loss=close >/dev/null
}
setup() { closing; }
teardown_file() { sgk_down; }
teardown() {
	[ -n "$BATS_TEST_COMPLETED" ] || tail -n 15 "$SGK_DIR/log"
	let_end >/dev/null
	on_a ip xfrm policy flush
	on_b ip xfrm policy flush
}

closing() { sagate attach "/$SGK_GATE" --name gated --set no-policy=deny --set on-loss=close "$@" >/dev/null; }
allow() { spd "$1" dst "$2" action allow; }

# has CGROUP NAME SOCKET...: a program in that cgroup has these sockets.
has() {
	mkdir -p "$SGK_CGROUP2$1"
	rm -f "$SGK_DIR/end" "$SGK_DIR/has-$2"
	# shellcheck disable=SC2016 # expanded inside
	sgk_spawn "$SGK_DIR/has-$2" sh -c 'ulimit -n 20000; echo $$ >"$1/cgroup.procs"; netns=$2; shift 2
		exec nsenter --net="/run/netns/$netns" -- "$@"' has "$SGK_CGROUP2$1" "${LOSS_NETNS:-$SGK_A}" \
		env ${LOSS_VICI:+"VICI=$LOSS_VICI"} "$BATS_TEST_DIRNAME/connected.py" "$SGK_DIR/end" "${@:3}" >"$SGK_DIR/has-$2.pid"
	sgk_wait 20 grep -q ready "$SGK_DIR/has-$2"
}
# let_end: they send, and tell what became of it: see came_to.
let_end() {
	local file
	touch "$SGK_DIR/end"
	for file in "$SGK_DIR"/has-*.pid; do
		[ -e "$file" ] || continue
		sgk_wait 10 sgk_gone "$(cat "$file")"
		rm "$file"
	done
}
# came_to NAME: each different line, and how often.
came_to() { sed 1d "$SGK_DIR/has-$1" | LC_ALL=C sort | uniq -c | awk '{ print $1, $2, $3 }' | paste -sd ,; }
closed() { counters gated | jq .closed; }
closed_is() { [ "$(closed)" = "$1" ]; }
told() { jq -se "any(.event == \"loss\" and $1)" "$SGK_DIR/watch"; }
watching() { way udp 192.0.2.9 80; [ -s "$SGK_DIR/watch" ]; }
ike_is_up() { sagate status --json | jq -e '.spaces[0].ike.up'; }

@test "the kernel closes sockets, and doctor has nothing to say of it" {
	sagate doctor --json | jq -e '.checks | all(.check != "on-loss")'
}

@test "a policy goes: TCP and connected UDP of the gate to that peer are closed; no other socket is" {
	local before
	before=$(closed)
	sgk_spawn "$SGK_DIR/watch" nsenter --net="/run/netns/$SGK_A" -- \
		"$SAGATE" watch --json -s "$SGK_SOCKET" >"$SGK_DIR/watch.pid"
	sgk_wait 10 watching
	for peer in 192.0.2.5/32 192.0.2.6/32 2001:db8::5/128; do allow add $peer; done
	in_force "clear policy-allow" udp '[2001:db8::5]:80'
	has "/$SGK_GATE" gate tcp:192.0.2.5 tcp:::ffff:192.0.2.5 udp:192.0.2.5 udp:::ffff:192.0.2.5 any:192.0.2.5 \
		tcp:192.0.2.6 udp:192.0.2.6 tcp:2001:db8::5 udp:2001:db8::5 udp:127.0.0.1
	has "/$SGK_GATE/below" below tcp:192.0.2.5
	has "$LOSS_KEEP" keep tcp:192.0.2.5 udp:192.0.2.5
	has "$LOSS_AUDIT" audit tcp:192.0.2.5 udp:192.0.2.5
	has "/$SGK_GATE-other" other tcp:192.0.2.5 udp:192.0.2.5
	LOSS_VICI=$SGK_DIR/vici has "/$SGK_GATE/ike" ike udp:192.0.2.5
	sgk_wait 10 ike_is_up
	spd delete dst 192.0.2.5/32
	sgk_wait 10 closed_is $((before + 5))
	sgk_wait 5 told '.gate == "gated" and .reason == "no-policy-deny" and .flow.dst == "192.0.2.5" and .flow.proto == "tcp" and .flow.dport == 80'
	grep -q "gate gated: 5 sockets closed: " "$SGK_DIR/log"
	on_a "$SAGATE" status --metrics -s "$SGK_SOCKET" | grep -qx "sagate_gate_closed_total{gate=\"gated\"} $((before + 5))"
	spd delete dst 2001:db8::5/128
	sgk_wait 10 closed_is $((before + 7))
	# the send of a UDP socket that is not connected any more
	closing --mode audit # those that were left alone may send
	let_end
	[ "$(came_to gate)" = "1 any:192.0.2.5 ok,1 tcp:192.0.2.5 ECONNABORTED,1 tcp:192.0.2.6 ok,1 tcp:2001:db8::5 ECONNABORTED,1 tcp:::ffff:192.0.2.5 ECONNABORTED,1 udp:127.0.0.1 ok,1 udp:192.0.2.5 EDESTADDRREQ,1 udp:192.0.2.6 ok,1 udp:2001:db8::5 EDESTADDRREQ,1 udp:::ffff:192.0.2.5 EDESTADDRREQ" ]
	[ "$(came_to below)" = "1 tcp:192.0.2.5 ECONNABORTED" ]
	for one in keep audit other; do
		[ "$(came_to $one)" = "1 tcp:192.0.2.5 ok,1 udp:192.0.2.5 ok" ]
	done
	[ "$(came_to ike)" = "1 udp:192.0.2.5 ok" ]
	[ "$(closed)" = $((before + 7)) ]
	sgk_stop "$SGK_DIR/watch.pid"
}

@test "a policy that demands an SA, or that blocks, in its place: the kernel itself keeps it, and nothing is closed" {
	local before
	allow add 192.0.2.5/32
	in_force "clear policy-allow" udp 192.0.2.5:80
	has "/$SGK_GATE" gate tcp:192.0.2.5 udp:192.0.2.5
	before=$(closed)
	spd update dst 192.0.2.5/32 action block
	in_force "deny policy-block" udp 192.0.2.5:80
	# shellcheck disable=SC2046 # words
	spd update dst 192.0.2.5/32 $(tmpl 5)
	in_force "wait no-sa" udp 192.0.2.5:80
	allow update 192.0.2.5/32
	in_force "clear policy-allow" udp 192.0.2.5:80
	# a look that closes something has been at those, too
	allow add 192.0.2.6/32
	in_force "clear policy-allow" udp 192.0.2.6:80
	has "/$SGK_GATE" second udp:192.0.2.6
	spd delete dst 192.0.2.6/32
	sgk_wait 10 closed_is $((before + 1))
	let_end
	[ "$(came_to gate)" = "1 tcp:192.0.2.5 ok,1 udp:192.0.2.5 ok" ]
	[ "$(came_to second)" = "1 udp:192.0.2.6 EDESTADDRREQ" ]
	spd delete dst 192.0.2.5/32
}

@test "six thousand sockets lose their policy: all are closed, and a thousand others are not" {
	local before
	before=$(closed)
	allow add 192.0.2.5/32
	allow add 192.0.2.6/32
	in_force "clear policy-allow" udp 192.0.2.6:80
	has "/$SGK_GATE" gate "5000*udp:192.0.2.5" "1000*tcp:192.0.2.5" "1000*udp:192.0.2.6"
	spd delete dst 192.0.2.5/32
	sgk_wait 30 closed_is $((before + 6000))
	let_end
	[ "$(came_to gate)" = "1000 tcp:192.0.2.5 ECONNABORTED,5000 udp:192.0.2.5 EDESTADDRREQ,1000 udp:192.0.2.6 ok" ]
	[ "$(closed)" = $((before + 6000)) ]
	spd delete dst 192.0.2.6/32
}

in_peer() { [ "$(explain udp 192.0.2.1:80 --netns "/run/netns/$SGK_B" --gate gated)" = "$1" ]; }

@test "sockets in another network namespace go with that namespace's policies, or with spd=host the host's" {
	local before
	before=$(closed)
	on_b ip xfrm policy add dir out dst 192.0.2.1/32 action allow
	sgk_wait 5 in_peer "clear policy-allow"
	LOSS_NETNS=$SGK_B has "/$SGK_GATE" peer udp:192.0.2.1
	# the host's come and go, and are not asked
	allow add 192.0.2.1/32
	spd delete dst 192.0.2.1/32
	allow add 192.0.2.5/32
	in_force "clear policy-allow" udp 192.0.2.5:80
	[ "$(closed)" = "$before" ]
	on_b ip xfrm policy delete dir out dst 192.0.2.1/32
	sgk_wait 10 closed_is $((before + 1))
	let_end
	[ "$(came_to peer)" = "1 udp:192.0.2.1 EDESTADDRREQ" ]
	closing --set spd=host
	allow add 192.0.2.200/32
	sgk_wait 5 explains "clear policy-allow" udp 192.0.2.200:80 --netns "/run/netns/$SGK_B" --gate gated
	LOSS_NETNS=$SGK_B has "/$SGK_GATE" peer udp:192.0.2.200
	spd delete dst 192.0.2.200/32
	sgk_wait 10 closed_is $((before + 2))
	let_end
	[ "$(came_to peer)" = "1 udp:192.0.2.200 EDESTADDRREQ" ]
	spd delete dst 192.0.2.5/32
	closing
}

@test "a requirement that is new: what already sends in clear there is closed; on-loss=keep leaves it" {
	local before
	before=$(closed)
	sagate attach "/$SGK_GATE" --name gated --set on-loss=close >/dev/null
	sagate attach "$LOSS_KEEP" --name keep >/dev/null
	has "/$SGK_GATE" gate tcp:192.0.2.8 tcp:192.0.2.2
	has "$LOSS_KEEP" keep tcp:192.0.2.8
	sgk_conf "[require \"peer\"]
	to=192.0.2.8"
	kill -HUP "$(cat "$SGK_DIR/daemon.pid")"
	sgk_wait 10 closed_is $((before + 1))
	sgk_conf
	kill -HUP "$(cat "$SGK_DIR/daemon.pid")"
	sgk_wait 5 explains "clear no-policy" tcp 192.0.2.8:80
	let_end
	[ "$(came_to gate)" = "1 tcp:192.0.2.2 ok,1 tcp:192.0.2.8 ECONNABORTED" ]
	[ "$(came_to keep)" = "1 tcp:192.0.2.8 ok" ]
}
