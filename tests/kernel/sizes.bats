#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# sizes.bats: maps as large as the configuration says: what does not fit
# refuses, and another size is a restart without a gap.

bats_require_minimum_version 1.5.0
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/host.sh"

setup_file() {
	export SGK_OTHER=sgkc$$
	sgk_up
}
teardown_file() {
	[ ! -e "/run/netns/$SGK_OTHER" ] || ip netns del "$SGK_OTHER"
	sgk_down
}
teardown() {
	[ -n "$BATS_TEST_COMPLETED" ] || tail -n 15 "$SGK_DIR/log"
}

# restart LINES [SECTIONS]: the daemon with these lines in [daemon].
restart() {
	sgk_stop "$SGK_DIR/daemon.pid"
	sgk_conf "${2-}"
	sed -i "s/^\[daemon\]$/[daemon]\n$1/" "$SGK_CONF"
	sgk_daemon_start
}

# fresh LINES [SECTIONS]: the same with nothing left of the daemon before.
fresh() {
	sgk_stop "$SGK_DIR/daemon.pid"
	rm -rf "$SGK_PIN"
	restart "$@"
	sagate attach "/$SGK_GATE" --name gated
}

entries() { bpftool -j map dump pinned "$SGK_PIN/map/$1" | jq length; }
size() { bpftool -j map show pinned "$SGK_PIN/map/$1" | jq .max_entries; }
doctor() { sagate doctor --json || :; }

# tells OPTION SIZE WHAT WHAT-FOLLOWS: log, status, doctor and metrics say which map is full, and the
# key that makes room.
tells() {
	local text="space host: not all of its $3 fit into the map ($1=$2): $4"
	grep -qF "<3>$text" "$SGK_DIR/log" &&
	sagate status --json | jq -e --arg text "$text" '(.healthy | not) and .problems == [$text]' &&
	sagate status | grep -qE '^host +mirrored +yes \(full\) ' &&
	doctor | jq -e --arg text "$text" --arg hint "raise $1= in [daemon] and restart" \
		'.checks | any(.status == "fail" and .message == $text and (.hint | startswith($hint)))' &&
	sagate status --metrics | grep -qF "sagate_space_full{space=\"host\",option=\"$1\"} 1"
}

@test "the fifth policy of four is refused, doctor names the key, and one less recovers" {
	local i
	restart 'policies-max=4'
	[ "$(size spd)" = 4 ]
	for i in 1 2 3 4; do spd add dst 198.51.100.$i/32 action block; done
	in_force "deny policy-block" udp 198.51.100.4:9
	expect ok udp 192.0.2.2 80
	run ! grep -q policies-max <(doctor)
	spd add dst 198.51.100.5/32 action block
	in_force "wait table-full" udp 192.0.2.2:80
	expect EAGAIN udp 192.0.2.2 80
	sgk_wait 5 tells policies-max 4 "policies" "its flows are refused (table-full)"
	sagate status --metrics | grep -q '^sagate_space_not_stored{space="host"} [1-9]'
	[ "$(entries spd)" = 4 ]
	spd delete dst 198.51.100.1/32
	in_force "clear no-policy" udp 192.0.2.2:80
	sgk_wait 5 grep -q 'space host: all of its policies fit into the map again' "$SGK_DIR/log"
	sagate status --json | jq -e .healthy
	sagate status --metrics | grep -qF 'sagate_space_full{space="host",option="policies-max"} 0'
	expect ok udp 192.0.2.2 80
	expect EACCES udp 198.51.100.5 9
	expect EACCES udp 198.51.100.2 9
}

@test "routing that does not fit: what compares a source waits, and all that an operator reads names the key" {
	fresh 'routes-max=2'
	in_force "clear no-policy" udp 192.0.2.2:80
	spd add src 192.0.2.1/32 dst 192.0.2.7/32 action block
	in_force "wait source-unknown" udp 192.0.2.7:80
	tells routes-max 2 "routing prefixes" \
		"source addresses are not known: flows whose policies compare them wait (source-unknown)"
	expect EAGAIN udp 192.0.2.7 80
	expect EACCES udp 192.0.2.7 80 src=192.0.2.1
	spd delete src 192.0.2.1/32 dst 192.0.2.7/32
	fresh 'policies-max=4'
	sagate status --json | jq -e .healthy
}

