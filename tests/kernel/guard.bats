#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# guard.bats: packets in clear that must be protected do not leave the gate,
# whatever socket they are of; all others do. What arrives is counted at the
# peer.
#
#   192.0.2.8, 2001:db8::6   required, no policy: the kernel sends in clear
#   192.0.2.9                UDP port 80 has a policy with a template
#   2001:db8::5              all has one
#   192.0.2.2, 2001:db8::2   nobody asks for anything

bats_require_minimum_version 1.5.0
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/host.sh"

setup_file() {
	export LEAK=$BATS_TEST_DIRNAME/../../build/tests/leak
	sgk_up '[require "peer"]
	to=192.0.2.8
	[require "peer6"]
	to=2001:db8::6' || return 1
	# shellcheck disable=SC2046 # words
	spd add dst 192.0.2.9/32 proto udp dport 80 $(tmpl 9) &&
	spd add dst 2001:db8::5/128 $(tmpl6 9) || return 1
	in_force "wait no-sa" udp 192.0.2.9:80
	in_force "wait no-sa" udp '[2001:db8::5]:80'
	for n in 192.0.2.{2,8,9,30} 2001:db8::{2,5,6}; do
		on_a ip neigh replace "$n" lladdr "$(ip -n "$SGK_B" -j link show w | jq -r '.[0].address')" nud permanent dev w
	done
	sgk_spawn "$SGK_DIR/tcpdump" nsenter --net="/run/netns/$SGK_B" -- \
		tcpdump -i w -Q in -nn -U --immediate-mode -w "$SGK_DIR/wire.pcap" >"$SGK_DIR/tcpdump.pid"
	sgk_wait 10 synced
}
teardown_file() { sgk_down; }
teardown() {
	[ -n "$BATS_TEST_COMPLETED" ] || tail -n 15 "$SGK_DIR/log"
}

wire() { tcpdump -nn -r "$SGK_DIR/wire.pcap" "$@" 2>/dev/null | wc -l; }
marked() { [ "$(wire udp dst port 9)" -gt "$1" ]; }
# synced: all that was sent before has arrived.
synced() {
	local n
	n=$(wire udp dst port 9)
	on_a bash -c 'echo mark >/dev/udp/192.0.2.30/9' && sgk_wait 5 marked "$n"
}
# arrived FILTER CMD...: how many packets of that filter CMD got to the peer.
arrived() {
	local before
	before=$(wire "$1")
	"${@:2}" >"$SGK_DIR/said" || :
	synced && echo $(($(wire "$1") - before))
}
leak() { gated "$LEAK" "$@"; }
dropped() { sagate show gates --json | jq '.[] | select(.name == "gated").counters.guard_dropped'; }
guard() { sagate attach "/$SGK_GATE" --name gated --set guard="$1" "${@:2}" >/dev/null; }

# leaks_not TO FILTER WAY [VIA]: with the guard nothing arrives and it is
# counted; without it the same packet does.
leaks_not() {
	local before n
	guard on
	before=$(dropped)
	n=$(arrived "$2" leak "$3" "$1" ${4:+"$4"})
	[ "$n" = 0 ] || { sgk_fail "$3 to $1: $n arrived"; return 1; }
	[ "$(cat "$SGK_DIR/said")" = EPERM ] || [[ $1 == *:* ]] || { sgk_fail "$3 to $1: said $(cat "$SGK_DIR/said")"; return 1; }
	[ "$(dropped)" -gt "$before" ] || { sgk_fail "$3 to $1: not counted: $(cat "$SGK_DIR/said")"; return 1; }
	guard off
	n=$(arrived "$2" leak "$3" "$1" ${4:+"$4"})
	guard on
	[ "$n" -gt 0 ] || { sgk_fail "$3 to $1: nothing arrives without the guard either: $(cat "$SGK_DIR/said")"; return 1; }
}
# passes TO FILTER WAY: it arrives, and nothing is dropped.
passes() {
	local before n
	before=$(dropped)
	n=$(arrived "$2" leak "$3" "$1")
	[ "$n" -gt 0 ] || { sgk_fail "$3 to $1: $(cat "$SGK_DIR/said")"; return 1; }
	[ "$(dropped)" = "$before" ]
}

