# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# hosts.sh: more of the hosts of peers.sh: what host a sends beside its programs'
# calls, under a gate on the root of all cgroups; a VRF; hosts with the same
# addresses. To be sourced after gate.sh.

# ---- a gate on the root ---------------------------------------------------

root_up() {
	modprobe -a nvme-tcp nvmet-tcp &&
	ip -n b addr replace 192.0.2.3/24 dev wire && ip -n b addr replace 2001:db8::3/64 dev wire nodad &&
	lab_serve_start 80 a &&
	disk_serve 192.0.2.3 &&
	sagate attach / --root --name root --set stale=open
}
root_down() {
	sagate detach root
	lab_serve_stop 80 a
	lab_stop_pidfile "$LAB_DIR/dhcpd.pid" TERM 5
	disk_serve_end
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

# disk_serve ADDRESS: a disk by NVMe over TCP, from host b, by its kernel alone.
disk_serve() {
	local nvmet=/sys/kernel/config/nvmet
	mountpoint -q /sys/kernel/config || mount -t configfs none /sys/kernel/config || return 1
	[ ! -d "$nvmet/ports/1" ] || disk_serve_end # of a test that failed
	head -c 4M /dev/urandom >"$LAB_DIR/disk" &&
	mkdir "$nvmet/subsystems/lab" "$nvmet/subsystems/lab/namespaces/1" "$nvmet/ports/1" || return 1
	echo 1 >"$nvmet/subsystems/lab/attr_allow_any_host"
	echo 1 >"$nvmet/subsystems/lab/namespaces/1/buffered_io"
	echo -n "$LAB_DIR/disk" >"$nvmet/subsystems/lab/namespaces/1/device_path"
	echo 1 >"$nvmet/subsystems/lab/namespaces/1/enable"
	echo tcp >"$nvmet/ports/1/addr_trtype"
	echo ipv4 >"$nvmet/ports/1/addr_adrfam"
	echo "$1" >"$nvmet/ports/1/addr_traddr"
	echo 4420 >"$nvmet/ports/1/addr_trsvcid"
	lab_exec b ln -s "$nvmet/subsystems/lab" "$nvmet/ports/1/subsystems/lab"
}
disk_serve_end() {
	local nvmet=/sys/kernel/config/nvmet
	rm "$nvmet/ports/1/subsystems/lab"
	rmdir "$nvmet/ports/1" "$nvmet/subsystems/lab/namespaces/1" "$nvmet/subsystems/lab"
}
disk_open() {
	lab_exec a sh -c 'echo "transport=tcp,traddr=192.0.2.3,trsvcid=4420,nqn=lab" >/dev/nvme-fabrics' &&
	lab_wait_until 20 test -b /dev/nvme0n1
}
disk_read() {
	timeout 60 dd if=/dev/nvme0n1 of="$LAB_DIR/disk.read" bs=256k iflag=direct status=none &&
	cmp "$LAB_DIR/disk" "$LAB_DIR/disk.read"
}
disk_close() { echo 1 >/sys/class/nvme/nvme0/delete_controller; }

# Its first packets are written by the program itself, the last one, which gives the
# address back, is the kernel's.
dhcp_lease() {
	cat >"$LAB_DIR/dhcp.sh" <<-END
	#!/bin/sh
	[ "\$1" != deconfig ] || ip addr flush dev wire to 192.0.2.40
	[ "\$1" != bound ] || ip addr add "\$ip/24" dev wire
	END
	chmod +x "$LAB_DIR/dhcp.sh"
	lab_exec a timeout 30 busybox udhcpc -i wire -f -n -q -R -s "$LAB_DIR/dhcp.sh"
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

# ---- twins ----------------------------------------------------------------

# twins_up: two more hosts, with the same addresses and device numbers as a and b.
twins_up() {
	local index
	index=$(ip -n a -j link show wire | jq '.[0].ifindex')
	ip netns add c && ip netns add d &&
	ip link add wire netns c index "$index" type veth peer name wire netns d &&
	ip -n c addr add 192.0.2.1/24 dev wire && ip -n d addr add 192.0.2.2/24 dev wire &&
	ip -n c link set wire up && ip -n d link set wire up
}
# The answer is made on the processor that sent.
pings_a_on_cpu0() { taskset 1 nsenter --net="/run/netns/$1" -- ping -c 1 -W 2 192.0.2.1; }
answer_told() {
	jq -se 'any(.event == "guard" and .flow.proto == "icmp" and .flow.dst == "192.0.2.2" and .dropped and .pid == null)' \
		"$LAB_DIR/watch.out"
}

# ---- a VRF ----------------------------------------------------------------

# vrf_up: a VRF of host a, with an address of its own on the wire.
#
#   red (VRF) 192.0.2.11/24 2001:db8::11/64 on vw --macvlan-- wire
vrf_up() {
	local mac
	modprobe -a vrf macvlan &&
	ip -n a -batch - <<-END || return 1
	link add red type vrf table 100
	link set red up
	link add vw link wire type macvlan mode bridge
	link set vw master red
	link set vw up
	addr add 192.0.2.11/24 dev vw
	addr add 2001:db8::11/64 dev vw nodad
	END
	mac=$(ip -n b -j link show wire | jq -r '.[0].address')
	ip -n a neigh replace 192.0.2.2 lladdr "$mac" nud permanent dev vw &&
	ip -n a neigh replace 2001:db8::2 lladdr "$mac" nud permanent dev vw || return 1
	mac=$(ip -n a -j link show vw | jq -r '.[0].address')
	ip -n b neigh replace 192.0.2.11 lladdr "$mac" nud permanent dev wire &&
	ip -n b neigh replace 2001:db8::11 lladdr "$mac" nud permanent dev wire
}
vrf_down() {
	ip -n a link del vw
	ip -n a link del red
}
# vrf_protect OURS PEER'S REQID: SAs and policies of both hosts, by hand.
vrf_protect() {
	local host dirs esp=(mode transport reqid "$3")
	local keys=(aead 'rfc4106(gcm(aes))' 0x0102030405060708090a0b0c0d0e0f1011121314 128)
	for host in a b; do
		dirs="out in"
		[ $host = a ] || dirs="in out"
		ip -n $host xfrm state add src "$1" dst "$2" proto esp spi "0x${3}1" "${esp[@]}" "${keys[@]}" &&
		ip -n $host xfrm state add src "$2" dst "$1" proto esp spi "0x${3}2" "${esp[@]}" "${keys[@]}" &&
		ip -n $host xfrm policy add src "$1" dst "$2" dir "${dirs% *}" tmpl src "$1" dst "$2" proto esp "${esp[@]}" &&
		ip -n $host xfrm policy add src "$2" dst "$1" dir "${dirs#* }" tmpl src "$2" dst "$1" proto esp "${esp[@]}" || return 1
	done
}
vrf_expose() {
	local host
	for host in a b; do
		ip -n $host xfrm state flush && ip -n $host xfrm policy flush || return 1
	done
}
