#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# hold.bats: mode hold, where no SA is needed: a call waits while a policy asks
# for an SA, and goes through when the policy goes. What ends it otherwise: time,
# signals, a failure, the daemon's death. Real SAs: tests/lab/hold.bats.

bats_require_minimum_version 1.5.0
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/host.sh"

setup_file() {
	export SGK_HOLDER
	sgk_up || return 1
	SGK_HOLDER=$SGK_DIR/holder
	"${CC:-gcc}" -std=gnu11 -O2 -D_GNU_SOURCE -pthread -o "$SGK_HOLDER" "$BATS_TEST_DIRNAME/holder.c" || return 1
	sagate attach "/$SGK_GATE" --name gated --mode hold --set hold-timeout=20s >/dev/null || return 1
	demand
	# shellcheck disable=SC2046 # words
	spd add dst 2001:db8::3/128 $(tmpl6 4)
	in_force "wait no-sa" tcp '[2001:db8::3]:80'
}
teardown_file() { sgk_down; }
teardown() {
	[ -n "$BATS_TEST_COMPLETED" ] && return
	tail -n 25 "$SGK_DIR/log"
	sagate show holds || :
	cat "$SGK_DIR/begun" || :
	counters gated || :
	mend || :
}
# Also after a failure the next test finds things as it expects them.
mend() {
	sgk_stop "$SGK_DIR/begun.pid" KILL || :
	sgk_ready || sgk_daemon_start
	setting --set hold-timeout=20s
	relent
	demand
} 2>/dev/null

# What flows to 192.0.2.3 wait for, and that it is no more.
demand() {
	# shellcheck disable=SC2046 # words
	spd add dst 192.0.2.3/32 $(tmpl 3)
	in_force "wait no-sa" udp 192.0.2.3:80
}
relent() { spd delete dst 192.0.2.3/32; }

setting() { sagate attach "/$SGK_GATE" --name gated --mode hold "$@" >/dev/null; }

holder() { gated "$SGK_HOLDER" "$@"; }
# begin CALL…: in the background; its result comes into $SGK_DIR/begun, its
# process is $begun. Returns when it waits.
begin() {
	: >"$SGK_DIR/begun"
	sgk_spawn_gated "$SGK_DIR/begun" "$SGK_HOLDER" "$@" >"$SGK_DIR/begun.pid"
	begun=$(cat "$SGK_DIR/begun.pid")
	sgk_wait 5 holding 1
}
# came_to RESULT [JQ-CONDITION]: what was begun has ended so
came_to() {
	sgk_wait 10 grep -q results "$SGK_DIR/begun" || return 1
	jq -e ".results == {\"$1\":1} and (${2:-true})" "$SGK_DIR/begun" ||
		sgk_fail "$(cat "$SGK_DIR/begun")"
}
rooms() { find "$SGK_CGROUP2/$SGK_GATE" -type d -name 'sagate-hold-*'; }
no_rooms() { [ -z "$(rooms)" ]; }

@test "a call waits and goes through when it may; show holds and the counters tell of it" {
	local way before
	for way in udp sendmsg sendmmsg tcp udp-connect tcp32 sendmsg32 socketcall-tcp socketcall-udp; do
		before=$(counters gated)
		begin "$way" 192.0.2.3 80
		run -0 sagate show holds --json
		jq -e ".[0] | .gate == \"gated\" and .comm == \"holder\" and .tid == $begun and
			.flow.dst == \"192.0.2.3\" and .flow.dport == 80 and .left_s > 10" <<<"$output"
		[ -n "$(rooms)" ]
		relent
		came_to ok
		[[ " $(difference "$before" "$(counters gated)") " == *" held="* ]]
		[[ " $(difference "$before" "$(counters gated)") " != *" refused="* ]]
		demand
	done
	run -0 sagate status --json
	# who slept just before its call is made again, where a signal would not end it, is put to sleep again
	jq -e '.holds | .waiting == 0 and .parked == 9 + .elsewhere and .passes == 9 and .timeout == 0' <<<"$output"
	run -0 sagate status --metrics
	[[ $output == *$'\nsagate_holds_released_total 9\n'* ]]
	sgk_wait 5 no_rooms
}

