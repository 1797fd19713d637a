#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# programs.bats: mode hold and programs that know nothing of it: each is started
# in a gate, found asleep in its connect() or send, and at the first try through
# when the policy that asks for an SA goes. Their servers: programs.py, dropbear.

bats_require_minimum_version 1.5.0
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/host.sh"

setup_file() {
	sgk_up || return 1
	sagate attach "/$SGK_GATE" --name gated --mode hold --set hold-timeout=60s \
		--set hold-nonblocking-timeout=60s >/dev/null || return 1
	sgk_spawn "$SGK_DIR/served" nsenter --net="/run/netns/$SGK_B" -- \
		python3 "$BATS_TEST_DIRNAME/programs.py" 192.0.2.3 >"$SGK_DIR/servers.pid"
	sgk_wait 20 grep -q ready "$SGK_DIR/served"
}
teardown_file() { sgk_down; }
setup() {
	# shellcheck disable=SC2046 # words
	spd add dst 192.0.2.3/32 $(tmpl 3)
	in_force "wait no-sa" udp 192.0.2.3:80
}
teardown() {
	[ -n "$BATS_TEST_COMPLETED" ] || { tail -n 15 "$SGK_DIR/log"; cat "$SGK_DIR/out"; } || :
	sgk_stop "$SGK_DIR/program.pid" || :
	sgk_stop "$SGK_DIR/sshd.pid" || :
	spd delete dst 192.0.2.3/32 || :
} 2>/dev/null

waiting() { [ "$(sagate show holds --json | jq "map(select(.asleep)) | length")" -ge 1 ]; }
nobody() { [ "$(sagate show holds --json | jq length)" = 0 ]; }
relent() { spd delete dst 192.0.2.3/32; }
# start CMD…: in the gate, its output in $SGK_DIR/out; then "status N".
start() {
	: >"$SGK_DIR/out"
	# shellcheck disable=SC2016 # expanded inside
	sgk_spawn "$SGK_DIR/out" sh -c 'echo $$ >"$1/cgroup.procs"; netns=$2; shift 2
		nsenter --net="/run/netns/$netns" -- "$@"; printf "\nstatus %s\n" $?' \
		start "$SGK_CGROUP2/$SGK_GATE" "$SGK_A" "$@" >"$SGK_DIR/program.pid"
}
said() { grep -qs -- "$1" "$SGK_DIR/out"; }
# through TEXT CMD…: CMD waits, then ends well and has said TEXT.
through() {
	local text=$1 before after
	shift
	before=$(counters gated)
	start "$@"
	sgk_wait 30 waiting || return 1
	run ! said status
	relent
	sgk_wait 30 said '^status' || return 1
	cat "$SGK_DIR/out"
	said '^status 0$' && said "$text" || return 1
	after=$(counters gated)
	[[ " $(difference "$before" "$after") " != *" refused="* ]]
}

@test "curl" {
	through served curl -sS http://192.0.2.3:8080/
}

@test "dig" {
	through '^192.0.2.77$' dig +short +tries=1 +time=60 @192.0.2.3 a.example
}

@test "python: a blocking socket, one with a timeout, and asyncio" {
	through served python3 -c 'import socket
s = socket.create_connection(("192.0.2.3", 8080)); s.sendall(b"GET / HTTP/1.0\r\n\r\n"); print(s.recv(999)); print(s.recv(999))'
	setup
	through served python3 -c 'import urllib.request as u
print(u.urlopen("http://192.0.2.3:8080/", timeout=60).read())'
	setup
	through served python3 -c 'import asyncio
async def main():
    r, w = await asyncio.open_connection("192.0.2.3", 8080)
    w.write(b"GET / HTTP/1.0\r\n\r\n")
    print(await r.read())
asyncio.run(main())'
}

@test "node" {
	through served node -e 'require("http").get("http://192.0.2.3:8080/", r => r.on("data", d => console.log(d + "")))'
}

@test "psql" {
	through served psql -At "host=192.0.2.3 user=u dbname=d gssencmode=disable" -c 'select 1'
}

@test "ssh" {
	local d=$SGK_DIR
	mkdir -p "$d/home/.ssh"
	chmod 700 "$d/home" "$d/home/.ssh"
	ssh-keygen -q -t ed25519 -N '' -f "$d/key"
	cp "$d/key.pub" "$d/home/.ssh/authorized_keys"
	dropbearkey -t ed25519 -f "$d/hostkey" >/dev/null
	# authorized keys are in the home of whoever logs in
	# shellcheck disable=SC2016 # expanded inside
	sgk_spawn "$d/sshd.log" nsenter --net="/run/netns/$SGK_B" -- unshare --mount sh -c '
		mount --bind "$1/home" "$HOME" && exec dropbear -F -E -s -r "$1/hostkey" -p 2222 -P ""' sshd "$d" >"$d/sshd.pid"
	sgk_wait 10 on_b bash -c 'exec 3<>/dev/tcp/192.0.2.3/2222'
	through ^served ssh -F none -p 2222 -i "$d/key" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
		-o BatchMode=yes root@192.0.2.3 echo served
}

@test "strace looks on: the call is seen to restart, and goes through" {
	through served strace -f -e trace=connect -o "$SGK_DIR/strace" curl -sS http://192.0.2.3:8080/
	grep -q 'connect(.*192.0.2.3' "$SGK_DIR/strace"
}

@test "a time limit of the program's own ends it: alarm(), timeout(1)" {
	start timeout 1 curl -sS http://192.0.2.3:8080/
	sgk_wait 10 said '^status 124$'
	start python3 -c 'import signal, socket
def late(*_): raise TimeoutError
signal.signal(signal.SIGALRM, late); signal.alarm(1)
try: socket.create_connection(("192.0.2.3", 8080))
except TimeoutError: print("late")'
	sgk_wait 10 said '^late$'
	sgk_wait 5 nobody
}
