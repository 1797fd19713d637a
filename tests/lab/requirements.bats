#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# bats file_tags=once
#
# requirements.bats: a real charon has loaded children with traffic selectors
# of every form that swanctl.conf knows; explain is asked just inside and just
# outside of each. No SA and no policy: what waits, waits for the requirement.

bats_require_minimum_version 1.5.0
# shellcheck source-path=SCRIPTDIR source=peers.sh
. "$BATS_TEST_DIRNAME/peers.sh"
# shellcheck source-path=SCRIPTDIR source=gate.sh
. "$BATS_TEST_DIRNAME/gate.sh"

setup_file() {
	lab_up
	lab_charon_start a
	gate_up
	ip -n a route add default via 192.0.2.2
	ip -n a -6 route add default via 2001:db8::2
}

teardown_file() {
	gate_down
	lab_down
}

# load LOCAL_TS REMOTE_TS [MODE]...: one child of these selectors; further
# arguments in threes are further children. The addresses of the connection are
# $LOCALS and $REMOTES.
load() {
	local n=0
	{
		echo "connections { forms { local_addrs = ${LOCALS:-192.0.2.1}
			remote_addrs = ${REMOTES:-192.0.2.2}
			local { auth = psk
			}
			remote { auth = psk
			}
			children {"
		while [ $# -gt 0 ]; do
			echo "c$n { local_ts = $1
				remote_ts = $2
				mode = ${3:-tunnel}
			}"
			n=$((n + 1))
			shift $(($# < 3 ? $# : 3))
		done
		echo "} } }"
	} >"$LAB_DIR/a/conf.d/forms.conf"
	lab_load_all a && gate_reload && lab_wait_until 20 gate_lists
}
# gate_lists: what sagate has is what was loaded last: the first child is another in each test.
gate_lists() {
	[ "$(gate_children)" = "$(grep -c '^c[0-9]* {' "$LAB_DIR/a/conf.d/forms.conf")" ] &&
	gate_explains "wait required-no-policy" tcp "203.0.113.77:700$BATS_TEST_NUMBER" --from 192.0.2.1
}
setup() {
	lab_untraced
	FIRST="203.0.113.77/32[tcp/700$BATS_TEST_NUMBER]"
}

# edges: "PROTO DST[:PORT] [FROM[:PORT]]" lines; those that begin with + must
# wait for a requirement, those with - are clear.
edges() {
	local sign proto to from want got
	while read -r sign proto to from; do
		want="wait required-no-policy"
		[ "$sign" = + ] || want="clear no-policy"
		got=$(gate_explain "$proto" "$to" --from "${from:-192.0.2.1}")
		[ "$got" = "$want" ] || { lab_fail "$proto $to from ${from:-192.0.2.1}: $got, not $want"; return 1; }
	done
}

@test "IPv4 selectors of every form: exactly what lies inside must be protected" {
	load dynamic "$FIRST" tunnel \
		dynamic "10.1.0.0/16" tunnel \
		dynamic "10.2.0.3-10.2.1.9[tcp]" tunnel \
		dynamic "10.3.0.0/24[tcp/http], 10.3.0.0/24[udp/1000-3001]" tunnel \
		"192.0.2.0/30[tcp/1024-2047]" "10.4.0.0/24[tcp/8080]" tunnel \
		dynamic "10.5.0.0/24[/domain], 10.5.0.0/24[/9999]" tunnel \
		dynamic "10.6.0.0/24[udp/l2tp]" tunnel \
		dynamic "10.7.0.0/24[icmp/2048], 10.7.1.0/24[icmp/772], 10.7.2.0/24[icmp/0-2303]" tunnel \
		dynamic "10.8.0.0/24[200], 10.8.1.0/24[gre], 10.8.2.0/24[17/53]" tunnel \
		dynamic "10.9.0.0/24[udp/opaque]" tunnel \
		dynamic "dynamic[tcp/443]" transport
	edges <<-END
	+ tcp 10.1.0.0:1
	+ udp 10.1.255.255:65535
	- tcp 10.0.255.255:1
	- tcp 10.1.0.1:1 192.0.2.3
	+ tcp 10.2.0.3:1
	+ tcp 10.2.1.9:1
	- tcp 10.2.0.2:1
	- tcp 10.2.1.10:1
	- udp 10.2.0.3:1
	+ tcp 10.3.0.5:80
	- tcp 10.3.0.5:79
	- tcp 10.3.0.5:81
	- udp 10.3.0.5:80
	+ udp 10.3.0.5:1000
	+ udp 10.3.0.5:3001
	- udp 10.3.0.5:999
	- udp 10.3.0.5:3002
	+ tcp 10.4.0.1:8080 192.0.2.1:1024
	+ tcp 10.4.0.1:8080 192.0.2.3:2047
	- tcp 10.4.0.1:8080 192.0.2.1:1023
	- tcp 10.4.0.1:8080 192.0.2.1:2048
	- tcp 10.4.0.1:8080 192.0.2.4:1024
	- tcp 10.4.0.1:8081 192.0.2.1:1024
	+ udp 10.5.0.1:53
	+ tcp 10.5.0.1:53
	+ tcp 10.5.0.1:9999
	- tcp 10.5.0.1:52
	- tcp 10.5.0.1:10000
	+ udp 10.6.0.1:1701
	- udp 10.6.0.1:1702
	+ icmp 10.7.0.1
	- icmp 10.7.1.1
	+ icmp 10.7.2.1
	- udp 10.7.0.1:8
	+ 200 10.8.0.1
	- 201 10.8.0.1
	+ 47 10.8.1.1
	- 46 10.8.1.1
	+ udp 10.8.2.1:53
	- udp 10.8.2.1:54
	+ udp 10.9.0.1:1
	+ udp 10.9.0.1:65535
	- tcp 10.9.0.1:1
	+ tcp 192.0.2.2:443
	- tcp 192.0.2.2:442
	END
}

@test "IPv6 selectors, and the connection's own addresses in place of dynamic" {
	LOCALS=%any REMOTES="peer.example.org, 192.0.2.20-192.0.2.29, %any, 192.0.2.64/28, 2001:db8::2" \
		load dynamic "$FIRST" tunnel \
		dynamic "dynamic[udp]" transport \
		::/0 "2001:db8:5::1-2001:db8:5::9[sctp/5000-5003]" tunnel \
		::/0 "2001:db8:6::/48[ipv6-icmp/32768]" tunnel
	edges <<-END
	+ udp 192.0.2.20:1
	+ udp 192.0.2.29:1 192.0.2.1
	- udp 192.0.2.19:1
	- udp 192.0.2.30:1
	- tcp 192.0.2.20:1
	+ udp 192.0.2.64:1
	+ udp 192.0.2.79:1
	- udp 192.0.2.80:1
	- udp 192.0.2.63:1
	+ udp [2001:db8::2]:1 2001:db8::1
	- udp [2001:db8::3]:1 2001:db8::1
	+ sctp [2001:db8:5::1]:5000 2001:db8::1
	+ sctp [2001:db8:5::9]:5003 2001:db8::1
	- sctp [2001:db8:5::a]:5003 2001:db8::1
	- sctp [2001:db8:5::]:5003 2001:db8::1
	- sctp [2001:db8:5::1]:4999 2001:db8::1
	- sctp [2001:db8:5::1]:5004 2001:db8::1
	+ icmpv6 2001:db8:6::7 2001:db8::1
	- icmpv6 2001:db8:7::7 2001:db8::1
	END
}

@test "a more specific pass child is an exemption; a kernel policy that sends in clear is none" {
	# other addresses: what a charon just started no longer has is required a little longer
	load dynamic "$FIRST" tunnel \
		0.0.0.0/0 172.16.0.0/12 tunnel \
		0.0.0.0/0 172.17.0.0/16 pass \
		0.0.0.0/0 "172.17.2.0/24[tcp/https]" tunnel
	edges <<-END
	+ tcp 172.16.255.255:1
	- tcp 172.17.0.0:1
	- tcp 172.17.2.1:442
	+ tcp 172.17.2.1:443
	- tcp 172.17.255.255:1
	+ tcp 172.18.0.0:1
	END
	lab_exec a ip xfrm policy add dst 172.16.0.0/12 dir out action allow
	lab_wait_until 5 gate_explains "wait required-clear" tcp 172.18.0.1:1
	gate_explains "clear policy-allow" tcp 172.17.0.1:1
	lab_exec a ip xfrm policy delete dst 172.16.0.0/12 dir out
	lab_wait_until 5 gate_explains "wait required-no-policy" tcp 172.18.0.1:1
}

@test "selectors beyond what is read are a problem that status names" {
	load dynamic "$FIRST" tunnel \
		dynamic "$(seq -s ", " -f "10.200.0.%.0f/32" 1 254), 10.201.0.1, 10.201.0.2, 10.201.0.3" tunnel
	edges <<-END
	+ tcp 10.200.0.254:1
	- tcp 10.200.0.255:1
	+ tcp 10.200.0.1:1 192.0.2.9
	END
	sagate status --json | jq -e '[.problems[] | select(contains("1 traffic selectors of child forms/c1"))] | length == 1'
}
