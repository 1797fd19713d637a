#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# explain.bats: why a policy was chosen and the others were not, with real
# policies of this machine's kernel; each choice is looked up in what the call
# then meets. SAs are for tests/lab/mirror.bats and tests/unit/decide.

bats_require_minimum_version 1.5.0
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/host.sh"

setup_file() { sgk_up; }
teardown_file() { sgk_down; }

setup() { on_a ip xfrm policy flush && on_a ip xfrm policy flush ptype sub; }

# why ARGS...: the sentence on the chosen policy.
why() { sagate explain "$@" --json | jq -r '.policy.why'; }
# others ARGS...: PRIORITY DST: TEXT of each policy that was not chosen, in order.
others() { sagate explain "$@" --json | jq -r '.considered[] | "\(.priority) \(.selector.dst): \(.text)"'; }

@test "the chosen policy is the only one that matches, or has the lowest priority, and the call meets it" {
	spd add dst 192.0.2.5/32 priority 1000 action block
	in_force "deny policy-block" udp 192.0.2.5:80
	[ "$(why udp 192.0.2.5:80)" = "the only one that matches" ]
	[ "$(others udp 192.0.2.5:80)" = "" ]
	spd add dst 192.0.2.0/24 priority 900 action allow
	in_force "clear policy-allow" udp 192.0.2.5:80
	expect ok udp 192.0.2.5 80
	[ "$(why udp 192.0.2.5:80)" = "the lowest priority of 2 that match (900 < 1000)" ]
	[ "$(others udp 192.0.2.5:80)" = "1000 192.0.2.5/32: priority 1000 > 900" ]
}

@test "a policy that does not match names its first condition, with both values" {
	local index
	index=$(ip -n "$SGK_A" -j link show dev w | jq '.[0].ifindex')
	spd add dst 192.0.2.5/32 priority 1 mark 5 mask 0xff action block
	spd add dst 192.0.2.5/32 priority 2 if_id 7 action block
	spd add src 192.0.2.9/32 dst 192.0.2.5/32 priority 3 action block
	spd add dst 192.0.2.5/32 proto udp dport 443 priority 4 action block
	spd add dst 192.0.2.5/32 proto udp sport 9 priority 5 action block
	spd add dst 192.0.2.5/32 proto tcp priority 6 action block
	spd add dst 192.0.2.5/32 dev lo priority 7 action block
	spd add dst 192.0.2.6/32 priority 8 action block
	spd add dst 192.0.2.0/24 priority 9 action allow
	in_force "clear policy-allow" udp 192.0.2.5:80
	expect ok udp 192.0.2.5 80
	diff <(others udp 192.0.2.5:80) - <<-END
	1 192.0.2.5/32: mark 0x5/0xff ≠ 0x0
	2 192.0.2.5/32: if_id 0x7 ≠ 0x0
	3 192.0.2.5/32: src 192.0.2.9/32 without 192.0.2.1
	4 192.0.2.5/32: dport 443 ≠ 80
	5 192.0.2.5/32: sport 9 ≠ none
	6 192.0.2.5/32: proto tcp ≠ udp
	7 192.0.2.5/32: dev: index 1 ≠ $index
	END
	# each of them is chosen by a flow that has what it asks
	[ "$(why udp 192.0.2.5:80 --mark 5)" = "the lowest priority of 2 that match (1 < 9)" ]
	expect EACCES udp 192.0.2.5 80 mark=5
	[ "$(why udp 192.0.2.5:80 --from 192.0.2.9)" = "the lowest priority of 2 that match (3 < 9)" ]
	[ "$(why udp 192.0.2.5:443)" = "the lowest priority of 2 that match (4 < 9)" ]
	expect EACCES udp 192.0.2.5 443
	[ "$(why udp 192.0.2.5:80 --from 192.0.2.1:9)" = "the lowest priority of 2 that match (5 < 9)" ]
	expect EACCES udp 192.0.2.5 80 sport=9
	[ "$(why tcp 192.0.2.5:80)" = "the lowest priority of 2 that match (6 < 9)" ]
	expect EACCES tcp 192.0.2.5 80
}

@test "on a tie the older policy is taken, or where that is not known one that blocks, and that is said" {
	local old young blocks
	spd add dst 192.0.2.5/32 priority 7 action block
	spd add dst 192.0.2.4/30 priority 7 action allow
	in_force "deny policy-block" udp 192.0.2.5:80
	expect EACCES udp 192.0.2.5 80
	old=$(index_of 192.0.2.5/32) young=$(index_of 192.0.2.4/30)
	[ "$(why udp 192.0.2.5:80)" = "index $old and index $young share priority 7: the older one, index $old, is taken" ]
	[ "$(others udp 192.0.2.5:80)" = "7 192.0.2.4/30: $(why udp 192.0.2.5:80)" ]
	spd delete dst 192.0.2.5/32
	spd add src 192.0.2.1/32 dst 192.0.2.5/32 priority 7 action block
	in_force "deny policy-block" udp 192.0.2.5:80
	blocks=$(index_of 192.0.2.5/32)
	[ "$(why udp 192.0.2.5:80)" = "index $blocks and index $young share priority 7, and which one the kernel takes is not known: index $blocks, which blocks, is assumed" ]
	[ "$(others udp 192.0.2.5:80)" = "7 192.0.2.4/30: $(why udp 192.0.2.5:80)" ]
	# neither blocks, and they differ
	spd delete src 192.0.2.1/32 dst 192.0.2.5/32
	# shellcheck disable=SC2046 # words
	spd add src 192.0.2.1/32 dst 192.0.2.5/32 priority 7 $(tmpl 5)
	in_force "wait policy-tie" udp 192.0.2.5:80
	blocks=$(index_of 192.0.2.5/32)
	others udp 192.0.2.5:80 | grep -F "7 192.0.2.4/30: undecided: index $young and index $blocks share priority 7 and differ, and which one the kernel takes is not known"
}
index_of() { sagate show spd --json | jq ".[] | select(.dst == \"$1\") | .index"; }

