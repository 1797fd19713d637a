#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# service.bats: mode hold in services of a real systemd: what systemctl does to a
# service while its call waits, and to sagate.service. The systemd is a user
# manager of root's, since the daemon has to be in the host's PID namespace.

bats_require_minimum_version 1.5.0
export SYSTEMD=user
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/host.sh"
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/systemd.sh"

setup_file() {
	export SGK_HOLDER=$BATS_FILE_TMPDIR/holder
	"${CC:-gcc}" -std=gnu11 -O2 -D_GNU_SOURCE -pthread -o "$SGK_HOLDER" "$BATS_TEST_DIRNAME/holder.c" || return 1
	systemd_up
}
teardown_file() { systemd_down; }
setup() {
	on_a ip xfrm policy flush
	# shellcheck disable=SC2046 # words
	spd add dst 192.0.2.3/32 $(tmpl 3)
}
teardown() {
	[ -n "$BATS_TEST_COMPLETED" ] || systemd_story || :
	systemctl_ stop app || :
	is sagate active || systemctl_ start sagate
}

# held [OPTIONS-OF-HOLDER]: the service app is started, whose program makes one call, and it waits.
held() { starts "exec $SGK_HOLDER udp 192.0.2.3 80 ${1-}"; }
starts() {
	SETTINGS="--mode hold --set hold-timeout=60s" app "$1"
	systemctl_ start app
	sgk_wait 10 holding 1
}
holding() { [ "$(cli show holds --json | jq 'map(select(.asleep)) | length')" = "$1" ]; }
came_to() { sgk_wait 10 grep -qs "\"results\":{\"$1\":1}" "$SGK_DIR/app.out"; }
ended() { [ "$(tail -n 1 "$SGK_DIR/app.end")" = "$*" ]; }
in_service() { find "$SGK_CGROUP2$SERVICES/app.service" -type d -name 'sagate-hold-*'; }
nobody_held() { holding 0 && [ -z "$(find "$SGK_CGROUP2$SYSTEMD_CGROUP" -type d -name 'sagate-hold-*')" ]; }
gone() { [ ! -e "$SGK_CGROUP2$SERVICES/app.service" ]; }
# soon CMD...: a stop that waits for a thread which sleeps takes 90 s.
soon() { timeout 15 bash -c "$(declare -f systemd_pid systemd systemctl_); systemctl_ $*"; }

@test "while its call waits the service is active, also for daemon-reload; then the call goes through" {
	held
	run ! grep -q '^Uid:[[:space:]]0' "/proc/$(value sagate MainPID)/status"
	is app active
	[ -n "$(in_service)" ]
	run -0 systemctl_ --no-pager status app
	[[ $output == *"Active: active (running)"* && $output == *holder* ]]
	systemctl_ daemon-reload
	systemctl_ reload sagate
	is app active
	sgk_wait 10 holding 1
	spd delete dst 192.0.2.3/32
	came_to ok
	sgk_wait 5 ended success exited 0
	sgk_wait 5 nobody_held
}

# bats test_tags=lab
@test "stop ends the service at once, and the room goes with it" {
	held
	soon stop app
	is app inactive
	ended success killed TERM
	gone
	[ ! -s "$SGK_DIR/app.out" ]
	sgk_wait 5 nobody_held
	run ! grep 'cannot be thawed' "$SGK_DIR/log"
}

@test "restart: the old program ends, the new one's call waits, and goes through" {
	local before
	held
	before=$(value app MainPID)
	soon restart app
	[ "$(value app MainPID)" != "$before" ]
	sgk_wait 10 holding 1
	spd delete dst 192.0.2.3/32
	came_to ok
	sgk_wait 5 nobody_held
}

@test "a handler for the signal of stop runs, and the program ends by itself" {
	held --handler=15
	soon stop app
	came_to EINTR
	ended success exited 0
	gone
	sgk_wait 5 nobody_held
}

@test "the unit is removed while the call of a second process waits; kill reaches all, and nothing is left" {
	starts "$SGK_HOLDER udp 192.0.2.3 80 & exec sleep 1000"
	rm "$UNITS/app.service"
	systemctl_ daemon-reload
	is app active
	holding 1
	# "Operation not supported": systemd wants to read a list of processes in the room, too, after
	# it has sent the signal to all of them
	soon kill --kill-who=all --signal=KILL app || :
	sgk_wait 10 gone
	sgk_wait 5 nobody_held
	systemctl_ reset-failed app || :
	[ "$(value app LoadState)" = not-found ]
}

@test "sagate.service is stopped: the call goes on, and is rejected; the next one's calls wait" {
	held
	soon stop sagate
	came_to EAGAIN
	[ -z "$(in_service)" ]
	systemctl_ start sagate
	held
}

# bats test_tags=lab
@test "daemon and keeper are killed: ExecStopPost wakes who sleeps, the daemon comes back and holds" {
	local before
	held
	before=$(value sagate MainPID)
	: >"$SGK_DIR/log"
	kill -STOP "$(pgrep -P "$before" -x sagate-keeper)" # the keeper, which may be killed second
	systemctl_ kill --signal=KILL --kill-who=all sagate
	came_to EAGAIN
	grep -q ' waiting rooms were left: their threads go on' "$SGK_DIR/log"
	[ -z "$(in_service)" ]
	sgk_wait 20 back "$before"
	held
}
back() { is sagate active && [ "$(value sagate MainPID)" != "$1" ]; }

@test "the daemon alone is killed: its keeper wakes who sleeps" {
	held
	: >"$SGK_DIR/log"
	systemctl_ kill --signal=KILL --kill-who=main sagate
	came_to EAGAIN
	[ -z "$(in_service)" ]
	sgk_wait 20 is sagate active
	held
}
