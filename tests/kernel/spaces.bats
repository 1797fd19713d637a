#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# spaces.bats: several network namespaces in one daemon, with real ones that
# come, go, and come again under the same name. Host A is the daemon's own; the
# others have one device and no peer: a datagram that is let through leaves and
# is answered by nobody.
#
#     netns $SGK_A: daemon, space "host"     netns $SGK_RED, $SGK_BLUE: spaces
#                                            "red" and "blue", w 192.0.2.1/24

bats_require_minimum_version 1.5.0
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/host.sh"

setup_file() {
	export SGK_RED=sgkr$$ SGK_BLUE=sgkl$$ SGK_SECTIONS
	SGK_SECTIONS="[require \"blue-dc\"]
	to=192.0.2.64/26
	space=blue
	[space \"blue\"]
	netns=/run/netns/$SGK_BLUE"
	sgk_up "$(red)"
}
# red: all sections, and that of red.
red() {
	echo "$SGK_SECTIONS
	[space \"red\"]
	netns=$SGK_RED"
}
reload() { kill -HUP "$(cat "$SGK_DIR/daemon.pid")"; }

teardown_file() {
	local n
	for n in /run/netns/"$SGK_RED"* /run/netns/"$SGK_BLUE"*; do
		[ ! -e "$n" ] || ip netns del "${n##*/}"
	done
	sgk_down
}

setup() {
	local n
	for n in "$SGK_RED" "$SGK_BLUE"; do
		[ ! -e "/run/netns/$n" ] || ip netns del "$n"
	done
	sgk_wait 5 state_is red absent && sgk_wait 5 state_is blue absent
}

teardown() {
	sgk_stop "$SGK_DIR/resident.pid"
	[ -n "$BATS_TEST_COMPLETED" ] || tail -n 15 "$SGK_DIR/log"
}

space() { sagate show spaces --json | jq -c ".[] | select(.name == \"$1\")"; }
state_is() { [ "$(space "$1" | jq -r .state)" = "$2" ]; }

# netns_up NAME: a namespace with one device.
netns_up() {
	ip netns add "$1" && ip -n "$1" -batch - <<-END
	link set lo up
	link add w type veth peer name x
	link set w up
	link set x up
	addr add 192.0.2.1/24 dev w
	END
}

# in_netns PATH WAY ADDR PORT [KEY=VALUE...]: in the gate, in that namespace: ok, or the errno.
in_netns() {
	# shellcheck disable=SC2016 # expanded inside
	sh -c 'echo $$ >"$1/cgroup.procs" || exit 125
		netns=$2; shift 2
		exec nsenter --net="$netns" -- "$@"' \
		sh "$SGK_CGROUP2/$SGK_GATE" "$1" "$SGK_WAYS" "${@:2}" | cut -d ' ' -f 1
}
inside() { in_netns "/run/netns/$1" "${@:2}"; }
policy() { # NETNS WORDS...
	local n=$1
	shift
	ip -n "$n" xfrm policy "$1" dir out "${@:2}"
}
# asked NETNS WANT ARGS...: what explain says for that namespace.
asked() { [ "$(sagate explain "${@:3}" --netns "$1" --json | jq -r '.verdict + " " + .reason')" = "$2" ]; }

# slots and cookies as the maps have them
cookies() { bpftool map dump pinned "$SGK_PIN/map/spaces" | jq -c '[.[].key] | sort'; }
entries_of() { # SPD entries of a slot
	bpftool map dump pinned "$SGK_PIN/map/spd" | jq "[.[] | select(.key.space == $1)] | length"
}
slot_of() { bpftool map dump pinned "$SGK_PIN/map/spaces" | jq ".[] | select(.key == $1) | .value"; }

@test "a namespace that is not there yet is said to be so, and the daemon is ready without it" {
	[ "$(sagate status --json | jq .ready)" = true ]
	jq -e '.synced == false and .policies == 0 and .netns == null and .last_sync_s == null and
		(.stale_reason | test("no-such-netns|No such file"))' <<<"$(space red)"
	run -0 sagate show spaces
	[[ $output == *red*absent* && $output == *host*mirrored* ]]
	sagate status --json | jq -e '[.problems[] | select(startswith("space red"))] | length == 1'
	run -0 sagate status --metrics
	[[ $output == *'sagate_space_synced{space="red"} 0'* && $output != *'last_sync_seconds{space="red"}'* ]]
	# once, not once a second
	[ "$(grep -c 'space red is not there yet' "$SGK_DIR/log")" -ge 1 ]
	local before
	before=$(grep -c 'space red is not there yet' "$SGK_DIR/log")
	sgk_wait 5 asked "$SGK_A" "clear no-policy" udp 192.0.2.2:80
	[ "$(grep -c 'space red is not there yet' "$SGK_DIR/log")" = "$before" ]
}

@test "made later: refused until it is mirrored, then as its own policies and requirements say" {
	netns_up "$SGK_BLUE"
	# shellcheck disable=SC2046 # words
	{
		policy "$SGK_BLUE" add dst 192.0.2.3/32 $(tmpl 3)
		policy "$SGK_BLUE" add dst 192.0.2.4/32 action block
	}
	local got
	got=$(inside "$SGK_BLUE" udp 192.0.2.3 80)
	[ "$got" = EAGAIN ]
	sgk_wait 5 state_is blue mirrored
	[ "$(inside "$SGK_BLUE" udp 192.0.2.3 80)" = EAGAIN ]
	asked "$SGK_BLUE" "wait no-sa" udp 192.0.2.3:80
	[ "$(inside "$SGK_BLUE" udp 192.0.2.4 80)" = EACCES ]
	[ "$(inside "$SGK_BLUE" udp 192.0.2.5 80)" = ok ]
	# the section's requirement is in force there, and nowhere else
	asked "$SGK_BLUE" "wait required-no-policy" udp 192.0.2.70:80
	[ "$(inside "$SGK_BLUE" udp 192.0.2.70 80)" = EAGAIN ]
	expect ok udp 192.0.2.70 80
}

@test "spaces with opposite policies: each call is judged by its own" {
	netns_up "$SGK_RED"
	netns_up "$SGK_BLUE"
	policy "$SGK_RED" add dst 192.0.2.5/32 action block
	policy "$SGK_BLUE" add dst 192.0.2.6/32 action block
	sgk_wait 5 state_is red mirrored
	sgk_wait 5 state_is blue mirrored
	local i
	for i in 1 2 3; do
		[ "$(inside "$SGK_RED" udp 192.0.2.5 80)$(inside "$SGK_BLUE" udp 192.0.2.5 80)" = EACCESok ]
		[ "$(inside "$SGK_RED" udp 192.0.2.6 80)$(inside "$SGK_BLUE" udp 192.0.2.6 80)" = okEACCES ]
		expect ok udp 192.0.2.5 80
		expect ok udp 192.0.2.6 80
	done
	[ "$(cookies | jq length)" = 3 ]
}

@test "explain takes a namespace by name, path or process id" {
	netns_up "$SGK_RED"
	policy "$SGK_RED" add dst 192.0.2.5/32 action block
	sgk_wait 5 asked "$SGK_RED" "deny policy-block" udp 192.0.2.5:80
	asked "/run/netns/$SGK_RED" "deny policy-block" udp 192.0.2.5:80
	sgk_spawn "$SGK_DIR/resident" nsenter --net="/run/netns/$SGK_RED" -- sleep 300 >"$SGK_DIR/resident.pid"
	sgk_wait 5 asked "$(cat "$SGK_DIR/resident.pid")" "deny policy-block" udp 192.0.2.5:80
	[ "$(sagate explain udp 192.0.2.5:80 --netns "$SGK_RED" --json | jq -r .space)" = red ]
}

@test "deleted and made again under its name: another cookie, and nothing of the old one counts" {
	local old new slot
	netns_up "$SGK_RED"
	policy "$SGK_RED" add dst 192.0.2.5/32 action allow
	policy "$SGK_RED" add dst 192.0.2.6/32 action block
	sgk_wait 5 asked "$SGK_RED" "deny policy-block" udp 192.0.2.6:80
	old=$(space red | jq .netns)
	slot=$(slot_of "$old")
	[ "$(entries_of "$slot")" = 2 ]
	ip netns del "$SGK_RED"
	netns_up "$SGK_RED"
	policy "$SGK_RED" add dst 192.0.2.5/32 action block
	# not noticed yet, or noticed: never by the old one's policies
	[[ "$(inside "$SGK_RED" udp 192.0.2.5 80)" == E* ]]
	sgk_wait 3 asked "$SGK_RED" "deny policy-block" udp 192.0.2.5:80
	new=$(space red | jq .netns)
	[ "$new" != "$old" ]
	[ "$(inside "$SGK_RED" udp 192.0.2.5 80)" = EACCES ]
	[ "$(inside "$SGK_RED" udp 192.0.2.6 80)" = ok ]
	[ "$(slot_of "$old")" = "" ]
	cookies | jq -e "index($new) != null and index($old) == null"
	[ "$(entries_of "$(slot_of "$new")")" = 1 ]
	[ "$(bpftool map dump pinned "$SGK_PIN/map/space_state" | jq "[.[] | select(.value.netns == $old)] | length")" = 0 ]
}

@test "torn down while a program lives on in it: what it sends does not pass any more" {
	local pid end passed=0
	netns_up "$SGK_RED"
	policy "$SGK_RED" add dst 192.0.2.6/32 action block
	sgk_wait 5 state_is red mirrored
	sgk_spawn "$SGK_DIR/resident" nsenter --net="/run/netns/$SGK_RED" -- sleep 300 >"$SGK_DIR/resident.pid"
	pid=$(cat "$SGK_DIR/resident.pid")
	sgk_wait 5 asked "$pid" "clear no-policy" udp 192.0.2.5:80
	[ "$(in_netns "/proc/$pid/ns/net" udp 192.0.2.5 80)" = ok ]
	ip netns del "$SGK_RED"
	sgk_wait 3 asked "$pid" "wait no-space" udp 192.0.2.5:80
	end=$((SECONDS + 3))
	while [ $SECONDS -lt $end ]; do
		[ "$(in_netns "/proc/$pid/ns/net" udp 192.0.2.5 80)" = EAGAIN ] || passed=$((passed + 1))
		[ "$(in_netns "/proc/$pid/ns/net" udp 192.0.2.6 80)" = EAGAIN ] || passed=$((passed + 1))
	done
	[ $passed = 0 ]
	# nor when another one has its name
	netns_up "$SGK_RED"
	sgk_wait 5 state_is red mirrored
	[ "$(inside "$SGK_RED" udp 192.0.2.5 80)" = ok ]
	[ "$(in_netns "/proc/$pid/ns/net" udp 192.0.2.5 80)" = EAGAIN ]
}

@test "made again while no daemon runs: the next one takes nothing over from the old" {
	local old
	netns_up "$SGK_RED"
	policy "$SGK_RED" add dst 192.0.2.5/32 action allow
	sgk_wait 5 asked "$SGK_RED" "clear policy-allow" udp 192.0.2.5:80
	old=$(space red | jq .netns)
	sgk_stop "$SGK_DIR/daemon.pid" KILL
	ip netns del "$SGK_RED"
	netns_up "$SGK_RED"
	policy "$SGK_RED" add dst 192.0.2.5/32 action block
	[ "$(inside "$SGK_RED" udp 192.0.2.5 80)" = EAGAIN ]
	sgk_daemon_start
	sgk_wait 5 asked "$SGK_RED" "deny policy-block" udp 192.0.2.5:80
	[ "$(inside "$SGK_RED" udp 192.0.2.5 80)" = EACCES ]
	cookies | jq -e "index($old) == null"
}

@test "a gate with spd=host is judged by the daemon's own space, wherever its callers are" {
	netns_up "$SGK_RED"
	policy "$SGK_RED" add dst 192.0.2.5/32 action block
	spd add dst 192.0.2.6/32 action block
	in_force "deny policy-block" udp 192.0.2.6:80
	sgk_wait 5 asked "$SGK_RED" "deny policy-block" udp 192.0.2.5:80
	[ "$(inside "$SGK_RED" udp 192.0.2.5 80)$(inside "$SGK_RED" udp 192.0.2.6 80)" = EACCESok ]
	sagate attach "/$SGK_GATE" --name gated --set spd=host >/dev/null
	[ "$(inside "$SGK_RED" udp 192.0.2.6 80)" = EACCES ]
	asked "$SGK_RED" "deny policy-block" udp 192.0.2.6:80 --gate gated
	[ "$(sagate explain udp 192.0.2.6:80 --netns "$SGK_RED" --gate gated --json | jq -r .space)" = host ]
	asked "$SGK_RED" "clear no-policy" udp 192.0.2.5:80 --gate gated
	# a namespace of no space at all, too
	netns_up "$SGK_BLUE-x"
	[ "$(inside "$SGK_BLUE-x" udp 192.0.2.6 80)" = EACCES ]
	sagate attach "/$SGK_GATE" --name gated >/dev/null
	[ "$(inside "$SGK_BLUE-x" udp 192.0.2.6 80)" = EAGAIN ]
	ip netns del "$SGK_BLUE-x"
	spd delete dst 192.0.2.6/32
}

@test "with spd=host a source is the one that the caller's own routing chooses; where it is not known, none stands in" {
	netns_up "$SGK_RED"
	ip -n "$SGK_RED" addr add 203.0.113.18/28 dev w
	ip -n "$SGK_RED" addr add 203.0.113.40/28 dev w
	ip -n "$SGK_RED" route add 198.51.100.112/28 dev w src 203.0.113.18
	sgk_conf "$(red)
	[require \"from-red\"]
	to=198.51.100.112/28
	from=203.0.113.16/28"
	reload
	sgk_wait 5 state_is red mirrored
	sagate attach "/$SGK_GATE" --name gated --set spd=host >/dev/null
	in_force "clear no-policy" udp 198.51.100.113:80
	# the host's own flow passes, and is remembered
	expect ok udp 198.51.100.113 80
	expect ok udp 198.51.100.113 80
	sgk_wait 5 asked "$SGK_RED" "wait required-no-policy" udp 198.51.100.113:80 --gate gated
	[ "$(sagate explain udp 198.51.100.113:80 --netns "$SGK_RED" --gate gated --json | jq -r .flow.src)" = 203.0.113.18 ]
	[ "$(inside "$SGK_RED" udp 198.51.100.113 80)" = EAGAIN ]
	ip -n "$SGK_RED" route replace 198.51.100.112/28 dev w src 203.0.113.40
	sgk_wait 5 asked "$SGK_RED" "clear no-policy" udp 198.51.100.113:80 --gate gated
	[ "$(inside "$SGK_RED" udp 198.51.100.113 80)" = ok ]
	# of a namespace that is no space no source is known
	netns_up "$SGK_BLUE-x"
	asked "$SGK_BLUE-x" "wait source-unknown" udp 198.51.100.113:80 --gate gated
	[ "$(inside "$SGK_BLUE-x" udp 198.51.100.113 80)" = EAGAIN ]
	ip netns del "$SGK_BLUE-x"
	sgk_conf "$(red)"
	reload
	sagate attach "/$SGK_GATE" --name gated >/dev/null
}

@test "two sections of one namespace: the second is refused in words, and taken when the first goes" {
	netns_up "$SGK_RED"
	sgk_wait 5 state_is red mirrored
	sgk_conf "$(red)
	[space \"rose\"]
	netns=/run/netns/../netns/$SGK_RED"
	reload
	sgk_wait 5 state_is rose refused
	[[ "$(space rose | jq -r .stale_reason)" == *"the network namespace of the space \"red\" already"* ]]
	state_is red mirrored
	grep -q 'space rose is not mirrored.*space "red" already' "$SGK_DIR/log"
	sgk_conf "$SGK_SECTIONS
	[space \"rose\"]
	netns=/run/netns/../netns/$SGK_RED"
	reload
	sgk_wait 5 state_is rose mirrored
	[ -z "$(space red)" ]
	# the same text twice is an error of the file
	sgk_conf "$(red)
	[space \"rose\"]
	netns=$SGK_RED"
	run -1 --separate-stderr on_a "$SAGATE" daemon -c "$SGK_CONF"
	# shellcheck disable=SC2154 # bats sets it
	[[ $stderr == *"is the space \"red\" already"* ]]
	sgk_conf "$(red)"
	reload
	sgk_wait 5 state_is red mirrored
	[ -z "$(space rose)" ]
}

@test "63 namespaces beside the host are all mirrored, and one more is refused in words" {
	local i more=""
	for i in {1..61}; do
		ip netns add "$SGK_RED-m$i"
		more+="
	[space \"m$i\"]
	netns=$SGK_RED-m$i"
	done
	netns_up "$SGK_RED"
	netns_up "$SGK_BLUE"
	policy "$SGK_RED" add dst 192.0.2.5/32 action block
	sgk_conf "$(red)$more"
	reload
	sgk_wait 20 all_mirrored 64
	[ "$(cookies | jq 'unique | length')" = 64 ]
	sgk_wait 5 asked "$SGK_RED" "deny policy-block" udp 192.0.2.5:80
	asked "$SGK_RED-m61" "clear no-policy" udp 127.1.2.3:80 || asked "$SGK_RED-m61" "clear no-route" udp 127.1.2.3:80
	sgk_conf "$(red)$more
	[space \"m62\"]
	netns=$SGK_RED-m62"
	run -1 --separate-stderr on_a "$SAGATE" daemon -c "$SGK_CONF"
	[[ $stderr == *"m62"*"more than 64 spaces"* ]]
	for i in {1..61}; do ip netns del "$SGK_RED-m$i"; done
	sgk_wait 10 all_mirrored 3
	sgk_conf "$(red)"
	reload
	sgk_wait 10 listed 3
}
all_mirrored() { [ "$(sagate show spaces --json | jq '[.[] | select(.state == "mirrored")] | length')" = "$1" ]; }
listed() { [ "$(sagate show spaces --json | jq length)" = "$1" ]; }