@test "a restart with another size moves every entry, and no call finds less" {
	local poller before
	spd add dst 192.0.2.9/32 action block || :
	spd delete dst 198.51.100.5/32
	in_force "deny policy-block" udp 192.0.2.9:9
	before=$(entries spd)
	# all the while, what is blocked stays so
	# shellcheck disable=SC2016 # expanded inside
	sgk_spawn "$SGK_DIR/poll" bash -c 'while [ ! -e "$1" ]; do "${@:2}"; done' poll "$SGK_DIR/enough" \
		sh -c 'echo $$ >"$1/cgroup.procs"; exec nsenter --net="/run/netns/$2" -- "$3" udp 192.0.2.9 9' \
		poll "$SGK_CGROUP2/$SGK_GATE" "$SGK_A" "$SGK_WAYS" >"$SGK_DIR/poll.pid"
	restart 'policies-max=1000\nsas-max=500'
	[ "$(size spd)" = 1000 ]
	[ "$(size sad)" = 500 ]
	[ "$(size routes)" = 131072 ]
	[ "$(entries spd)" = "$before" ]
	restart 'policies-max=7'
	[ "$(size spd)" = 7 ]
	poller=$(wc -l <"$SGK_DIR/poll")
	sgk_wait 10 polled $((poller + 3))
	touch "$SGK_DIR/enough"
	sgk_wait 10 sgk_gone "$(cat "$SGK_DIR/poll.pid")"
	grep -q '^EACCES' "$SGK_DIR/poll"
	run ! grep -v '^EACCES' "$SGK_DIR/poll"
}
polled() { [ "$(wc -l <"$SGK_DIR/poll")" -ge "$1" ]; }

@test "a size below what is in use is refused in words, and the old one goes on" {
	restart 'policies-max=2'
	[ "$(size spd)" = 7 ]
	grep -q 'policies-max=2 is less than what is in .*its size stays 7' "$SGK_DIR/log"
	expect EACCES udp 192.0.2.9 9
	expect ok udp 192.0.2.2 80
}

# space_c: its section; its network namespace has one device.
space_c() { printf '[space "c"]\nnetns=%s' "$SGK_OTHER"; }
in_c() { ip -n "$SGK_OTHER" "$@"; }
blocks_in_c() { # N: so many policies
	local i
	for ((i = 1; i <= $1; i++)); do in_c xfrm policy add dir out dst 203.0.113.$i/32 action block; done
	sgk_wait 5 entries_are spd "$2"
}
entries_are() { [ "$(entries "$1")" = "$2" ]; }
# recovers "VERDICT REASON" ARGS...: within two seconds and what explain takes.
recovers() { sgk_wait 3 explains "$@" && sagate status --json | jq -e .healthy; }

@test "policies of another space fill the map: when it gives room back, who was full has it, and after a restart" {
	on_a ip xfrm policy flush
	ip netns add "$SGK_OTHER"
	fresh 'policies-max=4' "$(space_c)"
	blocks_in_c 4 4
	spd add dst 198.51.100.1/32 action block
	in_force "wait table-full" udp 192.0.2.2:80
	expect EAGAIN udp 192.0.2.2 80
	sgk_wait 5 tells policies-max "4, of which space c has 4, this one 0" "policies" "its flows are refused (table-full)"
	in_c xfrm policy flush
	recovers "clear no-policy" udp 192.0.2.2:80
	expect EACCES udp 198.51.100.1 9
	expect ok udp 192.0.2.2 80
	# the next daemon finds the map so: its first image has no room
	on_a ip xfrm policy flush
	sgk_wait 5 entries_are spd 0
	blocks_in_c 5 4
	spd add dst 198.51.100.1/32 action block
	spd add dst 198.51.100.2/32 action block
	in_force "wait table-full" udp 192.0.2.2:80
	restart 'policies-max=4' "$(space_c)"
	in_force "wait table-full" udp 192.0.2.2:80
	in_c xfrm policy delete dir out dst 203.0.113.1/32
	in_force "wait table-full" udp 192.0.2.2:80
	in_c xfrm policy flush
	recovers "clear no-policy" udp 192.0.2.2:80
	expect EACCES udp 198.51.100.1 9
	expect EACCES udp 198.51.100.2 9
	[ "$(entries spd)" = 2 ]
}

@test "routing of another space fills the map: when it gives room back, the sources of who was full are known again" {
	local i base
	on_a ip xfrm policy flush
	[ -e "/run/netns/$SGK_OTHER" ] || ip netns add "$SGK_OTHER"
	in_c -batch - <<-END
	link add w type veth peer name x
	link set w up
	link set x up
	addr add 203.0.113.1/30 dev w
	END
	fresh 'routes-max=1000' "$(space_c)"
	base=$(entries routes)
	fresh "routes-max=$((base + 8))" "$(space_c)"
	for i in 1 3 5 7 9 11; do in_c route add 10.0.$i.0/24 dev w; done
	sgk_wait 5 entries_are routes $((base + 6))
	spd add src 192.0.2.1/32 dst 192.0.2.7/32 action block
	in_force "deny policy-block" udp 192.0.2.7:80
	for i in 1 3 5; do on_a ip route add 10.0.$i.0/24 via 192.0.2.2 src 192.0.2.101; done
	in_force "wait source-unknown" udp 192.0.2.7:80
	sagate status | grep -E "space host: .* prefixes fit into the map \(routes-max=$((base + 8)), of which space c has [0-9]+, this one [0-9]+\): "
	for i in 1 3 5 7 9 11; do in_c route delete 10.0.$i.0/24; done
	recovers "deny policy-block" udp 192.0.2.7:80
	expect EACCES udp 192.0.2.7 80
}
