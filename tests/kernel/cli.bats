#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# cli.bats: every command's JSON and exit status, with a daemon and without.

bats_require_minimum_version 1.5.0
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/host.sh"

setup_file() {
	sgk_up || return 1
	# shellcheck disable=SC2046 # words
	spd add dst 192.0.2.3/32 $(tmpl 3)
	spd add dst 192.0.2.4/32 action block
	in_force "deny policy-block" udp 192.0.2.4:80
	expect EAGAIN udp 192.0.2.3 80
}
teardown_file() { sgk_down; }

# one_document STATUS JQ-CONDITION ARGS...: exactly one JSON document on standard
# output, nothing on the other, and the condition holds for it.
one_document() {
	run -"$1" --separate-stderr sagate "${@:3}" --json
	# shellcheck disable=SC2154 # bats sets it
	[ -z "$stderr" ] || { sgk_fail "sagate ${*:3} --json said: $stderr"; return 1; }
	jq -se "length == 1 and (.[0] | $2)" <<<"$output" >/dev/null || sgk_fail "sagate ${*:3} --json: $output"
}
error() { echo ".error.code == \"$1\" and (.error.message | length) > 10 and (keys == [\"error\"])"; }

@test "help says which commands do not take --json" {
	local c without=""
	for c in $("$SAGATE" help | sed -n 's/^  \([a-z][a-z-]*\) .*/\1/p'); do
		"$SAGATE" help "$c" | grep -q -e '--json' || without+="$c "
	done
	[[ $without == *oci-hook* && $without == *daemon* ]]
	[ "$("$SAGATE" help | sed -n 's/^  --json .*(all but \(.*\))$/\1 /p' | sed 's/, / /g; s/ and / /')" = "$without" ]
}

@test "--json: one document from each command" {
	one_document 0 '.ready and .pid > 0 and .abi >= 1 and (.spaces | length) == 1' status
	one_document 0 'length == 1 and .[0].name == "gated" and .[0].state == "attached"' show gates
	one_document 0 'length == 1 and .[0].synced' show spaces
	one_document 0 'length == 2 and any(.[]; .tmpl[0].reqid == 3)' show spd
	one_document 0 '. == []' show sad
	one_document 0 '. == []' show requirements
	one_document 0 'length == 1 and .[0].state == "started"' show negotiations
	one_document 0 'length == 2' show spd --space host
	one_document 0 '.version and .abi >= 1 and .libbpf' version
	one_document 0 '.name == "again" and .state == "attached"' attach "/$SGK_GATE-again" --name again
	one_document 0 '.name == "again"' detach again
	run sagate doctor --json
	[ "$status" -le 1 ]
	jq -se 'length == 1 and (.[0].checks | length) > 5 and (.[0].ok | type) == "boolean"' <<<"$output"
}

setup() { mkdir -p "$SGK_CGROUP2/$SGK_GATE-again"; }
teardown() {
	rmdir "$SGK_CGROUP2/$SGK_GATE-again"
	[ -n "$BATS_TEST_COMPLETED" ] || tail -n 15 "$SGK_DIR/log"
}

@test "errors are one JSON document too: 1 when it cannot, 2 when it is called wrongly" {
	one_document 1 "$(error no-such-gate)" detach nobody
	one_document 1 "$(error no-such-cgroup)" attach "/$SGK_GATE-nowhere"
	one_document 1 "$(error no-such-space)" show spd --space blue
	one_document 1 "$(error no-such-netns)" explain tcp 192.0.2.2:80 --netns sgk-nobody
	one_document 1 "$(error no-such-device)" explain tcp 192.0.2.2:80 --dev nothing
	one_document 1 "$(error no-such-gate)" explain tcp 192.0.2.2:80 --gate nobody
	one_document 2 '.error.code and .error.message' attach
	one_document 2 '.error.code and .error.message' attach /x --mode perhaps
	one_document 2 '.error.code and .error.message' attach /x --set stale
	one_document 2 '.error.code and .error.message' show everything
	one_document 2 '.error.code and .error.message' explain tcp
	one_document 2 '.error.code and .error.message' explain tcp nowhere
	one_document 2 '.error.code and .error.message' explain carrier 192.0.2.2
	one_document 2 '.error.code and .error.message' explain tcp 192.0.2.2:99999
	one_document 2 '.error.message | test("192.0.2.2:80.*icmp has no ports.*echo request")' explain icmp 192.0.2.2:80
	one_document 2 '.error.message | test("2001:db8::2.:80.*icmpv6 has no ports")' explain icmpv6 "[2001:db8::2]:80"
	one_document 2 '.error.message | test("protocol 0")' explain 0 192.0.2.2
	one_document 2 '.error.message | test("--from 2001:db8::1: IPv6, and the destination 192.0.2.2:80 is IPv4")' \
		explain tcp 192.0.2.2:80 --from 2001:db8::1
	one_document 2 '.error.message | test("over IPv4 it is icmp")' explain icmpv6 192.0.2.2
	one_document 2 '.error.message | test("over IPv6 it is icmpv6")' explain icmp 2001:db8::2
	one_document 2 '.error.message | test("192.0.2.1:9.*no ports")' explain icmp 192.0.2.2 --from 192.0.2.1:9
	one_document 2 '.error.message | test("show gates: --space goes with spd")' show gates --space nosuch
	one_document 2 '.error.message | test("show negotiations: --space goes with")' show negotiations --space host
	one_document 2 '.error.message | test("give --name")' attach "/äö"
	one_document 2 '.error.code and .error.message' explain tcp 192.0.2.2 --mark -1
	one_document 2 '.error.code and .error.message' status --colour
	one_document 2 '.error.code and .error.message' status --metrics
	one_document 2 '.error.code and .error.message' fly
	run -2 --separate-stderr on_a "$SAGATE" status -s control.sock
	# shellcheck disable=SC2154 # bats sets it
	[[ $stderr == *"control.sock: expected an absolute path"* ]]
}

