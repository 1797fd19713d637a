#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# kills.bats: daemon and keeper are killed at a system call drawn by chance and in
# every order, while twenty threads' calls are put to sleep, wait and are let go.
# Whoever comes after, the keeper, `daemon --wake` or the next daemon, wakes all
# of them, and leaves no room. And a daemon that loads its programs is killed on
# the way: the gates decide, and the next one has whole ones.
#
#   SAGATE_SEED=7 SAGATE_KILLS=500 bats tests/kernel/kills.bats

bats_require_minimum_version 1.5.0
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/host.sh"
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/killat.sh"

setup_file() {
	export SGK_TIMEOUT=1000s
	sgk_up && build_tools crowd killat || return 1
	sagate attach "/$SGK_GATE" --name gated --mode hold --set hold-timeout=300ms \
		--set hold-nonblocking-timeout=200ms >/dev/null
}
teardown_file() { sgk_down; }
teardown() {
	[ -n "$BATS_TEST_COMPLETED" ] || {
		echo "seed $SEED, $what"
		tail -n 3 "$SGK_DIR/crowd.out"
		rooms
		grep -v libbpf "$SGK_DIR/log" | tail -n 8
	} || :
	sgk_stop "$SGK_DIR/crowd.pid" KILL || :
}

keeper() { pgrep -P "$(daemon)" -x sagate-keeper; }
rooms() { find "$SGK_CGROUP2/$SGK_GATE" -type d -name 'sagate-hold-*'; }
no_rooms() { [ -z "$(rooms)" ]; }
spawn_daemon() {
	sgk_spawn "$SGK_DIR/log" nsenter --net="/run/netns/$SGK_A" -- \
		"$SAGATE" daemon -c "$SGK_CONF" >"$SGK_DIR/daemon.pid"
}
holds_calls() { [ "$(sagate status --json | jq .holds.parked)" -ge 20 ]; }

# draw N: 1 to N, by the seed.
draw() { DREW=$(((RANDOM << 15 | RANDOM) % $1 + 1)); }

# all_go_on: every thread of the crowd ends a call from now on.
all_go_on() {
	local before
	before=$(wc -l <"$SGK_DIR/crowd.out")
	kill -USR1 "$(cat "$SGK_DIR/crowd.pid")"
	sgk_wait 10 more_lines "$before"
	tail -n 1 "$SGK_DIR/crowd.out" | grep -q '^round'
}
more_lines() { [ "$(wc -l <"$SGK_DIR/crowd.out")" -gt "$1" ]; }

# The policy that calls wait for comes and goes.
flip() {
	while ip -n "$SGK_A" link show w; do
		# shellcheck disable=SC2046 # words
		spd add dst 192.0.2.3/32 $(tmpl 3)
		sleep 0.25
		spd delete dst 192.0.2.3/32
		sleep 0.02
	done
}

# One kill each. Both are dead afterwards; of the first, the keeper did its work.
kill_daemon() {
	local old
	old=$(keeper)
	killat at "$(daemon)" "$1" 9
	struck at
	sgk_wait 10 sgk_gone "$old"
	no_rooms && all_go_on
}
kill_keeper_first() {
	killat at "$(daemon)" "$1" 19
	struck at
	sgk_wait 10 stopped "$(daemon)"
	kill -KILL "$(keeper)"
	kill -KILL "$(daemon)"
}
kill_keeper_at_work() {
	local old
	old=$(keeper)
	draw 400
	killat keeper "$old" "$DREW" 9
	killat at "$(daemon)" "$1" 9
	struck at
	struck keeper
	sgk_wait 10 sgk_gone "$old"
}
kill_starting() {
	local old
	kill_keeper_first "$1"
	spawn_daemon
	draw 2500
	killat at "$(daemon)" "$DREW" 9
	struck at
	# its keeper, if there is one by now, wakes them
	sgk_wait 10 sgk_gone "$(daemon)"
}

next_daemon() {
	spawn_daemon
	sgk_wait 20 holds_calls
}

