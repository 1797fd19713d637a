#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# storm.bats: the mirror is lossless. Storms of changes, at the highest rate the
# machine takes; after each the maps, and what sagate shows, are compared with a
# dump, entry by entry, by a program that shares nothing with the mirror. The
# random ones are of one seed, or of SAGATE_SEED.

bats_require_minimum_version 1.5.0
# shellcheck source-path=SCRIPTDIR source=peers.sh
. "$BATS_TEST_DIRNAME/peers.sh"
# shellcheck source-path=SCRIPTDIR source=storm.sh
. "$BATS_TEST_DIRNAME/storm.sh"

seed=(--seed "${SAGATE_SEED:-20261124}")

setup_file() { storm_up; }
teardown_file() { storm_down; }

setup() {
	local net
	lab_untraced
	for net in "" other; do
		ip ${net:+-n "$net"} xfrm state flush
		ip ${net:+-n "$net"} xfrm policy flush
		ip ${net:+-n "$net"} xfrm policy flush ptype sub
		ip ${net:+-n "$net"} xfrm policy setdefault in accept fwd accept out accept
	done
}

status_of() { sagate status --json | jq ".spaces[] | select(.name == \"$1\") | .$2"; }
explains() { # "VERDICT REASON" ARGS...
	local want=$1
	shift
	explained=$(sagate explain "$@" --json | jq -r '.verdict + " " + .reason')
	[ "$explained" = "$want" ] || { echo "explain: $explained"; return 1; }
}

# will_explain SECONDS "VERDICT REASON" ARGS...
will_explain() {
	local seconds=$1
	shift
	lab_wait_until "$seconds" explains "$@" || { echo "explain: $explained"; return 1; }
}

# One SA that goes out to the far host, and the policy that asks for it.
add_sa() { # SPI LIMITS...
	local spi=$1
	shift
	ip xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi "$spi" reqid 7 mode transport \
		enc 'ecb(cipher_null)' '' "$@"
}
add_policy() {
	ip xfrm policy add src 192.0.2.1/32 dst 192.0.2.2/32 dir out \
		tmpl proto esp reqid 7 mode transport
}
# send N: datagrams of 100 bytes to the far host.
send() {
	local i
	for ((i = 0; i < $1; i++)); do
		printf '%100s' x >/dev/udp/192.0.2.2/9 || return
	done
}
kernel_has_none() { [ -z "$(ip xfrm state list)" ]; }
mirror_has_none() { [ "$(sagate show sad --space host --json | jq length)" = 0 ]; }

@test "a storm of SA and policy changes leaves the mirror as the kernel is" {
	storm_blow host --changes 15000 "${seed[@]}"
	storm_result '.changes >= 14000 and .differences == 0 and .sas + .policies > 100'
	storm_soon
	storm_doctor_agrees host
}

@test "so does one of SAs alone, in another network namespace" {
	storm_blow other --changes 10000 --kinds sa,flush "${seed[@]}"
	storm_result '.changes >= 9500 and .differences == 0'
	storm_soon
	storm_doctor_agrees other
}

@test "so does one in which SAs expire, also after it" {
	# the last change is then no longer the storm's: when is not asked
	storm_blow other --changes 4000 --kinds sa,policy,short "${seed[@]}"
	storm_result '.differences == 0'
	storm_doctor_agrees other
}

@test "so does one in which the daemon's socket runs over again and again" {
	local overruns
	overruns=$(status_of host overruns)
	storm_blow host --changes 30000 --stops 2 "${seed[@]}"
	storm_result ".overruns > $overruns and .resyncs > 0 and .differences == 0"
	storm_soon
	storm_doctor_agrees host
	[ "$(status_of host synced)" = true ]
}