@test "no socket gets what a requirement covers out in clear, a forged ESP or AH neither; without the guard each does" {
	local way
	for way in ping raw esp ah udp-raw hdrincl fragment version; do
		leaks_not 192.0.2.8 "dst 192.0.2.8" $way
	done
	for way in ping raw esp ah nd; do
		leaks_not 2001:db8::6 "dst 2001:db8::6" $way
	done
}

@test "the header counts, not the socket: UDP of raw sockets under a policy for UDP, and its fragments" {
	local way
	for way in udp-raw hdrincl fragment; do
		leaks_not 192.0.2.9 "dst 192.0.2.9" $way
	done
	passes 192.0.2.9 "icmp and dst 192.0.2.9" ping
}

@test "a source route: the next hop and the last one are both judged" {
	leaks_not 2001:db8::2 "dst 2001:db8::6" segments 2001:db8::6
	leaks_not 2001:db8::6 "dst 2001:db8::2" segments 2001:db8::2
	leaks_not 192.0.2.2 "dst 192.0.2.8" lsrr 192.0.2.8
	n=$(arrived "dst 2001:db8::2" leak segments 2001:db8::3 2001:db8::2)
	[ "$n" = 1 ]
}

@test "what needs no protection passes: ping, raw, fragments of a big datagram, extension headers" {
	local way
	for way in ping raw esp hdrincl udp-raw; do
		passes 192.0.2.2 "dst 192.0.2.2" $way
	done
	passes 192.0.2.2 "dst 192.0.2.2 and ip[6:2] & 0x1fff != 0" big
	for way in ping raw nd options; do
		passes 2001:db8::2 "dst 2001:db8::2" $way
	done
	passes 2001:db8::2 "dst 2001:db8::2 and ip6[6] == 44" big
	expect ok tcp 192.0.2.2 80
	expect ok tcp 2001:db8::2 80
}

told() { jq -e "select(.event == \"guard\" and $1)" "$SGK_DIR/watch"; }

@test "audit lets pass, counts and tells who sent what; loopback is nobody's business; guard=off leaves no link" {
	local n
	sgk_spawn "$SGK_DIR/watch" nsenter --net="/run/netns/$SGK_A" -- \
		"$SAGATE" watch --json -s "$SGK_SOCKET" >"$SGK_DIR/watch.pid"
	sgk_wait 10 watched
	guard on --mode audit
	n=$(arrived "icmp and dst 192.0.2.8" leak ping 192.0.2.8)
	[ "$n" = 1 ]
	sgk_wait 5 told '.dropped == false and .flow.dst == "192.0.2.8" and .flow.proto == "icmp" and .reason == "required-no-policy" and .gate == "gated" and .comm == "leak" and .socket > 0'
	guard on
	leak raw 192.0.2.8 || :
	sgk_wait 5 told '.dropped and .flow.dst == "192.0.2.8" and .flow.proto == "253"'
	sagate attach "/$SGK_GATE" --name gated --set guard=on --set no-policy=deny >/dev/null
	[ "$(leak raw 127.0.0.1)" = ok ]
	[ "$(leak ping 192.0.2.1)" = ok ]
	[ "$(leak raw 192.0.2.2)" = EPERM ]
	guard off
	[ ! -e "$SGK_PIN/gate/gated/egress" ]
	guard on
	[ -e "$SGK_PIN/gate/gated/egress" ]
	sgk_stop "$SGK_DIR/watch.pid"
}

