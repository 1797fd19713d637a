# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# host.sh: a host with a sagate daemon on this machine's own kernel, without a
# VM and without an SA. To be sourced by the bats files here (root).
#
#     netns $SGK_A: the gated host              netns $SGK_B: its peer
#    +--------------------------------+        +--------------------------------+
#    | w 192.0.2.1/24 192.0.2.101/24  |--veth--| w 192.0.2.2-30/24              |
#    |   2001:db8::1/64               |        |   2001:db8::2-6/64             |
#    | daemon, gated clients          |        | probe serve 80, 81             |
#    | 198.51.100.0/24 by way of .2   |        |   198.51.100.1-9/32            |
#    +--------------------------------+        +--------------------------------+
#
# Everything has the test process's number in its name: cgroup, namespaces and
# pins of other runs are left alone.

SGK_REPO=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]%/*}")")")
SAGATE=${SAGATE:-$SGK_REPO/build/sagate}
SGK_PROBE=$SGK_REPO/build/tests/probe

sgk_fail() {
	echo "kernel test: $*" >&2
	return 1
}

# sgk_wait SECONDS CMD...: until CMD succeeds; 1 and a message if never.
sgk_wait() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || { sgk_fail "waited in vain for: $*"; return 1; }
		sleep 0.02
	done
}

# sgk_spawn LOG CMD...: in the background, holding none of bats' descriptors.
# Prints its process id.
sgk_spawn() {
	local log=$1
	shift
	# shellcheck disable=SC2016 # expanded inside
	setsid bash -c 'for fd in /proc/self/fd/*; do
			fd=${fd##*/}
			[ "$fd" -le 2 ] || eval "exec $fd>&-"
		done
		log=$1; shift
		"$@" </dev/null >>"$log" 2>&1 & echo $!' sgk_spawn "$log" "$@"
}

sgk_gone() { ! kill -0 "$1" 2>/dev/null; }

# sgk_stop FILE [SIGNAL]: the process whose id is in the file.
sgk_stop() {
	local pid
	[ -s "$1" ] || return 0
	pid=$(cat "$1")
	rm -f "$1"
	kill -"${2:-TERM}" "$pid" 2>/dev/null || return 0
	kill -CONT "$pid" 2>/dev/null || :
	sgk_wait 10 sgk_gone "$pid" || kill -KILL "$pid"
}

sgk_names() {
	export SGK_DIR=$BATS_FILE_TMPDIR
	export SGK_CGROUP2 SGK_A=sgka$$ SGK_B=sgkb$$ SGK_GATE=sgk$$ SGK_PIN=/sys/fs/bpf/sagate-test-$$
	export SGK_SOCKET=$SGK_DIR/control.sock SGK_CONF=$SGK_DIR/sagate.conf SGK_WAYS=$SGK_DIR/ways
	SGK_CGROUP2=$(findmnt -nro TARGET -t cgroup2 | head -n 1)
}

on_a() { nsenter --net="/run/netns/$SGK_A" -- "$@"; }
on_b() { nsenter --net="/run/netns/$SGK_B" -- "$@"; }

sgk_addresses() {
	local n
	echo "link set lo up"
	echo "link set w up"
	for n; do echo "addr add $n dev w"; done
}

