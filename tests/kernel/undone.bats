#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# undone.bats: what others with root's rights do to a gate's programs is found
# within a second, put right where that can be, and told: a program that runs
# after ours and undoes a refusal, a link detached, another program behind it.
# The guard stands meanwhile.
#
#   192.0.2.8   required, no policy: the kernel sends in clear

bats_require_minimum_version 1.5.0
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/host.sh"

setup_file() {
	sgk_up '[require "peer"]
	to=192.0.2.8
	[defaults]
	errno-failed=EAGAIN' || return 1
	export UNDO_PIN=$SGK_PIN-undo UNDO_CGROUP=/$SGK_GATE-above
	"${CLANG:-clang}" -target bpf -O2 -g -I "$SGK_REPO" -c -o "$SGK_DIR/undo.o" "$BATS_TEST_DIRNAME/undo.bpf.c" &&
	mkdir "$UNDO_PIN" && bpftool prog loadall "$SGK_DIR/undo.o" "$UNDO_PIN" &&
	mkdir -p "$SGK_CGROUP2$UNDO_CGROUP/below" &&
	sagate attach "$UNDO_CGROUP/below" --name below --set guard=on >/dev/null || return 1
	on_a ip neigh replace 192.0.2.8 lladdr "$(ip -n "$SGK_B" -j link show w | jq -r '.[0].address')" nud permanent dev w
	sgk_spawn "$SGK_DIR/watch" nsenter --net="/run/netns/$SGK_A" -- \
		"$SAGATE" watch --json -s "$SGK_SOCKET" >"$SGK_DIR/watch.pid"
	sgk_spawn "$SGK_DIR/tcpdump" nsenter --net="/run/netns/$SGK_B" -- \
		tcpdump -i w -Q in -nn -l dst 192.0.2.8 or udp port 9 >"$SGK_DIR/tcpdump.pid"
	sgk_wait 10 grep -q listening "$SGK_DIR/tcpdump"
	sgk_wait 10 watching
	sgk_wait 5 is_enforced gated true
	sgk_wait 5 is_enforced below true
}
teardown_file() {
	undo detach "/$SGK_GATE" || :
	undo detach "$UNDO_CGROUP" || :
	sgk_down
}
teardown() {
	[ -n "$BATS_TEST_COMPLETED" ] || tail -n 15 "$SGK_DIR/log"
}

watching() { way udp 192.0.2.8 80; [ -s "$SGK_DIR/watch" ]; }
gate_of() { sagate show gates --json | jq -c ".[] | select(.name == \"$1\")"; }
is_enforced() { [ "$(gate_of "$1" | jq .enforced)" = "$2" ]; }
meddled() { gate_of "$1" | jq .counters.meddled; }
# undo attach|detach CGROUP: the hostile programs.
undo() {
	local verb=$1 cgroup=$2 hook multi=()
	[ "$verb" = detach ] || multi=(multi)
	for hook in connect4 connect6 sendmsg4 sendmsg6; do
		bpftool cgroup "$verb" "$SGK_CGROUP2$cgroup" "$hook" pinned "$UNDO_PIN/undo_$hook" \
			"${multi[@]}" 2>/dev/null || return
	done
}
# told CHANGE GATE [HOOK]: an event since since() was called.
since() { wc -l <"$SGK_DIR/watch" >"$SGK_DIR/since"; date +%s%3N >"$SGK_DIR/since.ms"; }
told() {
	tail -n +$(($(cat "$SGK_DIR/since") + 1)) "$SGK_DIR/watch" |
		jq -se --arg change "$1" --arg gate "$2" --arg hook "${3-}" \
			'map(select(.event == "gate" and .change == $change and .gate == $gate and ($hook == "" or .hook == $hook))) | first | .time' >"$SGK_DIR/told"
}
# told_soon: as told, and how long that took.
told_soon() {
	sgk_wait 5 told "$@" || return
	echo "# $1: told after $(jq -r --argjson since "$(cat "$SGK_DIR/since.ms")" '. * 1000 - $since | floor' "$SGK_DIR/told") ms" >&3
}
says() { sagate doctor --json | jq -e --arg check "$1" --arg status "$2" --arg text "$3" \
	'.checks | any(.check == $check and .status == $status and (.message | contains($text)))'; }
links_of() { bpftool -j cgroup show "$SGK_CGROUP2/$SGK_GATE" | jq -r "[.[].name | select(endswith(\"_$1\"))] | last"; }
in_below() { sgk_in "$UNDO_CGROUP/below" "$SGK_WAYS" "$@" | cut -d ' ' -f 1; }
clear_packets() { grep -c "192.0.2.8\\." "$SGK_DIR/tcpdump" || :; }
marks() { grep -c "\\.9: UDP" "$SGK_DIR/tcpdump" || :; }
more_marks() { [ "$(marks)" -gt "$1" ]; }
# arrived: packets to 192.0.2.8 that came to the peer until now.
arrived() {
	local n
	n=$(marks)
	on_a bash -c 'echo mark >/dev/udp/192.0.2.2/9' && sgk_wait 5 more_marks "$n" && clear_packets
}

