#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# build.bats: what the Makefile promises, and the rules of the sources. Builds
# only in a copy: others may be at work in this tree.

bats_require_minimum_version 1.5.0

setup_file() {
	SGK_REPO=$(dirname "$(dirname "$BATS_TEST_DIRNAME")")
	export SGK_REPO SGK_TREE=$BATS_FILE_TMPDIR/tree
	mkdir "$SGK_TREE" && cd "$SGK_REPO" || return 1
	sources | xargs -d '\n' cp -a --parents -t "$SGK_TREE"
	# objects too, with their times: a first build here then does what is left
	find build -path build/lab -prune -o -path build/tests -prune -o -path build/demo -prune -o \
		-type f \( -name '*.o' -o -name '*.d' -o -name '*.ok' -o -name '*.skel.h' -o -name sagate -o -path 'build/man/*' \) -print0 |
		xargs -r -0 cp -a --parents -t "$SGK_TREE"
	make -C "$SGK_TREE" -j4 >"$BATS_FILE_TMPDIR/first" 2>&1 || { cat "$BATS_FILE_TMPDIR/first"; return 1; }
}

setup() { cd "$SGK_TREE" || return 1; }

# The files of the project: known to git, or new and not ignored.
sources() {
	(cd "$SGK_REPO" && git ls-files -co --exclude-standard | while read -r file; do
		[ ! -f "$file" ] || echo "$file"
	done)
}

# remakes FILE: which targets a touch of FILE would remake; the copy is left up to date.
remakes() {
	touch "$1"
	make -n V=1 | grep -oE -- '(-o|>) build/[A-Za-z0-9_./-]+' | cut -d ' ' -f 2 | sort -u
}

@test "an edit rebuilds what includes it, and nothing else; no edit rebuilds nothing" {
	local before
	run -0 make
	[[ $output != *"  CC "* && $output != *"  BPF "* && $output != *"  LINK "* ]]
	before=$(stat -c %Y.%z build/loader/units.o build/loader/main.o | sha256sum)
	# a BPF header: the object, its skeleton and the one file that sees it
	touch bpf/decide.bpf.h
	run -0 make
	[[ $output == *"  BPF "* && $output == *"  SKEL "* && $output == *"loader/bpf.c"* && $output == *"  LINK "* ]]
	[ "$(grep -c '^  CC ' <<<"$output")" = "$(grep -l 'sagate.skel.h' build/loader/*.d | wc -l)" ]
	[ "$before" = "$(stat -c %Y.%z build/loader/units.o build/loader/main.o | sha256sum)" ]
	# a header of one module
	touch loader/routes_ask.h
	run -0 make
	[[ $output == *"loader/routes_ask.c"* && $output == *"  LINK "* ]]
	[[ $output != *"  BPF "* && $output != *"loader/config.c"* ]]
	run -0 make
	[[ $output != *"  CC "* && $output != *"  LINK "* ]]
}

