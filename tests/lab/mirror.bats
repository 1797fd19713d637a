#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# mirror.bats: real SAs and policies, made by hand, and what the mirror has of
# them; and the unit tests that ask the kernel, on this one.

bats_require_minimum_version 1.5.0
# shellcheck source-path=SCRIPTDIR source=peers.sh
. "$BATS_TEST_DIRNAME/peers.sh"
# shellcheck source-path=SCRIPTDIR source=gate.sh
. "$BATS_TEST_DIRNAME/gate.sh"

# Algorithm and key of SAs that protect nothing but tests.
AEAD="aead rfc4106(gcm(aes)) 0x0102030405060708090a0b0c0d0e0f1011121314 128"

setup_file() {
	lab_up
	gate_up --mode reject
}

teardown_file() {
	gate_down
	lab_down
}

setup() {
	lab_untraced
	xfrm state flush
	xfrm policy flush
	xfrm policy setdefault in accept fwd accept out accept
}

xfrm() { lab_exec a ip xfrm "$@"; }

add_keyed() { # ALGORITHM-AND-KEY SPI REQID [MORE...]
	# shellcheck disable=SC2086 # several words
	xfrm state "${VERB:-add}" src 192.0.2.1 dst 192.0.2.2 proto esp spi "$2" reqid "$3" mode transport $1 "${@:4}"
}
add_sa() { add_keyed "$AEAD" "$@"; } # SPI REQID [MORE...]

add_trap() { # REQID [MORE...]
	local reqid=$1
	shift
	xfrm policy add src 192.0.2.1/32 dst 192.0.2.2/32 dir out "$@" \
		tmpl proto esp reqid "$reqid" mode transport
}

# SPIs as both sides have them.
kernel_spis() { xfrm state list | sed -n 's/.*spi \(0x[0-9a-f]*\).*/\1/p' | sort; }
mirror_spis() { sagate show sad --json | jq -r '.[].spi' | sort; }
same_spis() { [ "$(kernel_spis)" = "$(mirror_spis)" ]; }
mirror_is() { [ "$(sagate show sad --json | jq length)" = "$1" ]; }

@test "an SA is in the mirror when it is added, and gone when it is deleted, flushed or expired" {
	add_trap 7
	lab_wait_until 5 gate_explains "wait no-sa" tcp 192.0.2.2:80
	add_sa 0x1001 7
	lab_wait_until 5 gate_explains "protected sa" tcp 192.0.2.2:80
	add_sa 0x1002 8
	lab_wait_until 5 same_spis
	mirror_is 2
	xfrm state delete src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x1001
	lab_wait_until 5 gate_explains "wait no-sa" tcp 192.0.2.2:80
	add_sa 0x1003 7
	lab_wait_until 5 gate_explains "protected sa" tcp 192.0.2.2:80
	xfrm state flush
	lab_wait_until 5 gate_explains "wait no-sa" tcp 192.0.2.2:80
	mirror_is 0
	add_sa 0x1004 7 limit time-hard 3
	lab_wait_until 5 gate_explains "protected sa" tcp 192.0.2.2:80
	lab_wait_until 10 gate_explains "wait no-sa" tcp 192.0.2.2:80
	mirror_is 0
	# The kernel looks at an SA's age after a second. A nearer end then makes it tell of another birth.
	add_sa 0x1005 7 limit time-soft 100 limit time-hard 200
	sleep 1.5
	VERB=update add_sa 0x1005 7 limit time-soft 100 limit time-hard 2
	lab_wait_until 10 same_spis
	lab_wait_until 5 mirror_is 0
}

@test "an SA without keys counts for nothing" {
	add_trap 7
	xfrm state allocspi src 192.0.2.1 dst 192.0.2.2 proto esp reqid 7 mode transport min 0x2000 max 0x2fff
	add_sa 0x1001 8
	lab_wait_until 5 mirror_is 1
	gate_explains "wait no-sa" tcp 192.0.2.2:80
}

# in_memory HEX...: of the daemon or its keeper.
in_memory() {
	local pid
	for pid in "$1" $(pgrep -P "$1"); do
		"$BATS_TEST_DIRNAME/memory.py" "$pid" "${@:2}" && return 0
	done
	return 1
}