# sgk_net_up: the two hosts, and the servers on the peer.
sgk_net_up() {
	local n port
	ip netns add "$SGK_A" && ip netns add "$SGK_B" &&
	ip link add w netns "$SGK_A" type veth peer name w netns "$SGK_B" || return 1
	for n in "$SGK_A" "$SGK_B"; do
		nsenter --net="/run/netns/$n" -- sysctl -qw net.ipv6.conf.all.accept_dad=0 \
			net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.w.accept_dad=0 \
			net.ipv4.ping_group_range="0 2147483647" net.ipv4.tcp_fastopen=3 \
			net.ipv4.conf.all.rp_filter=0 || return 1
	done
	sgk_addresses 192.0.2.1/24 192.0.2.101/24 2001:db8::1/64 | ip -n "$SGK_A" -batch - &&
	sgk_addresses 192.0.2.{2..30}/24 2001:db8::{2..6}/64 198.51.100.{1..9}/32 |
		ip -n "$SGK_B" -batch - &&
	sgk_wait 10 sgk_has_address "$SGK_A" 2001:db8::1 &&
	sgk_wait 10 sgk_has_address "$SGK_B" 2001:db8::6 &&
	ip -n "$SGK_A" route add 198.51.100.0/24 via 192.0.2.2 || return 1
	for port in 80 81; do
		sgk_spawn "$SGK_DIR/serve-$port" nsenter --net="/run/netns/$SGK_B" -- \
			"$SGK_PROBE" serve "$port" >"$SGK_DIR/serve-$port.pid"
		sgk_wait 10 grep -q ready "$SGK_DIR/serve-$port" || return 1
	done
}

sgk_has_address() { ip -n "$1" -6 addr show dev w scope global -tentative | grep -q " $2/"; }

# served tcp|udp: connections or datagrams that have arrived at the peer.
served() { cat "$SGK_DIR"/serve-8[01] | grep -c "\"event\":\"$1\""; }
served_is() { [ "$(served "$1")" = "$2" ]; }

sagate() { on_a "$SAGATE" "$@" -s "$SGK_SOCKET"; }

# sgk_conf [FURTHER-LINES]: trigger=acquire, for which no IKE daemon is needed:
# negotiations stay under way until their time is up.
sgk_conf() {
	cat >"$SGK_CONF" <<-END
	[daemon]
	control=$SGK_SOCKET
	pin=$SGK_PIN
	log-level=debug
	[ike]
	vici=unix://$SGK_DIR/vici
	trigger=${SGK_TRIGGER:-acquire}
	timeout=${SGK_TIMEOUT:-300s}
	backoff=2s..4s
	$1
	END
}

sgk_ready() { [ "$(sagate status --json | jq .ready)" = true ]; }

sgk_daemon_start() {
	sgk_spawn "$SGK_DIR/log" nsenter --net="/run/netns/$SGK_A" -- \
		"$SAGATE" daemon -c "$SGK_CONF" >"$SGK_DIR/daemon.pid"
	sgk_wait 20 sgk_ready || { tail -n 20 "$SGK_DIR/log" >&2; return 1; }
}

# It is gone, with its lock, when this returns.
sgk_daemon_kill() {
	local pid
	pid=$(cat "$SGK_DIR/daemon.pid")
	kill -KILL "$pid" && sgk_wait 10 sgk_gone "$pid"
}

# sgk_up [FURTHER-LINES]: all of it, with the gate "gated" on a cgroup of its own.
sgk_up() {
	local tool
	[ "$(id -u)" = 0 ] || { sgk_fail "run it as root"; return 1; }
	for tool in "$SAGATE" "$SGK_PROBE"; do
		[ -x "$tool" ] || { sgk_fail "no $tool: run make"; return 1; }
	done
	sgk_names
	[ -n "$SGK_CGROUP2" ] || { sgk_fail "cgroup v2 is not mounted"; return 1; }
	findmnt -n /sys/fs/bpf >/dev/null || mount -t bpf bpf /sys/fs/bpf || return 1
	"${CC:-gcc}" -std=gnu11 -O2 -D_GNU_SOURCE -pthread -o "$SGK_WAYS" \
		"$SGK_REPO/tests/kernel/ways.c" &&
	sgk_net_up &&
	mkdir "$SGK_CGROUP2/$SGK_GATE" || return 1
	sgk_conf "${1-}"
	sgk_daemon_start && sagate attach "/$SGK_GATE" --name gated >/dev/null
}