parked() { sagate status --json | jq '.holds | .parked - .elsewhere'; }
@test "a call that asks again while its thread is being put to sleep is put to sleep once" {
	local before
	before=$(parked)
	# each write to a cgroup's file takes longer than the pause between two questions
	sgk_spawn "$SGK_DIR/strace.out" strace -f -e trace=pwrite64 -e inject=pwrite64:delay_enter=30ms \
		-p "$(cat "$SGK_DIR/daemon.pid")" >"$SGK_DIR/strace.pid"
	sgk_wait 10 grep -q attached "$SGK_DIR/strace.out"
	begin udp 192.0.2.3 80
	sgk_stop "$SGK_DIR/strace.pid"
	grep -q DELAYED "$SGK_DIR/strace.out"
	relent
	came_to ok
	demand
	[ "$(parked)" = $((before + 1)) ]
	sgk_wait 5 no_rooms
}

@test "IPv6 waits, too" {
	begin tcp 2001:db8::3 80
	spd delete dst 2001:db8::3/128
	came_to ok
	# shellcheck disable=SC2046 # words
	spd add dst 2001:db8::3/128 $(tmpl6 4)
}

@test "it waits no longer than hold-timeout, then it is rejected; hardly any CPU is used" {
	setting --set hold-timeout=600ms
	run -0 holder udp 192.0.2.3 80
	jq -e '.results == {"EAGAIN":1} and .ms >= 590 and .ms < 5000 and .cpu_ms < 100' <<<"$output"
	setting --set hold-timeout=20s
	run -0 holder udp 192.0.2.3 80 --sndtimeo 400
	jq -e '.results == {"EAGAIN":1} and .ms >= 390 and .ms < 5000' <<<"$output"
}

@test "a call that has had its time is not held anew" {
	local before
	setting --set hold-timeout=1s
	before=$(sagate status --json | jq .holds.timeout)
	run -0 holder udp 192.0.2.3 80 --repeat 6
	jq -e '.results == {"EAGAIN":6}' <<<"$output"
	[ "$(sagate status --json | jq ".holds.timeout - $before <= 7")" = true ]
	setting --set hold-timeout=20s
}

