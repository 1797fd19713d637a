#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# hold.bats: mode hold. Calls of programs that know nothing of sagate wait until
# the SA is there, and then go through: no error, no SYN again, no datagram lost,
# nothing in clear.
#
#   make && tests/lab/vm --kernel 6.12 -- bats tests/lab/hold.bats

bats_require_minimum_version 1.5.0
export GATE_MODE=hold GATE_GUARD=on
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/peers.sh"
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/gate.sh"

setup_file() {
	export LAB_RETRANSMIT_TRIES=6
	# A crowd's packets overtake one another while the host has taken a CPU away: by more than 32.
	export LAB_CHARON_EXTRA="replay_window = 1024"
	lab_up
	lab_charon_start a b
	lab_serve_start 80
	gate_others_serve
	lab_capture_start
	gate_up
}

teardown_file() {
	gate_down
	lab_down
}

teardown() {
	[ -n "$BATS_TEST_COMPLETED" ] || { gate_story || :; gate_mend || :; }
}

say() { echo "# $(uname -r): $*" >&3; }

rooms() { find /sys/fs/cgroup -type d -name 'sagate-hold-*' | wc -l; }
no_rooms() { [ "$(rooms)" = 0 ]; }

# held_through TO [CLIENTS]: each client calls connect() once, and it succeeds.
held_through() {
	local to=$1 n=${2:-10} out
	gate_mark
	out=$(gate_clients "$n" "$to" 80 --echo)
	say "$to: $n clients, the longest connect()" \
		"$(jq -rs 'max_by(.call_s).call_s * 1000 | round' <<<"$out") ms"
	[ "$(jq -s length <<<"$out")" = "$n" ]
	jq -se 'all(.ok and .echoed == 1)' <<<"$out"
	[ "$(gate_moved .negotiations.started verdicts.protected verdicts.clear verdicts.deny refused)" = "1 $n 0 0 0" ]
	[ "$(gate_moved held)" -ge 1 ]
	[ "$(gate_syn)" = 0 ]
	[ "$(gate_plain)" = 0 ]
}

@test "TCP: connect() waits for the SA and returns 0; IPv4 and IPv6" {
	gate_lab conn=t4 -- conn=u6 mode=tunnel family=6 auth=cert
	held_through 192.0.2.2
	held_through 2001:db8:b::1
	lab_capture_proves 4
	lab_capture_proves 6
	sagate status --metrics >"$LAB_DIR/metrics"
	grep -q '^sagate_sa_seconds_count{space="host",peer="192.0.2.2"} [1-9]' "$LAB_DIR/metrics"
	grep -q '^sagate_sa_seconds_bucket{space="host",peer="192.0.2.2",le="+Inf"} [1-9]' "$LAB_DIR/metrics"
	lab_wait_until 5 no_rooms
}

# Each second, with its heartbeat, the daemon looks whether some gate holds.
beat() { bpftool -j map lookup pinned /sys/fs/bpf/sagate/map/space_state key 0 0 0 0 | jq .formatted.value.heartbeat; }
beats_after() { [ "$(beat)" != "$1" ]; }

@test "a gate that holds no more, and does again a moment later, holds" {
	local n
	gate_lab conn=t4
	sagate attach /gated --name gated --mode reject >/dev/null
	for n in 1 2; do
		lab_wait_until 10 beats_after "$(beat)"
	done
	sagate attach /gated --name gated --mode hold --set hold-timeout=60s >/dev/null
	held_through 192.0.2.2 1
}

# The gate's links, and those of the kick where it needs any, each with its program.
links() {
	find /sys/fs/bpf/sagate/gate/gated /sys/fs/bpf/sagate/kick -type f 2>/dev/null | sort |
		while read -r file; do bpftool -j link show pinned "$file" | jq -c '[.id, .prog_id]'; done
}

@test "a daemon that was killed and started again loads nothing, moves no link, and calls are held as before" {
	local before
	gate_lab conn=t4
	before=$(links)
	gate_daemon_kill
	gate_daemon_start
	sagate doctor --json | jq -e '.checks | any(.check == "programs" and (.message | endswith("nothing was loaded")))'
	[ -n "$before" ]
	[ "$(links)" = "$before" ]
	held_through 192.0.2.2
	lab_wait_until 5 no_rooms
}