# sgk_down: ends and removes all of it, after a failure too.
sgk_down() {
	local file n
	for file in "$SGK_DIR"/*.pid; do
		sgk_stop "$file" || :
	done
	rm -rf "$SGK_PIN" "$SGK_PIN"-*
	for n in "$SGK_A" "$SGK_B"; do
		[ ! -e "/run/netns/$n" ] || ip netns del "$n"
	done
	[ -z "$SGK_GATE" ] || find "$SGK_CGROUP2" -depth -maxdepth 4 -type d -path "*/$SGK_GATE*" -exec rmdir {} \; 2>/dev/null || :
	rm -f "$SGK_CONF"
}

# sgk_in CGROUP CMD...: CMD on host A, in that cgroup (a path from the v2 root).
sgk_in() {
	# shellcheck disable=SC2016 # expanded inside
	sh -c 'echo $$ >"$1/cgroup.procs" || exit 125
		netns=$2; shift 2
		exec nsenter --net="/run/netns/$netns" -- "$@"' \
		sgk_in "$SGK_CGROUP2$1" "$SGK_A" "${@:2}"
}

gated() { sgk_in "/$SGK_GATE" "$@"; }
# sgk_spawn_gated LOG CMD...: the same in the background, see sgk_spawn: CMD has the
# process id that is printed.
sgk_spawn_gated() {
	# shellcheck disable=SC2016 # expanded inside
	sgk_spawn "$1" sh -c 'echo $$ >"$1/cgroup.procs"; netns=$2; shift 2
		exec nsenter --net="/run/netns/$netns" -- "$@"' \
		sgk_spawn_gated "$SGK_CGROUP2/$SGK_GATE" "$SGK_A" "${@:2}"
}
# holding N: so many calls wait, asleep.
holding() { [ "$(sagate show holds --json | jq 'map(select(.asleep)) | length')" = "$1" ]; }

# way WAY ADDR PORT [KEY=VALUE...]: ways in the gate; prints ok or the errno.
way() { gated "$SGK_WAYS" "$@" | cut -d ' ' -f 1; }

# spd add|update|delete ...: an outbound policy of host A.
spd() {
	local verb=$1
	shift
	on_a ip xfrm policy "$verb" dir out "$@"
}
tmpl() { # REQID: the words of a transport mode ESP template
	echo "tmpl src 0.0.0.0 dst 0.0.0.0 proto esp mode transport reqid $1"
}
tmpl6() { echo "tmpl src :: dst :: proto esp mode transport reqid $1"; }

explain() { sagate explain "$@" --json | jq -r '.verdict + " " + .reason'; }
explains() { # "VERDICT REASON" ARGS...
	[ "$(explain "${@:2}")" = "$1" ]
}
# in_force: what ip(8) did until now is in the maps. Bounded; see changes.bats.
in_force() { sgk_wait 5 explains "$@"; }

# counters [GATE]: of a gate, one line of JSON.
counters() {
	sagate show gates --json | jq -c ".[] | select(.name == \"${1:-gated}\") | .counters"
}
# difference BEFORE AFTER: the counters that moved, and by how much:
# "reasons.no-sa=1 refused=1 verdicts.wait=1", sorted
difference() {
	jq -nr --argjson a "$1" --argjson b "$2" '
		[$b | paths(numbers)] | map(. as $p | select(($b | getpath($p)) != ($a | getpath($p) // 0)) |
		($p | join(".")) + "=" + (($b | getpath($p)) - ($a | getpath($p) // 0) | tostring)) | sort | join(" ")'
}
# counted WORDS CMD...: CMD, and the gate's counters moved by exactly that.
counted() {
	local want before after
	want=$(tr ' ' '\n' <<<"$1" | sort | paste -sd ' ')
	before=$(counters gated)
	"${@:2}" || return 1
	after=$(counters gated)
	[ "$(difference "$before" "$after")" = "$want" ] ||
		sgk_fail "${*:2}: counters moved by '$(difference "$before" "$after")', not '$want'"
}

# expect RESULT WAY ADDR PORT [KEY=VALUE...]
expect() {
	local got
	got=$(way "${@:2}")
	[ "$got" = "$1" ] || sgk_fail "${*:2}: got $got, not $1"
}
