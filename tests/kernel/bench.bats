#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# bench.bats: the bench produces every figure, and what in it can be counted is
# within its bar. No time is judged here: the machine may be busy.

bats_require_minimum_version 1.5.0

setup_file() {
	SGK_REPO=$(dirname "$(dirname "$BATS_TEST_DIRNAME")")
	export SGK_REPO
	make -s -C "$SGK_REPO" bench-build
	findmnt -n /sys/fs/bpf >/dev/null || mount -t bpf bpf /sys/fs/bpf
	rm -f "$SGK_REPO/build/bench-quick.json"
	"$SGK_REPO/tests/bench/bench" quick >"$BATS_FILE_TMPDIR/out" 2>&1 ||
		{ tail -n 40 "$BATS_FILE_TMPDIR/out"; return 1; }
}

# rows FILTER: how many rows of the result it is true for
rows() { jq "[.rows[] | select($1)] | length" "$SGK_REPO/build/bench-quick.json"; }

@test "every figure of the bench has a row with its baseline, and the JSON is whole" {
	local way
	[ "$(rows '.bench == "runtime" and .policies == 1000')" = 20 ]
	for way in sagate nftables nftables-set iptables "returns 1"; do
		[ "$(rows ".bench == \"sockets\" and .way == \"$way\"")" = 10 ]
	done
	[ "$(rows '.bench == "snapshot"')" = 3 ]
	[ "$(rows '.bench == "change"')" = 3 ]
	[ "$(rows '.bench == "restart"')" = 1 ]
	[ "$(rows '.bench == "verifier"')" -ge 5 ]
	[ "$(rows 'has("value") and has("base") and has("ratio") and has("unit") | not')" = 0 ]
	[ "$(rows '.value < 0')" = 0 ]
}

@test "bytes a policy and an SA, refusals of a full map, and what churn leaves are within their bars" {
	[ "$(jq '[.bars[] | select(.counted)] | length' "$SGK_REPO/build/bench-quick.json")" -ge 15 ]
	run -0 jq -r '.bars[] | select(.counted and (.ok | not)) | .name' "$SGK_REPO/build/bench-quick.json"
	[ -z "$output" ]
}

@test "plots are well-formed SVG" {
	(cd "$SGK_REPO/tests/bench" && PYTHONDONTWRITEBYTECODE=1 python3 - "$BATS_TEST_TMPDIR" <<-'END'
		import sys, xml.dom.minidom
		import plot
		plot.lines(sys.argv[1] + "/a.svg", "t & <u>", "of 1", {"x": {1: (1, .9, 1.1), 100: (2, 1.5, 3)}}, (2, "bar"))
		plot.lines(sys.argv[1] + "/b.svg", "t", "of 1", {"x": {5: (1, 1, 1)}}, log=True)
		plot.bars(sys.argv[1] + "/c.svg", "t", "bytes", {"a": 1, "b": 0}, 300)
		assert all(xml.dom.minidom.parse(f"{sys.argv[1]}/{name}.svg").documentElement.tagName == "svg" for name in "abc")
	END
	)
}
