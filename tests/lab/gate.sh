# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2119,SC2120 # optional arguments
#
# gate.sh: sagate on host a of peers.sh: a daemon in a's network namespace, one
# gate, clients in it. To be sourced after peers.sh.

# A copy: a build meanwhile does not change what runs.
if [ -z "${SAGATE-}" ]; then
	SAGATE=/run/sagate-lab
	# shellcheck disable=SC2154 # of peers.sh
	[ -x $SAGATE ] || cp "$lab_repo/build/sagate" $SAGATE
fi
GATE_DIR=$LAB_DIR/sagate
GATE_SOCKET=$GATE_DIR/control.sock
GATE_CGROUP=/sys/fs/cgroup/gated

# sagate ARGS...: the command, with the lab's control socket; on host a where the
# network that it runs in counts.
sagate() {
	case $1 in
	explain | wait | run) lab_exec a "$SAGATE" -s "$GATE_SOCKET" "$@" ;;
	*) "$SAGATE" -s "$GATE_SOCKET" "$@" ;;
	esac
}

# gate_conf [SECTION-LINES]: the configuration, with further lines at its end.
gate_conf() {
	mkdir -p "$GATE_DIR"
	cat >"$GATE_DIR/sagate.conf" <<-END
	[daemon]
	control=$GATE_SOCKET
	log-level=debug
	[ike]
	vici=unix://${GATE_VICI:-$LAB_DIR/a/vici}
	timeout=${GATE_TIMEOUT:-30s}
	backoff=1s..4s
	trigger=${GATE_TRIGGER:-vici}
	require-children=${GATE_REQUIRE:-yes}
	[defaults]
	mode=${GATE_MODE:-reject}
	guard=${GATE_GUARD:-on}
	$1
	END
}

gate_answers() { sagate status --json >/dev/null 2>&1; }
gate_ready() { [ "$(sagate status --json 2>/dev/null | jq .ready)" = true ]; }

# gate_daemon_start: and waits for its first snapshot. GATE_AS: words in front, for another user.
gate_daemon_start() {
	[ ! -s "$GATE_DIR/log" ] || mv "$GATE_DIR/log" "$GATE_DIR/log.before"
	# shellcheck disable=SC2086 # GATE_AS: several words
	lab_spawn "$GATE_DIR/log" nsenter --net="${GATE_NETNS:-/run/netns/a}" -- \
		${GATE_AS-} "$SAGATE" daemon -c "$GATE_DIR/sagate.conf" >"$GATE_DIR/pid"
	lab_wait_until 120 gate_ready || { cat "$GATE_DIR/log" >&2; return 1; }
}

gate_daemon_stop() { lab_stop_pidfile "$GATE_DIR/pid" TERM 10; }
gate_daemon_kill() { lab_stop_pidfile "$GATE_DIR/pid" KILL 10; }
gate_reload() { kill -HUP "$(cat "$GATE_DIR/pid")"; }

# gate_up [ATTACH-OPTIONS...]: daemon and gate "gated".
gate_up() {
	mkdir -p "$GATE_CGROUP"
	gate_conf "${GATE_EXTRA-}"
	gate_daemon_start && sagate attach /gated --name gated "$@" >/dev/null
}

# gate_fresh: no connection, and a daemon that remembers nothing. After an IKE
# daemon's restart: what that one required is kept until something is loaded.
gate_fresh() {
	gate_down
	lab_reset || { lab_fail "gate_fresh: lab_reset failed"; gate_up; return 1; }
	gate_up && echo none >"$LAB_DIR/gate.loaded"
}

gate_down() {
	gate_daemon_stop
	rm -rf /sys/fs/bpf/sagate
	rmdir "$GATE_CGROUP" 2>/dev/null || :
	rm -f "$LAB_DIR/gate.loaded"
}

# gated CMD...: CMD on host a, in the gate.
gated() { lab_run_in_gate gated a "$@"; }

