#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# gate.bats: calls that need an SA are refused until it is there, and then go
# out at the first try: mode reject, the ways to need protection, UDP, modes and
# verdicts. gate_fail.bats: what goes wrong on the way. gate_daemon.bats: the
# daemon's own comings and goings.
#
#   make build/sagate build/tests/probe
#   tests/lab/vm --kernel 6.12 -- bats tests/lab/gate.bats
#
# GATE_MODE=audit shows that these tests can fail (LAB_GATE_MODE, through vm).

bats_require_minimum_version 1.5.0
export GATE_GUARD=on
export GATE_MODE=${LAB_GATE_MODE:-reject}
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/peers.sh"
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/gate.sh"

setup_file() {
	# The machine may be busy: no peer is given up for being slow.
	export LAB_RETRANSMIT_TRIES=6
	sysctl -qw net.core.xfrm_larval_drop=1
	lab_up
	lab_charon_start a b
	lab_serve_start 80
	lab_serve_start 81
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

# lets_through TO [CLIENTS]: 10 clients ask at once; each gets EAGAIN and
# nothing else until the one negotiation is done, then connects; no SYN is
# retransmitted, nothing is in clear, and the gate's counters say the same.
lets_through() {
	local to=$1 n=${2:-10} out
	gate_mark
	out=$(gate_clients "$n" "$to" 80 --echo --retry-every 100 --for 60)
	say "$to: the last of $n clients through after" \
		"$(jq -rs 'max_by(.elapsed_s).elapsed_s * 1000 | round' <<<"$out") ms," \
		"the longest connect() $(jq -rs 'max_by(.call_s).call_s * 1000 | round' <<<"$out") ms (a SYN goes again after 1000)"
	[ "$(jq -s length <<<"$out")" = "$n" ]
	[ "$(jq -s 'all(.ok and .echoed == 1)' <<<"$out")" = true ]
	[ "$(jq -sc 'map(.errnos | keys) | add | unique - ["EAGAIN"]' <<<"$out")" = "[]" ]
	# started, protected, clear, deny, refused
	[ "$(gate_moved .negotiations.started verdicts.protected verdicts.clear verdicts.deny refused)" = \
		"1 $n 0 0 $(jq -s 'map(.errnos.EAGAIN) | add' <<<"$out")" ]
	[ "$(jq -s 'map(.errnos.EAGAIN) | add' <<<"$out")" -ge 1 ]
	[ "$(gate_syn)" = 0 ]
	[ "$(gate_plain)" = 0 ]
}

@test "no trap: nothing leaves before the SA and its policy; transport, IPv4, PSK and tunnel, IPv6, certificates" {
	gate_lab conn=t4 -- conn=u6 mode=tunnel family=6 auth=cert
	lets_through 192.0.2.2
	lets_through 2001:db8:b::1
	lab_capture_proves 4
	lab_capture_proves 6
}

@test "a trap: the same; tunnel, IPv4, certificates and transport, IPv6, PSK" {
	gate_lab conn=u4 mode=tunnel auth=cert a:start_action=trap -- conn=t6 family=6 a:start_action=trap
	lets_through 203.0.113.1
	lets_through 2001:db8::2
	lab_capture_proves
}

# bats test_tags=once
@test "a trap wider than the flow: one SA for all behind it, the child is found by its selectors" {
	gate_lab mode=tunnel a:start_action=trap \
		a:local_ts=198.51.100.0/24 a:remote_ts=203.0.113.0/24 \
		b:local_ts=203.0.113.0/24 b:remote_ts=198.51.100.0/24 \
		a:also="wire 192.0.2.1/32 192.0.2.2/32" b:also="wire 192.0.2.2/32 192.0.2.1/32"
	lab_exec b ip addr add 203.0.113.7/32 dev lo
	lets_through 203.0.113.1 5
	[ "$(sagate show negotiations --json | jq -c '[.[] | select(.state == "established" and .child[:4] == "lab/") | .child]')" = '["lab/net"]' ]
	gate_passes tcp 203.0.113.7 80 --echo
	[ "$(gate_moved .negotiations.started)" = 1 ]
	# the other child is not up, and is chosen for what only it covers
	lets_through 192.0.2.2 5
	[ "$(sagate show negotiations --json | jq -c '[.[] | select(.state == "established" and .child[:4] == "lab/") | .child] | sort')" = '["lab/net","lab/wire"]' ]
	lab_exec b ip addr del 203.0.113.7/32 dev lo
}

# bats test_tags=once
@test "selectors with a port: port 80 waits for its SA, port 81 goes out in clear" {
	gate_lab a:local_ts='dynamic[tcp]' a:remote_ts='dynamic[tcp/80]' \
		b:local_ts='dynamic[tcp/80]' b:remote_ts='dynamic[tcp]'
	gate_mark
	gate_explains "wait required-no-policy" tcp 192.0.2.2:80
	gate_explains "clear no-policy" tcp 192.0.2.2:81
	gate_explains "clear no-policy" udp 192.0.2.2:80
	# what a program writes into the header, or where ports are, nobody knows
	gate_others EACCES 192.0.2.2 header raw-tcp
	[ "$(gate_moved reasons.\"flow-unknown\")" = 2 ]
	[ "$(gate_plain)" = 0 ]
	gate_others ok 192.0.2.2 ping raw
	gate_passes tcp 192.0.2.2 81 --echo
	[ "$(gate_plain)" -ge 6 ]
	[ "$(lab_capture_count syn)" -ge 1 ]
	lets_through 192.0.2.2 5
	gate_passes tcp 192.0.2.2 81 --echo
}

@test "an SA without its policy is not protection: the flow still waits" {
	gate_lab
	gate_mark
	lab_exec a ip xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x1234 reqid 1 mode transport \
		aead 'rfc4106(gcm(aes))' 0x0102030405060708090a0b0c0d0e0f1011121314 128
	lab_wait_until 10 gate_shows_spi 0x00001234
	gate_explains "wait required-no-policy" tcp 192.0.2.2:80
	lab_link_cut
	gate_refused EAGAIN tcp 192.0.2.2 80
	gate_refused EAGAIN udp 192.0.2.2 80
	lab_link_mend
	lab_exec a ip xfrm state delete src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x1234
	out=$(gated "$LAB_PROBE" tcp 192.0.2.2 80 --echo --for 60)
	[ "$(jq .echoed <<<"$out")" = 1 ]
	[ "$(gate_plain)" = 0 ]
	[ "$(gate_syn)" = 0 ]
	lab_capture_proves
}

gate_shows_spi() { sagate show sad --json | jq -e "any(.[]; .spi == \"$1\")"; }

refused_more() { [ "$(gate_moved refused)" -gt "$1" ]; }

@test "UDP: no way to send gets a datagram out before the SA, and what was accepted arrives" {
	local way out refused sent=0
	gate_lab
	gate_mark
	lab_link_cut
	for way in "" --v4mapped --unspec --connected --cmsg "--v4mapped --connected"; do
		# shellcheck disable=SC2086 # words
		gate_refused EAGAIN udp 192.0.2.2 80 $way
	done
	refused=$(gate_moved refused)
	gated "$LAB_PROBE" udp 192.0.2.2 80 --count 30 --for 60 --wait 5000 >"$LAB_DIR/udp.out" 3>&- &
	lab_wait_until 20 refused_more "$refused"
	lab_link_mend
	wait $!
	out=$(cat "$LAB_DIR/udp.out")
	[ "$(jq -c '[.sent_ok, .echoed]' <<<"$out")" = "[30,30]" ]
	[ "$(jq '.errnos.EAGAIN >= 1' <<<"$out")" = true ]
	[ "$(jq -c '.errnos | keys' <<<"$out")" = '["EAGAIN"]' ]
	sent=30
	for way in --v4mapped --unspec --connected --cmsg "--v4mapped --connected"; do
		# shellcheck disable=SC2086 # words
		out=$(gated "$LAB_PROBE" udp 192.0.2.2 80 $way --count 5 --for 20 --wait 5000)
		[ "$(jq -c '[.sent_ok, .echoed, .errnos]' <<<"$out")" = "[5,5,{}]" ]
		sent=$((sent + 5))
	done
	[ "$(gate_served_udp)" = $sent ]
	[ "$(gate_plain)" = 0 ]
	[ "$(gate_moved .negotiations.started)" = 1 ]
	lab_capture_proves
}

@test "UDP over IPv6: unconnected, connected and with ancillary data" {
	local way out sent=0
	gate_lab conn=t6 family=6
	gate_mark
	lab_link_cut
	for way in "" --connected --cmsg; do
		# shellcheck disable=SC2086 # words
		gate_refused EAGAIN udp 2001:db8::2 80 $way
	done
	lab_link_mend
	for way in "" --connected --cmsg; do
		# shellcheck disable=SC2086 # words
		out=$(gated "$LAB_PROBE" udp 2001:db8::2 80 $way --count 10 --for 60 --wait 5000)
		[ "$(jq -c '[.sent_ok, .echoed]' <<<"$out")" = "[10,10]" ]
		sent=$((sent + 10))
	done
	[ "$(gate_served_udp)" = $sent ]
	[ "$(gate_plain)" = 0 ]
	[ "$(gate_moved .negotiations.started)" = 1 ]
	lab_capture_proves 6
}

# Seconds since 1970 of the newest change in `ip -ts xfrm monitor`'s output
# before that moment.
last_change() { # FILE BEFORE
	grep -o '^\[[^]]*\]' "$1" | tr -d '[]' | while read -r stamp; do date -d "$stamp" +%s.%6N; done |
		awk -v before="$2" '$1 <= before { last = $1 } END { printf "%.6f\n", last }'
}

# bats test_tags=once
@test "a client that asks every 5 ms is through soon after the SA and its policy are in" {
	local out at finished
	gate_lab
	lab_spawn "$LAB_DIR/monitor.out" nsenter --net=/run/netns/a -- ip -ts xfrm monitor SA policy >"$LAB_DIR/monitor.pid"
	for _ in 1 2 3; do
		gate_no_sa
		gate_mark
		out=$(gated "$LAB_PROBE" tcp 192.0.2.2 80 --retry-every 5 --for 60)
		finished=$(jq .finished <<<"$out")
		at=$(last_change "$LAB_DIR/monitor.out" "$finished")
		say "from the kernel's last change to connect() returned:" \
			"$(jq -n "($finished - $at) * 1000000 | round / 1000") ms," \
			"in all $(jq '.elapsed_s * 1000 | round' <<<"$out") ms, $(jq .attempts <<<"$out") attempts"
		[ "$(jq -n "$at > 0 and $finished - $at < 2")" = true ]
		[ "$(gate_syn)" = 0 ]
		[ "$(gate_plain)" = 0 ]
	done
	lab_stop_pidfile "$LAB_DIR/monitor.pid" TERM 5
}

@test "audit lets pass, in clear, and tells; reject of the same flow does not" {
	gate_lab
	gate_mark
	lab_link_cut
	gate_refused EAGAIN tcp 192.0.2.2 80
	[ "$(gate_plain)" = 0 ]
	lab_spawn "$LAB_DIR/watch.out" nsenter --net=/run/netns/a -- "$SAGATE" watch --json -s "$GATE_SOCKET" >"$LAB_DIR/watch.pid"
	sagate attach /gated --name gated --mode audit
	lab_wait_until 10 gate_watched
	gated "$LAB_PROBE" udp 192.0.2.2 80 --for 0 --wait 1
	[ "$(gate_plain)" = 1 ]
	lab_wait_until 10 audit_told
	sagate attach /gated --name gated --mode "$GATE_MODE"
	gate_refused EAGAIN udp 192.0.2.2 80
	lab_link_mend
	lab_stop_pidfile "$LAB_DIR/watch.pid" TERM 5
	[ "$(gate_moved audited refused)" = "1 2" ]
	[ "$(gate_plain)" = 1 ]
}

@test "ping, raw, SCTP, L2TP/IP and UDP-Lite sockets, and those handed in from elsewhere: refused, then as ESP" {
	local ways="ping ping-connected raw raw-connected header sctp sctp-many l2tp udplite udplite-connected
		handed-udp handed-udp-send handed-tcp handed-ping handed-sctp"
	gate_lab
	gate_mark
	lab_link_cut
	# shellcheck disable=SC2086 # words
	gate_others EAGAIN 192.0.2.2 $ways
	[ "$(gate_moved refused)" -ge 13 ]
	[ "$(gate_moved verdicts.protected verdicts.clear)" = "0 0" ]
	lab_link_mend
	lab_wait_until 40 gate_explains "protected sa" icmp 192.0.2.2
	# shellcheck disable=SC2086 # words
	gate_others ok 192.0.2.2 $ways
	grep -q sctp "$LAB_DIR/others.out"
	[ "$(gate_moved .negotiations.started)" = 1 ]
	[ "$(gate_plain)" = 0 ]
	lab_capture_proves
	sagate doctor | grep -q "^ok  *lsm "
	sagate status --json | jq -e '.lsm_missing == null'
}

@test "a UDP connect() passes where its sends are judged and the guard is on; otherwise it is judged itself" {
	gate_lab
	gate_mark
	lab_link_cut
	gate_others ok 192.0.2.2 udp-connect
	[ "$(gate_moved reasons.\"udp-connect\" refused .negotiations.started)" = "1 0 0" ]
	gate_others EAGAIN 192.0.2.2 udp-send udp-write handed-udp-connect
	sagate attach /gated --name gated --set guard=off
	gate_others EAGAIN 192.0.2.2 udp-connect
	[ "$(gate_moved refused)" = 4 ]
	sagate attach /gated --name gated
	lab_link_mend
	[ "$(gate_plain)" = 0 ]
}

# Somebody is connected: an event is in the file, provoked if need be.
gate_watched() { gated "$LAB_PROBE" tcp 127.0.0.1 9 --for 0; [ -e "$LAB_DIR/watch.out" ]; }
audit_told() {
	jq -se 'any(.event == "verdict" and .verdict == "wait" and .mode == "audit" and .errno == null
		and .gate == "gated" and .comm == "probe" and .flow.dst == "192.0.2.2" and .flow.dport == 80)' \
		"$LAB_DIR/watch.out"
}

