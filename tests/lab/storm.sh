# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# storm.sh: a daemon without an IKE daemon, whose mirrors are put to the test.
# To be sourced after peers.sh, inside tests/lab/vm.
#
#   the machine's own network                netns other        netns far
#  +--------------------------------------+  +-----------+      +------------------+
#  | sagate daemon, space "host"          |  | space     |      | near  192.0.2.2  |
#  | far   192.0.2.1/24                   |--------------------|                  |
#  | gate: cgroup /stormed                |  | "other"   |      +------------------+
#  +--------------------------------------+  +-----------+
#
# SAs are made by hand, with the cheapest algorithms: what is tried is the SAD.

STORM_DIR=${STORM_DIR:-/tmp/storm}
STORM=$STORM_DIR/storm
STORM_SAGATE=$STORM_DIR/sagate

# sagate ARGS...: the command, in the machine's own network.
sagate() { "$STORM_SAGATE" "$@"; }

storm_ready() { [ "$(sagate status --json 2>/dev/null | jq .ready)" = true ]; }
storm_pid() { cat "$STORM_DIR/pid"; }

# storm_daemon_start: at once; storm_ready tells when it is.
storm_daemon_start() {
	lab_spawn "$STORM_DIR/log" "$STORM_SAGATE" daemon -c "$STORM_DIR/conf" >"$STORM_DIR/pid"
}

storm_daemon_stop() { lab_stop_pidfile "$STORM_DIR/pid" TERM 20; }

storm_up() {
	mkdir -p "$STORM_DIR" /sys/fs/cgroup/stormed
	# copies: a build meanwhile does not change what runs
	# shellcheck disable=SC2154 # of peers.sh
	cp "$lab_repo/build/sagate" "$lab_repo/build/tests/storm" "$STORM_DIR" || return 1
	modprobe -a esp4 esp6 ah4 ah6 xfrm_user crypto_null authenc gcm veth &&
	ip netns add other && ip netns add far &&
	ip link add far type veth peer name near netns far &&
	ip address add 192.0.2.1/24 dev far && ip link set far up &&
	ip -n far address add 192.0.2.2/24 dev near && ip -n far link set near up &&
	ip neighbour replace 192.0.2.2 lladdr "$(ip -n far -j link show near | jq -r '.[0].address')" dev far ||
		return 1
	printf '[space "other"]\nnetns=/run/netns/other\n' >"$STORM_DIR/conf"
	storm_daemon_start
	lab_wait_until 120 storm_ready || { cat "$STORM_DIR/log" >&2; return 1; }
	sagate attach /stormed --name stormed --mode reject >/dev/null
}

storm_down() {
	ip xfrm state flush
	ip xfrm policy flush
	storm_daemon_stop
	rm -rf /sys/fs/bpf/sagate
	rmdir /sys/fs/cgroup/stormed
	ip link del far
	ip netns del far
	ip netns del other
}

# storm_blow SPACE OPTIONS...: one storm; its result in $STORM_DIR/result, and on bats' output.
storm_blow() {
	local space=$1 netns=()
	shift
	[ "$space" = host ] || netns=(--netns "/run/netns/$space")
	timeout 240 "$STORM" --space "$space" "${netns[@]}" --daemon "$(storm_pid)" "$@" \
		>"$STORM_DIR/out" 2>"$STORM_DIR/seed" || {
		cat "$STORM_DIR/seed" "$STORM_DIR/out"
		tail -n 20 "$STORM_DIR/log"
		return 1
	}
	tail -n 1 "$STORM_DIR/out" >"$STORM_DIR/result"
	[ ! -e /dev/fd/3 ] || echo "# $space $* $(cat "$STORM_DIR/result")" >&3
}

# storm_result .JQ-EXPRESSION: holds for the last result.
storm_result() { jq -e "$1" "$STORM_DIR/result" >/dev/null || { cat "$STORM_DIR/result"; return 1; }; }

# storm_soon: equal to the kernel within so many times what the barest listener
# takes for as many events and one dump. Under emulation all share one thread,
# so that other times mean nothing.
storm_soon() { storm_result ".ratio <= ${STORM_RATIO:-30}"; }

# storm_doctor SPACE: doctor's own comparison, the lines about that space's mirror.
storm_doctor() {
	sagate doctor --json 2>/dev/null | jq -r --arg space "space $1:" \
		'.checks[] | select(.check == "mirror" and (.message | startswith($space))) |
		"\(.status) \(.message)"'
}
storm_doctor_agrees() {
	local said
	said=$(storm_doctor "$1")
	[[ $said =~ ^ok\ .*policies\ and\ .*SAs\ equal\ the\ kernel\'s$ ]] || { echo "$said"; return 1; }
}
