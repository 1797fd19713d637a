# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# peers.sh: two hosts with a real charon each, in one machine. To be sourced
# (bash, root, inside tests/lab/vm) by bats files and scripts.
#
#   netns a: the client's host          netns w: the wire          netns b: the peer
#  +----------------------------+      +-----------------+      +----------------------------+
#  | wire  192.0.2.1/24         |------| wa  bridge   wb |------| wire  192.0.2.2/24         |
#  |       2001:db8::1/64       |      |     ^           |      |       2001:db8::2/64       |
#  | behind (for tunnel mode):  |      |  capture here   |      | behind (for tunnel mode):  |
#  | lo    198.51.100.1/32      |      +-----------------+      | lo    203.0.113.1/32       |
#  |       2001:db8:a::1/128    |                               |       2001:db8:b::1/128    |
#  | charon, VICI socket        |                               | charon, VICI socket        |
#  |   $LAB_DIR/a/vici          |                               |   $LAB_DIR/b/vici          |
#  +----------------------------+                               +----------------------------+
#  192.0.2.99, 2001:db8::99: nobody's; planted packets go there
#
# The capture sits in the middle because a host's own capture also shows what
# it has just decrypted (tunnel mode), as if it had come in clear.
# Neighbours are static: unicast neighbour discovery falls under a host-to-host
# policy and would wait for the very SA that IKE cannot negotiate without it.
# Documentation addresses only; nothing leaves the machine.
#
# In short (each function's contract stands above it):
#   lab_up; lab_charon_start a b; lab_load b start_action=none
#   lab_load a start_action=trap; lab_serve_start 80; lab_capture_start
#   lab_exec a "$LAB_PROBE" tcp 192.0.2.2 80
#   lab_capture_stop; lab_capture_count plain; lab_down

lab_here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
lab_repo=$(dirname "$(dirname "$lab_here")")
LAB_DIR=${LAB_DIR:-/tmp/lab}
LAB_PROBE=${LAB_PROBE:-$lab_repo/build/tests/probe}
LAB_CHARON=${LAB_CHARON:-/usr/lib/ipsec/charon}
# How soon an IKE daemon gives up on a silent peer: 1 + 1.5 + 2.25 + 3.4 s.
LAB_RETRANSMIT_TIMEOUT=${LAB_RETRANSMIT_TIMEOUT:-1.0}
LAB_RETRANSMIT_BASE=${LAB_RETRANSMIT_BASE:-1.5}
LAB_RETRANSMIT_TRIES=${LAB_RETRANSMIT_TRIES:-3}
# What a capture calls "plain" if it is neither ESP nor IKE.
LAB_PROTECTED=${LAB_PROTECTED:-net 192.0.2.0/24 or net 198.51.100.0/24 or net 203.0.113.0/24 or net 2001:db8::/32}

# lab_untraced: bats takes down where each command of a test stands, which is 7 ms a
# command in a machine. Not in *.sh from here on: a failure there is told with the
# line of the .bats file that led to it. A file with a setup() of its own calls it.
lab_untraced() { trap '[[ $BASH_SOURCE == *.sh ]] || bats_debug_trap "$BASH_SOURCE"' DEBUG; }
if declare -F bats_debug_trap >/dev/null; then
	lab_untraced # in setup_file, too
	setup() { lab_untraced; }
fi

lab_fail() {
	echo "lab: $*" >&2
	return 1
}

# lab_wait_until SECONDS CMD...: until CMD succeeds; 1 and a message if never.
lab_wait_until() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || { lab_fail "waited in vain for: $*"; return 1; }
		sleep 0.05
	done
}