@test "the root of all cgroups gets a gate only when that is said" {
	local c
	for c in / "$SGK_CGROUP2" "$SGK_CGROUP2/"; do
		one_document 1 "$(error root-cgroup)" attach "$c" --mode audit
	done
	[ "$(sagate show gates --json | jq length)" = 1 ]
}

@test "without a daemon each command that needs one says where it looked" {
	local cmd
	for cmd in status "show gates" "attach /x" "detach x" "explain tcp 192.0.2.2:80" watch; do
		# shellcheck disable=SC2086 # words
		run -1 --separate-stderr on_a "$SAGATE" $cmd -s "$SGK_DIR/nobody.sock" --json
		jq -se 'length == 1 and .[0].error.code == "no-daemon"' <<<"$output" || { sgk_fail "$cmd: $output"; return 1; }
		# shellcheck disable=SC2086 # words
		run -1 --separate-stderr on_a "$SAGATE" $cmd -s "$SGK_DIR/nobody.sock"
		[ -z "$output" ]
		[[ $stderr == "sagate: "*"$SGK_DIR/nobody.sock"* ]]
	done
}

@test "doctor without a daemon is an error that says what to do" {
	run -1 --separate-stderr on_a "$SAGATE" doctor -c "$SGK_CONF" -s "$SGK_DIR/nobody.sock" --json
	jq -se 'length == 1 and .[0].ok == false and ([.[0].checks[] | select(.status == "fail")] |
		length == 1 and .[0].check == "daemon" and (.[0].message | test("no daemon at .*nobody.sock$")) and
		(.[0].hint | test("systemctl status sagate")))' <<<"$output"
	run -1 --separate-stderr on_a "$SAGATE" doctor -c "$SGK_CONF" -s "$SGK_DIR/nobody.sock"
	[ "$(grep -c "sagate daemon" <<<"$output")" = 1 ]
	# the same host is well with one
	run -0 --separate-stderr sagate doctor -c "$SGK_CONF"
}

@test "a gate's default name is the last part of the path, one - for each character that no name has" {
	local c=/$SGK_GATE-again/café@1
	mkdir "$SGK_CGROUP2$c"
	one_document 0 '.name == "caf--1" and .state == "attached"' attach "$c"
	one_document 0 '.name == "caf--1"' detach caf--1
	rmdir "$SGK_CGROUP2$c"
}

@test "pin= outside a BPF file system: an error, and nothing is made there" {
	local dir=$BATS_TEST_TMPDIR/no/bpffs
	printf '[daemon]\ncontrol=%s/x.sock\npin=%s/sagate\n' "$BATS_TEST_TMPDIR" "$dir" >"$BATS_TEST_TMPDIR/conf"
	run -1 --separate-stderr on_a "$SAGATE" daemon -c "$BATS_TEST_TMPDIR/conf"
	[[ $stderr == *"$dir/sagate: not on a BPF file system"* ]]
	[ ! -e "$BATS_TEST_TMPDIR/no" ]
	mkdir -p "$dir"
	run -1 --separate-stderr on_a "$SAGATE" daemon -c "$BATS_TEST_TMPDIR/conf"
	[ -z "$(ls "$dir")" ]
}