@test "keys of SAs are nowhere in the memory of the daemon and its keeper, and no core would have them" {
	local n pid aead=5eed0aead0c0ffee1badd00d5afe7e57facade05 enc=c1f3a5b7d9e1f3057192b3d4e5f60718
	local auth=9a8b7c6d5e4f30211203f4e5d6c7b8a99f0e1d2c3b4a59687766554433221100
	pid=$(cat "$GATE_DIR/pid")
	for n in 1 2 3; do add_keyed "aead rfc4106(gcm(aes)) 0x$aead 128" "0x2bad10$n$n" "$n"; done
	n="enc cbc(aes) 0x$enc auth hmac(sha256) 0x$auth"
	add_keyed "$n" 0x2bad2011 9
	add_keyed "$n" 0x2bad2022 9 limit time-hard 2
	lab_wait_until 10 mirror_is 4 # an expire has them, too
	xfrm state delete src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x2bad1022
	sagate doctor >/dev/null || : # it compares with a new dump
	lab_wait_until 5 mirror_is 3
	same_spis
	in_memory "$pid" 2bad1011 # it finds what is there
	run -1 in_memory "$pid" "${aead:0:32}" "$enc" "${auth:0:32}" "${auth:32:32}"
	grep -Eq '^Max core file size +0 +0 ' "/proc/$pid/limits"
	kill -HUP "$pid"
	run -1 in_memory "$pid" "${aead:0:32}" "$enc" "${auth:0:32}" "${auth:32:32}"
}

@test "the template's spi, the marks and the selector decide as the kernel has them" {
	xfrm policy add src 192.0.2.1/32 dst 192.0.2.2/32 dir out \
		tmpl proto esp spi 0x1002 reqid 7 mode transport
	add_sa 0x1001 7
	lab_wait_until 5 gate_explains "wait sa-spi" tcp 192.0.2.2:80
	add_sa 0x1002 7 sel src 192.0.2.1/32 dst 192.0.2.2/32 proto tcp dport 80
	lab_wait_until 5 gate_explains "protected sa" tcp 192.0.2.2:80
	gate_explains "wait sa-selector" tcp 192.0.2.2:81
	gate_explains "wait sa-selector" udp 192.0.2.2:80
}

# candidates PORT: SPI and text of each SA that explain lists, nearest first.
candidates() {
	sagate explain tcp "192.0.2.2:$1" --json |
		jq -r '.policy.templates[0].candidates[] | "\(.spi) \(.text)"' || :
}

@test "explain names, for each SA that could be meant, the first condition that failed" {
	local ah="auth hmac(sha256) 0x0102030405060708090a0b0c0d0e0f10"
	add_trap 7
	add_sa 0x1001 9
	add_sa 0x1002 7 mark 5 mask 0xff
	add_sa 0x1003 7 if_id 3
	add_sa 0x1004 7 flag wildrecv
	# shellcheck disable=SC2086 # several words
	{
		xfrm state add src 192.0.2.9 dst 192.0.2.2 proto esp spi 0x1005 reqid 7 mode transport $AEAD
		xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x1006 reqid 7 mode tunnel $AEAD
		xfrm state add src 192.0.2.1 dst 192.0.2.2 proto ah spi 0x1007 reqid 7 mode transport $ah
		xfrm state add src 192.0.2.1 dst 192.0.2.3 proto esp spi 0x1009 reqid 7 mode transport $AEAD
	}
	add_sa 0x1008 7 sel src 192.0.2.1/32 dst 192.0.2.2/32 proto tcp dport 81
	lab_wait_until 5 mirror_is 9
	gate_explains "wait sa-selector" tcp 192.0.2.2:80
	diff <(candidates 80) - <<-END
	0x00001008 selector dport 81 ≠ 80
	0x00001007 proto ah ≠ esp
	0x00001006 mode tunnel ≠ transport
	0x00001005 src 192.0.2.9 ≠ 192.0.2.1
	0x00001004 wildrecv: receives only
	0x00001003 if_id 0x3 ≠ 0x0
	0x00001002 mark 0x5/0xff ≠ 0x0
	0x00001001 reqid 9 ≠ 7
	END
	run -3 sagate explain tcp 192.0.2.2:80
	[[ $output == *"SA 0x00001001 from 192.0.2.1: reqid 9 ≠ 7"* ]]
	# the kernel agrees: nothing goes out for port 80, and by that SA for 81
	[ "$(candidates 81 | head -n 1)" = "0x00001008 used" ]
	gate_explains "protected sa" tcp 192.0.2.2:81
	run -0 sagate explain tcp 192.0.2.2:81 --json
	jq -e '.policy.templates[0].sa.spi == "0x00001008" and
		([.policy.templates[0].candidates[] | select(.used)] | length) == 1' <<<"$output"
	[ "$(sent_by 0x1008)" = 0 ]
	run ! lab_exec a "$LAB_PROBE" tcp 192.0.2.2 80 --for 0
	[ "$(sent_by 0x1008)" = 0 ]
	lab_exec a "$LAB_PROBE" tcp 192.0.2.2 81 --for 0 || :
	[ "$(sent_by 0x1008)" -ge 1 ]
}
# sent_by SPI: packets that the kernel sent by that SA of ESP.
sent_by() {
	lab_exec a ip -s xfrm state get src 192.0.2.1 dst 192.0.2.2 proto esp spi "$1" |
		sed -n '/lifetime current/{n;s/.*, \([0-9]*\)(packets).*/\1/p}'
}