@test "an edit of the contract reaches both sides" {
	local out
	make -q build/sagate
	out=$(remakes include/abi.h)
	[[ $out == *build/bpf/sagate.bpf.o* && $out == *build/loader/bpf.o* && $out == *build/sagate* ]]
	[[ $out != *build/loader/units.o* && $out != *build/ike-bridge/* ]]
	out=$(make -n V=1)
	[[ $out == *"-Wpadded"*"-target bpf"* || $out == *"-target bpf"*"-Wpadded"* ]]
	make -s -j4 >/dev/null
	make -q build/sagate
}

@test "implicit padding in the contract is an error on both sides" {
	cp include/abi.h abi.keep
	# clang looks only at structs whose size is asked for
	sed -i 's/^struct gate_counters {/struct leaky { __u8 one; __u64 two; };\n_Static_assert(sizeof(struct leaky), "");\n&/' include/abi.h
	run ! make build/abi.host.ok
	[[ $output == *padd* ]]
	run ! make build/abi.bpf.ok
	mv abi.keep include/abi.h
	run -0 make build/abi.host.ok build/abi.bpf.ok
}

@test "make help lists every goal with its words" {
	local goal
	run -0 make help
	for goal in all deps unit check demo install uninstall format lint clean; do
		[[ $output == *"make $goal "* ]]
	done
}

@test "a missing package is named, with what to do" {
	mkdir fake
	# shellcheck disable=SC2016 # expanded inside
	printf '#!/bin/sh\nfor last; do :; done\n[ "$last" != scdoc ] || exit 1\necho installed\n' >fake/dpkg-query
	chmod +x fake/dpkg-query
	run -2 env PATH="$PWD/fake:$PATH" make
	[[ $output == *"missing: scdoc (Debian package scdoc)"* && $output == *"make deps"* ]]
	[[ $output != *"missing: clang"* ]]
	# what only tests need is asked for by the goals that test
	sed -i 's/!= scdoc/!= shellcheck/' fake/dpkg-query
	run -0 env PATH="$PWD/fake:$PATH" make
	run -2 env PATH="$PWD/fake:$PATH" make unit-build
	[[ $output == *"missing: shellcheck (Debian package shellcheck)"* ]]
	sed -i 's/!= shellcheck/!= scdoc/' fake/dpkg-query
	# goals that build nothing ask for nothing
	run -0 env PATH="$PWD/fake:$PATH" make help
	rm -r fake
}

@test "make install puts the files below DESTDIR and PREFIX, uninstall takes them away" {
	local root="$BATS_TEST_TMPDIR/the root" man
	run -0 make install DESTDIR="$root" PREFIX=/usr
	[ -x "$root/usr/sbin/sagate" ]
	[[ $("$root/usr/sbin/sagate" version) == sagate* ]]
	grep -q '^ExecStart=.*/usr/sbin/sagate daemon' "$root/usr/lib/systemd/system/sagate.service"
	grep -q '^u sagate ' "$root/usr/lib/sysusers.d/sagate.conf"
	[ -s "$root/usr/share/doc/sagate/sagate.conf.example" ]
	[ -s "$root/usr/share/doc/sagate/README.md" ]
	for man in loader/man/*.scd; do
		man=$(basename "$man" .scd)
		[ -s "$root/usr/share/man/man${man##*.}/$man" ]
	done
	run -0 make uninstall DESTDIR="$root" PREFIX=/usr
	[ -z "$(find "$root" -type f)" ]
}

@test "vmlinux.h is small" {
	[ "$(wc -l <vmlinux.h)" -le 300 ]
}

@test "every source file says its licence in its first lines" {
	local file bad=
	for file in $(sources | grep -vE '^LICENSE$|\.md$|\.json$|\.txt$|\.gitignore$|\.clang-format$|/corpus/'); do
		head -n 3 "$SGK_REPO/$file" | grep -q 'SPDX-License-Identifier: ' || bad="$bad $file"
	done
	[ -z "$bad" ] || { echo "without SPDX:$bad"; false; }
}

# no_include FILES-PATTERN HEADER-PATTERN
no_include() {
	# shellcheck disable=SC2086 # a pattern
	! (cd "$SGK_REPO" && grep -nE "^ *# *include *[<\"]([a-z-]+/|\.\./)*($2)[>\"]" $1)
}
includes() {
	# shellcheck disable=SC2086 # a pattern
	(cd "$SGK_REPO" && grep -lE "^ *# *include *[<\"]([a-z-]+/|\.\./)*($2)[>\"]" $1)
}

@test "dependencies point one way" {
	local loader bridge
	loader=$(cd "$SGK_REPO/loader" && printf '%s|' *.h)
	bridge=$(cd "$SGK_REPO/ike-bridge" && printf '%s|' *.h)
	# the rules can fail: this one would
	[ -n "$(includes 'loader/*.c' 'abi\.h')" ]
	no_include 'ike-bridge/*.[ch]' "${loader}abi\.h|reasons\.h|[a-z]*\.bpf\.h|bpf/.*|sagate\.skel\.h"
	no_include 'include/*.h' "${loader}${bridge}[a-z]*\.bpf\.h"
	no_include 'bpf/*' "${loader}${bridge}sagate\.skel\.h"
	[ "$(includes 'loader/*.[ch] ike-bridge/*.[ch]' 'sagate\.skel\.h')" = loader/bpf.c ]
	no_include 'loader/cmd*.c loader/render*.c loader/main.c' 'bpf\.h|bpf_internal\.h|mirror[a-z_]*\.h|gates\.h|gate_links\.h'
	[ "$(includes 'loader/cmd*.c loader/render*.c loader/main.c' 'daemon\.h')" = loader/cmd_daemon.c ]
	no_include 'loader/render*.c' 'client\.h|control[a-z_]*\.h'
}