# What the daemon knows.
gate_children() { sagate status --json | jq ".spaces[0].ike.children"; }
gate_knows_child() { [ "$(gate_children)" -ge 1 ]; }
gate_knows_none() { [ "$(sagate show requirements --json | jq length)" = 0 ]; }
# gate_counter .JQ-PATH: of the gate, such as .verdicts.wait
gate_counter() { sagate show gates --json | jq ".[] | select(.name == \"gated\") | .counters | $1 // 0"; }
gate_started() { sagate status --json | jq .negotiations.started; }
# gate_explain ARGS...: verdict and reason; never fails for its exit status.
gate_explain() { sagate explain "$@" --json | jq -r '.verdict + " " + .reason' || :; }
gate_explains() { # "VERDICT REASON" ARGS...
	local want=$1
	shift
	[ "$(gate_explain "$@")" = "$want" ]
}

# ---- connections that the daemon knows ----------------------------------

gate_knows() { [ "$(gate_children)" = "$1" ]; }
gate_sees_no_sa() { [ "$(sagate show sad --json | jq length)" = 0 ]; }

# gate_clear: no connection, SA or policy on either host, and the daemon knows.
# Nothing at all is done when it is so already.
gate_clear() {
	[ "$(cat "$LAB_DIR/gate.loaded" 2>/dev/null)" != none ] || return 0
	lab_reset || return 1
	gate_reload
	lab_wait_until 40 gate_knows_none && lab_wait_until 10 gate_sees_no_sa &&
	echo none >"$LAB_DIR/gate.loaded"
}

# gate_touched: the next gate_lab starts from nothing.
gate_touched() { rm -f "$LAB_DIR/gate.loaded"; }

# gate_no_sa: connections and traps stay, SAs go, and so do negotiations: one that
# an earlier test left in the middle would bring an SA up at any moment.
gate_no_sa() {
	local id
	for id in $(lab_ike_sas a); do
		lab_swanctl a --terminate --ike-id "$id" --force --timeout 10 >/dev/null 2>&1
	done
	lab_wait_until 20 lab_sas_none &&
	lab_wait_until 10 gate_sees_no_sa &&
	lab_wait_until 40 gate_quiet
}

# No negotiation is under way, none is backed off.
gate_quiet() {
	[ -z "$(lab_ike_sas a)" ] &&
	sagate show negotiations --json | jq -e 'all(.state != "started" and .next_try_s == null)'
}

gate_load_one() { # lab_load's options, a: or b: in front: for that host only
	local option peer options
	for peer in b a; do
		options=()
		for option; do
			case $option in
			$peer:*) options+=("${option#?:}") ;;
			[ab]:*) ;;
			*) options+=("$option") ;;
			esac
		done
		lab_load $peer "${options[@]}" || return 1
	done
}

# gate_lab OPTIONS... [-- OPTIONS...]: both hosts have loaded this connection
# (several: --), the daemon knows, and there is no SA. Options are lab_load's; "a:" or "b:"
# in front is for that host only. What is loaded already is only freed of SAs.
gate_lab() {
	local options=() n=0 option
	if [ "$(cat "$LAB_DIR/gate.loaded" 2>/dev/null)" = "with $*" ]; then
		gate_no_sa
		return
	fi
	[ "$(cat "$LAB_DIR/gate.loaded" 2>/dev/null)" = none ] || gate_touched
	gate_clear || return 1
	gate_touched
	for option in "$@" --; do
		if [ "$option" = -- ]; then
			gate_load_one "${options[@]}" || return 1
			options=()
			n=$((n + 1))
		else
			options+=("$option")
			[[ $option != also=* && $option != a:also=* ]] || n=$((n + 1))
		fi
	done
	gate_reload
	lab_wait_until 40 gate_knows $n && lab_wait_until 40 gate_quiet &&
	echo "with $*" >"$LAB_DIR/gate.loaded"
}

# ---- before and after ----------------------------------------------------

gate_look() { sagate status --json; }

# gate_mark: from here on gate_moved and gate_plain count.
gate_mark() {
	gate_look >"$LAB_DIR/mark.json" &&
	lab_capture_count plain >"$LAB_DIR/mark.plain" &&
	lab_syn_retrans a >"$LAB_DIR/mark.syn" || return 1
	grep -c '"udp"' "$LAB_DIR/serve-b-80.out" >"$LAB_DIR/mark.udp" || :
}

