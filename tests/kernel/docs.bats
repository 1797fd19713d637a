#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# docs.bats: what the documents say is so. The examples of README.md run as they
# are written, on this machine's own kernel and without an SA; its tables agree
# with the headers; the manual names every command and key.
#
# A fenced block is an example when an HTML comment stands above it:
#
#   <!-- test: NAME [exit=N] [for=SECONDS] [says=REGEX] -->
#
#   exit  its exit status (0)
#   for   it runs until it is ended after that time
#   says  a line of what it prints, as an extended expression without blanks
#
# Only paths and the cgroup's name are replaced by the test's own.

bats_require_minimum_version 1.5.0
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/host.sh"

README=$SGK_REPO/README.md

# block NAME: the fenced block below its comment.
block() {
	awk -v name="$1" '
		$1 == "<!--" && $2 == "test:" { found = $3 == name; next }
		/^```/ { inside = found && !inside; if (!inside) found = 0; next }
		inside' "$README"
}
# option NAME KEY: what its comment says.
option() {
	sed -n "s/^<!-- test: $1 \(.* \)\{0,1\}$2=\([^ ]*\) .*/\2/p" "$README"
}

setup_file() {
	sgk_up "$(block config | sed "s,/batch,/sgk$$-batch,")" || return 1
	export SGK_BIN=$SGK_DIR/bin
	mkdir "$SGK_BIN"
	printf '#!/bin/sh\nexec %q -s %q "$@"\n' "$SAGATE" "$SGK_SOCKET" >"$SGK_BIN/sagate"
	chmod +x "$SGK_BIN/sagate"
}

teardown_file() {
	sgk_down
}

teardown() {
	[ -n "$BATS_TEST_COMPLETED" ] || tail -n 15 "$SGK_DIR/log"
}

# example NAME: runs it, and checks its exit status and what it prints.
example() {
	local want says limit text
	want=$(option "$1" exit)
	says=$(option "$1" says)
	limit=$(option "$1" for)
	# shellcheck disable=SC2153 # host.sh sets it
	text=$(block "$1" | sed -e "s,/sys/fs/bpf/sagate,$SGK_PIN,g" \
		-e "s,/sys/fs/cgroup,$SGK_CGROUP2,g" -e "s,\\bexample\\b,$SGK_GATE-example,g")
	[ -n "$text" ] || { sgk_fail "README.md has no example $1"; return 1; }
	run on_a env "PATH=$SGK_BIN:$PATH" timeout "${limit:-20}" bash -euc "$text"
	echo "$output"
	[ "$status" = "${want:-$([ -n "$limit" ] && echo 124 || echo 0)}" ] || return 1
	[ -z "$says" ] || grep -qE -- "$says" <<<"$output"
}

# No example is left out: each marked shell block has a line in this file.
@test "every example of README is run here" {
	local name
	while read -r name; do
		grep -qE "(example|block) $name\\b" "$BATS_TEST_FILENAME" ||
			{ sgk_fail "$name is not run"; return 1; }
	done < <(sed -n 's/^<!-- test: \([^ ]*\) .*/\1/p' "$README")
	# and a shell block without a mark is a mistake
	# shellcheck disable=SC2016 # awk's own
	run ! awk '/^```sh/ && last !~ /^<!-- test:/ { print NR; bad = 1 } { last = $0 } END { exit !bad }' "$README"
}

@test "README: doctor and status" {
	example doctor
	example status
}

@test "README: a command that needs an SA is refused, and explain says why" {
	example run
	example explain
	example wait
}

@test "README: a gate is attached, changed and detached" {
	example attach
	[ ! -e "$SGK_PIN/gate/$SGK_GATE-example" ]
}

@test "README: watch runs until it is ended, and shows a refused call" {
	example watch &
	local watch=$!
	while kill -0 "$watch"; do
		example run
	done
	wait "$watch"
}

@test "README: JSON and metrics for machines" {
	example machine
}

@test "README: bpftool alone reads the maps" {
	example bpftool-attach
	example bpftool-cgroup
	example bpftool-maps
	example bpftool-detach
}

@test "README: words that bpftool prints are read as addresses, ports and SPIs" {
	example bpftool-words
}

@test "README: the heartbeat is young while the daemon lives" {
	example bpftool-heartbeat
	[ "$output" -lt 3000 ]
}

