#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# campaign.bats: faults one after the other, under traffic (see tests/lab/campaign). Which
# and how is drawn from SAGATE_SEED, or from a seed that is another on each kernel; of 150 as many as
# fit into the time. A failure is printed with seed and fault, which
# `tests/lab/campaign --kernel K --seed S --only NUMBER` makes again.

bats_require_minimum_version 1.5.0

campaign() { "$BATS_TEST_DIRNAME/campaign" --inside "$@"; }

@test "faults of every kind: nothing in clear, all goes through again, the mirror is right, nothing is left" {
	local seed
	case $(uname -r) in
	6.1.*) seed=5 ;;
	6.12.*) seed=3 ;;
	*) seed=4 ;;
	esac
	seed=${SAGATE_SEED:-$seed}
	run campaign --seed "$seed" --faults 150 --seconds 200
	echo "$output"
	echo "# seed $seed: $(grep ' faults in ' <<<"$output")" >&3
	[ "$status" = 0 ]
	[[ $output =~ ([0-9]+)" faults in " ]]
	# a busy machine is slow; the planted leak is among the first
	[ "${BASH_REMATCH[1]}" -ge 8 ]
}

# bats test_tags=once
@test "a gate without its guard, whose policies go while the daemon is stopped, is found out" {
	GATE_GUARD=off run -1 campaign --seed 1 --faults 1 --only daemon_stopped_and_policies_flushed
	echo "$output"
	[[ $output == *"FAILED seed 1 fault 1 daemon_stopped_and_policies_flushed"* ]]
	[[ $output == *" packets in clear"* ]]
}
