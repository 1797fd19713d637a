# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# vrf.sh: a VRF on host a of peers.sh, with a link of its own to the wire, static SAs, and programs
# in the gate that send in it. To be sourced after gate.sh.
#
#   netns a: vrf0, table 10              netns w: the wire
#  +----------------------------+      +-------------------+
#  | red   192.0.2.11/24        |------| wr  bridge  wa wb |--- netns b: 192.0.2.2, 2001:db8::2,
#  |       2001:db8::11/64      |      |              ^    |    behind it 2001:db8:b::1
#  | main: 2001:db8:b::1 by way |      | capture "red" here|
#  |       of vrf0 itself       |      +-------------------+
#  +----------------------------+
#
# Three callers: bound by SO_BINDTODEVICE, by `ip vrf exec`, and not, with rules that lead there.

vrf_up() {
	local mac red
	modprobe vrf &&
	ip -n a link add vrf0 up type vrf table 10 &&
	ip link add red netns a type veth peer name wr netns w &&
	ip -n w link set wr up master bridge &&
	lab_exec a sysctl -qw net.ipv6.conf.red.accept_dad=0 net.ipv4.tcp_l3mdev_accept=1 net.ipv4.udp_l3mdev_accept=1 &&
	ip -n a link set red up master vrf0 || return
	mac=$(ip -n b -j link show wire | jq -r '.[0].address')
	red=$(ip -n a -j link show red | jq -r '.[0].address')
	ip -n a -batch - <<-END &&
	addr add 192.0.2.11/24 dev red
	addr add 2001:db8::11/64 dev red nodad
	neigh replace 192.0.2.2 lladdr $mac nud permanent dev red
	neigh replace 192.0.2.99 lladdr $mac nud permanent dev red
	neigh replace 2001:db8::2 lladdr $mac nud permanent dev red
	route add 2001:db8:b::/48 table 10 via 2001:db8::2 dev red
	route add 2001:db8:b::1/128 dev vrf0 src 2001:db8::11
	rule add to 192.0.2.2 lookup 10 pref 500
	END
	ip -n a -6 rule add to 2001:db8::2 lookup 10 pref 500 &&
	ip -n b -batch - <<-END &&
	neigh replace 192.0.2.11 lladdr $red nud permanent dev wire
	neigh replace 2001:db8::11 lladdr $red nud permanent dev wire
	END
	lab_capture_start red wb
}

vrf_down() {
	local peer caller
	for caller in bound exec rule; do
		lab_stop_pidfile "$LAB_DIR/vrf-$caller.pid" TERM 5
	done
	lab_capture_stop red
	# the server asks whether its clients are there still, the clients' last words are sent again and again,
	# and there is no policy for them any more
	for peer in 192.0.2.11 "[2001:db8::11]"; do
		lab_exec b ss -HK dst "$peer" >/dev/null
		lab_exec a ss -HK src "$peer" >/dev/null
	done
	ip -n a link del red
	ip -n a link del vrf0
	ip -n a rule del pref 500
	ip -n a -6 rule del pref 500
	for peer in a b; do
		ip -n $peer xfrm state flush
		ip -n $peer xfrm policy flush
	done
	find "$GATE_CGROUP" -mindepth 1 -depth -type d -exec rmdir {} +
}

vrf_caller() { # NAME DEVICE PORT [WORDS IN FRONT...]
	mkfifo "$LAB_DIR/vrf-$1"
	# shellcheck disable=SC2016,SC2154 # expanded inside; of peers.sh
	lab_spawn "$LAB_DIR/vrf-$1.out" sh -c 'echo $$ >"/sys/fs/cgroup/gated/cgroup.procs"; exec "$@"' sh \
		nsenter --net=/run/netns/a -- "${@:4}" "$lab_here/vrf.py" "$LAB_DIR/vrf-$1" "$2" "$3" \
		192.0.2.2 2001:db8::2 >"$LAB_DIR/vrf-$1.pid"
}

vrf_callers_start() {
	local caller
	vrf_caller bound vrf0 0 && vrf_caller exec - 0 ip vrf exec vrf0 && vrf_caller rule - 20000 || return
	for caller in bound exec rule; do
		lab_wait_until 60 grep -q ready "$LAB_DIR/vrf-$caller.out" || { cat "$LAB_DIR/vrf-$caller.out"; return 1; }
	done
}

# vrf_call WORD: each caller sends, in each way; see vrf.py.
vrf_call() {
	local caller
	for caller in bound exec rule; do
		echo "$1" >"$LAB_DIR/vrf-$caller"
	done
	for caller in bound exec rule; do
		lab_wait_until 120 grep -q "^$1 end" "$LAB_DIR/vrf-$caller.out" || { cat "$LAB_DIR/vrf-$caller.out"; return 1; }
	done
}

# vrf_said WORD: what new sockets were told then, each result once.
vrf_said() {
	grep -h "^$1 [^ ]* [^ ]* " "$LAB_DIR"/vrf-{bound,exec,rule}.out | awk '{ print $4 }' | sort -u | paste -sd ' '
}

# vrf_tmpl PEER SRC DST SELECTOR...: an outbound policy that demands ESP.
vrf_tmpl() { ip -n "$1" xfrm policy add src "$2" dst "$3" "${@:4}" dir out tmpl proto esp mode transport reqid 7; }

# vrf_protect A B SPI SELECTOR...: policies of both hosts for what goes between the two, and SAs.
vrf_protect() {
	local peer
	vrf_tmpl a "$1" "$2" "${@:4}" && vrf_tmpl b "$2" "$1" "${@:4}" || return
	for peer in a b; do
		vrf_sa $peer "$1" "$2" "$3" && vrf_sa $peer "$2" "$1" "$(($3 + 1))" || return
	done
}

vrf_sa() { # PEER SRC DST SPI
	ip -n "$1" xfrm state add src "$2" dst "$3" proto esp spi "$4" reqid 7 mode transport \
		aead 'rfc4106(gcm(aes))' 0x0123456789abcdef0123456789abcdef01234567 128
}
