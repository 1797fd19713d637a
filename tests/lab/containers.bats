#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# bats file_tags=once
#
# containers.bats: `sagate oci-hook` under real runtimes: runc, crun, podman with
# each. A container's gate is there before its program runs and goes with it;
# in mode hold its calls wait; where there can be no gate the container does not
# start. What a hostile state on standard input comes to: tests/kernel/oci.bats.
#
#   make build/sagate build/tests/probe
#   tests/lab/vm --kernel 6.12 -- bats tests/lab/containers.bats
#
# Containers are made of busybox and the probe alone. They share host a's network
# namespace, have c of their own, whose traffic a forwards (spd=host), or are in b's,
# whose policies the daemon, in a, does not know before (spd=own):
#
#   netns c: cw 198.51.100.7 --veth-- ca :netns a (as in peers.sh)
#
# All tests have the same connection: loading one takes longer than a container.

bats_require_minimum_version 1.5.0
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/peers.sh"
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/gate.sh"

ROOTFS=$LAB_DIR/rootfs

setup_file() {
	# once a second, for longer than a link is cut here
	export LAB_RETRANSMIT_TIMEOUT=1.0 LAB_RETRANSMIT_BASE=1.0 LAB_RETRANSMIT_TRIES=100
	export GATE_TIMEOUT=100s
	lab_up
	lab_charon_start a b
	lab_serve_start 80
	lab_serve_start 80 a
	lab_capture_start
	rootfs_make
	netns_c_make
	gate_up
}

teardown_file() {
	gate_down
	ip netns del c
	lab_down
}

teardown() {
	[ -n "$BATS_TEST_COMPLETED" ] || { gate_story || :; gate_mend || :; }
}

rootfs_make() {
	local file
	mkdir -p "$ROOTFS"/{bin,proc,sys,dev,etc,tmp,run} "$LAB_DIR/oci" &&
	cp /bin/busybox "$ROOTFS/bin/busybox" && ln -s busybox "$ROOTFS/bin/sh" &&
	cp "$LAB_PROBE" "$ROOTFS/bin/probe" || return 1
	for file in $(ldd "$LAB_PROBE" | grep -o '/[^ ]*'); do
		mkdir -p "$ROOTFS${file%/*}" && cp "$file" "$ROOTFS$file" || return 1
	done
}

netns_c_make() {
	ip netns add c &&
	ip link add ca netns a type veth peer name cw netns c &&
	ip -n a -batch - <<-END &&
	link set ca up
	route add 198.51.100.7/32 dev ca
	END
	ip -n c -batch - <<-END &&
	link set lo up
	link set cw up
	addr add 198.51.100.7/32 dev cw
	route add default dev cw
	END
	lab_exec a sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.ca.proxy_arp=1
}

# bundle NAME NETNS ANNOTATIONS CMD...: a bundle whose hooks are sagate's.
# ANNOTATIONS: JSON; NETNS: a path, or empty: that of the runtime.
bundle() {
	local dir=$LAB_DIR/oci/$1
	rm -rf "$dir" && mkdir -p "$dir" && runc spec --bundle "$dir" &&
	jq --arg sagate "$SAGATE" --arg socket "$GATE_SOCKET" --arg root "$ROOTFS" --arg netns "$2" \
		--argjson annotations "$3" '
		{path: $sagate, args: ["sagate", "-s", $socket, "oci-hook"]} as $hook |
		.root = {path: $root, readonly: true} | .annotations = $annotations |
		.process.terminal = false | .process.args = $ARGS.positional |
		.linux.resources += {memory: {limit: 67108864}, pids: {limit: 32}} |
		.hooks = {createRuntime: [$hook], poststop: [$hook]} |
		.linux.namespaces |= map(select(.type != "network")) |
		if $netns != "" then .linux.namespaces += [{type: "network", path: $netns}] else . end' \
		--args -- "${@:4}" <"$dir/config.json" >"$dir/new" && mv "$dir/new" "$dir/config.json"
}
runtime() { # RUNTIME ARGS...
	lab_exec a "$1" --root "$LAB_DIR/rt-$1" "${@:2}"
}
# container RUNTIME NAME NETNS ANNOTATIONS CMD...: runs it to its end.
container() {
	bundle "${@:2}" && runtime "$1" run --bundle "$LAB_DIR/oci/$2" "$2"
}

