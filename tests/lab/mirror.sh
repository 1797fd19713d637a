# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# mirror.sh: where this machine gets Debian from, so that no registry's name
# stands in this repository. Sourced by tests/deps, tests/lab/kernels and
# tests/lab/libreswan.

# shellcheck disable=SC2034 # for the scripts that source this
mirror_keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# mirror_uri main|security: prints the URI of the machine's own mirror, as
# its apt configuration names it. Needs `apt-get update` to have run once.
mirror_uri() {
	# apt's Label, not the suite: it is the same for every release.
	case $1 in
	main) mirror_label=Debian ;;
	security) mirror_label=Debian-Security ;;
	*) echo "mirror: '$1' is no archive; use main or security" >&2; return 1 ;;
	esac
	# shellcheck disable=SC2016 # apt's variables, not the shell's
	mirror_found=$(apt-get indextargets \
		--format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' |
		awk -v label="$mirror_label" '$1 == label { print $2; exit }')
	if [ -z "$mirror_found" ]; then
		echo "mirror: apt's sources have no archive labelled '$mirror_label':" \
			"add it to /etc/apt/sources.list.d and run apt-get update" >&2
		return 1
	fi
	echo "$mirror_found"
}

# mirror_apt DIR TOOL ARGS...: apt-get or apt-cache with DIR/sources.list and a
# state of its own below DIR. The machine's apt configuration is read (for the
# mirror) and not changed.
mirror_apt() {
	mirror_dir=$1
	mirror_tool=$2
	shift 2
	mkdir -p "$mirror_dir/lists/partial" "$mirror_dir/cache/archives/partial"
	"$mirror_tool" -o Dir::Etc::SourceList="$mirror_dir/sources.list" \
		-o Dir::Etc::SourceParts=/dev/null \
		-o Dir::Etc::Preferences=/dev/null \
		-o Dir::Etc::PreferencesParts=/dev/null \
		-o Dir::State::Lists="$mirror_dir/lists" \
		-o Dir::Cache="$mirror_dir/cache" \
		-o APT::Sandbox::User=root \
		-o Acquire::Retries=3 "$@"
}
