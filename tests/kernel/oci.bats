#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# oci.bats: `sagate oci-hook` as a runtime calls it, with real processes in real
# cgroups and namespaces, under the rights of sagate.service. Real runtimes:
# tests/lab/containers.bats. The parser alone: tests/unit/oci.

bats_require_minimum_version 1.5.0
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/host.sh"

setup_file() {
	sgk_up
	sgk_stop "$SGK_DIR/daemon.pid"
	daemon_start
}
teardown_file() { sgk_down; }

setup() { on_a ip xfrm policy flush; }
teardown() {
	local file
	[ -n "$BATS_TEST_COMPLETED" ] || grep -v libbpf "$SGK_DIR/log" | tail -n 20
	for file in "$SGK_DIR"/c-*.pid; do
		sgk_stop "$file" KILL || :
	done
}

daemon_start() {
	local caps
	caps=$(sed -n 's/^CapabilityBoundingSet=//p' "$SGK_REPO/loader/sagate.service" |
		sed 's/.*/\L&/; s/cap_/+/g; s/ /,/g')
	sgk_spawn "$SGK_DIR/log" nsenter --net="/run/netns/$SGK_A" -- setpriv --no-new-privs \
		--bounding-set "-all,$caps" --inh-caps=-all "$SAGATE" daemon -c "$SGK_CONF" >"$SGK_DIR/daemon.pid"
	sgk_wait 20 sgk_ready
}

# process ID [UNSHARE-OPTIONS...]: one in a cgroup and a mount namespace of its own, as a
# container's first is; c-ID.pid has its number.
process() {
	local id=$1 cgroup=$SGK_CGROUP2/$SGK_GATE-$1
	shift
	mkdir -p "$cgroup"
	# shellcheck disable=SC2016 # expanded inside
	sgk_spawn "$SGK_DIR/c-$id.out" sh -c 'echo $$ >"$1/cgroup.procs"; shift; exec "$@"' \
		process "$cgroup" nsenter --net="/run/netns/$SGK_A" -- unshare --mount "$@" sleep 1000 >"$SGK_DIR/c-$id.pid"
	sgk_wait 10 sleeps "$id"
}
sleeps() { [ "$(cat "/proc/$(pid "$1")/comm")" = sleep ]; }
pid() { cat "$SGK_DIR/c-$1.pid"; }

# hook ID PID STATUS ANNOTATIONS: as a runtime calls it.
hook() {
	jq -nc --arg id "$1" --argjson pid "$2" --arg status "$3" --argjson annotations "$4" \
		'{ociVersion: "1.0.2", $id, $pid, $status, bundle: "/b", $annotations}' |
		nsenter --net="/run/netns/$SGK_A" -- "$SAGATE" -s "$SGK_SOCKET" oci-hook
}
ours='{"org.sagate.mode":"reject"}'
gates() { sagate show gates --json | jq -c '[.[].name] - ["gated"] | sort'; }
gates_are() { [ "$(gates)" = "$1" ]; }
spaces_are() { [ "$(sagate show spaces --json | jq -c '[.[].name] - ["host"] | sort')" = "$1" ]; }

# refused WORDS ARGS...: by the hook, in words, and nothing is left.
refused() {
	run -1 --separate-stderr hook "${@:2}"
	# shellcheck disable=SC2154 # bats sets it
	[[ $output = "" && $stderr == "sagate: oci-hook: container "*"$1"* ]] || sgk_fail "$stderr"
	gates_are '[]'
}

@test "the gate is there with its settings when the hook returns, and gone when the one for poststop has" {
	process one
	hook one "$(pid one)" created '{"org.sagate.mode":"audit","org.sagate.gate":"shop","org.sagate.no-policy":"deny"}'
	sagate show gates --json | jq -e --arg cgroup "/$SGK_GATE-one" '.[] | select(.name == "shop") |
		.cgroup == $cgroup and .container == "one" and .state == "attached" and
		.settings.mode == "audit" and .settings["no-policy"] == "deny" and .settings.spd == "own"'
	# host a's network, which is mirrored anyway
	spaces_are '[]'
	# twice is no harm: a runtime may call it as prestart and as createRuntime
	hook one "$(pid one)" creating '{"org.sagate.gate":"shop"}'
	gates_are '["shop"]'
	hook one 0 stopped '{"org.sagate.mode":"nonsense by now"}'
	gates_are '[]'
	hook one 0 stopped "$ours"
}

