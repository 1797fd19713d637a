#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# gate_daemon.bats: the daemon dies, stops, comes back, reloads, looks after
# another network namespace; an IKE daemon inside a gate; a VRF; sagate run. Nothing
# that must be protected leaves in clear meanwhile.
#
#   make build/sagate build/tests/probe
#   tests/lab/vm --kernel 6.12 -- bats tests/lab/gate_daemon.bats

bats_require_minimum_version 1.5.0
export GATE_MODE=${LAB_GATE_MODE:-reject}
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/peers.sh"
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/gate.sh"
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/hosts.sh"
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/vrf.sh"

setup_file() {
	export LAB_RETRANSMIT_TRIES=6
	sysctl -qw net.core.xfrm_larval_drop=1
	lab_up
	lab_charon_start a b
	lab_serve_start 80
	lab_capture_start
	gate_up
}

teardown_file() {
	gate_down
	lab_down
}

teardown() {
	lab_stop_pidfile "$LAB_DIR/loop.pid" TERM 5
	[ -n "$BATS_TEST_COMPLETED" ] || { vrf_story || :; gate_story || :; gate_mend || :; }
}

say() { echo "# $(uname -r): $*" >&3; }

goes_through() { gated "$LAB_PROBE" tcp 192.0.2.2 80 --echo --for 20 | jq -e '.echoed == 1'; }

# A program in the gate that connects and sends again and again, whatever it is
# told; its answers are in loop.out.
loop_start() {
	# shellcheck disable=SC2016 # expanded inside
	lab_spawn "$LAB_DIR/loop.out" sh -c 'echo $$ >/sys/fs/cgroup/gated/cgroup.procs
		exec nsenter --net=/run/netns/a -- bash -c "while :; do
			$1 tcp 192.0.2.2 80 --for 0; $1 udp 192.0.2.2 80 --for 0 --wait 1; done"' \
		sh "$LAB_PROBE" >"$LAB_DIR/loop.pid"
	loop_goes_on
}

# Asked at least four times more from now on.
loop_goes_on() { lab_wait_until 30 loop_longer $(($(wc -l <"$LAB_DIR/loop.out") + 4)); }
loop_longer() { [ "$(wc -l <"$LAB_DIR/loop.out")" -ge "$1" ]; }

# Ends it. Prints how many calls passed.
loop_stop() {
	lab_stop_pidfile "$LAB_DIR/loop.pid" TERM 5
	grep '^{.*}$' "$LAB_DIR/loop.out" | jq -s 'map(select(.ok)) | length'
}

# id, attachment and counters of the gate, for comparison.
gate_identity() { sagate show gates --json | jq -c '.[] | select(.name == "gated") | [.cgroup_id, .state, .settings.mode]'; }

@test "a killed daemon: its verdicts stand, then what is protected waits and what is clear passes; stale=open passes" {
	local identity before
	gate_lab
	mkdir -p /sys/fs/cgroup/open
	sagate attach /open --name open --set stale=open
	gated "$LAB_PROBE" tcp 192.0.2.2 80 --echo --for 60
	gate_mark
	identity=$(gate_identity)
	before=$(gate_counter .verdicts.protected)
	gate_daemon_kill
	gate_passes tcp 192.0.2.2 80 --echo
	lab_wait_until 20 gate_refused EAGAIN tcp 192.0.2.2 80
	gate_refused EAGAIN udp 192.0.2.2 80
	gate_passes tcp 2001:db8::2 80 --echo
	lab_run_in_gate open a "$LAB_PROBE" tcp 192.0.2.2 80 --echo --for 0
	gate_daemon_start
	gate_passes tcp 192.0.2.2 80 --echo
	[ "$(gate_identity)" = "$identity" ]
	[ "$(gate_counter .verdicts.protected)" -ge $((before + 2)) ]
	[ "$(gate_counter .reasons.stale)" -ge 2 ]
	# what passed in clear is IPv6, nothing else
	[ "$(lab_capture_show capture "($(lab_capture_filter plain)) and ip and not host 192.0.2.99" | wc -l)" = 0 ]
	[ "$(lab_capture_show capture "($(lab_capture_filter plain)) and ip6" | wc -l)" -ge 6 ]
	sagate detach open
	rmdir /sys/fs/cgroup/open
}