podman_() { # RUNTIME ARGS...: with our hook and nothing of this machine's state
	lab_exec a podman --root "$LAB_DIR/podman" --runroot /run/podman-lab --tmpdir /run/podman-tmp \
		--storage-driver vfs --cgroup-manager cgroupfs --events-backend file \
		--runtime "$1" --hooks-dir "$LAB_DIR/hooks.d" "${@:2}"
}
podman_run() { # RUNTIME OPTIONS... -- CMD...
	local runtime=$1 options=()
	shift
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	podman_ "$runtime" run --rm --network host --log-driver none --security-opt seccomp=unconfined \
		"${options[@]}" --rootfs "$ROOTFS" "${@:2}"
}

# One child for host a itself and for what it forwards; on b it is a trap, too.
connection() {
	gate_lab mode=tunnel b:start_action=trap \
		a:local_ts=192.0.2.1/32,198.51.100.4/30 a:remote_ts=192.0.2.2/32,203.0.113.0/24 \
		b:local_ts=192.0.2.2/32,203.0.113.0/24 b:remote_ts=192.0.2.1/32,198.51.100.4/30
}

# annotations KEY=VALUE...: as JSON, each below org.sagate.
annotations() { printf '%s\n' "$@" | jq -Rn '[inputs | split("=") | {("org.sagate." + .[0]): .[1]}] | add'; }

# detached RUNTIME NAME NETNS ANNOTATIONS CMD...: it runs on; out has what it prints.
detached() {
	out=$LAB_DIR/$2.out
	bundle "${@:2}" &&
	runtime "$1" run --detach --bundle "$LAB_DIR/oci/$2" "$2" >"$out" 2>"$out.err" </dev/null
}
# ended RUNTIME NAME: it is killed, and nothing is left of it.
ended() {
	runtime "$1" kill "$2" KILL &&
	lab_wait_until 20 is "$1" "$2" stopped &&
	runtime "$1" delete "$2" &&
	lab_wait_until 10 nothing_left
}
is() { [ "$(runtime "$1" state "$2" | jq -r .status)" = "$3" ]; }

gates_but_gated() { sagate show gates --json | jq -c '[.[].name] - ["gated"]'; }
no_gate_left() { [ "$(gates_but_gated)" = '[]' ]; }
only_spaces() { [ "$(sagate show spaces --json | jq -c '[.[].name] | sort')" = "$1" ]; }

# Who sleeps, and where: no more and no fewer. When all have gone on no room is left,
# and with the containers no gate and no cgroup either.
holding() { [ "$(sagate show holds --json | jq 'map(select(.asleep)) | length')" = "$1" ]; }
rooms() { find /sys/fs/cgroup -type d -name 'sagate-hold-*'; }
no_rooms() { [ -z "$(rooms)" ] && [ "$(sagate show holds --json)" = '[]' ]; }
nothing_left() {
	no_gate_left && no_rooms &&
	[ -z "$(find /sys/fs/cgroup -mindepth 1 -type d ! -path "$GATE_CGROUP*" ! -path '*/libpod_parent' ! -path '*/libpod_parent/conmon')" ]
}

# got JSON ERRNO: a probe's one attempt got this.
got() {
	[ "$(jq -c '[.errnos, .sent_ok]' <<<"$1")" = "[{\"$2\":1},0]" ] || lab_fail "was to get $2: $1"
}

# mark NETNS, through JSON NETNS: meanwhile a probe there made one call, which waited and
# succeeded; its first SYN was the only one.
mark() { gate_mark && lab_syn_retrans "$1" >"$LAB_DIR/mark.syn"; }
through() {
	echo "$1"
	jq -e '.echoed == 1 and .errnos == {} and .attempts == 1' <<<"$1" || return 1
	[ "$(gate_moved .holds.timeout .holds.failed .holds.no_room .negotiations.started)" = "0 0 0 1" ] &&
	[ "$(gate_moved .holds.passes)" -ge 1 ] &&
	[ "$(lab_syn_retrans "$2")" = "$(cat "$LAB_DIR/mark.syn")" ] &&
	[ "$(gate_plain)" = 0 ]
}

