#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# oracle.bats: the kernel as the judge of decide(), in thousands of random cases
# (see tests/lab/oracle). A difference is printed with the seed and case that
# `tests/lab/oracle --kernel K --seed S --case N` runs again.

bats_require_minimum_version 1.5.0

oracle() { "$BATS_TEST_DIRNAME/oracle" --inside "$@"; }

# agreed WORD WORD N: at least N cases of which explain said the first and the
# kernel did the second, as the table in $output has it.
agreed() {
	local column
	case $2 in
	protected) column=2 ;;
	clear) column=3 ;;
	blocked) column=4 ;;
	nothing) column=6 ;;
	esac
	awk -v said="$1" -v column=$column -v least="$3" \
		'$1 == said && NF == 6 { n = $column } END { exit n < least }' <<<"$output" || {
		echo "fewer than $3 cases of $1 and $2"
		return 1
	}
}

@test "what explain says is what the kernel does, in 3000 random cases" {
	run oracle --seed 9 --cases 3000
	echo "$output"
	[ "$status" = 0 ]
	# nothing of it rests on one kind of answer alone
	agreed protected protected 100
	agreed clear clear 500
	agreed deny blocked 100
	agreed wait nothing 300
	[[ $output =~ ([0-9]+)" cases of sockets in a VRF, "([0-9]+)" that its device" ]]
	[ "${BASH_REMATCH[1]}" -ge 300 ]
	[ "${BASH_REMATCH[2]}" -ge 100 ]
}

@test "and in 1000 cases of another seed: SAGATE_SEED, or one that once was the day's" {
	local seed=${SAGATE_SEED:-20261124}
	echo "# seed $seed" >&3
	run oracle --seed "$seed" --cases 1000
	echo "$output"
	[ "$status" = 0 ]
}

@test "the judge can find fault" {
	run -1 oracle --seed 1 --cases 40 --plant
	[[ $output == *"seed 1 case 5: planted"* ]]
}