@test "explain: 0 would pass, 3 wait, 4 deny; with policy, template and what is missing" {
	one_document 0 '.verdict == "clear" and .reason == "no-policy" and .policy == null and
		.flow.src == "192.0.2.1" and .flow.dport == 80 and .requirement == null and .gate == null' \
		explain tcp 192.0.2.2:80
	one_document 3 '.verdict == "wait" and .reason == "no-sa" and .policy.action == "allow" and
		.policy.selector.dst == "192.0.2.3/32" and (.policy.index | type) == "number" and
		.policy.priority == 0 and .policy.templates[0].proto == "esp" and
		.policy.templates[0].mode == "transport" and .policy.templates[0].reqid == 3 and
		.policy.templates[0].sa == null and (.policy.templates[0].missing | length) > 3 and
		.negotiation.state == "started"' explain udp 192.0.2.3:80 --gate gated
	jq -e '.gate.name == "gated"' <<<"$output"
	one_document 4 '.verdict == "deny" and .reason == "policy-block" and .policy.action == "block"' \
		explain icmp 192.0.2.4
	one_document 0 '.flow.proto == "tcp" and .flow.dst == "192.0.2.2" and .flow.src == "192.0.2.101"' \
		explain 6 "[::ffff:192.0.2.2]:80" --from "[::ffff:192.0.2.101]"
	run -3 sagate explain udp 192.0.2.3:80
	[[ $output == *wait*no-sa* ]]
}

@test "what explain says is what the call is told" {
	local to
	for to in 192.0.2.2 192.0.2.3 192.0.2.4; do
		run sagate explain udp $to:80
		case $status in
		0) expect ok udp $to 80 ;;
		3) expect EAGAIN udp $to 80 ;;
		4) expect EACCES udp $to 80 ;;
		*) false ;;
		esac
	done
}

@test "the namespace asked is the caller's, or the one that --netns names" {
	one_document 3 '.reason == "no-sa"' explain udp 192.0.2.3:80
	run -3 on_b "$SAGATE" explain udp 192.0.2.3:80 -s "$SGK_SOCKET" --json
	jq -e '.reason == "no-space"' <<<"$output"
	run -0 on_b "$SAGATE" explain udp 192.0.2.2:80 -s "$SGK_SOCKET" --netns "$SGK_A" --json
	jq -e '.reason == "no-policy"' <<<"$output"
}

@test "watch --json: one object a line, as it happens" {
	sgk_spawn "$SGK_DIR/watch" nsenter --net="/run/netns/$SGK_A" -- \
		"$SAGATE" watch --json -s "$SGK_SOCKET" >"$SGK_DIR/watch.pid"
	sgk_wait 5 sees_event
	sgk_stop "$SGK_DIR/watch.pid"
	[ "$(wc -l <"$SGK_DIR/watch")" = "$(jq -c . "$SGK_DIR/watch" | wc -l)" ]
	jq -se 'all(.[]; (.time | type) == "number" and (.event | type) == "string")' "$SGK_DIR/watch"
}
sees_event() { way udp 192.0.2.4 80; grep -q '"policy-block"' "$SGK_DIR/watch"; }

@test "status --metrics is Prometheus text" {
	run -0 sagate status --metrics
	grep -q '^# TYPE sagate_' <<<"$output"
	run ! grep -vE '^(# (HELP|TYPE) sagate_[a-z0-9_]+ .*|sagate_[a-z0-9_]+(\{[^}]*\})? [0-9.e+-]+)$' <<<"$output"
}

libbpf_lines() { grep -c '^<7>libbpf: ' "$1" || :; }
debug_ready() { "$SAGATE" status --json -s "$SGK_DIR/debug.sock" | jq -e .ready; }

@test "log-level=debug has of libbpf only warnings, unless it is asked for all" {
	[ "$(libbpf_lines "$SGK_DIR/log")" -lt 10 ]
	sed "s,^control=.*,control=$SGK_DIR/debug.sock,; s,^pin=.*,pin=$SGK_PIN-debug," "$SGK_CONF" >"$SGK_DIR/debug.conf"
	sgk_spawn "$SGK_DIR/debug.log" nsenter --net="/run/netns/$SGK_A" -- \
		env SAGATE_LIBBPF_DEBUG=1 "$SAGATE" daemon -c "$SGK_DIR/debug.conf" >"$SGK_DIR/debug.pid"
	sgk_wait 20 debug_ready
	sgk_stop "$SGK_DIR/debug.pid"
	rm -rf "$SGK_PIN-debug"
	[ "$(libbpf_lines "$SGK_DIR/debug.log")" -gt 100 ]
}

@test "help: every command has a usage, and nothing unknown is guessed" {
	local cmd
	run -0 "$SAGATE" --help
	[[ $output == *"No SA, no SYN"* ]]
	for cmd in $("$SAGATE" help --completion bash | sed -n "s/^\t\([a-z]*\)) words=.*/\1/p"); do
		run -0 "$SAGATE" help "$cmd"
		[[ $output == "usage: sagate"*"$cmd"* ]]
	done
	run -2 "$SAGATE"
	run -2 "$SAGATE" stat
	run -2 "$SAGATE" help stat
}
