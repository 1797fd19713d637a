# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# pluto.sh: libreswan's pluto on a host of peers.sh, in the place of its charon.
# To be sourced after peers.sh. PLUTO: which one, a name of tests/lab/libreswan.
# Everything of it is in $LAB_DIR/PEER: ipsec.conf, ipsec.secrets, nss/ (its key
# store), run/ (its socket), pluto.log.

PLUTO=${PLUTO:-5}
PLUTO_EXEC=/usr/libexec/ipsec

# pluto_inside PEER CMD...: becomes CMD, with libreswan's own files as the root, in
# that host's network and in mounts of its own.
pluto_inside() {
	local peer=$1 tree
	# shellcheck disable=SC2154 # of peers.sh
	tree=$("$lab_here/libreswan" --path "$PLUTO") || return 1
	shift
	# shellcheck disable=SC2016 # expanded inside
	exec nsenter --net="/run/netns/$peer" -- unshare -m sh -c 'tree=$1 dir=$2; shift 2
		mount -t tmpfs run "$tree/run" && mount -t tmpfs tmp "$tree/tmp" &&
		mkdir -p "$tree$dir" && mount --bind "$dir" "$tree$dir" &&
		mount --rbind /proc "$tree/proc" && mount --rbind /dev "$tree/dev" &&
		exec chroot "$tree" "$@"' pluto_inside "$tree" "$LAB_DIR" "$@"
}

# pluto_ipsec PEER TOOL ARGS...: whack or addconn, where that host's pluto is.
pluto_ipsec() {
	local peer=$1 tool=$2
	shift 2
	nsenter -t "$(cat "$LAB_DIR/$peer/pluto.pid")" -m -r -- "$PLUTO_EXEC/$tool" \
		--ctlsocket "$LAB_DIR/$peer/run/pluto.ctl" "$@"
}

# pluto_whack PEER ARGS...: asks pluto.
pluto_whack() { pluto_ipsec "$1" whack "${@:2}"; }

# pluto_conf PEER KEY=VALUE...: one connection, "lab", to the other host, by default
# in transport mode, with a PSK and a trap, as lab_load has it on the other side.
# PLUTO_SETUP: further lines of its "config setup".
pluto_conf() {
	local peer=$1 other dir=$LAB_DIR/$1 option
	local -A o=(
		[authby]=secret [type]=transport [ike]=aes_gcm128-sha2_256-dh31 [esp]=aes_gcm128-null
		[retransmit-interval]=1000 [retransmit-timeout]=240s [auto]=ondemand [leftupdown]=%disabled
	)
	shift
	other=$(lab_other "$peer")
	o[left]=$(lab_host_address "$peer" 4) o[leftid]=@$peer.lab.test
	o[right]=$(lab_host_address "$other" 4) o[rightid]=@$other.lab.test
	for option; do
		o[${option%%=*}]=${option#*=}
	done
	mkdir -p "$dir/nss" "$dir/run"
	[ -f "$dir/nss/cert9.db" ] ||
		(pluto_inside "$peer" certutil -N -d "sql:$dir/nss" --empty-password) || return 1
	echo "@$peer.lab.test @$other.lab.test : PSK \"lab secret\"" >"$dir/ipsec.secrets"
	{
		printf 'config setup\n  dnssec-enable=no\n%s\nconn lab\n' "${PLUTO_SETUP-}"
		for option in "${!o[@]}"; do
			echo "  $option=${o[$option]}"
		done
	} >"$dir/ipsec.conf"
}

pluto_answers() { pluto_whack "$1" --briefstatus >/dev/null; }
pluto_up_or_gone() { pluto_answers "$1" || lab_gone "$(cat "$LAB_DIR/$1/pluto.pid")"; }

# pluto_load PEER KEY=VALUE...: the connection of a running pluto is now this one.
pluto_load() {
	pluto_conf "$@" &&
	pluto_ipsec "$1" addconn --config "$LAB_DIR/$1/ipsec.conf" lab &&
	pluto_whack "$1" --route --name lab &&
	lab_wait_until 20 pluto_trapped "$1"
}

# A trap is there, and no SA.
pluto_trapped() {
	[ "$(lab_policy_count "$1" out)" = 1 ] && [ "$(lab_sa_count "$1")" = 0 ] &&
	[ -z "$(lab_exec "$1" ip xfrm policy list dir out action block)" ]
}

# pluto_start PEER: starts a pluto and waits until it answers and its
# connections are loaded. It loads them by itself, with addconn.
pluto_start() {
	local dir=$LAB_DIR/$1
	[ ! -s "$dir/pluto.pid" ] || lab_gone "$(cat "$dir/pluto.pid")" ||
		{ lab_fail "pluto $1 runs already"; return 1; }
	export -f pluto_inside
	export LAB_DIR PLUTO lab_here
	# shellcheck disable=SC2016 # expanded inside
	lab_spawn "$dir/pluto.out" bash -c 'pluto_inside "$@"' bash "$1" "$PLUTO_EXEC/pluto" --nofork \
		--config "$dir/ipsec.conf" --secretsfile "$dir/ipsec.secrets" --nssdir "$dir/nss" \
		--rundir "$dir/run" --ipsecdir "$dir" --dumpdir "$dir/run" --nhelpers 0 \
		--logfile "$dir/pluto.log" >"$dir/pluto.pid"
	lab_wait_until 60 pluto_up_or_gone "$1" && pluto_answers "$1" && lab_wait_until 60 pluto_loaded "$1" && return
	lab_fail "pluto $1 did not come up; its last lines:"
	tail -n 20 "$dir/pluto.out" "$dir/pluto.log" >&2
	return 1
}

pluto_loaded() { pluto_whack "$1" --status | grep -q 'Total IPsec connections: loaded [1-9]'; }

# pluto_stop PEER: politely: it takes its policies and SAs with it.
pluto_stop() {
	pluto_whack "$1" --shutdown >/dev/null
	lab_stop_pidfile "$LAB_DIR/$1/pluto.pid" TERM 30
}

# pluto_kill PEER: as by a crash: policies and SAs stay in the kernel.
pluto_kill() { lab_stop_pidfile "$LAB_DIR/$1/pluto.pid" KILL 10; }
