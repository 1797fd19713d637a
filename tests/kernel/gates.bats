#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# gates.bats: gates come, go and survive as they should: attach, detach, run,
# cgroups that vanish, reload, a killed daemon.

bats_require_minimum_version 1.5.0
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/host.sh"

setup_file() {
	sgk_up || return 1
	spd add dst 192.0.2.4/32 action block
	# shellcheck disable=SC2046 # words
	spd add dst 192.0.2.3/32 $(tmpl 3)
	in_force "wait no-sa" udp 192.0.2.3:80
}
teardown_file() { sgk_down; }
teardown() {
	[ -n "$BATS_TEST_COMPLETED" ] || tail -n 15 "$SGK_DIR/log"
}

links() { # CGROUP: how many programs are attached to it
	bpftool cgroup show "$SGK_CGROUP2$1" -j | jq -s ".[0] // [] | length"
}
gate_state() { sagate show gates --json | jq -r ".[] | select(.name == \"$1\") | .state"; }
gate_is() { [ "$(gate_state "$1")" = "$2" ]; }
run_in() { sgk_in "$1" "$SGK_WAYS" "${@:2}" | cut -d ' ' -f 1; }

@test "without BPF LSM a gate works with its other programs, and doctor and status say so" {
	local missing
	missing=$(sagate status --json | jq -r ".lsm_missing // empty")
	if [ -n "$missing" ]; then
		[ ! -e "$SGK_PIN/gate/gated/lsm_connect" ]
		sagate status | grep -qF "LSM programs: none: $missing"
		sagate doctor --json | jq -e --arg why "$missing" \
			'.checks | any(.check == "lsm" and .status == "warn" and (.message | startswith($why)))'
	else
		[ -e "$SGK_PIN/gate/gated/lsm_connect" ] && [ -e "$SGK_PIN/gate/gated/lsm_sendmsg" ]
		sagate doctor --json | jq -e '.checks | any(.check == "lsm" and .status == "ok")'
	fi
}

@test "attach gates a cgroup with a link for each hook and detach frees it" {
	local c=/$SGK_GATE-x
	mkdir "$SGK_CGROUP2$c"
	[ "$(run_in "$c" udp 192.0.2.3 80)" != EAGAIN ] # the kernel's own answer, or none
	sagate attach "$c" --name x
	[ "$(links "$c")" = "$(find "$SGK_PIN/gate/x" -type f | wc -l)" ]
	[ "$(links "$c")" -ge 4 ]
	[ -e "$SGK_PIN/gate/x/connect4" ]
	[ "$(run_in "$c" tcp 192.0.2.3 80)" = EAGAIN ]
	[ "$(run_in "$c" tcp 192.0.2.2 80)" = ok ]
	run -1 --separate-stderr sagate attach /"$SGK_GATE" --name x
	# shellcheck disable=SC2154 # bats sets it
	[[ $stderr == *"gate x is attached to $c"* ]]
	run -1 --separate-stderr sagate attach "$c" --name y
	[[ $stderr == *"has a gate already: x"* ]]
	sagate detach x
	[ "$(links "$c")" = 0 ]
	[ ! -e "$SGK_PIN/gate/x" ]
	[ "$(run_in "$c" udp 192.0.2.4 80)" = EPERM ] # the kernel's own policy
	run -1 --separate-stderr sagate detach x
	[[ $stderr == *"gate x: there is none"* ]]
	rmdir "$SGK_CGROUP2$c"
}

@test "the gate of a removed cgroup goes too" {
	local c=/$SGK_GATE-gone
	mkdir "$SGK_CGROUP2$c"
	sagate attach "$c" --name gone
	gate_is gone attached
	rmdir "$SGK_CGROUP2$c"
	sgk_wait 5 gate_is gone ""
	[ ! -e "$SGK_PIN/gate/gone" ]
	gate_is gated attached
}