# bats test_tags=once
@test "the caller gets the errno that the gate is told to give" {
	gate_lab
	lab_link_cut
	sagate attach /gated --name gated --set errno-waiting=ENETDOWN
	gate_refused ENETDOWN tcp 192.0.2.2 80
	gate_refused ENETDOWN udp 192.0.2.2 80
	sagate attach /gated --name gated
	gate_refused EAGAIN tcp 192.0.2.2 80
	lab_link_mend
	run -2 sagate attach /gated --name gated --set errno-waiting=ENOENT
	[[ "$output" == *errno-waiting* ]]
}

@test "denied: a policy that blocks, the kernel's default, the gate's own rule; loopback passes" {
	gate_clear
	gate_passes tcp 192.0.2.2 80 --echo
	gate_mark
	lab_exec a ip xfrm policy add src 192.0.2.1/32 dst 192.0.2.2/32 dir out action block
	lab_wait_until 10 gate_explains "deny policy-block" tcp 192.0.2.2:80
	gate_refused EACCES tcp 192.0.2.2 80
	run -4 sagate explain tcp 192.0.2.2:80
	run -0 sagate explain tcp '[2001:db8::2]:80'
	lab_exec a ip xfrm policy flush
	lab_exec a ip xfrm policy setdefault out block
	lab_wait_until 10 gate_explains "deny default-block" udp 192.0.2.2:80
	gate_refused EACCES udp 192.0.2.2 80
	gate_refused EACCES tcp 2001:db8::2 80
	gate_refused ECONNREFUSED tcp 127.0.0.1 9
	gate_refused ECONNREFUSED tcp ::1 9
	lab_exec a ip xfrm policy setdefault out accept
	sagate attach /gated --name gated --set no-policy=deny
	lab_wait_until 10 gate_explains "deny no-policy-deny" tcp 192.0.2.2:80 --gate gated
	gate_refused EACCES tcp 192.0.2.2 80
	gate_refused ECONNREFUSED tcp 127.0.0.1 9
	gate_refused ECONNREFUSED tcp ::1 9
	[ "$(gate_moved verdicts.deny reasons.\"policy-block\" reasons.\"default-block\" reasons.\"no-policy-deny\" verdicts.wait)" = "4 1 2 1 0" ]
	[ "$(gate_plain)" = 0 ]
	sagate attach /gated --name gated
	gate_passes tcp 192.0.2.2 80 --echo
	[ "$(gate_plain)" -ge 6 ]
}

