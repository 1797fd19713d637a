#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# default_block.bats: default-block= sets the kernel's default policy in the
# spaces that want it, keeps it, tells who changes it, and never opens it.

bats_require_minimum_version 1.5.0
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/host.sh"

peer_space() { echo "[space \"peer\"]
	netns=/run/netns/$SGK_B
	default-block=$1"; }

setup_file() {
	sgk_names
	sgk_up "$(peer_space no)" || return 1
	spd add dst 192.0.2.5/32 action allow
}
teardown_file() { sgk_down; }
teardown() {
	[ -n "$BATS_TEST_COMPLETED" ] || tail -n 15 "$SGK_DIR/log"
}

# conf VALUE PEER'S: and the daemon reloads.
conf() {
	sgk_conf "$(peer_space "$2")"
	sed -i "s/^log-level=.*/&\ndefault-block=$1/" "$SGK_CONF"
	kill -HUP "$(cat "$SGK_DIR/daemon.pid")"
}
# defaults NETNS: in fwd out
defaults() { nsenter --net="/run/netns/$1" -- ip xfrm policy getdefault | sed -n 's/^ *\(in\|fwd\|out\): *//p' | paste -sd ' '; }
are() { [ "$(defaults "$1")" = "$2" ]; }
says() { sagate doctor --json | jq -e --arg status "$1" --arg text "$2" \
	'.checks | any(.check == "default-block" and .status == $status and (.message | contains($text)))'; }
restored() { sagate show spaces --json | jq '.[] | select(.name == "host").default_restored'; }
restored_is() { [ "$(restored)" = "$1" ]; }

@test "nothing is set unless it is said" {
	are "$SGK_A" "accept accept accept"
	are "$SGK_B" "accept accept accept"
	sagate doctor --json | jq -e '.checks | all(.check != "default-block")'
	expect ok udp 192.0.2.2 80
}

@test "yes is out, in the host's namespace, and in another only where it says so; gate and kernel agree" {
	conf yes no
	sgk_wait 5 are "$SGK_A" "accept accept block"
	are "$SGK_B" "accept accept accept"
	in_force "deny default-block" udp 192.0.2.2:80
	counted "refused=1 events=1 verdicts.deny=1 reasons.default-block=1" expect EACCES udp 192.0.2.2 80
	expect ok udp 192.0.2.5 80
	expect ok udp 127.0.0.1 80
	[ "$(on_a "$SGK_WAYS" udp 192.0.2.2 80 | cut -d ' ' -f 1)" = EPERM ] # without a gate, too
	on_a "$SGK_WAYS" udp 192.0.2.5 80 | grep -q "^ok"
	says ok "space host: the kernel blocks what no policy is for (out)"
	sagate show spaces --json | jq -e '.[] | select(.name == "host").default_block == "out"'
	sagate show spaces --json | jq -e '.[] | select(.name == "peer").default_block == null'
	conf no "out, fwd"
	sgk_wait 5 are "$SGK_B" "accept block block"
	conf yes in
	sgk_wait 5 are "$SGK_B" "block block block" # what is not asked for any more stays
	are "$SGK_A" "accept accept block"
	nsenter --net="/run/netns/$SGK_B" -- ip xfrm policy setdefault in accept fwd accept out accept
	sgk_wait 5 are "$SGK_B" "block accept accept"
	nsenter --net="/run/netns/$SGK_B" -- ip xfrm policy setdefault in accept
	sgk_wait 5 are "$SGK_B" "block accept accept"
}

@test "somebody else opens it: it is block again within a second, and told" {
	local before
	conf yes no
	sgk_wait 5 are "$SGK_A" "accept accept block"
	sgk_spawn "$SGK_DIR/watch" nsenter --net="/run/netns/$SGK_A" -- \
		"$SAGATE" watch --json -s "$SGK_SOCKET" >"$SGK_DIR/watch.pid"
	sgk_wait 10 watching
	before=$(restored)
	on_a ip xfrm policy setdefault out accept
	sgk_wait 5 restored_is $((before + 1))
	are "$SGK_A" "accept accept block"
	in_force "deny default-block" udp 192.0.2.2:80
	jq -se 'any(.event == "default" and .space == "host" and .restored == "out")' "$SGK_DIR/watch"
	grep -q "space host: somebody has let the kernel's default policy pass" "$SGK_DIR/log"
	says warn "space host: somebody set it otherwise"
	on_a "$SAGATE" status --metrics -s "$SGK_SOCKET" | grep -qx "sagate_space_default_restored_total{space=\"host\"} $((before + 1))"
	# one who insists is not fought at the speed of the loop
	for _ in {1..50}; do on_a ip xfrm policy setdefault out accept; done
	sgk_wait 5 are "$SGK_A" "accept accept block"
	[ "$(restored)" -lt $((before + 30)) ]
	sgk_stop "$SGK_DIR/watch.pid"
}
watching() { way udp 192.0.2.2 80; [ -s "$SGK_DIR/watch" ]; }

@test "stopping opens nothing, nor does a configuration without it; the next daemon begins with a block" {
	conf yes no
	sgk_wait 5 are "$SGK_A" "accept accept block"
	sgk_stop "$SGK_DIR/daemon.pid"
	are "$SGK_A" "accept accept block"
	on_a ip xfrm policy setdefault out accept
	# before it is ready: nobody has to wait for a snapshot
	sgk_daemon_start
	grep -n "what no policy is for is blocked from now on (out; default-block)\|ready: control" "$SGK_DIR/log" |
		tail -n 2 | sed -n '1s/^.*\(blocked\).*/\1/p;2s/^.*\(ready\).*/\1/p' | paste -sd ' ' | grep -qx "blocked ready"
	are "$SGK_A" "accept accept block"
	conf no no
	sgk_wait 5 grep -q "the kernel's default policy (out) stays at block, and may be changed now" "$SGK_DIR/log"
	are "$SGK_A" "accept accept block"
	on_a ip xfrm policy setdefault out accept
	in_force "clear no-policy" udp 192.0.2.2:80
	expect ok udp 192.0.2.2 80
	are "$SGK_A" "accept accept accept"
}