@test "run gates its command, ends with its status and leaves nothing behind" {
	run -7 sagate_run -- sh -c 'exit 7'
	run -0 sagate_run -- "$SGK_WAYS" tcp 192.0.2.3 80
	[[ $output == "EAGAIN "* ]]
	run -0 sagate_run --set errno-waiting=ETIMEDOUT -- "$SGK_WAYS" tcp 192.0.2.3 80
	[[ $output == "ETIMEDOUT "* ]]
	run -0 sagate_run -- "$SGK_WAYS" tcp 192.0.2.2 80
	[[ $output == "ok "* ]]
	run -0 sagate_run --mode audit -- "$SGK_WAYS" udp 192.0.2.4 80
	[[ $output == "EPERM "* ]]
	run -127 sagate_run -- /no/such/program
	run -126 sagate_run -- /etc/passwd
	sgk_wait 5 no_runs
}
sagate_run() { on_a "$SAGATE" run -s "$SGK_SOCKET" "$@"; }
no_runs() {
	[ "$(sagate show gates --json | jq '[.[] | select(.source == "run")] | length')" = 0 ] &&
	[ -z "$(find "$SGK_CGROUP2" -maxdepth 4 -name 'sagate-run-*')" ]
}

@test "run passes signals on and tells of a command that one killed" {
	local pid
	run -143 sagate_run -- sh -c 'kill -TERM $$'
	sgk_spawn "$SGK_DIR/run" nsenter --net="/run/netns/$SGK_A" -- "$SAGATE" run -s "$SGK_SOCKET" -- \
		sh -c 'trap "echo got it; exit 3" TERM; echo up; while :; do sleep 0.05; done' >"$SGK_DIR/run.pid"
	sgk_wait 5 grep -q up "$SGK_DIR/run"
	pid=$(cat "$SGK_DIR/run.pid")
	kill -TERM "$pid"
	sgk_wait 5 grep -q "got it" "$SGK_DIR/run"
	sgk_wait 5 sgk_gone "$pid"
	sgk_wait 5 no_runs
}

@test "run without a daemon runs nothing" {
	run -1 --separate-stderr on_a "$SAGATE" run -s "$SGK_DIR/nobody.sock" -- touch "$SGK_DIR/ran"
	[[ $stderr == *"nothing was run"* ]]
	[ ! -e "$SGK_DIR/ran" ]
}

@test "a gate of the configuration waits for its cgroup, and for the next one of that path" {
	local c=/$SGK_GATE-late
	sgk_conf "[gate \"late\"]
	cgroup=$c"
	sagate reload
	gate_is late absent
	# a service that is not started is nothing ill, and told once
	sagate status --json | jq -e '.healthy and .problems == []'
	run -0 sagate status
	[[ $output == *"late   waits for its cgroup "* ]]
	sagate doctor --json | jq -e '[.checks[] | select(.message | startswith("gate late waits for its cgroup: "))] |
		length == 1 and .[0].status == "ok"'
	mkdir "$SGK_CGROUP2$c"
	sgk_wait 5 gate_is late attached
	[ "$(grep -c "gate late waits for its cgroup: cgroup $c: not there" "$SGK_DIR/log")" = 1 ]
	run ! grep "^<[0-3]>.*late" "$SGK_DIR/log"
	[ "$(run_in "$c" tcp 192.0.2.3 80)" = EAGAIN ]
	[ "$(run_in "$c" tcp 192.0.2.2 80)" = ok ]
	rmdir "$SGK_CGROUP2$c"
	sgk_wait 5 gate_is late absent
	mkdir "$SGK_CGROUP2$c"
	sgk_wait 5 gate_is late attached
	[ "$(run_in "$c" tcp 192.0.2.3 80)" = EAGAIN ]
	run -1 --separate-stderr sagate detach late
	[[ $stderr == *"is in the configuration"* ]]
	# a reload changes its settings, without a gap
	sgk_conf "[gate \"late\"]
	cgroup=$c
	errno-waiting=ENETDOWN"
	sagate reload
	[ "$(run_in "$c" tcp 192.0.2.3 80)" = ENETDOWN ]
	sgk_conf
	sagate reload
	gate_is late ""
	[ "$(links "$c")" = 0 ]
	gate_is gated attached
	rmdir "$SGK_CGROUP2$c"
}

said_bad() { [ "$(grep -c "not reloaded.*$SGK_CONF:.*colour" "$SGK_DIR/log")" = "$1" ]; }

