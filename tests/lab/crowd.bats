#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# crowd.bats: mode hold, a thousand calls at once.
#
#   make && tests/lab/vm --kernel 6.1 -- bats tests/lab/crowd.bats

bats_require_minimum_version 1.5.0
# an IKE daemon under emulation takes its time for a hundred
export GATE_MODE=hold GATE_TIMEOUT=120s
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/peers.sh"
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/gate.sh"

setup_file() {
	export LAB_RETRANSMIT_TRIES=6
	# a hundred peers are one host here
	export LAB_CHARON_EXTRA="dos_protection = no"
	sysctl -qw net.core.rmem_default=4194304
	lab_up
	lab_charon_start a b
	lab_serve_start 80
	lab_capture_start
	gate_up --set hold-timeout=120s
}

teardown_file() {
	gate_down
	lab_down
}

teardown() {
	[ -n "$BATS_TEST_COMPLETED" ] || gate_story || :
}

say() { echo "# $(uname -r): $*" >&3; }

# a_hundred PEER: b has a hundred addresses more, each of which wants an SA of its own.
a_hundred() {
	local i
	{
		echo "connections {"
		for ((i = 101; i <= 200; i++)); do
			cat <<-END
			p$i {
			  version = 2
			  unique = never
			  proposals = aes128gcm16-prfsha256-x25519
			  $([ "$1" = a ] && echo "remote_addrs" || echo "local_addrs") = 192.0.2.$i
			  $([ "$1" = a ] && echo "local_addrs" || echo "remote_addrs") = 192.0.2.1
			  local { auth = psk
			    id = $1.lab.test }
			  remote { auth = psk
			    id = $(lab_other "$1").lab.test }
			  children { c$i { mode = transport
			    esp_proposals = aes128gcm16 } }
			}
			END
		done
		printf '}\nsecrets { ike-all { secret = "lab secret" } }\n'
	} >"$LAB_DIR/$1/conf.d/hundred.conf"
	lab_load_all "$1"
}

@test "a thousand connect() and a thousand datagrams to a hundred peers at once: none fails, nothing is lost, one negotiation a peer" {
	local crowd=$BATS_TEST_DIRNAME/../../build/tests/crowd out i
	# b's server answers from an address of its own, which no policy is for
	local -x LAB_PROTECTED="src host 192.0.2.1"
	for i in {101..200}; do echo "addr add 192.0.2.$i/24 dev wire"; done | lab_exec b ip -batch -
	a_hundred b
	a_hundred a
	gate_reload
	lab_wait_until 60 gate_knows 100
	gate_mark
	# shellcheck disable=SC2016 # expanded inside
	out=$(gated bash -c '"$1" udp 1000 192.0.2.101 100 80 & "$1" tcp 1000 192.0.2.101 100 80; wait' - "$crowd")
	say "$out"
	jq -se 'length == 2 and all(.started == 1000 and .ok == 1000)' <<<"$out"
	lab_wait_until 20 served_thousand
	[ "$(gate_moved .negotiations.started refused)" = "100 0" ]
	[ "$(gate_syn)" = 0 ]
	[ "$(gate_plain)" = 0 ]
	lab_capture_proves 4
}
served_thousand() { [ "$(gate_served_udp)" -ge 1000 ]; }