# leaked CMD...: how many packets in clear CMD gets onto the wire.
leaked() {
	local before
	before=$(lab_capture_count plain) || return 1
	gated "$@" >"$LAB_DIR/leak.said" || :
	echo $(($(lab_capture_count plain) - before))
}
# all_esp TO WAY...: each is ESP on the wire.
all_esp() {
	local to=$1 way before
	for way in "${@:2}"; do
		before=$(lab_capture_count esp)
		[ "$(leaked "$BATS_TEST_DIRNAME/../../build/tests/leak" "$way" "$to")" = 0 ] || { lab_fail "$way in clear"; return 1; }
		[ "$(cat "$LAB_DIR/leak.said")" != EPROTONOSUPPORT ] || continue
		[ "$(lab_capture_count esp)" -gt "$before" ] || { lab_fail "$way to $to: $(cat "$LAB_DIR/leak.said")"; return 1; }
	done
}

# reports: IGMP and MLD messages on the wire so far.
reports() {
	lab_capture_show capture "igmp or (ip6 and ip6[6] == 0 and ip6[48] == 143)" | wc -l
}
more_reports() { [ "$(reports)" -gt "$1" ]; }
joins() { gated python3 "$BATS_TEST_DIRNAME/../kernel/option.py" "$@" wire; }

