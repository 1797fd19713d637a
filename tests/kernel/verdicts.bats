#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# verdicts.bats: what each way of asking the network is told, on this machine's
# own kernel. Each row has the forbidden call and its permitted twin; both are
# looked up in the gate's counters, and at the peer.

bats_require_minimum_version 1.5.0
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/host.sh"

# Of the peer's addresses .2 is free, .3 wants an SA, .4 is blocked.
setup_file() {
	export SGK_WATCH=$BATS_FILE_TMPDIR/watch
	sgk_up '[require "dc2"]
	to=198.51.100.0/24
	proto=tcp' || return 1
	sgk_spawn "$SGK_WATCH" nsenter --net="/run/netns/$SGK_A" -- \
		"$SAGATE" watch --json -s "$SGK_SOCKET" >"$SGK_DIR/watch.pid"
	# shellcheck disable=SC2046 # words
	{
		spd add dst 192.0.2.3/32 $(tmpl 3)
		spd add dst 2001:db8::3/128 $(tmpl6 3)
		spd add dst 192.0.2.4/32 action block
		spd add dst 2001:db8::4/128 action block
	}
	in_force "deny policy-block" tcp "[2001:db8::4]:80"
	sgk_wait 5 sgk_watching
}
sgk_watching() { sgk_in "/$SGK_GATE" "$SGK_WAYS" udp 192.0.2.4 80 >/dev/null; [ -s "$SGK_WATCH" ]; }

teardown_file() { sgk_down; }

teardown() {
	[ -n "$BATS_TEST_COMPLETED" ] || tail -n 15 "$SGK_DIR/log"
}

# pair WAY REFUSED-ADDR ERRNO VERDICT REASON HOOK FREE-ADDR PASSES [tcp|udp ARRIVALS]
pair() {
	local way=$1 bad=$2 errno=$3 verdict=$4 reason=$5 hook=$6 good=$7 passes=$8 tcp udp
	tcp=$(served tcp)
	udp=$(served udp)
	counted "refused=1 events=1 verdicts.$verdict=1 reasons.$reason=1" \
		expect "$errno" "$way" "$bad" 80 || return 1
	sgk_wait 5 last_event_is "$hook $verdict $reason $errno" ||
		{ sgk_fail "$way: the last event is $(last_event), not from $hook"; return 1; }
	[ "$(served tcp) $(served udp)" = "$tcp $udp" ] ||
		{ sgk_fail "$way $bad: was refused and arrived"; return 1; }
	counted "verdicts.clear=$passes reasons.no-policy=$passes" expect ok "$way" "$good" 80 || return 1
	[ -z "${9-}" ] || sgk_wait 5 served_is "$9" $((${!9} + ${10})) ||
		{ sgk_fail "$way $good: did not arrive"; return 1; }
}
last_event() {
	grep '"event":"verdict"' "$SGK_WATCH" | tail -n 1 | jq -r '"\(.hook) \(.verdict) \(.reason) \(.errno)"'
}
last_event_is() { [ "$(last_event)" = "$1" ]; }

# rows: the table on standard input, for a flow that waits, then one that is blocked.
rows() {
	local way hook passes kind arrivals
	while read -r way hook passes kind arrivals; do
		pair "$way" "$1" EAGAIN wait no-sa "$hook" "$3" "$passes" "$kind" "$arrivals" || return 1
		pair "$way" "$2" EACCES deny policy-block "$hook" "$3" "$passes" "$kind" "$arrivals" || return 1
	done
}

@test "IPv4: every hook refuses what waits or is blocked, and lets its twin through" {
	rows 192.0.2.3 192.0.2.4 192.0.2.2 <<-END
	tcp            connect4 1 tcp 1
	fastopen       connect4 1 tcp 1
	udp            sendmsg4 1 udp 1
	udp-unspec     sendmsg4 1 udp 1
	udp-connect    connect4 1
	udp-send       connect4 1 udp 1
	udp-cmsg       connect4 2 udp 1
	ping           connect4 1
	END
}

