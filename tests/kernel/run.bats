#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# run.bats: what `sagate run` starts is as if it had been started directly: alike.c
# compares. And `sagate run --mode hold`, and programs in a shell with job control,
# while their call waits: exit status, signals, Ctrl-C, Ctrl-Z and fg as without
# sagate. What `run` asks of the daemon: tests/unit/control/test_run.c.

bats_require_minimum_version 1.5.0
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/host.sh"

setup_file() {
	export SGK_HOLDER=$BATS_FILE_TMPDIR/holder
	"${CC:-gcc}" -std=gnu11 -O2 -D_GNU_SOURCE -pthread -o "$SGK_HOLDER" "$BATS_TEST_DIRNAME/holder.c" || return 1
	export SGK_ALIKE=$BATS_FILE_TMPDIR/alike
	"${CC:-gcc}" -std=gnu11 -O2 -D_GNU_SOURCE -o "$SGK_ALIKE" "$BATS_TEST_DIRNAME/alike.c" || return 1
	sgk_up || return 1
	sagate attach "/$SGK_GATE" --name gated --mode hold --set hold-timeout=60s >/dev/null
}
teardown_file() { sgk_down; }
setup() {
	run=- # any
	# shellcheck disable=SC2046 # words
	spd add dst 192.0.2.3/32 $(tmpl 3)
	in_force "wait no-sa" udp 192.0.2.3:80
	RUN="$SAGATE -s $SGK_SOCKET run --mode hold --set hold-timeout=60s --"
	HOLDS="$SAGATE -s $SGK_SOCKET show holds --json | jq -e"
}
teardown() {
	[ -n "$BATS_TEST_COMPLETED" ] || { cat "$SGK_DIR/out"; grep -v libbpf "$SGK_DIR/log" | tail -n 12; } || :
	spd delete dst 192.0.2.3/32 || :
} 2>/dev/null

nothing_left() {
	[ "$(sagate show holds --json)" = '[]' ] && [ "$(sagate show gates --json | jq length)" = 1 ] &&
	[ -z "$(find "$SGK_CGROUP2" -name 'sagate-run-*' -path "*$run*")" ]
}
in_background() {
	"$@" >"$SGK_DIR/out" 3>&- &
	run=$!
}
# begin CALL…: sagate run in the background, $run is its process, and the call waits.
begin() {
	# shellcheck disable=SC2086 # words
	in_background nsenter --net="/run/netns/$SGK_A" -- $RUN "$SGK_HOLDER" udp 192.0.2.3 80 "$@"
	sgk_wait 10 holding 1
}
ends_with() { # STATUS
	local status=0
	wait "$run" || status=$?
	[ "$status" = "$1" ] || sgk_fail "status $status, not $1"
	sgk_wait 10 nothing_left
}

# alike WHAT…: started directly and by sagate run.
alike() {
	cd "$SGK_DIR" || return 1 # its core dumps
	on_a "$SGK_ALIKE" "$@" >"$SGK_DIR/told" 3>&-
	mv "$SGK_DIR/told" "$SGK_DIR/direct"
	# shellcheck disable=SC2086 # words
	on_a "$SGK_ALIKE" "$@" $RUN >"$SGK_DIR/told" 3>&-
	rm -f core*
	[ "$(wc -l <"$SGK_DIR/direct")" -gt 60 ]
	diff "$SGK_DIR/direct" "$SGK_DIR/told" >&2
	sgk_wait 10 nothing_left
}

# gate_has NAME COUNT: its cgroup has so many processes.
gate_has() {
	[ "$(wc -l <"$SGK_CGROUP2$(sagate show gates --json | jq -r ".[] | select(.name == \"$1\").cgroup")/cgroup.procs")" = "$2" ]
}
gate_is_there() { sagate show gates --json | jq -e "any(.[]; .name == \"$1\")"; }

@test "run: each signal, in its default action, does to it what it does to the command" {
	alike ends
}

@test "run: each signal comes to the command once, with its value, as does one to the group" {
	alike takes
}

@test "run: limits, descriptors, dispositions, mask and all else are inherited" {
	local name
	for name in plain ignored blocked; do
		alike state "$name"
	done
}

@test "run: a setuid command takes signals and ends as without it" {
	local sig
	install -o nobody -m 4755 "$(command -v sleep)" "$SGK_DIR/sleep"
	for sig in KILL TERM ABRT; do
		# shellcheck disable=SC2086 # words
		in_background $RUN "$SGK_DIR/sleep" 60
		sgk_wait 10 grep -q '^Uid:.0.65534' "/proc/$run/status"
		kill -$sig "$run"
		ends_with $((128 + $(kill -l $sig)))
	done
}