@test "UDP: the first datagram of each sender waits for the SA and arrives; so do connected ones" {
	local out
	gate_lab conn=t4
	gate_mark
	# shellcheck disable=SC2016 # expanded inside
	out=$(gated bash -c 'for ((i = 0; i < 10; i++)); do "$1" udp 192.0.2.2 80 --for 0 & done; wait' - "$LAB_PROBE")
	jq -se 'length == 10 and all(.sent_ok == 1 and .errnos == {})' <<<"$out"
	lab_wait_until 10 served_ten
	[ "$(gate_moved .negotiations.started refused)" = "1 0" ]
	[ "$(gate_plain)" = 0 ]
	gate_lab conn=t4
	gate_mark
	gate_passes udp 192.0.2.2 80 --connected
	[ "$(gate_moved refused)" = 0 ]
	[ "$(gate_plain)" = 0 ]
	lab_capture_proves 4
}
served_ten() { [ "$(gate_served_udp)" -ge 10 ]; }

@test "ping, raw, SCTP, UDP-Lite and connected sockets, and ping(8): each waits for the SA and goes through" {
	local way
	gate_mark
	for way in ping raw sctp sctp-many udplite-connected udp-write handed-udp; do
		gate_lab conn=t4
		gate_others ok 192.0.2.2 $way
	done
	gate_lab conn=t4
	gated ping -I 192.0.2.1 -c 1 -W 20 192.0.2.2 | grep -q "1 received"
	[ "$(gate_moved refused verdicts.clear reasons.\"udp-connect\" verdicts.deny)" = "0 1 1 0" ]
	[ "$(gate_moved held)" -ge 7 ]
	[ "$(gate_moved .negotiations.started)" -ge 7 ]
	[ "$(gate_plain)" = 0 ]
	lab_capture_proves 4
	lab_wait_until 5 no_rooms
}

@test "a UDP connect() waits for nothing and starts nothing: a name with a dead peer among four addresses" {
	gate_lab conn=t4
	gate_conf $'[require "dead"]\nto=192.0.2.99/32'
	gate_reload
	lab_wait_until 10 gate_explains "wait required-no-policy" udp 192.0.2.99:80
	printf '%s four.lab.test\n' 192.0.2.2 192.0.2.99 203.0.113.1 203.0.113.7 >>/etc/hosts
	gate_mark
	gate_others ok four.lab.test getaddrinfo
	gate_others ok 192.0.2.2 udp-connect
	[ "$(gate_moved reasons.\"udp-connect\" held refused .negotiations.started)" = "5 0 0 0" ]
	gate_others ok 192.0.2.2 udp-send
	[ "$(gate_moved .negotiations.started refused)" = "1 0" ]
	[ "$(gate_moved held)" -ge 1 ]
	[ "$(gate_plain)" = 0 ]
	gate_conf
	gate_reload
	gate_touched
}

@test "while the peer cannot be reached the call waits hold-timeout; when it can, the next one goes through" {
	local out
	gate_lab conn=t4
	gate_mark
	lab_link_cut
	sagate attach /gated --name gated --mode hold --set hold-timeout=3s >/dev/null
	out=$(gated "$LAB_PROBE" tcp 192.0.2.2 80 --for 0) || :
	jq -e '.errnos == {"EAGAIN":1} and .elapsed_s >= 2.9' <<<"$out"
	lab_link_mend
	sagate attach /gated --name gated --mode hold --set hold-timeout=60s >/dev/null
	gate_passes tcp 192.0.2.2 80 --echo
	[ "$(gate_plain)" = 0 ]
	lab_wait_until 5 no_rooms
}

# shellcheck disable=SC2154 # of peers.sh
holder() { gated "$lab_repo/build/tests/holder" "$@"; }
# Where the kick is a SIGCONT (before Linux 6.18), it must not keep its own handler busy.
@test "a program with a handler of SIGCONT sleeps while its call waits, and alarm() ends it" {
	local how out
	gate_lab conn=t4
	gate_mark
	lab_link_cut
	sagate attach /gated --name gated --mode hold --set hold-timeout=2s >/dev/null
	for how in handler restart; do
		out=$(holder tcp 192.0.2.2 80 --$how 18)
		say "a handler of SIGCONT ($how): $out"
		jq -e '.results == {"EAGAIN":1} and .ms >= 1950 and .handled < 50 and .cpu_ms < 300' <<<"$out"
		out=$(holder udp 192.0.2.2 80 --$how 18 --handler 14 --timer 900000)
		jq -e '.results == {"EINTR":1} and .ms < 1500 and .handled >= 1 and .handled < 50' <<<"$out"
		out=$(holder tcp 192.0.2.2 80 --$how 18 --restart 14 --timer 900000)
		jq -e '.results == {"EAGAIN":1} and .ms >= 1950 and .handled >= 1 and .handled < 50' <<<"$out"
	done
	[ "$(gate_moved refused)" = 4 ]
	lab_link_mend
	sagate attach /gated --name gated --mode hold --set hold-timeout=60s >/dev/null
	[ "$(gate_plain)" = 0 ]
	lab_wait_until 5 no_rooms
}