@test "IPv6: the same" {
	rows 2001:db8::3 2001:db8::4 2001:db8::2 <<-END
	tcp            connect6 1 tcp 1
	fastopen       connect6 1 tcp 1
	udp            sendmsg6 1 udp 1
	udp-connect    connect6 1
	udp-send       connect6 1 udp 1
	udp-cmsg       connect6 2 udp 1
	ping           connect6 1
	END
}

@test "IPv4 by an IPv6 socket: judged as the IPv4 flow that it is" {
	rows 192.0.2.3 192.0.2.4 192.0.2.2 <<-END
	tcp-mapped         connect6 1 tcp 1
	fastopen-mapped    connect6 1 tcp 1
	udp-mapped         sendmsg4 1 udp 1
	udp-in6            sendmsg4 1 udp 1
	udp-connect-mapped connect6 1
	udp-connect-in6    connect4 1
	END
}

@test "two datagrams by sendmmsg: each is judged" {
	counted "verdicts.clear=2 reasons.no-policy=2" expect ok udp-mmsg 192.0.2.2 80
	counted "refused=1 events=1 verdicts.wait=1 reasons.no-sa=1" expect EAGAIN udp-mmsg 192.0.2.3 80
}

# late_cmsg ADDR WAY TEMPLATE: connects, then the address gets a template (or
# not), then it sends.
late_cmsg() {
	local pause=$SGK_DIR/pause.$1 out to=$1:80
	[[ $1 != *:* ]] || to="[$1]:80"
	gated "$SGK_WAYS" "$2" "$1" 80 pause="$pause" >"$pause.out" &
	sgk_wait 5 test -e "$pause.ready" || return 1
	# shellcheck disable=SC2086 # words
	[ -z "$3" ] || { spd add dst "$1" $3 && in_force "wait no-sa" udp "$to"; }
	touch "$pause"
	wait $!
	out=$(cut -d ' ' -f 1 "$pause.out")
	rm -f "$pause" "$pause.ready" "$pause.out"
	[ -z "$3" ] || spd delete dst "$1"
	echo "$out"
}

@test "a connected socket's send with IP_TOS is judged by its peer, which the context does not show" {
	[ "$(late_cmsg 192.0.2.10 udp-cmsg "")" = ok ]
	counted "refused=1 events=1 verdicts.wait=1 verdicts.clear=1 reasons.no-policy=1 reasons.no-sa=1" \
		late_is EAGAIN 192.0.2.10 "$(tmpl 10)"
	[ "$(late_cmsg 2001:db8::6 udp-cmsg "")" = ok ]
	counted "refused=1 events=1 verdicts.wait=1 verdicts.clear=1 reasons.no-policy=1 reasons.no-sa=1" \
		late_is EAGAIN 2001:db8::6 "$(tmpl6 10)"
}

@test "connected to port 0, a send with IP_TOS is judged by its peer all the same" {
	counted "refused=1 events=1 verdicts.wait=1 reasons.no-sa=1 verdicts.clear=1 reasons.udp-port-0=1" \
		expect EAGAIN udp-cmsg 192.0.2.3 0
	expect EAGAIN udp-cmsg 2001:db8::3 0
}
late_is() { [ "$(late_cmsg "$2" udp-cmsg "$3")" = "$1" ]; }

@test "of two policies the lower priority number is chosen, whatever the prefix" {
	spd add dst 192.0.2.16/28 priority 100
	spd add dst 192.0.2.17/32 action block priority 200
	in_force "clear policy-allow" udp 192.0.2.17:80
	counted "verdicts.clear=1 reasons.policy-allow=1" expect ok udp 192.0.2.17 80
	spd update dst 192.0.2.17/32 action block priority 50
	in_force "deny policy-block" udp 192.0.2.17:80
	counted "refused=1 events=1 verdicts.deny=1 reasons.policy-block=1" expect EACCES udp 192.0.2.17 80
	counted "verdicts.clear=1 reasons.policy-allow=1" expect ok udp 192.0.2.18 80
	spd delete dst 192.0.2.16/28
	spd delete dst 192.0.2.17/32
}