@test "run in what sagate run has become, with one process id: a gate in a gate" {
	# shellcheck disable=SC2086 # words
	run -7 --separate-stderr $RUN $RUN sh -c 'grep -c "/sagate-run-[0-9]*/sagate-run-[0-9]*$" /proc/self/cgroup; exit 7'
	[ "$output" = 1 ]
	sgk_wait 10 nothing_left
}

@test "run: a name is free again at once, and taken while its command runs" {
	local status
	for status in 0 1 2 3; do
		run "-$status" on_a "$SAGATE" -s "$SGK_SOCKET" run --name named sh -c "exit $status"
	done
	in_background nsenter --net="/run/netns/$SGK_A" -- "$SAGATE" -s "$SGK_SOCKET" run --name named sleep 60
	sgk_wait 10 gate_has named 1
	run -1 --separate-stderr on_a "$SAGATE" -s "$SGK_SOCKET" run --name named true
	# shellcheck disable=SC2154 # bats sets it
	[[ $stderr == *"gate named is attached to "*"; nothing was run" ]]
	kill "$run"
	ends_with 143
}

@test "run: a gate whose command ended while no daemon ran goes with the next one" {
	in_background "$SAGATE" -s "$SGK_SOCKET" run --name named sleep 60
	sgk_wait 10 gate_is_there named
	[ "$(sagate show gates --json | jq -r '.[] | select(.name == "named").source')" = run ]
	sgk_daemon_kill
	kill "$run"
	wait "$run" || :
	sgk_daemon_start
	sgk_wait 10 nothing_left
}

@test "run: the call waits and goes through, and the status is the command's" {
	begin
	spd delete dst 192.0.2.3/32
	ends_with 0
	grep -q '{"ok":1}' "$SGK_DIR/out"
}

@test "run: a signal to it ends the command whose call waits, or is handled there" {
	local sig
	for sig in TERM HUP USR2; do
		begin
		kill -$sig "$run"
		ends_with $((128 + $(kill -l $sig)))
		[ ! -s "$SGK_DIR/out" ]
	done
	begin --handler 15
	kill -TERM "$run"
	ends_with 0
	grep -q '{"EINTR":1}.*"handled":1' "$SGK_DIR/out"
	begin --restart 10
	kill -USR1 "$run"
	sgk_wait 5 holding 1
	spd delete dst 192.0.2.3/32
	ends_with 0
	grep -q '{"ok":1}.*"handled":1' "$SGK_DIR/out"
}

@test "run: a command that is killed while its call waits, and a killed run: nothing is left" {
	begin
	kill -KILL "$(sagate show holds --json | jq '.[0].pid')"
	ends_with 137
	begin
	kill -KILL "$run"
	ends_with 137
}

# in_terminal HOLDER [OPTIONS]: Ctrl-C; Ctrl-Z, fg, and through; the shell sees a job as any other.
in_terminal() {
	on_a python3 "$BATS_TEST_DIRNAME/terminal.py" >"$SGK_DIR/out" <<-END
	send $1 udp 192.0.2.3 80\n
	until $HOLDS 'length == 1 and .[0].asleep'
	send \x03
	until $HOLDS 'length == 0'
	send echo status=\$?\n
	want status=130
	send $1 udp 192.0.2.3 80 ${2-}\n
	until $HOLDS 'length == 1 and .[0].asleep'
	send \x1a
	want Stopped
	send jobs\n
	want Stopped.*holder
	send fg\n
	until $HOLDS 'length == 1 and .[0].asleep'
	until ip -n $SGK_A xfrm policy delete dir out dst 192.0.2.3/32
	want "results":.*"ok":1
	send echo status=\$?\n
	want status=0
	send exit\n
	END
}

@test "a shell with job control: Ctrl-C, Ctrl-Z and fg of a program whose call waits" {
	echo "$BASHPID" >"$SGK_CGROUP2/$SGK_GATE/cgroup.procs"
	in_terminal "$SGK_HOLDER"
}

@test "a program with a handler of SIGCONT: Ctrl-Z and fg run it, and its call waits on" {
	echo "$BASHPID" >"$SGK_CGROUP2/$SGK_GATE/cgroup.procs"
	in_terminal "$SGK_HOLDER" "--restart 18"
	grep -q '"handled":1' "$SGK_DIR/out"
}

@test "run in a shell with job control: Ctrl-C, Ctrl-Z and fg as without it" {
	in_terminal "$RUN $SGK_HOLDER"
	sgk_wait 10 nothing_left
}
