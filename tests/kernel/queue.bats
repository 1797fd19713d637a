#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# queue.bats: hold-nonblocking=queue: a connect() that is not to block goes on
# where the kernel keeps its SYN, and nowhere else. That it then goes out with
# the SA is for tests/lab/hold.bats.

bats_require_minimum_version 1.5.0
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/host.sh"

setup_file() {
	export SGK_HOLDER
	sgk_up "[require \"r\"]
	to=198.51.100.1" || return 1
	SGK_HOLDER=$SGK_DIR/holder
	"${CC:-gcc}" -std=gnu11 -O2 -D_GNU_SOURCE -pthread -o "$SGK_HOLDER" "$BATS_TEST_DIRNAME/holder.c" || return 1
	# shellcheck disable=SC2046 # words
	spd add dst 192.0.2.3/32 $(tmpl 3)
	# shellcheck disable=SC2046 # words
	spd add dst 2001:db8::3/128 $(tmpl6 4)
	spd add dst 192.0.2.4/32 action block
	in_force "deny policy-block" tcp 192.0.2.4:80
}
teardown_file() { sgk_down; }
teardown() {
	[ -n "$BATS_TEST_COMPLETED" ] && return
	tail -n 25 "$SGK_DIR/log"
	counters gated || :
	sgk_ready || sgk_daemon_start
}

setting() { sagate attach "/$SGK_GATE" --name gated --mode hold "$@" >/dev/null; }
queueing() { setting --set hold-timeout=20s --set hold-nonblocking=queue; }

# meets RESULT WAY ADDR [OPTIONS]: what one call that is not to block gets.
meets() {
	local got
	got=$(gated "$SGK_HOLDER" "$2" "$3" 80 --nonblock "${@:4}" | jq -r '.results | keys | join(" ")')
	[ "$got" = "$1" ] || sgk_fail "$2 $3: got $got, not $1"
}
larval_drop() { on_a cat /proc/sys/net/core/xfrm_larval_drop; }
drops() { [ "$(larval_drop)" = "$1" ]; }
set_drop() { on_a sysctl -qw "net.core.xfrm_larval_drop=$1"; }
queue() { sagate show spaces --json | jq -r '.[0].queue'; }
queue_is() { [ "$(queue)" = "$1" ]; }
queued() { counters gated | jq '.unheld.queued // 0'; }
# segments: TCP segments that have come to the peer
# shellcheck disable=SC2016 # awk's own
segments() { on_b awk '/^Tcp:/ && $11 != "InSegs" { print $11 }' /proc/net/snmp; }

@test "a connect that is not to block goes on, its SYN is kept, and the SA is asked for; all else is as with reject" {
	local before after
	drops 1
	queueing
	drops 0 && queue_is on
	before=$(segments)
	sgk_spawn "$SGK_DIR/watch" nsenter --net="/run/netns/$SGK_A" -- \
		"$SAGATE" watch --json -s "$SGK_SOCKET" >"$SGK_DIR/watch.pid"
	sgk_wait 5 sees_event
	sgk_stop "$SGK_DIR/watch.pid"
	jq -se 'map(select(.event == "verdict" and .flow.dst == "192.0.2.3"))[0] |
		.queued and .errno == null and .held == false and .reason == "no-sa"' "$SGK_DIR/watch"
	sagate show negotiations --json | jq -e 'any(.peer == "192.0.2.3" and .state == "started")'
	before=$(counters gated)
	meets EINPROGRESS tcp 192.0.2.3
	meets EINPROGRESS tcp 2001:db8::3
	after=$(difference "$before" "$(counters gated)")
	[[ " $after " == *" unheld.queued=2 "* && " $after " == *" verdicts.wait=2 "* && $after != *refused* ]]
	[ "$(segments)" = "$(cat "$SGK_DIR/segments")" ]
	before=$(queued)
	meets EAGAIN udp 192.0.2.3
	meets EAGAIN sendmsg 192.0.2.3
	meets EAGAIN udp-connect 192.0.2.3
	meets EAGAIN tcp 198.51.100.1 # a requirement, and no policy would keep the SYN
	meets EACCES tcp 192.0.2.4
	meets EINPROGRESS tcp 192.0.2.2
	[ "$(queued)" = "$before" ]
	sagate doctor --json | jq -e '.checks | any(.check == "queue" and .status == "ok")'
	sagate show spaces | grep -q ' QUEUE '
}
sees_event() { segments >"$SGK_DIR/segments"; meets EINPROGRESS tcp 192.0.2.3; grep -q '"queued": *true' "$SGK_DIR/watch"; }

@test "with the last gate that needs it xfrm_larval_drop is what it was" {
	queueing
	drops 0
	setting --set hold-nonblocking=reject
	drops 1 && queue_is off
	meets EAGAIN tcp 192.0.2.3
	run ! grep -q ' QUEUE ' <(sagate show spaces)
	set_drop 0
	queueing
	queue_is on
	setting
	drops 0
	set_drop 1
}

@test "when somebody sets it back nothing is queued any more, and that is said; a reload takes it again" {
	queueing
	set_drop 1
	sgk_wait 5 queue_is undone
	meets EAGAIN tcp 192.0.2.3
	grep -q '^<4>space host: somebody set net.core.xfrm_larval_drop back' "$SGK_DIR/log"
	sagate doctor --json | jq -e '.checks | any(.check == "queue" and .status == "warn")'
	queueing
	drops 1
	set_drop 0
	sgk_wait 5 queue_is on
	meets EINPROGRESS tcp 192.0.2.3
	set_drop 1
	sgk_wait 5 queue_is undone
	kill -HUP "$(cat "$SGK_DIR/daemon.pid")"
	sgk_wait 5 queue_is on
	drops 0
	meets EINPROGRESS tcp 192.0.2.3
}

@test "a daemon that is killed: no queue once it is stale, and the next one still knows what to take back" {
	queueing
	drops 0
	sgk_daemon_kill
	sgk_wait 10 meets EAGAIN tcp 192.0.2.3
	drops 0
	sgk_daemon_start
	queue_is on
	meets EINPROGRESS tcp 192.0.2.3
	sgk_daemon_kill
	sgk_daemon_start
	setting
	drops 1
}

@test "a daemon that is stopped takes it back, and its gates queue nothing from then on" {
	queueing
	sgk_stop "$SGK_DIR/daemon.pid"
	drops 1
	meets EAGAIN tcp 192.0.2.3
	sgk_daemon_start
	drops 0
	meets EINPROGRESS tcp 192.0.2.3
}

@test "a negotiation that has just failed gives errno-failed" {
	queueing
	SGK_TRIGGER=vici sgk_conf ""
	sgk_stop "$SGK_DIR/daemon.pid"
	sgk_daemon_start
	sgk_wait 5 meets EHOSTUNREACH tcp 192.0.2.3
	sagate show negotiations --json | jq -e 'any(.state == "failed")'
}