@test "a policy is in the mirror when it is added, changed, deleted, flushed or expired" {
	gate_explains "clear no-policy" tcp 192.0.2.2:80
	xfrm policy add src 192.0.2.1/32 dst 192.0.2.2/32 dir out action block
	lab_wait_until 5 gate_explains "deny policy-block" tcp 192.0.2.2:80
	xfrm policy update src 192.0.2.1/32 dst 192.0.2.2/32 dir out action allow
	lab_wait_until 5 gate_explains "clear policy-allow" tcp 192.0.2.2:80
	xfrm policy delete src 192.0.2.1/32 dst 192.0.2.2/32 dir out
	lab_wait_until 5 gate_explains "clear no-policy" tcp 192.0.2.2:80
	add_trap 7 priority 5
	lab_wait_until 5 gate_explains "wait no-sa" tcp 192.0.2.2:80
	xfrm policy flush
	lab_wait_until 5 gate_explains "clear no-policy" tcp 192.0.2.2:80
	xfrm policy add src 192.0.2.1/32 dst 192.0.2.2/32 dir out action block limit time-hard 3
	lab_wait_until 5 gate_explains "deny policy-block" tcp 192.0.2.2:80
	lab_wait_until 10 gate_explains "clear no-policy" tcp 192.0.2.2:80
	xfrm policy setdefault out block
	lab_wait_until 5 gate_explains "deny default-block" tcp 192.0.2.2:80
	gate_explains "clear noxfrm-device" tcp 127.0.0.1:80
}

@test "two thousand SAs in one burst: the mirror has each of them, and none after the flush" {
	local i
	for i in $(seq 4096 6095); do
		printf 'xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x%x reqid %d mode transport %s\n' \
			"$i" "$i" "$AEAD"
	done >"$BATS_TEST_TMPDIR/burst"
	lab_exec a ip -batch "$BATS_TEST_TMPDIR/burst"
	lab_wait_until 30 mirror_is 2000
	same_spis
	xfrm state flush
	lab_wait_until 10 mirror_is 0
	[ "$(sagate status --json | jq '.spaces[0].synced')" = true ]
}

@test "keys are nowhere in what sagate shows or logs, nor in its memory after the SA is gone" {
	add_sa 0x1001 7
	lab_wait_until 5 mirror_is 1
	run ! grep -qi "0102030405060708090a" "$GATE_DIR/log"
	run ! grep -qi "0102030405060708090a" <(sagate show sad --json)
	# the key's bytes themselves, in the daemon's writable memory
	run ! key_in_memory "$(cat "$GATE_DIR/pid")"
}

# key_in_memory PID: whether 16 bytes of the key stand anywhere in its heap or stack.
key_in_memory() {
	local range from to
	while read -r range _; do
		from=$((16#${range%-*})) to=$((16#${range#*-}))
		dd if="/proc/$1/mem" bs=4096 skip=$((from / 4096)) count=$(((to - from) / 4096)) 2>/dev/null |
			LC_ALL=C grep -qaP '\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10' && return 0
	done < <(grep -E 'rw-p.*(\[heap\]|\[stack\]| 0 *$)' "/proc/$1/maps")
	return 1
}

@test "the unit tests that ask the kernel pass on this one" {
	local test
	for test in decide/test_decide decide/test_required decide/test_explain mirror/test_mirror; do
		echo "# $test" >&3
		timeout 300 "$lab_repo/build/tests/unit/$test" >"$BATS_TEST_TMPDIR/log" 2>&1 </dev/null || {
			cat "$BATS_TEST_TMPDIR/log"
			return 1
		}
	done
}