@test "a prefix covers its addresses and not the next one" {
	spd add dst 192.0.2.16/29 action block
	in_force "deny policy-block" udp 192.0.2.16:80
	expect EACCES udp 192.0.2.16 80
	expect EACCES tcp 192.0.2.23 80
	expect ok udp 192.0.2.24 80
	expect ok udp 192.0.2.15 80
	spd delete dst 192.0.2.16/29
}

@test "a source prefix: the bound address counts, and unbound what routing chooses" {
	spd add src 192.0.2.1/32 dst 192.0.2.9/32 action block
	in_force "deny policy-block" udp 192.0.2.9:80
	expect EACCES udp 192.0.2.9 80
	expect EACCES tcp 192.0.2.9 80 src=192.0.2.1
	expect EACCES udp-mapped 192.0.2.9 80 src=192.0.2.1
	expect ok udp 192.0.2.9 80 src=192.0.2.101
	expect ok tcp 192.0.2.9 80 src=192.0.2.101
	expect ok udp-mapped 192.0.2.9 80 src=192.0.2.101
	spd delete src 192.0.2.1/32 dst 192.0.2.9/32
}

@test "a destination port and a protocol: only that flow" {
	spd add dst 192.0.2.6/32 proto tcp dport 81 action block
	in_force "deny policy-block" tcp 192.0.2.6:81
	expect EACCES tcp 192.0.2.6 81
	expect EACCES tcp-mapped 192.0.2.6 81
	expect ok tcp 192.0.2.6 80
	expect ok udp 192.0.2.6 81
	spd delete dst 192.0.2.6/32 proto tcp dport 81
}

@test "a source port: only a socket bound to it" {
	spd add dst 192.0.2.6/32 proto udp sport 4711 action block
	in_force "deny policy-block" udp 192.0.2.6:80 --from 192.0.2.1:4711
	expect EACCES udp 192.0.2.6 80 sport=4711
	expect EACCES udp-connect 192.0.2.6 80 sport=4711
	expect ok udp 192.0.2.6 80 sport=4712
	expect ok udp 192.0.2.6 80
	spd delete dst 192.0.2.6/32 proto udp sport 4711
}

@test "a mark: only sockets with that SO_MARK, under its mask" {
	spd add dst 192.0.2.7/32 action block mark 0x10 mask 0xf0
	in_force "deny policy-block" udp 192.0.2.7:80 --mark 0x10
	expect EACCES udp 192.0.2.7 80 mark=0x10
	expect EACCES tcp 192.0.2.7 80 mark=0x1f
	expect ok udp 192.0.2.7 80 mark=0x20
	expect ok udp 192.0.2.7 80
	spd delete dst 192.0.2.7/32 mark 0x10 mask 0xf0
}

@test "a device: the routed one counts for unbound sockets too, another does not match" {
	spd add dst 192.0.2.8/32 dev w action block
	spd add dst 192.0.2.11/32 dev lo action block
	in_force "deny policy-block" udp 192.0.2.8:80
	expect EACCES udp 192.0.2.8 80
	expect EACCES tcp 192.0.2.8 80 dev=w
	expect ok udp 192.0.2.11 80
	expect ok tcp 192.0.2.11 80 dev=w
	spd delete dst 192.0.2.8/32 dev w
	spd delete dst 192.0.2.11/32 dev lo
}

@test "an optional template without an SA does not refuse" {
	spd add dst 192.0.2.12/32 tmpl src 0.0.0.0 dst 0.0.0.0 proto esp mode transport level use
	in_force "clear policy-optional" udp 192.0.2.12:80
	counted "verdicts.clear=1 reasons.policy-optional=1" expect ok udp 192.0.2.12 80
	spd delete dst 192.0.2.12/32
}

@test "a requirement refuses what no policy protects, and only its own protocol" {
	counted "refused=1 events=1 verdicts.wait=1 reasons.required-no-policy=1" \
		expect EAGAIN tcp 198.51.100.1 80
	counted "verdicts.clear=1 reasons.no-policy=1" expect ok udp 198.51.100.1 80
	spd add dst 198.51.100.0/24 action allow
	in_force "wait required-clear" tcp 198.51.100.2:80
	counted "refused=1 events=1 verdicts.wait=1 reasons.required-clear=1" \
		expect EAGAIN tcp 198.51.100.2 80
	counted "verdicts.clear=1 reasons.policy-allow=1" expect ok udp 198.51.100.1 80
	spd delete dst 198.51.100.0/24
}