@test "README: the drop-in's attach works for a cgroup that was made anew a moment ago" {
	local cgroup=$SGK_GATE-anew.service
	mkdir "$SGK_CGROUP2/$cgroup"
	sagate attach "/$cgroup" --name anew --mode reject
	rmdir "$SGK_CGROUP2/$cgroup"
	mkdir "$SGK_CGROUP2/$cgroup"
	sagate attach "/$cgroup" --name anew --mode reject
	run -1 sgk_in "/$cgroup" bash -c 'echo hello >/dev/tcp/198.51.100.7/443'
	[[ $output = *"Resource temporarily unavailable"* || $output = *"No route to host"* ]]
}

# The name is then payments.service, and a BPF file system takes no dot in a pin's name.
@test "sagate(8): a service's gate needs no --name, is pinned, and found by the next daemon" {
	local cgroup=$SGK_GATE-payments.service
	mkdir "$SGK_CGROUP2/$cgroup"
	sagate attach "/$cgroup" --mode audit
	sgk_stop "$SGK_DIR/daemon.pid"
	sgk_daemon_start
	sagate show gates --json | jq -e --arg name "$cgroup" \
		'.[] | select(.name == $name) | .state == "attached" and .settings.mode == "audit"'
	sagate detach "$cgroup"
	rmdir "$SGK_CGROUP2/$cgroup"
}

# ---- tables --------------------------------------------------------------

# The tables of README that come from include/reasons.h.
reasons_tables() {
	gcc -E -P -x c -I "$SGK_REPO/include" - <<-'END' |
	#include "reasons.h"
	#define N(n, s) ROW s
	TABLE verdict SAGATE_VERDICTS(N)
	TABLE mode SAGATE_MODES(N)
	TABLE class SAGATE_CLASSES(N)
	TABLE hook SAGATE_HOOKS(N)
	#define R(n, v, s, t) ROW s t VERDICT v
	TABLE reason SAGATE_REASONS(R)
	END
		tr '\n' ' ' | sed 's/\(ROW\|TABLE\)/\n\1/g' | awk -F '"' '
		function flush() { if (line) print line "."; line = "" }
		$1 ~ /^TABLE/ {
			flush(); split($1, word, " "); table = word[2]; n = 0
			if (table == "reason")
				print "\n| number | reason | verdict | meaning |\n|---|---|---|---|"
			next
		}
		$1 !~ /^ROW/ { next }
		table != "reason" {
			line = (line ? line ", " : "\n" toupper(substr(table, 1, 1)) substr(table, 2) " numbers: ") \
				n++ " " $2
			next
		}
		{ split($5, word, " "); print "| " n++ " | `" $2 "` | " tolower(word[2]) " | " $4 " |" }
		END { print "" }'
}

@test "README's tables of verdicts and reasons are those of include/reasons.h" {
	sed -n '/^<!-- generated from include\/reasons.h: begin/,/^<!-- generated.*end/p' "$README" |
		sed '1d;$d' | diff - <(reasons_tables)
	[ "$(reasons_tables | grep -c '^| [0-9]')" -ge 20 ]
}

@test "the table of WAYS.md is the one that tests/lab/matrix measures" {
	sed -n '/^<!-- generated by tests\/lab\/matrix: begin/,/^<!-- generated.*end/p' "$SGK_REPO/WAYS.md" |
		sed '1,2d;$d' | sed '$d' | diff - <("$SGK_REPO/build/tests/matrix" --table)
}

@test "README names every map, and no limit other than the sources'" {
	local map limit name
	while read -r map; do
		grep -q "^| \`$map\` |" "$README" || { sgk_fail "no map $map in README.md"; return 1; }
	done < <(sed -n 's/^} \([a-z_]*\) SEC(".maps");/\1/p' "$SGK_REPO/bpf/maps.bpf.h")
	while read -r limit name; do
		grep -qE "^#define $name +$limit\\b" "$SGK_REPO/include/abi.h" ||
			{ sgk_fail "$name is not $limit"; return 1; }
	done < <(sed -n 's/^| \([0-9]*\) | .* | \([A-Z_]*_MAX\) |$/\1 \2/p' "$README")
	grep -q 'define POLICIES_MAX 262144' "$SGK_REPO/include/abi.h"
	grep -qE 'define SAS_MAX\s+262144' "$SGK_REPO/include/abi.h"
	grep -qE 'define ROUTES_MAX\s+131072' "$SGK_REPO/include/abi.h"
	grep -q 'HEARTBEAT_LATE_NS 5000000000ULL' "$SGK_REPO/include/abi.h"
}