@test "a gate is tried with a call of its own, which counts nowhere; others that make it get their refusal, too" {
	local before
	before=$(counters gated)
	expect EKEYREJECTED udp 192.0.0.8 1
	expect EKEYREJECTED udp-connect 192.0.0.8 1
	expect EKEYREJECTED udp-connect 100:0:0:1:: 1
	expect EKEYREJECTED udp 100:0:0:1:: 1
	[ "$(difference "$before" "$(counters gated)")" = "" ]
	is_enforced gated true
	says enforced ok "gate gated: what it refuses is refused"
	on_a "$SAGATE" status --metrics -s "$SGK_SOCKET" | grep -qx 'sagate_gate_enforced{gate="gated"} 1'
	# in mode audit the same
	sagate attach "/$SGK_GATE" --name gated --mode audit >/dev/null
	expect EKEYREJECTED udp-connect 192.0.0.8 1
	sagate attach "/$SGK_GATE" --name gated >/dev/null
}

@test "a program attached after ours that undoes refusals: told, and ours is attached anew behind it" {
	local before hook
	before=$(meddled gated)
	expect EAGAIN udp 192.0.2.8 80
	since
	undo attach "/$SGK_GATE"
	told_soon undone gated
	sgk_wait 5 told enforced gated
	expect EAGAIN udp 192.0.2.8 80
	expect EAGAIN tcp 192.0.2.8 80
	for hook in connect4 connect6 sendmsg4 sendmsg6; do
		[ "$(links_of $hook)" = "gate_$hook" ]
	done
	[ "$(meddled gated)" = $((before + 1)) ]
	grep -q "gate gated: what it refuses comes through (connect4: .*undo_connect4 (id " "$SGK_DIR/log"
	[ -z "$(find "$SGK_PIN/gate/gated" -name '*-old')" ]
	undo detach "/$SGK_GATE"
	expect EAGAIN udp 192.0.2.8 80
	# the new links are the ones that the next daemon takes
	sgk_stop "$SGK_DIR/daemon.pid"
	expect EAGAIN udp 192.0.2.8 80
	sgk_daemon_start
	sgk_wait 5 is_enforced gated true
	sgk_wait 5 is_enforced below true
	sgk_spawn "$SGK_DIR/watch" nsenter --net="/run/netns/$SGK_A" -- \
		"$SAGATE" watch --json -s "$SGK_SOCKET" >"$SGK_DIR/watch.pid"
	since
	sgk_wait 10 watching_again
}
watching_again() { way udp 192.0.2.8 80; [ "$(wc -l <"$SGK_DIR/watch")" -gt "$(cat "$SGK_DIR/since")" ]; }

@test "one on an ancestor stays behind ours: named by doctor and status, and the guard lets no packet out" {
	[ "$(in_below udp 192.0.2.8 80)" = EAGAIN ]
	n=$(arrived)
	since
	undo attach "$UNDO_CGROUP"
	told_soon undone below
	[ "$(in_below udp 192.0.2.8 80)" != EAGAIN ]
	[ "$(in_below tcp 192.0.2.8 80)" != EAGAIN ]
	in_below udp-send 192.0.2.8 80 # BPF LSM, where there is, still refuses it
	[ "$(arrived)" = "$n" ]
	[ "$(gate_of below | jq .counters.guard_dropped)" -ge 2 ]
	is_enforced below false
	is_enforced gated true
	says enforced fail "gate below: what it refuses comes through"
	says programs warn "gate below: sendmsg4: programs that run after its own, and can undo a refusal: undo_sendmsg4 (id "
	sagate status --json | jq -e '(.healthy | not) and (.problems | any(startswith("gate below: what it refuses comes through")))'
	on_a "$SAGATE" status --metrics -s "$SGK_SOCKET" | grep -qx 'sagate_gate_enforced{gate="below"} 0'
	# without the guard the same call does leave
	sagate attach "$UNDO_CGROUP/below" --name below --set guard=off >/dev/null
	[ "$(in_below udp 192.0.2.8 80)" = ok ]
	[ "$(arrived)" -gt "$n" ]
	sagate attach "$UNDO_CGROUP/below" --name below --set guard=on >/dev/null
	since
	undo detach "$UNDO_CGROUP"
	told_soon enforced below
	[ "$(in_below udp 192.0.2.8 80)" = EAGAIN ]
	sagate status --json | jq -e '.healthy'
	says enforced ok "gate below: what it refuses is refused"
}

