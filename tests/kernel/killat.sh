# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# killat.sh: the daemon of host.sh is killed at a system call. To be sourced after host.sh.

build_tools() {
	local tool
	for tool; do
		"${CC:-gcc}" -std=gnu11 -O2 -D_GNU_SOURCE -pthread -o "$SGK_DIR/$tool" "$BATS_TEST_DIRNAME/$tool.c" || return 1
	done
}

daemon() { cat "$SGK_DIR/daemon.pid"; }
stopped() { grep -q '^State:.*T' "/proc/$1/status"; }

# killat FILE PID N SIGNAL [CALL]: in the background; returns when it is at it.
killat() {
	: >"$SGK_DIR/$1"
	sgk_spawn "$SGK_DIR/$1" "$SGK_DIR/killat" "${@:2}" >"$SGK_DIR/$1.pid"
	sgk_wait 5 grep -q . "$SGK_DIR/$1"
}
struck() { sgk_wait 20 sgk_gone "$(cat "$SGK_DIR/$1.pid")"; }

# start_traced N BINARY [CALL]: that daemon starts, and will be killed at its N-th step into or out
# of a system call.
start_traced() {
	# it waits for its tracer, which sets it going
	# shellcheck disable=SC2016 # expanded inside
	sgk_spawn "$SGK_DIR/log" bash -c 'kill -STOP $$; exec nsenter --net="$1" -- "$2" daemon -c "$3"' \
		bash "/run/netns/$SGK_A" "$2" "$SGK_CONF" >"$SGK_DIR/daemon.pid"
	sgk_wait 5 stopped "$(daemon)"
	killat at "$(daemon)" "$1" 9 "${@:3}"
}
# start_killed N BINARY CALL: it is.
start_killed() {
	start_traced "$@"
	struck at
	sgk_wait 10 sgk_gone "$(daemon)"
}

# The links' programs are all of the one load that is pinned.
one_load() {
	local file ids
	[ "$(find "$SGK_PIN/load" -mindepth 1 -maxdepth 1 | wc -l)" = 1 ] || return 1
	ids=$(for file in "$SGK_PIN"/load/*/*; do
		bpftool -j prog show pinned "$file" 2>/dev/null | jq .id
	done)
	for file in "$SGK_PIN"/gate/gated/*; do
		grep -qx "$(bpftool -j link show pinned "$file" | jq .prog_id)" <<<"$ids" || return 1
	done
}