@test "a reload of a bad file changes nothing and says why" {
	sgk_conf "[gate \"never\"]
	cgroup=/$SGK_GATE
	colour=blue"
	run -1 --separate-stderr sagate reload
	[[ $stderr == "sagate: $SGK_CONF:"*colour* ]]
	[ "$(sagate reload --json | jq -r .error.code)" = config ]
	kill -HUP "$(cat "$SGK_DIR/daemon.pid")"
	sgk_wait 5 said_bad 3
	gate_is never ""
	gate_is gated attached
	expect EAGAIN tcp 192.0.2.3 80
	expect ok tcp 192.0.2.2 80
	sgk_conf
	sagate reload
}

@test "a killed daemon leaves its gates standing, late heartbeat or not; the next one adopts them and sees what changed" {
	local c=/$SGK_GATE-open before after
	mkdir "$SGK_CGROUP2$c"
	sagate attach "$c" --name open --set stale=open
	spd add dst 192.0.2.5/32 action allow
	in_force "clear policy-allow" udp 192.0.2.5:80
	before=$(bpftool -j link show pinned "$SGK_PIN/gate/gated/connect4" | jq .id)
	sgk_daemon_kill
	# the frozen mirror still answers
	expect EACCES tcp 192.0.2.4 80
	expect ok udp 192.0.2.2 80
	sleep 5.2 # the heartbeat becomes late: time itself is the condition
	expect EACCES tcp 192.0.2.4 80
	expect EAGAIN tcp 192.0.2.3 80
	[ "$(run_in "$c" tcp 192.0.2.4 80)" = EACCES ]
	[ "$(run_in "$c" udp 192.0.2.2 80)" = ok ]
	run -1 --separate-stderr sagate status
	[[ $stderr == *"$SGK_SOCKET"* ]]
	# meanwhile the SPD changes: the next daemon must see it
	spd delete dst 192.0.2.4/32
	spd add dst 192.0.2.6/32 action block
	sgk_daemon_start
	after=$(bpftool -j link show pinned "$SGK_PIN/gate/gated/connect4" | jq .id)
	[ "$before" = "$after" ]
	gate_is gated attached
	gate_is open attached
	[ "$(sagate show gates --json | jq -r '.[] | select(.name == "open") | .settings.stale')" = open ]
	expect ok udp 192.0.2.4 80
	expect EACCES udp 192.0.2.6 80
	expect EAGAIN tcp 192.0.2.3 80
	spd delete dst 192.0.2.6/32
	spd add dst 192.0.2.4/32 action block
	in_force "deny policy-block" udp 192.0.2.4:80
	sagate detach open
	rmdir "$SGK_CGROUP2$c"
}