@test "without an annotation of ours nothing is done and no daemon is needed" {
	SGK_SOCKET=/nonexistent hook '../x' -1 '' '{}'
	SGK_SOCKET=/nonexistent hook x 1 created '{"org.other":"org.sagate.mode"}'
	SGK_SOCKET=/nonexistent hook x 0 stopped null
}

@test "a process that is no container's gets no gate: the root, the host's, one that shares, one that is gone" {
	local gone
	process shared
	# shellcheck disable=SC2016 # expanded inside
	sgk_spawn "$SGK_DIR/c-second.out" sh -c 'echo $$ >"$1/cgroup.procs"; exec sleep 1000' \
		second "$SGK_CGROUP2/$SGK_GATE-shared" >"$SGK_DIR/c-second.pid"
	sgk_wait 10 sleeps second
	refused "other processes than the container's" x "$(pid shared)" created "$ours"
	refused "mount namespace" x "$BASHPID" created "$ours"
	# this machine may not let root look at process 1
	refused "" x 1 created "$ours"
	sgk_spawn "$SGK_DIR/c-root.out" unshare --mount sleep 1000 >"$SGK_DIR/c-root.pid"
	sgk_wait 10 sleeps root
	refused "root of cgroup v2" x "$(pid root)" created "$ours"
	gone=$(sh -c 'echo $$')
	refused "process $gone" x "$gone" created "$ours"
	refused "process 2147483647" x 2147483647 created "$ours"
	for gone in 0 -1 1.5 '"1"' null 99999999999; do
		refused "pid: expected" x "$gone" created "$ours"
	done
}

@test "hostile states are refused: no JSON, a mebibyte and more, ids that are paths, unknown keys and stages" {
	local text
	process one
	refused "id: expected" ../one "$(pid one)" created "$ours"
	refused "one: the state on standard input: status: expected" one "$(pid one)" running "$ours"
	refused "one: annotation org.sagate.mode: text is expected" one "$(pid one)" created '{"org.sagate.mode":7}'
	refused "one: annotation org.sagate.vici: vici: no such setting" one "$(pid one)" created '{"org.sagate.vici":"unix:///x"}'
	refused "reject, hold or audit" one "$(pid one)" created '{"org.sagate.mode":"REJECT"}'
	refused "org.sagate.gate: expected" one "$(pid one)" created '{"org.sagate.gate":"../one"}'
	for text in '' '{' '[1]' 'null' '{"id":1}{}'; do
		run -1 --separate-stderr on_a "$SAGATE" -s "$SGK_SOCKET" oci-hook <<<"$text"
		[[ $stderr == *"expected one JSON object"* ]]
	done
	run -1 --separate-stderr on_a "$SAGATE" -s "$SGK_SOCKET" oci-hook < <(yes '{"a":1}' | head -c 3000000)
	[[ $stderr == *"longer than 1 MiB"* ]]
	# one who never ends, in short: the alarm that ends it is sent by hand
	mkfifo "$SGK_DIR/never"
	# shellcheck disable=SC2016 # expanded inside
	sgk_spawn "$SGK_DIR/never.out" sh -c 'exec 3<>"$1"; exec "$2" -s "$3" oci-hook <&3' never "$SGK_DIR/never" "$SAGATE" "$SGK_SOCKET" >"$SGK_DIR/never.pid"
	sgk_wait 10 reads "$(cat "$SGK_DIR/never.pid")"
	sgk_stop "$SGK_DIR/never.pid" ALRM
	grep -q 'no end after 25 s' "$SGK_DIR/never.out"
	gates_are '[]'
}
reads() { # it catches the signal by then (bit 14 - 1)
	((0x$(sed -n 's/^SigCgt:[[:space:]]*//p' "/proc/$1/status") & 1 << 13))
}

