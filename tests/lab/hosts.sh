# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# hosts.sh: what host a of peers.sh sends beside its programs' calls, under a gate on
# the root of all cgroups. To be sourced after gate.sh.

root_up() {
	ip -n b addr replace 192.0.2.3/24 dev wire && ip -n b addr replace 2001:db8::3/64 dev wire nodad &&
	lab_serve_start 80 a &&
	sagate attach / --root --name root --set stale=open --set guard=on
}
root_down() {
	sagate detach root
	lab_serve_stop 80 a
	lab_stop_pidfile "$LAB_DIR/dhcpd.pid" TERM 5
	ip -n b addr del 192.0.2.3/24 dev wire
	ip -n b addr del 2001:db8::3/64 dev wire
}
root_dropped() { sagate show gates --json | jq '.[] | select(.name == "root").counters.guard_dropped'; }
root_drops_more() { [ "$(root_dropped)" -gt "$1" ]; }
# unharmed CMD...: it works, and nothing was dropped.
unharmed() {
	local before
	before=$(root_dropped)
	"$@" >"$LAB_DIR/unharmed.out" 2>&1 || { cat "$LAB_DIR/unharmed.out"; lab_fail "$*"; return 1; }
	[ "$(root_dropped)" = "$before" ] || lab_fail "$*: $(($(root_dropped) - before)) packets dropped"
}
on_wire() { lab_capture_show capture "$1" | wc -l; }
# appears FILTER CMD...: it works, nothing was dropped, and such a packet was on the wire.
appears() {
	local before
	before=$(on_wire "$1")
	unharmed "${@:2}" || return 1
	[ "$(on_wire "$1")" -gt "$before" ] || lab_fail "${*:2}: no '$1' on the wire"
}

dhcp_lease() {
	cat >"$LAB_DIR/dhcp.sh" <<-END
	#!/bin/sh
	[ "\$1" != deconfig ] || ip addr flush dev wire to 192.0.2.40
	[ "\$1" != bound ] || ip addr add "\$ip/24" dev wire
	END
	chmod +x "$LAB_DIR/dhcp.sh"
	lab_exec a timeout 30 busybox udhcpc -i wire -f -n -q -s "$LAB_DIR/dhcp.sh"
}
dhcp_serve() {
	printf '%s\n' 'start 192.0.2.40' 'end 192.0.2.40' 'interface wire' 'opt subnet 255.255.255.0' \
		"lease_file $LAB_DIR/leases" "pidfile $LAB_DIR/udhcpd" >"$LAB_DIR/udhcpd.conf"
	: >"$LAB_DIR/leases"
	lab_spawn "$LAB_DIR/udhcpd.out" nsenter --net=/run/netns/b -- busybox udhcpd -f "$LAB_DIR/udhcpd.conf" >"$LAB_DIR/dhcpd.pid"
	lab_wait_until 10 grep -q started "$LAB_DIR/udhcpd.out"
}

sends() { # TO PORT [FROM-PORT]: a datagram, broadcast and multicast too
	lab_exec a python3 -c 'import socket, sys
to, port, *bound = sys.argv[1:]
sock = socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET, socket.SOCK_DGRAM)
sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"wire")
sock.bind(("", int(bound[0]) if bound else 0))
sock.sendto(b"x" * 100, (to, int(port)))' "$@"
}
pings() { lab_exec "$1" ping -c 1 -W 3 "${@:2}"; }
echoes() { lab_exec a "$LAB_PROBE" "$@" --echo --for 10 | jq -e '.echoed == 1'; }
datagram() { lab_exec a "$LAB_PROBE" udp "$1" 80 "${@:2}" --for 0 --wait 1 | jq -e '.sent_ok == 1'; }
# refused_by_a PROTO FROM TO: nobody listens there: a's kernel says so at once.
refused_by_a() {
	lab_exec b "$LAB_PROBE" "$1" "$3" 9 --bind "$2" --connected --for 5 --wait 3000 | jq -e '.errnos.ECONNREFUSED == 1'
}

# from_a TO: packets of a to there, in clear, so far.
from_a() { on_wire "src host 192.0.2.1 and dst host $1 and not ip proto 50 and not udp port 500"; }
# is_dropped TO CMD...: it does not work, and what would answer it was dropped, not sent.
is_dropped() {
	local before sent
	before=$(root_dropped) sent=$(from_a "$1")
	if "${@:2}" >/dev/null 2>&1; then lab_fail "${*:2}: it works"; return 1; fi
	root_drops_more "$before" || { lab_fail "${*:2}: nothing was dropped"; return 1; }
	[ "$(from_a "$1")" = "$sent" ] || lab_fail "${*:2}: in clear"
}