@test "joining a multicast group that must be protected is refused, and no report leaves; joining another sends one" {
	local before
	gate_clear
	gate_conf $'[require "four"]\nto=239.1.0.0/16\n[require "six"]\nto=ff05::1:0/112'
	gate_reload
	lab_wait_until 20 gate_explains "wait required-no-policy" igmp 239.1.2.3
	lab_wait_until 20 gate_explains "wait required-no-policy" icmpv6 ff05::1:2
	before=$(reports)
	gate_mark
	# after the first, EHOSTUNREACH: no child covers it
	[[ "$(joins mreqn,join 239.1.2.3) $(joins join6,join ff05::1:2)" != *ok* ]]
	[ "$(gate_moved refused reasons.\"required-no-policy\")" = "4 4" ]
	[ "$(reports)" = "$before" ]
	[ "$(joins mreqn 239.2.2.3)" = ok ]
	lab_wait_until 10 more_reports "$before"
	before=$(reports)
	[ "$(joins join6 ff05::2:2)" = ok ]
	lab_wait_until 10 more_reports "$before"
	gate_conf
	gate_reload
	gate_touched
}

@test "the guard lets everything through that goes out as ESP: IPv4, IPv6, fragments, a new SA at once" {
	local options
	modprobe -a sctp l2tp_ip
	for options in "" "family=6"; do
		# shellcheck disable=SC2086 # words
		gate_lab $options
		local to=192.0.2.2
		[ "$options" != family=6 ] || to=2001:db8::2
		gated "$LAB_PROBE" tcp $to 80 --echo --for 60 >/dev/null
		gate_mark
		all_esp $to ping raw esp sctp udplite big
		[ "$to" != 192.0.2.2 ] || all_esp $to l2tp udp-raw
		gate_passes tcp $to 80 --echo
		# the kernel uses a new SA before the mirror has it
		lab_swanctl a --rekey --child net >/dev/null
		out=$(gated "$LAB_PROBE" udp $to 80 --connected --count 40 --interval 5 --for 20 --wait 5000)
		[ "$(jq -c '[.sent_ok, .echoed]' <<<"$out")" = "[40,40]" ]
		[ "$(gate_moved guard_dropped)" = 0 ] || { lab_fail "$options: $(gate_moved guard_dropped) dropped"; return 1; }
		[ "$(gate_plain)" = 0 ]
	done
}

