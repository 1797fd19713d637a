#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# matrix.bats: what a gate answers to every way to send (see tests/lab/matrix).

bats_require_minimum_version 1.5.0

matrix() { "$BATS_TEST_DIRNAME/matrix" --inside "$@"; }

@test "every way to send is answered as WAYS.md says, with an SA and without; without a gate each one leaks, and is seen" {
	run matrix
	echo "$output"
	grep -E '^(n/a|matrix:)' <<<"$output" | sed 's/^/# /' >&3
	[ "$status" = 0 ]
}

# bats test_tags=once
@test "without the guard, what was connected before the SA went is seen to leak" {
	run -1 matrix --guard off --state lost --only connected
	echo "$output"
	grep -q '^WRONG handed out: udp4 connected .* clear' <<<"$output"
	grep -q '^WRONG handed out: tcp4 connected .* clear' <<<"$output"
}
