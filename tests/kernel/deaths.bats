#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# deaths.bats: the daemon is killed at each step into or out of a system call in
# turn (or at every so manieth) while it starts, ends, and does what it is told. Its
# gates decide all the while, and the next daemon has each of them whole or not at all.
#
#   SAGATE_STEP=1 bats tests/kernel/deaths.bats     all of them: an hour

bats_require_minimum_version 1.5.0
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/host.sh"
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/killat.sh"

setup_file() {
	sgk_up && build_tools killat || return 1
	export OTHER=/$SGK_GATE-other PINNED
	mkdir "$SGK_CGROUP2$OTHER"
	spd add dst 192.0.2.4/32 action block
	# shellcheck disable=SC2046 # words
	spd add dst 192.0.2.3/32 $(tmpl 3)
	in_force "wait no-sa" udp 192.0.2.3:80
	in_force "deny policy-block" udp 192.0.2.4:80
	PINNED=$(pinned)
}
teardown_file() { sgk_down; }
teardown() {
	[ -n "$BATS_TEST_COMPLETED" ] || {
		echo "$what"
		grep -v libbpf "$SGK_DIR/log" | tail -n 15
		find "$SGK_PIN/gate"
	} || :
}

pinned() { find "$SGK_PIN/map" "$SGK_PIN/gate/gated" | sort; }
in_other() { sgk_in "$OTHER" "$SGK_WAYS" udp 192.0.2.4 80 | cut -d ' ' -f 1; }
other_is() { [ "$(sagate show gates --json | jq -r '.[] | select(.name == "other") | .state')" = "$1" ]; }

# traced N: the daemon will be killed at its N-th step from now on.
traced() { killat at "$(daemon)" "$1" 9; }
dead() { sgk_gone "$(daemon)"; }
# survived: it has done all of it, and is traced no more.
survived() {
	sgk_stop "$SGK_DIR/at.pid" KILL
	[ -s "$SGK_DIR/deaths" ] || sgk_fail "it did not die once: $(cat "$SGK_DIR/did")"
	echo "# $(wc -l <"$SGK_DIR/deaths") deaths in up to $1 steps" >&3
}

# What it does, killed at step N. Fails when that was done before.
start_at() {
	local before
	sgk_daemon_kill
	before=$(starts)
	start_traced "$1" "$SAGATE"
	sgk_wait 20 dead_or started "$before"
	dead
}
starts() { grep -c '^<5>ready' "$SGK_DIR/log"; }
started() { [ "$(starts)" -gt "$1" ]; }
dead_or() { dead || "$@"; }
stop_at() {
	traced "$1"
	kill -TERM "$(daemon)"
	sgk_wait 10 dead
	! grep -qx ended "$SGK_DIR/at"
}
attach_at() {
	other_is "" || sagate detach other
	traced "$1"
	! sagate attach "$OTHER" --name other
}
detach_at() {
	other_is attached || sagate attach "$OTHER" --name other
	traced "$1"
	! sagate detach other
}
reload_at() {
	sgk_conf "$(grep -q '^cgroup' "$SGK_CONF" || printf '[gate "other"]\ncgroup=%s' "$OTHER")"
	traced "$1"
	! sagate reload
}
policy_at() {
	spd delete dst 192.0.2.5/32 2>/dev/null || :
	in_force "clear no-policy" udp 192.0.2.5:80
	traced "$1"
	spd add dst 192.0.2.5/32 action block
	sgk_wait 10 dead_or in_force_now "deny policy-block" udp 192.0.2.5:80
	dead
}
in_force_now() { [ "$(sagate explain "${@:2}" --json | jq -r '"\(.verdict) \(.reason)"')" = "$1" ]; }

# each WHAT EVERY: at each step of it, or at every so manieth, the first of them drawn by chance.
each() {
	local n step=${SAGATE_STEP:-$2}
	: >"$SGK_DIR/deaths"
	for ((n = 1 + RANDOM % step; ; n += step)); do
		what="$1 killed at step $n"
		"$1_at" "$n" >"$SGK_DIR/did" 2>&1 || break
		sgk_wait 10 dead
		echo "$what" >>"$SGK_DIR/deaths"
		what="$what: by the dead one's gates"
		expect EACCES udp 192.0.2.4 80
		[ "$(way udp 192.0.2.3 80)" != ok ]
		what="$1 killed at step $n: the next daemon"
		sgk_daemon_start
		whole
	done
	survived "$n"
}
# Every gate decides, whole, or is not there; of all that was pinned nothing is lost, and nothing is left.
whole() {
	[ "$(pinned)" = "$PINNED" ]
	one_load
	expect EACCES udp 192.0.2.4 80
	expect EAGAIN udp 192.0.2.3 80
	expect ok udp 192.0.2.2 80
	sagate show gates --json | jq -e 'all(.state == "attached" and .problem == null)'
	if other_is attached; then
		[ "$(in_other)" = EACCES ]
	else
		[ ! -e "$SGK_PIN/gate/other" ]
		sgk_wait 5 ungated # the kernel lets go of a link a moment after its pin
	fi
}
ungated() { [ "$(in_other)" = EPERM ]; } # the kernel's own policy

@test "killed at any step of a start that adopts" { each start 4999; }
@test "killed at any step of its end" { each stop 37; }
@test "killed at any step of attach" { each attach 37; }
@test "killed at any step of detach" { each detach 23; }
@test "killed at any step of a reload that brings a gate or takes one off" { each reload 29; }
@test "killed at any step of a policy on its way into the maps" { each policy 19; }