# ---- the manual, the configuration, the unit -----------------------------

@test "sagate(8) has every command and option of the program" {
	local command option man=$SGK_REPO/loader/man/sagate.8.scd
	for command in $("$SAGATE" help | sed -n 's/^  \([a-z-]\{1,\}\)  .*/\1/p'); do
		grep -qE "^\\*$command\\*" "$man" || { sgk_fail "no command $command"; return 1; }
		for option in $("$SAGATE" help "$command" | grep -oE '^ +--?[a-z]+' | tr -d ' '); do
			grep -qE -- "$option\\b" "$man" || { sgk_fail "no $command $option"; return 1; }
		done
	done
	[ "$("$SAGATE" help | grep -c '^  [a-z]')" -ge 10 ]
}

configured() { # FILE: no error in it
	"$SAGATE" doctor -c "$1" --json -s "$SGK_DIR/nobody" |
		jq -e '.checks[] | select(.check == "configuration") | .status == "ok"'
}

@test "the example configuration has every key, no error in any line, and shows the defaults" {
	local key example=$SGK_REPO/loader/sagate.conf.example
	configured "$example"
	sed 's/^;//' "$example" >"$SGK_DIR/all.conf"
	configured "$SGK_DIR/all.conf"
	while read -r key; do
		case $key in
		from | proto | port | sport | space) continue ;; # of [require]: shown in the manual
		esac
		grep -qE "^;?$key = " "$example" || { sgk_fail "no $key in $example"; return 1; }
	done < <(sed -n 's/^\*\([a-z-]*\)=\*.*/\1/p' "$SGK_REPO/loader/man/sagate.conf.5.scd" | sort -u)
	echo nonsense = 1 >>"$SGK_DIR/all.conf"
	run ! configured "$SGK_DIR/all.conf"
}

@test "the example of sagate.conf(5) has no error" {
	# shellcheck disable=SC2016 # awk's own
	sed -n '/^# EXAMPLE/,/^# SEE/p' "$SGK_REPO/loader/man/sagate.conf.5.scd" |
		awk '/^```/ { inside = !inside; next } inside' >"$SGK_DIR/man.conf"
	grep -q '^\[gate' "$SGK_DIR/man.conf"
	configured "$SGK_DIR/man.conf"
}

# In a network namespace, pins and socket of its own; the peer's namespace as a further space.
@test "the unit's capabilities are enough for the daemon, and without the first it does not start" {
	local caps
	caps=$(sed -n 's/^CapabilityBoundingSet=//p' "$SGK_REPO/loader/sagate.service" |
		sed 's/.*/\L&/; s/cap_/+/g; s/ /,/g')
	cat >"$SGK_DIR/caps.conf" <<-END
	[daemon]
	control=$SGK_DIR/caps.sock
	pin=$SGK_PIN-caps
	[ike]
	vici=unix://$SGK_DIR/vici
	[space "peer"]
	netns=/run/netns/$SGK_B
	END
	sgk_spawn "$SGK_DIR/caps.log" nsenter --net="/run/netns/$SGK_A" -- setpriv --no-new-privs \
		--bounding-set "-all,$caps" --inh-caps=-all \
		"$SAGATE" daemon -c "$SGK_DIR/caps.conf" >"$SGK_DIR/caps.pid"
	sgk_wait 20 caps_ready || { cat "$SGK_DIR/caps.log"; return 1; }
	mkdir "$SGK_CGROUP2/$SGK_GATE-caps"
	SGK_SOCKET=$SGK_DIR/caps.sock sagate attach "/$SGK_GATE-caps"
	SGK_SOCKET=$SGK_DIR/caps.sock sagate detach "$SGK_GATE-caps"
	rmdir "$SGK_CGROUP2/$SGK_GATE-caps"
	sgk_stop "$SGK_DIR/caps.pid"
	rm -r "$SGK_PIN-caps"
	run on_a timeout 5 setpriv --bounding-set "-all,${caps/+net_admin/-net_admin}" \
		--inh-caps=-all "$SAGATE" daemon -c "$SGK_DIR/caps.conf"
	[ "$status" = 1 ]
}
caps_ready() {
	"$SAGATE" status --json -s "$SGK_DIR/caps.sock" |
		jq -e '.ready and ([.spaces[] | select(.synced)] | length == 2)'
}
