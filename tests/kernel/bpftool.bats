#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# bpftool.bats: what is pinned can be read with bpftool alone: names, BTF, the
# fields that an operator looks for.

bats_require_minimum_version 1.5.0
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/host.sh"

setup_file() {
	sgk_up || return 1
	# shellcheck disable=SC2046 # words
	spd add src 192.0.2.0/24 dst 192.0.2.3/32 proto tcp dport 443 priority 77 $(tmpl 42)
	spd add dst 192.0.2.4/32 action block priority 5
	in_force "deny policy-block" udp 192.0.2.4:80
	expect EACCES udp 192.0.2.4 80
}
teardown_file() { sgk_down; }

dump() { bpftool -j map dump pinned "$SGK_PIN/map/$1" | jq -c '[.[] | .formatted // .]'; }

@test "every map and program has its name and BTF" {
	local file
	for file in "$SGK_PIN"/map/*; do
		bpftool -j map show pinned "$file" | jq -e --arg name "$(basename "$file")" \
			'.name == $name and (.btf_id > 0 or .type == "ringbuf" )' ||
			{ sgk_fail "$file"; return 1; }
	done
	for file in "$SGK_PIN"/prog/*; do
		bpftool -j prog show pinned "$file" | jq -e --arg name "$(basename "$file")" \
			'.name == $name and .btf_id > 0 and .gpl_compatible' || { sgk_fail "$file"; return 1; }
	done
}

@test "bpftool cgroup show and link show tell what is attached, and to what" {
	bpftool -j cgroup show "$SGK_CGROUP2/$SGK_GATE" | jq -e \
		'map(.name) | sort == ["gate_connect4", "gate_connect6", "gate_egress", "gate_sendmsg4", "gate_sendmsg6", "gate_setsockopt"]'
	bpftool -j link show pinned "$SGK_PIN/gate/gated/sendmsg6" | jq -e \
		--argjson id "$(stat -c %i "$SGK_CGROUP2/$SGK_GATE")" '.type == "cgroup" and .cgroup_id == $id'
}

@test "gate_settings and gate_counters: one entry, keyed by the cgroup" {
	dump gate_settings | jq -e --argjson id "$(stat -c %i "$SGK_CGROUP2/$SGK_GATE")" \
		'length == 1 and .[0].key == $id and .[0].value.cgroup_id == $id and
		 .[0].value.mode == 0 and .[0].value.errno_waiting == 11'
	dump gate_counters | jq -e '[.[0].values[].value.refused] | add >= 1'
}

@test "spd: selector, priority and templates in words" {
	dump spd | jq -e 'length == 2 and any(.[]; .value.priority == 77 and .key.proto == 6 and
		.key.src_len == 24 and .key.dst_len == 32 and .key.dport_mask == 65535 and
		.value.tmpl_count == 1 and .value.tmpl[0].reqid == 42 and .value.block == 0) and
		any(.[]; .value.priority == 5 and .value.block == 1 and .value.tmpl_count == 0)'
	dump spd_masks | jq -e '.[0].value.count == 2'
}

@test "spaces, space_state and routes" {
	local slot
	dump spaces | jq -e 'length == 1 and .[0].value == 0'
	slot=$(dump space_state | jq -c '.[0].value')
	jq -e '.synced == 1 and .heartbeat > 0 and .default_block == 0' <<<"$slot"
	on_a ip xfrm policy setdefault out block
	in_force "deny default-block" udp 192.0.2.2:80
	dump space_state | jq -e '.[0].value.default_block == 1'
	on_a ip xfrm policy setdefault out accept
	dump routes | jq -e 'any(.[]; .value.noxfrm == 1) and any(.[]; .value.oif > 0)'
}

@test "abi: the number that sagate version tells" {
	[ "$(bpftool -j map dump pinned "$SGK_PIN/abi" | jq '.[0].formatted.value // (.[0].value[0] | if type == "string" then ltrimstr("0x") | tonumber else . end)')" \
		= "$(sagate version --json | jq .abi)" ]
}