@test "daemon and keeper killed at any system call, in any order: nobody stays asleep, no room is left" {
	local ways=(kill_daemon kill_keeper_first kill_keeper_at_work kill_starting) i way after
	SEED=${SAGATE_SEED:-$((EPOCHSECONDS % 100000))}
	RANDOM=$SEED
	echo "# seed $SEED" >&3
	sgk_spawn "$SGK_DIR/flip.out" bash -c "$(declare -f flip spd on_a tmpl); flip" >"$SGK_DIR/flip.pid"
	# shellcheck disable=SC2016 # expanded inside
	sgk_spawn "$SGK_DIR/crowd.out" sh -c 'echo $$ >"$1/cgroup.procs"; shift; exec nsenter --net="/run/netns/$1" -- "$2" 192.0.2.3 80 20' \
		crowd "$SGK_CGROUP2/$SGK_GATE" "$SGK_A" "$SGK_DIR/crowd" >"$SGK_DIR/crowd.pid"
	sgk_wait 20 holds_calls
	for ((i = 0; i < ${SAGATE_KILLS:-4}; i++)); do
		way=${ways[i % 4]}
		after=$((i / 4 % 2 + 1))
		draw 1500
		what="kill $i: $way at $DREW, then $after"
		$way "$DREW"
		if [ $after = 1 ] && [ "$way" != kill_daemon ]; then
			"$SAGATE" daemon --wake
			no_rooms
			all_go_on
		fi
		next_daemon
		all_go_on
	done
	what=end
	sgk_stop "$SGK_DIR/flip.pid"
	kill -TERM "$(cat "$SGK_DIR/crowd.pid")"
	sgk_wait 10 grep -q '^ended' "$SGK_DIR/crowd.out"
	echo "# $(tail -n 1 "$SGK_DIR/crowd.out")" >&3
	run ! grep -E 'stuck|LEAK' "$SGK_DIR/crowd.out"
	sgk_wait 5 no_rooms
	sgk_wait 5 nothing_kept
}
nothing_kept() {
	local map
	for map in holds hold_pids hold_kicks; do
		[ "$(bpftool -j map dump pinned "$SGK_PIN/map/$map" | jq length)" = 0 ] || return 1
	done
}

@test "a daemon that is killed while it loads, pins or moves links leaves gates that decide, and the next one whole programs" {
	local i binary whole=0
	SEED=${SAGATE_SEED:-$((EPOCHSECONDS % 100000))}
	RANDOM=$SEED
	echo "# seed $SEED" >&3
	spd add dst 192.0.2.4/32 action block
	in_force "deny policy-block" udp 192.0.2.4:80
	sed 's/packet_extensions/packet_extension5/g' "$SAGATE" >"$SGK_DIR/other"
	chmod +x "$SGK_DIR/other"
	sgk_stop "$SGK_DIR/daemon.pid" KILL
	for ((i = 0; i < ${SAGATE_KILLS:-6}; i++)); do
		binary=$SGK_DIR/other
		((i % 2)) || binary=$SAGATE
		draw 300
		what="start $i of $binary killed at $DREW"
		start_killed "$DREW" "$binary" 321 # bpf() on x86-64
		expect EACCES udp 192.0.2.4 80
		expect ok udp 192.0.2.2 80
		((i % 3 == 2)) || continue
		what="$what, then the next daemon"
		SAGATE=$binary sgk_daemon_start
		one_load
		expect EACCES udp 192.0.2.4 80
		sgk_stop "$SGK_DIR/daemon.pid" KILL
		whole=$((whole + 1))
	done
	echo "# $i starts killed, $whole whole ones after them" >&3
	what=end
	sgk_daemon_start
	one_load
}

@test "somebody unpins a map, and the next daemon dies when it first reads from the kernel: nothing that is protected passes" {
	local map
	spd update dst 192.0.2.4/32 action block
	in_force "deny policy-block" udp 192.0.2.4:80
	sgk_stop "$SGK_DIR/daemon.pid" KILL
	for map in spd spd_masks; do
		what="$map unpinned"
		rm "$SGK_PIN/map/$map"
		start_killed 1 "$SAGATE" 47 # recvmsg() on x86-64
		expect EAGAIN udp 192.0.2.4 80
		sgk_daemon_start
		expect EACCES udp 192.0.2.4 80
		expect ok udp 192.0.2.2 80
		sgk_stop "$SGK_DIR/daemon.pid" KILL
	done
	what=end
	sgk_daemon_start
}
