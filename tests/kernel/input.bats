#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# input.bats: whatever is wrong with what sagate is given, one clear error says
# so, nothing is half done, and the daemon that runs goes on.

bats_require_minimum_version 1.5.0
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/host.sh"

setup_file() {
	SGK_TRIGGER=vici sgk_up || return 1
	# shellcheck disable=SC2046 # words
	spd add dst 192.0.2.3/32 $(tmpl 3)
	spd add dst 192.0.2.4/32 action block
	in_force "deny policy-block" udp 192.0.2.4:80
}
teardown_file() { sgk_down; }
teardown() {
	rm -rf "$SGK_PIN"-*
	[ -n "$BATS_TEST_COMPLETED" ] || tail -n 15 "$SGK_DIR/log"
}

# still_serves: the daemon of setup_file is as it was.
still_serves() {
	[ "$(sagate show gates --json | jq -c 'map(.name)')" = '["gated"]' ] &&
	[ "$(find "$SGK_PIN/gate" -mindepth 1 -maxdepth 1 -printf '%f ')" = "gated " ] &&
	expect EACCES udp 192.0.2.4 80 && expect ok udp 192.0.2.2 80
}

daemon() { on_a timeout 20 "$SAGATE" daemon -c "$SGK_DIR/bad.conf" "$@"; }

# refuses LINE WORDS: a daemon with the configuration on standard input ends
# with 1 and one line that names file, line and WORDS; nothing is pinned.
refuses() {
	cat >"$SGK_DIR/bad.conf"
	run -1 --separate-stderr daemon -s "$SGK_DIR/bad.sock"
	# shellcheck disable=SC2154 # bats sets it
	[[ $stderr == *"$SGK_DIR/bad.conf:$1: "*"$2"* ]] ||
		{ sgk_fail "no '$SGK_DIR/bad.conf:$1: … $2' in: $stderr"; return 1; }
	[ "$(wc -l <<<"$stderr")" = 1 ] && [ -z "$output" ] && [ ! -e "$SGK_PIN-bad" ] &&
		[ ! -e "$SGK_DIR/bad.sock" ]
}