@test "runc, crun: in mode reject the first call is refused; once the SA is there it passes; the gate goes with the container" {
	connection
	gate_mark
	run ! --separate-stderr container crun one '' "$(annotations mode=reject)" probe tcp 192.0.2.2 80 --for 0
	got "$output" EAGAIN
	lab_wait_until 10 nothing_left
	sagate wait tcp 192.0.2.2:80 --timeout 60
	run -0 --separate-stderr container runc two '' "$(annotations mode=reject)" probe tcp 192.0.2.2 80 --echo --for 0
	jq -e '.echoed == 1' <<<"$output"
	lab_wait_until 10 nothing_left
	[ "$(gate_moved .negotiations.started)" = 1 ]
	[ "$(gate_plain)" = 0 ]
	[ "$(gate_syn)" = 0 ]
	only_spaces '["host"]'
	lab_capture_proves
}

# The gate that the annotations name.
shop() { sagate show gates --json | jq -e --arg id "$1" ".[] | select(.name == \"shop\" and .container == \$id) | $2"; }

@test "runc, crun: hold: while the call waits its thread is shown, in a room of the container's cgroup; it goes through, and the room goes" {
	local rt out tid room cgroup
	for rt in runc crun; do
		connection
		mark a
		lab_link_cut
		detached $rt "shop-$rt" '' "$(annotations gate=shop mode=hold no-policy=deny hold-timeout=300s)" \
			sh -c 'probe tcp 192.0.2.2 80 --echo --for 300; exec busybox sleep 600'
		lab_wait_until 20 holding 1
		shop "shop-$rt" '.settings.mode == "hold" and .settings["no-policy"] == "deny" and .counters.held > 0'
		cgroup=/sys/fs/cgroup$(shop "shop-$rt" .cgroup | jq -r .)
		room=$(rooms)
		[[ $room == "$cgroup"/sagate-hold-* ]]
		tid=$(cat "$room/cgroup.threads")
		[ "$(cat "/proc/$tid/comm")" = probe ]
		sagate show holds --json | jq -e --argjson tid "$tid" 'length == 1 and (.[0] | .tid == $tid and .pid == $tid and
			.comm == "probe" and .gate == "shop" and .flow.dst == "192.0.2.2" and .flow.dport == 80)'
		# as its own cgroup namespace shows it; nor is it in the way of exec
		run -0 --separate-stderr runtime $rt exec "shop-$rt" sh -c 'busybox cat /proc/[0-9]*/cgroup | busybox sort -u'
		[ "$output" = "0::/"$'\n'"0::/${room##*/}" ]
		[ ! -s "$out" ]
		lab_link_mend
		lab_wait_until 30 grep -q '}' "$out"
		through "$(cat "$out")" a
		lab_wait_until 10 no_rooms
		is $rt "shop-$rt" running
		shop "shop-$rt" '.counters.verdicts | .protected == 1 and .clear == 0'
		# its settings are changed as any gate's
		sagate attach "${cgroup#/sys/fs/cgroup}" --name shop --mode reject
		shop "shop-$rt" '.settings.mode == "reject"'
		ended $rt "shop-$rt"
	done
	lab_capture_proves
}

@test "runc, crun: a container whose call waits is killed at once, and nothing is left" {
	local rt out
	connection
	lab_link_cut
	for rt in runc crun; do
		# no probe would end by itself before
		detached $rt "kill-$rt" '' "$(annotations mode=hold hold-timeout=300s)" probe tcp 192.0.2.2 80 --for 300
		lab_wait_until 20 holding 1
		ended $rt "kill-$rt"
	done
	lab_link_mend
}