@test "a call that is not to block waits as hold-nonblocking says" {
	local way
	setting --set hold-timeout=20s --set hold-nonblocking=reject
	for way in "udp --nonblock" "udp --dontwait" "sendmsg --dontwait" "tcp --nonblock"; do
		# shellcheck disable=SC2086 # words
		run -0 holder ${way%% *} 192.0.2.3 80 ${way#* }
		jq -e '.results == {"EAGAIN":1} and .ms < 1000' <<<"$output"
	done
	[ "$(counters gated | jq '.unheld["non-blocking"]')" = 4 ]
	setting --set hold-timeout=20s --set hold-nonblocking-timeout=500ms
	run -0 holder tcp 192.0.2.3 80 --nonblock
	jq -e '.results == {"EAGAIN":1} and .ms >= 490 and .ms < 5000' <<<"$output"
	begin tcp 192.0.2.3 80 --nonblock
	relent
	came_to EINPROGRESS
	demand
	setting --set hold-timeout=20s
}

@test "signals: the default action at once, a handler ends the call, with SA_RESTART it waits on" {
	begin udp 192.0.2.3 80
	kill -TERM "$begun"
	sgk_wait 2 ended "$begun"
	sgk_wait 5 holding 0

	begin udp 192.0.2.3 80 --handler 10
	kill -USR1 "$begun"
	came_to EINTR '.handled == 1'
	sgk_wait 5 holding 0

	begin udp 192.0.2.3 80 --restart 10
	kill -USR1 "$begun"
	sleep 0.3
	kill -USR1 "$begun"
	sleep 0.3
	sgk_wait 5 holding 1
	relent
	came_to ok '.handled == 2'
	demand

	begin udp 192.0.2.3 80 --restart 18
	kill -STOP "$begun"
	sgk_wait 5 is_stopped "$begun"
	kill -CONT "$begun"
	sgk_wait 5 holding 1
	relent
	came_to ok '.handled == 1'
	demand
}
ended() { [ ! -e "/proc/$1" ] || grep -q '^State:.*Z' "/proc/$1/status"; }

@test "signals of the host are looked at only while some gate holds" {
	sgk_wait 5 sees_signals
	sagate attach "/$SGK_GATE" --name gated --mode reject >/dev/null
	sgk_wait 5 sees_none
	setting --set hold-timeout=20s
	sgk_wait 5 sees_signals
	begin udp 192.0.2.3 80 --handler 10
	[ "$(told)" = '{"threads":1,"told":0}' ]
	kill -USR1 "$begun"
	came_to EINTR '.handled == 1'
	sgk_wait 5 told_none
}
# The programs of the daemon here: others may run on this machine.
sees_signals() { grep -qs signal_generate "/proc/$(cat "$SGK_DIR/daemon.pid")/fdinfo/"*; }
sees_none() { ! sees_signals; }
told() { bpftool -j map dump pinned "$SGK_PIN/map/hold_pids" | jq -c '.[].formatted.value // empty'; }
told_none() { [ -z "$(told)" ]; }

@test "a signal ends the call whenever it comes, also while the thread is being put to sleep" {
	setting --set hold-timeout=3s
	run -0 holder udp 192.0.2.3 80 --repeat 120 --handler 14 --timer 400
	echo "$output"
	# (a signal that came before the call ends nothing)
	jq -e '.results.EINTR > 60 and (.results | del(.EINTR, .EAGAIN)) == {} and .handled == 120 and
		.longest_eintr_ms < 2000' <<<"$output"
	setting --set hold-timeout=20s
}
is_stopped() { grep -q '^State:.*[Tt] ' "/proc/$1/status"; }

@test "the deadline is that of the first refusal, however often the call restarts" {
	setting --set hold-timeout=1500ms
	begin udp 192.0.2.3 80 --restart 10
	for _ in 1 2 3 4 5; do
		sleep 0.2
		kill -USR1 "$begun"
	done
	came_to EAGAIN '.ms < 2500 and .ms >= 1490 and .handled == 5'
	setting --set hold-timeout=20s
}

@test "to be stopped begins no deadline anew, and one that passes meanwhile has passed; nor does a handler that takes long" {
	setting --set hold-timeout=4s
	begin udp 192.0.2.3 80
	kill -STOP "$begun"
	sgk_wait 5 is_stopped "$begun"
	sleep 2.5
	kill -CONT "$begun"
	came_to EAGAIN '.ms >= 3990 and .ms < 5500'
	begin udp 192.0.2.3 80
	kill -STOP "$begun"
	sleep 7
	kill -CONT "$begun"
	came_to EAGAIN '.ms >= 7000 and .ms < 8500'
	begin udp 192.0.2.3 80 --restart 10 --lasts 2000
	sleep 0.2
	kill -USR1 "$begun"
	came_to EAGAIN '.ms >= 3990 and .ms < 5500 and .handled == 1'
	setting --set hold-timeout=20s
}

@test "the other threads of the program run on" {
	begin udp 192.0.2.3 80 --tick
	sleep 0.5
	relent
	came_to ok '.ticks > 100'
	demand
}

@test "what cannot be restarted is rejected, and no internal code is ever seen" {
	# its first datagram has gone: the call is not made again, and says so
	run -0 holder sendmmsg-second 192.0.2.3 80
	jq -e '.results == {"ok":1} and .ms < 1000' <<<"$output"
	run -0 holder uring 192.0.2.3 80
	jq -e '.results == {"EAGAIN":1}' <<<"$output"
	[ "$(counters gated | jq '.unheld.call >= 2')" = true ]
	setting --set hold-timeout=10ms
	run -0 holder udp 192.0.2.3 80 --repeat 300
	echo "$output"
	jq -e '.results == {"EAGAIN":300}' <<<"$output"
	run -0 holder tcp 192.0.2.3 80 --repeat 100
	jq -e '.results == {"EAGAIN":100}' <<<"$output"
	setting --set hold-timeout=20s
}

@test "nothing is kept of threads that have ended; what a living one needs is" {
	begin udp 192.0.2.3 80
	for _ in 1 2 3 4; do holder udp 192.0.2.3 80 --sndtimeo 100; done
	sgk_wait 10 kicks_are 1
	[ "$(kicks | jq '.[0].key')" = "$begun" ]
	relent
	came_to ok
	sgk_wait 10 kicks_are 0
	demand
}
kicks() {
	bpftool -j map dump pinned "$SGK_PIN/map/hold_kicks" |
		jq '[.[] | {key: (.formatted.key // (.key | map(ltrimstr("0x")) | reverse | join("") | explode |
			reduce .[] as $c (0; . * 16 + ($c - (if $c > 57 then 87 else 48 end)))))}]'
}
kicks_are() { [ "$(kicks | jq length)" = "$1" ]; }