# gate_moved .JQ-PATH...: by how much each moved since gate_mark, on one line.
# .negotiations.started, or of the gate: verdicts.wait, refused, audited…
gate_moved() {
	local path list=()
	gate_look >"$LAB_DIR/now.json" || return 1
	for path; do
		[[ $path == .* ]] || path="((.gates[] | select(.name == \"gated\").counters.$path) // 0)"
		list+=("($path)")
	done
	jq -rs "[.[] | [$(IFS=,; echo "${list[*]}")]] | transpose | map(.[1] - .[0]) | join(\" \")" \
		"$LAB_DIR/mark.json" "$LAB_DIR/now.json"
}

gate_plain() { echo $(($(lab_capture_count plain) - $(cat "$LAB_DIR/mark.plain"))); }
gate_syn() { echo $(($(lab_syn_retrans a) - $(cat "$LAB_DIR/mark.syn"))); }
gate_served_udp() { echo $(($(lab_served 80 udp) - $(cat "$LAB_DIR/mark.udp"))); }

# gate_clients N TO OPTIONS...: N clients at once in the gate, one JSON line each.
gate_clients() {
	local n=$1
	shift
	# shellcheck disable=SC2016 # expanded inside
	gated bash -c 'for ((i = 0; i < $2; i++)); do "$1" tcp "${@:3}" & done; wait' \
		gate_clients "$LAB_PROBE" "$n" "$@"
}

# gate_refused ERRNO PROBE'S ARGS...: one attempt, and it gets exactly this.
gate_refused() {
	local want=$1 out
	shift
	out=$(gated "$LAB_PROBE" "$@" --for 0) || :
	[ "$(jq -c '[.errnos, .sent_ok]' <<<"$out")" = "[{\"$want\":1},0]" ] ||
		{ lab_fail "$* was to get $want: $out"; return 1; }
}

# gate_passes PROBE'S ARGS...: one attempt, and it works.
gate_passes() { gated "$LAB_PROBE" "$@" --for 0 >"$LAB_DIR/passes.out" || { cat "$LAB_DIR/passes.out" >&2; return 1; }; }

# gate_others RESULT TO WAY...: each of these calls of others.py, made in the gate,
# ends so. A kernel without such sockets is none to judge.
gate_others() {
	local want=$1 out
	shift
	# shellcheck disable=SC2154 # of peers.sh
	out=$(lab_exec a timeout 120 "$lab_here/others.py" gated "$@") || :
	if [ "$(grep -c " \($want\|no-socket\)$" <<<"$out")" != $(($# - 1)) ]; then
		lab_fail "to get $want: $out"
		return 1
	fi
}

# gate_others_serve: what they talk to, on b.
gate_others_serve() {
	modprobe -a sctp l2tp_ip
	lab_spawn "$LAB_DIR/others.out" nsenter --net=/run/netns/b -- "$lab_here/others.py" serve >"$LAB_DIR/others.pid"
	lab_wait_until 20 grep -q ready "$LAB_DIR/others.out"
}

# gate_story: for a failing test's output.
gate_story() {
	echo "-- daemon:"
	grep -hv libbpf "$GATE_DIR/log" | tail -n 40
	echo "-- status:"
	gate_look | jq -c '.negotiations, .gates[].counters' || :
	sagate show negotiations || :
	sagate show requirements || :
	echo "-- plain:"
	lab_capture_show capture "$(lab_capture_filter plain)" | tail -n 12
}

# gate_mend: after a test that failed half-way, so that the next one can pass.
# A process of its own: below bats' exit trap a bare `return` is a failure.
gate_mend() {
	# shellcheck disable=SC2016,SC2154 # expanded inside; of peers.sh
	bash -c '. "$1/peers.sh" && . "$1/gate.sh" || exit
		lab_link_mend
		rm -f "$LAB_DIR"/a/conf.d/*.conf
		[ -s "$LAB_DIR/a/charon.pid" ] || lab_charon_start a
		gate_fresh' bash "$lab_here"
}
