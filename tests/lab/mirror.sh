# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# mirror.sh: where this machine gets Debian from. Sourced by tests/deps and
# tests/lab/kernels, so that no registry's name stands in this repository.

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
