#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# bats file_tags=once
#
# containers.bats: `sagate oci-hook` under real runtimes: runc, crun, podman with
# each. A container's gate is there before its program runs and goes with it;
# where there can be none the container does not start. What a hostile state on
# standard input comes to: tests/kernel/oci.bats.
#
#   make build/sagate build/tests/probe
#   tests/lab/vm --kernel 6.12 -- bats tests/lab/containers.bats
#
# Containers are made of busybox and the probe alone. They share host a's network
# namespace, have c of their own, whose traffic a forwards (spd=host), or are a
# while sagate itself is elsewhere (spd=own):
#
#   netns c: cw 198.51.100.7 --veth-- ca :netns a (as in peers.sh)

bats_require_minimum_version 1.5.0
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/peers.sh"
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/gate.sh"

ROOTFS=$LAB_DIR/rootfs

setup_file() {
	export LAB_RETRANSMIT_TRIES=6
	lab_up
	lab_charon_start a b
	lab_serve_start 80
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

say() { echo "# $(uname -r): $*" >&3; }

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
		.hooks = {createRuntime: [$hook], poststop: [$hook]} |
		.linux.namespaces |= map(select(.type != "network")) |
		if $netns != "" then .linux.namespaces += [{type: "network", path: $netns}] else . end' \
		--args -- "${@:4}" <"$dir/config.json" >"$dir/new" && mv "$dir/new" "$dir/config.json"
}
runtime() { # RUNTIME ARGS...
	lab_exec "${RUNTIME_NETNS-a}" "$1" --root "$LAB_DIR/rt-$1" "${@:2}"
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

gates_but_gated() { sagate show gates --json | jq -c '[.[].name] - ["gated"]'; }
no_gate_left() { [ "$(gates_but_gated)" = '[]' ]; }
only_spaces() { [ "$(sagate show spaces --json | jq -c '[.[].name] | sort')" = "$1" ]; }
# got JSON ERRNO: a probe's one attempt got this.
got() {
	[ "$(jq -c '[.errnos, .sent_ok]' <<<"$1")" = "[{\"$2\":1},0]" ] || lab_fail "was to get $2: $1"
}

ours='{"org.sagate.mode":"reject"}'

@test "runc, crun: the first call of a container is judged; once the SA is there it passes; the gate goes with it" {
	local rt
	gate_lab
	for rt in runc crun; do
		gate_no_sa
		gate_mark
		run ! --separate-stderr container $rt "one-$rt" '' "$ours" probe tcp 192.0.2.2 80 --for 0
		got "$output" EAGAIN
		lab_wait_until 10 no_gate_left
		sagate wait tcp 192.0.2.2:80 --timeout 60
		run -0 --separate-stderr container $rt "two-$rt" '' "$ours" probe tcp 192.0.2.2 80 --echo --for 0
		jq -e '.echoed == 1' <<<"$output"
		[ "$(gate_moved .negotiations.started)" = 1 ]
		lab_wait_until 10 no_gate_left
		[ "$(gate_plain)" = 0 ]
		[ "$(gate_syn)" = 0 ]
	done
	only_spaces '["host"]'
	lab_capture_proves
}

@test "runc, crun: the gate has the name and settings of the annotations, and counts the container's calls" {
	local rt
	gate_lab
	for rt in runc crun; do
		gate_no_sa
		bundle "named-$rt" '' '{"org.sagate.gate":"shop","org.sagate.mode":"audit","org.sagate.no-policy":"deny","other":"x"}' \
			sh -c 'probe udp 203.0.113.250 9 --for 0; exec busybox sleep 600'
		runtime $rt run --detach --bundle "$LAB_DIR/oci/named-$rt" "named-$rt" >/dev/null 2>&1 </dev/null
		lab_wait_until 20 audited_one
		sagate show gates --json | jq -e --arg id "named-$rt" '.[] | select(.name == "shop") |
			.settings.mode == "audit" and .settings["no-policy"] == "deny" and .container == $id'
		# its settings are changed as any gate's
		sagate attach "$(sagate show gates --json | jq -r '.[] | select(.name == "shop").cgroup')" --name shop --mode reject
		runtime $rt kill "named-$rt" KILL
		lab_wait_until 20 is_stopped $rt "named-$rt"
		runtime $rt delete "named-$rt"
		lab_wait_until 10 no_gate_left
	done
}
audited_one() { [ "$(sagate show gates --json | jq '.[] | select(.name == "shop").counters.audited')" = 1 ]; }
is_stopped() { [ "$(runtime "$1" state "$2" | jq -r .status)" = stopped ]; }

@test "nonsense, a name that is taken, or no daemon: the container does not start, and the reason is told" {
	local rt
	gate_lab
	for rt in runc crun; do
		refused $rt '{"org.sagate.mode":"nonsense"}' 'reject, hold or audit'
	done
	refused crun '{"org.sagate.mode":"audit","org.sagate.gate":"gated"}' 'gate gated is there already'
	sagate show gates --json | jq -e '.[] | select(.name == "gated").cgroup == "/gated"'
	gate_daemon_kill
	for rt in runc crun; do
		refused $rt "$ours" 'no daemon at'
	done
	# who did not ask for a gate does not need one
	run -0 --separate-stderr container crun free '' '{"other":"x"}' sh -c 'echo ran'
	[ "$output" = ran ]
	gate_daemon_start
	lab_wait_until 10 no_gate_left
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

@test "spd=host: what a container with a network of its own sends is judged by the host's policies, and protected there" {
	local host='{"org.sagate.mode":"reject","org.sagate.spd":"host"}'
	# the container's address, not the host's own
	gate_lab mode=tunnel a:local_ts=198.51.100.4/30 a:remote_ts=203.0.113.0/24 \
		b:local_ts=203.0.113.0/24 b:remote_ts=198.51.100.4/30
	gate_mark
	run ! --separate-stderr container crun forwarded /run/netns/c "$host" probe tcp 203.0.113.1 80 --for 0
	got "$output" EAGAIN
	[ "$(gate_plain)" = 0 ]
	sagate wait tcp 203.0.113.1:80 --from 198.51.100.7 --timeout 60
	run -0 --separate-stderr container crun forwarded2 /run/netns/c "$host" probe tcp 203.0.113.1 80 --echo --for 0
	jq -e '.echoed == 1' <<<"$output"
	[ "$(gate_plain)" = 0 ]
	lab_wait_until 10 only_spaces '["host"]'
}

@test "spd=own: the container's network namespace is mirrored while it runs, its traps are served, a new daemon knows it" {
	local rt=runc
	gate_down
	lab_reset
	ip netns add elsewhere
	GATE_NETNS=/run/netns/elsewhere GATE_REQUIRE=no gate_up
	lab_load b
	lab_load a start_action=trap
	gate_mark
	bundle own /run/netns/a "$ours" sh -c 'while ! probe tcp 192.0.2.2 80 --for 0 --echo; do busybox usleep 50000; done >/run/out; exec busybox sleep 600'
	jq '.mounts += [{destination: "/run", type: "bind", source: "'"$LAB_DIR/oci/own"'", options: ["bind", "rw"]}]' \
		"$LAB_DIR/oci/own/config.json" >"$LAB_DIR/oci/own/new"
	mv "$LAB_DIR/oci/own/new" "$LAB_DIR/oci/own/config.json"
	RUNTIME_NETNS=elsewhere runtime $rt run --detach --bundle "$LAB_DIR/oci/own" own >/dev/null 2>&1 </dev/null
	only_spaces '["host","own"]'
	lab_wait_until 60 grep -q '"echoed":1' "$LAB_DIR/oci/own/out"
	head -n 1 "$LAB_DIR/oci/own/out" | jq -e '.errnos.EAGAIN == 1'
	sagate show gates --json | jq -e '.[] | select(.name == "own") | .counters.verdicts | .protected == 1 and .clear == 0 and .wait >= 1'
	[ "$(gate_plain)" = 0 ]
	gate_daemon_kill
	GATE_NETNS=/run/netns/elsewhere gate_daemon_start
	only_spaces '["host","own"]'
	gate_explains "protected sa" tcp 192.0.2.2:80 --netns a --gate own
	runtime $rt kill own KILL
	lab_wait_until 20 is_stopped $rt own
	runtime $rt delete own
	lab_wait_until 10 no_gate_left
	lab_wait_until 10 only_spaces '["host"]'
	gate_down
	ip netns del elsewhere
	gate_up
	gate_touched
}

@test "podman, with runc and crun: the installed hook gates the containers that ask for it" {
	local rt
	mkdir -p "$LAB_DIR/hooks.d"
	jq --arg sagate "$SAGATE" --arg socket "$GATE_SOCKET" \
		'.hook.path = $sagate | .hook.args = ["sagate", "-s", $socket, "oci-hook"]' \
		"$BATS_TEST_DIRNAME/../../loader/oci-hook.json" >"$LAB_DIR/hooks.d/sagate.json"
	gate_lab
	for rt in runc crun; do
		gate_no_sa
		gate_mark
		run ! --separate-stderr podman_run $rt --annotation org.sagate.mode=reject -- probe tcp 192.0.2.2 80 --for 0
		got "$output" EAGAIN
		lab_wait_until 10 no_gate_left
		[ "$(gate_plain)" = 0 ]
		run ! podman_run $rt --annotation org.sagate.mode=nonsense \
			--annotation run.oci.hooks.stderr="$LAB_DIR/podman.err" -- sh -c 'echo it ran'
		[[ $output != *"it ran"* ]]
		cat "$LAB_DIR/podman.err" - <<<"$output" | grep 'reject, hold or audit'
		rm -f "$LAB_DIR/podman.err"
	done
	sagate wait tcp 192.0.2.2:80 --timeout 60
	run -0 --separate-stderr podman_run crun --annotation org.sagate.mode=reject --annotation org.sagate.gate=pod -- \
		probe tcp 192.0.2.2 80 --echo --for 0
	jq -e '.echoed == 1' <<<"$output"
	[ "$(gate_plain)" = 0 ]
	lab_wait_until 10 no_gate_left
	run -0 --separate-stderr podman_run crun -- sh -c 'echo ran'
	[ "$output" = ran ]
}