@test "so does one during the first snapshot of a daemon that starts" {
	storm_daemon_stop
	# shellcheck disable=SC2016 # expanded inside
	storm_blow host --changes 8000 "${seed[@]}" --start \
		"setsid $STORM_SAGATE daemon -c $STORM_DIR/conf >$STORM_DIR/log 2>&1 </dev/null & echo \$! >$STORM_DIR/pid"
	storm_result '.differences == 0'
	storm_doctor_agrees host
}

@test "MIGRATE is followed, or where the kernel tells nobody, found by the comparison" {
	local resyncs told said
	resyncs=$(status_of host resyncs)
	storm_blow host --changes 1500 --kinds sa,policy,migrate "${seed[@]}"
	storm_result '.differences == 0'
	[ "$(status_of host resyncs)" -gt "$resyncs" ]
	resyncs=$(status_of other resyncs)
	# what is not told is not repaired yet: the storm's own comparison may fail
	storm_blow other --changes 1500 --kinds sa,policy,migrate "${seed[@]}" >/dev/null || :
	told=$(($(status_of other resyncs) - resyncs))
	said=$(storm_doctor other)
	echo "# MIGRATE in another namespace: told $told times; doctor: $(grep -c '^fail' <<<"$said") lines" >&3
	if [ "$told" = 0 ]; then
		grep -Eq '^fail .*(SA|policy) .*(lacked it|does not have it|another: .*tmpl)' <<<"$said"
	fi
	storm_doctor_agrees other
	"$STORM" --only-compare --space other --netns /run/netns/other
}

@test "an SA counts no more from its hard limit of bytes or packets on, and doctor agrees" {
	add_policy
	explains "wait no-sa" udp 192.0.2.2:9
	add_sa 0x2001 limit packet-hard 5
	will_explain 5 "protected sa" udp 192.0.2.2:9
	send 20 || :
	lab_wait_until 10 kernel_has_none
	will_explain 2 "wait no-sa" udp 192.0.2.2:9
	mirror_has_none
	add_sa 0x2002 limit byte-hard 1000
	will_explain 5 "protected sa" udp 192.0.2.2:9
	send 20 || :
	lab_wait_until 10 kernel_has_none
	will_explain 2 "wait no-sa" udp 192.0.2.2:9
	mirror_has_none
	storm_doctor_agrees host
}

@test "an SA past its soft limit stays in use" {
	add_policy
	timeout 100 "$STORM_SAGATE" watch --json >"$BATS_TEST_TMPDIR/watch" 3>&- &
	lab_wait_until 30 soft_expired
	kill $!
	explains "protected sa" udp 192.0.2.2:9
	[ "$(sagate show sad --space host --json | jq -r '.[].spi')" = 0x00002003 ]
	storm_doctor_agrees host
}
# An SA that has passed its soft limit, and the kernel has said so.
soft_expired() {
	ip xfrm state flush
	add_sa 0x2003 limit packet-soft 3
	will_explain 5 "protected sa" udp 192.0.2.2:9
	send 6
	lab_wait_until 2 grep -q '"soft-expired"' "$BATS_TEST_TMPDIR/watch"
}

# try: one datagram from within the gate.
try() {
	sh -c 'echo $$ >/sys/fs/cgroup/stormed/cgroup.procs; exec "$@"' try \
		"$LAB_PROBE" udp 192.0.2.2 9 --for 0 >"$BATS_TEST_TMPDIR/try"
}
passes() { try; }
refused() { ! try && jq -e '.errnos.EAGAIN == 1' "$BATS_TEST_TMPDIR/try"; }

@test "the deadline of an SA ends it also while the daemon is stopped" {
	add_policy
	lab_wait_until 5 refused
	add_sa 0x2004 limit time-hard 2
	lab_wait_until 5 passes
	kill -STOP "$(storm_pid)"
	# two seconds after its limit, and less than the 5 after which the daemon is late
	lab_wait_until 4 refused || { kill -CONT "$(storm_pid)"; return 1; }
	# BPF has the deadline: the map still has the SA
	entries=$(bpftool -j map dump pinned /sys/fs/bpf/sagate/map/sad | jq length)
	kill -CONT "$(storm_pid)"
	[ "$entries" = 1 ]
	lab_wait_until 10 mirror_has_none
	storm_doctor_agrees host
}