# The guard's map of decisions under way, each with a word that says whether it is taken.
guard_calls() {
	local prog id
	prog=$(bpftool -j link show pinned "$SGK_PIN/gate/gated/egress" | jq .prog_id)
	for id in $(bpftool -j prog show id "$prog" | jq '.map_ids[]'); do
		[[ $(bpftool -j map show id "$id" | jq -r .name) != *.bss ]] || echo "$id"
	done
}
# takes 0|1: all of them are free, or taken.
takes() {
	local map
	map=$(guard_calls)
	# shellcheck disable=SC2046 # words
	bpftool map update id "$map" key 0 0 0 0 value $(python3 -c '
import json, sys
value, types = (json.load(open(name)) for name in sys.argv[2:])
value = value[0]["value"]
types = {t["id"]: t for t in types["types"]}
name = next(t for t in types.values() if t["kind"] == "VAR" and t["name"] == "guard_calls")
at = next(v["offset"] for t in types.values() if t["kind"] == "DATASEC" and t["name"] == ".bss"
          for v in t["vars"] if v["type_id"] == name["id"])
array = types[name["type_id"]]
one = types[array["type_id"]]
busy = next(m["bits_offset"] // 8 for m in one["members"] if m["name"] == "busy")
for i in range(array["nr_elems"]):
    value[at + i * one["size"] + busy] = sys.argv[1]
print(*value)' "$1" <(bpftool -j map dump id "$map") <(bpftool -j btf dump file "$SGK_REPO/build/bpf/sagate_impl.bpf.o"))
}

@test "a packet about which nobody can decide is dropped and counted; in audit it leaves, and is counted" {
	local before
	guard on
	[ "$(leak raw 192.0.2.2)" = ok ]
	takes 1
	before=$(dropped)
	[ "$(leak raw 192.0.2.2)" = EPERM ]
	[ "$(dropped)" = $((before + 1)) ]
	guard on --mode audit
	before=$(sagate show gates --json | jq '.[] | select(.name == "gated").counters.guard_audited')
	[ "$(leak raw 192.0.2.8)" = ok ]
	[ "$(sagate show gates --json | jq '.[] | select(.name == "gated").counters.guard_audited')" = $((before + 1)) ]
	takes 0
	guard on
	[ "$(leak raw 192.0.2.2)" = ok ]
}

@test "a policy or requirement for one host and source lets multicast pass; one for the group does not" {
	sgk_conf $'[require "host"]\nto=192.0.2.8\nfrom=192.0.2.1\n[require "host6"]\nto=2001:db8::6\nfrom=2001:db8::1\n[require "group"]\nto=239.9.0.0/16'
	kill -HUP "$(cat "$SGK_DIR/daemon.pid")"
	in_force "wait required-no-policy" udp 239.9.2.3:80
	explains "clear no-policy" udp 239.2.2.3:80
	explains "clear no-policy" udp '[ff05::2:3]:80'
	explains "wait required-no-policy" udp 192.0.2.8:80
	explains "wait required-no-policy" udp '[2001:db8::6]:80'
	on_a ip route add 239.0.0.0/8 dev w
	passes 239.2.2.3 "dst 239.2.2.3" big
	[ "$(arrived "dst 239.9.2.3" leak big 239.9.2.3)" = 0 ]
	[ "$(cat "$SGK_DIR/said")" = EAGAIN ]
	on_a ip route del 239.0.0.0/8 dev w
}

@test "where the guard cannot be attached no gate is made, and it is told; guard=off makes one without" {
	local top=$SGK_CGROUP2/$SGK_GATE-alone
	mkdir -p "$top/below"
	# without a flag: nothing is attached below
	bpftool cgroup attach "$top" cgroup_inet_egress pinned "$SGK_PIN/prog/gate_egress"
	run -1 sagate attach "/$SGK_GATE-alone/below" --name below
	[[ $output == *"gate below: egress cannot be attached"*"guard=off"* ]]
	[ ! -e "$SGK_PIN/gate/below" ]
	[ "$(sagate show gates --json | jq -c '[.[].name]')" = '["gated"]' ]
	sagate attach "/$SGK_GATE-alone/below" --name below --set guard=off
	run sagate doctor
	[[ $output == *"gate below: guard=off"* && $output != *"gate gated: guard=off"* ]]
	sagate detach below
	bpftool cgroup detach "$top" cgroup_inet_egress pinned "$SGK_PIN/prog/gate_egress"
	rmdir "$top/below" "$top"
}
watched() { leak ping 192.0.2.8; [ -s "$SGK_DIR/watch" ]; }
