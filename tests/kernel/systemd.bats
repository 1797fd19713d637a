#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# systemd.bats: sagate.service as it is shipped, and a service with README's
# drop-in, under a real systemd, the first process of its namespaces. Mode hold:
# service.bats.

bats_require_minimum_version 1.5.0
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/host.sh"
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/systemd.sh"

setup_file() { systemd_up; }
teardown_file() { systemd_down; }
setup() { on_a ip xfrm policy flush; }
teardown() {
	[ -n "$BATS_TEST_COMPLETED" ] || systemd_story || :
	systemctl_ stop app || :
}

# one LINES...: the service app sends one datagram and sleeps.
one() { app "$SGK_WAYS udp 192.0.2.5 80; exec sleep 1000" "$@"; }
wrote() { [ "$(cut -d ' ' -f 1 "$SGK_DIR/app.out" | xargs)" = "$*" ]; }
waits="ExecStartPre=+\$SGK_DIR/sbin/sagate wait udp 192.0.2.5:80 --netns \$SGK_DIR/netns --gate app --timeout"

@test "sagate.service, as shipped, is ready, attaches gates under its own limits, and reloads" {
	is sagate active
	[ "$(cli status --json | jq .ready)" = true ]
	one
	systemctl_ start app
	sgk_wait 10 wrote ok
	cli show gates --json | jq -e '.[] | select(.name == "app") | .state == "attached" and
		.cgroup == "/system.slice/app.service" and .counters.verdicts.clear >= 1'
	systemctl_ reload sagate
	[ "$(grep -c 'configuration reloaded' "$SGK_DIR/log")" = 1 ]
	is sagate active
	cp "$SGK_CONF" "$SGK_DIR/conf.good"
	echo 'colour=red' >>"$SGK_CONF"
	run ! systemctl_ reload sagate
	grep -q "^sagate: .*$SGK_CONF:[0-9]*: .*colour" "$SGK_DIR/log" # what the command says
	is sagate active
	cp "$SGK_DIR/conf.good" "$SGK_CONF"
	systemctl_ reload sagate
	[ "$(grep -c 'configuration reloaded' "$SGK_DIR/log")" = 2 ]
}

# of PID FIELD: of its status, as it stands there.
of() { systemd sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status" | tr '\t' ' '; }
@test "the daemon is of its own user, with the rights that the unit names and a filter of its own; so is its keeper, with fewer" {
	local pid uid keeper
	pid=$(value sagate MainPID)
	uid=$(systemd id -u sagate)
	[ "$uid" != 0 ]
	keeper=$(systemd pgrep -P "$pid" -x sagate-keeper)
	[ "$(of "$pid" Uid)" = "$uid $uid $uid $uid" ]
	[ "$(of "$keeper" Uid)" = "$uid $uid $uid $uid" ]
	# DAC_OVERRIDE DAC_READ_SEARCH NET_ADMIN SYS_PTRACE SYS_ADMIN PERFMON BPF
	[ "$(of "$pid" CapPrm)" = 000000c000281006 ]
	[ "$(of "$pid" CapEff)" = 000000c000281006 ]
	[ "$(of "$pid" CapBnd)" = 000000c000281006 ]
	[ "$(of "$pid" CapAmb)" = 0000000000000000 ]
	[ "$(of "$keeper" CapPrm)" = 0000000000000002 ]
	run ! grep 'more rights than it needs' "$SGK_DIR/log"
	for pid in "$pid" "$keeper"; do
		[ "$(of "$pid" NoNewPrivs)" = 1 ]
		[ "$(of "$pid" Seccomp)" = 2 ]
		[ "$(of "$pid" CapInh)" = 0000000000000000 ]
		systemd grep -Eq '^Max core file size +0 +0 ' "/proc/$pid/limits"
	done
}

@test "systemd calls what the unit leaves open small" {
	local score
	mkdir "$SGK_DIR/alone" # without what the tests add
	cp "$UNITS/sagate.service" "$SGK_DIR/alone"
	score=$(systemd-analyze security --offline=yes --no-pager "$SGK_DIR/alone/sagate.service" | sed -n 's/.*level for sagate.service: \([0-9.]*\) .*/\1/p')
	[ -n "$score" ]
	echo "score $score"
	jq -n --argjson score "$score" -e '$score <= 2.8'
}

@test "each start of the service begins in its gate; a restart too" {
	on_a ip xfrm policy add dir out dst 192.0.2.5/32 action block
	sgk_wait 5 denied
	one
	systemctl_ start app
	sgk_wait 10 wrote EACCES
	systemctl_ restart app
	sgk_wait 10 wrote EACCES EACCES
}
denied() { [ "$(cli explain udp 192.0.2.5:80 --netns "$SGK_DIR/netns" --json | jq -r .reason)" = policy-block ]; }

@test "with a line for wait the service starts when its flow passes; without that in time, not at all" {
	# shellcheck disable=SC2046 # words
	on_a ip xfrm policy add dir out dst 192.0.2.5/32 $(tmpl 5)
	one "$(eval echo "\"$waits\"") 1"
	run ! systemctl_ start app
	is app failed
	[ "$(value app Result)" = exit-code ]
	[ ! -s "$SGK_DIR/app.out" ]
	one "$(eval echo "\"$waits\"") 60"
	systemctl_ start --no-block app
	sgk_wait 10 waiting
	is app activating
	on_a ip xfrm policy flush
	sgk_wait 10 is app active
	sgk_wait 10 wrote ok
}
waiting() { [ "$(cli status --json | jq .waits)" = 1 ]; }

@test "all processes of sagate are killed: systemd brings it back, and the service's gate is as before" {
	local before
	one
	systemctl_ start app
	before=$(value sagate MainPID)
	systemctl_ kill --signal=KILL --kill-who=all sagate
	sgk_wait 20 back "$before"
	cli show gates --json | jq -e '.[] | select(.name == "app") | .state == "attached" and .cgroup == "/system.slice/app.service"'
	[ "$(value sagate Result)" = success ]
}
back() { is sagate active && [ "$(value sagate MainPID)" != "$1" ]; }