# SNAT on host a: the source 192.0.2.1 or 2001:db8::1 becomes one that no policy has.
snat_up() {
	lab_exec a ip addr add 192.0.2.77/24 dev wire
	lab_exec a ip addr add 192.0.2.78/24 dev wire
	lab_exec a ip addr add 2001:db8::77/64 dev wire nodad preferred_lft 0 # not chosen
	lab_exec a nft -f - <<-END
	table inet gate {
		chain out {
			type nat hook postrouting priority srcnat
			meta l4proto { tcp, udp } th dport 80 ip daddr 192.0.2.2 snat ip to 192.0.2.77
			meta l4proto { tcp, udp } th dport 80 ip6 daddr 2001:db8::2 snat ip6 to 2001:db8::77
			ip daddr 192.0.2.2 icmp type echo-request snat ip to 192.0.2.77
		}
	}
	END
}
snat_down() {
	lab_exec a nft delete table inet gate
	lab_exec a ip addr del 192.0.2.77/24 dev wire
	lab_exec a ip addr del 192.0.2.78/24 dev wire
	lab_exec a ip addr del 2001:db8::77/64 dev wire
}
# snat_leaks_not PROBE'S ARGS...: the guard drops it and counts that; without the guard it leaves in clear.
snat_leaks_not() {
	gate_mark
	gated "$LAB_PROBE" "$@" --for 1 --wait 200 >/dev/null || :
	[ "$(gate_plain)" = 0 ] || { lab_fail "$*: $(gate_plain) in clear"; return 1; }
	[ "$(gate_moved guard_dropped)" -ge 1 ] || { lab_fail "$*: not dropped"; return 1; }
	sagate attach /gated --name gated --set guard=off
	gated "$LAB_PROBE" "$@" --for 1 --wait 200 >/dev/null || :
	sagate attach /gated --name gated
	[ "$(gate_plain)" -ge 1 ] || { lab_fail "$*: nothing in clear without the guard either"; return 1; }
}