# loop_clients N TO: an event loop that connects N times at once and echoes on each; JSON.
loop_clients() {
	gated python3 - "$@" <<-'END'
	import asyncio, errno, json, socket, sys, time
	told, began = [], time.monotonic()
	async def client(to):
	    loop = asyncio.get_running_loop()
	    s = socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET)
	    s.setblocking(False)
	    call = time.monotonic()
	    told.append(errno.errorcode.get(s.connect_ex((to, 80)), "ok"))
	    call = time.monotonic() - call
	    s2 = s.dup()
	    writable = loop.create_future()
	    loop.add_writer(s2, lambda: writable.done() or writable.set_result(None))
	    await writable
	    loop.remove_writer(s2)
	    assert s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
	    connected = time.monotonic() - began
	    await loop.sock_sendall(s, b"hello")
	    assert (await loop.sock_recv(s, 5)) == b"hello"
	    return call, connected
	async def main():
	    done = await asyncio.gather(*(client(sys.argv[2]) for _ in range(int(sys.argv[1]))))
	    print(json.dumps({"n": len(done), "told": sorted(set(told)),
	                      "call_s": max(d[0] for d in done), "connected_s": max(d[1] for d in done)}))
	asyncio.run(asyncio.wait_for(main(), 60))
	END
}
larval_drop() { lab_exec a cat /proc/sys/net/core/xfrm_larval_drop; }

# looped N TO WHAT: they are told EINPROGRESS, and connect with the first SYN.
looped() {
	out=$(loop_clients "$1" "$2")
	say "queue, $3: $out"
	jq -e ".n == $1 and .told == [\"EINPROGRESS\"]" <<<"$out"
	[ "$(gate_moved unheld.queued refused held verdicts.clear)" = "$1 0 0 0" ]
	[ "$(gate_syn)" = 0 ]
	[ "$(gate_plain)" = 0 ]
}

@test "hold-nonblocking=queue: an event loop's connects are EINPROGRESS, and their SYNs go out once, with the SA" {
	local to out
	[ "$(larval_drop)" = 1 ]
	gate_lab conn=t4 a:start_action=trap -- conn=u6 mode=tunnel family=6 auth=cert a:start_action=trap
	sagate attach /gated --name gated --mode hold --set hold-timeout=60s --set hold-nonblocking=queue >/dev/null
	[ "$(larval_drop)" = 0 ]
	for to in 192.0.2.2 2001:db8:b::1; do
		gate_mark
		looped 10 $to $to
		[ "$(gate_moved .negotiations.started)" = 1 ]
	done
	lab_capture_proves 4
	lab_capture_proves 6
	# with the SA there is nothing to keep
	gate_mark
	loop_clients 5 192.0.2.2 | jq -e '.told == ["EINPROGRESS"]'
	[ "$(gate_moved verdicts.protected unheld.queued)" = "5 0" ]
}

# bats test_tags=once
@test "queue: a SYN that waits for three seconds is not sent again either" {
	local before out
	gate_lab conn=t4 a:start_action=trap
	sagate attach /gated --name gated --mode hold --set hold-timeout=60s --set hold-nonblocking=queue >/dev/null
	gate_mark
	lab_link_cut
	before=$(gate_counter .unheld.queued)
	# time itself is the condition
	(lab_wait_until 30 queued_beyond "$before" && sleep 3; lab_link_mend) &
	looped 3 192.0.2.2 "peer away for 3 s"
	wait
	jq -e '.connected_s >= 2.9' <<<"$out"
}
queued_beyond() { [ "$(gate_counter .unheld.queued)" -gt "$1" ]; }

@test "queue: without a kernel policy nothing would keep the SYN: refused, never in clear; then as before" {
	gate_lab conn=t4
	sagate attach /gated --name gated --mode hold --set hold-timeout=60s --set hold-nonblocking=queue >/dev/null
	gate_mark
	loop_clients 1 192.0.2.2 && return 1
	[ "$(gate_moved unheld.queued refused)" = "0 1" ]
	[ "$(gate_plain)" = 0 ]
	sagate attach /gated --name gated --mode hold --set hold-timeout=60s >/dev/null
	[ "$(larval_drop)" = 1 ]
}