@test "nobody's gate becomes a container's, and none is taken off by one" {
	process one
	refused "gate gated is there already" one "$(pid one)" created '{"org.sagate.gate":"gated"}'
	refused "gate gated is there already" gated "$(pid one)" created "$ours"
	hook gated 0 stopped '{"org.sagate.gate":"gated"}'
	sagate show gates --json | jq -e --arg cgroup "/$SGK_GATE" '.[] | select(.name == "gated").cgroup == $cgroup'
	# a cgroup that has one already
	sagate attach "/$SGK_GATE-one" --name mine
	run -1 --separate-stderr hook one "$(pid one)" created "$ours"
	[[ $stderr == *"has a gate already: mine"* ]]
	hook one 0 stopped "$ours"
	gates_are '["mine"]'
	sagate detach mine
	hook one "$(pid one)" created "$ours"
	process two
	run -1 --separate-stderr hook two "$(pid two)" created '{"org.sagate.gate":"one"}'
	[[ $stderr == *"gate one is there already, for /$SGK_GATE-one"* ]]
	hook two 0 stopped '{"org.sagate.gate":"one"}'
	gates_are '["one"]'
	hook one 0 stopped "$ours"
}

@test "spd=own: its namespace is mirrored before its first call and until its last gate goes; with spd=host, too" {
	process one --net
	spaces_are '[]'
	hook one "$(pid one)" created "$ours"
	sagate show spaces --json | jq -e '.[] | select(.name == "one") | .synced and .state == "mirrored"'
	nsenter --net="/proc/$(pid one)/ns/net" -- ip xfrm policy add dir out dst 203.0.113.0/24 action block
	explained() { [ "$(explain udp 203.0.113.1:9 --netns "$(pid one)" --gate one)" = "deny policy-block" ]; }
	sgk_wait 5 explained
	# it stays through a reload and other settings
	kill -HUP "$(cat "$SGK_DIR/daemon.pid")"
	sagate attach "/$SGK_GATE-one" --name one --mode audit
	spaces_are '["one"]'
	explained
	# a second one in the same namespace: the space is there for both
	process two
	sgk_stop "$SGK_DIR/c-two.pid" KILL
	# shellcheck disable=SC2016 # expanded inside
	sgk_spawn "$SGK_DIR/c-two.out" sh -c 'echo $$ >"$1/cgroup.procs"; exec nsenter --net="/proc/$2/ns/net" -- unshare --mount sleep 1000' \
		process "$SGK_CGROUP2/$SGK_GATE-two" "$(pid one)" >"$SGK_DIR/c-two.pid"
	sgk_wait 10 sleeps two
	hook two "$(pid two)" created "$ours"
	sgk_stop "$SGK_DIR/c-one.pid" KILL
	hook one 0 stopped "$ours"
	gates_are '["two"]'
	# and stays: for two rounds of the daemon's own looks
	heartbeats 2
	spaces_are '["one"]'
	[ "$(explain udp 203.0.113.1:9 --netns "$(pid two)" --gate two)" = "deny policy-block" ]
	hook two 0 stopped "$ours"
	gates_are '[]'
	spaces_are '[]'
	[ "$(explain udp 203.0.113.1:9 --netns "$(pid two)")" = "wait no-space" ]
	process three --net
	hook three "$(pid three)" created '{"org.sagate.spd":"host"}'
	spaces_are '["three"]' # for its routes
	hook three 0 stopped "$ours"
	spaces_are '[]'
}

@test "spd=host: a call of a container with a network of its own has the host's SA negotiated" {
	process five --net
	nsenter --net="/proc/$(pid five)/ns/net" -- ip -batch - <<-END
	link add cw type veth peer name ca
	link set cw up
	link set ca up
	addr add 198.51.100.200/24 dev cw
	route add default dev cw
	END
	hook five "$(pid five)" created '{"org.sagate.mode":"reject","org.sagate.spd":"host"}'
	# shellcheck disable=SC2046 # words
	on_a ip xfrm policy add dir out dst 192.0.2.5/32 $(tmpl 5)
	asks() { # shellcheck disable=SC2016 # expanded inside
		sh -c 'echo $$ >"$1/cgroup.procs"; shift; exec nsenter --net="/proc/$1/ns/net" -- "$2" udp 192.0.2.5 80' \
			asks "$SGK_CGROUP2/$SGK_GATE-five" "$(pid five)" "$SGK_WAYS" | grep '^EAGAIN '
	}
	sgk_wait 5 asks
	sgk_wait 5 five_negotiates
	hook five 0 stopped "$ours"
}
five_negotiates() { sagate show negotiations --json | jq -e 'any(.state == "started" and .space == "host")'; }