@test "nonsense, a name that is taken, or no daemon: the container does not start, and the reason is told" {
	local rt
	connection
	for rt in runc crun; do
		refused $rt "$(annotations mode=nonsense)" 'reject, hold or audit'
	done
	refused crun "$(annotations mode=hold gate=gated)" 'gate gated is there already'
	sagate show gates --json | jq -e '.[] | select(.name == "gated").cgroup == "/gated"'
	gate_daemon_kill
	for rt in runc crun; do
		refused $rt "$(annotations mode=hold)" 'no daemon at'
	done
	# who did not ask for a gate does not need one
	run -0 --separate-stderr container crun free '' '{"other":"x"}' sh -c 'echo ran'
	[ "$output" = ran ]
	gate_daemon_start
	lab_wait_until 10 nothing_left
}
# crun shows what a hook says only in a file of one's own choice.
refused() { # RUNTIME ANNOTATIONS WORDS
	local out=$LAB_DIR/refused
	rm -f "$out".*
	if container "$1" "bad-$1" '' "$(jq --arg err "$out.hook" '.["run.oci.hooks.stderr"] = $err' <<<"$2")" \
		sh -c 'echo it ran' >"$out.out" 2>&1; then
		lab_fail "$1: started in spite of $2"
		return 1
	fi
	cat "$out".*
	run ! grep -h 'it ran' "$out".*
	grep -hF -- "$3" "$out".*
	run ! runtime "$1" state "bad-$1"
}

@test "spd=host: what a container with a network of its own sends is judged by the host's policies, waits, and is protected there" {
	connection
	mark c
	run -0 --separate-stderr container crun forwarded /run/netns/c "$(annotations mode=hold spd=host)" \
		probe tcp 203.0.113.1 80 --echo --for 60
	through "$output" c
	lab_wait_until 10 nothing_left
	lab_wait_until 10 only_spaces '["host"]'
	lab_capture_proves
}

@test "spd=own: the container's network namespace is mirrored while it runs, its trap is served, its call waits, a new daemon knows it" {
	local out
	connection
	mark b
	detached runc own /run/netns/b "$(annotations mode=hold)" \
		sh -c 'probe tcp 192.0.2.1 80 --echo --for 60; exec busybox sleep 600'
	only_spaces '["host","own"]'
	lab_wait_until 60 grep -q '}' "$out"
	through "$(cat "$out")" b
	lab_wait_until 10 no_rooms
	gate_daemon_kill
	gate_daemon_start
	only_spaces '["host","own"]'
	gate_explains "protected sa" tcp 192.0.2.1:80 --netns b --gate own
	ended runc own
	lab_wait_until 10 only_spaces '["host"]'
	lab_capture_proves
}

@test "podman, with runc and crun: the installed hook gates the containers that ask for it; their calls wait and go through" {
	local rt
	mkdir -p "$LAB_DIR/hooks.d"
	jq --arg sagate "$SAGATE" --arg socket "$GATE_SOCKET" \
		'.hook.path = $sagate | .hook.args = ["sagate", "-s", $socket, "oci-hook"]' \
		"$BATS_TEST_DIRNAME/../../loader/oci-hook.json" >"$LAB_DIR/hooks.d/sagate.json"
	for rt in runc crun; do
		connection
		mark a
		run -0 --separate-stderr podman_run $rt --annotation org.sagate.mode=hold -- probe tcp 192.0.2.2 80 --echo --for 60
		through "$output" a
		lab_wait_until 10 nothing_left
		run ! podman_run $rt --annotation org.sagate.mode=nonsense \
			--annotation run.oci.hooks.stderr="$LAB_DIR/podman.err" -- sh -c 'echo it ran'
		[[ $output != *"it ran"* ]]
		cat "$LAB_DIR/podman.err" - <<<"$output" | grep 'reject, hold or audit'
		rm -f "$LAB_DIR/podman.err"
	done
	run -0 --separate-stderr podman_run crun -- sh -c 'echo ran'
	[ "$output" = ran ]
	lab_capture_proves
}

@test "podman stop while a call of the container waits: its program ends as it likes to, and nothing is left" {
	connection
	lab_link_cut
	podman_run crun --detach --name held --annotation org.sagate.mode=hold --annotation org.sagate.hold-timeout=300s -- \
		sh -c 'trap "echo ended >/run/stopped; exit" TERM; probe tcp 192.0.2.2 80 --for 300 & wait' >/dev/null 2>&1 </dev/null
	lab_wait_until 20 holding 1
	podman_ crun stop held
	cat "$ROOTFS/run/stopped"
	lab_wait_until 20 nothing_left
	lab_link_mend
}