# lab_spawn LOG CMD...: starts CMD in the background, in a session of its own,
# holding none of bats' descriptors. Prints its process id.
lab_spawn() {
	local log=$1
	shift
	# shellcheck disable=SC2016 # expanded inside
	setsid bash -c 'for fd in /proc/self/fd/*; do
			fd=${fd##*/}
			[ "$fd" -le 2 ] || eval "exec $fd>&-"
		done
		log=$1; shift
		"$@" </dev/null >"$log" 2>&1 & echo $!' lab_spawn "$log" "$@"
}

lab_gone() { ! kill -0 "$1" 2>/dev/null; }

# lab_stop_pidfile FILE SIGNAL SECONDS: stops that process, if it runs.
lab_stop_pidfile() {
	local pid
	[ -s "$1" ] || return 0
	pid=$(cat "$1")
	rm -f "$1"
	kill -"$2" "$pid" 2>/dev/null || return 0
	lab_wait_until "$3" lab_gone "$pid" && return
	kill -KILL "$pid"
	lab_fail "$(basename "$1"): process $pid did not end on SIG$2 within $3 s: killed"
}

# ---- hosts ---------------------------------------------------------------

# lab_exec PEER CMD...: CMD in that host's network. Not `ip netns exec`, which
# mounts a fresh /sys and so hides cgroups and bpffs.
lab_exec() {
	local peer=$1
	shift
	nsenter --net="/run/netns/$peer" -- "$@"
}

# lab_run_in_gate CGROUP PEER CMD...: joins the cgroup (a path below
# /sys/fs/cgroup), then enters the network, then becomes CMD.
lab_run_in_gate() {
	# shellcheck disable=SC2016 # expanded inside
	sh -c 'echo $$ >"/sys/fs/cgroup/$1/cgroup.procs" || exit 125
		peer=$2; shift 2
		exec nsenter --net="/run/netns/$peer" -- "$@"' lab_run_in_gate "$@"
}

lab_other() { [ "$1" = a ] && echo b || echo a; }

lab_host_up() { # PEER NUMBER BEHIND4 BEHIND6
	ip netns add "$1" &&
	ip link add wire netns "$1" type veth peer name "w$1" netns w &&
	ip -n w link set "w$1" master bridge up &&
	lab_exec "$1" sysctl -qw net.ipv4.ping_group_range="0 2147483647" \
		net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
		net.ipv6.conf.wire.accept_dad=0 net.ipv6.conf.wire.router_solicitations=0 &&
	ip -n "$1" -batch - <<-END
	link set lo up
	link set wire up
	addr add 192.0.2.$2/24 dev wire
	addr add 2001:db8::$2/64 dev wire nodad
	addr add $3/32 dev lo
	addr add $4/128 dev lo nodad
	END
}

# lab_host_join PEER OTHER'S-NUMBER OWN4 OWN6 OTHER'S-NET4 OTHER'S-NET6
lab_host_join() {
	local mac
	mac=$(ip -n "$(lab_other "$1")" -j link show wire | jq -r '.[0].address')
	ip -n "$1" -batch - <<-END
	neigh replace 192.0.2.$2 lladdr $mac nud permanent dev wire
	neigh replace 192.0.2.99 lladdr $mac nud permanent dev wire
	neigh replace 2001:db8::$2 lladdr $mac nud permanent dev wire
	neigh replace 2001:db8::99 lladdr $mac nud permanent dev wire
	route add $5 via 192.0.2.$2 src $3
	route add $6 via 2001:db8::$2 src $4
	END
}

# The wire's own address is for markers only, see lab_capture_sync. They go to
# a hardware address that neither host has.
lab_wire_up() {
	ip netns add w &&
	lab_exec w sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1 &&
	ip -n w -batch - <<-END || return 1
	link add bridge address 02:00:00:00:00:01 type bridge stp_state 0 forward_delay 0 mcast_snooping 0
	addr add 198.18.0.1/15 dev bridge
	link set bridge up
	neigh replace 198.18.0.2 lladdr 02:00:00:00:00:99 nud permanent dev bridge
	END
	mkfifo "$LAB_DIR/marker" || return 1
	# shellcheck disable=SC2016 # expanded inside
	lab_spawn "$LAB_DIR/marker.out" nsenter --net=/run/netns/w -- bash -c \
		'exec 3<>"$1"; while read -r mark <&3; do echo "lab-marker-$mark." >/dev/udp/198.18.0.2/9; done' \
		bash "$LAB_DIR/marker" >"$LAB_DIR/marker.pid"
}

# lab_up: the topology, no IKE yet. Fails if one is up already.
lab_up() {
	[ ! -e /run/netns/w ] || { lab_fail "the lab is up already: lab_down first"; return 1; }
	modprobe -a esp4 esp6 xfrm_user veth bridge authenc gcm echainiv ||
		{ lab_fail "this kernel lacks a module the lab needs"; return 1; }
	mkdir -p "$LAB_DIR"
	lab_wire_up &&
	lab_host_up a 1 198.51.100.1 2001:db8:a::1 &&
	lab_host_up b 2 203.0.113.1 2001:db8:b::1 &&
	lab_host_join a 2 198.51.100.1 2001:db8:a::1 203.0.113.0/24 2001:db8:b::/48 &&
	lab_host_join b 1 203.0.113.1 2001:db8:b::1 198.51.100.0/24 2001:db8:a::/48 &&
	lab_wait_until 10 lab_exec a ping -c 1 -W 1 192.0.2.2 &&
	lab_wait_until 10 lab_exec a ping -c 1 -W 1 2001:db8:b::1
}

# lab_down: ends everything that lab_* started.
lab_down() {
	local file
	for file in "$LAB_DIR"/*/{charon,pluto}.pid "$LAB_DIR"/*.pid; do
		lab_stop_pidfile "$file" KILL 10 || :
	done
	for file in a b w; do
		[ ! -e "/run/netns/$file" ] || ip netns del "$file"
	done
	rm -rf "$LAB_DIR"
}

# lab_link_cut, lab_link_mend: no packet passes between a and b, or they do.
lab_link_cut() { ip -n w link set wb nomaster; }
lab_link_mend() { ip -n w link set wb master bridge; }

# ---- IKE daemons ---------------------------------------------------------

lab_charon_conf() { # PEER
	cat <<-END
	charon {
	  install_routes = no
	  load = random nonce openssl pem pkcs1 pkcs8 x509 pubkey revocation constraints hmac kdf gcm drbg kernel-netlink socket-default vici updown
	  retransmit_timeout = $LAB_RETRANSMIT_TIMEOUT
	  retransmit_base = $LAB_RETRANSMIT_BASE
	  retransmit_tries = $LAB_RETRANSMIT_TRIES
	  filelog { log { path = $LAB_DIR/$1/charon.log
	                  default = 1
	                  flush_line = yes
	                  time_format = %s
	                  time_add_ms = yes } }
	  plugins { vici { socket = unix://$LAB_DIR/$1/vici } }
	  ${LAB_CHARON_EXTRA-}
	}
	swanctl {
	  load = random nonce openssl pem pkcs1 pkcs8 x509 pubkey
	}
	pki {
	  load = random nonce openssl pem pkcs1 pkcs8 x509 pubkey
	}
	END
}

# lab_charon_spawn PEER: starts a charon; it is not ready yet.
lab_charon_spawn() {
	local dir=$LAB_DIR/$1
	[ ! -s "$dir/charon.pid" ] || lab_gone "$(cat "$dir/charon.pid")" ||
		{ lab_fail "charon $1 runs already"; return 1; }
	mkdir -p "$dir/conf.d" "$dir/x509" "$dir/x509ca" "$dir/private"
	rm -f "$dir/vici"
	echo "include conf.d/*.conf" >"$dir/swanctl.conf"
	lab_charon_conf "$1" >"$dir/strongswan.conf"
	# shellcheck disable=SC2016 # expanded inside
	lab_spawn "$dir/charon.out" nsenter --net="/run/netns/$1" -- unshare -m \
		env STRONGSWAN_CONF="$dir/strongswan.conf" \
		sh -c 'mount -t tmpfs run /run && exec "$1"' sh "$LAB_CHARON" >"$dir/charon.pid"
}

lab_charon_ready() { lab_swanctl "$1" --stats; }

# lab_charon_start PEER...: starts a charon in each and waits until they answer
# on $LAB_DIR/PEER/vici. LAB_RETRANSMIT_* and LAB_CHARON_EXTRA (lines for
# strongswan.conf's charon section) are read now. Under emulation a start can
# take more than ten seconds.
lab_charon_start() {
	local peer
	for peer; do
		lab_charon_spawn "$peer" || return 1
	done
	for peer; do
		if ! lab_wait_until 60 test -S "$LAB_DIR/$peer/vici" ||
		   ! lab_wait_until 60 lab_charon_ready "$peer"; then
			lab_fail "charon $peer did not come up; its last lines:"
			tail -n 20 "$LAB_DIR/$peer/charon.out" "$LAB_DIR/$peer/charon.log" >&2
			return 1
		fi
	done
}

# lab_charon_stop PEER: politely: it takes its policies and SAs with it.
lab_charon_stop() { lab_stop_pidfile "$LAB_DIR/$1/charon.pid" TERM 30; }

# lab_charon_kill PEER: as by a crash: policies and SAs stay in the kernel.
lab_charon_kill() { lab_stop_pidfile "$LAB_DIR/$1/charon.pid" KILL 10; }

# lab_swanctl PEER ARGS...
lab_swanctl() {
	local dir=$LAB_DIR/$1
	shift
	SWANCTL_DIR=$dir STRONGSWAN_CONF=$dir/strongswan.conf \
		swanctl "$@" --uri "unix://$dir/vici"
}

# ---- connections ---------------------------------------------------------

# lab_certs: a CA and a certificate for each host; made once, kept in build/.
lab_certs() (
	dir=$lab_repo/build/lab/certs
	if [ ! -f "$dir/b.pem" ]; then
		mkdir -p "$lab_repo/build/lab"
		new=$(mktemp -d "$dir.XXXXXX")
		export STRONGSWAN_CONF=$LAB_DIR/a/strongswan.conf
		pki --gen --type ecdsa --size 256 --outform pem >"$new/ca.key" &&
		pki --self --ca --type ecdsa --in "$new/ca.key" --dn "CN=lab CA" --lifetime 3650 \
			--outform pem >"$new/ca.pem" || return 1
		for host in a b; do
			pki --gen --type ecdsa --size 256 --outform pem >"$new/$host.key" &&
			pki --issue --type ecdsa --in "$new/$host.key" --cacert "$new/ca.pem" \
				--cakey "$new/ca.key" --dn "CN=$host.lab.test" --san "$host.lab.test" \
				--lifetime 3000 --outform pem >"$new/$host.pem" || return 1
		done
		# Two machines may do this at once: the first to rename wins.
		mv -T "$new" "$dir" 2>/dev/null || rm -rf "$new"
	fi
	for host in a b; do
		cp "$dir/$host.pem" "$LAB_DIR/$host/x509/" &&
		cp "$dir/ca.pem" "$LAB_DIR/$host/x509ca/" &&
		cp "$dir/$host.key" "$LAB_DIR/$host/private/" || return 1
	done
)

lab_host_address() { # PEER FAMILY
	case $1$2 in
	a4) echo 192.0.2.1 ;;
	a6) echo 2001:db8::1 ;;
	b4) echo 192.0.2.2 ;;
	b6) echo 2001:db8::2 ;;
	esac
}

lab_behind() { # PEER FAMILY
	case $1$2 in
	a4) echo 198.51.100.1/32 ;;
	a6) echo 2001:db8:a::1/128 ;;
	b4) echo 203.0.113.1/32 ;;
	b6) echo 2001:db8:b::1/128 ;;
	esac
}

lab_child_conf() { # NAME LOCAL_TS REMOTE_TS, and lab_load's options
	cat <<-END
	      $1 {
	        mode = ${o[mode]}
	        local_ts = $2
	        remote_ts = $3
	        esp_proposals = ${o[esp]}
	        start_action = ${o[start_action]}
	        rekey_time = ${o[rekey]}
	        life_time = ${o[life]}
	        close_action = ${o[close_action]}
	        dpd_action = ${o[dpd_action]}
	        ${o[child_extra]}
	      }
	END
}

lab_conn_conf() { # PEER OTHER, and lab_load's options
	local other=$2 auth_local auth_remote also
	if [ "${o[auth]}" = cert ]; then
		auth_local="auth = pubkey; certs = $1.pem"
		auth_remote="auth = pubkey; cacerts = ca.pem"
	else
		auth_local="auth = psk"
		auth_remote="auth = psk"
	fi
	cat <<-END
	connections {
	  ${o[conn]} {
	    version = 2
	    local_addrs = ${o[local]}
	    remote_addrs = ${o[remote]}
	    proposals = ${o[ike]}
	    reauth_time = ${o[reauth]}
	    rekey_time = ${o[ike_rekey]}
	    dpd_delay = ${o[dpd]}
	    local { id = $1.lab.test
	      ${auth_local//; /$'\n'}
	    }
	    remote { id = $other.lab.test
	      ${auth_remote//; /$'\n'}
	    }
	    ${o[extra]}
	    children {
	END
	lab_child_conf "${o[child]}" "${o[local_ts]}" "${o[remote_ts]}"
	if [ -n "${o[also]}" ]; then
		read -r -a also <<<"${o[also]}"
		lab_child_conf "${also[0]}" "${also[1]}" "${also[2]}"
	fi
	printf '    }\n  }\n}\n'
	[ "${o[auth]}" = cert ] || cat <<-END
	secrets {
	  ike-${o[conn]} {
	    id = $other.lab.test
	    secret = "${o[psk]}"
	  }
	}
	END
}

lab_policy_count() { # PEER DIR: policies with a template
	lab_exec "$1" ip xfrm policy list dir "$2" | awk '$1 == "tmpl" { n++ } END { print n + 0 }'
}

lab_policies_at_least() { [ "$(lab_policy_count "$1" "$2")" -ge "$3" ]; }

# lab_load PEER KEY=VALUE...: writes a connection for swanctl and loads it, next
# to those loaded before (same conn: replaced). Fails if charon does not know it
# afterwards, or if a trap did not reach the kernel's SPD.
#   conn=lab  child=net  mode=transport|tunnel  family=4|6  auth=psk|cert  psk=TEXT
#   start_action=none|trap|start  esp=PROPOSAL  ike=PROPOSAL
#   rekey=TIME (CHILD_SA)  life=TIME  ike_rekey=TIME  reauth=TIME  dpd=TIME
#   close_action=none|trap|start  dpd_action=clear|trap|restart
#   local= remote= (addresses)  local_ts= remote_ts= (default: the hosts in
#   transport mode, what is behind them in tunnel mode)
#   also="CHILD LOCAL_TS REMOTE_TS" (a second child)
#   extra= child_extra= (lines for the connection, for the children)
lab_load() {
	local peer=$1 other option traps
	local -A o=(
		[conn]=lab [child]=net [mode]=transport [family]=4 [auth]=psk [psk]="lab secret"
		[start_action]=none [esp]=aes128gcm16 [ike]=aes128gcm16-prfsha256-x25519
		[rekey]=1h [life]='' [ike_rekey]=4h [reauth]=0 [dpd]=0 [close_action]=none
		[dpd_action]=clear [local]='' [remote]='' [local_ts]='' [remote_ts]=''
		[also]='' [extra]='' [child_extra]=''
	)
	shift
	other=$(lab_other "$peer")
	for option; do
		[ -n "${o[${option%%=*}]+x}" ] ||
			{ lab_fail "lab_load: '$option' is no option"; return 1; }
		o[${option%%=*}]=${option#*=}
	done
	: "${o[local]:=$(lab_host_address "$peer" "${o[family]}")}"
	: "${o[remote]:=$(lab_host_address "$other" "${o[family]}")}"
	if [ "${o[mode]}" = tunnel ]; then
		: "${o[local_ts]:=$(lab_behind "$peer" "${o[family]}")}"
		: "${o[remote_ts]:=$(lab_behind "$other" "${o[family]}")}"
	fi
	: "${o[local_ts]:=dynamic}" "${o[remote_ts]:=dynamic}"
	[ -n "${o[life]}" ] || o[life]=2h
	[ "${o[auth]}" != cert ] || lab_certs || { lab_fail "no certificates: pki failed"; return 1; }
	lab_conn_conf "$peer" "$other" >"$LAB_DIR/$peer/conf.d/${o[conn]}.conf"

	traps=$(lab_policy_count "$peer" out)
	lab_load_all "$peer" || return 1
	grep -q "^loaded connection '${o[conn]}'" "$LAB_DIR/$peer/load.out" ||
		{ lab_fail "charon $peer did not take ${o[conn]}:"; cat "$LAB_DIR/$peer/load.out" >&2; return 1; }
	[ "${o[start_action]}" = trap ] || return 0
	lab_wait_until 30 lab_trap_installed "$peer" "${o[child]}" &&
	lab_wait_until 30 lab_policies_at_least "$peer" out $((traps > 0 ? traps : 1))
}

lab_trap_installed() { lab_swanctl "$1" --list-pols --trap | grep -q "/$2, \|^$2, "; }

lab_load_all() { # PEER
	local dir=$LAB_DIR/$1
	lab_swanctl "$1" --load-all --clear --noprompt --file "$dir/swanctl.conf" \
		>"$dir/load.out" 2>&1 && return
	lab_fail "swanctl could not load $dir/conf.d into charon $1:"
	cat "$dir/load.out" >&2
	return 1
}

# lab_unload PEER CONN: the connection and its trap go; its SAs stay.
lab_unload() {
	rm -f "$LAB_DIR/$1/conf.d/$2.conf"
	lab_load_all "$1"
}

# lab_initiate PEER [CHILD [CONN]]: as an operator would, until the SA is there.
lab_initiate() {
	lab_swanctl "$1" --initiate --child "${2:-net}" --ike "${3:-lab}" --timeout 30 >"$LAB_DIR/$1/initiate.out" 2>&1 &&
		return
	lab_fail "initiate ${2:-net} on $1 failed:"
	cat "$LAB_DIR/$1/initiate.out" >&2
	return 1
}

# lab_terminate PEER [CONN]: IKE_SA and CHILD_SAs, the peer is told.
lab_terminate() {
	lab_swanctl "$1" --terminate --ike "${2:-lab}" --force --timeout 20 >/dev/null 2>&1
}

# lab_ike_sas PEER: numbers of the IKE_SAs, those that only begin included.
lab_ike_sas() {
	lab_swanctl "$1" --list-sas | sed -n 's/^[^ ][^ ]*: #\([0-9]*\),.*/\1/p'
}

# lab_sa_count PEER: SAs with keys in the kernel (larval ones have none).
lab_sa_count() {
	lab_exec "$1" ip xfrm state list | awk '$1 ~ /^(aead|enc)$/ { n++ } END { print n + 0 }'
}

lab_sas_none() { [ "$(lab_sa_count a)" = 0 ] && [ "$(lab_sa_count b)" = 0 ]; }
lab_sas_some() { [ "$(lab_sa_count "$1")" -gt 0 ]; }

# lab_reset: no connection, no SA, no policy on either host; charons stay up.
# Between tests.
lab_reset() {
	local peer id
	for peer in a b; do
		[ -s "$LAB_DIR/$peer/charon.pid" ] || continue
		rm -f "$LAB_DIR/$peer"/conf.d/*.conf
		lab_load_all "$peer" || return 1
		for id in $(lab_ike_sas "$peer"); do
			lab_swanctl "$peer" --terminate --ike-id "$id" --force --timeout 10 >/dev/null 2>&1
		done
	done
	for peer in a b; do
		lab_exec "$peer" ip xfrm state flush &&
		lab_exec "$peer" ip xfrm policy flush &&
		lab_exec "$peer" ip xfrm policy setdefault in accept fwd accept out accept || return 1
	done
}

# ---- the server ----------------------------------------------------------

# lab_serve_start PORT [PEER]: probe's echo server, on b. Its lines: lab_served.
lab_serve_start() {
	local peer=${2:-b}
	[ -x "$LAB_PROBE" ] || { lab_fail "no $LAB_PROBE: make build/tests/probe"; return 1; }
	lab_spawn "$LAB_DIR/serve-$peer-$1.out" nsenter --net="/run/netns/$peer" -- \
		"$LAB_PROBE" serve "$1" >"$LAB_DIR/serve-$peer-$1.pid"
	lab_wait_until 20 grep -q ready "$LAB_DIR/serve-$peer-$1.out" ||
		{ cat "$LAB_DIR/serve-$peer-$1.out" >&2; return 1; }
}

lab_serve_stop() { lab_stop_pidfile "$LAB_DIR/serve-${2:-b}-$1.pid" TERM 10; }

# lab_served PORT tcp|udp [PEER]: how many connections or datagrams arrived.
lab_served() {
	jq -c "select(.event == \"$2\")" "$LAB_DIR/serve-${3:-b}-$1.out" | wc -l
}

# ---- counters ------------------------------------------------------------

# lab_counter PEER NAME: one of nstat's, since the namespace was made.
lab_counter() { lab_exec "$1" nstat -asz "$2" | awk -v name="$2" '$1 == name { print $2 }'; }

lab_syn_retrans() { lab_counter "$1" TcpExtTCPSynRetrans; }

# lab_xfrm_stat PEER NAME: a line of /proc/net/xfrm_stat, such as XfrmOutNoStates.
lab_xfrm_stat() {
	# shellcheck disable=SC2016 # awk's own
	lab_exec "$1" awk -v name="$2" '$1 == name { print $2; found = 1 }
		END { exit !found }' /proc/net/xfrm_stat
}

# ---- capture -------------------------------------------------------------

# lab_capture_start [NAME [DEVICE]]: captures on the wire (wa) to $LAB_DIR/NAME.pcap,
# in progress when it returns. One at a time for each NAME (default: capture).
lab_capture_start() {
	local file=$LAB_DIR/${1:-capture}
	rm -f "$file.pcap" "$file.planted"
	lab_spawn "$file.out" nsenter --net=/run/netns/w -- \
		tcpdump -i "${2:-wa}" -n -U -Z root --immediate-mode -B 16384 -s 256 -w "$file.pcap" \
		>"$file.pid"
	lab_wait_until 30 grep -q 'listening on' "$file.out" ||
		{ cat "$file.out" >&2; return 1; }
	echo 0 >"$file.planted"
	lab_capture_sync "${1:-capture}"
}

lab_capture_read() { # NAME FILTER
	tcpdump -r "$LAB_DIR/$1.pcap" -n "$2" 2>/dev/null
}

lab_capture_has() { [ -n "$(lab_capture_read "$@")" ]; }

lab_marker_seen() { grep -qa "lab-marker-$2\." "$LAB_DIR/$1.pcap"; }

# lab_capture_sync [NAME]: everything sent before the call is in the file when
# it returns: markers of our own, sent on the wire since, are in it.
lab_capture_sync() {
	local name=${1:-capture} mark round
	[ -s "$LAB_DIR/$name.pid" ] || return 0
	for round in 1 2; do
		mark=$(($(cat "$LAB_DIR/marks" 2>/dev/null || echo 0) + 1))
		echo $mark >"$LAB_DIR/marks"
		echo $mark >"$LAB_DIR/marker"
		lab_wait_until 20 lab_marker_seen "$name" $mark ||
			{ lab_fail "capture $name does not see marker $round"; return 1; }
	done
}

# lab_capture_stop [NAME]: ends it; fails if it missed packets.
lab_capture_stop() {
	local file=$LAB_DIR/${1:-capture}
	lab_capture_sync "${1:-capture}" &&
	lab_stop_pidfile "$file.pid" INT 20 &&
	lab_wait_until 10 grep -q 'dropped by kernel' "$file.out" || return 1
	grep -q '^0 packets dropped by kernel' "$file.out" ||
		lab_fail "capture ${1:-capture} missed packets: $(tail -n 1 "$file.out")"
}

# The words of lab_capture_count, for tcpdump.
lab_capture_filter() {
	local esp ike control marker='(net 198.18.0.0/15)'
	esp='(ip proto 50 or ip6 proto 50 or (ip6[6] = 44 and ip6[40] = 50) or (ip and udp port 4500 and udp[8:4] != 0))'
	ike='(udp port 500 or udp port 4500)'
	# Neighbour discovery, and errors about IKE's own datagrams.
	control='(arp or (icmp6 and ip6[40] >= 133 and ip6[40] <= 137)
		or (icmp[0] = 3 and icmp[17] = 17 and (icmp[28:2] = 500 or icmp[30:2] = 500 or icmp[28:2] = 4500 or icmp[30:2] = 4500))
		or (icmp6 and ip6[40] = 1 and ip6[54] = 17 and (ip6[88:2] = 500 or ip6[90:2] = 500 or ip6[88:2] = 4500 or ip6[90:2] = 4500)))'
	case $1 in
	esp) echo "$esp" ;;
	ike) echo "$ike and not $esp" ;;
	plain) echo "($LAB_PROTECTED) and not $marker and not $esp and not $ike and not $control" ;;
	tcp) echo "tcp or (ip6 proto 6)" ;;
	udp) echo "udp and not $ike and not $marker" ;;
	syn) echo "(ip and tcp[13] & 18 = 2) or (ip6 proto 6 and ip6[53] & 18 = 2)" ;;
	*) lab_fail "lab_capture_count: '$1' is no kind: esp ike plain tcp udp syn"; return 1 ;;
	esac
}

# lab_capture_count esp|ike|plain|tcp|udp|syn [NAME]: packets on the wire so
# far. plain: to or from LAB_PROTECTED and neither ESP, IKE, ARP, neighbour
# discovery, an ICMP error about IKE, nor planted by lab_capture_proves.
# tcp, udp, syn: those in clear.
lab_capture_count() {
	local count
	count=$(lab_capture_all "$1" "${2:-capture}") || return 1
	[ "$1" != plain ] || count=$((count - $(cat "$LAB_DIR/${2:-capture}.planted")))
	echo "$count"
}
# lab_capture_all KIND NAME [AND]: also what was planted; those alone that the filter AND has, too.
lab_capture_all() {
	local filter count
	filter=$(lab_capture_filter "$1") && lab_capture_sync "$2" || return 1
	count=$(tcpdump -r "$LAB_DIR/$2.pcap" -n --count "($filter)${3:+ and $3}" 2>/dev/null | awk '{ print $1 }')
	[ -n "$count" ] || { lab_fail "capture $2 cannot be read for $1"; return 1; }
	echo "$count"
}

# lab_capture_show [NAME [FILTER]]: the packets, for a failing test's output.
lab_capture_show() {
	lab_capture_sync "${1:-capture}"
	lab_capture_read "${1:-capture}" "${2-}"
}

# lab_capture_proves [4|6 [NAME]]: puts one plain packet of a's address on the
# wire and requires that the capture counts it as plain: without that a count of
# 0 says nothing. To an address nobody has, so that nobody answers; fails if a
# policy covers that one too.
lab_capture_proves() {
	local name=${2:-capture} to=192.0.2.99 before after
	[ "${1:-4}" = 4 ] || to=2001:db8::99
	before=$(lab_capture_all plain "$name" "dst host $to") || return 1
	lab_exec a bash -c "echo planted >/dev/udp/$to/9" || return 1
	after=$(lab_capture_all plain "$name" "dst host $to") || return 1
	[ "$after" = $((before + 1)) ] ||
		{ lab_fail "capture $name counted $before plain packets to $to, then $after after one was planted"; return 1; }
	echo $(($(cat "$LAB_DIR/$name.planted") + 1)) >"$LAB_DIR/$name.planted"
}