# heartbeats N: until the daemon's heart has beaten so often.
heartbeats() {
	local i
	for ((i = 0; i < $1; i++)); do
		was=$(beat)
		sgk_wait 5 beats
	done
}
beat() { bpftool map lookup pinned "$SGK_PIN/map/space_state" key 0 0 0 0 -j | jq .formatted.value.heartbeat; }
beats() { [ "$(beat)" != "$was" ]; }

@test "a daemon that is killed: the next one mirrors the container's namespace, and gate and space go with the cgroup" {
	process four --net
	hook four "$(pid four)" created "$ours"
	nsenter --net="/proc/$(pid four)/ns/net" -- ip xfrm policy add dir out dst 203.0.113.0/24 action block
	sgk_stop "$SGK_DIR/daemon.pid" KILL
	daemon_start
	spaces_are '["four"]'
	[ "$(explain udp 203.0.113.1:9 --netns "$(pid four)" --gate four)" = "deny policy-block" ]
	sgk_stop "$SGK_DIR/c-four.pid" KILL
	rmdir "$SGK_CGROUP2/$SGK_GATE-four"
	sgk_wait 10 spaces_are '[]'
	# the kernel takes namespaces away in the background
	sgk_wait 20 gates_are '[]'
}

@test "a space that cannot be: no gate, and the reason" {
	process one --net
	refused "a space of that name is there already" one "$(pid one)" created '{"org.sagate.gate":"host"}'
	spaces_are '[]'
	# nor does the container's stand for one of the configuration
	hook one "$(pid one)" created "$ours"
	printf '[space "one"]\nnetns=%s\n' "$SGK_B" >>"$SGK_CONF"
	kill -HUP "$(cat "$SGK_DIR/daemon.pid")"
	sgk_wait 5 one_is_refused
	sagate status --json | jq -e '.problems | any(contains("a container'"'"'s gate has the same name"))'
	hook one 0 stopped "$ours"
	sgk_wait 5 one_is_mirrored
	sed -i '/^\[space/,$d' "$SGK_CONF"
	kill -HUP "$(cat "$SGK_DIR/daemon.pid")"
	sgk_wait 5 spaces_are '[]'
}
one_states() { sagate show spaces --json | jq -c '[.[] | select(.name == "one").state]'; }
one_is_refused() { [ "$(one_states)" = '["mirrored","refused"]' ]; }
one_is_mirrored() { [ "$(one_states)" = '["mirrored"]' ]; }

@test "no daemon: the container does not start; poststop says that the gate goes with its cgroup" {
	process one
	sgk_stop "$SGK_DIR/daemon.pid"
	run -1 --separate-stderr hook one "$(pid one)" created "$ours"
	[[ $stderr == *"no daemon at"* ]]
	run -1 --separate-stderr hook one 0 stopped "$ours"
	[[ $stderr == *"its gate goes with its cgroup"* ]]
	daemon_start
}

@test "the hook that make install puts there is one for podman and CRI-O" {
	make -s -C "$SGK_REPO" install DESTDIR="$SGK_DIR/root" PREFIX=/usr
	jq -e '.version == "1.0.0" and .hook.path == "/usr/sbin/sagate" and .hook.args == ["sagate", "oci-hook"] and
		.stages == ["createRuntime", "poststop"] and (.when.annotations | keys == ["^org\\.sagate\\."])' \
		"$SGK_DIR/root/usr/share/containers/oci/hooks.d/sagate.json"
	"$SGK_DIR/root/usr/sbin/sagate" oci-hook <<<'{}'
}