@test "show spd has a column for what some policy has, and for nothing else" {
	spd add dst 192.0.2.5/32 priority 1 action block
	in_force "deny policy-block" udp 192.0.2.5:80
	run -0 sagate show spd
	[[ ${lines[0]} == "SPACE  SRC "*" DPORT  DIR  PRIORITY "* ]]
	spd add dst 192.0.2.6/32 dev w mark 5 mask 0xff if_id 7 ptype sub priority 2 action block
	sgk_wait 5 has_policies 2
	run -0 sagate show spd
	[[ ${lines[0]} == "SPACE  SRC "*" DPORT  DEV  MARK      IF_ID  DIR  PTYPE  PRIORITY "* ]]
	[[ $output == *" 192.0.2.5/32  *      *      *      -    -         -      out  main "* ]]
	[[ $output == *" 192.0.2.6/32  *      *      *      w    0x5/0xff  0x7    out  sub "* ||
		$output == *" 192.0.2.6/32  *      *      *      if"*" 0x5/0xff  0x7    out  sub "* ]]
}
has_policies() { [ "$(sagate show spd --json | jq length)" = "$1" ]; }

@test "a sub policy comes before the main one, which is told of too" {
	spd add dst 192.0.2.5/32 priority 7 action block
	spd add dst 192.0.2.5/32 ptype sub priority 9000 action allow
	in_force "deny policy-block" udp 192.0.2.5:80
	run -4 sagate explain udp 192.0.2.5:80 --json
	jq -e '.policy.ptype == "sub" and .policy.action == "allow" and
		(.policy.why | startswith("sub policies come before main ones")) and
		.main_policy.ptype == "main" and .main_policy.action == "block" and
		.main_policy.why == "the only one that matches" and .considered == []' <<<"$output"
	spd update dst 192.0.2.5/32 ptype sub priority 9000 action block
	in_force "deny policy-block" udp 192.0.2.5:80
	sgk_wait 5 said_not_asked
}
said_not_asked() {
	[ "$(others udp 192.0.2.5:80)" = "7 192.0.2.5/32: main: not asked after what the sub policy says" ]
}

@test "the list is bounded, nearest first, and the rest is counted" {
	local i
	for i in {1..40}; do
		echo "xfrm policy add dst 192.0.2.5/32 proto tcp dport $((1000 + i)) dir out priority $((100 - i)) action block"
	done | ip -n "$SGK_A" -batch -
	spd add dst 192.0.2.0/24 priority 500 action allow
	spd add dst 192.0.0.0/16 priority 600 action block
	in_force "clear policy-allow" tcp 192.0.2.5:80
	run -0 sagate explain tcp 192.0.2.5:80 --json
	jq -e '(.considered | length) == 16 and .considered_more == 25 and
		.considered[0].text == "priority 600 > 500" and .considered[1].priority == 60' <<<"$output"
	run -0 sagate explain tcp 192.0.2.5:80 --verbose
	[[ $output == *"not chosen"*"priority 600 > 500"*"dport 1040 ≠ 80"*"… and 33 more"* ]]
}

@test "for a person: short when it passes, all of it when it waits, is denied, or with --verbose" {
	# shellcheck disable=SC2046 # words
	spd add dst 192.0.2.5/32 priority 10 $(tmpl 5)
	spd add dst 192.0.2.6/32 priority 10 action allow
	spd add dst 192.0.2.0/24 priority 20 action block
	in_force "wait no-sa" udp 192.0.2.5:80
	in_force "deny policy-block" udp 192.0.2.7:80
	run -0 sagate explain udp 192.0.2.6:80
	[ ${#lines[@]} = 4 ]
	[[ $output == *"the lowest priority of 2 that match (10 < 20)"* ]]
	[[ $output != *"not chosen"* ]]
	run -0 sagate explain udp 192.0.2.6:80 --verbose
	[[ $output == *"not chosen"*"priority 20 > 10"* ]]
	run -3 sagate explain udp 192.0.2.5:80
	[[ $output == *"no SA to that address at all"*"not chosen"*"priority 20 > 10"* ]]
	run -3 sagate explain udp 192.0.2.5:80 --json
	jq -e '.policy.templates[0].candidates == [] and .policy.templates[0].candidates_more == 0' <<<"$output"
}

@test "what is not known of the flow is said of each policy that compares it" {
	spd add src 192.0.2.1/32 dst 192.0.2.5/32 priority 10 action block
	spd add dst 192.0.2.0/24 priority 20 action allow
	in_force "deny policy-block" udp 192.0.2.5:80
	# routing depends on who asks: the source is not known
	on_a ip rule add uidrange 5-6 table 100
	in_force "wait source-unknown" udp 192.0.2.5:80
	[ "$(others udp 192.0.2.5:80 | sort)" = "10 192.0.2.5/32: src 192.0.2.1/32, and the flow's is not known
20 192.0.2.0/24: undecided: one that compares what is not known of the flow may come first" ]
	on_a ip rule del uidrange 5-6 table 100
	in_force "deny policy-block" udp 192.0.2.5:80
}