@test "many calls wait at once and all go through" {
	local n=60
	: >"$SGK_DIR/many"
	# shellcheck disable=SC2016 # expanded inside
	sgk_spawn "$SGK_DIR/many" sh -c 'echo $$ >"$1/cgroup.procs"; netns=$2; n=$4; holder=$3
		for i in $(seq "$n"); do nsenter --net="/run/netns/$netns" -- "$holder" tcp 192.0.2.3 80 & done; wait' \
		many "$SGK_CGROUP2/$SGK_GATE" "$SGK_A" "$SGK_HOLDER" "$n" >/dev/null
	sgk_wait 10 holding "$n"
	relent
	sgk_wait 10 all_through "$n"
	demand
	sgk_wait 5 no_rooms
}
all_through() { [ "$(grep -c '"ok":1' "$SGK_DIR/many")" = "$1" ]; }

@test "of one gate no more calls wait than hold-max; the others are rejected, and it is said" {
	local before
	setting --set hold-timeout=20s --set hold-max=3
	before=$(counters gated)
	: >"$SGK_DIR/many"
	# shellcheck disable=SC2016 # expanded inside
	sgk_spawn "$SGK_DIR/many" sh -c 'echo $$ >"$1/cgroup.procs"; netns=$2; holder=$3
		for i in 1 2 3 4 5; do nsenter --net="/run/netns/$netns" -- "$holder" tcp 192.0.2.3 80 & done; wait' \
		many "$SGK_CGROUP2/$SGK_GATE" "$SGK_A" "$SGK_HOLDER" >/dev/null
	sgk_wait 10 two_rejected
	holding 3
	[[ " $(difference "$before" "$(counters gated)") " == *" refused=2 unheld.table-full=2 "* ]]
	run sagate doctor --json
	jq -e '.checks | any(.check == "hold" and .status == "warn" and (.message | contains("3 calls wait already")))' <<<"$output"
	relent
	sgk_wait 10 all_through 3
	demand
	setting --set hold-timeout=20s
}
two_rejected() { [ "$(grep -c '"EAGAIN":1' "$SGK_DIR/many")" = 2 ]; }

@test "a cgroup that can have no waiting room: the call is rejected, and it is said why" {
	mkdir "$SGK_CGROUP2/$SGK_GATE/inner"
	sh -c 'echo $$ >"$1/cgroup.procs"; exec sleep 60' inner "$SGK_CGROUP2/$SGK_GATE/inner" &
	sgk_wait 5 grep -q . "$SGK_CGROUP2/$SGK_GATE/inner/cgroup.procs"
	run -0 holder udp 192.0.2.3 80
	jq -e '.results == {"EAGAIN":1} and .ms < 2000' <<<"$output"
	[ "$(counters gated | jq '.unheld["no-room"]')" = 1 ]
	run -0 sagate doctor --json
	jq -e '.checks | any(.check == "hold" and .status == "ok" and (.message | endswith("by task work"))) and
		any(.check == "hold" and .status == "warn" and (.message | contains("no waiting room: its child cgroups")))' <<<"$output"
	grep -q "cannot be held and is rejected: /$SGK_GATE: no waiting room: its child cgroups have processes" "$SGK_DIR/log"
	kill %1
	wait %1 || :
	rmdir "$SGK_CGROUP2/$SGK_GATE/inner"
}

@test "a cgroup that may have no more child cgroups: doctor names the files that forbid it" {
	local file
	for file in cgroup.max.descendants cgroup.max.depth; do
		echo 0 >"$SGK_CGROUP2/$SGK_GATE/$file"
		run -0 holder udp 192.0.2.3 80
		echo max >"$SGK_CGROUP2/$SGK_GATE/$file"
		jq -e '.results == {"EAGAIN":1}' <<<"$output"
	done
	run -0 sagate doctor --json
	jq -e --arg cgroup "/$SGK_GATE" '.checks | any(.check == "hold" and .status == "warn" and
		(.message | contains($cgroup + ": no waiting room: cgroup.max.descendants or cgroup.max.depth")) and
		(.hint | test("cgroup.max.descendants and cgroup.max.depth")))' <<<"$output"
}