@test "a link that is detached: the program is attached again, and it is told; the gate does not go" {
	local link
	for link in connect4 sendmsg6 setsockopt; do
		since
		bpftool link detach pinned "$SGK_PIN/gate/gated/$link"
		told_soon detached gated $link
		[ "$(links_of $link)" = "gate_$link" ] # in the same turn of the loop, before anybody is told
	done
	expect EAGAIN tcp 192.0.2.8 80
	says enforced warn "gate gated: its programs were detached, replaced or undone"
	grep -q "gate gated: somebody has detached its program connect4: it is attached again" "$SGK_DIR/log"
	# all at once
	since
	for link in "$SGK_PIN"/gate/gated/*; do bpftool link detach pinned "$link"; done
	told_soon detached gated sendmsg4
	expect EAGAIN tcp 192.0.2.8 80
	expect EAGAIN udp 192.0.2.8 80
	# while no daemon runs
	sgk_daemon_kill
	bpftool link detach pinned "$SGK_PIN/gate/gated/connect4"
	bpftool link detach pinned "$SGK_PIN/gate/gated/connect6"
	sgk_daemon_start
	expect EAGAIN tcp 192.0.2.8 80
	sgk_wait 5 is_enforced gated true
}

@test "another program behind our link: ours is put back" {
	local before
	before=$(meddled gated)
	if ! "$BATS_TEST_DIRNAME/link_update.py" "$SGK_PIN/gate/gated/connect4" "$UNDO_PIN/undo_connect4" 2>"$SGK_DIR/update"; then
		# Debian's 6.1.0-56, 6.12.118 and 7.3.4 do not let it
		grep -q "Invalid argument" "$SGK_DIR/update"
		refuses_again
		return
	fi
	sgk_wait 5 refuses_again
	[ "$(meddled gated)" = $((before + 1)) ]
	grep -q "gate gated: somebody has replaced its program connect4" "$SGK_DIR/log"
}
refuses_again() { [ "$(links_of connect4)" = gate_connect4 ] && [ "$(way tcp 192.0.2.8 80)" = EAGAIN ]; }

@test "gates on cgroups without processes, frozen ones, and those that only have child cgroups are tried, too; a removed one goes" {
	local c=/$SGK_GATE-kinds kind
	mkdir -p "$SGK_CGROUP2$c/inner/child" "$SGK_CGROUP2$c/frozen"
	echo +hugetlb >"$SGK_CGROUP2/cgroup.subtree_control"
	echo +hugetlb >"$SGK_CGROUP2$c/cgroup.subtree_control"
	echo +hugetlb >"$SGK_CGROUP2$c/inner/cgroup.subtree_control"
	echo 1 >"$SGK_CGROUP2$c/frozen/cgroup.freeze"
	mkdir "$SGK_CGROUP2$c/frozen/in"
	for kind in inner frozen frozen/in; do sagate attach "$c/$kind" --name "${kind/\//-}" >/dev/null; done
	sgk_wait 5 is_enforced inner true
	sgk_wait 5 removed_child "$c/inner"
	sgk_wait 5 says enforced warn "gate frozen: nobody tries"
	sgk_wait 5 says enforced warn "gate frozen-in: nobody tries"
	[ -z "$(cat "$SGK_CGROUP2$c/frozen/cgroup.procs" "$SGK_CGROUP2$c/frozen/in/cgroup.procs")" ]
	echo 0 >"$SGK_CGROUP2$c/frozen/cgroup.freeze"
	sgk_wait 20 is_enforced frozen true
	rmdir "$SGK_CGROUP2$c/frozen/in" "$SGK_CGROUP2$c/frozen" "$SGK_CGROUP2$c/inner/child" "$SGK_CGROUP2$c/inner" "$SGK_CGROUP2$c"
	sgk_wait 10 is_gone frozen
	sgk_wait 10 is_gone inner
	[ ! -e "$SGK_PIN/gate/frozen" ]
}
removed_child() { [ ! -e "$SGK_CGROUP2$1/sagate-probe" ]; }
is_gone() { [ -z "$(gate_of "$1")" ]; }

@test "doctor names the gate's processes that have rights to pass by it, and no others" {
	local with without said
	with=$(sgk_spawn_gated "$SGK_DIR/with" setpriv --bounding-set=-all,+net_raw,+bpf --inh-caps=-all sleep 300)
	echo "$with" >"$SGK_DIR/with.pid"
	mkdir "$SGK_CGROUP2/$SGK_GATE/deeper"
	without=$(sgk_spawn_gated "$SGK_DIR/without" setpriv --reuid=65534 --clear-groups --inh-caps=-all sleep 300)
	echo "$without" >"$SGK_DIR/without.pid"
	echo "$with" >"$SGK_CGROUP2/$SGK_GATE/deeper/cgroup.procs"
	sgk_wait 5 says rights warn "gate gated: processes with rights by which they can pass it: sleep[$with] CAP_NET_RAW CAP_BPF"
	sgk_wait 5 sleeps "$without"
	said=$(sagate doctor --json | jq -r '.checks[] | select(.check == "rights").message')
	[[ $said != *"$without"* && $said != *"CAP_NET_ADMIN"* ]]
	sgk_stop "$SGK_DIR/with.pid"
	sgk_stop "$SGK_DIR/without.pid"
	sagate doctor --json | jq -e '.checks | all(.check != "rights")'
}
sleeps() { [ "$(cat "/proc/$1/comm")" = sleep ]; }
