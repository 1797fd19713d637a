#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# options.bats: socket options that make the kernel send reports of its own, for
# multicast groups, or that lead packets another way.

bats_require_minimum_version 1.5.0
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/host.sh"

setup_file() {
	sgk_up '[require "all"]
	to=239.1.0.0/16
	[require "all6"]
	to=ff05::1:0/112
	[require "udp"]
	to=239.2.0.0/16
	proto=udp' || return 1
	ip -n "$SGK_A" route add 224.0.0.0/4 dev w
	mode reject # one errno, whatever its negotiation came to
	in_force "wait required-no-policy" igmp 239.1.2.3
}
teardown_file() { sgk_down; }
teardown() {
	[ -n "$BATS_TEST_COMPLETED" ] && return
	tail -n 25 "$SGK_DIR/log"
	counters gated || :
	sgk_ready || sgk_daemon_start
}

mode() { sagate attach "/$SGK_GATE" --name gated --mode "$1" --set errno-failed=EAGAIN "${@:2}" >/dev/null; }
option() { gated python3 "$BATS_TEST_DIRNAME/option.py" "$@"; }
# comes_to "RESULTS" OPTION,… GROUP [DEVICE]
comes_to() {
	local got
	got=$(option "${@:2}")
	[ "$got" = "$1" ] || sgk_fail "${*:2}: got $got, not $1"
}

each_join() {
	local way
	for way in mreq mreq-address source; do
		comes_to EAGAIN "$way" 239.1.2.3 || return 1
		comes_to ok "$way" 239.3.2.3 || return 1
	done
	for way in mreqn join join-source; do
		comes_to EAGAIN "$way" 239.1.2.3 w || return 1
		comes_to ok "$way" 239.3.2.3 w || return 1
	done
	for way in join6 join join-source; do
		comes_to EAGAIN "$way" ff05::1:2 w || return 1
		comes_to ok "$way" ff05::2:2 w || return 1
	done
}
# bats test_tags=lab
@test "joining a group, by any option, is judged as IGMP or MLD to it" {
	run -0 each_join
	[ "$(counters gated | jq -c '[.refused, .verdicts.wait, .verdicts.clear]')" = "[9,9,9]" ]
}

@test "the protocol counts: what only UDP must have is no matter of a join" {
	comes_to "ok ok" mreq,drop 239.2.2.3
	expect EAGAIN udp 239.2.2.3 9
}

@test "leaving is judged, too; what was joined before stays so" {
	# shellcheck disable=SC2046 # words
	comes_to "ok ok" mreq,drop 239.4.2.3
	comes_to "ok ok" join6,leave6 ff05::4:2 w
	comes_to "EAGAIN EAGAIN" mreq,drop 239.1.2.3
	comes_to "EAGAIN EAGAIN" join,leave 239.1.2.3 w
	comes_to "EAGAIN EAGAIN" join6,leave6 ff05::1:2 w
}

# bats test_tags=lab
@test "source routes and routing headers are refused, other options of theirs are not" {
	comes_to EACCES lsrr 192.0.2.9
	comes_to ok router-alert 192.0.2.9
	comes_to EACCES rthdr 2001:db8::9
	comes_to EACCES rthdr-2292 2001:db8::9
	comes_to ok rthdr-off 2001:db8::9
	[ "$(counters gated | jq '.reasons["source-route"]')" = 3 ]
}

# bats test_tags=lab
@test "what is not judged reaches the kernel as it is, however long" {
	local name
	for name in long short ttl; do
		[ "$(option $name 239.3.2.3)" = "$(on_a python3 "$BATS_TEST_DIRNAME/option.py" $name 239.3.2.3)" ]
	done
	comes_to ok ttl 239.3.2.3
	comes_to EINVAL short 239.1.2.3
}

@test "audit lets them pass and tells" {
	mode audit
	counted "audited=1 events=1 reasons.required-no-policy=1 verdicts.wait=1" comes_to ok mreq 239.1.2.4
	counted "audited=1 events=1 reasons.source-route=1 verdicts.deny=1" comes_to ok lsrr 192.0.2.9
	mode reject
}

@test "hold: a join waits for its SA, where a call's return needs no signal" {
	# shellcheck disable=SC2046 # words
	spd add dst 239.5.0.0/16 proto 2 $(tmpl 5)
	in_force "wait no-sa" igmp 239.5.2.3
	mode hold --set hold-timeout=20s
	sgk_spawn_gated "$SGK_DIR/join" python3 "$BATS_TEST_DIRNAME/option.py" mreq 239.5.2.3 >"$SGK_DIR/join.pid"
	sgk_wait 5 holding 1
	[ ! -s "$SGK_DIR/join" ]
	spd delete dst 239.5.0.0/16 proto 2
	sgk_wait 5 grep -qx ok "$SGK_DIR/join"
	mode reject
}