# loaded: the programs that the daemon has, and each link of the gate with its program
loaded() {
	local file
	for file in "$SGK_PIN"/prog/*; do
		bpftool -j prog show pinned "$file" | jq -c '[.name, .id]'
	done
	for file in "$SGK_PIN"/gate/gated/*; do
		bpftool -j link show pinned "$file" | jq -c '[.id, .prog_id]'
	done
}
link_ids() { loaded | sed -n 's/^\[\([0-9]*\),.*/\1/p'; }
programs_are() { # "nothing was loaded" or "this daemon has loaded"
	[ "$(find "$SGK_PIN/load" -mindepth 1 -maxdepth 1 | wc -l)" = 1 ] &&
	sagate doctor --json | jq -e --arg words "$1" \
		'.checks | any(.check == "programs" and .status == "ok" and (.message | endswith($words)))'
}
# The daemon that runs is killed, another one started: ready after TOOK ms.
next_daemon() {
	local begun
	sgk_daemon_kill
	begun=$(date +%s%3N)
	sgk_daemon_start
	TOOK=$(($(date +%s%3N) - begun))
}
verdicts_stand() {
	expect EACCES tcp 192.0.2.4 80 && expect EAGAIN tcp 192.0.2.3 80 && expect ok udp 192.0.2.2 80
}
# asks_on FILE: what is blocked is tried on and on until FILE.enough is there.
asks_on() {
	# shellcheck disable=SC2016 # expanded inside
	sgk_spawn "$1" bash -c 'while [ ! -e "$1.enough" ]; do "${@:2}"; done' asks "$1" \
		sh -c 'echo $$ >"$1/cgroup.procs"; exec nsenter --net="/run/netns/$2" -- "$3" udp 192.0.2.4 9' \
		asks "$SGK_CGROUP2/$SGK_GATE" "$SGK_A" "$SGK_WAYS" >"$1.pid"
}
all_were_refused() {
	local n
	n=$(wc -l <"$1")
	sgk_wait 10 longer_than "$1" $((n + 2))
	touch "$1.enough"
	sgk_wait 10 sgk_gone "$(cat "$1.pid")"
	[ "$(cut -d ' ' -f 1 "$1" | sort -u)" = EACCES ]
}
longer_than() { [ "$(wc -l <"$1")" -gt "$2" ]; }

@test "a restart loads no program: links and programs are the same, and every verdict stands" {
	local before again
	next_daemon
	before=$(loaded)
	asks_on "$SGK_DIR/asked"
	next_daemon
	again=$TOOK
	[ "$(loaded)" = "$before" ]
	programs_are "nothing was loaded"
	verdicts_stand
	all_were_refused "$SGK_DIR/asked"
	# with nothing to adopt
	rm -r "$SGK_PIN/load"
	next_daemon
	[ "$(loaded | grep -c .)" = "$(grep -c . <<<"$before")" ]
	[ "$(loaded)" != "$before" ]
	programs_are "this daemon has loaded"
	verdicts_stand
	echo "# ready after $TOOK ms when all is loaded, $again ms when it is adopted" >&3
}

@test "another build loads its own, moves the links, and unpins what was there; and back again" {
	local before links
	# one function of the BPF object has another name
	sed 's/packet_extensions/packet_extension5/g' "$SAGATE" >"$SGK_DIR/other"
	chmod +x "$SGK_DIR/other"
	run -1 cmp -s "$SAGATE" "$SGK_DIR/other"
	before=$(find "$SGK_PIN/load" -mindepth 1)
	links=$(link_ids)
	asks_on "$SGK_DIR/asked-other"
	SAGATE=$SGK_DIR/other next_daemon
	programs_are "this daemon has loaded"
	[ "$(link_ids)" = "$links" ]
	run ! grep -qxF "$before" <(find "$SGK_PIN/load" -mindepth 1)
	verdicts_stand
	SAGATE=$SGK_DIR/other next_daemon
	programs_are "nothing was loaded"
	next_daemon
	programs_are "this daemon has loaded"
	[ "$(link_ids)" = "$links" ]
	[ "$(find "$SGK_PIN/load" -mindepth 1)" = "$before" ]
	verdicts_stand
	all_were_refused "$SGK_DIR/asked-other"
}

@test "what is pinned and is not all that was loaded is not used: a pin less, another program, another map" {
	local load
	load=$(echo "$SGK_PIN"/load/*)
	rm "$load/gate_sendmsg6"
	next_daemon
	programs_are "this daemon has loaded"
	grep -q "gate_sendmsg6 is not what was loaded: the programs are loaded anew" "$SGK_DIR/log"
	verdicts_stand
	# a program that is attached, under the name of another
	rm "$load/gate_connect4"
	bpftool prog pin pinned "$load/gate_sendmsg4" "$load/gate_connect4"
	next_daemon
	programs_are "this daemon has loaded"
	grep -q "gate_connect4 is not what was loaded" "$SGK_DIR/log"
	verdicts_stand
	# programs that go on reading a map which is not the one that is pinned
	rm "$SGK_PIN/map/failed"
	next_daemon
	programs_are "this daemon has loaded"
	verdicts_stand
	next_daemon
	programs_are "nothing was loaded"
	verdicts_stand
}

# each_refused N: the gates fd0 … fdN refuse, each for itself.
each_refused() {
	local i
	for ((i = 0; i <= $1; i++)); do
		[ "$(run_in "/$SGK_GATE-fd$i" udp 192.0.2.4 80)" = EACCES ] ||
			{ sgk_fail "the gate fd$i lets pass"; return 1; }
	done
}
settings_left() { # PATH: the cgroup's id as its settings have it; 0: not written
	bpftool -j map dump pinned "$SGK_PIN/map/gate_settings" |
		jq --argjson id "$(stat -c %i "$SGK_CGROUP2$1")" \
			'[.[] | .formatted // . | select(.key == $id) | .value.cgroup_id] | first // 0'
}
# no gate is asked: it is the kernel's own policy that refuses
ungated_in() { [ "$(run_in "$1" udp 192.0.2.4 80)" = EPERM ]; }
all_attached() { [ "$(sagate show gates --json | jq "all(.state == \"attached\")")" = true ]; }

@test "a daemon that cannot take over all gates leaves them standing, names them, and takes them when it can" {
	local i unadopted c=/$SGK_GATE-fd
	for i in {0..19}; do
		mkdir "$SGK_CGROUP2$c$i"
		sagate attach "$c$i" --name "fd$i" >/dev/null
	done
	sgk_daemon_kill
	# shellcheck disable=SC2016 # expanded inside
	sgk_spawn "$SGK_DIR/log" bash -c 'ulimit -n 140; exec nsenter --net="$1" -- "$2" daemon -c "$3"' \
		bash "/run/netns/$SGK_A" "$SAGATE" "$SGK_CONF" >"$SGK_DIR/daemon.pid"
	sgk_wait 20 sgk_ready
	grep -q "is not adopted: .*Too many open files" "$SGK_DIR/log"
	each_refused 19
	[ "$(sagate show gates --json | jq length)" -ge 21 ]
	sagate show gates --json | jq -e 'any(.problem != null and (.problem | contains("not taken over")))'
	sagate status --json | jq -e '(.healthy | not) and (.problems | any(contains("not taken over")))'
	# by hand is no way to open one
	for i in {0..19}; do sagate attach "$c$i" --name "fd$i" || :; done
	each_refused 19
	[ "$(find "$SGK_PIN/gate" -name connect4 | wc -l)" = 21 ]
	# one that was not taken over leaves no settings for the next gate there either
	i=$(sagate show gates --json | jq -r 'first(.[] | select(.state == "failed" and (.name | startswith("fd")))) | .name[2:]')
	[ "$(settings_left "$c$i")" != 0 ]
	sagate detach "fd$i" >/dev/null
	[ "$(settings_left "$c$i")" = 0 ]
	sgk_wait 5 ungated_in "$c$i" # the kernel lets go of a link a moment after its pin
	unadopted=$i
	# half of them fewer, and there is room for the rest
	for i in {10..19}; do
		sagate detach "fd$i" >/dev/null
		rmdir "$SGK_CGROUP2$c$i"
	done
	sgk_wait 10 all_attached
	sagate attach "$c$unadopted" --name "fd$unadopted" >/dev/null
	each_refused 9
	for i in {0..9}; do
		sagate detach "fd$i" >/dev/null
		rmdir "$SGK_CGROUP2$c$i"
	done
	sgk_stop "$SGK_DIR/daemon.pid"
	sgk_daemon_start
	expect EACCES udp 192.0.2.4 80
}

# in_b ADDR: a datagram of the gate's process in the peer's namespace.
in_b() {
	# shellcheck disable=SC2016 # expanded inside
	sh -c 'echo $$ >"$1/cgroup.procs"; exec nsenter --net="/run/netns/$2" -- "$3" udp "$4" 80' \
		sh "$SGK_CGROUP2/$SGK_GATE" "$SGK_B" "$SGK_WAYS" "$1" | cut -d ' ' -f 1
}

@test "a namespace that nobody mirrors: stale=closed refuses, stale=open lets pass; loopback passes" {
	local before
	before=$(counters gated)
	[ "$(in_b 192.0.2.1)" = EAGAIN ]
	[ "$(in_b 127.0.0.1)" = ok ]
	[[ "$(difference "$before" "$(counters gated)")" == *reasons.no-space=1* ]]
	sagate attach "/$SGK_GATE" --name gated --set stale=open
	before=$(counters gated)
	[ "$(in_b 192.0.2.1)" = ok ]
	[[ "$(difference "$before" "$(counters gated)")" == *reasons.stale-open=1* ]]
	sagate attach "/$SGK_GATE" --name gated
	[ "$(in_b 192.0.2.1)" = EAGAIN ]
}