@test "SNAT: with a source that no policy has nothing leaves in clear that its policy had protected" {
	local to
	gate_lab conn=t4 -- conn=t6 family=6
	for to in 192.0.2.2 2001:db8::2; do gated "$LAB_PROBE" tcp $to 80 --echo --for 60 >/dev/null; done
	snat_up
	for to in 192.0.2.2 2001:db8::2; do
		snat_leaks_not tcp $to 80
		snat_leaks_not udp $to 80 --connected
		snat_leaks_not udp $to 80
	done
	gate_mark
	gate_others EPERM 192.0.2.2 ping
	[ "$(gate_plain)" = 0 ]
	# who had no policy before has none after
	gate_mark
	gate_passes tcp 192.0.2.2 80 --bind 192.0.2.78 --echo
	gate_passes udp 192.0.2.2 80 --bind 192.0.2.78 --echo
	# a listener has no source of its own: its answer is not taken for translated
	# shellcheck disable=SC2016 # expanded inside
	lab_spawn "$LAB_DIR/listen.out" sh -c 'echo $$ >/sys/fs/cgroup/gated/cgroup.procs
		exec nsenter --net=/run/netns/a -- "$0" serve 81' "$LAB_PROBE" >"$LAB_DIR/listen.pid"
	lab_wait_until 20 grep -q ready "$LAB_DIR/listen.out"
	lab_exec b "$LAB_PROBE" tcp 192.0.2.78 81 --echo --for 10
	lab_stop_pidfile "$LAB_DIR/listen.pid" TERM 10
	[ "$(gate_moved guard_dropped)" = 0 ]
	snat_down
	gate_mark
	for to in 192.0.2.2 2001:db8::2; do gate_passes tcp $to 80 --echo; done
	[ "$(gate_plain)" = 0 ]
	gate_touched
}

@test "without VICI an injected ACQUIRE starts the IKE daemon of a trap" {
	gate_lab a:start_action=trap
	GATE_TRIGGER=acquire GATE_VICI=$LAB_DIR/nobody GATE_REQUIRE=no gate_conf
	gate_reload
	lab_wait_until 20 gate_explains "wait no-sa" tcp 192.0.2.2:80
	lab_wait_until 20 gate_ike_down
	lets_through 192.0.2.2 5
	[ "$(sagate show negotiations --json | jq -c '[.[] | select(.state == "established" and .child == null)] | length')" = 1 ]
	lab_capture_proves
	gate_conf
	gate_reload
	gate_touched
}

gate_ike_down() { [ "$(gate_look | jq '.spaces[0].ike.up')" = false ]; }