# bats test_tags=once
@test "a restart of daemon and IKE daemon: what was required is never in clear" {
	gate_lab
	gate_mark
	lab_charon_stop a
	gate_daemon_kill
	loop_start
	gate_daemon_start
	sagate show requirements
	[ "$(sagate show requirements --json | jq length)" = 1 ]
	loop_goes_on
	gate_daemon_stop
	loop_goes_on
	gate_daemon_start
	loop_goes_on
	rm -f "$LAB_DIR/a/conf.d"/*.conf
	lab_charon_start a
	lab_wait_until 30 gate_ike_up
	loop_goes_on
	say "$(wc -l <"$LAB_DIR/loop.out") calls while both were restarted"
	[ "$(loop_stop)" = 0 ]
	[ "$(gate_plain)" = 0 ]
	lab_load a
	gate_reload
	lab_wait_until 60 goes_through
	[ "$(gate_plain)" = 0 ]
	lab_capture_proves
	gate_fresh
}

# bats test_tags=once
@test "a daemon of its own user, with sagate.service's rights, takes over from root's, and root's from it: IKE, verdicts, holds" {
	local rights
	rights=$(sed -n 's/^AmbientCapabilities=//p' "$BATS_TEST_DIRNAME/../../loader/sagate.service" | sed 's/CAP_/+/g; s/ /,/g' | tr '[:upper:]' '[:lower:]')
	gate_lab
	goes_through
	gate_daemon_stop
	GATE_AS="setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all,$rights --ambient-caps=-all,$rights" gate_daemon_start
	grep -q '^Uid:[[:space:]]65534' "/proc/$(cat "$GATE_DIR/pid")/status"
	run ! grep 'more rights than it needs' "$GATE_DIR/log"
	gate_lab # no SA
	lab_wait_until 60 gate_knows_child
	gate_mark
	goes_through
	sagate attach /gated --name gated --mode hold
	gate_lab
	gated "$LAB_PROBE" tcp 192.0.2.2 80 --echo --for 0
	sagate attach /gated --name gated --mode "$GATE_MODE"
	[ "$(gate_plain)" = 0 ]
	gate_daemon_stop
	gate_daemon_start
	gate_lab
	goes_through
	[ "$(gate_plain)" = 0 ]
}

# bats test_tags=once
@test "a daemon that comes back to an IKE daemon with nothing loaded: what was required stays required" {
	gate_lab
	gate_daemon_stop
	lab_charon_stop a
	rm -f "$LAB_DIR/a/conf.d"/*.conf
	lab_charon_start a
	gate_daemon_start
	gate_mark
	lab_wait_until 40 gate_up_for 18 # longer than REQUIREMENT_LINGER_NS
	gate_waits
	for _ in 1 2 3 4; do
		gated "$LAB_PROBE" udp 192.0.2.2 80 --for 0 || :
	done
	[ "$(gate_moved verdicts.clear)" = 0 ]
	[ "$(gate_plain)" = 0 ]
	lab_load a
	gate_reload
	lab_wait_until 60 goes_through
	[ "$(gate_plain)" = 0 ]
	gate_fresh
}

gate_up_for() { [ "$(gate_look | jq ".uptime_s >= $1")" = true ]; }
gate_waits() { [[ "$(gate_explain tcp 192.0.2.2:80)" == "wait "* ]]; }
gate_ike_up() { [ "$(gate_look | jq '.spaces[0].ike.up')" = true ]; }
gate_log_has() { grep -q "$1" "$GATE_DIR/log"; }

# bats test_tags=once
@test "a reload without a gap; a broken configuration changes nothing" {
	gate_lab
	lab_link_cut
	gate_mark
	loop_start
	gate_conf '[require "all-of-b"]
	to=192.0.2.2/32'
	gate_reload
	lab_wait_until 10 gate_requires all-of-b
	loop_goes_on
	echo "no-such-key=1" >>"$GATE_DIR/sagate.conf"
	gate_reload
	lab_wait_until 10 gate_log_has "is not reloaded"
	gate_requires all-of-b
	loop_goes_on
	[ "$(loop_stop)" = 0 ]
	[ "$(gate_plain)" = 0 ]
	lab_link_mend
	gate_conf ""
	gate_reload
}

gate_is_alone() { [ "$(sagate show gates --json | jq -c '[.[].name]')" = '["gated"]' ]; }
gate_requires() { sagate show requirements --json | jq -e "any(.[]; .name == \"$1\")"; }

# bats test_tags=once
@test "run: the command's exit status, its own gate, and nothing left behind" {
	gate_lab
	gate_mark
	run -7 sagate run -- sh -c 'exit 7'
	lab_link_cut
	run -3 --separate-stderr sagate run --name once -- "$LAB_PROBE" tcp 192.0.2.2 80 --for 0
	[ "$(jq -c .errnos <<<"$output")" = '{"EAGAIN":1}' ]
	run -3 --separate-stderr sagate explain tcp 192.0.2.2:80
	lab_link_mend
	run -0 --separate-stderr sagate run -- "$LAB_PROBE" tcp 192.0.2.2 80 --echo --for 60
	[ "$(jq .echoed <<<"$output")" = 1 ]
	run -0 --separate-stderr sagate explain tcp 192.0.2.2:80
	run -127 sagate run -- /no/such/program
	# by the daemon, within a second
	lab_wait_until 10 gate_is_alone
	[ -z "$(ls -d /sys/fs/cgroup/sagate-run-* 2>/dev/null)" ]
	[ "$(ls /sys/fs/bpf/sagate/gate)" = gated ]
	[ "$(gate_plain)" = 0 ]
}

@test "an IKE daemon in a gate can negotiate; another program's IKE port cannot be used so" {
	gate_lab
	gate_mark
	# the other hosts are not mirrored: stale=open lets them be
	sagate attach / --root --name root --set stale=open
	lab_link_cut
	run -3 --separate-stderr lab_exec a "$LAB_PROBE" udp 192.0.2.2 500 --for 0
	lab_link_mend
	lab_exec a "$LAB_PROBE" tcp 192.0.2.2 80 --echo --for 60
	[ "$(sagate show gates --json | jq '.[] | select(.name == "root") | .counters.reasons["ike-daemon"] >= 1')" = true ]
	sagate detach root
	[ "$(gate_plain)" = 0 ]
}

@test "a gate on the root: IKE, ESP, neighbour discovery, DHCP, multicast and loopback pass" {
	local to
	gate_lab
	root_up
	gate_mark
	unharmed lab_exec a "$LAB_PROBE" tcp 192.0.2.2 80 --echo --for 60
	unharmed lab_exec a ping -c 2 192.0.2.2
	[ "$(gate_plain)" = 0 ]
	for to in 192.0.2.3 2001:db8::3; do
		unharmed pings a $to
		unharmed echoes tcp $to 80
		appears "dst host $to and udp dst port 80" datagram $to --cmsg
	done
	# nobody has told it where that one is
	[ "$(on_wire 'icmp6 and ip6[40] = 135')" -gt 0 ]
	for to in 127.0.0.1 ::1 192.0.2.1 2001:db8::1; do
		unharmed echoes tcp $to 80
		unharmed pings a $to
	done
	appears "udp src port 68 and dst host 255.255.255.255" sends 255.255.255.255 67 68
	appears "dst host 239.2.2.3" sends 239.2.2.3 5000
	appears "dst host ff05::2:2" sends ff05::2:2 5000
	appears "dst host ff02::1:2 and udp port 547" sends ff02::1:2%wire 547 546
	appears igmp lab_exec a python3 "$BATS_TEST_DIRNAME/../kernel/option.py" mreqn 239.2.2.3 wire
	dhcp_serve
	unharmed dhcp_lease
	root_down
}

@test "a gate on the root: the kernel's own answers do not send in clear what must be protected" {
	gate_lab
	root_up
	gate_conf $'[require "three"]\nto=192.0.2.3'
	gate_reload
	lab_wait_until 20 gate_explains "wait required-no-policy" tcp 192.0.2.3:80
	is_dropped 192.0.2.3 pings b 192.0.2.1 -I 192.0.2.3
	is_dropped 192.0.2.3 refused_by_a tcp 192.0.2.3 192.0.2.1
	is_dropped 192.0.2.3 refused_by_a udp 192.0.2.3 192.0.2.1
	gate_conf
	gate_reload
	root_down
	gate_touched
}

@test "a VRF: refused without an SA, ESP with it, else as without a gate; nothing in clear when all is flushed behind a dead daemon" {
	local to
	gate_clear
	gate_touched
	vrf_up
	# a policy with another device: nothing in the VRF is to be compared with it
	vrf_tmpl a 2001:db8:1::1 2001:db8:1::2 dev wire priority 1
	gate_mark
	vrf_callers_start
	vrf_call free
	[ "$(vrf_said free)" = ok ]
	[ "$(gate_moved guard_dropped)" = 0 ]
	[ "$(lab_capture_count plain red)" -ge 48 ]
	gate_conf $'[require "red"]\nto=192.0.2.2\n[require "red6"]\nto=2001:db8::2\n[require "behind"]\nto=2001:db8:b::1'
	gate_reload
	for to in 192.0.2.2 "[2001:db8::2]"; do
		lab_wait_until 20 gate_explains "wait required-no-policy" tcp "$to:80" --dev vrf0
	done
	vrf_plain_mark
	vrf_call missing
	[[ "$(vrf_said missing)" =~ ^(EAGAIN ?|EHOSTUNREACH ?)+$ ]]
	[ "$(gate_moved guard_dropped)" -gt 0 ]
	[ "$(vrf_plain)" = 0 ]
	vrf_protect 192.0.2.11 192.0.2.2 0x101
	vrf_protect 2001:db8::11 2001:db8::2 0x201
	# by way of the VRF device, which does not find it protected when it looks up the ESP
	vrf_protect 2001:db8::11 2001:db8:b::1 0x301 proto tcp
	for to in 192.0.2.2 "[2001:db8::2]"; do
		lab_wait_until 20 gate_explains "protected sa" tcp "$to:80" --dev vrf0
	done
	lab_wait_until 20 gate_explains "protected sa" tcp "[2001:db8:b::1]:80"
	gate_mark
	vrf_call there
	[ "$(vrf_said there)" = ok ]
	gate_passes tcp 2001:db8:b::1 80 --echo
	[ "$(gate_moved guard_dropped refused)" = "0 0" ]
	[ "$(vrf_plain)" = 0 ]
	gate_daemon_kill
	ip -n a xfrm state flush
	ip -n a xfrm policy flush
	vrf_call kept-open
	[ "$(vrf_plain)" = 0 ]
	gate_daemon_start
	[ "$(gate_moved guard_dropped)" -ge 24 ]
	lab_capture_proves 4 red
	vrf_down
	gate_conf
	gate_reload
}
vrf_plain_mark() { lab_capture_count plain red >"$LAB_DIR/vrf.plain"; }
vrf_plain() { echo $(($(lab_capture_count plain red) - $(cat "$LAB_DIR/vrf.plain"))); }
vrf_story() {
	[ -e "$LAB_DIR/red.pcap" ] || return 0
	tail -n 60 "$LAB_DIR"/vrf-*.out
	lab_capture_show red "$(lab_capture_filter plain)" | tail -n 12
	vrf_down
}

@test "a daemon outside looks after a network namespace: gate and clients in it, the daemon not" {
	gate_lab
	gate_down
	GATE_NETNS=/proc/self/ns/net GATE_VICI=$LAB_DIR/nobody GATE_EXTRA="[space \"a\"]
	netns=/run/netns/a
	vici=unix://$LAB_DIR/a/vici" gate_up
	lab_wait_until 20 inside_knows
	gate_mark
	gate_refused EAGAIN tcp 192.0.2.2 80
	lab_wait_until 60 goes_through
	[ "$(sagate show negotiations --json | jq -c '.[0] | [.space, .child, .state]')" = '["a","lab/net","established"]' ]
	[ "$(gate_plain)" = 0 ]
	[ "$(gate_syn)" = 0 ]
	# the daemon's own namespace has nothing to protect
	run -0 "$SAGATE" -s "$GATE_SOCKET" explain tcp 127.0.0.1:80
	lab_capture_proves
}

inside_knows() { [ "$(gate_look | jq '.spaces[] | select(.name == "a") | .ike.children')" = 1 ]; }

# spaces .JQ of the space: as show spaces has it.
in_space() { sagate show spaces --json | jq -c ".[] | select(.name == \"$1\") | $2"; }
space_knows_child() { [ "$(in_space "$1" .ike.children)" = 1 ]; }
space_sas() { [ "$(in_space "$1" .sas)" -ge "$2" ]; }
no_sas() { [ "$(in_space a .sas)" = 0 ] && [ "$(in_space b .sas)" = 0 ]; }
gated_on() { # PEER CMD...
	lab_run_in_gate gated "$@"
}
reaches() { gated_on "$1" "$LAB_PROBE" tcp "$2" 80 --echo --for 20 | jq -e '.echoed == 1'; }

# bats test_tags=once
@test "two charons in two spaces of one daemon: each flow is negotiated by its own, and nothing is mixed up" {
	gate_clear
	gate_touched
	gate_down
	lab_load b
	lab_load a
	lab_serve_start 80 a
	GATE_NETNS=/proc/self/ns/net GATE_VICI=$LAB_DIR/nobody GATE_EXTRA="[space \"a\"]
	netns=a
	vici=unix://$LAB_DIR/a/vici
	[space \"b\"]
	netns=/run/netns/b
	vici=unix://$LAB_DIR/b/vici" gate_up
	lab_wait_until 40 space_knows_child a
	lab_wait_until 40 space_knows_child b
	gate_mark
	# a's call: a's charon, and no negotiation in space b
	run -3 --separate-stderr gated_on a "$LAB_PROBE" tcp 192.0.2.2 80 --for 0
	lab_wait_until 60 reaches a 192.0.2.2
	[ "$(sagate show negotiations --json | jq -c '[.[] | [.space, .child, .state]]')" = '[["a","lab/net","established"]]' ]
	lab_wait_until 10 space_sas b 2
	[ "$(in_space a .sas)" = 2 ]
	# b's SAs protect b's flows; the same flow in space a, from a's side, has its own
	lab_wait_until 10 gate_explains "protected sa" tcp 192.0.2.1:80 --netns b
	[ "$(sagate explain tcp 192.0.2.1:80 --netns b --json | jq -r '.space, .policy.templates[0].sa.spi')" != \
		"$(sagate explain tcp 192.0.2.2:80 --netns a --json | jq -r '.space, .policy.templates[0].sa.spi')" ]
	lab_terminate a
	lab_wait_until 30 no_sas
	gate_explains "wait required-no-policy" tcp 192.0.2.1:80 --netns b
	# b's call: b's charon
	run -3 --separate-stderr gated_on b "$LAB_PROBE" tcp 192.0.2.1 80 --for 0
	lab_wait_until 60 reaches b 192.0.2.1
	[ "$(sagate show negotiations --json | jq -c '[.[] | select(.space == "b") | [.child, .state]]')" = '[["lab/net","established"]]' ]
	# one charon dies: what its space requires stays required, the other's goes on
	lab_charon_kill a
	lab_wait_until 20 space_lost a
	[ "$(in_space b .ike.up)" = true ]
	gate_explains "protected sa" tcp 192.0.2.1:80 --netns b
	[ "$(gate_plain)" = 0 ]
	lab_serve_stop 80 a
	lab_capture_proves
}
space_lost() { [ "$(in_space "$1" .ike.up)" = false ]; }

root_warned() { grep -q "^<4>gate $1 is on the root of all cgroups" "$GATE_DIR/log"; }
gate_named() { sagate show gates --json | jq -e --arg name "$1" 'any(.name == $name and .cgroup == "/" and .state == "attached")'; }

# bats test_tags=once
@test "a gate on the root of all cgroups: only when it is said, and with a warning" {
	local out
	out=$(sagate attach / --mode audit --json) && return 1
	jq -e '.error.code == "root-cgroup"' <<<"$out"
	sagate attach / --mode audit --root
	gate_named root && root_warned root
	sagate detach root
	gate_conf "[gate \"all\"]
	cgroup=/
	mode=audit"
	gate_reload
	lab_wait_until 10 gate_named all
	root_warned all
	gate_conf
	gate_reload
	lab_wait_until 10 gate_is_gone all
}
gate_is_gone() { sagate show gates --json | jq -e --arg name "$1" 'all(.name != $name)'; }
