#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# flood.bats: a program in one gate calls as many destinations that have no SA as
# fast as it can, in every way there is. Calls in another gate wait, each of them,
# and none of that gate's events is lost. And nobody opens more negotiations than
# its gate may.

bats_require_minimum_version 1.5.0
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/host.sh"
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/killat.sh"

setup_file() {
	sgk_up && build_tools flood holder && mkdir "$SGK_CGROUP2/$SGK_GATE-flood" || return 1
	sed -i 's/^log-level=.*/log-level=info/' "$SGK_CONF"
	sagate reload >/dev/null || return 1
	ip -n "$SGK_A" route add 10.0.0.0/8 via 192.0.2.2 || return 1
	demand 3
	# shellcheck disable=SC2046 # words
	spd add dst 10.0.0.0/8 $(tmpl 4)
	in_force "wait no-sa" udp 10.1.0.0:80
}
teardown_file() { sgk_down; }
teardown() {
	flood_end
	[ -n "$BATS_TEST_COMPLETED" ] && return
	tail -n 10 "$SGK_DIR/log"
	cat "$SGK_DIR/begun" "$SGK_DIR/flood.out" || :
	counters gated || :
	counters flood || :
}

demand() {
	# shellcheck disable=SC2046 # words
	spd add dst "192.0.2.$1/32" $(tmpl "$1")
	in_force "wait no-sa" udp "192.0.2.$1:80"
}
gate() { sagate attach "/$SGK_GATE" --name gated --mode hold --set "hold-timeout=$1" >/dev/null; }
# flood "SETTINGS" WAY THREADS: of 60000 addresses, until flood_end
flood() {
	# shellcheck disable=SC2086 # words
	sagate attach "/$SGK_GATE-flood" --name flood $1 >/dev/null || return 1
	: >"$SGK_DIR/flood.out"
	# shellcheck disable=SC2016 # expanded inside
	sgk_spawn "$SGK_DIR/flood.out" sh -c 'echo $$ >"$1/cgroup.procs"; exec nsenter --net="/run/netns/$2" -- "$3" "$4" 10.1.0.0 60000 "$5"' \
		flood "$SGK_CGROUP2/$SGK_GATE-flood" "$SGK_A" "$SGK_DIR/flood" "$2" "$3" >"$SGK_DIR/flood.pid"
	sgk_wait 10 grep -q up "$SGK_DIR/flood.out"
}
flood_end() { sgk_stop "$SGK_DIR/flood.pid"; }
begin() {
	: >"$SGK_DIR/begun"
	sgk_spawn_gated "$SGK_DIR/begun" "$SGK_DIR/holder" "$@" >"$SGK_DIR/begun.pid"
}
# begun_waits COUNT: so many calls of the gate sleep
begun_waits() {
	[ "$(sagate show holds --json | jq '[.[] | select(.gate == "gated" and .asleep)] | length')" = "$1" ]
}
come_ok() {
	sgk_wait 10 grep -q results "$SGK_DIR/begun" || return 1
	jq -e '.results == {"ok":1}' "$SGK_DIR/begun"
}
moved() { difference "$before" "$(counters "$1")"; }
flooded() { [ "$(counters flood | jq .events)" -gt "$1" ]; }

# waits_all_the_same "SETTINGS" WAY THREADS EVENTS: with that flood, whose gate has
# had so many events
waits_all_the_same() {
	local before
	flood "$1" "$2" "$3" || return 1
	sgk_wait 30 flooded "$4" || return 1
	gate 300ms
	before=$(counters gated)
	run -0 gated "$SGK_DIR/holder" udp 192.0.2.3 80 --repeat 12
	jq -e '.results == {"EAGAIN":12}' <<<"$output"
	run -0 gated "$SGK_DIR/holder" tcp 192.0.2.3 80 --repeat 8
	jq -e '.results == {"EAGAIN":8}' <<<"$output"
	echo "$1 $2: $(moved gated)"
	[[ " $(moved gated) " == *" refused=20 unheld.timeout=20 "* ]] || return 1
	[[ " $(moved gated) " != *" lost="* ]] || return 1
	gate 20s
	begin udp 192.0.2.3 80
	sgk_wait 10 begun_waits 1 || return 1
	spd delete dst 192.0.2.3/32
	come_ok || return 1
	demand 3
	flood_end
}