# A policy that is demanded by the kernel too would hide a leak: here only a requirement forbids it.
@test "an address that is changed while its call waits gets nothing out to what must be protected" {
	local seconds=${SAGATE_ADVERSARY_S:-4}
	"${CC:-gcc}" -std=gnu11 -O2 -D_GNU_SOURCE -pthread -o "$SGK_DIR/adversary" "$BATS_TEST_DIRNAME/adversary.c"
	printf '[require "forbidden"]\nto=192.0.2.5\n' >>"$SGK_CONF"
	kill -HUP "$(cat "$SGK_DIR/daemon.pid")"
	in_force "wait required-no-policy" tcp 192.0.2.5:80
	count_at_peer 192.0.2.4
	count_at_peer 192.0.2.5
	run -0 gated "$SGK_DIR/adversary" 192.0.2.5 192.0.2.4 80 "$seconds"
	echo "$output"
	jq -e '.tcp.forbidden == 0 and .tcp.allowed > 10 and .udp.sent > 10 and .held > 10' <<<"$output"
	[ "$(counted_at_peer 192.0.2.5)" = 0 ]
	[ "$(counted_at_peer 192.0.2.4)" -gt 20 ]
	# and such a packet would be seen
	on_a "$SGK_PROBE" tcp 192.0.2.5 80 --for 0 || :
	[ "$(counted_at_peer 192.0.2.5)" -gt 0 ]
	on_b nft delete table ip adversary
	sed -i '/^\[require "forbidden"\]/,$d' "$SGK_CONF"
	kill -HUP "$(cat "$SGK_DIR/daemon.pid")"
	in_force "clear no-policy" tcp 192.0.2.5:80
}
count_at_peer() {
	on_b nft "add table ip adversary; add chain ip adversary in { type filter hook prerouting priority -300; };
		add rule ip adversary in ip daddr $1 counter"
}
counted_at_peer() {
	on_b nft -j list table ip adversary | jq "[.nftables[].rule? | select(.) | .expr |
		select(.[0].match.right == \"$1\") | .[1].counter.packets] | add"
}

@test "a detached gate and another mode let everybody go" {
	begin udp 192.0.2.3 80
	sagate attach "/$SGK_GATE" --name gated --mode reject
	came_to EAGAIN '.ms < 5000'
	setting --set hold-timeout=20s
	begin udp 192.0.2.3 80
	sagate detach gated
	sgk_wait 10 grep -q results "$SGK_DIR/begun"
	setting --set hold-timeout=20s
}

# The keeper of the daemon that runs.
keeper() { pgrep -P "$(cat "$SGK_DIR/daemon.pid")" -x sagate-keeper; }

@test "a killed daemon leaves nobody asleep: its keeper wakes them, and they are rejected" {
	begin udp 192.0.2.3 80
	sgk_daemon_kill
	came_to EAGAIN '.ms < 10000'
	sgk_wait 5 no_rooms
	sgk_daemon_start
}

@test "a daemon that is stopped leaves nobody asleep: its keeper wakes them; it goes on, and so does holding" {
	local daemon
	daemon=$(cat "$SGK_DIR/daemon.pid")
	begin udp 192.0.2.3 80
	kill -STOP "$daemon"
	came_to EAGAIN '.ms < 10000'
	sgk_wait 5 no_rooms
	kill -CONT "$daemon"
	sgk_wait 10 sgk_ready
	in_force "wait no-sa" udp 192.0.2.3:80
	begin udp 192.0.2.3 80
	relent
	came_to ok
	demand
	sgk_wait 5 no_rooms
}

# The policy's entry in the map, as words for bpftool: where its key is, the destination is.
entry_of() { # key|value
	bpftool -j map dump pinned "$SGK_PIN/map/spd" |
		jq -r --arg what "$1" '.[] | select(.key | join(" ") | contains("0xc0 0x00 0x02 0x03")) | .[$what] | join(" ")'
}
# A call of that thread was told to wait. It has 300 ms from then on.
asks() { bpftool -j map dump pinned "$SGK_PIN/map/holds" | jq -e --argjson tid "$1" 'any(.formatted.key == $tid)'; }
receives() { grep -q '^45 ' "/proc/$1/syscall"; }

@test "whose call has passed before the daemon comes to its event is not disturbed in the next one" {
	local key value daemon pid try
	daemon=$(cat "$SGK_DIR/daemon.pid")
	key=$(entry_of key) value=$(entry_of value)
	[ -n "$key" ]
	for try in 1 2 3 4 5; do
		kill -STOP "$daemon"
		: >"$SGK_DIR/begun"
		sgk_spawn_gated "$SGK_DIR/begun" "$SGK_HOLDER" udp 192.0.2.3 80 --answer 2000 >"$SGK_DIR/begun.pid"
		pid=$(cat "$SGK_DIR/begun.pid")
		sgk_wait 5 asks "$pid"
		# shellcheck disable=SC2086 # words
		bpftool map delete pinned "$SGK_PIN/map/spd" key $key
		sgk_wait 1 receives "$pid" && try=passed
		# shellcheck disable=SC2086 # words
		bpftool map update pinned "$SGK_PIN/map/spd" key $key value $value
		kill -CONT "$daemon"
		[ "$try" != passed ] || break # else a busy machine took too long, and it was rejected
		came_to EAGAIN
	done
	[ "$try" = passed ]
	sgk_wait 10 grep -q results "$SGK_DIR/begun"
	jq -e '.results == {"ok":1,"EAGAIN":1}' "$SGK_DIR/begun"
	sgk_wait 5 no_rooms
	# the flow is known as one that passed (bpf/recent.bpf.h): only a daemon's change ends that
	relent
	demand
}

@test "without its keeper, the next daemon wakes them" {
	local old
	begin udp 192.0.2.3 80
	old=$(keeper)
	kill -STOP "$(cat "$SGK_DIR/daemon.pid")"
	kill -KILL "$old"
	sgk_daemon_kill
	sleep 0.3
	[ -n "$(rooms)" ]
	[ ! -s "$SGK_DIR/begun" ]
	sgk_daemon_start
	sgk_wait 5 test -n "$(keeper)"
	# it is held anew, by the new daemon
	sgk_wait 5 holding 1
	relent
	came_to ok
	demand
	sgk_wait 5 no_rooms
}

@test "a room that somebody else thaws is frozen again, and goes when its call has ended" {
	local room
	setting --set hold-timeout=2s
	begin udp 192.0.2.3 80
	room=$(rooms)
	echo 0 >"$room/cgroup.freeze"
	sgk_wait 5 grep -q '^frozen 1' "$room/cgroup.events"
	[ "$(rooms)" = "$room" ]
	holding 1
	came_to EAGAIN '.ms >= 1990 and .cpu_ms < 300'
	sgk_wait 5 no_rooms
	setting --set hold-timeout=20s
}

@test "what a killed daemon knew of a call whose program was killed, too, is forgotten by the next one" {
	begin udp 192.0.2.3 80
	kill -STOP "$(cat "$SGK_DIR/daemon.pid")"
	kill -KILL "$begun"
	sgk_daemon_kill
	[ "$(known)" = 1 ]
	sgk_daemon_start
	sgk_wait 5 knows_none
}
known() { bpftool -j map dump pinned "$SGK_PIN/map/holds" | jq length; }
knows_none() { [ "$(known)" = 0 ]; }

@test "a keeper that was killed is replaced" {
	local old
	old=$(keeper)
	kill -KILL "$old"
	sgk_wait 5 another_keeper "$old"
}
another_keeper() { [ -n "$(keeper)" ] && [ "$(keeper)" != "$1" ]; }

@test "a daemon in a PID namespace of its own holds nothing, and says why" {
	sgk_daemon_kill
	sgk_spawn "$SGK_DIR/log" nsenter --net="/run/netns/$SGK_A" -- unshare --pid --fork --kill-child --mount-proc \
		"$SAGATE" daemon -c "$SGK_CONF" >"$SGK_DIR/daemon.pid"
	sgk_wait 20 sgk_ready
	setting --set hold-timeout=20s
	in_force "wait no-sa" udp 192.0.2.3:80
	run -0 holder udp 192.0.2.3 80
	jq -e '.results == {"EAGAIN":1}' <<<"$output"
	[ "$(counters gated | jq '.unheld["no-kick"]')" = 1 ]
	run sagate doctor --json
	jq -e '.checks | any(.check == "hold" and .status == "fail" and (.message | contains("PID namespace")))' <<<"$output"
	sgk_daemon_kill
	sgk_daemon_start
}