@test "the default policy block denies what has no policy, but not loopback" {
	spd add dst 192.0.2.5/32 action allow
	on_a ip xfrm policy setdefault out block
	in_force "deny default-block" udp 192.0.2.2:80
	counted "refused=1 events=1 verdicts.deny=1 reasons.default-block=1" expect EACCES udp 192.0.2.2 80
	expect EACCES tcp 2001:db8::2 80
	expect EAGAIN tcp 192.0.2.3 80
	expect ok udp 192.0.2.5 80
	expect ok udp 127.0.0.1 80
	expect ok udp ::1 80
	on_a ip xfrm policy setdefault out accept
	in_force "clear no-policy" udp 192.0.2.2:80
	expect ok udp 192.0.2.2 80
	spd delete dst 192.0.2.5/32
}

@test "IPv4 loopback is never refused: its device has disable_xfrm; IPv6's is as the policy says" {
	spd add dst 127.0.0.0/8 action block
	spd add dst ::/0 action block priority 9
	in_force "deny policy-block" udp "[::1]:80"
	counted "verdicts.clear=1 reasons.noxfrm-device=1" expect ok udp 127.0.0.1 80
	counted "verdicts.clear=1 reasons.noxfrm-device=1" expect ok udp 192.0.2.101 80
	expect EACCES udp ::1 80
	spd delete dst 127.0.0.0/8
	spd delete dst ::/0
	in_force "clear no-policy" udp "[::1]:80"
	expect ok udp ::1 80
}

set_gate() { sagate attach "/$SGK_GATE" --name gated "$@" >/dev/null; }

@test "no-policy=deny: what has no policy is denied, what has one is not; loopback passes" {
	spd add dst 192.0.2.5/32 action allow
	in_force "clear policy-allow" udp 192.0.2.5:80
	set_gate --set no-policy=deny
	counted "refused=1 events=1 verdicts.deny=1 reasons.no-policy-deny=1" expect EACCES udp 192.0.2.2 80
	counted "verdicts.clear=1 reasons.policy-allow=1" expect ok udp 192.0.2.5 80
	expect ok udp 127.0.0.1 80
	expect ok udp ::1 80
	set_gate
	expect ok udp 192.0.2.2 80
	spd delete dst 192.0.2.5/32
}

@test "the errno is the one that the gate is set to" {
	set_gate --set errno-waiting=ECONNREFUSED --set errno-denied=EPERM
	expect ECONNREFUSED tcp 192.0.2.3 80
	expect ECONNREFUSED udp 2001:db8::3 80
	expect EPERM tcp 192.0.2.4 80
	expect EPERM udp 2001:db8::4 80
	set_gate
	expect EAGAIN tcp 192.0.2.3 80
	expect EACCES tcp 192.0.2.4 80
}

@test "audit lets pass, counts what it would have refused, and says so" {
	set_gate --mode audit --set guard=off # which counts packets
	counted "audited=1 events=1 verdicts.wait=1 reasons.required-no-policy=1" expect ok tcp 198.51.100.3 80
	sgk_wait 5 last_event_is "connect4 wait required-no-policy null"
	# the kernel's own policy stands behind it
	counted "audited=1 events=1 verdicts.deny=1 reasons.policy-block=1" expect EPERM udp 192.0.2.4 80
	counted "verdicts.clear=1 reasons.no-policy=1" expect ok udp 192.0.2.2 80
	set_gate
	counted "refused=1 events=1 verdicts.wait=1 reasons.required-no-policy=1" expect EAGAIN tcp 198.51.100.4 80
}