@test "a gate whose calls are refused at once takes nothing from the others" {
	waits_all_the_same "--mode reject" udp-nb 4 20000
	[ "$(counters flood | jq .lost)" -gt 1000 ]
	waits_all_the_same "--mode hold --set hold-nonblocking=reject" tcp-nb 4 40000
}

@test "nor does one with hundreds of calls that wait, or one that is told of and passes" {
	waits_all_the_same "--mode hold --set hold-timeout=300ms" udp 500 40500
	waits_all_the_same "--mode hold --set hold-timeout=20s --set hold-max=10" tcp 300 41500
	waits_all_the_same "--mode audit" udp-nb 4 50000
}

@test "while the daemon does not come to read events, one gate's leave room for the others'" {
	local before pid
	pid=$(daemon)
	gate 20s
	flood "--mode reject" udp-nb 4
	before=$(counters gated)
	kill -STOP "$pid"
	sleep 1 # many times what would fill the ring buffer: nobody can be asked meanwhile
	begin udp 192.0.2.3 80
	sleep 0.12
	kill -CONT "$pid"
	sgk_wait 5 begun_waits 1
	spd delete dst 192.0.2.3/32
	come_ok
	demand 3
	[[ " $(moved gated) " != *" lost="* ]]
}

@test "one gate learns nothing of a daemon that another's calls waited for in vain" {
	local pid
	pid=$(daemon)
	sagate attach "/$SGK_GATE-flood" --name flood --mode hold >/dev/null
	gate 20s
	kill -STOP "$pid"
	run sgk_in "/$SGK_GATE-flood" "$SGK_DIR/holder" udp 10.2.0.1 80
	begin udp 192.0.2.3 80
	sleep 0.12
	kill -CONT "$pid"
	jq -e '.results == {"EAGAIN":1} and .ms > 290' <<<"$output"
	sgk_wait 5 begun_waits 1
	spd delete dst 192.0.2.3/32
	come_ok
	demand 3
	[ "$(counters flood | jq '.unheld["not-parked"]')" -ge 1 ]
	[ "$(counters gated | jq '.unheld["not-parked"]')" = null ]
}

opened() { sagate show negotiations --json | jq "[.[] | select(.peer | startswith(\"$1\"))] | length"; }
@test "a gate opens no more negotiations than negotiations-max; the others theirs, and it is said" {
	sgk_daemon_kill
	sgk_daemon_start
	flood "--mode reject --set negotiations-max=50" udp-nb 4
	sgk_wait 30 not_negotiated 1000
	[ "$(opened 10.)" = 50 ]
	demand 5
	begin udp 192.0.2.5 80
	sgk_wait 10 begun_waits 1
	[ "$(opened 192.0.2.5)" = 1 ]
	[ "$(opened 10.)" = 50 ]
	flood_end
	run sagate doctor --json
	jq -e '.checks | any(.check == "negotiations" and .status == "warn" and (.message | contains("gate flood: ")))' <<<"$output"
	run -0 sagate status --metrics
	[[ $output =~ sagate_gate_not_negotiated_total\{gate=\"flood\"\}\ [1-9] ]]
	[[ $output == *'sagate_gate_not_negotiated_total{gate="gated"} 0'* ]]
	sgk_wait 5 grep -q "gate flood: .* calls wait without a negotiation" "$SGK_DIR/log"
	# what one gate has opened is there for the other
	spd delete dst 192.0.2.5/32
	come_ok
}
not_negotiated() { [ "$(counters flood | jq .not_negotiated)" -gt "$1" ]; }
