#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# deb.sh
#
# Makes the Debian package unidax-dkms, whose modules DKMS builds for each kernel of the machine
# that it is installed on. It packs the working copy's tracked files, or, in a tree that has no git
# repository, all but what .gitignore names. Nothing is written into the tree.
#
# The version is that of dkms.conf if the commit has the tag v<version>, or if there is no
# repository; else a snapshot that sorts before it.
#
# Variables: DEB_OUT, the folder for the package (~/.cache/unidax/deb).
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# A make that called us means its own work with these.
export LC_ALL=C

say() {
	printf 'deb: %s\n' "$*"
}

fail() {
	printf 'deb: FAILED: %s\n' "$*" >&2
	exit 1
}

missing=''
for tool in git dpkg-buildpackage dh dh_dkms; do
	command -v $tool >/dev/null || missing+=" $tool"
done
if [ "$missing" ]; then
	say "installing what is missing (scripts/packages.sh deb):$missing"
	"$root/scripts/packages.sh" deb
fi

out=${DEB_OUT:-$cache/deb}
mkdir -p "$out" "$cache"
out=$(cd "$out" && pwd -P)
work=$(mktemp -d "$cache/deb.XXXXXX")
trap 'rm -rf "$work"' EXIT
stage=$work/unidax
mkdir "$stage"
cd "$root"

version=$(sed -n 's/^PACKAGE_VERSION="\(.*\)"$/\1/p' dkms.conf)
[ "$version" ] || fail "no PACKAGE_VERSION in dkms.conf"
date=$(date -u -R -r dkms.conf)
change="Version $version."
if [ -e .git ]; then
	# A repository that git refuses to read (another owner's) ends it here, with git's reason.
	git ls-files -z >"$work/tracked"
	new=$(git ls-files --others --exclude-standard)
	[ -z "$new" ] || say "not tracked, so left out: ${new//$'\n'/, }"
	changed=$(git status --porcelain --untracked-files=no)
	if [ "$changed" ]; then
		date=$(date -u -R)
		change="Snapshot of commit $(git rev-parse --short HEAD) with changes that are not committed."
		id=$(git rev-parse --short HEAD).changed
	else
		date=$(date -u -R -d "@$(git log -1 --format=%ct)")
		change="Snapshot of commit $(git rev-parse --short HEAD)."
		id=$(git rev-parse --short HEAD)
	fi
	if [ "$changed" ] || ! git tag --points-at HEAD | grep -qxF "v$version"; then
		version+="~git$(date -u +%Y%m%d%H%M%S -d "$date").$id"
	else
		change="Version $version."
	fi
else
	git --git-dir="$work/none" init -q
	git --git-dir="$work/none" --work-tree="$root" ls-files -z --others --exclude-standard >"$work/tracked"
fi
# Files that are tracked and not there are about to be removed.
while IFS= read -r -d '' file; do
	[ ! -e "$file" ] || printf '%s\0' "$file"
done <"$work/tracked" >"$work/files"
tar -c --null --no-recursion -T "$work/files" | tar -x -C "$stage"
[ -f "$stage/scripts/debian/control" ] || fail "scripts/debian/ is not among the tracked files"
say "packing $(tr -dc '\0' <"$work/files" | wc -c) files as version $version"

# Who makes the package: the environment as for other Debian tools, git, the project's own.
name=${DEBFULLNAME-} email=${DEBEMAIL-}
if [ -z "$name" ] || [ -z "$email" ]; then
	name=$(git config user.name) && email=$(git config user.email) || name='' email=''
fi
maintainer="$name <$email>"
[ "$name" ] && [ "$email" ] || maintainer=$(sed -n 's/^M:[[:space:]]*//p' MAINTAINERS | head -n 1)
[ "$maintainer" ] || fail "nobody to name as maintainer: set DEBFULLNAME and DEBEMAIL"

mv "$stage/scripts/debian" "$stage/debian"
while IFS= read -r line; do
	printf '%s\n' "${line//@MAINTAINER@/$maintainer}"
done <"$root/scripts/debian/control" >"$stage/debian/control"
printf 'unidax (%s) unstable; urgency=medium\n\n  * %s\n\n -- %s  %s\n' \
	"$version" "$change" "$maintainer" "$date" >"$stage/debian/changelog"

say "building (dpkg-buildpackage)"
if ! (cd "$stage" && dpkg-buildpackage -b -uc -us) >"$work/log" 2>&1 </dev/null; then
	cat "$work/log" >&2
	fail "the package does not build"
fi
deb=$work/unidax-dkms_${version}_all.deb
[ -f "$deb" ] || fail "dpkg-buildpackage made no ${deb##*/}"
mv "$deb" "$out/"
say "built $out/${deb##*/}"
say "install it with: apt install $out/${deb##*/}"