@test "while a failed negotiation is backed off the errno is another, set or not" {
	# trigger=acquire has nothing to ask for where no policy has a template
	expect EAGAIN tcp 198.51.100.5 80
	sgk_wait 5 expect EHOSTUNREACH tcp 198.51.100.5 80
	set_gate --set errno-failed=ENETDOWN
	sgk_wait 5 expect ENETDOWN tcp 198.51.100.5 80
	set_gate
	expect ok udp 198.51.100.5 80
}

@test "of nested gates both must agree, each with its own settings and counters" {
	local inner=/$SGK_GATE/inner
	mkdir "$SGK_CGROUP2$inner"
	sagate attach "$inner" --name inner --set errno-waiting=ETIMEDOUT
	nested() { sgk_in "$inner" "$SGK_WAYS" "$@" | cut -d ' ' -f 1; }
	[ "$(nested udp 192.0.2.2 80)" = ok ]
	[ "$(counters inner | jq .verdicts.clear)" = 1 ]
	# the inner one speaks first
	[ "$(nested udp 192.0.2.3 80)" = ETIMEDOUT ] || [ "$(nested udp 192.0.2.3 80)" = EAGAIN ]
	# the outer refuses
	set_gate --set no-policy=deny
	[ "$(nested udp 192.0.2.2 80)" = EACCES ]
	set_gate
	[ "$(nested udp 192.0.2.2 80)" = ok ]
	# the inner refuses
	sagate attach "$inner" --name inner --set no-policy=deny --set errno-denied=ECONNREFUSED
	[ "$(nested udp 192.0.2.2 80)" = ECONNREFUSED ]
	expect ok udp 192.0.2.2 80
	# an outer one that only looks does not overrule it
	set_gate --mode audit
	[ "$(nested udp 192.0.2.2 80)" = ECONNREFUSED ]
	set_gate
	sagate detach inner
	[ "$(nested udp 192.0.2.2 80)" = ok ]
	[ "$(nested udp 192.0.2.3 80)" = EAGAIN ]
	rmdir "$SGK_CGROUP2$inner"
}

@test "an event carries flow, process, thread, name, cgroup and gate" {
	local out pid tid id event
	out=$(gated "$SGK_WAYS" udp 192.0.2.3 80 sport=4713 mark=5 thread=1)
	read -r _ pid tid <<<"$out"
	[ "$pid" != "$tid" ]
	id=$(sagate show gates --json | jq '.[] | select(.name == "gated") | .cgroup_id')
	[ "$id" = "$(stat -c %i "$SGK_CGROUP2/$SGK_GATE")" ]
	sgk_wait 5 grep -q "\"pid\": *$pid\b" "$SGK_WATCH"
	event=$(jq -c "select(.pid == $pid)" "$SGK_WATCH")
	jq -e --argjson pid "$pid" --argjson tid "$tid" --argjson id "$id" '
		.event == "verdict" and .pid == $pid and .tid == $tid and .comm == "ways" and
		.cgroup_id == $id and .gate == "gated" and .mode == "reject" and .errno == "EAGAIN" and
		.flow.proto == "udp" and .flow.src == "192.0.2.1" and .flow.sport == 4713 and
		.flow.dst == "192.0.2.3" and .flow.dport == 80 and .flow.mark == 5 and
		(.time | type) == "number"' <<<"$event"
}

@test "a program that tries again and again makes one event, and one negotiation" {
	local before
	# shellcheck disable=SC2046 # words
	spd add dst 192.0.2.13/32 $(tmpl 13)
	in_force "wait no-sa" udp 192.0.2.13:80
	before=$(sagate status --json | jq .negotiations.started)
	counted "refused=200 events=1 verdicts.wait=200 reasons.no-sa=200" \
		expect EAGAIN udp 192.0.2.13 80 times=200
	sgk_wait 5 negotiating 192.0.2.13
	expect EAGAIN tcp 192.0.2.13 80
	sleep 0.1
	[ "$(sagate status --json | jq .negotiations.started)" = $((before + 1)) ]
	spd delete dst 192.0.2.13/32
}
negotiating() {
	[ "$(sagate show negotiations --json | jq "[.[] | select(.peer == \"$1\" and .state == \"started\")] | length")" = 1 ]
}