@test "the configuration: each error names file, line and key" {
	local head="[daemon]
pin=$SGK_PIN-bad"
	refuses 3 "colour" <<<"$head
colour=blue"
	refuses 3 "[daemons]" <<<"$head
[daemons]"
	refuses 5 "mode=" <<<"$head
[gate \"x\"]
cgroup=/x
mode=maybe"
	refuses 3 "needs cgroup=" <<<"$head
[gate \"x\"]"
	refuses 4 "to=" <<<"$head
[require \"r\"]
to=10.2.0.1/16"
	refuses 4 "to=" <<<"$head
[require \"r\"]
to=300.1.2.3"
	refuses 4 "to=" <<<"$head
[require \"r\"]
to=2001:db8::/129"
	refuses 3 "two address families" <<<"$head
[require \"r\"]
to=10.2.0.0/16
from=2001:db8::/32"
	refuses 5 "port=" <<<"$head
[require \"r\"]
to=10.2.0.0/16
port=65536"
	refuses 4 "errno-waiting=" <<<"$head
[defaults]
errno-waiting=ERESTARTSYS"
	refuses 4 "vici=" <<<"$head
[ike]
vici=tcp://192.0.2.1"
	refuses 3 "was there already" <<<"$head
[daemon]
pin=$SGK_PIN-bad"
	refuses 3 "twice" <<<"$head
pin=$SGK_PIN-bad"
	still_serves
}

@test "a configuration that is not there, or is a folder" {
	rm -f "$SGK_DIR/bad.conf"
	run -1 --separate-stderr daemon
	[[ $stderr == *"$SGK_DIR/bad.conf"*"No such file"* ]]
	mkdir "$SGK_DIR/bad.conf"
	run -1 --separate-stderr daemon
	[[ $stderr == *"$SGK_DIR/bad.conf"*"directory"* ]]
	rmdir "$SGK_DIR/bad.conf"
}

# attach_refused CGROUP WORDS
attach_refused() {
	run -1 --separate-stderr sagate attach "$1" --name bad
	[[ $stderr == *"$1"*"$2"* && $stderr != *$'\n'* ]] ||
		{ sgk_fail "attach $1: no '$2' in: $stderr"; return 1; }
	still_serves
}

@test "a cgroup that is not there, is of v1, or is none" {
	local v1
	attach_refused "/$SGK_GATE-nowhere" "not there"
	attach_refused "/etc" "not in cgroup v2"
	attach_refused "$SGK_CGROUP2/$SGK_GATE/cgroup.procs" ""
	attach_refused "/$SGK_GATE/cgroup.procs" ""
	attach_refused "/$SGK_GATE/../.." ""
	v1=$(findmnt -nro TARGET -t cgroup | head -n 1)
	[ -z "$v1" ] || attach_refused "$v1" "v1"
	run -2 --separate-stderr sagate attach "/$SGK_GATE" --name bad --set colour=blue
	run -2 --separate-stderr sagate attach "/$SGK_GATE" --name bad --mode on
	run -2 --separate-stderr sagate attach "/$SGK_GATE" --name ../bad
	still_serves
}

# A setting reaches the daemon by its socket too, without the command's check.
@test "requests that no command of ours would send" {
	local line answer
	for line in 'x' '{}' '[]' '{"command":"fly"}' '{"command":"attach"}' \
		'{"command":"attach","args":{"name":"bad","cgroup":7}}' \
		'{"command":"attach","args":{"name":"../bad","cgroup":"/'"$SGK_GATE"'"}}' \
		'{"command":"attach","args":{"name":"bad","cgroup":"/'"$SGK_GATE"'","settings":{"colour":"blue"}}}' \
		'{"command":"explain","args":{"proto":"tcp","dst":"nowhere"}}' \
		'{"command":"explain","args":{"proto":"tcp","dst":"192.0.2.3","dport":70000}}'; do
		answer=$(socat -t 5 - "UNIX-CONNECT:$SGK_SOCKET" <<<"$line")
		jq -e '.error.code and .error.message' <<<"$answer" || { sgk_fail "$line: $answer"; return 1; }
	done
	head -c 100000 /dev/zero | tr '\0' 'x' | socat -t 5 - "UNIX-CONNECT:$SGK_SOCKET" || :
	still_serves
}

ike_error() { sagate status --json | jq -r '.spaces[0].ike | select(.up | not) | .error'; }
ike_error_has() { [[ "$(ike_error)" == *"$1"* ]]; }
negotiation_failed() { [ "$(sagate show negotiations --json | jq -r '.[0].state')" = failed ]; }

@test "the VICI socket: not there, not a socket, or one that speaks nonsense; the daemon serves on" {
	sgk_wait 5 ike_error_has "No such file"
	run way udp 192.0.2.3 80
	[ "$output" = EAGAIN ] || [ "$output" = EHOSTUNREACH ]
	sgk_wait 5 negotiation_failed
	expect EHOSTUNREACH udp 192.0.2.3 80
	still_serves
	touch "$SGK_DIR/vici"
	sgk_wait 15 ike_error_has "refused" || sgk_wait 1 ike_error_has "socket"
	still_serves
	rm "$SGK_DIR/vici"
	sgk_spawn "$SGK_DIR/nonsense" socat "UNIX-LISTEN:$SGK_DIR/vici,fork" \
		"SYSTEM:head -c 70000 /dev/urandom" >"$SGK_DIR/nonsense.pid"
	sgk_wait 5 test -S "$SGK_DIR/vici"
	sgk_wait 30 ike_error_differs "refused"
	[ -n "$(ike_error)" ]
	still_serves
	sgk_stop "$SGK_DIR/nonsense.pid"
	rm -f "$SGK_DIR/vici"
	# a frame of 4 GB is announced
	sgk_spawn "$SGK_DIR/nonsense" socat "UNIX-LISTEN:$SGK_DIR/vici,fork" \
		"SYSTEM:printf '\\377\\377\\377\\377\\001'; sleep 30" >"$SGK_DIR/nonsense.pid"
	sleep 1 # nothing is to happen
	still_serves
	sgk_stop "$SGK_DIR/nonsense.pid"
	rm -f "$SGK_DIR/vici"
}
ike_error_differs() { local e; e=$(ike_error); [ -n "$e" ] && [[ $e != *"$1"* ]] && [[ $e != *"No such file"* ]]; }

@test "a second daemon is refused: on the same socket, and on the same pins" {
	run -1 --separate-stderr on_a timeout 20 "$SAGATE" daemon -c "$SGK_CONF"
	[[ $stderr == *"another daemon (pid $(cat "$SGK_DIR/daemon.pid"))"* ]]
	still_serves
	sed "s,^control=.*,control=$SGK_DIR/other.sock," "$SGK_CONF" >"$SGK_DIR/bad.conf"
	run -1 --separate-stderr daemon
	[[ $stderr == *"$SGK_PIN"* ]]
	[ ! -S "$SGK_DIR/other.sock" ]
	still_serves
}

@test "pins of another ABI are refused in words and left as they are" {
	local before
	sed "s,^control=.*,control=$SGK_DIR/other.sock,; s,^pin=.*,pin=$SGK_PIN-abi," "$SGK_CONF" >"$SGK_DIR/bad.conf"
	sgk_spawn "$SGK_DIR/other.log" nsenter --net="/run/netns/$SGK_A" -- \
		"$SAGATE" daemon -c "$SGK_DIR/bad.conf" >"$SGK_DIR/other.pid"
	sgk_wait 20 grep -q ready: "$SGK_DIR/other.log"
	sgk_stop "$SGK_DIR/other.pid"
	bpftool map update pinned "$SGK_PIN-abi/abi" key 0 0 0 0 value 99 0 0 0
	before=$(cd "$SGK_PIN-abi" && find . | sort; bpftool -j map show pinned "$SGK_PIN-abi/map/spd")
	run -1 --separate-stderr daemon
	[[ $stderr == *"$SGK_PIN-abi: pinned by a sagate with ABI 99, this one has "* ]]
	[ "$(wc -l <<<"$stderr")" = 1 ]
	[ "$(cd "$SGK_PIN-abi" && find . | sort; bpftool -j map show pinned "$SGK_PIN-abi/map/spd")" = "$before" ]
	# its twin: the same pins with the right number are adopted
	bpftool map update pinned "$SGK_PIN-abi/abi" key 0 0 0 0 \
		value "$(sagate version --json | jq .abi)" 0 0 0
	sgk_spawn "$SGK_DIR/other.log" nsenter --net="/run/netns/$SGK_A" -- \
		"$SAGATE" daemon -c "$SGK_DIR/bad.conf" >"$SGK_DIR/other.pid"
	sgk_wait 20 two_ready
	sgk_stop "$SGK_DIR/other.pid"
	still_serves
}
two_ready() { [ "$(grep -c ready: "$SGK_DIR/other.log")" = 2 ]; }

@test "without its capabilities the daemon names them" {
	local cap
	sed "s,^control=.*,control=$SGK_DIR/other.sock,; s,^pin=.*,pin=$SGK_PIN-cap," "$SGK_CONF" >"$SGK_DIR/bad.conf"
	for cap in bpf,-sys_admin net_admin,-sys_admin; do
		run -1 --separate-stderr on_a setpriv --bounding-set="-$cap" timeout 20 \
			"$SAGATE" daemon -c "$SGK_DIR/bad.conf"
		[[ $stderr == *"CAP_$(tr '[:lower:]' '[:upper:]' <<<"${cap%%,*}")"* ]] ||
			{ sgk_fail "without $cap: $stderr"; return 1; }
		rm -rf "$SGK_PIN-cap"
	done
	still_serves
}

@test "a pin folder that cannot be one is said to be none" {
	sed "s,^control=.*,control=$SGK_DIR/other.sock,; s,^pin=.*,pin=$SGK_DIR/pins," "$SGK_CONF" >"$SGK_DIR/bad.conf"
	run -1 --separate-stderr daemon
	[[ $stderr == *"$SGK_DIR/pins: not on a BPF file system"* ]]
	# such a file system takes no dots in names
	sed -i "s,^pin=.*,pin=$SGK_PIN-a.b," "$SGK_DIR/bad.conf"
	run -1 --separate-stderr daemon
	[[ $stderr == *"$SGK_PIN-a.b"*"dot"* ]]
}