@test "doctor names what was changed behind the daemon's back, and it is put right" {
	local key said
	add_policy
	add_sa 0x2005
	will_explain 5 "protected sa" udp 192.0.2.2:9
	storm_doctor_agrees host
	key=$(bpftool -j map dump pinned /sys/fs/bpf/sagate/map/sad | jq -r '.[0].key | join(" ")')
	# shellcheck disable=SC2086 # one word a byte
	bpftool map delete pinned /sys/fs/bpf/sagate/map/sad key $key
	explains "wait no-sa" udp 192.0.2.2:9
	run ! "$STORM" --only-compare
	said=$(storm_doctor host)
	grep -q "^fail space host: SA to 192.0.2.2 esp mode 0 reqid 7 slot 0: the map lacked it$" <<<"$said"
	[ "$(grep -c . <<<"$said")" = 1 ]
	explains "protected sa" udp 192.0.2.2:9
	storm_doctor_agrees host
	"$STORM" --only-compare
}

same_as_kernel() { "$STORM" --only-compare --space other --netns /run/netns/other; }

@test "what MIGRATE changed and the kernel told nobody is put right within a minute, unasked" {
	local before
	before=$(status_of other resyncs)
	storm_blow other --changes 300 --kinds sa,policy,migrate "${seed[@]}" >/dev/null || :
	# the mirror is compared with the kernel once a minute; the machine is slow
	lab_wait_until 120 same_as_kernel
	[ "$(status_of other synced)" = true ]
	echo "# MIGRATE in another namespace: told $(($(status_of other resyncs) - before)) times" >&3
}

entries_of() { # MAP SLOT
	bpftool -j map dump pinned "/sys/fs/bpf/sagate/map/$1" |
		jq "[.[] | (.formatted // .) | select(.key.space == $2)] | length"
}
slot_of() { bpftool -j map dump pinned /sys/fs/bpf/sagate/map/spaces | jq ".[] | (.formatted // .) | select(.key == $1) | .value"; }
state_is() { [ "$(sagate show spaces --json | jq -r ".[] | select(.name == \"other\") | .state")" = "$1" ]; }
log_lines() { wc -l <"$STORM_DIR/log"; }

@test "a network namespace torn down with SAs in it goes from the maps, and disturbs no other" {
	local cookie slot resyncs lines
	add_policy
	add_sa 0x2006
	will_explain 5 "protected sa" udp 192.0.2.2:9
	storm_blow other --changes 2000 --kinds sa,policy "${seed[@]}"
	storm_result '.sas > 10 and .policies > 10 and .differences == 0'
	cookie=$(status_of other netns)
	slot=$(slot_of "$cookie")
	[ "$(entries_of sad "$slot")" -gt 0 ] && [ "$(entries_of spd "$slot")" -gt 0 ]
	resyncs=$(status_of host resyncs)
	lines=$(log_lines)
	ip netns del other
	lab_wait_until 20 state_is absent
	[ "$(slot_of "$cookie")" = "" ]
	[ "$(entries_of sad "$slot")" = 0 ] && [ "$(entries_of spd "$slot")" = 0 ]
	explains "protected sa" udp 192.0.2.2:9
	storm_doctor_agrees host
	# it is looked for every second, and said to be gone once
	sleep 5 # so many looks: what must not happen has no event
	[ $(($(log_lines) - lines)) -le 5 ] || { tail -n 20 "$STORM_DIR/log"; false; }
	[ "$(status_of host resyncs)" = "$resyncs" ]
	ip netns add other
	lab_wait_until 20 state_is mirrored
	storm_blow other --changes 500 --kinds sa,policy "${seed[@]}"
	storm_result '.differences == 0'
}
