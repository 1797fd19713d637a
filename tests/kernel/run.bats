#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# run.bats: `sagate run --mode hold`, and programs in a shell with job control,
# while their call waits: exit status, signals, Ctrl-C, Ctrl-Z and fg as without
# sagate. `run` in other modes: tests/unit/control/test_run.c.

bats_require_minimum_version 1.5.0
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/host.sh"

setup_file() {
	export SGK_HOLDER=$BATS_FILE_TMPDIR/holder
	"${CC:-gcc}" -std=gnu11 -O2 -D_GNU_SOURCE -pthread -o "$SGK_HOLDER" "$BATS_TEST_DIRNAME/holder.c" || return 1
	sgk_up || return 1
	sagate attach "/$SGK_GATE" --name gated --mode hold --set hold-timeout=60s >/dev/null
}
teardown_file() { sgk_down; }
setup() {
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
# begin CALL…: sagate run in the background, $run is its process, and the call waits.
begin() {
	# shellcheck disable=SC2086 # words
	nsenter --net="/run/netns/$SGK_A" -- $RUN "$SGK_HOLDER" udp 192.0.2.3 80 "$@" >"$SGK_DIR/out" 3>&- &
	run=$!
	sgk_wait 10 holding 1
}
ends_with() { # STATUS
	local status=0
	wait "$run" || status=$?
	[ "$status" = "$1" ] || sgk_fail "status $status, not $1"
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
	run=-
	sgk_wait 10 nothing_left
}
